#include "confleet/clock.h"
#include "harness/bulk.h"
#include "harness/link.h"
#include "harness/test.h"
#include <pthread.h>
#include <stdatomic.h>

/* A controller's bulk socket with its store, in a thread of its own: bulk_put() blocks. */
struct host {
    struct keys keys, operator_keys;
    struct link_server *server;
    struct bulk_store *store;
    const char *dir;
    bool may_put;
    int cut_after; /* chunks, then the connection is cut once */
    int frames, refused;
    atomic_bool stop;
    pthread_t thread;
};

struct answer {
    struct host *host;
    const struct link_peer *peer;
};

static int host_send(void *arg, const void *bytes, size_t len, struct err *err)
{
    struct answer *answer = arg;
    return link_server_send(answer->host->server, answer->peer, bytes, len, err);
}

static void *host_run(void *arg)
{
    struct host *host = arg;
    while (!atomic_load(&host->stop)) {
        struct link_in in;
        struct err err = { 0 };
        zmq_pollitem_t item = { .socket = link_server_socket(host->server), .events = ZMQ_POLLIN };
        (void)zmq_poll(&item, 1, 20);
        while (link_server_recv(host->server, &in, &err) == 1) {
            struct answer answer = { host, &in.peer };
            host->frames++;
            if (host->frames == host->cut_after)
                link_server_cut(host->server, &in.peer);
            /* Refusals reach the sender, which the test looks at. */
            host->refused += bulk_store_on(host->store, in.id, host->may_put, 1u << 30, in.bytes,
                                           in.len, host_send, &answer, &err) < 0;
            link_in_close(&in);
        }
    }
    return NULL;
}

static void host_open(struct host *host, bool known)
{
    static bool started;
    struct err err = { 0 };
    if (!started) {
        CHECK_OK(link_start(&err), err);
        CHECK_INT(atexit(pair_stop), 0);
    }
    started = true;
    host->dir = test_dir();
    CHECK_OK(keys_make("controller", &host->keys, &err), err);
    CHECK_OK(keys_make("ada", &host->operator_keys, &err), err);
    struct link_key key = { .id = "operator:ada" };
    memcpy(key.curve_public, host->operator_keys.curve_public, KEY_SIZE);
    link_keys_set(&key, known ? 1 : 0);
    struct link_server_options options = { .endpoint = "tcp://127.0.0.1:*",
                                           .keys = &host->keys,
                                           .domain = "bulk" };
    CHECK_OK(link_server_open(&options, &host->server, &err), err);
    CHECK_OK(bulk_store_open(host->dir, &host->store, &err), err);
    CHECK_INT(pthread_create(&host->thread, NULL, host_run, host), 0);
}

static void host_close(struct host *host)
{
    atomic_store(&host->stop, true);
    CHECK_INT(pthread_join(host->thread, NULL), 0);
    bulk_store_close(&host->store);
    link_server_close(&host->server);
}

static uint64_t newest_done;
static void note_progress(void *arg, uint64_t done, uint64_t total)
{
    CHECK(done <= total);
    newest_done = done;
    *(int *)arg += 1;
}

static int put(struct host *host, const struct artifact *artifact, const char *path, int *calls,
               struct err *err)
{
    struct link_client_options options = { .endpoint = link_server_endpoint(host->server),
                                           .server_key = host->keys.curve_public,
                                           .curve_public = host->operator_keys.curve_public,
                                           .curve_secret = host->operator_keys.curve_secret,
                                           .backoff_min_ms = 10,
                                           .backoff_max_ms = 50 };
    return bulk_put(&options, path, artifact->sha256, artifact->size, note_progress, calls, 15000,
                    err);
}

TEST(an_artifact_is_sent_over_the_wire_with_progress)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(40 * WIRE_CHUNK_MAX + 11);
    struct host host = { .may_put = true };
    struct err err = { 0 };
    int calls = 0;
    host_open(&host, true);
    const char *path = artifact_write(&artifact, test_dir(), ".tar.gz");
    CHECK_OK(put(&host, &artifact, path, &calls, &err), err);
    check_file(host.dir, &artifact);
    CHECK_INT(newest_done, artifact.size);
    CHECK(calls >= 5);
    host_close(&host);
}

TEST(a_cut_connection_is_made_again_and_the_transfer_goes_on)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(40 * WIRE_CHUNK_MAX + 11);
    struct host host = { .may_put = true, .cut_after = 20 };
    struct err err = { 0 };
    int calls = 0;
    host_open(&host, true);
    const char *path = artifact_write(&artifact, test_dir(), ".tar.gz");
    CHECK_OK(put(&host, &artifact, path, &calls, &err), err);
    check_file(host.dir, &artifact);
    CHECK_INT(link_server_stats(host.server).handshakes_ok, 2);
    host_close(&host);
}

TEST(a_sender_without_the_right_and_one_with_an_unknown_key_learn_why)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(1000);
    struct err err = { 0 };
    int calls = 0;
    const char *path = artifact_write(&artifact, test_dir(), "");
    struct host no_right = { 0 };
    host_open(&no_right, true);
    CHECK_INT(put(&no_right, &artifact, path, &calls, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "the controller says: operator:ada may not send artifacts");
    host_close(&no_right);
    struct host no_key = { .may_put = true };
    host_open(&no_key, false);
    err_clear(&err);
    CHECK_INT(put(&no_key, &artifact, path, &calls, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "does not know this key");
    host_close(&no_key);
}

TEST(a_file_that_changed_or_is_none_is_not_taken)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(3 * WIRE_CHUNK_MAX);
    struct host host = { .may_put = true };
    struct err err = { 0 };
    int calls = 0;
    host_open(&host, true);
    artifact.bytes[5] ^= 1;
    const char *path = artifact_write(&artifact, test_dir(), "");
    CHECK_INT(put(&host, &artifact, path, &calls, &err), -FAIL_MISMATCH);
    CHECK_HAS(err.text, "the controller says: the artifact's SHA-256");
    CHECK_INT(truncate(path, 10), 0);
    err_clear(&err);
    CHECK_INT(put(&host, &artifact, path, &calls, &err), -FAIL_MISMATCH);
    CHECK_HAS(err.text, "no regular file of 786432 bytes");
    err_clear(&err);
    CHECK_INT(put(&host, &artifact, "/nonexistent", &calls, &err), -FAIL_NOT_FOUND);
    host_close(&host);
}

TEST(a_controller_that_is_not_there_is_waited_for_no_longer_than_asked)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(1000);
    struct host host = { .may_put = true };
    struct err err = { 0 };
    host_open(&host, true);
    char endpoint[256];
    (void)snprintf(endpoint, sizeof endpoint, "%s", link_server_endpoint(host.server));
    host_close(&host);
    struct link_client_options options = { .endpoint = endpoint,
                                           .server_key = host.keys.curve_public,
                                           .curve_public = host.operator_keys.curve_public,
                                           .curve_secret = host.operator_keys.curve_secret,
                                           .backoff_min_ms = 10,
                                           .backoff_max_ms = 50 };
    const char *path = artifact_write(&artifact, test_dir(), "");
    int64_t start_ms = clock_mono_ms();
    CHECK_INT(bulk_put(&options, path, artifact.sha256, artifact.size, NULL, NULL, 300, &err),
              -FAIL_UNREACHABLE);
    CHECK(clock_mono_ms() - start_ms < 5000);
    CHECK_HAS(err.text, "nothing answers at");
}
