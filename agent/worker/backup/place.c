#include "place.h"
#include "confleet/cleanup.h"
#include "xattrs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NS_PER_S 1000000000LL

int place_open(struct place *place, const char *root, struct err *err)
{
    *place = (struct place){ .root = root,
                             .fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                             .dirfd = -1 };
    return place->fd < 0 ? err_sys(err, FAIL_IO, errno, "open %s", root) : 0;
}

void place_forget(struct place *place)
{
    close_fd(&place->dirfd);
    free(place->dir);
    place->dir = NULL;
}

void place_close(struct place *place)
{
    if (!place->root)
        return;
    place_forget(place);
    close_fd(&place->fd);
}

static int open_folder(const struct place *place, const char *dir, int *ret_fd, struct err *err)
{
    CLEANUP(close_fd) int fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[256];
    for (const char *part = dir; fd >= 0 && *part;) {
        size_t len = strcspn(part, "/");
        if (len >= sizeof name)
            return err_set(err, FAIL_LIMIT, "a name in %s is too long", dir);
        memcpy(name, part, len);
        name[len] = '\0';
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int failed = errno;
        (void)close(fd);
        fd = next;
        errno = failed;
        part += len + (part[len] == '/');
    }
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "open folder %s/%s", place->root, dir);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int place_find(struct place *place, const char *path, int *ret_dirfd, const char **ret_name,
               struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        *ret_dirfd = place->fd;
        *ret_name = path;
        return 0;
    }
    size_t len = (size_t)(slash - path);
    if (!place->dir || strlen(place->dir) != len || memcmp(place->dir, path, len) != 0) {
        place_forget(place);
        place->dir = text_printf("%.*s", (int)len, path);
        int rc = open_folder(place, place->dir, &place->dirfd, err);
        if (rc != 0) {
            place_forget(place);
            return rc;
        }
    }
    *ret_dirfd = place->dirfd;
    *ret_name = slash + 1;
    return 0;
}

static struct timespec to_time(int64_t ns)
{
    int64_t rest = ns % NS_PER_S;
    int64_t whole = ns / NS_PER_S - (rest < 0);
    return (struct timespec){ .tv_sec = (time_t)whole, .tv_nsec = (long)(ns - whole * NS_PER_S) };
}

static int failed(const struct place *place, const struct entry *want, const char *what,
                  struct err *err)
{
    return err_sys(err, FAIL_IO, errno, "%s of %s/%s", what, place->root, want->path);
}

/* Owner first, since a new owner takes bits of the mode away; attributes before the mode, since an
 * ACL is part of it. All by one descriptor: whoever owns the folder could put a link in the name's
 * place between two calls. */
int place_apply(struct place *place, int dirfd, const char *name, const struct entry *want,
                struct err *err)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, to_time(want->mtime_ns) };
    struct stat st;
    char by_fd[64];
    CLEANUP(free_mem) char *path = text_printf("/proc/self/fd/%d/%s", dirfd, name);
    CLEANUP(close_fd) int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return failed(place, want, "look", err);
    if (S_ISLNK(st.st_mode) != (want->type == ENTRY_LINK))
        return err_set(err, FAIL_CONFLICT, "%s/%s is being replaced by another program",
                       place->root, want->path);
    (void)snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", fd);
    if ((st.st_uid != want->uid || st.st_gid != want->gid) &&
        fchownat(fd, "", want->uid, want->gid, AT_EMPTY_PATH) != 0)
        return failed(place, want, "set owner", err);
    int rc = xattrs_apply(path, want->xattrs, err);
    if (rc != 0)
        return err_wrap(err, "%s/%s", place->root, want->path);
    /* A symlink has no mode of its own. */
    if (want->type != ENTRY_LINK && chmod(by_fd, want->mode) != 0)
        return failed(place, want, "set mode", err);
    if (utimensat(AT_FDCWD, by_fd, times, 0) != 0)
        return failed(place, want, "set time", err);
    return 0;
}

int place_settle(struct place *place, int dirfd, const char *name, const struct entry *want,
                 bool *ret_touched, struct err *err)
{
    CLEANUP(free_mem) char *path = text_printf("/proc/self/fd/%d/%s", dirfd, name);
    CLEANUP(str_free) struct str xattrs = { 0 };
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return failed(place, want, "look", err);
    struct timespec mtime = to_time(want->mtime_ns);
    int rc = xattrs_read(path, &xattrs, err);
    if (rc != 0)
        return rc;
    bool mode = want->type == ENTRY_LINK || (st.st_mode & 07777) == want->mode;
    *ret_touched = !mode || st.st_uid != want->uid || st.st_gid != want->gid ||
                   st.st_mtim.tv_sec != mtime.tv_sec || st.st_mtim.tv_nsec != mtime.tv_nsec ||
                   strcmp(str_text(&xattrs), want->xattrs) != 0;
    return *ret_touched ? place_apply(place, dirfd, name, want, err) : 0;
}

int place_link(struct place *place, const char *target, const char *path, bool *ret_made,
               struct err *err)
{
    int dirfd = -1;
    const char *name = NULL;
    struct stat here, there;
    *ret_made = false;
    int rc = place_find(place, target, &dirfd, &name, err);
    if (rc != 0)
        return rc;
    CLEANUP(close_fd) int from = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0 || fstat(from, &there) != 0 || !S_ISREG(there.st_mode))
        return err_sys(err, FAIL_IO, errno, "open %s/%s to link to it", place->root, target);
    if ((rc = place_find(place, path, &dirfd, &name, err)) != 0)
        return rc;
    if (fstatat(dirfd, name, &here, AT_SYMLINK_NOFOLLOW) == 0 && here.st_ino == there.st_ino &&
        here.st_dev == there.st_dev)
        return 0;
    CLEANUP(free_mem) char *by_fd = text_printf("/proc/self/fd/%d", from);
    (void)unlinkat(dirfd, PLACE_TEMP, 0);
    if (linkat(AT_FDCWD, by_fd, dirfd, PLACE_TEMP, AT_SYMLINK_FOLLOW) != 0 ||
        renameat(dirfd, PLACE_TEMP, dirfd, name) != 0)
        return err_sys(err, FAIL_IO, errno, "link %s/%s", place->root, path);
    *ret_made = true;
    return 0;
}

int place_special(struct place *place, const struct entry *want, bool *ret_made, struct err *err)
{
    int dirfd = -1;
    const char *name = NULL;
    struct stat st;
    *ret_made = false;
    int rc = place_find(place, want->path, &dirfd, &name, err);
    if (rc != 0 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return rc; /* one of another kind or target was removed before */
    int made = want->type == ENTRY_LINK ? symlinkat(want->target, dirfd, name)
                                        : mkfifoat(dirfd, name, 0600);
    if (made != 0)
        return err_sys(err, FAIL_IO, errno, "make %s/%s", place->root, want->path);
    *ret_made = true;
    return 0;
}
