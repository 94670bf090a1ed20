/* window - a piece of a file that is read from anywhere, mostly onwards: lines, and runs of bytes.
 *
 * Does not open or close the file. What it hands out is good until the next call. */
#pragma once
#include "confleet/str.h"

typedef int lines_fn(void *ctx, const char *bytes, size_t len, struct err *err);
struct window {
    int fd; /* borrowed */
    const char *name; /* borrowed */
    char *bytes;
    size_t size, len;
    uint64_t at; /* where it begins in the file */
};
void window_free(struct window *window);
/* The line that begins there, which has its end before end; its newline is made a zero byte. */
int window_line(struct window *window, uint64_t at, uint64_t end, char **ret, size_t *ret_len,
                struct err *err) MUST_USE;
/* So many bytes from there, before end. */
int window_bytes(struct window *window, uint64_t at, size_t want, uint64_t end, char **ret,
                 struct err *err) MUST_USE;
int window_copy(struct window *window, uint64_t from, uint64_t to, lines_fn *take, void *ctx,
                struct err *err) MUST_USE;
/* Exactly so many bytes, past any window. */
int window_read(int fd, const char *name, char *to, size_t len, uint64_t at,
                struct err *err) MUST_USE;
