/* Preloaded into confleet-agent, confleet-worker, confleet-controller and the PostgreSQL clients
 * that the worker starts. CONFLEET_POINTS names the file of struct points. What is interposed calls
 * on into the next library. */
#include "fault/points.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;

enum role { NOBODY, AGENT, CONTROLLER, WORKER, CLIENT };

static struct points *points;
static enum role role;
static char library[512], file[512];
static char job[32], step[40]; /* of this worker's order, or its client's */
static const char *phase = "";
static int (*next_execve)(const char *, char *const[],
                          char *const[]); /* found before a fork, for it is called behind one */

/* The next library's function of that name, as bytes: ISO C knows no other way. */
static void next_of(const char *name, void *ret, size_t size)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    memcpy(ret, &found, size);
}
#define NEXT(variable, name)                                                                       \
    do {                                                                                           \
        if (!(variable))                                                                           \
            next_of(name, &(variable), sizeof(variable));                                          \
    } while (0)

static void stop_here(const char *where)
{
    int before = errno;
    (void)snprintf(points->where, sizeof points->where, "%s", where);
    points->wanted[0] = '\0';
    points->tick = 0;
    atomic_store(&points->stopped, (int32_t)getpid());
    (void)raise(SIGSTOP);
    errno = before;
}

/* Who wants to know which points there are puts an empty list beside the file. */
static void list(const char *where)
{
    char line[POINT_MAX + 2], path[sizeof file + 8];
    (void)snprintf(path, sizeof path, "%s.list", file);
    int before = errno, fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    int len = snprintf(line, sizeof line, "%s\n", where);
    if (fd >= 0 && write(fd, line, (size_t)len) != len)
        abort();
    if (fd >= 0)
        (void)close(fd);
    errno = before;
}

static void reached(const char *where)
{
    if (!points)
        return;
    uint32_t tick = atomic_fetch_add(&points->ticks, 1) + 1;
    bool mine = points->wanted[0] && strcmp(points->wanted, where) == 0 &&
                atomic_fetch_add(&points->seen, 1) + 1 == points->nth;
    if (mine || (points->tick && tick == points->tick))
        stop_here(where);
}

static void tick(const char *what)
{
    char where[POINT_MAX];
    if (!points || role == NOBODY)
        return;
    int before = errno;
    (void)snprintf(where, sizeof where, "%s %s %s %s",
                   role == WORKER   ? "worker"
                   : role == CLIENT ? "client"
                   : role == AGENT  ? "agent"
                                    : "controller",
                   what, step, phase);
    reached(where);
    errno = before;
}

static enum role role_of(const char *name)
{
    return strcmp(name, "confleet-agent") == 0        ? AGENT
           : strcmp(name, "confleet-controller") == 0 ? CONTROLLER
           : strcmp(name, "confleet-worker") == 0     ? WORKER
                                                      : CLIENT;
}

/* The worker clears its environment: what is needed for its clients is remembered before. */
__attribute__((constructor)) static void begin(void)
{
    NEXT(next_execve, "execve");
    const char *path = getenv("CONFLEET_POINTS"), *of = getenv("CONFLEET_POINTS_OF"),
               *preload = getenv("LD_PRELOAD");
    if (!path || !preload)
        return;
    (void)snprintf(file, sizeof file, "%s", path);
    (void)snprintf(library, sizeof library, "%s", preload);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof(struct points), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at == MAP_FAILED)
        return;
    role = role_of(program_invocation_short_name);
    if (role == CLIENT && (!of || sscanf(of, "%31s", step) != 1))
        role = NOBODY;
    phase = role == CLIENT && strstr(of, " undo") ? "undo" : role == CLIENT ? "act" : "";
    points = at;
}

static void named(const char *where)
{
    if (points)
        list(where);
    reached(where);
}

static void client_point(const char *program, const char *when)
{
    char where[POINT_MAX];
    (void)snprintf(where, sizeof where, "client %s %s %s %s", program, when, step, phase);
    named(where);
}

__attribute__((destructor)) static void end(void)
{
    if (points && role == CLIENT)
        client_point(program_invocation_short_name, "end");
}

/* --- the journal: rows of the table steps, bound before their transaction commits */

static sqlite3_stmt *adding; /* the agent is one thread, as far as its journal goes */
static char row_step[32], row_event[32];
static bool row_there;

int sqlite3_prepare_v3(sqlite3 *db, const char *sql, int len, unsigned flags, sqlite3_stmt **ret,
                       const char **tail);
int sqlite3_prepare_v3(sqlite3 *db, const char *sql, int len, unsigned flags, sqlite3_stmt **ret,
                       const char **tail)
{
    static int (*next)(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **);
    NEXT(next, "sqlite3_prepare_v3");
    int rc = next(db, sql, len, flags, ret, tail);
    if (rc == 0 && role == AGENT && strncmp(sql, "INSERT INTO steps(", 18) == 0)
        adding = *ret;
    return rc;
}

int sqlite3_bind_text(sqlite3_stmt *stmt, int at, const char *text, int len, void (*done)(void *));
int sqlite3_bind_text(sqlite3_stmt *stmt, int at, const char *text, int len, void (*done)(void *))
{
    static int (*next)(sqlite3_stmt *, int, const char *, int, void (*)(void *));
    NEXT(next, "sqlite3_bind_text");
    if (stmt == adding && adding && text && at == 2)
        (void)snprintf(row_step, sizeof row_step, "%s", text);
    if (stmt == adding && adding && text && at == 3) {
        (void)snprintf(row_event, sizeof row_event, "%s", text);
        row_there = true;
    }
    return next(stmt, at, text, len, done);
}

/* "intent" is one of the four positions' words, "end" stands for whatever the step came to. */
static void journal_point(const char *when)
{
    char where[POINT_MAX];
    bool intent = strcmp(row_event, "intent") == 0;
    if (intent && strcmp(row_step, "check") == 0)
        points->undoing = 0;
    else if (strcmp(row_event, "failed") == 0 || strcmp(row_event, "rollback-ordered") == 0)
        points->undoing = 1;
    const char *ended = strcmp(row_event, "done") == 0 || strcmp(row_event, "soak-over") == 0 ||
                                strcmp(row_event, "undone") == 0
                            ? "end"
                            : row_event;
    (void)snprintf(step, sizeof step, "%s", row_step);
    phase = points->undoing ? "undo" : "act";
    (void)snprintf(where, sizeof where, "agent %s-%s %s %s", when, intent ? "intent" : ended,
                   row_step, phase);
    named(where);
}

int sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg,
                 char **error);
int sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg,
                 char **error)
{
    static int (*next)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *,
                       char **);
    NEXT(next, "sqlite3_exec");
    bool commit = points && strcmp(sql, "COMMIT") == 0,
         known = commit && role == AGENT && row_there;
    row_there = row_there && !commit && strcmp(sql, "ROLLBACK") != 0;
    if (known)
        journal_point("before");
    else if (commit)
        tick("commit");
    int rc = next(db, sql, row, arg, error);
    if (known && rc == 0)
        journal_point("after");
    return rc;
}

/* --- the worker: its order, its result */

static size_t varint(const unsigned char *at, size_t len, size_t *used)
{
    size_t value = 0;
    unsigned shift = 0;
    for (*used = 0; *used < len && shift < 32; shift += 7) {
        unsigned char byte = at[(*used)++];
        value |= (size_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

/* message WorkerOrder: job = 1, step = 2, phase = 3, in this order, behind four bytes of length. */
static void order_look(const unsigned char *at, size_t len)
{
    static const char *const phases[] = { "act", "act", "undo", "probe" };
    size_t used = 0;
    for (size_t i = 4; i + 2 < len; i += used) {
        unsigned char tag = at[i++];
        size_t value = varint(at + i, len - i, &used);
        if ((tag == 0x0a || tag == 0x12) && value < sizeof job && i + used + value <= len) {
            char *to = tag == 0x0a ? job : step;
            memcpy(to, at + i + used, value);
            to[value] = '\0';
            used += value;
        } else {
            phase = phases[tag == 0x18 && value < 4 ? value : 0];
            return;
        }
    }
}

static void worker_point(const char *when)
{
    char where[POINT_MAX];
    if (strcmp(job, "step") != 0)
        (void)snprintf(step, sizeof step, "-%s", job);
    (void)snprintf(where, sizeof where, "worker %s %s %s", when, step, phase);
    named(where);
}

ssize_t read(int fd, void *bytes, size_t len)
{
    static ssize_t (*next)(int, void *, size_t);
    NEXT(next, "read");
    ssize_t got = next(fd, bytes, len);
    if (role == WORKER && fd == 0 && !job[0] && got > 8) {
        order_look(bytes, (size_t)got);
        worker_point("start");
    }
    return got;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    static ssize_t (*next)(int, const void *, size_t);
    NEXT(next, "write");
    /* message WorkerReply: result = 4. */
    if (role == WORKER && fd == 1 && len > 5 && ((const unsigned char *)bytes)[4] == 0x22)
        worker_point("result");
    return next(fd, bytes, len);
}

/* --- children of the worker */

static bool is_client(const char *name)
{
    return strncmp(name, "pg_", 3) == 0 || strcmp(name, "psql") == 0 || strcmp(name, "initdb") == 0;
}

int execve(const char *path, char *const argv[], char *const envp[])
{
    if (role != WORKER)
        return next_execve(path, argv, envp);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    client_point(name, "begin");
    char preload[600], at[600], of[128], *more[64];
    size_t count = 0;
    while (count < 60 && envp[count]) {
        more[count] = envp[count];
        count++;
    }
    if (!is_client(name) || count == 60)
        return next_execve(path, argv, envp);
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", library);
    (void)snprintf(at, sizeof at, "CONFLEET_POINTS=%s", file);
    (void)snprintf(of, sizeof of, "CONFLEET_POINTS_OF=%s %s", step, phase);
    more[count++] = preload;
    more[count++] = at;
    more[count++] = of;
    more[count] = NULL;
    return next_execve(path, argv, more);
}

/* --- what changes files and databases: a tick before each */

#define TICKED(type, name, parameters, words)                                                      \
    type name parameters;                                                                          \
    type name parameters                                                                           \
    {                                                                                              \
        static type(*next) parameters;                                                             \
        NEXT(next, #name);                                                                         \
        tick(#name);                                                                               \
        return next words;                                                                         \
    }

TICKED(int, rename, (const char *from, const char *to), (from, to))
TICKED(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
TICKED(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
       (a, from, b, to, flags))
TICKED(int, unlink, (const char *path), (path))
TICKED(int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
TICKED(int, rmdir, (const char *path), (path))
TICKED(int, mkdir, (const char *path, mode_t mode), (path, mode))
TICKED(int, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))
TICKED(int, symlinkat, (const char *to, int at, const char *path), (to, at, path))
TICKED(int, linkat, (int a, const char *from, int b, const char *to, int flags),
       (a, from, b, to, flags))
TICKED(int, fsync, (int fd), (fd))
TICKED(int, fdatasync, (int fd), (fd))
TICKED(int, syncfs, (int fd), (fd))
TICKED(PGresult *, PQexec, (PGconn * c, const char *sql), (c, sql))
TICKED(PGresult *, PQexecParams,
       (PGconn * c, const char *sql, int n, const unsigned *types, const char *const *values,
        const int *lengths, const int *formats, int form),
       (c, sql, n, types, values, lengths, formats, form))
TICKED(int, PQsendQuery, (PGconn * c, const char *sql), (c, sql))
TICKED(int, kill, (pid_t pid, int number), (pid, number))

/* --- time */

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    static int (*next)(clockid_t, struct timespec *);
    NEXT(next, "clock_gettime");
    int rc = next(clock, ret);
    int64_t skew_ms = points && role == AGENT && rc == 0 && clock == CLOCK_BOOTTIME
                          ? atomic_load(&points->skew_ms)
                          : 0;
    ret->tv_sec += skew_ms / 1000;
    return rc;
}
