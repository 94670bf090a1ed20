#include "agent/worker/steps/reserve.h"
#include "agent/worker/backup/room.h"
#include "agent/worker/confluence/installation.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

Confleet__ProbeState reserve_state(const char *path, uint64_t size_bytes)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return CONFLEET__PROBE_STATE__ABSENT;
    return (uint64_t)st.st_blocks * 512 >= size_bytes ? CONFLEET__PROBE_STATE__PROBE_COMPLETE : CONFLEET__PROBE_STATE__PARTIAL;
}

int reserve_make(const char *path, uint64_t size_bytes, struct err *err)
{
    struct err local = { 0 };
    if (!err)
        err = &local;
    CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "create the reserve %s", path);
    int failed = posix_fallocate(fd, 0, (off_t)size_bytes);
    if (failed) {
        char need[24], have[24];
        uint64_t free_bytes = 0, inodes = 0;
        close_fd(&fd);
        IGNORE(fs_unlink(path, NULL));                     /* what was taken did not suffice; this failure is told below */
        CLEANUP(free_mem) char *dir = text_dup(path);
        *strrchr(dir, '/') = 0;
        IGNORE(fs_space(dir[0] ? dir : "/", &free_bytes, &inodes, NULL));     /* only for the text */
        if (failed == ENOSPC || failed == EDQUOT || failed == EFBIG)
            return err_set(err, FAIL_SPACE, "the way back needs %s for %s, free are %s", text_size(size_bytes, need), path,
                           text_size(free_bytes, have));
        return err_sys(err, FAIL_IO, failed, "reserve space with %s", path);
    }
    if (fs_sync_fd(fd, path, err) || fs_close(&fd, path, err) || fs_sync_parent(path, err))
        return -err->code;
    return 0;
}

char *reserve_path(const char *dir, const char *run)
{
    return text_printf("%s/.confleet-reserve-%s", dir, run);
}

/* The run folder's name; two runs never share one. */
static char *reserve_name(const struct job *job, const char *dir)
{
    const char *run = strrchr(job_node(job)->run_dir, '/');
    return reserve_path(dir, run ? run + 1 : "run");
}

static bool same_device(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev;
}

/* A place on the home's file system but outside the home, whose content is the site's alone. NULL: the backup folder is there
 * already, or the home is a file system of its own and has no outside. Owned. */
static char *home_place(const struct job *job)
{
    const Confleet__WorkerNode *node = job_node(job);
    const char *home = site_home(job);
    if (!home[0] || same_device(home, node->backup_dir))
        return NULL;
    if (same_device(home, node->stage_dir))
        return reserve_name(job, node->stage_dir);
    CLEANUP(free_mem) char *parent = text_dup(home);
    char *slash = strrchr(parent, '/');
    *slash = 0;
    return slash != parent && same_device(home, parent) ? reserve_name(job, parent) : NULL;
}

static uint64_t tree_bytes(const char *root)
{
    char *const roots[] = { (char *)(uintptr_t)root, NULL };
    uint64_t total = 0;
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    if (!fts)
        return 0;
    for (FTSENT *entry = fts_read(fts); entry; entry = fts_read(fts))
        if (entry->fts_info == FTS_F)
            total += room_content(entry->fts_statp);
    (void)fts_close(fts);
    return total;
}

/* What the way back writes: the dump, and the part of the home that changed (a twentieth is a guess on the safe side). */
static int reserve_sizes(struct job *job, uint64_t *ret_backup, uint64_t *ret_home, struct err *err)
{
    uint64_t asked = job_node(job)->reserve_bytes, database_bytes = 0;
    if (asked) {
        *ret_backup = *ret_home = asked;
        return 0;
    }
    CLEANUP(installation_free) struct installation found = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    bool known = false;
    if (site_read(job, &found, err) || database_connect(&found.database, NULL, NULL, NULL, 60, &conn, err) ||
        database_u64(conn, "select pg_database_size(current_database())", &database_bytes, &known, err))
        return err_wrap(err, "size of the database");
    uint64_t part = tree_bytes(site_home(job)) / 20;
    *ret_backup = database_bytes + part < RESERVE_LEAST ? RESERVE_LEAST : database_bytes + part;
    *ret_home = part < RESERVE_LEAST ? RESERVE_LEAST : part;
    return 0;
}

int reserve_take(struct job *job, struct err *err)
{
    uint64_t backup_bytes = 0, home_bytes = 0;
    CLEANUP(free_mem) char *backup = reserve_name(job, job_node(job)->backup_dir);
    CLEANUP(free_mem) char *home = home_place(job);
    int rc = reserve_sizes(job, &backup_bytes, &home_bytes, err);
    if (rc == 0)
        rc = reserve_make(backup, backup_bytes, err);
    if (rc == 0 && home)
        rc = reserve_make(home, home_bytes, err);
    if (rc) {
        IGNORE(fs_unlink(backup, NULL));     /* all or nothing; the failure is already told */
        return rc;
    }
    char size[24];
    job_log(job, 6, "reserved %s in %s%s%s", text_size(backup_bytes, size), backup, home ? " and the same way in " : "", home ? home : "");
    return 0;
}

int reserve_release(struct job *job, struct err *err)
{
    CLEANUP(free_mem) char *backup = reserve_name(job, job_node(job)->backup_dir);
    CLEANUP(free_mem) char *home = home_place(job);
    struct err first = { 0 }, second = { 0 };
    int rc = fs_unlink(backup, &first);
    if (home && fs_unlink(home, &second) && rc == 0)
        rc = -second.code, first = second;
    if (rc && err)
        *err = first;
    return rc;
}

int reserve_undo(struct job *job, struct err *err)
{
    struct err why = { 0 };
    (void)err;
    if (reserve_release(job, &why))
        job_log(job, 4, "release the reserve: %s; it is left for the expiry", why.text);
    return 0;
}

int reserve_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    (void)err;
    CLEANUP(free_mem) char *backup = reserve_name(job, job_node(job)->backup_dir);
    CLEANUP(free_mem) char *home = home_place(job);
    uint64_t least = job_node(job)->reserve_bytes ? job_node(job)->reserve_bytes : RESERVE_LEAST;
    Confleet__ProbeState one = reserve_state(backup, least), two = home ? reserve_state(home, least) : one;
    *ret = one == two ? one : CONFLEET__PROBE_STATE__PARTIAL;
    return 0;
}
