#include "harness/bulk.h"
#include "harness/test.h"

/* The store of a controller, an agent's fetch, and what is on its way between them. */
struct ends {
    const char *from, *to;
    struct bulk_store *store;
    struct bulk_fetch *fetch;
    struct queue queue;
};

static void ends_open(struct ends *ends, const struct artifact *artifact)
{
    struct err err = { 0 };
    ends->from = test_dir();
    ends->to = test_dir();
    (void)artifact_write(artifact, ends->from, "");
    CHECK_OK(bulk_store_open(ends->from, &ends->store, &err), err);
    CHECK_OK(bulk_fetch_open(ends->to, artifact->sha256, artifact->size, &ends->fetch, &err), err);
}

static void ends_close(struct ends *ends)
{
    bulk_fetch_close(&ends->fetch);
    bulk_store_close(&ends->store);
    queue_free(&ends->queue);
}

static void ask_store(struct ends *ends, const struct str *frame)
{
    struct err err = { 0 };
    if (frame->len > 0)
        CHECK_OK(bulk_store_on(ends->store, "agent:a", false, 0, frame->s, frame->len, queue_send,
                               &ends->queue, &err),
                 err);
}

/* Runs until the artifact is there, the way is dry, a failure, or so many chunks. */
static int run(struct ends *ends, int chunks_max, struct err *err)
{
    CLEANUP(str_free) struct str frame = { 0 };
    CHECK_OK(bulk_fetch_ask(ends->fetch, &frame, err), *err);
    ask_store(ends, &frame);
    while (ends->queue.count > 0 && chunks_max-- > 0) {
        const struct str *chunk = queue_take(&ends->queue);
        int result = bulk_fetch_on(ends->fetch, chunk->s, chunk->len, &frame, err);
        if (result != 0)
            return result;
        ask_store(ends, &frame);
    }
    return 0;
}

TEST(an_artifact_arrives_whole_and_never_more_than_the_credit_is_on_its_way)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(50 * WIRE_CHUNK_MAX + 77);
    struct ends ends = { 0 };
    struct err err = { 0 };
    ends_open(&ends, &artifact);
    CHECK_INT(run(&ends, 1000, &err), 1);
    check_file(ends.to, &artifact);
    CHECK_INT(bulk_fetch_done(ends.fetch), artifact.size);
    CHECK_INT(ends.queue.sent, 51);
    CHECK(ends.queue.most <= BULK_CREDIT);
    CHECK(ends.queue.most > BULK_CREDIT / 2);
    ends_close(&ends);
}

TEST(artifacts_around_the_size_of_a_chunk_arrive)
{
    for (int i = 0; i < 5; i++) {
        const uint64_t sizes[] = { 1, WIRE_CHUNK_MAX - 1, WIRE_CHUNK_MAX, WIRE_CHUNK_MAX + 1,
                                   BULK_CREDIT * (uint64_t)WIRE_CHUNK_MAX };
        CLEANUP(artifact_free) struct artifact artifact = artifact_make(sizes[i]);
        struct ends ends = { 0 };
        struct err err = { 0 };
        ends_open(&ends, &artifact);
        CHECK_INT(run(&ends, 1000, &err), 1);
        check_file(ends.to, &artifact);
        ends_close(&ends);
    }
}

TEST(a_cut_transfer_goes_on_where_it_was)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(30 * WIRE_CHUNK_MAX + 5);
    struct ends ends = { 0 };
    struct err err = { 0 };
    ends_open(&ends, &artifact);
    CHECK_INT(run(&ends, 11, &err), 0);
    CHECK_INT(bulk_fetch_done(ends.fetch), 11 * WIRE_CHUNK_MAX);
    bulk_fetch_close(&ends.fetch);
    /* The process ended in the middle of a write. */
    CLEANUP(free_mem) char *partial = text_printf("%s/%s.partial", ends.to, artifact.sha256);
    CHECK_INT(truncate(partial, 10 * WIRE_CHUNK_MAX + 1234), 0);
    CHECK_OK(bulk_fetch_open(ends.to, artifact.sha256, artifact.size, &ends.fetch, &err), err);
    CHECK_INT(bulk_fetch_done(ends.fetch), 10 * WIRE_CHUNK_MAX + 1234);
    ends.queue.count = ends.queue.sent = 0;
    CHECK_INT(run(&ends, 1000, &err), 1);
    check_file(ends.to, &artifact);
    CHECK_INT(ends.queue.sent, 20);
    ends_close(&ends);
}

TEST(a_new_connection_in_mid_transfer_asks_again_and_stale_chunks_do_no_harm)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(20 * WIRE_CHUNK_MAX);
    struct ends ends = { 0 };
    struct err err = { 0 };
    ends_open(&ends, &artifact);
    CHECK_INT(run(&ends, 3, &err), 0);
    /* What is still under way arrives before the answer to the new question, which begins at the
     * same byte. */
    CHECK_INT(run(&ends, 1000, &err), 1);
    check_file(ends.to, &artifact);
    ends_close(&ends);
}

TEST(a_flipped_bit_is_found_and_nothing_of_it_is_kept)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(5 * WIRE_CHUNK_MAX);
    struct ends ends = { 0 };
    struct err err = { 0 };
    ends_open(&ends, &artifact);
    artifact.bytes[3 * WIRE_CHUNK_MAX + 9] ^= 4; /* on the controller's disk */
    (void)artifact_write(&artifact, ends.from, "");
    artifact.bytes[3 * WIRE_CHUNK_MAX + 9] ^= 4;
    CHECK_INT(run(&ends, 1000, &err), -FAIL_MISMATCH);
    CHECK_HAS(err.text, "SHA-256");
    CLEANUP(free_mem) char *path = fs_join(ends.to, artifact.sha256);
    CLEANUP(free_mem) char *partial = text_printf("%s.partial", path);
    CHECK(!fs_exists(path));
    CHECK(!fs_exists(partial));
    bulk_fetch_close(&ends.fetch);
    /* With the artifact mended, the next try is whole. */
    (void)artifact_write(&artifact, ends.from, "");
    err_clear(&err);
    CHECK_OK(bulk_fetch_open(ends.to, artifact.sha256, artifact.size, &ends.fetch, &err), err);
    CHECK_INT(run(&ends, 1000, &err), 1);
    check_file(ends.to, &artifact);
    ends_close(&ends);
}

TEST(an_artifact_that_is_there_is_read_before_it_is_believed)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(3 * WIRE_CHUNK_MAX);
    struct ends ends = { 0 };
    struct err err = { 0 };
    CLEANUP(str_free) struct str frame = { 0 };
    ends_open(&ends, &artifact);
    bulk_fetch_close(&ends.fetch);
    (void)artifact_write(&artifact, ends.to, "");
    CHECK_OK(bulk_fetch_open(ends.to, artifact.sha256, artifact.size, &ends.fetch, &err), err);
    CHECK_INT(bulk_fetch_done(ends.fetch), artifact.size);
    CHECK_INT(bulk_fetch_ask(ends.fetch, &frame, &err), 1);
    CHECK_INT(frame.len, 0);
    bulk_fetch_close(&ends.fetch);
    artifact.bytes[0] ^= 1;
    (void)artifact_write(&artifact, ends.to, "");
    CHECK_OK(bulk_fetch_open(ends.to, artifact.sha256, artifact.size, &ends.fetch, &err), err);
    CHECK_INT(bulk_fetch_done(ends.fetch), 0);
    CHECK_INT(run(&ends, 1000, &err), 1);
    artifact.bytes[0] ^= 1;
    check_file(ends.to, &artifact);
    ends_close(&ends);
}

TEST(a_partial_file_that_is_whole_is_finished_and_one_that_cannot_be_right_is_begun_anew)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(2 * WIRE_CHUNK_MAX);
    struct err err = { 0 };
    struct bulk_fetch *fetch = NULL;
    const char *dir = test_dir();
    (void)artifact_write(&artifact, dir, ".partial");
    CHECK_OK(bulk_fetch_open(dir, artifact.sha256, artifact.size, &fetch, &err), err);
    CHECK_INT(bulk_fetch_done(fetch), artifact.size);
    check_file(dir, &artifact);
    bulk_fetch_close(&fetch);

    dir = test_dir();
    artifact.bytes[7] ^= 1; /* whole and wrong */
    (void)artifact_write(&artifact, dir, ".partial");
    CHECK_OK(bulk_fetch_open(dir, artifact.sha256, artifact.size, &fetch, &err), err);
    CHECK_INT(bulk_fetch_done(fetch), 0);
    bulk_fetch_close(&fetch);

    (void)artifact_write(&artifact, dir, ".partial"); /* longer than the whole */
    CHECK_OK(bulk_fetch_open(dir, artifact.sha256, artifact.size - 1, &fetch, &err), err);
    CHECK_INT(bulk_fetch_done(fetch), 0);
    struct bulk_fetch *second = NULL;
    CHECK_INT(bulk_fetch_open(dir, artifact.sha256, artifact.size, &second, &err), -FAIL_BUSY);
    CHECK(second == NULL);
    bulk_fetch_close(&fetch);
}

static void check_answer(const struct artifact *artifact, const struct str *frame, int code,
                         const char *words)
{
    struct err err = { 0 };
    struct bulk_fetch *fetch = NULL;
    CLEANUP(str_free) struct str answer = { 0 };
    CHECK_OK(bulk_fetch_open(test_dir(), artifact->sha256, artifact->size, &fetch, &err), err);
    CHECK_OK(bulk_fetch_ask(fetch, &answer, &err), err);
    CHECK_INT(bulk_fetch_on(fetch, frame->s, frame->len, &answer, &err), -code);
    CHECK_HAS(err.text, words);
    CHECK_INT(bulk_fetch_done(fetch), 0);
    bulk_fetch_close(&fetch);
}

TEST(chunks_that_were_lost_on_the_way_are_asked_for_once_more)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(30 * WIRE_CHUNK_MAX);
    CLEANUP(str_free) struct str frame = { 0 };
    struct ends ends = { 0 };
    struct err err = { 0 };
    int asked = 0;
    ends_open(&ends, &artifact);
    CHECK_OK(bulk_fetch_ask(ends.fetch, &frame, &err), err);
    ask_store(&ends, &frame);
    for (int i = 0; i < 5; i++)
        (void)queue_take(&ends.queue);
    for (int i = 0; i < BULK_CREDIT - 5; i++) {
        const struct str *chunk = queue_take(&ends.queue);
        CHECK_INT(bulk_fetch_on(ends.fetch, chunk->s, chunk->len, &frame, &err), 0);
        asked += frame.len > 0;
        ask_store(&ends, &frame);
    }
    CHECK_INT(asked, 1);
    int result = 0;
    while (result == 0 && ends.queue.count > 0) {
        const struct str *chunk = queue_take(&ends.queue);
        result = bulk_fetch_on(ends.fetch, chunk->s, chunk->len, &frame, &err);
        if (result == 0)
            ask_store(&ends, &frame);
    }
    CHECK_INT(result, 1);
    check_file(ends.to, &artifact);
    ends_close(&ends);
}

TEST(chunks_of_another_size_or_damaged_are_refused)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(3 * WIRE_CHUNK_MAX);
    CLEANUP(str_free) struct str frame = { 0 };
    frame_chunk(&frame, &artifact, 0, artifact.size + 1);
    check_answer(&artifact, &frame, FAIL_MISMATCH, "786433 bytes there and 786432 here");
    struct artifact cut = artifact;
    cut.size = 100;
    frame_chunk(&frame, &cut, 0, artifact.size);
    check_answer(&artifact, &frame, FAIL_PROTOCOL, "a chunk of 100 bytes at 0");
    frame_chunk(&frame, &artifact, 0, artifact.size);
    frame.s[1000] ^= 1;
    check_answer(&artifact, &frame, FAIL_CORRUPT, "is not what was read there");
    frame_put(&frame, artifact.sha256, 5);
    check_answer(&artifact, &frame, FAIL_PROTOCOL, "nobody sends");
    str_clear(&frame);
    str_add(&frame, "garbage");
    check_answer(&artifact, &frame, FAIL_PROTOCOL, "fetch artifact");
}

TEST(what_the_controller_says_is_passed_on)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(10);
    CLEANUP(str_free) struct str frame = { 0 };
    Confleet__BulkDone done = CONFLEET__BULK_DONE__INIT;
    done.sha256 = artifact.sha256;
    done.code = FAIL_NOT_FOUND;
    done.message = (char[]){ "no such artifact" };
    Confleet__BulkFrame body = CONFLEET__BULK_FRAME__INIT;
    body.body_case = CONFLEET__BULK_FRAME__BODY_DONE;
    body.done = &done;
    wire_encode(&body.base, &frame);
    check_answer(&artifact, &frame, FAIL_NOT_FOUND, "the controller says: no such artifact");
    done.code = 4711;
    str_clear(&frame);
    wire_encode(&body.base, &frame);
    check_answer(&artifact, &frame, FAIL_PROTOCOL, "no such artifact");
}

TEST(names_that_are_no_digest_and_sizes_of_nothing_open_nothing)
{
    struct err err = { 0 };
    struct bulk_fetch *fetch = NULL;
    const char *dir = test_dir();
    const char *const names[] = {
        "../x",
        "",
        "..",
        "/etc/passwd",
        "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
        "../../../../../../../../../../../../../../../../../../etc/passwd."
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        err_clear(&err);
        CHECK_INT(bulk_fetch_open(dir, names[i], 10, &fetch, &err), -FAIL_USAGE);
    }
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(10);
    err_clear(&err);
    CHECK_INT(bulk_fetch_open(dir, artifact.sha256, 0, &fetch, &err), -FAIL_USAGE);
    err_clear(&err);
    CHECK_INT(bulk_fetch_open(dir, artifact.sha256, UINT64_MAX, &fetch, &err), -FAIL_SPACE);
    CHECK_HAS(err.text, "free");
    CHECK(fetch == NULL);
}

TEST(a_link_in_place_of_the_partial_file_is_not_followed)
{
    CLEANUP(artifact_free) struct artifact artifact = artifact_make(10);
    struct err err = { 0 };
    struct bulk_fetch *fetch = NULL;
    const char *dir = test_dir();
    CLEANUP(free_mem) char *partial = text_printf("%s/%s.partial", dir, artifact.sha256);
    CLEANUP(free_mem) char *victim = fs_join(dir, "victim");
    CHECK_OK(fs_write(victim, "mine", 4, 0600, &err), err);
    CHECK_INT(symlink(victim, partial), 0);
    CHECK_INT(bulk_fetch_open(dir, artifact.sha256, artifact.size, &fetch, &err), -FAIL_IO);
    struct stat st;
    CHECK_INT(stat(victim, &st), 0);
    CHECK_INT(st.st_size, 4);
}
