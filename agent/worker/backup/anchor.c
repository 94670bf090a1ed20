#include "anchor.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Folders of a path that are gone at once, and how many more there must be for that to pay. */
#define STEPS 3u

void anchor_free(struct anchor *anchor)
{
    while (anchor->count > 0)
        (void)close(anchor->held[--anchor->count].fd);
    str_free(&anchor->path);
    str_free(&anchor->wanted);
}

static size_t held_len(const struct anchor *anchor)
{
    return anchor->count ? anchor->held[anchor->count - 1].len : 0;
}

static void leave(struct anchor *anchor, const char *path)
{
    size_t len;
    while ((len = held_len(anchor)) > 0 &&
           (strncmp(path, anchor->path.s, len) != 0 || path[len] != '/'))
        (void)close(anchor->held[--anchor->count].fd);
}

/* Bytes of the first folders of rest; 0 when it is too short. */
static size_t folders_len(const char *rest)
{
    size_t len = 0;
    unsigned seen = 0;
    for (const char *c = rest; *c; c++) {
        if (*c != '/')
            continue;
        if (++seen == STEPS)
            len = (size_t)(c - rest);
        if (seen > STEPS)
            return len;
    }
    return 0;
}

int anchor_find(struct anchor *anchor, const char *path, const char **ret_rest)
{
    leave(anchor, path);
    size_t len = held_len(anchor);
    int fd = len ? anchor->held[anchor->count - 1].fd : anchor->root;
    const char *rest = path + len + (len > 0);
    size_t more = anchor->count < ANCHOR_MAX ? folders_len(rest) : 0, whole = len + (len > 0) + more;
    *ret_rest = rest;
    if (more == 0)
        return fd;
    if (anchor->wanted.len != whole || memcmp(anchor->wanted.s, path, whole) != 0) {
        str_clear(&anchor->wanted);
        str_add_bytes(&anchor->wanted, path, whole);
        return fd;
    }
    int next = openat(fd, anchor->wanted.s + (rest - path),
                      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
        return fd; /* whoever asks finds out what it is instead */
    str_clear(&anchor->path);
    str_add_bytes(&anchor->path, path, whole);
    anchor->held[anchor->count].fd = next;
    anchor->held[anchor->count++].len = whole;
    *ret_rest = path + whole + 1;
    return next;
}
