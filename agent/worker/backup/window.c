#include "window.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW_SIZE   (256u * 1024)
#define LINE_SIZE_MAX (4u * 1024 * 1024)

void window_free(struct window *window)
{
    free(window->bytes);
    window->bytes = NULL;
}

int window_read(int fd, const char *name, char *to, size_t len, uint64_t at, struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t got = pread(fd, to + done, len - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "read %s", name);
        if (got == 0)
            return err_set(err, FAIL_CORRUPT, "%s became shorter while it was read", name);
        done += (size_t)got;
    }
    return 0;
}

static int window_fill(struct window *w, uint64_t at, size_t want, struct err *err)
{
    if (want > w->size) {
        w->size = want > WINDOW_SIZE ? want : WINDOW_SIZE;
        w->bytes = mem_grow(w->bytes, w->size, 1);
    }
    w->len = 0;
    int rc = window_read(w->fd, w->name, w->bytes, want, at, err);
    if (rc == 0) {
        w->at = at;
        w->len = want;
    }
    return rc;
}

int window_line(struct window *window, uint64_t at, uint64_t end, char **ret, size_t *ret_len,
                struct err *err)
{
    for (size_t want = WINDOW_SIZE;; want *= 2) {
        if (at >= window->at && at < window->at + window->len) {
            char *from = window->bytes + (at - window->at);
            size_t have = window->len - (size_t)(at - window->at);
            char *stop = memchr(from, '\n', have);
            if (stop) {
                *stop = '\0';
                *ret = from;
                *ret_len = (size_t)(stop - from);
                return 0;
            }
            if (have >= end - at || have >= LINE_SIZE_MAX)
                return err_set(err, FAIL_CORRUPT, "manifest %s: the line at byte %llu has no end",
                               window->name, (unsigned long long)at);
        }
        int rc = window_fill(window, at, want < end - at ? want : (size_t)(end - at), err);
        if (rc != 0)
            return rc;
    }
}

int window_bytes(struct window *window, uint64_t at, size_t want, uint64_t end, char **ret,
                 struct err *err)
{
    if (at < window->at || at + want > window->at + window->len) {
        size_t more = want > WINDOW_SIZE ? want : WINDOW_SIZE;
        int rc = window_fill(window, at, more < end - at ? more : (size_t)(end - at), err);
        if (rc != 0)
            return rc;
    }
    *ret = window->bytes + (at - window->at);
    return 0;
}

int window_copy(struct window *window, uint64_t from, uint64_t to, lines_fn *take, void *ctx,
                struct err *err)
{
    int rc = 0;
    while (rc == 0 && from < to) {
        char *bytes = NULL;
        size_t part = to - from < WINDOW_SIZE ? (size_t)(to - from) : WINDOW_SIZE;
        rc = window_bytes(window, from, part, to, &bytes, err);
        if (rc == 0)
            rc = take(ctx, bytes, part, err);
        from += part;
    }
    return rc;
}
