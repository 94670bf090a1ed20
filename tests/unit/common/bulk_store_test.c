#include "harness/bulk.h"
#include "harness/test.h"

#define SIZE_MAX_PUT (100u * 1024 * 1024)

struct bench {
    const char *dir;
    struct bulk_store *store;
    struct queue queue;
    struct arena *arena;
};

static void bench_open(struct bench *bench)
{
    struct err err = { 0 };
    bench->dir = test_dir();
    CHECK_OK(bulk_store_open(bench->dir, &bench->store, &err), err);
    bench->arena = arena_new(WIRE_ARENA_MAX);
}

static void bench_close(struct bench *bench)
{
    bulk_store_close(&bench->store);
    queue_free(&bench->queue);
    arena_free(&bench->arena);
}

static int say(struct bench *bench, const char *peer, bool may_put, const struct str *frame,
               struct err *err)
{
    err_clear(err);
    return bulk_store_on(bench->store, peer, may_put, SIZE_MAX_PUT, frame->s, frame->len,
                         queue_send, &bench->queue, err);
}

/* The store refuses with this code, and has told the peer. */
static void check_refused(struct bench *bench, const char *peer, bool may_put,
                          const struct str *frame, int code)
{
    struct err err = { 0 };
    CHECK_INT(say(bench, peer, may_put, frame, &err), -code);
    Confleet__BulkFrame *answer = frame_read(bench->arena, queue_take(&bench->queue));
    CHECK_INT(answer->body_case, CONFLEET__BULK_FRAME__BODY_DONE);
    CHECK_INT(answer->done->code, code);
    CHECK_STR(answer->done->message, err.text);
    CHECK_INT(bench->queue.count, 0);
}

static Confleet__BulkMore *take_more(struct bench *bench)
{
    Confleet__BulkFrame *answer = frame_read(bench->arena, queue_take(&bench->queue));
    CHECK_INT(answer->body_case, CONFLEET__BULK_FRAME__BODY_MORE);
    return answer->more;
}

/* Sends chunks from offset to end; the code that the last one was answered with. */
static int send_range(struct bench *bench, const struct artifact *artifact, uint64_t offset,
                      uint64_t end)
{
    CLEANUP(str_free) struct str frame = { 0 };
    struct err err = { 0 };
    int result = 0;
    for (; offset < end && result == 0; offset += WIRE_CHUNK_MAX) {
        frame_chunk(&frame, artifact, offset, artifact->size);
        result = say(bench, "operator:ada", true, &frame, &err);
    }
    return result;
}

TEST(an_artifact_is_put_with_credit_and_is_in_place_when_the_store_says_so)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(20 * WIRE_CHUNK_MAX + 3);
    CLEANUP(str_free) struct str frame = { 0 };
    struct bench bench = { 0 };
    struct err err = { 0 };
    bench_open(&bench);
    frame_put(&frame, artifact.sha256, artifact.size);
    CHECK_OK(say(&bench, "operator:ada", true, &frame, &err), err);
    Confleet__BulkMore *more = take_more(&bench);
    CHECK_INT(more->offset, 0);
    CHECK_INT(more->credit, BULK_CREDIT);
    CHECK_INT(send_range(&bench, &artifact, 0, 8 * WIRE_CHUNK_MAX), 0);
    CHECK_INT(take_more(&bench)->offset, 8 * WIRE_CHUNK_MAX);
    CHECK_INT(send_range(&bench, &artifact, 8 * WIRE_CHUNK_MAX, artifact.size), 0);
    CHECK_INT(take_more(&bench)->offset, 16 * WIRE_CHUNK_MAX);
    Confleet__BulkFrame *done = frame_read(bench.arena, queue_take(&bench.queue));
    CHECK_INT(done->body_case, CONFLEET__BULK_FRAME__BODY_DONE);
    CHECK_INT(done->done->code, 0);
    check_file(bench.dir, &artifact);
    /* Once more is a short matter. */
    frame_put(&frame, artifact.sha256, artifact.size);
    CHECK_OK(say(&bench, "operator:ada", true, &frame, &err), err);
    CHECK_INT(frame_read(bench.arena, queue_take(&bench.queue))->done->code, 0);
    bench_close(&bench);
}

TEST(a_put_goes_on_after_a_new_connection_and_after_a_restart_of_the_store)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(6 * WIRE_CHUNK_MAX);
    CLEANUP(str_free) struct str frame = { 0 };
    struct bench bench = { 0 };
    struct err err = { 0 };
    bench_open(&bench);
    frame_put(&frame, artifact.sha256, artifact.size);
    CHECK_OK(say(&bench, "operator:ada", true, &frame, &err), err);
    (void)take_more(&bench);
    CHECK_INT(send_range(&bench, &artifact, 0, 2 * WIRE_CHUNK_MAX), 0);
    CHECK_OK(say(&bench, "operator:ada", true, &frame, &err), err);
    CHECK_INT(take_more(&bench)->offset, 2 * WIRE_CHUNK_MAX);
    bulk_store_close(&bench.store);
    CHECK_OK(bulk_store_open(bench.dir, &bench.store, &err), err);
    CHECK_OK(say(&bench, "operator:ada", true, &frame, &err), err);
    CHECK_INT(take_more(&bench)->offset, 2 * WIRE_CHUNK_MAX);
    CHECK_INT(send_range(&bench, &artifact, 2 * WIRE_CHUNK_MAX, artifact.size), 0);
    check_file(bench.dir, &artifact);
    bench_close(&bench);
}

TEST(a_put_with_a_wrong_digest_is_refused_and_removed)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(3 * WIRE_CHUNK_MAX);
    CLEANUP(str_free) struct str frame = { 0 };
    struct bench bench = { 0 };
    struct err err = { 0 };
    bench_open(&bench);
    artifact.sha256[0] = artifact.sha256[0] == 'a' ? 'b' : 'a';
    frame_put(&frame, artifact.sha256, artifact.size);
    CHECK_OK(say(&bench, "operator:ada", true, &frame, &err), err);
    (void)take_more(&bench);
    CHECK_INT(send_range(&bench, &artifact, 0, 2 * WIRE_CHUNK_MAX), 0);
    frame_chunk(&frame, &artifact, 2 * WIRE_CHUNK_MAX, artifact.size);
    check_refused(&bench, "operator:ada", true, &frame, FAIL_MISMATCH);
    CLEANUP(free_mem) char *path = fs_join(bench.dir, artifact.sha256);
    CLEANUP(free_mem) char *partial = text_printf("%s.partial", path);
    CHECK(!fs_exists(path));
    CHECK(!fs_exists(partial));
    /* A chunk that follows belongs to nothing. */
    check_refused(&bench, "operator:ada", true, &frame, FAIL_PROTOCOL);
    bench_close(&bench);
}

TEST(only_who_may_and_only_within_limits_puts)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(2 * WIRE_CHUNK_MAX);
    CLEANUP(str_free) struct str frame = { 0 };
    struct bench bench = { 0 };
    struct err err = { 0 };
    bench_open(&bench);
    frame_put(&frame, artifact.sha256, artifact.size);
    check_refused(&bench, "agent:a", false, &frame, FAIL_DENIED);
    frame_put(&frame, artifact.sha256, SIZE_MAX_PUT + 1);
    check_refused(&bench, "operator:ada", true, &frame, FAIL_LIMIT);
    frame_put(&frame, artifact.sha256, 0);
    check_refused(&bench, "operator:ada", true, &frame, FAIL_USAGE);
    frame_chunk(&frame, &artifact, 0, artifact.size);
    check_refused(&bench, "operator:ada", true, &frame, FAIL_PROTOCOL);
    /* Another operator, and one whose role was taken away in between. */
    frame_put(&frame, artifact.sha256, artifact.size);
    CHECK_OK(say(&bench, "operator:ada", true, &frame, &err), err);
    (void)take_more(&bench);
    check_refused(&bench, "operator:bob", true, &frame, FAIL_BUSY);
    frame_chunk(&frame, &artifact, 0, artifact.size);
    check_refused(&bench, "operator:bob", true, &frame, FAIL_PROTOCOL);
    CHECK_INT(say(&bench, "operator:ada", true, &frame, &err), 0);
    frame_chunk(&frame, &artifact, WIRE_CHUNK_MAX, artifact.size);
    check_refused(&bench, "operator:ada", false, &frame, FAIL_DENIED);
    CHECK_INT(say(&bench, "operator:ada", true, &frame, &err), 0);
    check_file(bench.dir, &artifact);
    bench_close(&bench);
}

TEST(a_fifth_artifact_at_one_time_has_to_wait)
{
    struct bench bench = { 0 };
    CLEANUP(str_free) struct str frame = { 0 };
    struct err err = { 0 };
    bench_open(&bench);
    for (int i = 0; i < 5; i++) {
        char digest[HASH_HEX_MAX];
        hash_bytes_hex(&i, sizeof i, digest);
        frame_put(&frame, digest, 1000);
        if (i < 4) {
            CHECK_OK(say(&bench, "operator:ada", true, &frame, &err), err);
            (void)take_more(&bench);
        } else {
            check_refused(&bench, "operator:ada", true, &frame, FAIL_BUSY);
        }
    }
    bench_close(&bench);
}

TEST(names_that_are_no_digest_reach_no_file)
{
    struct bench bench = { 0 };
    CLEANUP(str_free) struct str frame = { 0 };
    struct err err = { 0 };
    const char *const names[] = {
        "../x", "", "/etc/passwd",
        "../../../../../../../../../../../../../../../../../../etc/passwd",
        "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"
    };
    bench_open(&bench);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        frame_get(&frame, names[i], 0, 1);
        CHECK_INT(say(&bench, "agent:a", true, &frame, &err), -FAIL_PROTOCOL);
        frame_put(&frame, names[i], 10);
        CHECK_INT(say(&bench, "agent:a", true, &frame, &err), -FAIL_PROTOCOL);
    }
    CHECK_INT(bench.queue.count, 0);
    bench_close(&bench);
}

TEST(one_who_reads_gets_no_more_than_the_credit_and_nothing_behind_the_end)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(40 * WIRE_CHUNK_MAX);
    CLEANUP(str_free) struct str frame = { 0 };
    struct bench bench = { 0 };
    struct err err = { 0 };
    bench_open(&bench);
    (void)artifact_write(&artifact, bench.dir, "");
    frame_get(&frame, artifact.sha256, 0, UINT32_MAX);
    CHECK_OK(say(&bench, "agent:a", false, &frame, &err), err);
    CHECK_INT(bench.queue.count, BULK_CREDIT);
    bench.queue.count = 0;
    frame_get(&frame, artifact.sha256, 39 * WIRE_CHUNK_MAX, 3);
    CHECK_OK(say(&bench, "agent:a", false, &frame, &err), err);
    CHECK_INT(bench.queue.count, 1);
    bench.queue.count = 0;
    frame_get(&frame, artifact.sha256, artifact.size, 3);
    check_refused(&bench, "agent:a", false, &frame, FAIL_USAGE);
    frame_get(&frame, artifact.sha256, INT64_MAX, 3);
    check_refused(&bench, "agent:a", false, &frame, FAIL_USAGE);
    char other[HASH_HEX_MAX];
    hash_bytes_hex("other", 5, other);
    frame_get(&frame, other, 0, 3);
    check_refused(&bench, "agent:a", false, &frame, FAIL_NOT_FOUND);
    /* A peer that does not read is not answered either. */
    bench.queue.refuse_after = bench.queue.sent + 2;
    frame_get(&frame, artifact.sha256, 0, 10);
    CHECK_INT(say(&bench, "agent:a", false, &frame, &err), -FAIL_BUSY);
    CHECK_INT(bench.queue.count, 2);
    bench_close(&bench);
}

TEST(frames_that_nobody_sends_to_a_store_are_told_and_not_answered)
{
    struct bench bench = { 0 };
    CLEANUP(str_free) struct str frame = { 0 };
    struct err err = { 0 };
    bench_open(&bench);
    str_add(&frame, "garbage");
    CHECK_INT(say(&bench, "agent:a", true, &frame, &err), -FAIL_PROTOCOL);
    str_clear(&frame);
    Confleet__BulkFrame body = CONFLEET__BULK_FRAME__INIT;
    Confleet__Refusal refusal = CONFLEET__REFUSAL__INIT;
    body.body_case = CONFLEET__BULK_FRAME__BODY_REFUSAL;
    body.refusal = &refusal;
    wire_encode(&body.base, &frame);
    CHECK_INT(say(&bench, "agent:a", true, &frame, &err), -FAIL_PROTOCOL);
    CHECK_INT(bench.queue.count, 0);
    bench_close(&bench);
}
