#include "link_inside.h"
#include "confleet/clock.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* The handler of RFC 27: asked once per handshake, answers from the key table in memory, never
 * blocks. Whatever is not a known key of the CURVE mechanism in a known domain is refused. */

#define ZAP_ENDPOINT  "inproc://zeromq.zap.01"
#define ZAP_FRAMES    7 /* version, request, domain, address, routing id, mechanism, key */
#define ZAP_FRAME_MAX 256

struct request {
    struct frame {
        uint8_t bytes[ZAP_FRAME_MAX];
        size_t len;
    } frames[ZAP_FRAMES];
    int count;
    bool whole; /* no frame too long, none too many */
};
enum { ZAP_VERSION, ZAP_REQUEST, ZAP_DOMAIN, ZAP_ADDRESS, ZAP_ROUTE, ZAP_MECHANISM, ZAP_KEY };

static struct {
    pthread_t thread;
    void *socket;
    bool runs;
    uint64_t turn; /* of the newest handshake; the thread's own while it runs */
} zap;

/* False when the context is being ended. */
static bool receive(void *socket, struct request *request)
{
    int more = 1;
    request->count = 0;
    request->whole = true;
    while (more) {
        struct frame spill,
            *frame = request->count < ZAP_FRAMES ? &request->frames[request->count] : &spill;
        int len = zmq_recv(socket, frame->bytes, sizeof frame->bytes, 0);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return false;
        request->whole = request->whole && frame != &spill && (size_t)len <= sizeof frame->bytes;
        frame->len = (size_t)len <= sizeof frame->bytes ? (size_t)len : sizeof frame->bytes;
        request->count += request->count < ZAP_FRAMES;
        size_t size = sizeof more;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0)
            return false;
    }
    return true;
}

static bool frame_is(const struct frame *frame, const char *text)
{
    return frame->len == strlen(text) && memcmp(frame->bytes, text, frame->len) == 0;
}

/* The status to answer; the id when it is "200". */
static const char *judge(const struct request *request, char ret_id[96])
{
    if (!request->whole || request->count != ZAP_FRAMES ||
        !frame_is(&request->frames[ZAP_VERSION], "1.0") ||
        !frame_is(&request->frames[ZAP_MECHANISM], "CURVE") ||
        request->frames[ZAP_KEY].len != KEY_SIZE)
        return "400";
    const struct frame *name = &request->frames[ZAP_DOMAIN];
    struct link_domain *domain = link_domain_find(name->bytes, name->len);
    if (!domain)
        return "400";
    enum link_verdict verdict =
        link_key_judge(request->frames[ZAP_KEY].bytes, clock_mono_ms(), ret_id);
    (void)atomic_fetch_add(verdict == LINK_KNOWN ? &domain->ok : &domain->refused, 1);
    /* 300 is no word to the peer but "try again later"; 400 ends its socket for good. */
    return verdict == LINK_KNOWN ? "200" : verdict == LINK_TOO_OFTEN ? "300" : "400";
}

/* One property as RFC 27 writes it: lengths, name and value. Its size. */
static size_t turn_property(uint8_t out[64])
{
    static const char name[] = LINK_TURN;
    char value[24];
    int len = snprintf(value, sizeof value, "%llu", (unsigned long long)++zap.turn);
    size_t at = 0;
    out[at++] = (uint8_t)(sizeof name - 1);
    memcpy(out + at, name, sizeof name - 1);
    at += sizeof name - 1;
    memcpy(out + at, (const uint8_t[]){ 0, 0, 0, (uint8_t)len }, 4);
    at += 4;
    memcpy(out + at, value, (size_t)len);
    return at + (size_t)len;
}

/* False when the context is being ended. */
static bool answer(void *socket, const struct request *request, const char *status, const char *id)
{
    uint8_t turn[64];
    bool good = strcmp(status, "200") == 0;
    const char *user = good ? id : "";
    const struct {
        const void *bytes;
        size_t len;
    } frames[] = {
        { "1.0", 3 },
        { request->frames[ZAP_REQUEST].bytes,
          request->count > ZAP_REQUEST ? request->frames[ZAP_REQUEST].len : 0 },
        { status, 3 },
        { "", 0 },
        { user, strlen(user) },
        { turn, good ? turn_property(turn) : 0 },
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        int flags = i + 1 < sizeof frames / sizeof frames[0] ? ZMQ_SNDMORE : 0;
        while (zmq_send(socket, frames[i].bytes, frames[i].len, flags) < 0)
            if (errno != EINTR)
                return false;
    }
    return true;
}

static void *run(void *socket)
{
    struct request request;
    char id[96] = "";
    while (receive(socket, &request) && answer(socket, &request, judge(&request, id), id))
        ;
    (void)zmq_close(socket); /* fails for a bad socket only */
    return NULL;
}

/* Also where the caller forgot to: a signal that this thread takes would reach no signalfd. */
static int start_thread(void *socket)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    int result = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (result != 0)
        return result;
    result = pthread_create(&zap.thread, NULL, run, socket);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int link_zap_start(struct err *err)
{
    if (zap.runs)
        return 0;
    void *socket = zmq_socket(link_context(), ZMQ_REP);
    if (!socket)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "make the socket of the key check");
    int result = link_set(socket, ZMQ_LINGER, 0, err);
    if (result == 0 && zmq_bind(socket, ZAP_ENDPOINT) != 0)
        result = err_sys(err, FAIL_INTERNAL, zmq_errno(), "bind " ZAP_ENDPOINT);
    if (result == 0) {
        int code = start_thread(socket);
        if (code != 0)
            result = err_sys(err, FAIL_INTERNAL, code, "start the thread of the key check");
    }
    if (result < 0) {
        (void)zmq_close(socket);
        return result;
    }
    zap.runs = true;
    return 0;
}

void link_zap_join(void)
{
    if (zap.runs)
        (void)pthread_join(zap.thread, NULL); /* fails for a bad thread only */
    zap.runs = false;
}
