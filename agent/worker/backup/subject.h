/* subject - what a backup job is about: the installation as it is found, the account of its
 * database, its folder of backups.
 *
 * On the way back the home's configuration may be what a failed start left of it: then the copy
 * that the stop took is read. */
#pragma once
#include "agent/worker/backup/dump.h"
#include "agent/worker/backup/files.h"
#include "agent/worker/backup/pace.h"
#include "agent/worker/backup/scratch.h"
#include "agent/worker/backup/store.h"
#include "agent/worker/confluence/installation.h"
#include "agent/worker/job.h"

#define SUBJECT_HOT                                                                                \
    "hot-backup" /* files in the run folder that hold an id: written before the backup is begun */
#define SUBJECT_STOP "stop-backup"
#define SUBJECT_CONFIG                                                                             \
    "stop-home" /* folder in the run folder with the configuration as it was at the stop */

struct subject {
    struct job *job;
    struct installation site;
    struct store store;
    struct reach reach;
    char *dir;        /* for passfiles: the run folder, else the folder of backups */
    struct pace pace; /* of what is being done */
    bool serving;     /* users are on the site: no faster than the policy allows */
    const char *doing;
};
enum subject_config { CONFIG_LIVE, CONFIG_AT_STOP };
int subject_open(struct job *job, enum subject_config config, struct subject *ret,
                 struct err *err) MUST_USE;
void subject_close(struct subject *subject); /* fits CLEANUP() */
/* Helpers beside the caller: none while the site serves users, unless full speed was asked for. */
unsigned subject_threads(const struct subject *subject, bool down);
void subject_doing(struct subject *subject, const char *doing, uint64_t total);
void subject_moved(void *subject, uint64_t bytes);  /* a pack_progress */
void subject_spared(void *subject, uint64_t bytes); /* another: so much less is to be done */
void subject_scratch(struct subject *subject, const struct manifest *manifest,
                     struct scratch_spec *ret);

/* The id that a step of this run gave its backup: from the memo, else from the run folder; "" when
 * there is none. */
void subject_id(struct job *job, const char *memo, const char *file, char ret_id[MANIFEST_ID_MAX]);
int subject_remember(struct job *job, const char *file, const char *id, struct err *err) MUST_USE;
int subject_keep_config(struct subject *subject, struct err *err) MUST_USE;

/* Hangs a record into the job's result. */
void subject_record(struct subject *subject, const struct manifest *manifest,
                    const char *manifest_sha256, const struct proof *proof);
