/* Client programs of PostgreSQL, and what they are given: a passfile and an environment, never an
 * argument with a secret. */
#include "agent/worker/confluence/database.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PG_ROOT       "/usr/lib/postgresql"
#define TOOL_LIMIT_MS 10000
#define TOOL_DIRS_MAX 32

/* Fixed against code execution by a crafted archive (CVE-2026-116314); majors that are not listed
 * and older than these are not known to be safe. */
static const struct {
    int major, minor;
} safe[] = { { 15, 20 }, { 16, 16 }, { 17, 12 }, { 18, 7 } };

static bool is_safe(int version)
{
    int major = version / 10000, minor = version % 10000;
    if (major > safe[sizeof safe / sizeof *safe - 1].major)
        return true;
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        if (safe[i].major == major)
            return minor >= safe[i].minor;
    return false;
}

/* "pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)" gives 150020. */
static int parse_version(const char *text)
{
    const char *at = strstr(text, "(PostgreSQL) ");
    if (!at)
        return 0;
    char *end = NULL;
    long major = strtol(at + strlen("(PostgreSQL) "), &end, 10), minor = 0;
    if (*end == '.')
        minor = strtol(end + 1, NULL, 10);
    return major < 1 || major > 999 || minor < 0 || minor > 9999 ? 0 : (int)(major * 10000 + minor);
}

static int tool_version(const char *dir, int *ret, struct err *err)
{
    static const char *const names[] = { "pg_dump", "pg_restore" };
    int versions[2] = { 0 };
    for (int i = 0; i < 2; i++) {
        CLEANUP(free_mem) char *path = fs_join(dir, names[i]);
        if (access(path, X_OK) != 0)
            return err_set(err, FAIL_NOT_FOUND, "%s has no program %s", dir, names[i]);
        struct proc_spec spec = { .argv = (const char *const[]){ path, "--version", NULL },
                                  .timeout_ms = TOOL_LIMIT_MS };
        CLEANUP(proc_result_free) struct proc_result result = { 0 };
        int failed = proc_run_ok(&spec, &result, err);
        if (failed != 0)
            return failed;
        versions[i] = parse_version(str_text(&result.out));
        if (versions[i] == 0)
            return err_set(err, FAIL_TOOL, "%s --version does not say its version", path);
    }
    if (versions[0] != versions[1])
        return err_set(err, FAIL_MISMATCH, "pg_dump and pg_restore in %s are of different versions",
                       dir);
    *ret = versions[0];
    return 0;
}

static int judge(const char *dir, int version, int server_version, struct err *err)
{
    char found[32];
    (void)snprintf(found, sizeof found, "%d.%d", version / 10000, version % 10000);
    if (!is_safe(version))
        return err_set(err, FAIL_UNSUPPORTED,
                       "PostgreSQL client programs %s in %s are below the versions that are safe "
                       "against CVE-2026-116314"
                       " (15.20, 16.16, 17.12, 18.7): upgrade the postgresql-client package",
                       found, dir);
    if (server_version / 10000 > version / 10000)
        return err_set(err, FAIL_UNSUPPORTED,
                       "PostgreSQL client programs %s in %s are older than the server (%d): "
                       "install postgresql-client-%d",
                       found, dir, server_version / 10000, server_version / 10000);
    return 0;
}

static int newest_dir(int server_version, char **ret_dir, int *ret_version, struct err *err)
{
    DIR *root = opendir(PG_ROOT);
    CLEANUP(free_mem) char *best = NULL;
    int best_version = 0;
    struct err first = { 0 };
    for (int i = 0; root && i < TOOL_DIRS_MAX; i++) {
        struct dirent *entry = readdir(root);
        if (!entry)
            break;
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        CLEANUP(free_mem) char *dir = text_printf("%s/%s/bin", PG_ROOT, entry->d_name);
        struct err why = { 0 };
        int version = 0;
        if (tool_version(dir, &version, &why) == 0 &&
            judge(dir, version, server_version, &why) == 0) {
            if (version > best_version) {
                free(best);
                best = TAKE(dir);
                best_version = version;
            }
        } else if (first.code == 0 || why.code == FAIL_UNSUPPORTED) {
            first = why;
        }
    }
    if (root)
        (void)closedir(root);
    if (!best && first.code != 0)
        return err_set(err, (enum fail)first.code, "%s", first.text);
    if (!best)
        return err_set(err, FAIL_NOT_FOUND,
                       "no PostgreSQL client programs below %s: install postgresql-client",
                       PG_ROOT);
    *ret_dir = TAKE(best);
    *ret_version = best_version;
    return 0;
}

int database_tools(const char *pg_bin_or_empty, int server_version, char **ret_dir,
                   int *ret_version, struct err *err)
{
    if (!pg_bin_or_empty || !*pg_bin_or_empty)
        return newest_dir(server_version, ret_dir, ret_version, err);
    int version = 0;
    int failed = tool_version(pg_bin_or_empty, &version, err);
    if (failed != 0 || (failed = judge(pg_bin_or_empty, version, server_version, err)) != 0)
        return failed;
    *ret_dir = text_dup(pg_bin_or_empty);
    *ret_version = version;
    return 0;
}

static void add_field(struct str *line, const char *value)
{
    for (; *value; value++) {
        if (*value == ':' || *value == '\\')
            str_add(line, "\\");
        str_add_bytes(line, value, 1);
    }
}

int database_passfile(const struct database *database, const char *dir, char **ret_path,
                      struct err *err)
{
    if (!database->password)
        return err_set(err, FAIL_NOT_FOUND,
                       "the site's configuration holds no password that can be used: %s",
                       database->password_note[0] ? database->password_note : "none is there");
    if (strpbrk(database->password, "\r\n"))
        return err_set(err, FAIL_UNSUPPORTED,
                       "the database password holds a line break, which a passfile cannot");
    CLEANUP(str_free) struct str line = { 0 };
    add_field(&line, database->host);
    str_addf(&line, ":%s:*:", database->port);
    add_field(&line, database->user);
    str_add(&line, ":");
    add_field(&line, database->password);
    str_add(&line, "\n");
    CLEANUP(free_mem) char *path = fs_join(dir, "pgpass");
    int failed = fs_write(path, line.s, line.len, 0600, err);
    explicit_bzero(line.s, line.len);
    if (failed != 0)
        return failed;
    *ret_path = TAKE(path);
    return 0;
}

char **database_child_env(const struct database *database, const char *dbname, const char *passfile)
{
    const char *name = dbname ? dbname : database->name,
               *mode = database->ssl_mode ? database->ssl_mode : "prefer";
    char **env = mem_zero(16, sizeof *env);
    size_t count = 0;
    env[count++] = text_dup("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    env[count++] = text_dup("LANG=C.UTF-8");
    env[count++] = text_dup("HOME=/nonexistent");
    env[count++] = text_printf("PGHOST=%s", database->host);
    env[count++] = text_printf("PGPORT=%s", database->port);
    env[count++] = text_printf("PGUSER=%s", database->user);
    env[count++] = text_printf("PGDATABASE=%s", name);
    env[count++] = text_printf("PGSSLMODE=%s", mode);
    env[count++] = text_dup("PGGSSENCMODE=disable");
    env[count++] = text_dup("PGCONNECT_TIMEOUT=5");
    env[count++] = text_dup("PGAPPNAME=confleet");
    if (passfile)
        env[count++] = text_printf("PGPASSFILE=%s", passfile);
    if (database->ssl_root_cert)
        env[count++] = text_printf("PGSSLROOTCERT=%s", database->ssl_root_cert);
    return env;
}

void database_child_env_free(char ***env)
{
    for (size_t i = 0; *env && (*env)[i]; i++)
        free((*env)[i]);
    free(*env);
    *env = NULL;
}
