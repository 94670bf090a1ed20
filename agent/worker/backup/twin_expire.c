/* When a copy goes: its run is kept and its dump proven, its run went back without it, or the
 * backup that it belongs to is gone. */
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "twin.h"
#include <dirent.h>
#include <string.h>

CLEANUP_OF(close_dir, DIR *, closedir)

static bool is_proven(const struct subject *s, const char *id)
{
    CLEANUP(manifest_free) struct manifest m;
    struct proof proof = { 0 };
    struct err ignored = { 0 };
    char sha256[HASH_HEX_MAX];
    manifest_init(&m);
    return store_read(&s->store, id, "", MANIFEST_WHOLE, &m, sha256, &ignored) == 0 &&
           proof_read(&s->store, id, sha256, &proof, &ignored) == 0 &&
           proof.level >= CONFLEET__BACKUP_LEVEL__RESTORED;
}

void twin_tidy(struct job *job, bool kept)
{
    CLEANUP(subject_close) struct subject s = { .store = { .lock = -1 } };
    const Confleet__WorkerNode *node = job_node(job);
    struct twin_note note;
    struct err err = { 0 };
    char id[MANIFEST_ID_MAX];
    subject_id(job, MEMO_STOP_BACKUP, SUBJECT_STOP, id);
    if (!id[0])
        return;
    int rc = twin_read(node->backup_dir, node->installation, id, &note, &err);
    if (rc == 0 && note.state == TWIN_NONE)
        return;
    if (rc == 0)
        rc = subject_open(job, CONFIG_LIVE, &s, &err);
    if (rc == 0 && kept && !is_proven(&s, id)) {
        job_log(job, 4, "copy %s of the database is kept: its dump was not proven", note.name);
        return;
    }
    if (rc == 0)
        rc = twin_drop(&s, id, &err);
    if (rc != 0)
        job_log(job, 4, "%s; the expiry will try again", err.text);
}

static bool is_needed(const struct subject *s, const char *id)
{
    return (store_has(&s->store, id, "") && !is_proven(s, id)) ||
           store_has(&s->store, id, ".files");
}

static int look_at(struct job *job, const char *id, struct subject *s, struct err *err)
{
    struct twin_note note = { .state = TWIN_NONE };
    const Confleet__WorkerNode *node = job_node(job);
    int rc = twin_read(node->backup_dir, node->installation, id, &note, err);
    if (rc == 0 && !s->site.install)
        rc = subject_open(job, CONFIG_LIVE, s, err);
    if (rc != 0 && note.state != TWIN_NONE) /* the installation may be gone for good */
        return err_wrap(err,
                        "copy %s of database %s stays: when it is not wanted any more, DROP "
                        "DATABASE %s there, then remove %s/%s/%s" TWIN_ENDING,
                        note.name, note.at, note.name, node->backup_dir, node->installation, id);
    if (rc == 0 && (note.state == TWIN_BACK || !is_needed(s, id)))
        rc = twin_drop(s, id, err);
    return rc;
}

int twins_expire(struct job *job, struct err *err)
{
    CLEANUP(subject_close) struct subject s = { .store = { .lock = -1 } };
    const Confleet__WorkerNode *node = job_node(job);
    CLEANUP(free_mem) char *path = fs_join(node->backup_dir, node->installation);
    CLEANUP(close_dir) DIR *dir = node->backup_dir[0] ? opendir(path) : NULL;
    (void)err;
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        char id[MANIFEST_ID_MAX];
        struct err why = { 0 };
        size_t len = strlen(entry->d_name), tail = strlen(TWIN_ENDING);
        if (len <= tail || len - tail >= sizeof id ||
            strcmp(entry->d_name + len - tail, TWIN_ENDING) != 0)
            continue;
        (void)snprintf(id, sizeof id, "%.*s", (int)(len - tail), entry->d_name);
        /* One server that does not answer must not keep backups from their expiry. */
        if (manifest_id_is_valid(id) && look_at(job, id, &s, &why) != 0)
            job_log(job, 4, "%s; it is tried again", why.text);
    }
    return 0;
}
