#include "hot.h"
#include "base.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "manifest_spill.h"
#include "prove.h"
#include "room.h"
#include <string.h>

/* What an earlier pass that was cut off, and the newest backup that was proven, have already. */
struct known {
    struct manifest part, base;
    bool has_part, has_base;
};

static void known_free(struct known *known)
{
    manifest_free(&known->part);
    manifest_free(&known->base);
}

static int write_hot(struct subject *s, struct manifest *m, const struct known *known,
                     uint64_t total, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(s->job);
    struct files_spec files = { .root = { s->site.install, s->site.home },
                                .ending = ".partial",
                                .part = known->has_part ? &known->part : NULL,
                                .base = known->has_base ? &known->base : NULL,
                                .checkpoint = true,
                                .spared = subject_spared,
                                .threads = subject_threads(s, false) };
    struct dump_spec dump = { .reach = &s->reach,
                              .pg_bin = node->pg_bin,
                              .ending = ".partial",
                              .ranges = true,
                              .base_id = known->has_base ? known->base.id : NULL,
                              .threads = files.threads };
    CLEANUP(free_mem) char *dir = store_path(&s->store, m->id, ".partial", NULL);
    int rc = manifest_spill_to(m, dir, err);
    if (rc != 0)
        return rc;
    subject_doing(s, "packing files", total);
    rc = files_capture(&s->store, m, &files, subject_moved, s, err);
    if (rc != 0)
        return rc;
    subject_doing(s, "dumping the database", known->has_base ? known->base.dump.content : 0);
    if ((rc = dump_make(&s->store, m, &dump, subject_moved, s, NULL, err)) != 0)
        return rc;
    m->finished_ms = clock_wall_ms();
    return store_keep(&s->store, m, ".partial", "", err);
}

/* The base's dump is the best measure of the next one. */
static int dump_size(struct subject *s, const struct known *known, uint64_t *ret, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    bool found = false;
    if (known->has_base) {
        *ret = known->base.dump.size + known->base.dump.size / 4;
        return 0;
    }
    int rc = reach_connect(&s->reach, NULL, &conn, err);
    return rc == 0 ? database_u64(conn, "select pg_database_size(current_database())", ret, &found,
                                  err)
                   : rc;
}

/* So much free that it would fit if everything had doubled since the base was taken: then no tree is
 * walked only to find out, and what the base holds is near enough for an estimate. */
static bool has_plenty(const struct subject *s, const struct known *known, uint64_t reserve,
                       uint64_t *ret_total)
{
    const struct manifest *base = &known->base;
    uint64_t bytes = 0, free_bytes = 0, free_files = 0;
    struct err ignored = { 0 };
    if (!known->has_base || fs_space(s->store.dir, &free_bytes, &free_files, &ignored) != 0)
        return false;
    bytes = base->sums.bytes;
    *ret_total = bytes;
    bytes += base->dump.size + room_manifest(base->sums.names);
    return free_bytes / 2 > bytes + reserve + ROOM_SPARE &&
           free_files / 2 > 16 + bytes / PACK_SIZE_MAX;
}

/* Whether it can fit; a run has taken its reserve before, by hand it is left untouched. */
static int check_room(struct subject *s, const struct known *known, uint64_t *ret_total,
                      struct err *err)
{
    const Confleet__WorkerNode *node = job_node(s->job);
    const char *const root[TREE_COUNT] = { s->site.install, s->site.home };
    const struct manifest *const held[2] = { known->has_part ? &known->part : NULL,
                                             known->has_base ? &known->base : NULL };
    struct room_trees trees;
    uint64_t dump = 0;
    if (has_plenty(s, known, node->reserve_bytes, ret_total))
        return 0;
    int rc = dump_size(s, known, &dump, err);
    if (rc != 0)
        return rc;
    room_trees(root, node->backup_dir, held, &trees);
    *ret_total = trees.bytes;
    uint64_t bytes = trees.packed + dump + room_manifest(trees.names);
    struct room_place places[] = {
        { s->store.dir, "the backup", bytes, 16 + bytes / PACK_SIZE_MAX },
        { s->store.dir, "the reserve for a way back (reserve of agent.yaml)", node->reserve_bytes, 1 }
    };
    bool by_hand = strcmp(job_order(s->job)->job, "backup") == 0;
    return room_check(places, by_hand && node->reserve_bytes ? 2 : 1,
                      "make room there, give backup_dir of agent.yaml another place, or shorten keep",
                      err);
}

static int begin(struct subject *s, struct manifest *m, struct known *known, struct err *err)
{
    int rc = base_find(&s->store, &known->base, &known->has_base, err);
    if (rc == 0)
        rc = store_go_on(&s->store, m, &known->part, &known->has_part, err);
    if (rc == 0 && known->has_part)
        job_log(s->job, 6, "backup %s was cut off and is continued: %zu files are there already",
                m->id, known->part.sums.names);
    else if (rc == 0)
        rc = store_begin(&s->store, m, err);
    if (known->has_base)
        m->base = manifest_text(m, known->base.id);
    return rc;
}

int hot_make(struct subject *subject, const char *remember, char ret_id[MANIFEST_ID_MAX],
             struct err *err)
{
    CLEANUP(manifest_free) struct manifest m;
    CLEANUP(known_free) struct known known = { .has_part = false };
    uint64_t total = 0;
    manifest_init(&m);
    manifest_init(&known.part);
    manifest_init(&known.base);
    m.kind = "hot";
    m.installation = manifest_text(&m, job_node(subject->job)->installation);
    m.site = manifest_text(&m, job_node(subject->job)->site);
    m.version = manifest_text(&m, subject->site.version);
    m.build = subject->site.app_build;
    subject->serving = true;
    int rc = begin(subject, &m, &known, err);
    if (rc == 0 && (rc = check_room(subject, &known, &total, err)) != 0)
        (void)err_wrap(err, "nothing was begun");
    if (rc == 0 && remember)
        rc = subject_remember(subject->job, remember, m.id, err);
    if (rc == 0)
        rc = write_hot(subject, &m, &known, total, err);
    if (rc != 0) {
        /* Room may be just what is missing; what stays after all is removed by the next backup. */
        struct err ignored = { 0 };
        if (m.id[0] && store_drop(&subject->store, m.id, ".partial", &ignored) != 0)
            job_log(subject->job, 4, "%s; ignoring", ignored.text);
        return err_wrap(err, "backup %s/%s.partial", subject->store.dir, m.id[0] ? m.id : "new");
    }
    if (m.sums.changed > 0)
        job_log(
            subject->job, 6,
            "%zu files kept changing while they were read (%s): the capture at the stop takes them",
            m.sums.changed, str_text(&m.sums.changed_names));
    memcpy(ret_id, m.id, sizeof m.id);
    return 0;
}

static int prove(struct subject *s, const struct manifest *m, Confleet__BackupLevel least,
                 struct proof *proof, struct err *err)
{
    struct scratch_spec scratch;
    uint64_t total = m->dump.content + m->sums.bytes;
    s->store.threads = subject_threads(s, false);
    subject_doing(s, "reading the backup back", total);
    int rc = store_check(&s->store, m, "", subject_moved, s, err);
    if (rc == 0)
        rc = store_check_bases(&s->store, m, subject_moved, s, err);
    if (rc != 0)
        return rc;
    proof->level = CONFLEET__BACKUP_LEVEL__RE_READ;
    struct err why = { 0 };
    subject_scratch(s, m, &scratch);
    subject_doing(s, "restoring into a scratch database", m->dump.content);
    rc = prove_database(&s->store, m, "", &scratch, proof, subject_moved, s, &why);
    if (rc == 0) {
        proof->level = CONFLEET__BACKUP_LEVEL__RESTORED;
        return 0;
    }
    (void)snprintf(proof->note, sizeof proof->note, "not restored: %.480s", why.text);
    bool wrong = why.code == FAIL_CORRUPT || why.code == FAIL_MISMATCH;
    if (!wrong && least <= CONFLEET__BACKUP_LEVEL__RE_READ &&
        least != CONFLEET__BACKUP_LEVEL__LEVEL_NONE)
        return 0;
    if (err)
        *err = why;
    return rc;
}

int hot_prove(struct subject *subject, const char *id, Confleet__BackupLevel least, struct err *err)
{
    CLEANUP(manifest_free) struct manifest m;
    struct proof proof = { .level = CONFLEET__BACKUP_LEVEL__COMPLETE };
    char sha256[HASH_HEX_MAX];
    struct err ignored = { 0 };
    manifest_init(&m);
    if (least == CONFLEET__BACKUP_LEVEL__STARTED)
        return err_set(
            err, FAIL_UNSUPPORTED,
            "level 'started' is not available yet: a backup can be proven up to 'restored'");
    int rc = store_read(&subject->store, id, "", MANIFEST_WHOLE, &m, sha256, err);
    if (rc != 0)
        return rc;
    subject->serving = true;
    rc = prove(subject, &m, least, &proof, err);
    bool wrote =
        proof_write(&subject->store, id, "", sha256, &proof, rc == 0 ? err : &ignored) == 0;
    subject_record(subject, &m, sha256, &proof);
    if (rc == 0 && !wrote)
        rc = -FAIL_IO;
    return rc == 0 ? 0 : err_wrap(err, "prove backup %s", id);
}
