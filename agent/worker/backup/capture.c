#include "capture.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "manifest_spill.h"
#include "restore_db.h"
#include "restore_files.h"
#include "twin.h"
#include <inttypes.h>
#include <string.h>

#define UNPROVEN "stop capture: unproven until it was restored"

/* Where this run's capture is: "" whole, ".files" without its database; false when there is none.
 */
static bool find_capture(struct job *job, char id[MANIFEST_ID_MAX], const char **ret_ending)
{
    const Confleet__WorkerNode *node = job_node(job);
    subject_id(job, MEMO_STOP_BACKUP, SUBJECT_STOP, id);
    if (!id[0])
        return false;
    CLEANUP(free_mem)
    char *whole = text_printf("%s/%s/%s/manifest", node->backup_dir, node->installation, id);
    CLEANUP(free_mem)
    char *half =
        text_printf("%s/%s/%s.files/manifest.files", node->backup_dir, node->installation, id);
    *ret_ending = fs_exists(whole) ? "" : ".files";
    return fs_exists(whole) || fs_exists(half);
}

/* What a running Confluence has is neither the state of the stop nor ours to overwrite. */
static int need_stopped(const struct subject *s, struct err *err)
{
    pid_t pid = 0;
    int rc = installation_pid(s->site.install, site_proc(s->job), &pid, err);
    if (rc != 0)
        return err_wrap(err, "look for a running Confluence");
    return pid == 0 ? 0
                    : err_set(err, FAIL_CONFLICT,
                              "Confluence was started again after the stop: process %ld runs from "
                              "%s",
                              (long)pid, s->site.install);
}

/* The order knows of the intent; a start that was refused before its script has left its note. */
static bool build_started(const struct job *job)
{
    CLEANUP(free_mem) char *note = site_run(job, SITE_UNSTARTED_NOTE);
    return job_order(job)->new_build_started && !fs_exists(note);
}

/* Nothing but "configure" and the new build changes the home. */
static bool home_changed(const struct job *job)
{
    CLEANUP(free_mem) char *note = site_run(job, SITE_HOME_NOTE);
    return build_started(job) || fs_exists(note);
}

static int load_base(struct subject *s, struct manifest *base, bool *ret_found, struct err *err)
{
    char id[MANIFEST_ID_MAX];
    struct err why = { 0 };
    *ret_found = false;
    subject_id(s->job, MEMO_HOT_BACKUP, SUBJECT_HOT, id);
    if (!id[0] || store_read(&s->store, id, "", MANIFEST_HEAD, base, NULL, &why) != 0) {
        job_log(s->job, 4, "no hot backup to build on (%s): everything is packed",
                id[0] ? why.text : "none was made");
        return 0;
    }
    *ret_found = true;
    return manifest_id_is_valid(base->id) ? 0
                                          : err_set(err, FAIL_CORRUPT, "backup %s has no id", id);
}

static int write_files(struct subject *s, struct manifest *m, const struct manifest *base,
                       char ret_sha256[HASH_HEX_MAX], struct err *err)
{
    struct files_spec spec = {
        .root = { s->site.install, s->site.home }, .base = base, .still = true, .ending = ".partial"
    };
    int64_t began_ms = clock_mono_ms();
    spec.threads = s->store.threads = subject_threads(s, true);
    subject_doing(s, "capturing what changed", 0);
    CLEANUP(free_mem) char *dir = store_path(&s->store, m->id, ".partial", NULL);
    int rc = manifest_spill_to(m, dir, err);
    if (rc == 0)
        rc = files_capture(&s->store, m, &spec, subject_moved, s, err);
    if (rc != 0)
        return rc;
    m->finished_ms = clock_wall_ms();
    int64_t captured_ms = clock_mono_ms();
    /* Read back before it counts: there is no second chance to read the state of the stop. */
    subject_doing(s, "reading the capture back", 0);
    rc = store_check(&s->store, m, ".partial", subject_moved, s, err);
    if (rc == 0)
        rc = need_stopped(s, err);
    if (rc == 0)
        rc = store_keep_told(&s->store, m, ".partial", ".files", ret_sha256, err);
    if (rc == 0)
        job_log(s->job, 6, "files captured in %lld ms, read back and kept in %lld ms",
                (long long)(captured_ms - began_ms), (long long)(clock_mono_ms() - captured_ms));
    return rc;
}

static int drop_earlier(struct subject *s, struct err *err)
{
    char id[MANIFEST_ID_MAX];
    subject_id(s->job, MEMO_STOP_BACKUP, SUBJECT_STOP, id);
    int rc = id[0] ? twin_drop(s, id, err) : 0;
    return rc == 0 && id[0] ? store_drop(&s->store, id, ".files", err) : rc;
}

/* Of how the database is captured; where the server failed to copy it, that is a dump by now. */
static bool is_copy(const char *why)
{
    return strncmp(why, "copy:", strlen("copy:")) == 0;
}

/* Its record, as far as it goes: the database is only a copy inside its server yet. */
static void record_copy(struct subject *s, const struct manifest *m, const char *sha256,
                        const char *why)
{
    struct proof proof = { .level = CONFLEET__BACKUP_LEVEL__LEVEL_NONE }; /* no database is in it */
    char name[64];
    twin_name(m->id, name);
    (void)snprintf(proof.note, sizeof proof.note,
                   UNPROVEN "; the database is %s in its own server; by %.350s", name, why);
    subject_record(s, m, sha256, &proof);
}

/* The server copies the database while the files are read: both belong to the same stop. */
static int write_both(struct subject *s, struct manifest *m, struct err *err)
{
    CLEANUP(twin_close) struct twin twin = { .conn = NULL };
    CLEANUP(manifest_free) struct manifest base;
    bool based = false;
    char sha256[HASH_HEX_MAX];
    manifest_init(&base);
    int rc = twin_begin(s, m->id, &twin, err);
    bool copying = twin.running;
    if (rc == 0)
        rc = load_base(s, &base, &based, err);
    if (rc == 0 && based)
        m->base = manifest_text(m, base.id);
    if (rc == 0)
        rc = write_files(s, m, based ? &base : NULL, sha256, err);
    int64_t kept_ms = clock_mono_ms();
    if (rc == 0)
        rc = twin_end(s, &twin, err);
    if (rc == 0 && copying)
        job_log(s->job, 6, "the server's copy of the database took %lld ms longer than the files",
                (long long)(clock_mono_ms() - kept_ms));
    if (rc == 0 && copying && is_copy(twin.why))
        record_copy(s, m, sha256, twin.why);
    if (rc == 0)
        job_memo_set(s->job, MEMO_STOP_CAPTURE, "%s", twin.why);
    return rc;
}

int capture_files_act(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject s = { .store = { .lock = -1 } };
    CLEANUP(manifest_free) struct manifest m;
    manifest_init(&m);
    if (job_order(job)->new_build_started)
        return err_set(err, FAIL_CONFLICT,
                       "the new build was started: what stands here is not the state at the stop");
    int rc = subject_open(job, CONFIG_LIVE, &s, err);
    if (rc == 0)
        rc = need_stopped(&s, err);
    if (rc == 0)
        rc = drop_earlier(&s, err);
    if (rc == 0)
        rc = subject_keep_config(&s, err);
    if (rc != 0)
        return rc;
    m.kind = "stop";
    m.installation = manifest_text(&m, job_node(job)->installation);
    m.site = manifest_text(&m, job_node(job)->site);
    m.version = manifest_text(&m, s.site.version);
    m.build = s.site.app_build;
    rc = store_begin(&s.store, &m, err);
    if (rc == 0)
        rc = subject_remember(job, SUBJECT_STOP, m.id, err);
    if (rc == 0)
        rc = write_both(&s, &m, err);
    if (rc != 0)
        return err_wrap(err, "capture %s/%s.partial", s.store.dir, m.id[0] ? m.id : "new");
    job_memo_set(job, MEMO_STOP_BACKUP, "%s", m.id);
    return 0;
}

int capture_files_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    char id[MANIFEST_ID_MAX];
    const char *ending = NULL;
    (void)err;
    bool found = find_capture(job, id, &ending);
    *ret = found   ? CONFLEET__PROBE_STATE__PROBE_COMPLETE
           : id[0] ? CONFLEET__PROBE_STATE__PARTIAL
                   : CONFLEET__PROBE_STATE__ABSENT;
    if (found)
        job_memo_set(job, MEMO_STOP_BACKUP, "%s", id);
    return 0;
}

/* What was taken over from a backup that nobody has read back is read back here to its content. */
static void trust_kept(struct subject *s, struct manifest *m)
{
    CLEANUP(free_mem) char *path = store_path(&s->store, m->base, "", "manifest");
    struct proof proof = { .level = CONFLEET__BACKUP_LEVEL__LEVEL_NONE };
    struct err ignored = { 0 };
    char sha256[HASH_HEX_MAX];
    if (m->base[0] && hash_file_hex(path, sha256, NULL, &ignored) == 0 &&
        proof_read(&s->store, m->base, sha256, &proof, &ignored) == 0 &&
        proof.level >= CONFLEET__BACKUP_LEVEL__RE_READ)
        return;
    for (size_t i = 0; i < m->dump.frames.count; i++)
        m->dump.frames.item[i].kept = false;
}

/* The dump is the last part: with it the backup is whole and gets its name. */
static int finish_dump(struct subject *s, const char *id, const char *why, struct err *err)
{
    CLEANUP(manifest_free) struct manifest m;
    struct dump_spec dump = {
        .reach = &s->reach, .pg_bin = job_node(s->job)->pg_bin, .ending = ".files", .still = true
    };
    dump.threads = s->store.threads = subject_threads(s, true);
    struct dump_counts counts = { 0 };
    struct proof proof = { .level = CONFLEET__BACKUP_LEVEL__RE_READ };
    char sha256[HASH_HEX_MAX];
    manifest_init(&m);
    (void)snprintf(proof.note, sizeof proof.note, UNPROVEN "; database by %.400s", why);
    int rc = store_read(&s->store, id, ".files", MANIFEST_WHOLE, &m, NULL, err);
    if (rc != 0)
        return rc;
    subject_doing(s, "dumping the database", 0);
    int64_t began_ms = clock_mono_ms();
    dump.base_id = m.base;
    if ((rc = dump_make(&s->store, &m, &dump, subject_moved, s, &counts, err)) != 0)
        return rc;
    m.finished_ms = clock_wall_ms();
    int64_t dumped_ms = clock_mono_ms();
    trust_kept(s, &m);
    rc = store_check_dump(&s->store, &m, ".files", subject_moved, s, err);
    if (rc == 0)
        job_log(s->job, 6,
                "database dumped in %lld ms (%" PRIu64 " of %" PRIu64
                " parts of large tables are as they were in %s), read back in %lld ms",
                (long long)(dumped_ms - began_ms), counts.kept, counts.ranges,
                m.base[0] ? m.base : "no backup before",
                (long long)(clock_mono_ms() - dumped_ms));
    if (rc == 0)
        rc = need_stopped(s, err);
    if (rc == 0)
        rc = store_keep_told(&s->store, &m, ".files", "", sha256, err);
    if (rc == 0)
        rc = proof_write(&s->store, id, "", sha256, &proof, err);
    if (rc == 0)
        subject_record(s, &m, sha256, &proof);
    return rc;
}

/* The copy is frozen and durable; it is dumped and proven when the site serves again. */
static int finish_copy(struct subject *s, const char *id, const char *why, bool recorded,
                       struct err *err)
{
    CLEANUP(manifest_free) struct manifest m;
    char sha256[HASH_HEX_MAX];
    manifest_init(&m);
    int rc = need_stopped(s, err);
    if (rc == 0 && !recorded)
        rc = store_read(&s->store, id, ".files", MANIFEST_WHOLE, &m, sha256, err);
    if (rc == 0 && !recorded)
        record_copy(s, &m, sha256, why);
    return rc;
}

static int finish_capture(struct subject *s, const char *id, struct err *err)
{
    CLEANUP(twin_close) struct twin twin = { .conn = NULL };
    char why[TWIN_WHY] = "";
    bool ready = false;
    const char *noted = job_memo(s->job, MEMO_STOP_CAPTURE);
    int rc = twin_finish(s, id, &ready, why, err);
    if (rc == 0 && !ready && !why[0] && !noted[0]) { /* the files' step was cut off at its end */
        if ((rc = twin_begin(s, id, &twin, err)) == 0 && (rc = twin_end(s, &twin, err)) == 0)
            rc = twin_finish(s, id, &ready, why, err);
        noted = twin.why;
    }
    if (rc != 0)
        return rc;
    if (ready)
        return finish_copy(s, id, noted[0] ? noted : "copy",
                           is_copy(job_memo(s->job, MEMO_STOP_CAPTURE)), err);
    if (why[0] && strcmp(job_node(s->job)->stop_capture, "copy") == 0)
        return err_set(err, FAIL_CONFLICT,
                       "the copy of the database cannot be used, and the policy wants no dump "
                       "(stop_capture: copy): %.380s",
                       why);
    CLEANUP(free_mem) char *reason = why[0] ? text_printf("dump: %.380s", why) : text_dup(noted);
    job_memo_set(s->job, MEMO_STOP_CAPTURE, "%s", reason);
    return finish_dump(s, id, reason, err);
}

int capture_database_act(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject s = { .store = { .lock = -1 } };
    char id[MANIFEST_ID_MAX];
    const char *ending = NULL;
    if (job_order(job)->new_build_started)
        return err_set(
            err, FAIL_CONFLICT,
            "the new build was started: the database is not the one of the stop any more");
    if (!find_capture(job, id, &ending))
        return err_set(err, FAIL_NOT_FOUND, "the files of the stop were not captured: %s",
                       id[0] ? id : "no id is known");
    if (!ending[0])
        return 0;
    int rc = subject_open(job, CONFIG_LIVE, &s, err);
    if (rc == 0)
        rc = need_stopped(&s, err);
    if (rc == 0)
        rc = finish_capture(&s, id, err);
    return rc == 0 ? 0 : err_wrap(err, "capture %s", id);
}

/* For the record and for the run's report: what there is, for how long, and what can be done. */
static int tell_undumped(struct subject *s, const struct manifest *m, const char *sha256,
                         const struct twin_note *note, struct err *err)
{
    struct proof proof = { .level = CONFLEET__BACKUP_LEVEL__LEVEL_NONE };
    int rc = err->code == FAIL_NOT_FOUND
                 ? err_wrap(err, "backup %s has no database, it holds files alone", m->id)
                 : err_wrap(err,
                            "backup %s has no dump of its database, only copy %s in the site's own "
                            "server, which the expiry drops with the backup (keep). To have it for "
                            "longer, ALTER DATABASE %s ALLOW_CONNECTIONS true there and pg_dump it",
                            m->id, note->name, note->name);
    (void)snprintf(proof.note, sizeof proof.note, "%.500s", err->text);
    subject_record(s, m, sha256, &proof);
    return rc;
}

int capture_complete(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject s = { .store = { .lock = -1 } };
    CLEANUP(manifest_free) struct manifest m;
    struct twin_note note;
    char id[MANIFEST_ID_MAX];
    char sha256[HASH_HEX_MAX];
    const char *ending = NULL;
    manifest_init(&m);
    if (!find_capture(job, id, &ending) || !ending[0])
        return 0;
    int rc = twin_read(job_node(job)->backup_dir, job_node(job)->installation, id, &note, err);
    if (rc == 0)
        rc = subject_open(job, CONFIG_LIVE, &s, err);
    if (rc == 0)
        rc = store_read(&s.store, id, ".files", MANIFEST_WHOLE, &m, sha256, err);
    if (rc != 0)
        return rc;
    s.serving = true;
    subject_doing(&s, "dumping the copy of the database", 0);
    if ((rc = twin_dump(&s, &note, &m, subject_threads(&s, false), err)) != 0)
        return tell_undumped(&s, &m, sha256, &note, err);
    rc = store_check_dump(&s.store, &m, ".files", subject_moved, &s, err);
    return rc == 0 ? store_keep(&s.store, &m, ".files", "", err) : rc;
}

/* The frozen copy, else the dump; a copy that was opened for its dump may not be it any more. */
static int database_usable(struct subject *s, const struct manifest *m, const char *ending,
                           struct err *err)
{
    const Confleet__WorkerNode *node = job_node(s->job);
    struct twin_note note = { .state = TWIN_NONE };
    bool there = false;
    int rc = twin_read(node->backup_dir, node->installation, m->id, &note, err);
    if (rc == 0)
        rc = twin_there(s, &note, &there, err);
    if (rc != 0 || (there && (ending[0] || !note.opened)))
        return rc;
    if (ending[0])
        return err_set(err, FAIL_NOT_FOUND,
                       "the database at the stop was not dumped yet, and its copy %s is not there",
                       note.state == TWIN_NONE ? "in the server" : note.name);
    rc = store_check_dump(&s->store, m, ending, subject_moved, s, err);
    if (rc != 0)
        proof_doubt(&s->store, m->id);
    return rc;
}

static int read_capture(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject s = { .store = { .lock = -1 } };
    CLEANUP(manifest_free) struct manifest m;
    char id[MANIFEST_ID_MAX];
    const char *ending = NULL;
    manifest_init(&m);
    if (!find_capture(job, id, &ending))
        return err_set(err, FAIL_NOT_FOUND, "there is no capture of the stop in %s/%s%s%s",
                       job_node(job)->backup_dir, job_node(job)->installation, id[0] ? ": " : "",
                       id);
    int rc = subject_open(job, CONFIG_LIVE, &s, err);
    if (rc != 0)
        return rc;
    s.serving = true;
    s.store.threads = subject_threads(&s, false);
    subject_doing(&s, "reading the capture of the stop before anything is stopped", 0);
    rc = store_read(&s.store, id, ending, MANIFEST_WHOLE, &m, NULL, err);
    if (rc == 0)
        rc = store_check_tree(&s.store, &m, TREE_HOME, ending, subject_moved, &s, err);
    return rc == 0 ? database_usable(&s, &m, ending, err) : rc;
}

int capture_usable(struct job *job, struct err *err)
{
    if (read_capture(job, err) == 0)
        return 0;
    return err_wrap(err,
                    "the site still serves the new version and nothing was stopped, because what "
                    "it would go back to cannot be read. Bring back what is named here, then let "
                    "the run try again (confleet-agent resume %s)",
                    job_node(job)->install);
}

int capture_database_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    char id[MANIFEST_ID_MAX];
    const char *ending = NULL;
    bool found = find_capture(job, id, &ending);
    struct twin_note note = { .state = TWIN_NONE };
    if (found && twin_read(job_node(job)->backup_dir, job_node(job)->installation, id, &note, err))
        return -err->code;
    if (found && (!ending[0] || note.state == TWIN_READY))
        *ret = CONFLEET__PROBE_STATE__PROBE_COMPLETE;
    else if (found && note.state != TWIN_NONE)
        *ret = CONFLEET__PROBE_STATE__PARTIAL;
    else if (found) {
        CLEANUP(free_mem)
        char *dump = text_printf("%s/%s/%s.files/%s", job_node(job)->backup_dir,
                                 job_node(job)->installation, id, DUMP_NAME);
        *ret = fs_exists(dump) ? CONFLEET__PROBE_STATE__PARTIAL : CONFLEET__PROBE_STATE__ABSENT;
    } else {
        *ret = CONFLEET__PROBE_STATE__ABSENT;
    }
    return 0;
}

int capture_database_undo(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject s = { .store = { .lock = -1 } };
    CLEANUP(manifest_free) struct manifest m;
    char id[MANIFEST_ID_MAX];
    const char *ending = NULL;
    manifest_init(&m);
    struct twin_note note = { .state = TWIN_NONE };
    struct err why = { 0 };
    bool done = false, dumped = false;
    /* Nothing but the new build writes there; a copy that is not needed goes when the site serves.
     */
    if (!build_started(job))
        return 0;
    if (!find_capture(job, id, &ending))
        return err_set(
            err, FAIL_NOT_FOUND,
            "the new build was started, but there is no capture of the database at the stop%s%s",
            id[0] ? ": " : "", id);
    int rc = subject_open(job, CONFIG_AT_STOP, &s, err);
    if (rc == 0)
        rc = need_stopped(&s, err);
    if (rc == 0)
        rc = twin_read(job_node(job)->backup_dir, job_node(job)->installation, id, &note, err);
    if (rc == 0 && !ending[0] && store_read(&s.store, id, "", MANIFEST_WHOLE, &m, NULL, &why) == 0)
        dumped = true;
    if (rc == 0)
        rc = restore_copy(&s, &note, dumped ? &m : NULL, &done, err);
    if (rc != 0 || done || (ending[0] && restore_is_done(&s, id)))
        return rc;
    if (ending[0])
        return err_set(err, FAIL_NOT_FOUND,
                       "the new build was started, and the database at the stop is lost: %s%s%s "
                       "was not dumped yet. The hot backup of this run holds the state before",
                       note.state ? "the copy " : "capture ", note.state ? note.name : id,
                       note.state ? " is gone from its server, and it" : "");
    rc = dumped ? 0 : store_read(&s.store, id, "", MANIFEST_WHOLE, &m, NULL, err);
    return rc == 0 ? restore_database(&s, &m, note.oid, err) : rc;
}

/* Files without their database are worth nothing any more; that must not hold up the way back. */
static void drop_half(struct subject *s, const char *id)
{
    struct err why = { 0 };
    if (store_drop(&s->store, id, ".files", &why) != 0)
        job_log(s->job, 4, "%s; it is left for the expiry", why.text);
}

static void drop_half_alone(struct job *job, const char *id)
{
    CLEANUP(subject_close) struct subject s = { .store = { .lock = -1 } };
    struct err why = { 0 };
    if (subject_open(job, CONFIG_AT_STOP, &s, &why) != 0)
        job_log(job, 4, "%s: %s; it is left for the expiry", id, why.text);
    else
        drop_half(&s, id);
}

int capture_files_undo(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject s = { .store = { .lock = -1 } };
    CLEANUP(manifest_free) struct manifest m;
    struct restore_counts counts = { 0 };
    char id[MANIFEST_ID_MAX];
    const char *ending = NULL;
    manifest_init(&m);
    if (!find_capture(job, id, &ending))
        return build_started(job) ? err_set(err, FAIL_NOT_FOUND,
                                            "the new build was started, but there is no capture "
                                            "of the files at the stop")
                                  : 0;
    if (!home_changed(job)) {
        if (ending[0])
            drop_half_alone(job, id);
        return 0;
    }
    int rc = subject_open(job, CONFIG_AT_STOP, &s, err);
    if (rc == 0)
        rc = need_stopped(&s, err);
    if (rc == 0)
        rc = store_read(&s.store, id, ending, MANIFEST_HEAD, &m, NULL, err);
    if (rc != 0)
        return rc;
    struct restore_from from = { &s.store, &m, ending, subject_moved, &s, .strip = false };
    subject_doing(&s, "putting the home back", 0);
    if ((rc = restore_tree(&from, TREE_HOME, s.site.home, &counts, err)) != 0)
        return rc;
    job_log(job, 6,
            "home put back: %" PRIu64 " files written, %" PRIu64 " removed, %" PRIu64
            " names touched",
            counts.written, counts.removed, counts.touched);
    /* Without its database it is no backup, and the way back is done with it. After the new build
     * was started there was one, as a copy: a second run of this undo needs the files once more. */
    if (ending[0] && !build_started(job))
        drop_half(&s, id);
    return 0;
}
