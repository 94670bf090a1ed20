#include "link_inside.h"
#include "confleet/hash.h"
#include "confleet/str.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SOCKETS_MAX 16384

/* One key and its hand-shake allowance: a bucket that refills with time. */
struct row {
    struct link_key key;
    int64_t filled_ms;
    int left;
};

/* The process's one context and key table: libzmq wants one long-lived context where CURVE is used,
 * and its ZAP handler serves all sockets of a context. */
static struct {
    void *context;
    atomic_int sockets;
    pthread_mutex_t lock; /* guards rows, count and the adding of domains */
    struct row *rows;     /* sorted by key */
    size_t count;
    struct link_domain domains[LINK_DOMAINS_MAX];
    size_t domain_count;
} the = { .lock = PTHREAD_MUTEX_INITIALIZER };

int link_start(struct err *err)
{
    assert(!the.context);
    if (sodium_init() < 0)
        return err_set(err, FAIL_INTERNAL, "libsodium cannot be started");
    if (!zmq_has("curve"))
        return err_set(err, FAIL_INTERNAL, "this libzmq has no CURVE: nothing would be encrypted");
    void *context = zmq_ctx_new();
    if (!context)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "make a ZeroMQ context");
    if (zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX) != 0) {
        int code = zmq_errno();
        (void)zmq_ctx_term(context);
        return err_sys(err, FAIL_INTERNAL, code, "set the most sockets of ZeroMQ");
    }
    the.context = context;
    return 0;
}

void link_stop(void)
{
    if (!the.context)
        return;
    /* zmq_ctx_term() would wait for ever for a socket that nobody closes. */
    assert(atomic_load(&the.sockets) == 0);
    (void)zmq_ctx_shutdown(the.context); /* fails for a bad context only */
    link_zap_join();
    (void)zmq_ctx_term(the.context);
    the.context = NULL;
    link_keys_set(NULL, 0);
}

void *link_context(void)
{
    return the.context;
}

int link_sockets_add(int change)
{
    return atomic_fetch_add(&the.sockets, change) + change;
}

static int row_order(const void *a, const void *b)
{
    return memcmp(((const struct row *)a)->key.curve_public,
                  ((const struct row *)b)->key.curve_public, KEY_SIZE);
}

static struct row *row_find(struct row *rows, size_t count, const uint8_t curve_public[KEY_SIZE])
{
    struct row wanted = { 0 };
    if (count == 0)
        return NULL;
    memcpy(wanted.key.curve_public, curve_public, KEY_SIZE);
    return bsearch(&wanted, rows, count, sizeof *rows, row_order);
}

static int burst_of(const struct link_key *key)
{
    return strncmp(key->id, "operator:", 9) == 0 ? LINK_BURST_OPERATOR : LINK_BURST;
}

void link_keys_set(const struct link_key *keys, size_t count)
{
    assert(keys || count == 0);
    struct row *rows = count ? mem_zero(count, sizeof *rows) : NULL;
    for (size_t i = 0; i < count; i++) {
        assert(keys[i].id[0] && memchr(keys[i].id, 0, sizeof keys[i].id));
        rows[i].key = keys[i];
        rows[i].left = burst_of(&keys[i]);
    }
    if (count)
        qsort(rows, count, sizeof *rows, row_order);
    (void)pthread_mutex_lock(&the.lock); /* fails for a bad mutex only */
    /* A new table does not forget who came too often. */
    for (size_t i = 0; i < count; i++) {
        const struct row *old = row_find(the.rows, the.count, rows[i].key.curve_public);
        if (old) {
            rows[i].left = old->left;
            rows[i].filled_ms = old->filled_ms;
        }
    }
    struct row *before = the.rows;
    the.rows = rows;
    the.count = count;
    (void)pthread_mutex_unlock(&the.lock);
    free(before);
}

enum link_verdict link_key_judge(const uint8_t curve_public[KEY_SIZE], int64_t now_mono_ms,
                                 char ret_id[96])
{
    enum link_verdict verdict = LINK_UNKNOWN;
    (void)pthread_mutex_lock(&the.lock);
    struct row *row = row_find(the.rows, the.count, curve_public);
    if (row) {
        int burst = burst_of(&row->key);
        int64_t each_ms = 60000 / burst;
        int64_t back = (now_mono_ms - row->filled_ms) / each_ms;
        row->left = back >= burst - row->left ? burst : row->left + (int)back;
        row->filled_ms = row->left == burst ? now_mono_ms : row->filled_ms + back * each_ms;
        verdict = row->left > 0 ? LINK_KNOWN : LINK_TOO_OFTEN;
        row->left -= row->left > 0;
        memcpy(ret_id, row->key.id, sizeof row->key.id);
    }
    (void)pthread_mutex_unlock(&the.lock);
    return verdict;
}

struct link_domain *link_domain_find(const void *name, size_t len)
{
    struct link_domain *found = NULL;
    (void)pthread_mutex_lock(&the.lock);
    for (size_t i = 0; i < the.domain_count && !found; i++)
        if (strlen(the.domains[i].name) == len && memcmp(the.domains[i].name, name, len) == 0)
            found = &the.domains[i];
    (void)pthread_mutex_unlock(&the.lock);
    return found;
}

struct link_domain *link_domain_add(const char *name)
{
    size_t len = strlen(name);
    assert(len > 0 && len < LINK_DOMAIN_MAX);
    struct link_domain *domain = link_domain_find(name, len);
    if (domain)
        return domain;
    (void)pthread_mutex_lock(&the.lock);
    if (the.domain_count < LINK_DOMAINS_MAX) {
        domain = &the.domains[the.domain_count];
        memcpy(domain->name, name, len + 1);
        the.domain_count++;
    }
    (void)pthread_mutex_unlock(&the.lock);
    return domain;
}

int link_set(void *socket, int option, int value, struct err *err)
{
    if (zmq_setsockopt(socket, option, &value, sizeof value) != 0)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "ZeroMQ option %d", option);
    return 0;
}

int link_set_bytes(void *socket, int option, const void *bytes, size_t len, struct err *err)
{
    if (zmq_setsockopt(socket, option, bytes, len) != 0)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "ZeroMQ option %d", option);
    return 0;
}

int link_set_common(void *socket, const char *endpoint, int heartbeat_ms, struct err *err)
{
    const struct {
        int option, value;
    } options[] = {
        { ZMQ_LINGER, LINK_LINGER_MS },
        { ZMQ_SNDHWM, LINK_QUEUE_MAX },
        { ZMQ_RCVHWM, LINK_QUEUE_MAX },
        { ZMQ_HANDSHAKE_IVL, LINK_HANDSHAKE_MS },
        { ZMQ_HEARTBEAT_IVL, heartbeat_ms },
        { ZMQ_HEARTBEAT_TIMEOUT, 3 * heartbeat_ms },
        { ZMQ_HEARTBEAT_TTL, 3 * heartbeat_ms },
        { ZMQ_TCP_KEEPALIVE, 1 },
        { ZMQ_IPV6, strchr(endpoint, '[') != NULL },
    };
    int64_t message_max = LINK_MESSAGE_MAX;
    int result = link_set_bytes(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max, err);
    for (size_t i = 0; result == 0 && i < sizeof options / sizeof options[0]; i++)
        result = link_set(socket, options[i].option, options[i].value, err);
    return result;
}

int link_check_curve(void *socket, struct err *err)
{
    int mechanism = -1;
    size_t len = sizeof mechanism;
    if (zmq_getsockopt(socket, ZMQ_MECHANISM, &mechanism, &len) != 0 || mechanism != ZMQ_CURVE)
        return err_set(err, FAIL_INTERNAL, "the socket is not encrypted by CURVE; it is not used");
    return 0;
}
