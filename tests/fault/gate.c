/* gate - stops the program it is preloaded into at chosen messages, so that a test can change the
 * network just before one is sent, or just after one came and before anything came of it.
 *
 * CONFLEET_GATE names a file: the first line is a socket of the test's, each further one a message as
 * `WAY WHO LINK BODY WHAT NTH`. WAY is > (sent) or < (received), WHO the agent at the other end as the
 * controller sees it, or - for anyone; LINK c (control) or b (bulk); BODY and WHAT are field numbers of
 * confleet.proto, WHAT 0 where there is none. At the NTH such message (0: at each) the gate tells the
 * line's number to the test and waits for one byte. CONFLEET_GATE_TRACE names a file that gets a line for each
 * message. It never changes a message. The ports are those of tests/fault/network.py. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#define RULES_MAX  256
#define ROUTES_MAX 512

struct rule {
    char way, who[65], link;
    unsigned body, what, nth, seen;
};
struct route {
    uint8_t bytes[256];
    size_t len;
    char who[65];
};

static struct {
    bool ready;
    int trace;
    struct sockaddr_un test;
    struct rule rules[RULES_MAX];
    unsigned count;
    struct route routes[ROUTES_MAX];
    unsigned next_route;
    struct route from; /* of the message whose first part was received */
    char to[65];       /* of the message whose first part was sent */
} gate = { .trace = -1 };

/* A pointer to a function does not fit into one to an object by ISO C; dlsym says it does here. */
static void find(const char *name, void *fn)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    memcpy(fn, &found, sizeof found);
}

static void load(void)
{
    const char *path = getenv("CONFLEET_GATE"), *trace = getenv("CONFLEET_GATE_TRACE");
    char line[256];
    gate.ready = true;
    if (trace)
        gate.trace = open(trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file)
        return;
    gate.test.sun_family = AF_UNIX;
    if (!fgets(gate.test.sun_path, sizeof gate.test.sun_path, file))
        abort();
    gate.test.sun_path[strcspn(gate.test.sun_path, "\n")] = 0;
    while (gate.count < RULES_MAX && fgets(line, sizeof line, file)) {
        struct rule *rule = &gate.rules[gate.count++];
        if (sscanf(line, "%c %64s %c %u %u %u", &rule->way, rule->who, &rule->link, &rule->body,
                   &rule->what, &rule->nth) != 6)
            abort();
    }
    (void)fclose(file);
}

/* A test that is gone, or does not answer any more, stops nobody. */
static void stop_at(unsigned number)
{
    char text[32], answer;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int len = snprintf(text, sizeof text, "%u\n", number);
    if (fd < 0)
        abort();
    if (connect(fd, (struct sockaddr *)&gate.test, sizeof gate.test) == 0 &&
        send(fd, text, (size_t)len, MSG_NOSIGNAL) == len)
        while (read(fd, &answer, 1) < 0 && errno == EINTR)
            ;
    (void)close(fd);
}

static bool varint(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
    uint64_t number = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        number |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *ret = number;
            return true;
        }
    }
    return false;
}

/* The next field; of what is not a number, *ret_value is the length, and *at stands before it. */
static bool field(const uint8_t **at, const uint8_t *end, unsigned *ret_number, unsigned *ret_kind,
                  uint64_t *ret_value)
{
    uint64_t head;
    if (!varint(at, end, &head) || !varint(at, end, ret_value))
        return false;
    *ret_number = (unsigned)(head >> 3);
    *ret_kind = (unsigned)(head & 7);
    return *ret_kind == 0 || (*ret_kind == 2 && *ret_value <= (uint64_t)(end - *at));
}

/* The kind of an order or event, and who enrols. */
static unsigned look_inside(const uint8_t *at, const uint8_t *end, unsigned body, char who[65])
{
    unsigned number, kind, first = body == 10 ? 10 : body == 12 ? 20 : 0;
    uint64_t value;
    while (field(&at, end, &number, &kind, &value)) {
        if (first && number >= first)
            return number;
        if ((body == 5 || body == 6) && number == 1 && kind == 2 && value < 65) {
            memcpy(who, at, (size_t)value);
            who[value] = 0;
        }
        at += kind == 2 ? value : 0;
    }
    return 0;
}

static int option(void *socket, int name)
{
    int value = 0;
    size_t len = sizeof value;
    return zmq_getsockopt(socket, name, &value, &len) == 0 ? value : -1;
}

static char link_of(void *socket)
{
    char endpoint[256] = "";
    size_t len = sizeof endpoint;
    int type = option(socket, ZMQ_TYPE);
    if ((type != ZMQ_DEALER && type != ZMQ_ROUTER) ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &len) != 0)
        return 0;
    const char *port = strrchr(endpoint, ':');
    return !port ? 0 : strcmp(port, ":9310") == 0 ? 'c' : strcmp(port, ":9311") == 0 ? 'b' : 0;
}

static void seen(char way, const char *peer, void *socket, const void *bytes, size_t len)
{
    const uint8_t *at = bytes, *end = at + len;
    char link = link_of(socket), who[65] = "-", text[128];
    unsigned body, kind, what;
    uint64_t size;
    if (!link || !field(&at, end, &body, &kind, &size) || kind != 2)
        return;
    if (*peer)
        (void)snprintf(who, sizeof who, "%s", peer);
    what = link == 'c' ? look_inside(at, at + size, body, who) : 0;
    int n = snprintf(text, sizeof text, "%c %s %c %u %u\n", way, who, link, body, what);
    if (gate.trace >= 0 && write(gate.trace, text, (size_t)n) != n)
        abort();
    for (unsigned i = 0; i < gate.count; i++) {
        struct rule *rule = &gate.rules[i];
        if (rule->way == way && rule->link == link && rule->body == body && rule->what == what &&
            (strcmp(rule->who, "-") == 0 || strcmp(rule->who, who) == 0) &&
            (++rule->seen == rule->nth || rule->nth == 0))
            stop_at(i);
    }
}

static struct route *route_find(const void *bytes, size_t len)
{
    for (unsigned i = 0; i < ROUTES_MAX; i++)
        if (len && gate.routes[i].len == len && memcmp(gate.routes[i].bytes, bytes, len) == 0)
            return &gate.routes[i];
    return NULL;
}

/* Whose message came by that route: "agent:NAME:KEY". */
static void route_learn(zmq_msg_t *message, char who[65])
{
    const char *id = zmq_msg_gets(message, "User-Id");
    struct route *route = route_find(gate.from.bytes, gate.from.len);
    if (!id || strncmp(id, "agent:", 6) != 0)
        return;
    (void)snprintf(who, 65, "%.*s", (int)strcspn(id + 6, ":"), id + 6);
    if (!route) {
        route = &gate.routes[gate.next_route++ % ROUTES_MAX];
        *route = gate.from;
    }
    memcpy(route->who, who, 65);
}

static bool is_router(void *socket)
{
    return option(socket, ZMQ_TYPE) == ZMQ_ROUTER;
}

int zmq_send(void *socket, const void *bytes, size_t len, int flags)
{
    static int (*real)(void *, const void *, size_t, int);
    if (!real)
        find("zmq_send", &real);
    if (!link_of(socket))
        return real(socket, bytes, len, flags);
    if (!gate.ready)
        load();
    if (is_router(socket) && (flags & ZMQ_SNDMORE)) {
        const struct route *route = route_find(bytes, len);
        memcpy(gate.to, route ? route->who : "", route ? 65 : 1);
    } else {
        seen('>', is_router(socket) ? gate.to : "", socket, bytes, len);
    }
    return real(socket, bytes, len, flags);
}

int zmq_recv(void *socket, void *bytes, size_t size, int flags)
{
    static int (*real)(void *, void *, size_t, int);
    if (!real)
        find("zmq_recv", &real);
    int len = real(socket, bytes, size, flags);
    if (len > 0 && (size_t)len <= sizeof gate.from.bytes && link_of(socket) && is_router(socket)) {
        memcpy(gate.from.bytes, bytes, (size_t)len);
        gate.from.len = (size_t)len;
    }
    return len;
}

int zmq_msg_recv(zmq_msg_t *message, void *socket, int flags)
{
    static int (*real)(zmq_msg_t *, void *, int);
    char who[65] = "";
    if (!real)
        find("zmq_msg_recv", &real);
    int len = real(message, socket, flags);
    if (len < 0 || !link_of(socket))
        return len;
    if (!gate.ready)
        load();
    if (is_router(socket))
        route_learn(message, who);
    seen('<', who, socket, zmq_msg_data(message), (size_t)len);
    return len;
}
