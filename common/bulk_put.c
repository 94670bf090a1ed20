#include "bulk_part.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* One artifact on its way out. */
struct sender {
    struct link_client *client;
    const char *path, *sha256;
    int fd;
    uint64_t size;
    uint64_t next, end; /* the next byte to send, and where the credit ends */
    bool ready;         /* the controller has said where to begin on this connection */
    int64_t moved_ms;   /* when something last went forward */
    struct str frame;   /* one that the queue did not take yet, or empty */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

/* The name is for people only: one that the wire does not carry is left out. */
static const char *plain_name(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    for (const char *c = base; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            return "";
    return strlen(base) <= 255 ? base : "";
}

static int ask(struct sender *sender, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__BulkPut put = CONFLEET__BULK_PUT__INIT;
    put.sha256 = (char *)(uintptr_t)sender->sha256; /* the encoder only reads */
    put.size = sender->size;
    put.name = (char *)(uintptr_t)plain_name(sender->path);
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_PUT;
    frame.put = &put;
    wire_encode(&frame.base, &bytes);
    sender->ready = false;
    str_clear(&sender->frame);
    return link_client_send(sender->client, bytes.s, bytes.len, err);
}

static int on_more(struct sender *sender, const Confleet__BulkMore *more, struct err *err)
{
    if (more->offset > sender->size || more->credit > BULK_CREDIT)
        return err_set(err, FAIL_PROTOCOL,
                       "the controller asks for bytes behind the end, or for too many");
    if (!sender->ready)
        sender->next = more->offset;
    sender->ready = true;
    uint64_t span = (uint64_t)more->credit * WIRE_CHUNK_MAX;
    sender->end = sender->size - more->offset > span ? more->offset + span : sender->size;
    if (sender->progress)
        sender->progress(sender->arg, more->offset, sender->size);
    return 0;
}

/* 1: the controller holds the artifact. */
static int on_frame(struct sender *sender, const struct str *bytes, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__BulkFrame *frame = NULL;
    int result = wire_decode_bulk(arena, bytes->s, bytes->len, &frame, err);
    if (result < 0)
        return result;
    switch (frame->body_case) {
    case CONFLEET__BULK_FRAME__BODY_MORE:
        return strcmp(frame->more->sha256, sender->sha256) == 0 ? on_more(sender, frame->more, err)
                                                                : 0;
    case CONFLEET__BULK_FRAME__BODY_DONE:
        if (strcmp(frame->done->sha256, sender->sha256) != 0)
            return 0;
        if (frame->done->code == 0)
            return 1;
        return err_set(err, bulk_fail_of(frame->done->code), "the controller says: %s",
                       frame->done->message);
    case CONFLEET__BULK_FRAME__BODY_REFUSAL:
        return err_set(err, bulk_fail_of(frame->refusal->code), "the controller says: %s",
                       frame->refusal->message);
    default:
        return err_set(err, FAIL_PROTOCOL,
                       "a frame that nobody sends to one who sends an artifact");
    }
}

/* Sends what the credit allows and the queue takes. */
static int send_chunks(struct sender *sender, struct err *err)
{
    while (sender->ready && (sender->frame.len > 0 || sender->next < sender->end)) {
        struct err of_send = { 0 };
        if (sender->frame.len == 0) {
            int result = bulk_chunk_read(sender->fd, sender->path, sender->sha256, sender->size,
                                         sender->next, &sender->frame, err);
            if (result < 0)
                return result;
        }
        int result = link_client_send(sender->client, sender->frame.s, sender->frame.len, &of_send);
        if (result == -FAIL_BUSY || result == -FAIL_UNREACHABLE)
            return 0; /* the queue or the connection: the loop waits for either */
        if (result < 0)
            return err_set(err, (enum fail)of_send.code, "%s", of_send.text);
        str_clear(&sender->frame);
        sender->next += bulk_chunk_len(sender->size, sender->next);
    }
    return 0;
}

static int receive_all(struct sender *sender, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    int result;
    while ((result = link_client_recv(sender->client, &bytes, err)) == 1) {
        sender->moved_ms = clock_mono_ms();
        result = on_frame(sender, &bytes, err);
        if (result != 0)
            return result;
    }
    return result;
}

/* One turn of the loop: 1 when done. */
static int turn(struct sender *sender, struct err *err)
{
    bool is_new = false;
    int64_t wait_ms = link_client_tick(sender->client, clock_mono_ms(), &is_new);
    if (link_client_state(sender->client) == LINK_REFUSED)
        return err_set(err, FAIL_DENIED, "%s", link_client_why(sender->client));
    if (is_new) {
        sender->moved_ms = clock_mono_ms();
        int result = ask(sender, err);
        if (result < 0 && result != -FAIL_BUSY && result != -FAIL_UNREACHABLE)
            return result;
        if (result < 0)
            err_clear(err); /* lost again already: the next connection asks again */
    }
    int result = send_chunks(sender, err);
    if (result == 0)
        result = receive_all(sender, err);
    if (result != 0)
        return result;
    /* A full queue is looked at again soon: waiting for room in it would wake at once while there
     * is some. */
    bool stuck = sender->ready && sender->frame.len > 0;
    zmq_pollitem_t items[2] = {
        { .socket = link_client_socket(sender->client), .events = ZMQ_POLLIN },
        { .socket = link_client_monitor(sender->client), .events = ZMQ_POLLIN }
    };
    if (zmq_poll(items, 2, stuck && wait_ms > 10 ? 10 : (long)wait_ms) < 0 && errno != EINTR)
        return err_sys(err, FAIL_INTERNAL, zmq_errno(), "wait for the controller");
    return 0;
}

static int put_all(struct sender *sender, int64_t timeout_ms, struct err *err)
{
    sender->moved_ms = clock_mono_ms();
    for (;;) {
        int result = turn(sender, err);
        if (result < 0)
            return result;
        if (result == 1)
            break;
        if (timeout_ms > 0 && clock_mono_ms() - sender->moved_ms >= timeout_ms) {
            bool up = link_client_state(sender->client) == LINK_UP;
            return err_set(err, up ? FAIL_TIMEOUT : FAIL_UNREACHABLE,
                           "nothing went forward for %lld s: %s", (long long)timeout_ms / 1000,
                           link_client_why(sender->client));
        }
    }
    if (sender->progress)
        sender->progress(sender->arg, sender->size, sender->size);
    return 0;
}

int bulk_put(const struct link_client_options *link, const char *path, const char *sha256,
             uint64_t size, void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg,
             int64_t timeout_ms, struct err *err)
{
    assert(link && path && sha256);
    struct stat st;
    if (!hash_is_hex(sha256))
        return err_set(err, FAIL_USAGE, "send %s: its SHA-256 is not 64 lower-case hex digits",
                       path);
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", path);
    if (fstat(fd, &st) < 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", path);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
        return err_set(err, FAIL_MISMATCH, "%s is no regular file of %llu bytes", path,
                       (unsigned long long)size);
    CLEANUP(link_client_close) struct link_client *client = NULL;
    int result = link_client_open(link, &client, err);
    if (result < 0)
        return err_wrap(err, "send %s", path);
    struct sender sender = { .client = client,
                             .path = path,
                             .sha256 = sha256,
                             .fd = fd,
                             .size = size,
                             .progress = progress,
                             .arg = arg };
    result = put_all(&sender, timeout_ms, err);
    str_free(&sender.frame);
    return result < 0 ? err_wrap(err, "send %s", path) : 0;
}
