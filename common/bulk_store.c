#include "bulk_part.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PUTS_MAX 4     /* artifacts that come in at one time */
#define IDLE_MS  60000 /* after that, a transfer that was left may be taken over */

struct put {
    struct bulk_part part;
    char peer_id[96];
    int64_t used_ms;
    bool active;
    int since_more; /* chunks taken since credit was given */
};

struct bulk_store {
    char *dir;
    struct put puts[PUTS_MAX];
};

/* One frame on its way through the store. */
struct call {
    struct bulk_store *store;
    const char *peer_id;
    bool may_put;
    uint64_t size_max;
    bulk_send_fn *send;
    void *arg;
    bool unheard; /* the peer takes no more frames: an answer is of no use either */
};

int bulk_store_open(const char *dir, struct bulk_store **ret, struct err *err)
{
    assert(dir && ret);
    int result = fs_mkdirs(dir, 0700, err);
    if (result < 0)
        return err_wrap(err, "open the store of artifacts");
    struct bulk_store *store = mem_zero(1, sizeof *store);
    store->dir = text_dup(dir);
    *ret = store;
    return 0;
}

static void put_drop(struct put *put)
{
    if (put->active)
        bulk_part_close(&put->part);
    *put = (struct put){ 0 };
}

void bulk_store_close(struct bulk_store **store)
{
    if (!*store)
        return;
    for (int i = 0; i < PUTS_MAX; i++)
        put_drop(&(*store)->puts[i]);
    free((*store)->dir);
    free(*store);
    *store = NULL;
}

static int send_bytes(struct call *call, const struct str *bytes, struct err *err)
{
    int result = call->send(call->arg, bytes->s, bytes->len, err);
    call->unheard = result < 0;
    return result;
}

static int send_frame(struct call *call, const Confleet__BulkFrame *frame, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&frame->base, &bytes);
    return send_bytes(call, &bytes, err);
}

static int send_done(struct call *call, const char *sha256, uint32_t code, const char *message,
                     struct err *err)
{
    Confleet__BulkDone done = CONFLEET__BULK_DONE__INIT;
    done.sha256 = (char *)(uintptr_t)sha256; /* the encoder only reads */
    done.code = code;
    done.message = (char *)(uintptr_t)message;
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_DONE;
    frame.done = &done;
    return send_frame(call, &frame, err);
}

static int send_more(struct call *call, struct put *put, struct err *err)
{
    Confleet__BulkMore more = CONFLEET__BULK_MORE__INIT;
    more.sha256 = put->part.sha256;
    more.offset = put->part.have;
    more.credit = BULK_CREDIT;
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_MORE;
    frame.more = &more;
    put->since_more = 0;
    return send_frame(call, &frame, err);
}

static int send_chunks(struct call *call, const Confleet__BulkGet *get, int fd, const char *path,
                       struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_NOT_FOUND, "%s is no regular file", path);
    uint64_t size = (uint64_t)st.st_size, offset = get->offset;
    if (offset >= size)
        return err_set(err, FAIL_USAGE, "byte %llu of an artifact of %llu",
                       (unsigned long long)offset, (unsigned long long)size);
    for (uint32_t i = 0; i < get->credit && i < BULK_CREDIT && offset < size; i++) {
        str_clear(&bytes);
        int result = bulk_chunk_read(fd, path, get->sha256, size, offset, &bytes, err);
        if (result == 0)
            result = send_bytes(call, &bytes, err);
        if (result < 0)
            return result;
        offset += bulk_chunk_len(size, offset);
    }
    return 0;
}

/* Keeps nothing about one who reads: what to send is in what was asked, so a restart of ours goes
 * unseen. */
static int on_get(struct call *call, const Confleet__BulkGet *get, struct err *err)
{
    CLEANUP(free_mem) char *path = NULL;
    int result = bulk_path(call->store->dir, get->sha256, &path, err);
    if (result < 0)
        return result;
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, FAIL_NOT_FOUND,
                       "no artifact %.16s... is held here; import it with confleet release import",
                       get->sha256);
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", path);
    return send_chunks(call, get, fd, path, err);
}

static struct put *put_find(struct bulk_store *store, const char *sha256)
{
    for (int i = 0; i < PUTS_MAX; i++)
        if (store->puts[i].active && strcmp(store->puts[i].part.sha256, sha256) == 0)
            return &store->puts[i];
    return NULL;
}

/* A free place, or one whose sender has left it. */
static struct put *put_place(struct bulk_store *store, int64_t now_ms)
{
    for (int i = 0; i < PUTS_MAX; i++)
        if (!store->puts[i].active)
            return &store->puts[i];
    for (int i = 0; i < PUTS_MAX; i++) {
        if (now_ms - store->puts[i].used_ms < IDLE_MS)
            continue;
        put_drop(&store->puts[i]);
        return &store->puts[i];
    }
    return NULL;
}

static int put_start(struct call *call, const Confleet__BulkPut *ask, struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    struct put *put = put_place(call->store, now_ms);
    if (!put)
        return err_set(err, FAIL_BUSY, "%d artifacts come in already; try again later", PUTS_MAX);
    int result = bulk_part_open(&put->part, call->store->dir, ask->sha256, ask->size, err);
    if (result < 0)
        return result;
    if (result == 1)
        return send_done(call, ask->sha256, 0, "held already", err);
    put->active = true;
    put->used_ms = now_ms;
    (void)snprintf(put->peer_id, sizeof put->peer_id, "%s", call->peer_id);
    return send_more(call, put, err);
}

static int on_put(struct call *call, const Confleet__BulkPut *ask, struct err *err)
{
    if (!call->may_put)
        return err_set(err, FAIL_DENIED, "%s may not send artifacts", call->peer_id);
    if (ask->size > call->size_max)
        return err_set(err, FAIL_LIMIT, "an artifact of %llu bytes, at most %llu are taken",
                       (unsigned long long)ask->size, (unsigned long long)call->size_max);
    struct put *put = put_find(call->store, ask->sha256);
    if (!put)
        return put_start(call, ask, err);
    int64_t now_ms = clock_mono_ms();
    if (strcmp(put->peer_id, call->peer_id) != 0 && now_ms - put->used_ms < IDLE_MS)
        return err_set(err, FAIL_BUSY, "%s is sending this artifact", put->peer_id);
    if (put->part.size != ask->size) {
        put_drop(put);
        return put_start(call, ask, err);
    }
    put->used_ms = now_ms;
    (void)snprintf(put->peer_id, sizeof put->peer_id, "%s", call->peer_id);
    return send_more(call, put, err);
}

static int on_chunk(struct call *call, const Confleet__BulkChunk *chunk, struct err *err)
{
    struct put *put = put_find(call->store, chunk->sha256);
    if (!call->may_put)
        return err_set(err, FAIL_DENIED, "%s may not send artifacts", call->peer_id);
    if (!put || strcmp(put->peer_id, call->peer_id) != 0)
        return err_set(err, FAIL_PROTOCOL, "%s sends a chunk that nobody asked for", call->peer_id);
    put->used_ms = clock_mono_ms();
    int result = bulk_part_add(&put->part, chunk, err);
    if (result == 0 && ++put->since_more >= BULK_CREDIT / 2)
        return send_more(call, put, err);
    if (result == 0)
        return 0;
    put_drop(put);
    return result == 1 ? send_done(call, chunk->sha256, 0, "", err) : result;
}

/* Answers the peer with what went wrong, and returns it: the owner logs it. */
static int refuse(struct call *call, const char *sha256, struct err *err)
{
    struct err of_send = { 0 };
    if (!call->unheard && send_done(call, sha256, (uint32_t)err->code, err->text, &of_send) < 0)
        (void)err_wrap(err, "%s", of_send.text);
    return -err->code;
}

int bulk_store_on(struct bulk_store *store, const char *peer_id, bool may_put, uint64_t size_max,
                  const void *bytes, size_t len, bulk_send_fn *send, void *arg, struct err *err)
{
    assert(store && peer_id && send);
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    struct call call = { store, peer_id, may_put, size_max, send, arg, false };
    struct err own = { 0 };
    Confleet__BulkFrame *frame = NULL;
    if (!err)
        err = &own;
    int result = wire_decode_bulk(arena, bytes, len, &frame, err);
    if (result < 0)
        return result;
    const char *sha256 = NULL;
    switch (frame->body_case) {
    case CONFLEET__BULK_FRAME__BODY_GET:
        sha256 = frame->get->sha256;
        result = on_get(&call, frame->get, err);
        break;
    case CONFLEET__BULK_FRAME__BODY_PUT:
        sha256 = frame->put->sha256;
        result = on_put(&call, frame->put, err);
        break;
    case CONFLEET__BULK_FRAME__BODY_CHUNK:
        sha256 = frame->chunk->sha256;
        result = on_chunk(&call, frame->chunk, err);
        break;
    default:
        return err_set(err, FAIL_PROTOCOL, "a frame that nobody sends to the store of artifacts");
    }
    return result < 0 ? refuse(&call, sha256, err) : 0;
}
