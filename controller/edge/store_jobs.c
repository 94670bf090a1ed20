#include "controller/edge/store_jobs.h"

#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include "controller/edge/store_sites.h"
#include <assert.h>
#include <string.h>

#define DAY_MS (24LL * 3600 * 1000)

struct list {
    struct pool *pool;
    void **items;
    size_t count;
};

int job_make(struct store *store, const struct job *job, char ret_id[JOB_ID_MAX], struct err *err)
{
    char at[CLOCK_TEXT_MAX], id[JOB_ID_MAX], random[9];
    uint8_t bytes[4];
    random_bytes(bytes, sizeof bytes);
    hex_text(bytes, sizeof bytes, random);
    (void)snprintf(id, sizeof id, "%s-%s-%s", job->kind, clock_compact(store->now_ms, at), random);
    int result = db_run(store->db, err,
                        "INSERT INTO jobs(id, kind, made_by, created_ms, target, deadline_ms) "
                        "VALUES($1, $2, $3, $4, $5, $6)",
                        "tttiti", id, job->kind, job->made_by, store->now_ms,
                        job->target ? job->target : "", job->deadline_ms);
    if (result == 0)
        memcpy(ret_id, id, sizeof id);
    return result;
}

int job_site_put(struct store *store, const char *job, const struct job_site *site, struct err *err)
{
    return db_run(store->db, err,
                  "INSERT INTO job_sites(job, site, agent, installation, order_id, state, message, "
                  "check_event, backup_event)"
                  " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT(job, site) DO NOTHING",
                  "tttttttb", job, site->site, site->agent, site->installation, site->order_id,
                  site->state, site->message, "", (size_t)0);
}

int job_site_state_set(struct store *store, const char *job, const char *site, const char *state,
                       const char *message, struct err *err)
{
    return db_run(store->db, err,
                  "UPDATE job_sites SET state=$3, message=$4 WHERE job=$1 AND site=$2", "tttt", job,
                  site, state, message);
}

int job_site_event_set(struct store *store, const char *job, const char *site,
                       const Confleet__Event *event, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&event->base, &bytes);
    if (event->what_case == CONFLEET__EVENT__WHAT_CHECK)
        return db_run(store->db, err,
                      "UPDATE job_sites SET check_event=$3 WHERE job=$1 AND site=$2", "ttb", job,
                      site, bytes.s, bytes.len);
    assert(event->what_case == CONFLEET__EVENT__WHAT_BACKUP);
    return db_run(store->db, err, "UPDATE job_sites SET backup_event=$3 WHERE job=$1 AND site=$2",
                  "ttb", job, site, bytes.s, bytes.len);
}

int jobs_expire(struct store *store, int64_t ordered_before_ms, struct err *err)
{
    int result = db_run(store->db, err,
                        "UPDATE job_sites SET state='silent', message='its agent did not take the "
                        "order in time' WHERE"
                        " state='ordered' AND order_id IN (SELECT id FROM orders WHERE "
                        "state='pending' AND job<>'' AND"
                        " created_ms<$1)",
                        "i", ordered_before_ms);
    if (result == 0 && db_changes(store->db) > 0)
        result = db_run(store->db, err,
                        "UPDATE orders SET state='withdrawn' WHERE state='pending' AND job<>'' AND "
                        "created_ms<$1",
                        "i", ordered_before_ms);
    return result;
}

int jobs_overdue(struct store *store, struct err *err)
{
    static const char open[] = "state IN ('ordered', 'running') AND job IN (SELECT id FROM jobs "
                               "WHERE deadline_ms>0 AND deadline_ms<=$1)";
    CLEANUP(free_mem)
    char *orders = text_printf("UPDATE orders SET state='withdrawn' WHERE state='pending' AND id IN "
                               "(SELECT order_id FROM job_sites WHERE %s)",
                               open);
    CLEANUP(free_mem)
    char *sites = text_printf("UPDATE job_sites SET state='silent', message=CASE state WHEN "
                              "'ordered' THEN 'its agent did not take the order in time' ELSE 'its "
                              "agent took the order and did not answer in time' END WHERE %s",
                              open);
    int64_t count = 0;
    int result = db_get_i64(store->db, &count, NULL, err,
                            "SELECT count(*) FROM job_sites s JOIN jobs j ON j.id=s.job WHERE "
                            "s.state IN ('ordered', 'running') AND j.deadline_ms>0 AND "
                            "j.deadline_ms<=$1",
                            "i", store->now_ms);
    if (result == 0 && count > 0)
        result = db_run(store->db, err, orders, "i", store->now_ms);
    return result == 0 && count > 0 ? db_run(store->db, err, sites, "i", store->now_ms) : result;
}

static int job_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct job *job = pool_alloc(list->pool, sizeof *job);
    (void)err;
    job->id = pool_text(list->pool, db_text(row, 0));
    job->kind = pool_text(list->pool, db_text(row, 1));
    job->made_by = pool_text(list->pool, db_text(row, 2));
    job->created_ms = db_i64(row, 3);
    job->target = pool_text(list->pool, db_text(row, 4));
    job->deadline_ms = db_i64(row, 5);
    pool_push(list->pool, &list->items, &list->count, job);
    return 0;
}

int job_find(struct store *store, struct pool *pool, const char *id, struct job **ret,
             struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, job_row, &list, err,
                         "SELECT id, kind, made_by, created_ms, target, deadline_ms FROM jobs WHERE id=$1", "t", id);
    if (result == 0)
        *ret = list.count > 0 ? list.items[0] : NULL;
    return result;
}

static int job_site_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct job_site *site = pool_alloc(list->pool, sizeof *site);
    (void)err;
    site->site = pool_text(list->pool, db_text(row, 0));
    site->agent = pool_text(list->pool, db_text(row, 1));
    site->installation = pool_text(list->pool, db_text(row, 2));
    site->order_id = pool_text(list->pool, db_text(row, 3));
    site->state = pool_text(list->pool, db_text(row, 4));
    site->message = pool_text(list->pool, db_text(row, 5));
    pool_push(list->pool, &list->items, &list->count, site);
    return 0;
}

struct events {
    struct pool *pool;
    struct job_site *site;
};

static int events_row(void *arg, const struct db_row *row, struct err *err)
{
    struct events *events = arg;
    (void)err;
    const void *check = db_bytes(row, 0, &events->site->check_len);
    events->site->check = pool_copy(events->pool, check, events->site->check_len);
    const void *backup = db_bytes(row, 1, &events->site->backup_len);
    events->site->backup = pool_copy(events->pool, backup, events->site->backup_len);
    return 0;
}

int job_site_events(struct store *store, struct pool *pool, const char *id, struct job_site *site,
                    struct err *err)
{
    struct events events = { pool, site };
    return db_each(store->db, events_row, &events, err,
                   "SELECT check_event, backup_event FROM job_sites WHERE job=$1 AND site=$2", "tt",
                   id, site->site);
}

int job_sites(struct store *store, struct pool *pool, const char *id, struct job_site ***ret,
              size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, job_site_row, &list, err,
                         "SELECT site, agent, installation, order_id, state, message FROM job_sites "
                         "WHERE job=$1 ORDER BY site",
                         "t", id);
    if (result != 0)
        return result;
    *ret = (struct job_site **)list.items;
    *ret_count = list.count;
    return 0;
}

static int backup_prune(struct store *store, const char *agent, struct err *err)
{
    return db_run(store->db, err,
                  "DELETE FROM backups WHERE agent=$1 AND rollout='' AND id<=(SELECT id FROM backups "
                  "WHERE agent=$1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
                  "ti", agent, (int64_t)BACKUPS_MAX);
}

int backup_put(struct store *store, const struct backup_row *backup, enum backup_fate *ret_fate,
               struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    const Confleet__BackupRecord *record = backup->event->backup;
    int64_t today = 0, known = 0;
    int result = db_get_i64(store->db, &today, NULL, err,
                            "SELECT count(*) FROM backups WHERE agent=$1 AND at_ms>$2", "ti",
                            backup->agent, store->now_ms - DAY_MS);
    if (result == 0)
        result = db_get_i64(store->db, &known, NULL, err,
                            "SELECT count(*) FROM backups WHERE agent=$1 AND id=$2", "tt",
                            backup->agent, record->id);
    if (result != 0)
        return result;
    if (known == 0 && today >= BACKUPS_A_DAY) {
        *ret_fate = BACKUP_REFUSED;
        return 0;
    }
    wire_encode(&backup->event->base, &bytes);
    result = db_run(
        store->db, err,
        "INSERT INTO backups(agent, id, site, installation, rollout, at_ms, event) VALUES($1, $2, "
        "$3, $4, $5, $6, $7)"
        " ON CONFLICT(agent, id) DO UPDATE SET event=excluded.event,"
        " rollout=CASE excluded.rollout WHEN '' THEN backups.rollout ELSE excluded.rollout END",
        "tttttib", backup->agent, record->id, backup->site, record->installation, backup->rollout,
        store->now_ms, bytes.s, bytes.len);
    if (result == 0 && known == 0)
        result = backup_prune(store, backup->agent, err);
    if (result == 0)
        *ret_fate = known == 0 && today + 1 == BACKUPS_A_DAY ? BACKUP_KEPT_LAST : BACKUP_KEPT;
    return result;
}

static int event_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    const Confleet__Event *event = NULL;
    size_t len = 0;
    const void *bytes = db_bytes(row, 0, &len);
    int result = pool_event(list->pool, bytes, len, &event, err);
    if (result == 0 && event && event->what_case == CONFLEET__EVENT__WHAT_BACKUP)
        pool_push(list->pool, &list->items, &list->count, (void *)(uintptr_t)event);
    return result;
}

int backups_list(struct store *store, struct pool *pool, const char *site, const char *rollout,
                 size_t limit, const Confleet__Event ***ret, size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, event_row, &list, err,
                         "SELECT event FROM backups WHERE ($1='' OR site=$1) AND ($2='' OR "
                         "rollout=$2) ORDER BY id DESC LIMIT"
                         " $3",
                         "tti", site, rollout, (int64_t)limit);
    if (result != 0)
        return result;
    *ret = (const Confleet__Event **)list.items;
    *ret_count = list.count;
    return 0;
}

struct owner {
    struct pool *pool;
    const char *agent, *installation;
};

static int owner_row(void *arg, const struct db_row *row, struct err *err)
{
    struct owner *owner = arg;
    (void)err;
    owner->agent = pool_text(owner->pool, db_text(row, 0));
    owner->installation = pool_text(owner->pool, db_text(row, 1));
    return 0;
}

int backup_agent(struct store *store, struct pool *pool, const char *site, const char *id,
                 const char **ret_agent, const char **ret_installation, struct err *err)
{
    struct owner owner = { pool, "", "" };
    int result = db_each(store->db, owner_row, &owner, err,
                         "SELECT agent, installation FROM backups WHERE site=$1 AND id=$2 LIMIT 1",
                         "tt", site, id);
    if (result != 0)
        return result;
    *ret_agent = owner.agent;
    *ret_installation = owner.installation;
    return 0;
}
