/* Sizes of what is there, and room where copies of it go. */
#include "agent/worker/backup/base.h"
#include "agent/worker/backup/room.h"
#include "agent/worker/checks/facts.h"
#include "agent/worker/steps/ready.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define ENTRIES_MAX (50ULL * 1000 * 1000)
/* Pages, indexes and time between estimate and copy. */
#define MARGIN_PERCENT 120
/* A restored copy with its indexes, its log and what sorting them takes. */
#define SCRATCH_FACTOR 3
#define SCRATCH_LEAST  (256ULL * 1024 * 1024)

static void size_of(struct job *job, const char *path, struct fact_size *ret)
{
    char *const roots[] = { (char *)(uintptr_t)path, NULL };
    struct fact_size size = { .known = FACT_YES };
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!fts)
        return;
    for (FTSENT *entry = NULL; size.files < ENTRIES_MAX && (entry = fts_read(fts)) != NULL;) {
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
            size.known = FACT_UNKNOWN;
        if (entry->fts_info == FTS_DP)
            continue;
        size.files++;
        if (entry->fts_info == FTS_F)
            size.bytes += room_content(entry->fts_statp);
        if (size.files % 10000 == 0)
            job_progress(job, 3, 4, "adding up the space: %llu files",
                         (unsigned long long)size.files);
    }
    (void)fts_close(fts);
    *ret = size;
}

/* Room on the file system of path, or of the nearest folder above it that exists. */
static void look_at_place(struct fact_place *place)
{
    char path[FACT_TEXT];
    struct stat st = { 0 };
    struct statvfs fs = { 0 };
    (void)snprintf(path, sizeof path, "%s", place->path);
    while (stat(path, &st) != 0) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || !slash || slash == path)
            return;
        *slash = 0;
    }
    if (statvfs(path, &fs) != 0)
        return;
    place->known = FACT_YES;
    place->dev = (uint64_t)st.st_dev;
    place->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    place->free_files = fs.f_favail;
    place->files_limited = fs.f_files > 0;
}

static void add_place(struct facts *facts, const char *what, const char *path, uint64_t bytes,
                      uint64_t files)
{
    if (!path || !*path || facts->place_count == PLACES_MAX)
        return;
    struct fact_place *place = &facts->places[facts->place_count++];
    place->what = what;
    (void)snprintf(place->path, sizeof place->path, "%.511s", path);
    place->need_bytes = bytes / 100 * MARGIN_PERCENT;
    place->need_files = files + files / 5 + 100;
    look_at_place(place);
}

/* A throw-away cluster goes where its account can reach; of the two it takes the one with room. */
static const char *roomier(void)
{
    struct fact_place var = { .path = "/var/tmp" }, tmp = { .path = "/tmp" };
    look_at_place(&var);
    look_at_place(&tmp);
    return tmp.free_bytes > var.free_bytes ? "/tmp" : "/var/tmp";
}

uint64_t facts_room_need(const struct facts *facts)
{
    uint64_t bytes = facts->database.bytes, log = facts->database.wal_bytes;
    return bytes + (log < bytes ? log : bytes);
}

/* What an earlier backup holds as it is costs nothing; of the dump there will be two, this one's and
 * that of the stop. Without an earlier backup everything is to be written: then the whole of the
 * database with its indexes stands for both. */
static void backup_sizes(struct job *job, const struct facts *facts, uint64_t everything,
                         uint64_t *ret_next, uint64_t *ret_run)
{
    CLEANUP(free_mem)
    char *dir = fs_join(facts->backup_path, job_node(job)->installation);
    struct store store = { .dir = dir, .lock = -1 };
    CLEANUP(manifest_free) struct manifest base;
    struct err ignored = { 0 };
    bool found = false;
    manifest_init(&base);
    *ret_next = *ret_run = everything;
    if (!facts->site.home || !fs_is_dir(dir) || base_find(&store, &base, &found, &ignored) != 0 ||
        !found)
        return;
    const char *const root[TREE_COUNT] = { facts->site.install, facts->site.home };
    const struct manifest *const held[2] = { &base, NULL };
    struct room_trees trees;
    room_trees(root, facts->backup_path, held, &trees);
    uint64_t dump = base.dump.size + base.dump.size / 4;
    *ret_next = trees.packed + dump + room_manifest(trees.names);
    *ret_run = *ret_next + dump + room_manifest(trees.names);
}

void facts_gather_space(struct job *job, struct facts *facts)
{
    uint64_t run_need = 0;
    const struct installation *site = &facts->site;
    size_of(job, site->install, &facts->install_size);
    if (site->home) {
        CLEANUP(free_mem) char *index = fs_join(site->home, "index");
        size_of(job, site->home, &facts->home_size);
        size_of(job, index, &facts->index_size);
    }
    uint64_t install = facts->install_size.bytes, home = facts->home_size.bytes,
             database = facts->database.bytes;
    uint64_t everything = install + home + database;
    backup_sizes(job, facts, everything, &facts->backup_need, &run_need);
    const char *slash = strrchr(site->install, '/');
    CLEANUP(free_mem)
    char *beside = text_printf("%.*s", slash > site->install ? (int)(slash - site->install) : 1,
                               site->install);
    /* Right before the stop these are made, and the reserve holds what the way back writes. */
    bool again = ready_is_again(job);
    if (!again) {
        add_place(facts, "the backup", facts->backup_path, run_need, 1000);
        add_place(facts, "the new version", beside, install, facts->install_size.files);
    }
    /* The upgrade writes a recovery file of the database and splits the index (facts 8, row 18). */
    add_place(facts, "the upgrade in the home", site->home, database + 2 * facts->index_size.bytes,
              1000);
    /* On the way back the failed database stays until the restored one is proven; a scratch
     * database there takes the same room, earlier. */
    if (facts->database.room_known == FACT_YES)
        add_place(facts, "the way back in the database server", facts->database.room_path,
                  facts_room_need(facts), 1000);
    bool local = strcmp(facts->scratch, "local") == 0 ||
                 (strcmp(facts->scratch, "auto") == 0 && facts->database.createdb != FACT_YES &&
                  facts->database.superuser != FACT_YES);
    uint64_t scratch = database * SCRATCH_FACTOR;
    if (local && !again)
        add_place(facts, "the scratch database", roomier(),
                  scratch < SCRATCH_LEAST ? SCRATCH_LEAST : scratch, 5000);
}
