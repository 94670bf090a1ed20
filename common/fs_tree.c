/* Removal of whole trees: by descriptors, so that a swapped symlink cannot lead it elsewhere. */
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 128

static void close_dir(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir);
    *dir = NULL;
}

static int remove_children(int fd, dev_t device, int depth, const char *name, struct err *err);

static int remove_child(int fd, const char *child, dev_t device, int depth, struct err *err)
{
    struct stat st;
    if (fstatat(fd, child, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_sys(err, FAIL_IO, errno, "stat %s", child);
    if (!S_ISDIR(st.st_mode)) {
        if (unlinkat(fd, child, 0) != 0 && errno != ENOENT)
            return err_sys(err, FAIL_IO, errno, "remove %s", child);
        return 0;
    }
    if (st.st_dev != device)
        return err_set(err, FAIL_DENIED, "%s is a mount point; it is not removed", child);
    CLEANUP(close_fd) int inner = openat(fd, child, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", child);
    int result = remove_children(inner, device, depth + 1, child, err);
    if (result != 0)
        return result;
    if (unlinkat(fd, child, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return err_sys(err, FAIL_IO, errno, "remove folder %s", child);
    return 0;
}

static int remove_children(int fd, dev_t device, int depth, const char *name, struct err *err)
{
    if (depth > DEPTH_MAX)
        return err_set(err, FAIL_LIMIT, "%s lies deeper than %d folders", name, DEPTH_MAX);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    CLEANUP(close_dir) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        int result = err_sys(err, FAIL_IO, errno, "list %s", name);
        if (copy >= 0)
            (void)close(copy);
        return result;
    }
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry)
            return errno ? err_sys(err, FAIL_IO, errno, "list %s", name) : 0;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int result = remove_child(fd, entry->d_name, device, depth, err);
        if (result != 0)
            return result;
    }
}

int fs_remove_tree(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : err_sys(err, FAIL_IO, errno, "stat %s", path);
    if (!S_ISDIR(st.st_mode))
        return fs_unlink(path, err);
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", path);
    if (remove_children(fd, st.st_dev, 0, path, err) != 0)
        return err_wrap(err, "remove %s", path);
    if (rmdir(path) != 0)
        return err_sys(err, FAIL_IO, errno, "remove %s", path);
    return fs_sync_parent(path, err);
}
