#include "agent/worker/steps/logwatch.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* fatal: Confluence or Java ends its start with it. The others only explain what is seen otherwise. */
static const struct mark { const char *text; bool fatal; } failures[] = {
    { "doesn't match the build number in the database", true },
    { "will not start up because", true },
    { "is newer than the Confluence build number", true },
    { "License validation failed", true },
    { "Unable to retrieve license", true },
    { "Upgrading directly from versions of Confluence prior to", true },
    { "Pre-upgrade validation failed", true },
    { "Pre-Upgrade recovery file generation failed", true },
    { "Upgrade failed. Please consult the system logs", true },
    { " failed during the SCHEMA_VALIDATION phase", true },
    { " failed during the VALIDATION phase", true },
    { " failed during the SCHEMA_UPGRADE phase", true },
    { " failed during the UPGRADE phase", true },
    { "Database connection failed", true },
    { "Your database is using an unsupported driver", true },
    { "Detected tables with non-default character encoding", true },
    { "found an error in your database connection URL", true },
    { "Received a panic event, stopping processing", true },
    { "Unable to start up Confluence. Fatal error", true },
    { "Unrecognized VM option", true },
    { "Could not create the Java Virtual Machine", true },
    { "UnsupportedClassVersionError", true },
    { "Invalid maximum heap size", true },
    { "Could not reserve enough space for", true },
    { "is required by Confluence, but ha", false },
    { "are required by Confluence, but have not been started", false },
    { "BindException", false },
    { "Address already in use", false },
    { "SchemaUpdate] execute Unsuccessful", false },
    { "must be owner of", false },
    { "permission denied for", false },
    { "ClassNotFoundException", false },
    { "OutOfMemoryError", false },
    { "No space left on device", false },
    { "timed out waiting to enable", false },
};

static const struct { const char *text; size_t at; } goods[] = {
    { "Starting automatic upgrade of Confluence", offsetof(struct logwatch, upgrade_started) },
    { "Upgrade completed successfully", offsetof(struct logwatch, upgraded) },
    { "ApplicationStatus is now RUNNING", offsetof(struct logwatch, running) },
    { "Confluence is ready to serve", offsetof(struct logwatch, ready) },
};

void logwatch_open(struct logwatch *watch, const char *path, uint64_t offset)
{
    *watch = (struct logwatch){ .path = text_dup(path), .offset = offset };
}

void logwatch_close(struct logwatch *watch)
{
    str_free(&watch->rest);
    free(watch->path);
    watch->path = NULL;
}

void logwatch_line(struct logwatch *watch, const char *line)
{
    for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++)
        if (strcasestr(line, goods[i].text))
            *(bool *)((char *)watch + goods[i].at) = true;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        /* A downgrade that the site itself allowed is logged with the same words, as a warning (facts 4.2 point 1). */
        if (!strcasestr(line, failures[i].text) || strstr(line, " WARN "))
            continue;
        bool first = failures[i].fatal && !watch->failed;
        if (first || !watch->failure[0]) {
            (void)snprintf(watch->failure, sizeof watch->failure, "%s", line);
            text_mask_secrets(watch->failure);
        }
        watch->failed = watch->failed || failures[i].fatal;
        break;
    }
    if (line[strspn(line, " \t")]) {
        (void)snprintf(watch->last, sizeof watch->last, "%s", line);
        text_mask_secrets(watch->last);
    }
}

static void lines_judge(struct logwatch *watch)
{
    size_t start = 0;
    for (size_t i = 0; i < watch->rest.len; i++) {
        if (watch->rest.s[i] == 0)
            watch->rest.s[i] = ' ';
        if (watch->rest.s[i] != '\n' && i - start < WATCH_LINE_MAX)
            continue;
        char kept = watch->rest.s[i];
        watch->rest.s[i] = 0;
        logwatch_line(watch, watch->rest.s + start);
        watch->rest.s[i] = kept;
        start = i + 1;
    }
    if (!start)
        return;
    size_t left = watch->rest.len - start;
    memmove(watch->rest.s, watch->rest.s + start, left);
    watch->rest.s[left] = 0;
    watch->rest.len = left;
}

/* Reads what is behind offset; answers how many bytes. */
static size_t grow(struct logwatch *watch, int fd)
{
    char chunk[16384];
    size_t total = 0;
    while (total < WATCH_CHUNK) {
        ssize_t got = pread(fd, chunk, sizeof chunk, (off_t)watch->offset);
        if (got <= 0)
            break;
        watch->offset += (uint64_t)got;
        total += (size_t)got;
        str_add_bytes(&watch->rest, chunk, (size_t)got);
        lines_judge(watch);
    }
    return total;
}

/* The folder belongs to people with fewer rights: no link is followed, and nobody else's file is read. */
static int log_open(const struct logwatch *watch, const char *path, struct stat *ret)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    CLEANUP(free_mem) char *dir = text_dup(path);
    struct stat folder;
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = 0;
    if (fd < 0 || fstat(fd, ret) != 0 || !S_ISREG(ret->st_mode) || stat(slash ? dir : ".", &folder) != 0)
        return -1;
    if (ret->st_uid != 0 && ret->st_uid != watch->run_uid && ret->st_uid != folder.st_uid)
        return -1;
    int opened = fd;
    fd = -1;
    return opened;
}

/* The log was turned over: what was behind our offset lies in FILE.1 now. */
static void read_rotated(struct logwatch *watch)
{
    CLEANUP(free_mem) char *old = text_printf("%s.1", watch->path);
    CLEANUP(close_fd) int fd = -1;
    struct stat st;
    fd = log_open(watch, old, &st);
    if (fd >= 0 && (!watch->inode || st.st_ino == watch->inode))
        while (grow(watch, fd) > 0)
            ;
    watch->offset = 0;
    str_clear(&watch->rest);
}

bool logwatch_poll(struct logwatch *watch)
{
    CLEANUP(close_fd) int fd = -1;
    struct stat st;
    fd = log_open(watch, watch->path, &st);
    if (fd < 0)
        return false;
    if ((watch->inode && st.st_ino != watch->inode) || (uint64_t)st.st_size < watch->offset)
        read_rotated(watch);
    watch->inode = st.st_ino;
    return grow(watch, fd) > 0;
}

uint64_t logwatch_size(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}
