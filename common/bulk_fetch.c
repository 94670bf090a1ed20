#include "bulk_part.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

struct bulk_fetch {
    struct bulk_part part;
    bool complete;
    uint64_t asked; /* end of what was asked for on this connection */
    bool gap;       /* chunks were lost on the way, what is missing was asked for again */
};

int bulk_fetch_open(const char *dir, const char *sha256, uint64_t size, struct bulk_fetch **ret,
                    struct err *err)
{
    assert(dir && sha256 && ret);
    struct bulk_fetch *fetch = mem_zero(1, sizeof *fetch);
    int result = bulk_part_open(&fetch->part, dir, sha256, size, err);
    if (result < 0) {
        free(fetch);
        return err_wrap(err, "fetch artifact %.16s", sha256);
    }
    fetch->complete = result == 1;
    *ret = fetch;
    return 0;
}

void bulk_fetch_close(struct bulk_fetch **fetch)
{
    if (!*fetch)
        return;
    bulk_part_close(&(*fetch)->part);
    free(*fetch);
    *fetch = NULL;
}

static void ask(struct bulk_fetch *fetch, uint32_t credit, struct str *ret_bytes)
{
    Confleet__BulkGet get = CONFLEET__BULK_GET__INIT;
    get.sha256 = fetch->part.sha256;
    get.offset = fetch->asked;
    get.credit = credit;
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_GET;
    frame.get = &get;
    wire_encode(&frame.base, ret_bytes);
    uint64_t span = (uint64_t)credit * WIRE_CHUNK_MAX;
    fetch->asked = fetch->part.size - fetch->asked > span ? fetch->asked + span : fetch->part.size;
}

int bulk_fetch_ask(struct bulk_fetch *fetch, struct str *ret_bytes, struct err *err)
{
    assert(fetch && ret_bytes);
    (void)err;
    str_clear(ret_bytes);
    if (fetch->complete)
        return 1;
    fetch->gap = false;
    fetch->asked = fetch->part.have;
    ask(fetch, BULK_CREDIT, ret_bytes);
    return 0;
}

static int on_chunk(struct bulk_fetch *fetch, const Confleet__BulkChunk *chunk,
                    struct str *ret_bytes, struct err *err)
{
    if (chunk->offset < fetch->part.have)
        return 0; /* asked for on two connections, or twice: it is here already */
    if (chunk->offset > fetch->part.have) {
        /* The controller drops what a full queue does not take. Asked once: what follows the gap
         * comes by the dozen. */
        if (!fetch->gap) {
            fetch->asked = fetch->part.have;
            ask(fetch, BULK_CREDIT, ret_bytes);
        }
        fetch->gap = true;
        return 0;
    }
    fetch->gap = false;
    int result = bulk_part_add(&fetch->part, chunk, err);
    if (result != 0) {
        fetch->complete = result == 1;
        return result;
    }
    /* Half of the credit is used up: ask for as much again, so that the way never runs dry. */
    if (fetch->asked < fetch->part.size &&
        fetch->asked - fetch->part.have <= (uint64_t)BULK_CREDIT / 2 * WIRE_CHUNK_MAX)
        ask(fetch, BULK_CREDIT / 2, ret_bytes);
    return 0;
}

static int said_no(uint32_t code, const char *message, struct err *err)
{
    return err_set(err, bulk_fail_of(code), "the controller says: %s",
                   *message ? message : fail_name((int)code));
}

static int on_frame(struct bulk_fetch *fetch, const Confleet__BulkFrame *frame,
                    struct str *ret_bytes, struct err *err)
{
    switch (frame->body_case) {
    case CONFLEET__BULK_FRAME__BODY_CHUNK:
        return strcmp(frame->chunk->sha256, fetch->part.sha256) == 0
                   ? on_chunk(fetch, frame->chunk, ret_bytes, err)
                   : 0;
    case CONFLEET__BULK_FRAME__BODY_DONE:
        return strcmp(frame->done->sha256, fetch->part.sha256) == 0
                   ? said_no(frame->done->code, frame->done->message, err)
                   : 0;
    case CONFLEET__BULK_FRAME__BODY_REFUSAL:
        return said_no(frame->refusal->code, frame->refusal->message, err);
    default:
        return err_set(err, FAIL_PROTOCOL, "a frame that nobody sends to one who fetches");
    }
}

int bulk_fetch_on(struct bulk_fetch *fetch, const void *bytes, size_t len, struct str *ret_bytes,
                  struct err *err)
{
    assert(fetch && ret_bytes);
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__BulkFrame *frame = NULL;
    str_clear(ret_bytes);
    if (fetch->complete)
        return 1;
    char sha256[HASH_HEX_MAX];
    memcpy(sha256, fetch->part.sha256, sizeof sha256);
    int result = wire_decode_bulk(arena, bytes, len, &frame, err);
    if (result == 0)
        result = on_frame(fetch, frame, ret_bytes, err);
    return result < 0 ? err_wrap(err, "fetch artifact %.16s", sha256) : result;
}

uint64_t bulk_fetch_done(const struct bulk_fetch *fetch)
{
    return fetch->complete ? fetch->part.size : fetch->part.have;
}
