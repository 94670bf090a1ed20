#include "agent/worker/steps/http.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <sys/resource.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

TEST(status_is_running_only_with_code_200_and_the_word)
{
    CHECK_INT(http_state_parse(200, "{\"state\":\"RUNNING\"}"), SITE_RUNNING);
    CHECK_INT(http_state_parse(503, "{\"state\":\"RUNNING\"}"), SITE_STARTING);
    CHECK_INT(http_state_parse(200, "{\"state\":\"STARTING\"}"), SITE_STARTING);
    CHECK_INT(http_state_parse(200, "{\"state\":\"FIRST_RUN\"}"), SITE_FIRST_RUN);
    CHECK_INT(http_state_parse(500, "{\"state\":\"ERROR\"}"), SITE_ERROR);
    CHECK_INT(http_state_parse(302, ""), SITE_STARTING);
    CHECK_INT(http_state_parse(404, "<html>"), SITE_STARTING);
    CHECK_INT(http_state_parse(500, "<html>"), SITE_ERROR);
    CHECK_INT(http_state_parse(200, "<html>RUNNING"), SITE_STARTING);
}

TEST(version_and_build_are_read_from_the_pages_meta_tags)
{
    char value[16];
    const char *page = "<meta name=\"ajs-version-number\" content=\"9.2.13\">\n<meta name=\"ajs-build-number\" content=\"9109\">";
    CHECK(http_meta(page, "ajs-build-number", value, sizeof value));
    CHECK_STR(value, "9109");
    CHECK(!http_meta(page, "ajs-nothing", value, sizeof value));
    CHECK(!http_meta("<meta name=\"a\">content=\"1\"", "a", value, sizeof value));
    CHECK(!http_meta("<meta name=\"a\" content=\"12345678901234567890\">", "a", value, sizeof value));
}

/* One answer, then closed; what was asked is kept. */
struct server { int fd; uint16_t port; const char *answer; char asked[2048]; pthread_t thread; };

static void *serve(void *arg)
{
    struct server *s = arg;
    CLEANUP(close_fd) int peer = accept(s->fd, NULL, NULL);
    if (peer < 0)
        return NULL;
    ssize_t got = read(peer, s->asked, sizeof s->asked - 1);
    s->asked[got > 0 ? got : 0] = 0;
    if (s->answer)
        (void)!write(peer, s->answer, strlen(s->answer));
    else
        (void)poll(NULL, 0, 1500);
    return NULL;
}

static void server_open(struct server *s, const char *answer)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof address;
    *s = (struct server){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .answer = answer };
    CHECK(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(s->fd, 4) == 0 &&
          getsockname(s->fd, (struct sockaddr *)&address, &len) == 0);
    s->port = ntohs(address.sin_port);
    CHECK_INT(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_close(struct server *s)
{
    CHECK_INT(pthread_join(s->thread, NULL), 0);
    CHECK_INT(close(s->fd), 0);
}

TEST(one_question_is_asked_below_the_context_path_with_the_token_of_a_private_file)
{
    struct server s;
    CLEANUP(http_answer_free) struct http_answer answer = { 0 };
    CLEANUP(free_mem) char *token = fs_join(test_dir(), "token");
    struct err err = { 0 };
    struct http_place place = { .host = "127.0.0.1", .context = "/wiki" };
    CHECK_OK(fs_write(token, "s3cret\n", 7, 0600, &err), err);
    (void)snprintf(place.token_file, sizeof place.token_file, "%s", token);
    server_open(&s, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi");
    place.port = s.port;
    CHECK_OK(http_get(&place, "/status", 5000, &answer, &err), err);
    server_close(&s);
    CHECK_INT(answer.status, 302);
    CHECK_STR(str_text(&answer.body), "hi");
    CHECK_STR(answer.sha256, "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4");
    CHECK_HAS(s.asked, "GET /wiki/status HTTP/1.1");
    CHECK_HAS(s.asked, "Authorization: Bearer s3cret\r\n");
}

TEST(a_token_that_others_can_read_is_not_sent)
{
    struct server s;
    CLEANUP(http_answer_free) struct http_answer answer = { 0 };
    CLEANUP(free_mem) char *token = fs_join(test_dir(), "token");
    struct err err = { 0 };
    struct http_place place = { .host = "127.0.0.1" };
    CHECK_OK(fs_write(token, "s3cret", 6, 0644, &err), err);
    CHECK_INT(chmod(token, 0644), 0);
    (void)snprintf(place.token_file, sizeof place.token_file, "%s", token);
    server_open(&s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    place.port = s.port;
    CHECK_OK(http_get(&place, "/", 5000, &answer, &err), err);
    server_close(&s);
    CHECK(!strstr(s.asked, "Authorization"));
}

TEST(a_port_that_cannot_be_tried_is_not_called_closed)
{
    struct rlimit before, none;
    int next = dup(2);
    CHECK(next > 0 && close(next) == 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = (struct rlimit){ (rlim_t)next, before.rlim_max };
    CHECK(!http_port_open("127.0.0.1", 1));
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool open = http_port_open("127.0.0.1", 1);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK(open);
}

TEST(nobody_there_and_nobody_answering_are_two_errors)
{
    struct server s;
    CLEANUP(http_answer_free) struct http_answer answer = { 0 };
    struct err err = { 0 };
    struct http_place place = { .host = "127.0.0.1" };
    server_open(&s, NULL);
    place.port = s.port;
    CHECK_INT(http_get(&place, "/", 300, &answer, &err), -FAIL_TIMEOUT);
    server_close(&s);
    CHECK(!http_port_open("127.0.0.1", place.port));
    err = (struct err){ 0 };
    CHECK_INT(http_get(&place, "/", 300, &answer, &err), -FAIL_UNREACHABLE);
    CHECK_INT(http_state(&place, NULL), SITE_SILENT);
}
