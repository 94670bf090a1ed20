#include "expire.h"
#include "agent/core/memo.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "record.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define GO_ON_MS (24 * 3600 * 1000) /* a pass that was cut off may be continued for so long */

CLEANUP_OF(close_dir, DIR *, closedir)

struct one {
    char id[MANIFEST_ID_MAX];
    Confleet__BackupRecord *record; /* of what was read; NULL: it could not be */
    bool proven, keep, trouble;     /* trouble: it may be worth more than could be read */
};
struct all {
    struct one *one;
    size_t count;
};

static void all_free(struct all *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->one[i].record)
            confleet__backup_record__free_unpacked(all->one[i].record, NULL);
    free(all->one);
    *all = (struct all){ NULL, 0 };
}

static void read_one(struct job *job, const struct store *store, struct one *one)
{
    one->record = record_read(store, one->id, &one->trouble);
    one->proven = one->record->level >= CONFLEET__BACKUP_LEVEL__RESTORED;
    if (one->record->level != CONFLEET__BACKUP_LEVEL__LEVEL_NONE)
        return;
    job_log(job, 4, "%s; it is left for a person to look at", one->record->note);
    confleet__backup_record__free_unpacked(one->record, NULL);
    one->record = NULL;
}

static bool ends_with(const char *name, const char *ending)
{
    size_t len = strlen(name), tail = strlen(ending);
    return len > tail && strcmp(name + len - tail, ending) == 0;
}

static bool is_named(const Confleet__WorkerOrder *order, const char *id)
{
    for (size_t i = 0; i < order->n_keep_backups; i++)
        if (strcmp(order->keep_backups[i], id) == 0)
            return true;
    return false;
}

/* A capture whose database is still a copy inside its server is a run's way back like any other. */
static bool is_way_back(const Confleet__WorkerOrder *order, const char *name)
{
    char id[MANIFEST_ID_MAX];
    (void)snprintf(id, sizeof id, "%.*s", (int)strcspn(name, "."), name);
    return ends_with(name, ".files") && is_named(order, id);
}

/* The store's lock is held, so nobody is writing a ".partial"; one that can be continued stays a
 * while; a ".files" may be wanted by a run that was ended only lately. */
static int leftover_remove(const struct store *store, const char *name, int64_t before_ms,
                           struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(store->dir, name);
    struct stat st;
    if (lstat(path, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", path);
    CLEANUP(free_mem) char *part = fs_join(path, "manifest.part");
    struct stat noted;
    if (ends_with(name, ".partial") && stat(part, &noted) == 0 &&
        (int64_t)noted.st_mtim.tv_sec * 1000 >= clock_wall_ms() - GO_ON_MS)
        return 0;
    if (ends_with(name, ".files") && (int64_t)st.st_mtim.tv_sec * 1000 >= before_ms)
        return 0;
    return fs_remove_tree(path, err);
}

static int list(struct job *job, const struct store *store, struct all *all, struct err *err)
{
    int64_t before_ms = job_order(job)->expire_before_ms;
    CLEANUP(close_dir) DIR *dir = opendir(store->dir);
    if (!dir)
        return err_sys(err, FAIL_IO, errno, "list %s", store->dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (is_way_back(job_order(job), name))
            continue;
        if (ends_with(name, ".partial") || ends_with(name, ".files")) {
            int rc = leftover_remove(store, name, before_ms, err);
            if (rc != 0)
                return err_wrap(err, "remove what an earlier backup left");
        } else if (manifest_id_is_valid(name)) {
            all->one = mem_grow(all->one, all->count + 1, sizeof *all->one);
            struct one *one = &all->one[all->count++];
            *one = (struct one){ .record = NULL };
            (void)snprintf(one->id, sizeof one->id, "%s", name);
            read_one(job, store, one);
        }
    }
    return 0;
}

static bool keep_what_it_needs(struct all *all, const struct one *one)
{
    bool more = false;
    for (size_t i = 0; one->record && i < one->record->n_needs; i++)
        for (size_t k = 0; k < all->count; k++)
            if (!all->one[k].keep && strcmp(all->one[k].id, one->record->needs[i]) == 0)
                more = all->one[k].keep = true;
    return more;
}

static const struct one *newest_of(const struct all *all, uint32_t build)
{
    const struct one *newest = NULL;
    for (size_t i = 0; i < all->count; i++)
        if (all->one[i].proven && all->one[i].record->build == build &&
            (!newest || all->one[i].record->finished_ms > newest->record->finished_ms))
            newest = &all->one[i];
    return newest;
}

/* The last one that was proven before the site went to another build: of the newest builds only, or
 * they would pile up. */
static void keep_before_changes(struct all *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct one *one = &all->one[i];
        unsigned later = 0;
        if (!one->proven || newest_of(all, one->record->build) != one)
            continue;
        for (size_t k = 0; k < all->count; k++)
            later += all->one[k].proven && all->one[k].record->build != one->record->build &&
                     newest_of(all, all->one[k].record->build) == &all->one[k] &&
                     all->one[k].record->finished_ms > one->record->finished_ms;
        if (later <= KEEP_CHANGES)
            one->keep = true;
    }
}

/* A backup refers to packs of earlier ones, and its id begins with its time. Which ones it needs is
 * not known while it cannot be read. */
static void keep_before_unread(struct all *all)
{
    for (size_t i = 0; i < all->count; i++)
        for (size_t k = 0; !all->one[i].record && all->one[i].trouble && k < all->count; k++)
            if (strncmp(all->one[k].id, all->one[i].id, strlen("20260101T000000Z")) <= 0)
                all->one[k].keep = true;
}

static void choose(const Confleet__WorkerOrder *order, struct all *all)
{
    struct one *newest = NULL;
    for (size_t i = 0; i < all->count; i++) {
        struct one *one = &all->one[i];
        one->keep = !one->record || one->trouble || one->record->finished_ms >= order->expire_before_ms ||
                    is_named(order, one->id);
        if (one->proven && (!newest || one->record->finished_ms > newest->record->finished_ms))
            newest = one;
    }
    if (newest)
        newest->keep = true;
    keep_before_changes(all);
    keep_before_unread(all);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < all->count; i++)
            if (all->one[i].keep && keep_what_it_needs(all, &all->one[i]))
                more = true;
    }
}

static int remove_one(struct job *job, const struct store *store, struct one *one, struct err *err)
{
    CLEANUP(free_mem) char *name = store_path(store, one->id, "", NULL);
    CLEANUP(free_mem) char *nameless = store_path(store, one->id, ".partial", NULL);
    int rc = fs_rename(name, nameless, err);
    if (rc == 0)
        rc = fs_remove_tree(nameless, err);
    if (rc != 0)
        return err_wrap(err, "remove backup %s", one->id);
    job_log(job, 6, "backup %s is removed: its time was over", one->id);
    one->record->level = CONFLEET__BACKUP_LEVEL__LEVEL_NONE;
    record_note(one->record, "removed: its time was over (keep of agent.yaml)");
    Confleet__WorkerResult *result = job_result(job);
    result->expired = mem_grow(result->expired, result->n_expired + 1, sizeof *result->expired);
    result->expired[result->n_expired++] = TAKE(one->record);
    return 0;
}

static void tell_one(struct job *job, const struct store *store, struct one *one)
{
    CLEANUP(free_mem) char *untold = store_path(store, one->id, "", BACKUP_UNTOLD);
    Confleet__WorkerResult *result = job_result(job);
    if (!one->record || !fs_exists(untold))
        return;
    result->listed = mem_grow(result->listed, result->n_listed + 1, sizeof *result->listed);
    result->listed[result->n_listed++] = TAKE(one->record);
}

int backups_expire(struct job *job, struct err *err)
{
    enum { REMOVED_MAX = 500, TOLD_MAX = 100 }; /* in one order; the next one takes more */
    const Confleet__WorkerNode *node = job_node(job);
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(all_free) struct all all = { 0 };
    CLEANUP(free_mem) char *dir = fs_join(node->backup_dir, node->installation);
    if (!node->backup_dir[0] || !fs_is_dir(dir))
        return 0;
    int rc = store_open(node->backup_dir, node->installation, &store, err);
    if (rc == 0)
        rc = list(job, &store, &all, err);
    if (rc != 0)
        return rc;
    choose(job_order(job), &all);
    for (size_t i = 0; i < all.count && job_result(job)->n_expired < REMOVED_MAX; i++)
        if (!all.one[i].keep && (rc = remove_one(job, &store, &all.one[i], err)) != 0)
            return rc;
    for (size_t i = 0; i < all.count && job_result(job)->n_listed < TOLD_MAX; i++)
        if (all.one[i].keep)
            tell_one(job, &store, &all.one[i]);
    return 0;
}
