#include "agent/worker/checks/facts_backup.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_MAX   (4u << 20)
#define BLOCK       (4u << 20)
#define SPEED_SPARE 4 /* a folder with less room than so many probes is not written to */

CLEANUP_OF(close_dir, DIR *, closedir)

/* One field, with \040 for a blank and the like; false at the end of the line. */
static bool field_next(const char **at, char *out, size_t size)
{
    size_t len = 0;
    *at += strspn(*at, " \t");
    while (**at && !strchr(" \t\n", **at)) {
        const char *c = *at;
        bool escaped = c[0] == '\\' && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' && c[2] <= '7' &&
                       c[3] >= '0' && c[3] <= '7';
        char byte = escaped ? (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0')) : *c;
        if (len + 1 < size)
            out[len++] = byte;
        *at += escaped ? 4 : 1;
    }
    out[len] = '\0';
    return len > 0;
}

static const char *line_next(const char *at)
{
    const char *end = strchr(at, '\n');
    return end ? end + 1 : at + strlen(at);
}

static bool holds(const char *mount, const char *dir)
{
    size_t len = strlen(mount);
    return strcmp(mount, "/") == 0 ||
           (strncmp(mount, dir, len) == 0 && (dir[len] == '/' || dir[len] == '\0'));
}

/* Of one line: where it is mounted, of what kind, from where. */
static bool mount_read(const char *line, char at[PATH_MAX], char kind[64], char source[FACT_TEXT])
{
    char field[PATH_MAX];
    for (int i = 0; i < 5; i++)
        if (!field_next(&line, i == 4 ? at : field, PATH_MAX))
            return false;
    while (field_next(&line, field, sizeof field) && strcmp(field, "-") != 0)
        ;
    return strcmp(field, "-") == 0 && field_next(&line, kind, 64) &&
           field_next(&line, source, FACT_TEXT);
}

void facts_backup_mount(struct facts_backup *facts, const char *dir, const char *mountinfo)
{
    static const char *const memory[] = { "tmpfs", "ramfs", "devtmpfs", "zram" };
    char at[PATH_MAX], kind[64], source[FACT_TEXT];
    size_t best = 0;
    /* Of two at one place the later one lies on top. */
    for (const char *line = mountinfo; *line; line = line_next(line)) {
        if (!mount_read(line, at, kind, source) || !holds(at, dir) || strlen(at) < best)
            continue;
        best = strlen(at);
        (void)snprintf(facts->at, sizeof facts->at, "%.511s", at);
        memcpy(facts->kind, kind, sizeof kind);
        memcpy(facts->source, source, sizeof source);
        facts->mounts_known = FACT_YES;
    }
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        facts->memory = facts->memory || strcmp(facts->kind, memory[i]) == 0;
    facts->layer = strcmp(facts->kind, "overlay") == 0 || strcmp(facts->kind, "aufs") == 0;
}

static bool is_mounted(const char *mountinfo, const char *place)
{
    char at[PATH_MAX], kind[64], source[FACT_TEXT];
    for (const char *line = mountinfo; *line; line = line_next(line))
        if (mount_read(line, at, kind, source) && strcmp(at, place) == 0)
            return true;
    return false;
}

static void expect(struct facts_backup *facts, const char *dir, const char *mountinfo,
                   const char *place, const char *says)
{
    if (place[0] == '/' && place[1] && holds(place, dir) && !is_mounted(mountinfo, place))
        (void)snprintf(facts->expected, sizeof facts->expected, "%.300s (%.180s)", place, says);
}

void facts_backup_expected(struct facts_backup *facts, const char *dir, const char *mountinfo,
                           const char *fstab, const char *says)
{
    char device[PATH_MAX], place[PATH_MAX];
    for (const char *line = fstab; *line; line = line_next(line)) {
        const char *at = line;
        if (field_next(&at, device, sizeof device) && device[0] != '#' &&
            field_next(&at, place, sizeof place)) {
            size_t len = strlen(place);
            if (len > 1 && place[len - 1] == '/')
                place[len - 1] = '\0';
            expect(facts, dir, mountinfo, place, says);
        }
    }
}

/* Units that somebody wrote; those that systemd makes of fstab are in fstab. */
static void units_read(struct facts_backup *facts, const char *dir, const char *mountinfo)
{
    static const char folder[] = "/etc/systemd/system";
    CLEANUP(close_dir) DIR *units = opendir(folder);
    for (const struct dirent *one; units && (one = readdir(units)) != NULL;) {
        size_t len = strlen(one->d_name);
        CLEANUP(free_mem) char *path = fs_join(folder, one->d_name);
        CLEANUP(str_free) struct str text = { 0 };
        struct err ignored = { 0 };
        char place[PATH_MAX];
        if (len < 7 || strcmp(one->d_name + len - 6, ".mount") != 0 ||
            fs_read(path, TABLE_MAX, &text, &ignored) != 0)
            continue;
        const char *where = strstr(str_text(&text), "\nWhere=");
        if (where && (where += 7, field_next(&where, place, sizeof place)))
            expect(facts, dir, mountinfo, place, path);
    }
}

static void mounts_gather(const struct gather_source *source, const char *dir,
                          struct facts_backup *facts)
{
    const char *proc = source->node->pid_root[0] ? source->node->pid_root : "/proc";
    CLEANUP(free_mem) char *path = text_printf("%s/self/mountinfo", proc);
    CLEANUP(str_free) struct str mounts = { 0 }, fstab = { 0 };
    struct err err = { 0 };
    int rc = fs_read(path, TABLE_MAX, &mounts, &err);
    if (rc == 0)
        facts_backup_mount(facts, dir, str_text(&mounts));
    if (rc == 0 && facts->mounts_known != FACT_YES)
        rc = err_set(&err, FAIL_NOT_FOUND, "%s does not tell where %s is mounted", path, dir);
    if (rc == 0 && (rc = fs_read("/etc/fstab", TABLE_MAX, &fstab, &err)) == -FAIL_NOT_FOUND)
        rc = 0; /* containers have none */
    if (rc != 0) {
        facts->mounts_known = FACT_UNKNOWN;
        (void)snprintf(facts->mounts_why, FACT_TEXT, "%.500s", err.text);
        return;
    }
    facts_backup_expected(facts, dir, str_text(&mounts), str_text(&fstab), "/etc/fstab");
    units_read(facts, dir, str_text(&mounts));
}

/* Where a nameless file cannot be made, one that loses its name at once. */
static int open_nameless(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    CLEANUP(free_mem) char *path = fs_join(dir, ".confleet-speed-XXXXXX");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0 && unlink(path) != 0)
        close_fd(&fd);
    return fd;
}

static void speed_gather(const char *dir, struct facts_backup *facts)
{
    CLEANUP(free_mem) char *block = mem_zero(1, BLOCK);
    struct err err = { 0 };
    CLEANUP(close_fd) int fd = -1;
    int rc = 0;
    if (facts->room_known == FACT_YES && facts->free_bytes < SPEED_SPARE * SPEED_BYTES)
        rc = err_set(&err, FAIL_SPACE, "not tried: hardly any room is left");
    else if ((fd = open_nameless(dir)) < 0)
        rc = err_sys(&err, FAIL_IO, errno, "write a file of some megabytes into %s", dir);
    random_bytes(block, BLOCK); /* what compresses well would flatter some file systems */
    int64_t begin_ms = clock_mono_ms();
    while (rc == 0 && facts->written < SPEED_BYTES && clock_mono_ms() - begin_ms < SPEED_MS) {
        rc = fs_write_all(fd, block, BLOCK, &err);
        facts->written += BLOCK;
    }
    if (rc == 0)
        rc = fs_sync_fd(fd, dir, &err);
    facts->wrote_ms = clock_mono_ms() - begin_ms;
    facts->speed_known = rc == 0 ? FACT_YES : FACT_UNKNOWN;
    if (rc != 0)
        (void)snprintf(facts->speed_why, FACT_TEXT, "%.500s", err.text);
}

static void room_gather(const struct gather_source *source, const char *dir,
                        struct facts_backup *facts)
{
    CLEANUP(free_mem) char *store = fs_join(dir, source->node->installation);
    CLEANUP(free_mem) struct room_kept *kept = NULL;
    struct err err = { 0 };
    uint64_t files = 0;
    size_t count = 0;
    int rc = fs_space(dir, &facts->free_bytes, &files, &err);
    if (rc == 0)
        rc = room_look(store, &kept, &count, &err);
    facts->room_known = rc == 0 ? FACT_YES : FACT_UNKNOWN;
    if (rc != 0)
        (void)snprintf(facts->room_why, FACT_TEXT, "%.500s", err.text);
    else
        facts->has_forecast = room_forecast(kept, count, facts->free_bytes, source->node->keep_ms,
                                            clock_wall_ms(), &facts->forecast);
}

char *facts_backup_medium(const struct gather_source *source, struct facts_backup *facts)
{
    const char *given = source->node->backup_dir;
    struct stat folder, home;
    CLEANUP(free_mem) char *dir = given[0] ? realpath(given, NULL) : NULL;
    if (!dir || stat(dir, &folder) != 0 || !S_ISDIR(folder.st_mode)) {
        facts->part.known = FACT_UNKNOWN;
        (void)snprintf(facts->part.why, FACT_TEXT, "%.300s cannot be looked at", given);
        return NULL;
    }
    if (source->site->home && stat(source->site->home, &home) == 0)
        facts->same_device = home.st_dev == folder.st_dev ? FACT_YES : FACT_NO;
    mounts_gather(source, dir, facts);
    return TAKE(dir);
}

void facts_gather_backup(const struct gather_source *source, void *part)
{
    struct facts_backup *facts = part;
    CLEANUP(free_mem) char *dir = facts_backup_medium(source, facts);
    if (!dir)
        return;
    room_gather(source, dir, facts);
    const Confleet__WorkerOrder *order = source->order;
    if (strcmp(order->job, "step") == 0 && strcmp(order->step, "check") != 0)
        (void)snprintf(facts->speed_why, FACT_TEXT, "not tried right before the stop");
    else
        speed_gather(dir, facts);
}
