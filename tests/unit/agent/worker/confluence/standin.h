/* standin - a made site of the light stand-in on the test's cluster, and orders about it. */
#pragma once
#include "agent/worker/confluence/installation.h"
#include "agent/worker/job.h"
#include "cluster.h"
#include <arpa/inet.h>
#include <sys/socket.h>

static char standin_root[64];

__attribute__((unused)) static void standin_port(char out[8])
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, len), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(out, 8, "%u", (unsigned)ntohs(address.sin_port));
}

/* The installation's path, owned. more: further options of tests/standin/site create, ended by
 * NULL. */
__attribute__((unused)) static char *standin_site(const char *name, const char *const *more)
{
    char http[8], stop[8];
    const char *port = cluster();
    if (!standin_root[0]) {
        (void)snprintf(standin_root, sizeof standin_root, "/tmp/confleet-site-XXXXXX");
        CHECK(mkdtemp(standin_root) != NULL);
        CHECK_INT(chmod(standin_root, 0755), 0);
    }
    standin_port(http);
    standin_port(stop);
    const char *argv[40] = {
        "create",  "--root",      standin_root, "--name",          name,        "--version",
        "9.2.13",  "--form",      "light",      "--pg-socket",     cluster_dir, "--pg-port",
        port,      "--db",        name,         "--db-user",       name,        "--db-password",
        "hunter2", "--http-port", http,         "--shutdown-port", stop,        "--user",
        "nobody"
    };
    size_t count = 25;
    for (; more && *more; more++)
        argv[count++] = *more;
    CHECK_INT(cluster_tool("site", argv, NULL), 0);
    /* The tool keeps what it made in site.json; one value of it is all that is wanted here. */
    CLEANUP(free_mem) char *path = text_printf("%s/%s/site.json", standin_root, name);
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    CHECK_OK(fs_read(path, 1 << 20, &text, &err), err);
    const char *at = strstr(str_text(&text), "\"install\": \"");
    CHECK(at != NULL);
    at += strlen("\"install\": \"");
    return text_printf("%.*s", (int)strcspn(at, "\""), at);
}

__attribute__((unused)) static void standin_do(const char *what, const char *name)
{
    CHECK_INT(cluster_tool(
                  "site",
                  (const char *const[]){ what, name, "--root", standin_root, "--wait", "60", NULL },
                  NULL),
              0);
}
