/* calls - a library to preload, that makes the n-th call of one kind fail in one phase of a program, and remembers which
 * files were not synced for it.
 *
 * CONFLEET_CALLS is a folder. Its file `order` holds one line: PROGRAM PHASE CALL N ERROR HOW. PROGRAM is agent, worker or
 * controller. PHASE of a worker is its order (`backup`, `unpack.act`), of an agent the last line that it logged of a step
 * (`unpack.intent`), else `boot` and `run`. ERROR is an errno, or 0 for half of what was asked for. HOW is once, good (this
 * process, from then on) or ever (all later ones, too). What is said goes to the file `log`:
 *   count PROGRAM PHASE CALL N       at the end of a phase
 *   fired PROGRAM PHASE CALL N PID PATH
 *   unsynced|again|resynced|renamed INODE PATH     of files whose sync was made to fail: bytes from FROM to TO are in doubt
 *
 * It asks the kernel itself, so nothing of libc is between; a child counts no more. Standard error is never made to fail:
 * there is nowhere to complain about that. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define CALLS(X)                                                                                 \
    X(OPEN, "open") X(READ, "read") X(WRITE, "write") X(PWRITE, "pwrite") X(FSYNC, "fsync")          \
    X(RENAME, "rename") X(UNLINK, "unlink") X(MALLOC, "malloc") X(FORK, "fork")                    \
    X(CONNECT, "connect") X(PIPE_READ, "pipe-read") X(PIPE_WRITE, "pipe-write")
#define X(id, name) CALL_##id,
enum call { CALLS(X) CALL_COUNT };
#undef X
#define X(id, name) name,
static const char *const names[] = { CALLS(X) };
#undef X

enum how { ONCE, GOOD, EVER };
static struct { char phase[64]; enum call call; unsigned n; int error; enum how how; } order;
static char folder[200], program[32], phase[64] = "boot";
static atomic_uint counts[CALL_COUNT];
static atomic_bool on, armed, fired;

/* Files whose sync is watched: what was written and not synced since, [from, to), and whether a sync of it has failed. */
struct file { dev_t dev; ino_t ino; off_t from, to; bool failed, folder; };
static struct file files[512];
static size_t file_count;
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool watching;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char path[256], line[5000];
    int before = errno;
    va_list ap;
    va_start(ap, format);
    int len = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    (void)snprintf(path, sizeof path, "%s/log", folder);
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0 && len > 0) {
        (void)!syscall(SYS_write, fd, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
        (void)syscall(SYS_close, fd);
    }
    errno = before;
}

static void phase_end(void)
{
    for (int i = 0; i < CALL_COUNT; i++) {
        unsigned n = atomic_exchange(&counts[i], 0);
        if (n)
            say("count %s %s %s %u\n", program, phase, names[i], n);
    }
}

static void phase_begin(const char *name)
{
    if (strcmp(name, phase) == 0)
        return;
    phase_end();
    (void)snprintf(phase, sizeof phase, "%s", name);
    atomic_store(&armed, strcmp(phase, order.phase) == 0);
}

static bool fire(enum call call, unsigned n, const char *path)
{
    char marker[256];
    (void)snprintf(marker, sizeof marker, "%s/fired", folder);
    long fd = syscall(SYS_openat, AT_FDCWD, marker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {                /* another process of the same name was first */
        order.n = 0;
        return false;
    }
    (void)syscall(SYS_close, fd);
    atomic_store(&fired, true);
    say("fired %s %s %s %u %d %s\n", program, phase, names[call], n, (int)getpid(), path);
    return true;
}

/* True when this call is to fail now. */
static bool hit(enum call call, const char *path)
{
    if (!atomic_load(&on))
        return false;
    unsigned n = atomic_fetch_add(&counts[call], 1) + 1;
    if (order.n == 0 || call != order.call)
        return false;
    if (atomic_load(&fired))
        return order.how != ONCE;
    return atomic_load(&armed) && n == order.n && fire(call, n, path);
}

static bool failing(enum call call, const char *path)
{
    if (!hit(call, path))
        return false;
    errno = order.error;
    return true;
}

static void path_of(int fd, char path[4096])
{
    char name[64];
    int before = errno;
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(name, path, 4095);
    path[len > 0 ? len : 0] = '\0';
    errno = before;
}

/* Is this a call that can fail in earnest: a file, or a pipe or socket that may block? Eventfd and the like are neither. */
static bool kind_of(int fd, bool reads, enum call *ret)
{
    struct stat st;
    int before = errno;
    bool known = fd != 2 && fstat(fd, &st) == 0;
    if (known && S_ISREG(st.st_mode))
        *ret = reads ? CALL_READ : CALL_WRITE;
    else if (known && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) && !(fcntl(fd, F_GETFL) & O_NONBLOCK))
        *ret = reads ? CALL_PIPE_READ : CALL_PIPE_WRITE;
    else
        known = false;
    errno = before;
    return known;
}

/* Whether it fails; what is left of len when it is only cut short. */
static bool cut(enum call call, int fd, size_t *len)
{
    char path[4096] = "";
    if (atomic_load(&on) && order.n && call == order.call)
        path_of(fd, path);
    if (!hit(call, path))
        return false;
    errno = order.error;
    if (order.error == 0)
        *len = *len > 1 ? *len / 2 : *len;
    return order.error != 0;
}

/* ------------------------------------------------------------------ files whose sync failed */

static struct file *file_of(int fd, bool make)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return NULL;
    for (size_t i = 0; i < file_count; i++)
        if (files[i].dev == st.st_dev && files[i].ino == st.st_ino)
            return &files[i];
    if (!make || file_count == sizeof files / sizeof *files)
        return NULL;
    files[file_count] = (struct file){ .dev = st.st_dev, .ino = st.st_ino, .from = -1, .folder = S_ISDIR(st.st_mode) };
    return &files[file_count++];
}

static void tell(const char *what, int fd, const struct file *file)
{
    char path[4096];
    path_of(fd, path);
    say("%s %s %s %lu:%lu %lld %lld %s\n", what, program, file->folder ? "folder" : "file", (unsigned long)file->dev,
        (unsigned long)file->ino, (long long)file->from, (long long)file->to, path);
}

static void written(int fd, off_t from, off_t to)
{
    int before = errno;
    (void)pthread_mutex_lock(&files_lock);
    struct file *file = file_of(fd, true);
    if (file && file->failed) {
        if (from <= file->from && to > file->from) {
            file->from = to;
            if (file->from >= file->to) {
                file->failed = false;
                tell("again", fd, file);
                file->from = -1;
            }
        }
    } else if (file) {
        file->to = file->from < 0 || to > file->to ? to : file->to;
        file->from = file->from < 0 || from < file->from ? from : file->from;
    }
    (void)pthread_mutex_unlock(&files_lock);
    errno = before;
}

static void synced(int fd, bool ok)
{
    int before = errno;
    (void)pthread_mutex_lock(&files_lock);
    struct file *file = file_of(fd, true);
    if (file && !ok) {
        file->failed = true;
        tell("unsynced", fd, file);
    } else if (file && file->failed && !file->folder && file->from >= 0) {
        tell("resynced", fd, file);
    } else if (file) {
        if (file->failed)
            tell("again", fd, file);
        file->failed = false;
        file->from = -1;
    }
    (void)pthread_mutex_unlock(&files_lock);
    errno = before;
}

static void shortened(int fd, off_t len)
{
    (void)pthread_mutex_lock(&files_lock);
    struct file *file = file_of(fd, false);
    if (file && file->failed && len <= file->from) {
        file->failed = false;
        tell("again", fd, file);
        file->from = -1;
    }
    (void)pthread_mutex_unlock(&files_lock);
}

/* What earlier processes left in doubt. */
static void files_read(const char *log)
{
    char line[5000];
    FILE *in = fopen(log, "re");
    while (in && fgets(line, sizeof line, in)) {
        char what[16], who[32], kind[16];
        unsigned long dev, ino;
        long long from, to;
        if (sscanf(line, "%15s %31s %15s %lu:%lu %lld %lld", what, who, kind, &dev, &ino, &from, &to) != 7)
            continue;
        size_t at = 0;
        while (at < file_count && (files[at].dev != dev || files[at].ino != ino))
            at++;
        if (at == sizeof files / sizeof *files)
            break;
        if (at == file_count)
            file_count++;
        files[at] = (struct file){ dev, ino, (off_t)from, (off_t)to, strcmp(what, "again") != 0, kind[1] == 'o' };
        if (!files[at].failed)
            files[at].from = -1;
        atomic_store(&watching, true);
    }
    if (in)
        (void)fclose(in);
}

/* ------------------------------------------------------------------ settings and phases */

static bool order_read(const char *path)
{
    char line[256], who[32] = "", call[32] = "", how[8] = "";
    FILE *in = fopen(path, "re");
    bool have = in && fgets(line, sizeof line, in);
    if (in)
        (void)fclose(in);
    if (!have || sscanf(line, "%31s %63s %31s %u %d %7s", who, order.phase, call, &order.n, &order.error, how) != 6 ||
        strcmp(who, program) != 0)
        return false;
    order.how = how[0] == 'o' ? ONCE : how[0] == 'g' ? GOOD : EVER;
    for (int i = 0; i < CALL_COUNT; i++)
        if (strcmp(names[i], call) == 0)
            order.call = (enum call)i;
    return true;
}

__attribute__((constructor)) static void begin(void)
{
    char path[256];
    const char *dir = getenv("CONFLEET_CALLS");
    const char *name = strrchr(program_invocation_short_name, '-');
    if (!dir || !name)
        return;
    (void)snprintf(folder, sizeof folder, "%s", dir);
    (void)snprintf(program, sizeof program, "%s", name + 1);
    (void)snprintf(path, sizeof path, "%s/order", folder);
    if (!order_read(path))
        order.n = 0;
    (void)snprintf(path, sizeof path, "%s/log", folder);
    if (order.n && order.call == CALL_FSYNC)
        atomic_store(&watching, true);
    files_read(path);
    (void)snprintf(path, sizeof path, "%s/fired", folder);
    if (order.n && access(path, F_OK) == 0) {
        order.n = order.how == EVER ? order.n : 0;
        atomic_store(&fired, true);
    }
    errno = 0;
    atomic_store(&armed, strcmp(phase, order.phase) == 0);
    atomic_store(&on, true);
}

__attribute__((destructor)) static void finish(void)
{
    if (atomic_exchange(&on, false))
        phase_end();
}

/* The head of a WorkerOrder: job = 1, step = 2, phase = 3, behind a length of four bytes. */
static void order_seen(const unsigned char *bytes, ssize_t len)
{
    char text[2][32] = { "", "" }, name[80];
    static const char *const ways[] = { "none", "act", "undo", "probe" };
    ssize_t at = 4;
    unsigned way = 0;
    for (int i = 0; i < 2 && at + 2 < len && bytes[at] == (i ? 0x12 : 0x0a); i++) {
        size_t size = bytes[at + 1] < 31 ? bytes[at + 1] : 31;
        if (at + 2 + (ssize_t)size > len)
            return;
        memcpy(text[i], bytes + at + 2, size);
        at += 2 + bytes[at + 1];
    }
    if (at + 1 < len && bytes[at] == 0x18)
        way = bytes[at + 1] < 4 ? bytes[at + 1] : 0;
    if (text[1][0])
        (void)snprintf(name, sizeof name, "%s.%s", text[1], ways[way]);
    else
        (void)snprintf(name, sizeof name, "%s", text[0][0] ? text[0] : "run");
    phase_begin(name);
}

/* A line of the log says where the program is. */
static void line_seen(const char *bytes, size_t len)
{
    char line[512], step[32] = "", event[32] = "", name[70];
    size_t size = len < sizeof line - 1 ? len : sizeof line - 1;
    memcpy(line, bytes, size);
    line[size] = '\0';
    const char *at = strstr(line, " step="), *then = strstr(line, " event=");
    if (strstr(line, " agent.start ") || strstr(line, " controller.ready "))
        phase_begin("run");
    if (!strstr(line, " run.step ") || !at || !then || sscanf(at, " step=%31[a-z-]", step) != 1 ||
        sscanf(then, " event=%31[a-z-]", event) != 1)
        return;
    (void)snprintf(name, sizeof name, "%s.%s%s", step, strstr(line, " undo=true") ? "undo-" : "", event);
    phase_begin(name);
}

/* ------------------------------------------------------------------ the calls */

#define ALIAS(type, name, of, ...) type name(__VA_ARGS__) __attribute__((alias(#of)))

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    if (failing(CALL_OPEN, path))
        return -1;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && (flags & O_TRUNC) && atomic_load(&watching))
        shortened(fd, 0);
    return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return open_at(dir, path, flags, mode);
}

ALIAS(int, open64, open, const char *path, int flags, ...);
ALIAS(int, openat64, openat, int dir, const char *path, int flags, ...);

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __openat_2(int dir, const char *path, int flags);
int __openat_2(int dir, const char *path, int flags) { return open_at(dir, path, flags, 0); }
int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));
int __openat64_2(int dir, const char *path, int flags) __attribute__((alias("__openat_2")));

FILE *fopen(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "fopen");
    return failing(CALL_OPEN, path) ? NULL : real(path, mode);
}
ALIAS(FILE *, fopen64, fopen, const char *path, const char *mode);

DIR *opendir(const char *path)
{
    DIR *(*real)(const char *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "opendir");
    return failing(CALL_OPEN, path) ? NULL : real(path);
}

ssize_t read(int fd, void *bytes, size_t len)
{
    enum call call;
    if (kind_of(fd, true, &call) && cut(call, fd, &len))
        return -1;
    ssize_t got = syscall(SYS_read, fd, bytes, len);
    if (fd == 0 && got > 4 && strcmp(phase, "boot") == 0 && strcmp(program, "worker") == 0)
        order_seen(bytes, got);
    return got;
}

ssize_t pread(int fd, void *bytes, size_t len, off_t at)
{
    return cut(CALL_READ, fd, &len) ? -1 : syscall(SYS_pread64, fd, bytes, len, at);
}
ALIAS(ssize_t, pread64, pread, int fd, void *bytes, size_t len, off_t at);

ssize_t __read_chk(int fd, void *bytes, size_t len, size_t size);
ssize_t __read_chk(int fd, void *bytes, size_t len, size_t size)
{
    if (len > size)
        abort();
    return read(fd, bytes, len);
}
ssize_t __pread_chk(int fd, void *bytes, size_t len, off_t at, size_t size);
ssize_t __pread_chk(int fd, void *bytes, size_t len, off_t at, size_t size)
{
    if (len > size)
        abort();
    return pread(fd, bytes, len, at);
}
ssize_t __pread64_chk(int fd, void *bytes, size_t len, off_t at, size_t size) __attribute__((alias("__pread_chk")));

ssize_t write(int fd, const void *bytes, size_t len)
{
    enum call call;
    if (fd == 2 && atomic_load(&on))
        line_seen(bytes, len);
    if (kind_of(fd, false, &call) && cut(call, fd, &len))
        return -1;
    ssize_t put = syscall(SYS_write, fd, bytes, len);
    if (put > 0 && atomic_load(&watching)) {
        off_t end = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
        if (end >= put)
            written(fd, end - put, end);
    }
    return put;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (cut(CALL_PWRITE, fd, &len))
        return -1;
    ssize_t put = syscall(SYS_pwrite64, fd, bytes, len, at);
    if (put > 0 && atomic_load(&watching))
        written(fd, at, at + put);
    return put;
}
ALIAS(ssize_t, pwrite64, pwrite, int fd, const void *bytes, size_t len, off_t at);

int ftruncate(int fd, off_t len)
{
    int result = (int)syscall(SYS_ftruncate, fd, len);
    if (result == 0 && atomic_load(&watching))
        shortened(fd, len);
    return result;
}
ALIAS(int, ftruncate64, ftruncate, int fd, off_t len);

static int sync_one(int fd, long number)
{
    char path[4096] = "";
    if (atomic_load(&on) && order.n && order.call == CALL_FSYNC)
        path_of(fd, path);
    bool fails = failing(CALL_FSYNC, path);
    int result = fails ? -1 : (int)syscall(number, fd);
    if (atomic_load(&watching))
        synced(fd, result == 0);
    return result;
}

int fsync(int fd) { return sync_one(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_one(fd, SYS_fdatasync); }

/* All that the file system was given: what failed before may be marked clean, so it is not taken for synced. */
int syncfs(int fd) { return failing(CALL_FSYNC, "all of the file system") ? -1 : (int)syscall(SYS_syncfs, fd); }

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return failing(CALL_RENAME, from) ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) { return renameat2(from_dir, from, to_dir, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int dir, const char *path, int flags)
{
    return failing(CALL_UNLINK, path) ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

void *malloc(size_t size) { return failing(CALL_MALLOC, "") ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return failing(CALL_MALLOC, "") ? NULL : __libc_calloc(count, size); }
void *realloc(void *p, size_t size) { return failing(CALL_MALLOC, "") ? NULL : __libc_realloc(p, size); }

void *reallocarray(void *p, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, count * size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *p = failing(CALL_MALLOC, "") ? NULL : __libc_memalign(alignment, size);
    if (p)
        *ret = p;
    return p ? 0 : ENOMEM;
}

pid_t fork(void)
{
    pid_t (*real)(void) = NULL;
    if (failing(CALL_FORK, ""))
        return -1;
    *(void **)&real = dlsym(RTLD_NEXT, "fork");
    pid_t pid = real();
    if (pid == 0)
        atomic_store(&on, false);
    return pid;
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    return failing(CALL_CONNECT, "") ? -1 : (int)syscall(SYS_connect, fd, to, len);
}
