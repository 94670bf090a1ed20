#include "agent/edge/journal_db.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <stdio.h>
#include <string.h>

#define RUN_COLUMNS                                                                                \
    "id, installation, install, home, site, order_id, plan_id, plan_sha256, reason, attempt, "     \
    "outcome, created_ms, finished_ms, outage_ms, plan"

void journal_run_free(struct journal_run *run)
{
    char **owned[] = { &run->installation, &run->install,  &run->home,
                       &run->site,         &run->order_id, &run->plan_id,
                       &run->plan_sha256,  &run->reason,   &run->plan };
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free_mem(owned[i]);
}

static void run_read(const struct db_row *row, struct journal_run *run)
{
    char **texts[] = { &run->installation, &run->install, &run->home,        &run->site,
                       &run->order_id,     &run->plan_id, &run->plan_sha256, &run->reason };
    (void)snprintf(run->id, sizeof run->id, "%s", db_text(row, 0));
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
        *texts[i] = text_dup(db_text(row, i + 1));
    run->attempt = (uint32_t)db_i64(row, 9);
    run->outcome = (enum outcome)db_i64(row, 10);
    run->created_ms = db_i64(row, 11);
    run->finished_ms = db_i64(row, 12);
    run->outage_ms = db_i64(row, 13);
    const void *plan = db_bytes(row, 14, &run->plan_len);
    run->plan = mem_zero(1, run->plan_len + 1);
    memcpy(run->plan, plan, run->plan_len);
}

int journal_run_add(struct journal *journal, const struct journal_run *run, struct err *err)
{
    return db_run(journal_db(journal), err,
                  "INSERT INTO runs(id, installation, install, home, site, order_id, plan_id, "
                  "plan_sha256, reason, attempt, outcome,"
                  " created_ms, finished_ms, outage_ms, plan)"
                  " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
                  "tttttttttiiiiib", run->id, run->installation, run->install, run->home, run->site,
                  run->order_id, run->plan_id, run->plan_sha256, run->reason ? run->reason : "",
                  (int64_t)run->attempt, (int64_t)run->outcome, run->created_ms, run->finished_ms,
                  run->outage_ms, run->plan, run->plan_len);
}

int journal_run_end(struct journal *journal, const char *id, enum outcome outcome,
                    const char *reason, int64_t finished_ms, int64_t outage_ms, struct err *err)
{
    return db_run(journal_db(journal), err,
                  "UPDATE runs SET outcome=$2, reason=$3, finished_ms=$4, outage_ms=$5 WHERE id=$1",
                  "titii", id, (int64_t)outcome, reason, finished_ms, outage_ms);
}

int journal_run_reopen(struct journal *journal, const char *id, const char *order_id,
                       struct err *err)
{
    return db_run(journal_db(journal), err,
                  "UPDATE runs SET outcome=0, finished_ms=0, order_id=$2 WHERE id=$1", "tt", id,
                  order_id);
}

struct each_run {
    journal_run_fn *each;
    void *arg;
};

static int give_run(void *arg, const struct db_row *row, struct err *err)
{
    struct each_run *give = arg;
    CLEANUP(journal_run_free) struct journal_run run = { 0 };
    run_read(row, &run);
    return give->each(give->arg, &run, err);
}

int journal_runs(struct journal *journal, bool open_only, journal_run_fn *each, void *arg,
                 struct err *err)
{
    struct each_run give = { each, arg };
    return db_each(journal_db(journal), give_run, &give, err,
                   "SELECT " RUN_COLUMNS
                   " FROM runs WHERE $1=0 OR outcome=$2 OR outcome=$3 ORDER BY number",
                   "iii", (int64_t)open_only, (int64_t)OUTCOME_NONE, (int64_t)OUTCOME_HELD);
}

struct one_run {
    struct journal_run *run;
    bool found;
};

static int take_run(void *arg, const struct db_row *row, struct err *err)
{
    struct one_run *one = arg;
    (void)err;
    run_read(row, one->run);
    one->found = true;
    return 0;
}

int journal_run_find(struct journal *journal, const char *id, const char *installation,
                     const char *plan_sha256, const char *site, struct journal_run *ret,
                     struct err *err)
{
    struct journal_run run = { 0 };
    struct one_run one = { &run, false };
    int result = db_each(
        journal_db(journal), take_run, &one, err,
        "SELECT " RUN_COLUMNS " FROM runs WHERE ($1='' OR id=$1) AND ($2='' OR installation=$2)"
        " AND ($3='' OR plan_sha256=$3) AND ($4='' OR site=$4) ORDER BY number DESC LIMIT 1",
        "tttt", id, installation, plan_sha256, site);
    if (result == 0 && !one.found)
        result = err_set(err, FAIL_NOT_FOUND, "the journal holds no run of %s%s%s",
                         *id             ? id
                         : *installation ? installation
                                         : "this plan",
                         *site ? " for site " : "", site);
    if (result != 0) {
        journal_run_free(&run);
        return result;
    }
    *ret = run;
    return 0;
}

int journal_expiry_set(struct journal *journal, const char *run, bool done, struct err *err)
{
    return db_run(journal_db(journal), err,
                  "INSERT INTO expiry(run, done, at_ms) VALUES($1, $2, $3) ON CONFLICT(run) DO "
                  "UPDATE SET done=excluded.done",
                  "tii", run, (int64_t)done, clock_wall_ms());
}

int journal_expiry(struct journal *journal, const char *run, bool *ret_expired, struct err *err)
{
    int64_t at_ms = 0;
    return db_get_i64(journal_db(journal), &at_ms, ret_expired, err,
                      "SELECT at_ms FROM expiry WHERE run=$1", "t", run);
}

int journal_runs_over(struct journal *journal, int64_t before_ms, journal_run_fn *each, void *arg,
                      struct err *err)
{
    struct each_run give = { each, arg };
    return db_each(journal_db(journal), give_run, &give, err,
                   "SELECT " RUN_COLUMNS
                   " FROM runs WHERE finished_ms>0 AND finished_ms<=$1 AND outcome<>$2 AND "
                   "outcome<>$3 AND NOT EXISTS (SELECT 1 FROM expiry WHERE expiry.run=runs.id AND "
                   "expiry.done=1) ORDER BY number",
                   "iii", before_ms, (int64_t)OUTCOME_NONE, (int64_t)OUTCOME_HELD);
}

int journal_run_superseded(struct journal *journal, const char *run, bool *ret_superseded,
                           struct err *err)
{
    int64_t count = 0;
    int result = db_get_i64(journal_db(journal), &count, NULL, err,
                            "SELECT count(*) FROM runs AS later JOIN runs AS mine ON mine.id=$1 "
                            "WHERE later.installation=mine.installation AND "
                            "later.number>mine.number AND later.outcome=$2",
                            "ti", run, (int64_t)OUTCOME_COMMITTED);
    if (result == 0)
        *ret_superseded = count > 0;
    return result;
}

int journal_step_add(struct journal *journal, const char *run, const struct journal_step *step,
                     struct err *err)
{
    return db_run(journal_db(journal), err,
                  "INSERT INTO steps(run, step, event, at_ms, took_ms, message) VALUES($1, $2, $3, "
                  "$4, $5, $6)",
                  "tttiit", run, runbook_steps[step->step].name, run_event_name(step->event),
                  step->at_ms, step->took_ms, step->message ? step->message : "");
}

struct each_step {
    journal_step_fn *each;
    void *arg;
};

static int give_step(void *arg, const struct db_row *row, struct err *err)
{
    struct each_step *give = arg;
    struct journal_step step = { .at_ms = db_i64(row, 2), .took_ms = db_i64(row, 3) };
    int result = step_parse(db_text(row, 0), &step.step, err);
    if (result == 0)
        result = run_event_parse(db_text(row, 1), &step.event, err);
    if (result != 0)
        return result;
    CLEANUP(free_mem) char *message = text_dup(db_text(row, 4));
    step.message = message;
    return give->each(give->arg, &step, err);
}

int journal_steps(struct journal *journal, const char *run, journal_step_fn *each, void *arg,
                  struct err *err)
{
    struct each_step give = { each, arg };
    return db_each(
        journal_db(journal), give_step, &give, err,
        "SELECT step, event, at_ms, took_ms, message FROM steps WHERE run=$1 ORDER BY seq", "t",
        run);
}

int journal_memo_set(struct journal *journal, const char *run, const char *key, const char *value,
                     struct err *err)
{
    return db_run(journal_db(journal), err,
                  "INSERT INTO memo(run, key, value) VALUES($1, $2, $3) ON CONFLICT(run, key) DO "
                  "UPDATE SET value=excluded.value",
                  "ttt", run, key, value);
}

struct each_memo {
    journal_memo_fn *each;
    void *arg;
};

static int give_memo(void *arg, const struct db_row *row, struct err *err)
{
    struct each_memo *give = arg;
    return give->each(give->arg, db_text(row, 0), db_text(row, 1), err);
}

int journal_memo(struct journal *journal, const char *run, journal_memo_fn *each, void *arg,
                 struct err *err)
{
    struct each_memo give = { each, arg };
    return db_each(journal_db(journal), give_memo, &give, err,
                   "SELECT key, value FROM memo WHERE run=$1 ORDER BY key", "t", run);
}
