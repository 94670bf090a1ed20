/* attack - the wire as a hostile or broken peer uses it; the words that it says are made by
 * harness/wire.py.
 *
 *   attack client ENDPOINT SERVER-KEY null | stranger | secret HEX | key FILE    a peer with one
 * connection, never made anew attack server KEY-FILE ENDPOINT whoever holds the controller's key
 *   attack make NAME KEY-FILE            makes keys; prints the public CURVE and signing keys
 *   attack sign KEY-FILE CONTEXT         signs the hex on standard input; prints key id and
 * signature
 *
 * client takes lines "send HEX", server "send ROUTE HEX". Both print what happens: "up PORT" (our
 * own TCP port), "refused", "failed NUMBER", "cut", "got HEX" or "got ROUTE HEX". The end of
 * standard input ends them. */
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include "confleet/keys.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

static void *context;

static void need(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "attack: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static void need_ok(int result, const struct err *err)
{
    if (result == 0)
        return;
    (void)fprintf(stderr, "attack: %s\n", err->text);
    exit(1);
}

static void print_hex(const char *before, const void *bytes, size_t len, const char *after)
{
    char *text = malloc(2 * len + 1);
    need(text != NULL, "memory");
    hex_text(bytes, len, text);
    (void)printf("%s%s%s", before, text, after);
    free(text);
}

/* Sends one message of one part, or with the peer's route in front. */
static void send_line(void *socket, char *line, bool routed)
{
    char *rest = NULL;
    char *word = strtok_r(line, " \n", &rest);
    need(word && strcmp(word, "send") == 0, "a line of standard input");
    for (int part = 0; part <= routed; part++) {
        char *text = strtok_r(NULL, " \n", &rest);
        size_t len = text ? strlen(text) / 2 : 0;
        uint8_t *bytes = malloc(len + 1);
        need(bytes && (!len || hex_parse(text, bytes, len)), "hex of standard input");
        /* A connection that is gone takes nothing; that is for the reader of our output to see. */
        (void)zmq_send(socket, bytes, len, ZMQ_DONTWAIT | (part < routed ? ZMQ_SNDMORE : 0));
        free(bytes);
    }
}

static void receive(void *socket, bool routed)
{
    for (;;) {
        zmq_msg_t message;
        (void)zmq_msg_init(&message);
        if (zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) < 0)
            return;
        bool route = routed && zmq_msg_more(&message);
        print_hex(routed && !route ? " " : "got ", zmq_msg_data(&message), zmq_msg_size(&message),
                  route ? "" : "\n");
        (void)zmq_msg_close(&message);
    }
}

static unsigned port_of(int fd)
{
    struct sockaddr_in here = { 0 };
    socklen_t len = sizeof here;
    return getsockname(fd, (struct sockaddr *)&here, &len) == 0 ? ntohs(here.sin_port) : 0;
}

static void watch(void *monitor, unsigned *port)
{
    uint8_t head[6];
    char where[256];
    while (zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT) == (int)sizeof head) {
        uint16_t event = 0;
        uint32_t value = 0;
        memcpy(&event, head, sizeof event);
        memcpy(&value, head + 2, sizeof value);
        need(zmq_recv(monitor, where, sizeof where, 0) >= 0, "monitor");
        if (event == ZMQ_EVENT_CONNECTED)
            *port = port_of((int)value);
        else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            (void)printf("up %u\n", *port);
        else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
            (void)printf("refused\n");
        else if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ||
                 event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
            (void)printf("failed %u\n", value);
        else if (event == ZMQ_EVENT_DISCONNECTED || event == ZMQ_EVENT_CLOSED)
            (void)printf("cut\n");
    }
}

static int serve(void *socket, void *monitor, bool routed)
{
    CLEANUP(free_mem) char *line = NULL;
    size_t size = 0;
    unsigned port = 0;
    for (;;) {
        zmq_pollitem_t items[] = { { socket, 0, ZMQ_POLLIN, 0 },
                                   { NULL, 0, ZMQ_POLLIN, 0 },
                                   { monitor, 0, ZMQ_POLLIN, 0 } };
        need(zmq_poll(items, monitor ? 3 : 2, -1) >= 0, "poll");
        if (monitor)
            watch(monitor, &port);
        receive(socket, routed);
        if (items[1].revents && getline(&line, &size, stdin) < 0)
            return 0;
        if (items[1].revents)
            send_line(socket, line, routed);
    }
}

static void set(void *socket, int option, const void *value, size_t len)
{
    need(zmq_setsockopt(socket, option, value, len) == 0, "option");
}

static void use_keys(void *socket, const char *server_key, char **words)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    uint8_t server[KEY_SIZE];
    struct err err = { 0 };
    if (strcmp(words[0], "null") == 0)
        return;
    need(hex_parse(server_key, server, KEY_SIZE), "the server's key");
    if (strcmp(words[0], "stranger") == 0) {
        need(crypto_box_keypair(keys.curve_public, keys.curve_secret) == 0, "keys");
    } else if (strcmp(words[0], "secret") == 0) {
        need(hex_parse(words[1], keys.curve_secret, KEY_SIZE), "the secret key");
        need_ok(keys_curve_from_secret(keys.curve_secret, keys.curve_public, &err), &err);
    } else {
        need_ok(keys_load(words[1], &keys, &err), &err);
    }
    set(socket, ZMQ_CURVE_SERVERKEY, server, KEY_SIZE);
    set(socket, ZMQ_CURVE_PUBLICKEY, keys.curve_public, KEY_SIZE);
    set(socket, ZMQ_CURVE_SECRETKEY, keys.curve_secret, KEY_SIZE);
}

static int client(char **words)
{
    void *socket = zmq_socket(context, ZMQ_DEALER), *monitor = zmq_socket(context, ZMQ_PAIR);
    int never = -1, none = 0, linger_ms = 200;
    need(socket && monitor, "socket");
    use_keys(socket, words[1], words + 2);
    set(socket, ZMQ_RECONNECT_IVL, &never, sizeof never);
    set(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    set(monitor, ZMQ_LINGER, &none, sizeof none);
    need(zmq_socket_monitor(socket, "inproc://watch", ZMQ_EVENT_ALL) == 0, "monitor");
    need(zmq_connect(monitor, "inproc://watch") == 0, "monitor");
    need(zmq_connect(socket, words[0]) == 0, "connect");
    int result = serve(socket, monitor, false);
    (void)zmq_socket_monitor(socket, NULL, 0);
    (void)zmq_close(monitor);
    (void)zmq_close(socket);
    return result;
}

static int server(char **words)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    struct err err = { 0 };
    void *socket = zmq_socket(context, ZMQ_ROUTER);
    int yes = 1, linger_ms = 200;
    need(socket != NULL, "socket");
    need_ok(keys_load(words[0], &keys, &err), &err);
    set(socket, ZMQ_CURVE_SERVER, &yes, sizeof yes);
    set(socket, ZMQ_CURVE_SECRETKEY, keys.curve_secret, KEY_SIZE);
    set(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    need(zmq_bind(socket, words[1]) == 0, "bind");
    (void)printf("bound\n");
    int result = serve(socket, NULL, true);
    (void)zmq_close(socket);
    return result;
}

static int make(char **words)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    struct err err = { 0 };
    need_ok(keys_make(words[0], &keys, &err), &err);
    need_ok(keys_save(words[1], &keys, &err), &err);
    print_hex("", keys.curve_public, KEY_SIZE, " ");
    print_hex("", keys.sign_public, KEY_SIZE, "\n");
    return 0;
}

static int sign(char **words)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    CLEANUP(free_mem) char *line = NULL;
    struct err err = { 0 };
    uint8_t signature[SIGN_SIZE];
    char id[KEY_ID_MAX];
    size_t size = 0;
    ssize_t got = getline(&line, &size, stdin);
    need(got > 1, "standard input");
    line[strcspn(line, "\n")] = 0;
    size_t len = strlen(line) / 2;
    CLEANUP(free_mem) uint8_t *bytes = malloc(len + 1);
    need(bytes && hex_parse(line, bytes, len), "hex of standard input");
    need_ok(keys_load(words[0], &keys, &err), &err);
    need_ok(sign_make(&keys, words[1], bytes, len, signature, &err), &err);
    keys_id(keys.sign_public, id);
    (void)printf("%s ", id);
    print_hex("", signature, SIGN_SIZE, "\n");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int words;
        int (*run)(char **words);
    } commands[] = {
        { "client", 3, client },
        { "server", 2, server },
        { "make", 2, make },
        { "sign", 2, sign },
    };
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* what stdio holds back, poll does not see */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    context = zmq_ctx_new();
    need(context && sodium_init() >= 0, "start");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (argc > 1 && strcmp(argv[1], commands[i].name) == 0 && argc - 2 >= commands[i].words) {
            int result = commands[i].run(argv + 2);
            (void)zmq_ctx_term(context);
            return result;
        }
    (void)fprintf(stderr, "attack: client, server, make or sign\n");
    return 1;
}
