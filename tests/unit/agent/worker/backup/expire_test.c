/* Backups beyond their time, made by hand in a store: which of them go. */
#include "agent/core/memo.h"
#include "agent/worker/backup/expire.h"
#include "agent/worker/backup/store.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <fcntl.h>
#include <sys/stat.h>

#define BEFORE_MS 1000000

struct shelf {
    const char *dir;
    Confleet__WorkerNode node;
    Confleet__WorkerOrder order;
    char *keep[4];
    struct err err;
    size_t removed, told;
    Confleet__BackupLevel told_level;
    uint32_t build;
    char last_note[64];
};

static void shelf_make(struct shelf *s)
{
    *s = (struct shelf){ .dir = test_dir() };
    confleet__worker_node__init(&s->node);
    confleet__worker_order__init(&s->order);
    s->node.backup_dir = (char *)(uintptr_t)s->dir;
    s->node.installation = (char *)(uintptr_t) "app-1";
    s->order.job = (char *)(uintptr_t) "expire";
    s->order.node = &s->node;
    s->order.expire_before_ms = BEFORE_MS;
    s->order.keep_backups = s->keep;
}

/* A backup with one pack: its own, or that of another one. */
static void shelf_add(struct shelf *s, int64_t finished_ms, Confleet__BackupLevel level,
                      const char *from, char ret_id[MANIFEST_ID_MAX])
{
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest m, read;
    char sha256[HASH_HEX_MAX];
    manifest_init(&m);
    manifest_init(&read);
    CHECK_OK(store_open(s->dir, "app-1", &store, &s->err), s->err);
    m.kind = from ? "stop" : "hot";
    m.installation = "app-1";
    m.site = "wiki";
    m.version = "9.2.13";
    m.build = s->build;
    m.base = from ? from : "";
    m.root[TREE_INSTALL] = "/opt/c";
    m.root[TREE_HOME] = "/var/c";
    CHECK_OK(store_begin(&store, &m, &s->err), s->err);
    m.finished_ms = finished_ms;
    struct manifest_pack pack = { TREE_HOME, "home-0001.tar.zst", from ? from : "", 1, { 0 } };
    (void)manifest_add_pack(&m, &pack);
    CHECK_OK(store_keep(&store, &m, ".partial", "", &s->err), s->err);
    CHECK_OK(store_load(&store, m.id, "", &read, sha256, &s->err), s->err);
    struct proof proof = { .level = level, .note = "by hand" };
    CHECK_OK(proof_write(&store, m.id, "", sha256, &proof, &s->err), s->err);
    memcpy(ret_id, m.id, MANIFEST_ID_MAX);
}

static bool is_there(const struct shelf *s, const char *name)
{
    CLEANUP(free_mem) char *path = text_printf("%s/app-1/%s", s->dir, name);
    return fs_exists(path);
}

static int expire(struct shelf *s)
{
    struct job *job = job_new(&s->order, -1);
    s->err = (struct err){ 0 };
    int rc = expire_job(job, &s->err);
    const Confleet__WorkerResult *result = job_result(job);
    s->removed = result->n_expired;
    s->told = result->n_listed;
    if (s->told > 0) {
        s->told_level = result->listed[0]->level;
        (void)snprintf(s->last_note, sizeof s->last_note, "%.63s", result->listed[0]->note);
    }
    for (size_t i = 0; i < result->n_expired; i++) {
        CHECK_INT(result->expired[i]->level, CONFLEET__BACKUP_LEVEL__LEVEL_NONE);
        CHECK_STR(result->expired[i]->site, "wiki");
        (void)snprintf(s->last_note, sizeof s->last_note, "%.63s", result->expired[i]->note);
    }
    job_free(&job);
    return rc;
}

#define PROVEN CONFLEET__BACKUP_LEVEL__RESTORED
#define READ   CONFLEET__BACKUP_LEVEL__RE_READ

TEST(old_backups_go_and_the_newest_proven_one_stays_however_old)
{
    struct shelf s;
    char first[MANIFEST_ID_MAX], newest[MANIFEST_ID_MAX], unproven[MANIFEST_ID_MAX];
    shelf_make(&s);
    shelf_add(&s, 100, PROVEN, NULL, first);
    shelf_add(&s, 200, PROVEN, NULL, newest);
    shelf_add(&s, 300, READ, NULL, unproven);
    CHECK_OK(expire(&s), s.err);
    CHECK(!is_there(&s, first) && is_there(&s, newest) && !is_there(&s, unproven));
    CHECK_INT(s.removed, 2);
    CHECK_HAS(s.last_note, "its time was over");
    CHECK_OK(expire(&s), s.err);
    CHECK_INT(s.removed, 0);
}

TEST(what_is_young_or_wanted_by_a_run_stays_with_whatever_holds_its_packs)
{
    struct shelf s;
    char hot[MANIFEST_ID_MAX], stop[MANIFEST_ID_MAX], old[MANIFEST_ID_MAX], wanted[MANIFEST_ID_MAX],
        base[MANIFEST_ID_MAX], newest[MANIFEST_ID_MAX];
    shelf_make(&s);
    shelf_add(&s, 100, PROVEN, NULL, hot);
    shelf_add(&s, BEFORE_MS, READ, hot, stop); /* young, and its packs are in an old one */
    shelf_add(&s, 110, READ, NULL, old);
    shelf_add(&s, 120, READ, NULL, base);
    shelf_add(&s, 130, READ, base, wanted);
    shelf_add(&s, 140, PROVEN, NULL, newest);
    s.keep[0] = wanted;
    s.order.n_keep_backups = 1;
    CHECK_OK(expire(&s), s.err);
    CHECK(is_there(&s, hot) && is_there(&s, stop) && is_there(&s, base) && is_there(&s, wanted) &&
          is_there(&s, newest));
    CHECK(!is_there(&s, old));
    s.order.n_keep_backups = 0;
    s.order.expire_before_ms = BEFORE_MS + 1;
    CHECK_OK(expire(&s), s.err);
    CHECK_INT(s.removed, 4);
    CHECK(is_there(&s, newest));
}

/* As a disk that does not answer: a folder stands where a file is wanted. */
static void in_the_way(const struct shelf *s, const char *id, const char *name, bool there)
{
    CLEANUP(free_mem) char *path = text_printf("%s/app-1/%s/%s", s->dir, id, name), *aside = text_printf("%s.aside", path);
    CHECK_INT(there ? rename(path, aside) : rmdir(path), 0);
    CHECK_INT(there ? mkdir(path, 0700) : rename(aside, path), 0);
}

TEST(what_cannot_be_read_just_now_takes_nothing_with_it)
{
    struct shelf s;
    char hot[MANIFEST_ID_MAX], stop[MANIFEST_ID_MAX], newest[MANIFEST_ID_MAX];
    shelf_make(&s);
    shelf_add(&s, 100, READ, NULL, hot);
    shelf_add(&s, BEFORE_MS, READ, hot, stop); /* young, and its packs are in an old one */
    in_the_way(&s, stop, "manifest", true);
    CHECK_OK(expire(&s), s.err);
    CHECK_INT(s.removed, 0);
    in_the_way(&s, stop, "manifest", false);
    shelf_make(&s);
    shelf_add(&s, 200, PROVEN, NULL, newest);
    in_the_way(&s, newest, "proof", true);
    s.order.expire_before_ms = BEFORE_MS + 1;
    CHECK_OK(expire(&s), s.err);
    CHECK(is_there(&s, newest));
    in_the_way(&s, newest, "proof", false);
    CHECK_OK(expire(&s), s.err);
    CHECK(is_there(&s, newest) && !is_there(&s, hot) && !is_there(&s, stop));
}

TEST(leftovers_go_and_what_cannot_be_read_or_is_not_ours_stays)
{
    struct shelf s;
    char torn[MANIFEST_ID_MAX], proven[MANIFEST_ID_MAX];
    shelf_make(&s);
    shelf_add(&s, 100, PROVEN, NULL, torn);
    shelf_add(&s, 50, PROVEN, NULL, proven);
    CLEANUP(free_mem) char *manifest = text_printf("%s/app-1/%s/manifest", s.dir, torn);
    CHECK_OK(fs_write(manifest, "torn", 4, 0600, &s.err), s.err);
    static const char *const names[] = { "20200101T000000Z-aaaaaa.partial",
                                         "20200101T000000Z-bbbbbb.files", "notes" };
    struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(free_mem) char *path = text_printf("%s/app-1/%s", s.dir, names[i]);
        CHECK_INT(mkdir(path, 0700), 0);
        CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    CLEANUP(free_mem)
    char *young = text_printf("%s/app-1/20200101T000000Z-cccccc.files", s.dir);
    CHECK_INT(mkdir(young, 0700), 0);
    CHECK_OK(expire(&s), s.err);
    CHECK(is_there(&s, torn) && is_there(&s, proven) && is_there(&s, names[2]) && fs_exists(young));
    CHECK(!is_there(&s, names[0]) && !is_there(&s, names[1]));
}

TEST(nothing_is_removed_beside_a_backup_in_the_making_or_where_there_is_none)
{
    struct shelf s;
    char old[MANIFEST_ID_MAX], newest[MANIFEST_ID_MAX];
    CLEANUP(store_close) struct store store = { .lock = -1 };
    shelf_make(&s);
    CHECK_OK(expire(&s), s.err);
    CHECK(!is_there(&s, "."));
    shelf_add(&s, 100, PROVEN, NULL, old);
    shelf_add(&s, 200, PROVEN, NULL, newest);
    CHECK_OK(store_open(s.dir, "app-1", &store, &s.err), s.err);
    CHECK_INT(expire(&s), -FAIL_BUSY);
    CHECK(is_there(&s, old));
}

TEST(an_order_that_names_a_path_for_a_run_is_refused)
{
    static const char *const bad[] = { "", "..", ".hidden", "a/b", "../x" };
    struct shelf s;
    char *runs[1];
    shelf_make(&s);
    s.node.run_dir = (char *)(uintptr_t)s.dir;
    s.node.stage_dir = (char *)(uintptr_t)s.dir;
    s.order.expire_runs = runs;
    s.order.n_expire_runs = 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        runs[0] = (char *)(uintptr_t)bad[i];
        CHECK_INT(expire(&s), -FAIL_USAGE);
    }
}

TEST(the_last_proven_backup_before_each_of_the_latest_changes_stays)
{
    struct shelf s;
    char old[4][MANIFEST_ID_MAX], last[4][MANIFEST_ID_MAX], unproven[MANIFEST_ID_MAX];
    shelf_make(&s);
    for (uint32_t i = 0; i < 4; i++) {
        s.build = 9109 + i;
        shelf_add(&s, 100 + 10 * (int64_t)i, PROVEN, NULL, old[i]);
        shelf_add(&s, 105 + 10 * (int64_t)i, PROVEN, NULL, last[i]);
    }
    shelf_add(&s, 200, READ, NULL, unproven);
    CHECK_OK(expire(&s), s.err);
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(!is_there(&s, old[i]));
        CHECK_INT(is_there(&s, last[i]), i >= 3 - KEEP_CHANGES);
    }
    CHECK(!is_there(&s, unproven));
}

TEST(a_backup_whose_proof_is_taken_away_is_told_until_somebody_took_note)
{
    struct shelf s;
    char one[MANIFEST_ID_MAX], other[MANIFEST_ID_MAX];
    shelf_make(&s);
    shelf_add(&s, BEFORE_MS + 1, PROVEN, NULL, one);
    shelf_add(&s, BEFORE_MS + 2, PROVEN, NULL, other);
    CHECK_OK(expire(&s), s.err);
    CHECK_INT(s.told, 0);
    CLEANUP(free_mem) char *dir = fs_join(s.dir, "app-1");
    const struct store store = { .dir = dir, .lock = -1 };
    proof_doubt(&store, one);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(expire(&s), s.err);
        CHECK_INT(s.told, 1);
        CHECK_INT(s.told_level, CONFLEET__BACKUP_LEVEL__COMPLETE);
        CHECK_HAS(s.last_note, "no proof");
        CHECK(is_there(&s, one) && is_there(&s, other));
    }
    CLEANUP(free_mem) char *untold = store_path(&store, one, "", BACKUP_UNTOLD);
    CHECK_INT(unlink(untold), 0);
    CHECK_OK(expire(&s), s.err);
    CHECK_INT(s.told, 0);
    proof_doubt(&store, one); /* there is nothing to take away any more */
    CHECK(!fs_exists(untold));
}

static const Confleet__BackupRecord *listed(const Confleet__WorkerResult *result, const char *id)
{
    for (size_t i = 0; i < result->n_listed; i++)
        if (strcmp(result->listed[i]->id, id) == 0)
            return result->listed[i];
    return NULL;
}

TEST(the_list_says_of_all_that_is_there_what_it_is_worth_and_needs)
{
    struct shelf s;
    char base[MANIFEST_ID_MAX], stop[MANIFEST_ID_MAX], torn[MANIFEST_ID_MAX];
    shelf_make(&s);
    struct job *job = job_new(&s.order, -1);
    CHECK_OK(backups_job(job, &s.err), s.err); /* none, and no folder of any */
    CHECK_INT(job_result(job)->n_listed, 0);
    job_free(&job);
    shelf_add(&s, 100, PROVEN, NULL, base);
    shelf_add(&s, 200, READ, base, stop);
    shelf_add(&s, 300, PROVEN, NULL, torn);
    CLEANUP(free_mem)
    char *dir = fs_join(s.dir, "app-1"), *manifest = text_printf("%s/%s/manifest", dir, torn),
         *partial = fs_join(dir, "20261102T000000Z-abcdef.partial"),
         *files = fs_join(dir, "20261103T000000Z-abcdef.files");
    CHECK_INT(truncate(manifest, 10), 0);
    CHECK_INT(mkdir(partial, 0700), 0);
    CHECK_INT(mkdir(files, 0700), 0);
    CLEANUP(store_close) struct store busy = { .lock = -1 }; /* a backup is being made */
    CHECK_OK(store_open(s.dir, "app-1", &busy, &s.err), s.err);
    job = job_new(&s.order, -1);
    CHECK_OK(backups_job(job, &s.err), s.err);
    const Confleet__WorkerResult *result = job_result(job);
    CHECK_INT(result->n_listed, 5);
    CHECK_INT(listed(result, base)->level, PROVEN);
    CHECK_STR(listed(result, base)->note, "by hand");
    CHECK_INT(listed(result, base)->n_needs, 0);
    CHECK_INT(listed(result, stop)->level, READ);
    CHECK_STR(listed(result, stop)->kind, "stop");
    CHECK_INT(listed(result, stop)->n_needs, 1);
    CHECK_STR(listed(result, stop)->needs[0], base);
    CHECK_INT(listed(result, torn)->level, CONFLEET__BACKUP_LEVEL__LEVEL_NONE);
    CHECK_HAS(listed(result, torn)->note, "manifest");
    CHECK_HAS(listed(result, "20261102T000000Z-abcdef")->note, "being made, or cut off");
    CHECK_HAS(listed(result, "20261103T000000Z-abcdef")->note, "captured at a stop");
    for (size_t i = 1; i < result->n_listed; i++)
        CHECK(strcmp(result->listed[i - 1]->id, result->listed[i]->id) >= 0);
    job_free(&job);
}

TEST(a_folder_that_somebody_else_put_there_is_not_used)
{
    struct shelf s;
    char id[MANIFEST_ID_MAX];
    CLEANUP(store_close) struct store store = { .lock = -1 };
    if (geteuid() != 0)
        TEST_SKIP("only root can give a folder to somebody else");
    shelf_make(&s);
    shelf_add(&s, 100, PROVEN, NULL, id);
    CLEANUP(free_mem) char *dir = fs_join(s.dir, "app-1");
    CHECK_INT(chown(dir, 65534, 65534), 0);
    CHECK_INT(store_open(s.dir, "app-1", &store, &s.err), -FAIL_DENIED);
    CHECK_HAS(s.err.text, "belongs to user id 65534");
    err_clear(&s.err);
    CHECK_INT(chown(s.dir, 65534, 65534), 0); /* root is another one on that server */
    CHECK_OK(store_open(s.dir, "app-1", &store, &s.err), s.err);
    CHECK_INT(chown(s.dir, 0, 0), 0);
}
