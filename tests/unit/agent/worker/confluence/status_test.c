#include "agent/worker/confluence/status.h"
#include "confleet/cleanup.h"
#include "harness/test.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

/* Answers one request with these bytes. */
struct server {
    int fd;
    uint32_t port;
    const char *answer;
    pthread_t thread;
};

static void *serve(void *data)
{
    struct server *server = data;
    char request[4096];
    CLEANUP(close_fd) int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return NULL;
    ssize_t got = recv(fd, request, sizeof request, 0);
    if (got > 0 && server->answer)
        (void)!send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL);
    if (!server->answer)
        (void)!recv(fd, request, sizeof request, 0); /* until the client gives up */
    return NULL;
}

static int asked(const char *answer, int limit_ms, char state[STATUS_STATE_MAX], long *http,
                 struct err *err)
{
    struct server server = { .answer = answer };
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(server.fd, (struct sockaddr *)&address, len), 0);
    CHECK_INT(listen(server.fd, 1), 0);
    CHECK_INT(getsockname(server.fd, (struct sockaddr *)&address, &len), 0);
    server.port = ntohs(address.sin_port);
    CHECK_INT(pthread_create(&server.thread, NULL, serve, &server), 0);
    int result =
        status_ask(&(struct status_where){ "", server.port, "/wiki" }, limit_ms, state, http, err);
    CHECK_INT(pthread_join(server.thread, NULL), 0);
    (void)close(server.fd);
    return result;
}

TEST(a_state_is_read)
{
    char seen[STATUS_STATE_MAX] = "";
    long http = 0;
    struct err err = { 0 };
    CHECK_OK(asked("HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{\"state\":\"RUNNING\"}", 5000,
                   seen, &http, &err),
             err);
    CHECK_STR(seen, "RUNNING");
    CHECK_INT(http, 200);
    CHECK_OK(asked("HTTP/1.1 500 X\r\nContent-Length: 17\r\n\r\n{\"state\":\"ERROR\"}", 5000, seen,
                   &http, &err),
             err);
    CHECK_STR(seen, "ERROR");
    CHECK_INT(http, 500);
}

TEST(an_answer_that_is_no_state_is_unhealthy)
{
    static const char *const answers[] = {
        "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
        "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"state\":\"HAPPY\"",
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"state\":1}",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        char seen[STATUS_STATE_MAX] = "";
        long http = 7;
        struct err err = { 0 };
        CHECK_INT(asked(answers[i], 5000, seen, &http, &err), -FAIL_UNHEALTHY);
        CHECK_STR(seen, "");
        CHECK_INT(http, 7);
    }
}

TEST(silence_and_a_closed_port_are_told_apart)
{
    char seen[STATUS_STATE_MAX] = "";
    long http = 0;
    struct err err = { 0 };
    CHECK_INT(asked(NULL, 300, seen, &http, &err), -FAIL_TIMEOUT);
    err_clear(&err);
    CHECK_INT(status_ask(&(struct status_where){ "127.0.0.1", 1, "" }, 2000, seen, &http, &err),
              -FAIL_UNREACHABLE);
}
