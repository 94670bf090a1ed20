#include "common/link_inside.h"
#include "confleet/clock.h"
#include "harness/test.h"

/* Asks the handler as libzmq does, but with requests that libzmq would not make. */
static const uint8_t known[KEY_SIZE] = { 7 }, unknown[KEY_SIZE] = { 8 };

static void start(void)
{
    static bool started;
    struct err err = { 0 };
    struct link_key key = { .id = "agent:app-01" };
    memcpy(key.curve_public, known, KEY_SIZE);
    link_keys_set(NULL, 0);
    link_keys_set(&key, 1);
    if (started)
        return;
    CHECK_OK(link_start(&err), err);
    CHECK_INT(atexit(link_stop), 0);
    CHECK_OK(link_zap_start(&err), err);
    CHECK_OK(link_zap_start(&err), err);
    CHECK(link_domain_add("control") != NULL);
    started = true;
}

struct part {
    const void *bytes;
    size_t len;
};
struct request {
    struct part parts[9];
    int count;
};

static struct request request_make(const void *key, size_t key_len)
{
    return (struct request){ { { "1.0", 3 },
                               { "id-1", 4 },
                               { "control", 7 },
                               { "127.0.0.1", 9 },
                               { "", 0 },
                               { "CURVE", 5 },
                               { key, key_len },
                               { "more", 4 },
                               { "still more", 10 } },
                             7 };
}

static size_t take(void *socket, char *text, size_t text_max)
{
    int len = zmq_recv(socket, text, text_max - 1, 0);
    CHECK(len >= 0 && (size_t)len < text_max);
    text[len] = '\0';
    return (size_t)len;
}

static uint64_t newest_turn;

static void check_answer(const struct request *request, const char *status, const char *user)
{
    char text[128];
    int timeout_ms = 10000, linger = 0;
    void *socket = zmq_socket(link_context(), ZMQ_REQ);
    CHECK_INT(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms), 0);
    CHECK_INT(zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger), 0);
    CHECK_INT(zmq_connect(socket, "inproc://zeromq.zap.01"), 0);
    for (int i = 0; i < request->count; i++)
        CHECK(zmq_send(socket, request->parts[i].bytes, request->parts[i].len,
                       i + 1 < request->count ? ZMQ_SNDMORE : 0) >= 0);
    (void)take(socket, text, sizeof text);
    CHECK_STR(text, "1.0");
    (void)take(socket, text, sizeof text);
    CHECK_STR(text, request->count > 1 ? "id-1" : "");
    (void)take(socket, text, sizeof text);
    CHECK_STR(text, status);
    (void)take(socket, text, sizeof text);
    (void)take(socket, text, sizeof text);
    CHECK_STR(text, user);
    /* Who is let in gets the number of the handshake, one property as RFC 27 writes it. */
    size_t len = take(socket, text, sizeof text);
    if (strcmp(status, "200") == 0) {
        CHECK(len >= 12 && text[0] == 6 && memcmp(text + 1, "X-Turn", 6) == 0);
        CHECK_INT(text[10], len - 11);
        uint64_t turn = 0;
        CHECK(text_parse_u64(text + 11, UINT64_MAX, &turn));
        CHECK(turn > newest_turn);
        newest_turn = turn;
    } else {
        CHECK_INT(len, 0);
    }
    CHECK_INT(zmq_close(socket), 0);
}

TEST(a_known_key_gets_its_name_and_an_unknown_one_nothing)
{
    start();
    struct request request = request_make(known, KEY_SIZE);
    check_answer(&request, "200", "agent:app-01");
    request = request_make(unknown, KEY_SIZE);
    check_answer(&request, "400", "");
}

TEST(whatever_is_not_a_curve_request_of_a_known_domain_is_refused)
{
    static const char big[1000];
    start();
    const struct {
        int frame;
        const char *text;
    } wrong[] = { { 0, "2.0" },  { 0, "" },      { 2, "bulk" },   { 2, "" }, { 2, "controlx" },
                  { 5, "NULL" }, { 5, "PLAIN" }, { 5, "CURVEX" }, { 5, "" } };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct request request = request_make(known, KEY_SIZE);
        request.parts[wrong[i].frame] = (struct part){ wrong[i].text, strlen(wrong[i].text) };
        check_answer(&request, "400", "");
    }
    for (int frame = 2; frame < 7; frame++) {
        struct request request = request_make(known, KEY_SIZE);
        request.parts[frame] = (struct part){ big, sizeof big };
        check_answer(&request, "400", "");
    }
    const size_t lens[] = { 0, 31, 33, 64 };
    static const uint8_t longer[64] = { 7 };
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct request request = request_make(longer, lens[i]);
        check_answer(&request, "400", "");
    }
    for (int count = 1; count <= 9; count++) {
        struct request request = request_make(known, KEY_SIZE);
        request.count = count;
        check_answer(&request, count == 7 ? "200" : "400", count == 7 ? "agent:app-01" : "");
    }
}

TEST(a_key_that_comes_too_often_is_told_to_come_later)
{
    start();
    struct request request = request_make(known, KEY_SIZE);
    char id[96];
    while (link_key_judge(known, clock_mono_ms(), id) == LINK_KNOWN)
        ;
    check_answer(&request, "300", "");
}

TEST(a_second_handler_in_the_process_stops_the_start)
{
    start();
    link_stop();
    struct err err = { 0 };
    CHECK_OK(link_start(&err), err);
    void *other = zmq_socket(link_context(), ZMQ_REP);
    CHECK_INT(zmq_bind(other, "inproc://zeromq.zap.01"), 0);
    CHECK_INT(link_zap_start(&err), -FAIL_INTERNAL);
    CHECK_HAS(err.text, "inproc://zeromq.zap.01");
    CHECK_INT(zmq_close(other), 0);
    err_clear(&err);
    /* libzmq gives the name back when its thread has closed the socket. */
    int result = -FAIL_INTERNAL;
    for (int64_t end_ms = clock_mono_ms() + 10000; result != 0 && clock_mono_ms() < end_ms;) {
        err_clear(&err);
        result = link_zap_start(&err);
        CHECK(zmq_poll(NULL, 0, 5) >= 0);
    }
    CHECK_INT(result, 0);
}
