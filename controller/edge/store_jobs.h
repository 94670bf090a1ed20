/* store_jobs - what operators asked agents to do outside of rollouts: checks, backups, proofs of
 * backups.
 *
 * One order per site; the operator's command polls the job. States of a site in a job: "ordered",
 * "running", "done", "failed", "refused", "silent". Backups that agents report are kept here too,
 * whatever made them. */
#pragma once
#include "confleet.pb-c.h"
#include "controller/edge/pool.h"
#include "controller/edge/store.h"

#define JOB_ID_MAX 64

struct job {
    const char *id, *kind, *made_by, *target; /* target: version of a check, "" for none */
    int64_t created_ms, deadline_ms;          /* zero: none */
};
struct job_site {
    const char *site, *agent, *installation, *order_id, *state, *message;
    const uint8_t *check, *backup; /* Events, empty before they came */
    size_t check_len, backup_len;
};

/* created_ms is the store's time; ret_id is the new id, job->id is not read. */
int job_make(struct store *store, const struct job *job, char ret_id[JOB_ID_MAX],
             struct err *err) MUST_USE;
int job_site_put(struct store *store, const char *job, const struct job_site *site,
                 struct err *err) MUST_USE;
int job_site_state_set(struct store *store, const char *job, const char *site, const char *state,
                       const char *message, struct err *err) MUST_USE;
/* Keeps a CheckEvent or a BackupRecord with the site in the job. */
int job_site_event_set(struct store *store, const char *job, const char *site,
                       const Confleet__Event *event, struct err *err) MUST_USE;
/* Orders of jobs that no agent took by then: the sites become "silent". */
int jobs_expire(struct store *store, int64_t ordered_before_ms, struct err *err) MUST_USE;
/* Sites that are still open at their job's deadline become "silent"; a later answer is taken all
 * the same. */
int jobs_overdue(struct store *store, struct err *err) MUST_USE;
int job_find(struct store *store, struct pool *pool, const char *id, struct job **ret,
             struct err *err) MUST_USE;
/* In the order of their names, without their events. */
int job_sites(struct store *store, struct pool *pool, const char *id, struct job_site ***ret,
              size_t *ret_count, struct err *err) MUST_USE;
int job_site_events(struct store *store, struct pool *pool, const char *id, struct job_site *site,
                    struct err *err) MUST_USE;

struct backup_row {
    const char *agent, *site, *rollout;
    const Confleet__Event *event;
};
/* An agent says what it likes: of one agent so many new records in 24 hours are kept, and so many in
 * all, the oldest that belong to no rollout going first. */
#define BACKUPS_A_DAY 500
#define BACKUPS_MAX   5000
enum backup_fate { BACKUP_KEPT, BACKUP_KEPT_LAST, BACKUP_REFUSED }; /* the last one of these hours */
int backup_put(struct store *store, const struct backup_row *backup, enum backup_fate *ret_fate,
               struct err *err) MUST_USE;
/* Newest first. site "" or rollout "" mean any. */
int backups_list(struct store *store, struct pool *pool, const char *site, const char *rollout,
                 size_t limit, const Confleet__Event ***ret, size_t *ret_count,
                 struct err *err) MUST_USE;
/* The agent that holds a backup of this site; "" when there is none. */
int backup_agent(struct store *store, struct pool *pool, const char *site, const char *id,
                 const char **ret_agent, const char **ret_installation, struct err *err) MUST_USE;
