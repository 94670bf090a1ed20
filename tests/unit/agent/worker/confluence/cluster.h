/* cluster - one throw-away PostgreSQL cluster per test program, made at first use and stopped at
 * its end.
 *
 * Site accounts come over TCP on loopback with a password; the superuser over the socket. */
#pragma once
#include "agent/worker/confluence/database.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include "harness/test.h"
#include <sys/stat.h>
#include <unistd.h>

static char cluster_dir[64];
static char cluster_port_text[8];

__attribute__((unused)) static int cluster_tool(const char *name, const char *const *arguments,
                                                struct str *ret_out)
{
    char folder[FS_PATH_MAX];
    CHECK(getcwd(folder, sizeof folder) != NULL);
    CLEANUP(free_mem) char *path = text_printf("%s/tests/standin/%s", folder, name);
    const char *argv[40] = { path };
    for (size_t i = 0; arguments[i] && i < 38; i++)
        argv[i + 1] = arguments[i];
    struct proc_spec spec = { .argv = argv, .timeout_ms = 100000, .dir = folder };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    struct err err = { 0 };
    CHECK_OK(proc_run(&spec, &result, &err), err);
    if (result.status != 0)
        print_error("%s: %s%s\n", path, str_text(&result.out), str_text(&result.err));
    if (ret_out)
        str_add(ret_out, str_text(&result.out));
    return result.status;
}

__attribute__((destructor)) static void cluster_stop(void)
{
    if (cluster_port_text[0])
        (void)cluster_tool("pg", (const char *const[]){ "stop", cluster_dir, "--remove", NULL },
                           NULL);
}

/* Its port; the first call starts it. */
__attribute__((unused)) static const char *cluster(void)
{
    if (cluster_port_text[0])
        return cluster_port_text;
    if (access("/usr/lib/postgresql/15/bin/initdb", X_OK) != 0)
        TEST_SKIP("no initdb of PostgreSQL 15 here");
    const char *base = getenv("TMPDIR");
    (void)snprintf(cluster_dir, sizeof cluster_dir, "%.40s/confleet-pg-XXXXXX",
                   base && base[0] == '/' ? base : "/tmp");
    CHECK(mkdtemp(cluster_dir) != NULL);
    CHECK_INT(chmod(cluster_dir, 0755), 0);
    CHECK_INT(cluster_tool("pg", (const char *const[]){ "start", cluster_dir, NULL }, NULL), 0);
    char path[128];
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    (void)snprintf(path, sizeof path, "%s/port", cluster_dir);
    CHECK_OK(fs_read(path, 16, &text, &err), err);
    (void)snprintf(cluster_port_text, sizeof cluster_port_text, "%.*s", (int)strcspn(text.s, "\n"),
                   text.s);
    return cluster_port_text;
}

/* As superuser in the given database; every statement must work. */
__attribute__((unused)) static void cluster_do(const char *dbname, const char *const *statements)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    struct err err = { 0 };
    CLEANUP(free_mem)
    char *admin = text_printf("host=%s port=%s user=postgres", cluster_dir, cluster());
    struct database any = { .kind = DATABASE_POSTGRESQL };
    CHECK_OK(database_connect(&any, dbname, admin, NULL, 30, &conn, &err), err);
    for (; *statements; statements++)
        CHECK_OK(database_do(conn, *statements, &err), err);
}

/* Parameters of a site's account: database and user of this name. */
__attribute__((unused)) static void cluster_site(const char *name, const char *password,
                                                 struct database *ret)
{
    struct err err = { 0 };
    CLEANUP(free_mem)
    char *url = text_printf("jdbc:postgresql://127.0.0.1:%s/%s?user=%s&password=%s", cluster(),
                            name, name, password);
    CHECK_OK(database_parse_url(url, ret, &err), err);
}
