/* nosync - a library to preload, that makes every request to write things to the disk succeed without being done. What it costs a program to
 * forget them is then seen by tests/fault/power.py, which shows that it can fail. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int syncfs(int fd)
{
    (void)fd;
    return 0;
}

int sync_file_range(int fd, off_t from, off_t len, unsigned flags)
{
    (void)fd, (void)from, (void)len, (void)flags;
    return 0;
}

int msync(void *at, size_t len, int flags)
{
    (void)at, (void)len, (void)flags;
    return 0;
}
