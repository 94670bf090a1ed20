#include "confleet/notify.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A service manager's end; '@' in front names an abstract socket. */
static int manager(const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", name);
    if (at.sun_path[0] == '@')
        at.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (const struct sockaddr *)&at,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
              0);
    return fd;
}

static void heard(int fd, const char *expected)
{
    char text[64] = "";
    ssize_t len = recv(fd, text, sizeof text - 1, 0);
    CHECK(len >= 0);
    CHECK_STR(text, expected);
}

TEST(a_manager_that_asks_is_told)
{
    CLEANUP(free_mem) char *name = fs_join(test_dir(), "notify");
    struct err err = { 0 };
    CLEANUP(close_fd) int fd = manager(name);
    CHECK_INT(setenv("NOTIFY_SOCKET", name, 1), 0);
    CHECK_OK(notify_send("READY=1", &err), err);
    heard(fd, "READY=1");
    CHECK_INT(unlink(name), 0);
    CHECK_INT(notify_send("READY=1", &err), -FAIL_IO);
    CHECK_HAS(err.text, name);
}

TEST(an_abstract_socket_is_told_as_well)
{
    char name[64];
    struct err err = { 0 };
    (void)snprintf(name, sizeof name, "@confleet-notify-%d", (int)getpid());
    CLEANUP(close_fd) int fd = manager(name);
    CHECK_INT(setenv("NOTIFY_SOCKET", name, 1), 0);
    CHECK_OK(notify_send("STOPPING=1", &err), err);
    heard(fd, "STOPPING=1");
}

TEST(nobody_asks_and_nothing_is_sent)
{
    struct err err = { 0 };
    CHECK_INT(unsetenv("NOTIFY_SOCKET"), 0);
    CHECK_OK(notify_send("READY=1", &err), err);
}

TEST(a_name_that_is_no_socket_is_refused)
{
    struct err err = { 0 };
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[0] = '/';
    longer[sizeof longer - 1] = 0;
    const char *const bad[] = { "relative", "/", longer };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(setenv("NOTIFY_SOCKET", bad[i], 1), 0);
        CHECK_INT(notify_send("READY=1", &err), -FAIL_IO);
        err_clear(&err);
    }
}
