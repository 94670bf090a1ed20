#include "agent/worker/backup/frames.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <fcntl.h>
#include <stddef.h>

#define CONTENT (23u * 1024 * 1024)

/* A quarter is noise, so that some frames compress and others do not. */
static uint8_t *content_make(void)
{
    uint8_t *bytes = mem_zero(1, CONTENT);
    uint64_t state = 88172645463325252ULL;
    for (size_t i = 0; i < CONTENT; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        bytes[i] = i / 65536 % 4 == 0 ? (uint8_t)state : (uint8_t)(i / 97 % 251);
    }
    return bytes;
}

struct written {
    uint64_t size;
    uint8_t sha256[HASH_SIZE];
    struct frame_list frames;
};

static int write_all(const char *path, const uint8_t *bytes, unsigned threads, struct written *ret,
                     struct err *err)
{
    CLEANUP(frames_writer_free) struct frames_writer *writer = NULL;
    CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    int rc = frames_writer_new(fd, path, true, &writer, err);
    if (rc == 0)
        rc = frames_writer_threads(writer, threads, err);
    for (size_t at = 0, part = 1; rc == 0 && at < CONTENT; at += part, part = part * 3 % 1000003) {
        part = part < CONTENT - at ? part : CONTENT - at;
        rc = frames_add(writer, bytes + at, part, err);
        if (rc == 0 && part % 5 == 0)
            rc = frames_cut(writer, err);
    }
    if (rc == 0)
        rc = frames_finish(writer, &ret->size, ret->sha256, &ret->frames, err);
    return rc;
}

TEST(threads_write_the_very_same_file)
{
    struct err err = { 0 };
    CLEANUP(free_mem) uint8_t *bytes = content_make();
    struct written alone = { 0 };
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "alone");
    CHECK_OK(write_all(path, bytes, 0, &alone, &err), err);
    for (unsigned threads = 1; threads <= FRAME_THREADS_MAX + 1; threads++) {
        struct written several = { 0 };
        CLEANUP(free_mem) char *other = text_printf("%s/several-%u", test_dir(), threads);
        CHECK_OK(write_all(other, bytes, threads, &several, &err), err);
        CHECK_INT(several.size, alone.size);
        CHECK(memcmp(several.sha256, alone.sha256, HASH_SIZE) == 0);
        CHECK_INT(several.frames.count, alone.frames.count);
        for (size_t i = 0; i < alone.frames.count; i++)
            CHECK(memcmp(&several.frames.item[i], &alone.frames.item[i],
                         offsetof(struct frame, kept)) == 0);
        frame_list_free(&several.frames);
    }
    frame_list_free(&alone.frames);
}

TEST(what_threads_wrote_reads_back_frame_by_frame)
{
    struct err err = { 0 };
    CLEANUP(free_mem) uint8_t *bytes = content_make();
    CLEANUP(frames_reader_free) struct frames_reader *reader = NULL;
    struct written written = { 0 };
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "frames");
    const uint8_t *content = NULL;
    struct frame frame;
    uint64_t at = 0;
    CHECK_OK(write_all(path, bytes, 3, &written, &err), err);
    CHECK_OK(frames_reader_new(path, written.size, false, &reader, &err), err);
    for (size_t i = 0; i < written.frames.count; i++) {
        CHECK_INT(frames_next(reader, &content, &frame, &err), 1);
        CHECK_INT(frame.at, written.frames.item[i].at);
        CHECK(memcmp(content, bytes + at, frame.content) == 0);
        at += frame.content;
    }
    CHECK_INT(at, CONTENT);
    CHECK_INT(frames_next(reader, &content, &frame, &err), 0);
    frame_list_free(&written.frames);
}

/* Every other frame of a file goes into another one as it is stored, its own bytes between them. */
TEST(frames_of_another_file_are_taken_over_as_they_are_stored)
{
    struct err err = { 0 };
    CLEANUP(free_mem) uint8_t *bytes = content_make();
    struct written from = { 0 };
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "from");
    CHECK_OK(write_all(path, bytes, 0, &from, &err), err);
    CLEANUP(str_free) struct str stored = { 0 };
    CHECK_OK(fs_read(path, 1u << 30, &stored, &err), err);
    for (unsigned threads = 0; threads <= 3; threads += 3) {
        CLEANUP(frames_writer_free) struct frames_writer *writer = NULL;
        CLEANUP(frames_reader_free) struct frames_reader *reader = NULL;
        CLEANUP(free_mem) char *to = text_printf("%s/to-%u", test_dir(), threads);
        CLEANUP(close_fd) int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        struct written whole = { 0 };
        uint64_t at = 0;
        CHECK_OK(frames_writer_new(fd, to, true, &writer, &err), err);
        CHECK_OK(frames_writer_threads(writer, threads, &err), err);
        for (size_t i = 0; i < from.frames.count; i++) {
            const struct frame *f = &from.frames.item[i];
            CHECK_OK(i % 2 ? frames_put(writer, f, stored.s + f->at, &err)
                           : frames_add(writer, bytes + at, (size_t)f->content, &err),
                     err);
            at += f->content;
        }
        struct frame bad = { .stored = 0, .content = 1 };
        CHECK_INT(frames_put(writer, &bad, "", &err), -FAIL_CORRUPT);
        err_clear(&err);
        bad.stored = 64u * 1024 * 1024;
        CHECK_INT(frames_put(writer, &bad, stored.s, &err), -FAIL_CORRUPT);
        err_clear(&err);
        CHECK_OK(frames_finish(writer, &whole.size, whole.sha256, &whole.frames, &err), err);
        CHECK_OK(frames_reader_new(to, whole.size, false, &reader, &err), err);
        at = 0;
        for (size_t i = 0; i < whole.frames.count; i++) {
            const uint8_t *content = NULL;
            const struct frame *f = &whole.frames.item[i];
            CHECK_OK(frames_expect(reader, f, i, &content, &err), err);
            CHECK(memcmp(content, bytes + at, (size_t)f->content) == 0);
            CHECK_INT(f->kept, i % 2);
            at += f->content;
        }
        CHECK_INT(at, CONTENT);
        uint8_t sha256[HASH_SIZE];
        frames_stored_sha256(reader, sha256);
        CHECK(memcmp(sha256, whole.sha256, HASH_SIZE) == 0);
        frame_list_free(&whole.frames);
    }
    frame_list_free(&from.frames);
}

TEST(a_full_disk_is_told_by_whichever_call_comes_next)
{
    CLEANUP(free_mem) uint8_t *bytes = content_make();
    if (access("/dev/full", W_OK) != 0)
        TEST_SKIP("no /dev/full here");
    for (unsigned threads = 0; threads <= FRAME_THREADS_MAX; threads++) {
        struct err err = { 0 };
        struct written written = { 0 };
        CHECK(write_all("/dev/full", bytes, threads, &written, &err) != 0);
        CHECK(strstr(err.text, "/dev/full") != NULL);
        CHECK_INT(written.size, 0);
    }
}

TEST(a_writer_that_is_given_up_ends_its_threads)
{
    struct err err = { 0 };
    CLEANUP(free_mem) uint8_t *bytes = content_make();
    for (size_t len = 1; len < CONTENT; len *= 7) {
        CLEANUP(frames_writer_free) struct frames_writer *writer = NULL;
        CLEANUP(free_mem) char *path = fs_join(test_dir(), "given-up");
        CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK_OK(frames_writer_new(fd, path, false, &writer, &err), err);
        CHECK_OK(frames_writer_threads(writer, 3, &err), err);
        CHECK_OK(frames_add(writer, bytes, len, &err), err);
        CHECK(frames_written(writer) <= len + 65536);
    }
}

/* Files of all sizes, with something between them that belongs to none, some over many frames. */
static void check_digests(unsigned threads)
{
    struct err err = { 0 };
    CLEANUP(free_mem) uint8_t *bytes = content_make();
    CLEANUP(frames_writer_free) struct frames_writer *writer = NULL;
    CLEANUP(free_mem) char *path = text_printf("%s/digests-%u", test_dir(), threads);
    CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct {
        size_t at, len;
    } files[64] = { { 0, 0 } };
    struct written written = { 0 };
    size_t count = 0;
    CHECK_OK(frames_writer_new(fd, path, false, &writer, &err), err);
    CHECK_OK(frames_writer_threads(writer, threads, &err), err);
    for (size_t at = 0, len = 1; at + len + 512 < CONTENT && count < 64; len = len * 5 % 9999991) {
        CHECK_OK(frames_add(writer, bytes + at, 512, &err), err);
        at += 512;
        files[count].at = at;
        files[count].len = len;
        CHECK_INT(frames_hash(writer, len), count++);
        for (size_t done = 0, room = 0; done < len; done += room) {
            uint8_t *to = frames_room(writer, &room);
            room = room < len - done ? room : len - done;
            memcpy(to, bytes + at + done, room);
            CHECK_OK(frames_add(writer, to, room, &err), err);
        }
        at += len;
    }
    CHECK(count > 10);
    CHECK_OK(frames_finish(writer, &written.size, written.sha256, NULL, &err), err);
    for (size_t i = 0; i < count; i++) {
        uint8_t sha256[HASH_SIZE];
        hash_bytes(bytes + files[i].at, files[i].len, sha256);
        CHECK(memcmp(sha256, frames_digest(writer, i), HASH_SIZE) == 0);
    }
}

TEST(digests_of_files_are_those_of_the_bytes_in_the_frames)
{
    for (unsigned threads = 0; threads <= FRAME_THREADS_MAX; threads++)
        check_digests(threads);
}

static uint64_t stored(const uint8_t *bytes, size_t len)
{
    struct err err = { 0 };
    CLEANUP(frames_writer_free) struct frames_writer *writer = NULL;
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "stored");
    CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct written written = { 0 };
    CHECK_OK(frames_writer_new(fd, path, false, &writer, &err), err);
    CHECK_OK(frames_add(writer, bytes, len, &err), err);
    CHECK_OK(frames_finish(writer, &written.size, written.sha256, NULL, &err), err);
    return written.size;
}

TEST(what_does_not_compress_grows_by_next_to_nothing_and_the_rest_is_compressed)
{
    enum { LEN = 4 * 1024 * 1024 };
    CLEANUP(free_mem) uint8_t *bytes = mem_zero(1, LEN);
    random_bytes(bytes, LEN);
    uint64_t noise = stored(bytes, LEN);
    CHECK(noise >= LEN && noise < LEN + LEN / 1000);
    /* A tenth that compresses well is noticed, wherever it lies. */
    for (size_t at = 0; at + LEN / 10 <= LEN; at += LEN / 10) {
        random_bytes(bytes, LEN);
        memset(bytes + at, 'x', LEN / 10);
        CHECK(stored(bytes, LEN) < LEN - LEN / 12);
    }
}
