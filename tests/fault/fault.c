/* fault - a library to preload, that makes one kind of system call fail on files of one kind of name.
 *
 * CONFLEET_FAULT=CALL:ERRNO:PART[:NTH]: CALL is write, fsync or rename; ERRNO a number; PART is in the path; from the NTH
 * such call on (1). It calls the kernel itself, so nothing of libc is between. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_uint seen;
static char wanted[16], part[256];
static unsigned number, nth = 1;

/* The program may clear its environment; this comes before. */
__attribute__((constructor)) static void read_setting(void)
{
    const char *text = getenv("CONFLEET_FAULT");
    if (!text || sscanf(text, "%15[a-z]:%u:%255[^:]:%u", wanted, &number, part, &nth) < 3)
        wanted[0] = '\0';
}

static bool fails(const char *call, const char *path)
{
    if (strcmp(wanted, call) != 0 || !strstr(path, part) || atomic_fetch_add(&seen, 1) + 1 < nth)
        return false;
    errno = (int)number;
    return true;
}

static bool fails_fd(const char *call, int fd)
{
    char name[64], path[4096];
    int before = errno;
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(name, path, sizeof path - 1);
    errno = before;
    if (len <= 0)
        return false;
    path[len] = '\0';
    return fails(call, path);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    return fails_fd("write", fd) ? -1 : syscall(SYS_write, fd, bytes, len);
}

int fsync(int fd)
{
    return fails_fd("fsync", fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fails_fd("fsync", fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
    return fails_fd("fsync", fd) ? -1 : (int)syscall(SYS_syncfs, fd);
}

int rename(const char *from, const char *to)
{
    return fails("rename", from) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails("rename", from) ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}
