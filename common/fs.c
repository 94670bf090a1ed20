#include "confleet/fs.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static enum fail io_code(int errno_value)
{
    if (errno_value == ENOENT || errno_value == ENOTDIR)
        return FAIL_NOT_FOUND;
    return errno_value == ENOSPC || errno_value == EDQUOT ? FAIL_SPACE : FAIL_IO;
}

char *fs_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);
    return text_printf("%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", name);
}

int fs_read_fd(int fd, const char *name, size_t size_max, struct str *ret_text, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    char buffer[16384];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, io_code(errno), errno, "read %s", name);
        if (got == 0)
            break;
        if (text.len + (size_t)got > size_max)
            return err_set(err, FAIL_LIMIT, "%s is larger than %zu bytes", name, size_max);
        str_add_bytes(&text, buffer, (size_t)got);
    }
    str_add_bytes(&text, "", 0);
    str_free(ret_text);
    *ret_text = text;
    text = (struct str){ 0 };
    return 0;
}

int fs_read(const char *path, size_t size_max, struct str *ret_text, struct err *err)
{
    struct stat st;
    /* Before the open as well: opening some devices has an effect, such as arming a watchdog. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(err, FAIL_IO, "%s is %s", path,
                       S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(err, io_code(errno), errno, "open %s", path);
    if (fstat(fd, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "stat %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_IO, "%s is no regular file", path);
    return fs_read_fd(fd, path, size_max, ret_text, err);
}

int fs_write_all(int fd, const void *bytes, size_t len, struct err *err)
{
    const char *p = bytes;
    while (len) {
        ssize_t put = write(fd, p, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_sys(err, io_code(errno), errno, "write");
        p += put;
        len -= (size_t)put;
    }
    return 0;
}

int fs_sync_fd(int fd, const char *name, struct err *err)
{
    /* Never tried twice: after a failure the kernel may have dropped the pages (pitfalls, R11). */
    if (fsync(fd) != 0)
        return err_sys(err, io_code(errno), errno, "sync %s", name);
    return 0;
}

int fs_close(int *fd, const char *name, struct err *err)
{
    int result = close(*fd);
    *fd = -1;
    return result != 0 ? err_sys(err, io_code(errno), errno, "close %s", name) : 0;
}

int fs_sync_dir(const char *dir, struct err *err)
{
    CLEANUP(close_fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, io_code(errno), errno, "open folder %s", dir);
    return fs_sync_fd(fd, dir, err);
}

int fs_sync_parent(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(free_mem) char *dir = !slash ? text_dup(".") : slash == path ? text_dup("/") : text_printf("%.*s", (int)(slash - path), path);
    return fs_sync_dir(dir, err);
}

static int write_partial(const char *partial, const void *bytes, size_t len, mode_t mode, struct err *err)
{
    if (unlink(partial) != 0 && errno != ENOENT)
        return err_sys(err, FAIL_IO, errno, "remove %s", partial);
    CLEANUP(close_fd) int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_sys(err, io_code(errno), errno, "create %s", partial);
    if (fchmod(fd, mode) != 0)
        return err_sys(err, FAIL_IO, errno, "set mode of %s", partial);
    if (fs_write_all(fd, bytes, len, err) != 0)
        return err_wrap(err, "%s", partial);
    int result = fs_sync_fd(fd, partial, err);
    return result != 0 ? result : fs_close(&fd, partial, err);
}

int fs_write(const char *path, const void *bytes, size_t len, mode_t mode, struct err *err)
{
    CLEANUP(free_mem) char *partial = text_printf("%s.partial", path);
    int result = write_partial(partial, bytes, len, mode, err);
    if (result == 0)
        result = fs_rename(partial, path, err);
    if (result != 0)
        (void)unlink(partial);      /* the first error is the one to tell */
    return result;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
    CLEANUP(free_mem) char *copy = text_dup(path);
    for (char *p = copy + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(copy, mode) == 0) {
            int result = fs_sync_parent(copy, err);
            if (result != 0)
                return result;
        } else if (errno != EEXIST) {
            return err_sys(err, io_code(errno), errno, "make folder %s", copy);
        }
        *p = end;
        if (end == '\0')
            break;
    }
    if (!fs_is_dir(path))
        return err_set(err, FAIL_IO, "%s is not a folder", path);
    return 0;
}

int fs_rename(const char *from, const char *to, struct err *err)
{
    if (rename(from, to) != 0)
        return err_sys(err, io_code(errno), errno, "rename %s to %s", from, to);
    int result = fs_sync_parent(to, err);
    return result != 0 ? result : fs_sync_parent(from, err);
}

int fs_exchange(const char *a, const char *b, struct err *err)
{
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) != 0)
        return err_sys(err, io_code(errno), errno, "exchange %s and %s", a, b);
    int result = fs_sync_parent(a, err);
    return result != 0 ? result : fs_sync_parent(b, err);
}

int fs_unlink(const char *path, struct err *err)
{
    if (unlink(path) != 0) {
        if (errno == ENOENT)
            return 0;
        return err_sys(err, FAIL_IO, errno, "remove %s", path);
    }
    return fs_sync_parent(path, err);
}

bool fs_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool fs_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int fs_space(const char *path, uint64_t *ret_free_bytes, uint64_t *ret_free_inodes, struct err *err)
{
    struct statvfs vfs;
    if (statvfs(path, &vfs) != 0)
        return err_sys(err, io_code(errno), errno, "space of %s", path);
    *ret_free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    if (ret_free_inodes)    /* file systems without a fixed number of inodes say zero of zero */
        *ret_free_inodes = vfs.f_files ? (uint64_t)vfs.f_favail : UINT64_MAX;
    return 0;
}

int fs_lock(const char *path, int *ret_fd, struct err *err)
{
    CLEANUP(close_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(err, io_code(errno), errno, "open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char holder[32] = "";
        if (errno != EWOULDBLOCK)
            return err_sys(err, FAIL_IO, errno, "lock %s", path);
        if (pread(fd, holder, sizeof holder - 1, 0) < 0)
            holder[0] = '\0';
        holder[strcspn(holder, "\n")] = '\0';
        return err_set(err, FAIL_BUSY, "%s is held by process %s", path, *holder ? holder : "unknown");
    }
    char pid[32];
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)len, 0) != len)
        return err_sys(err, io_code(errno), errno, "write %s", path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int fs_lock_to_read(const char *path, int *ret_fd, struct err *err)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_sys(err, io_code(errno), errno, "open %s", path);
    int rc = flock(fd, LOCK_EX | LOCK_NB);
    if (rc != 0 && errno == EBADF)      /* NFS gives nobody an exclusive lock who may not write */
        rc = flock(fd, LOCK_SH | LOCK_NB);
    if (rc != 0 && errno == EWOULDBLOCK)
        return err_set(err, FAIL_BUSY, "%s is held by another process", path);
    if (rc != 0)
        return err_sys(err, FAIL_IO, errno, "lock %s", path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}
