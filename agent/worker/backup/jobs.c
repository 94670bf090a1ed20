/* The steps of the runbook and the jobs of an operator, each a few calls into the parts. */
#include "agent/worker/checks/check.h"
#include "agent/worker/job.h"
#include "capture.h"
#include "confleet/cleanup.h"
#include "hot.h"
#include "record.h"
#include "restore_into.h"
#include <string.h>

static int backup_act(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject subject = { .store = { .lock = -1 } };
    char id[MANIFEST_ID_MAX];
    int rc = subject_open(job, CONFIG_LIVE, &subject, err);
    if (rc == 0)
        rc = hot_make(&subject, SUBJECT_HOT, id, err);
    if (rc == 0)
        job_memo_set(job, MEMO_HOT_BACKUP, "%s", id);
    return rc;
}

static bool is_kept(struct job *job, const char *id)
{
    const Confleet__WorkerNode *node = job_node(job);
    CLEANUP(free_mem)
    char *path = text_printf("%s/%s/%s/manifest", node->backup_dir, node->installation, id);
    return id[0] && access(path, R_OK) == 0;
}

static int backup_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    char id[MANIFEST_ID_MAX];
    (void)err;
    subject_id(job, MEMO_HOT_BACKUP, SUBJECT_HOT, id);
    *ret = is_kept(job, id) ? CONFLEET__PROBE_STATE__PROBE_COMPLETE
           : id[0]          ? CONFLEET__PROBE_STATE__PARTIAL
                            : CONFLEET__PROBE_STATE__ABSENT;
    if (*ret == CONFLEET__PROBE_STATE__PROBE_COMPLETE)
        job_memo_set(job, MEMO_HOT_BACKUP, "%s", id);
    return 0;
}

static int prove_act(struct job *job, const char *memo, const char *file, struct err *err)
{
    CLEANUP(subject_close) struct subject subject = { .store = { .lock = -1 } };
    char id[MANIFEST_ID_MAX];
    subject_id(job, memo, file, id);
    if (!id[0])
        return err_set(err, FAIL_NOT_FOUND, "this run has made no backup that could be proven");
    int rc = subject_open(job, CONFIG_LIVE, &subject, err);
    return rc == 0 ? hot_prove(&subject, id, job_order(job)->level, err) : rc;
}

static int prove_probe(struct job *job, const char *memo, const char *file,
                       Confleet__ProbeState *ret, struct err *err)
{
    CLEANUP(manifest_free) struct manifest m;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    struct proof proof = { 0 };
    struct err ignored = { 0 };
    char id[MANIFEST_ID_MAX], sha256[HASH_HEX_MAX];
    Confleet__BackupLevel least =
        job_order(job)->level ? job_order(job)->level : CONFLEET__BACKUP_LEVEL__RESTORED;
    manifest_init(&m);
    *ret = CONFLEET__PROBE_STATE__ABSENT;
    subject_id(job, memo, file, id);
    if (!is_kept(job, id))
        return 0;
    int rc = store_open(job_node(job)->backup_dir, job_node(job)->installation, &store, err);
    if (rc != 0)
        return rc;
    /* What cannot be read now was not proven; the act says what is wrong with it. */
    if (store_read(&store, id, "", MANIFEST_WHOLE, &m, sha256, &ignored) == 0 &&
        proof_read(&store, id, sha256, &proof, &ignored) == 0 && proof.level >= least) {
        *ret = CONFLEET__PROBE_STATE__PROBE_COMPLETE;
        /* Whoever proved it may have died before it was told. */
        job_result(job)->backup = record_make(&m, sha256, &proof);
    }
    return 0;
}

static int verify_act(struct job *job, struct err *err)
{
    return prove_act(job, MEMO_HOT_BACKUP, SUBJECT_HOT, err);
}

static int verify_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    return prove_probe(job, MEMO_HOT_BACKUP, SUBJECT_HOT, ret, err);
}

static int prove_capture_act(struct job *job, struct err *err)
{
    return capture_complete(job, err) ? -err->code
                                      : prove_act(job, MEMO_STOP_BACKUP, SUBJECT_STOP, err);
}

static int prove_capture_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    return prove_probe(job, MEMO_STOP_BACKUP, SUBJECT_STOP, ret, err);
}

const struct step_impl steps_backup[] = {
    { "backup", backup_act, NULL, backup_probe },
    { "verify", verify_act, NULL, verify_probe },
    { "capture-files", capture_files_act, capture_files_undo, capture_files_probe },
    { "capture-database", capture_database_act, capture_database_undo, capture_database_probe },
    { "prove-capture", prove_capture_act, NULL, prove_capture_probe },
    { NULL, NULL, NULL, NULL },
};

int backup_job(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject subject = { .store = { .lock = -1 } };
    char id[MANIFEST_ID_MAX];
    int rc = subject_open(job, CONFIG_LIVE, &subject, err);
    if (rc == 0 && (rc = check_backup_medium(job_node(job), &subject.site, err)) != 0)
        (void)err_wrap(err, "nothing was begun");
    if (rc == 0)
        rc = hot_make(&subject, NULL, id, err);
    return rc == 0 ? hot_prove(&subject, id, job_order(job)->level, err) : rc;
}

int verify_job(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject subject = { .store = { .lock = -1 } };
    int rc = subject_open(job, CONFIG_LIVE, &subject, err);
    return rc == 0 ? hot_prove(&subject, job_order(job)->backup, job_order(job)->level, err) : rc;
}

int restore_job(struct job *job, struct err *err)
{
    return restore_into(job, err);
}
