#include "agent/edge/journal_db.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <assert.h>
#include <string.h>

struct journal {
    struct db *db;
    int64_t start_count, epoch, decision, event_seq, outbox;
};

static const char *const migrations[] = {
    "CREATE TABLE meta(key text PRIMARY KEY, value bigint NOT NULL);"
    "CREATE TABLE orders(id text PRIMARY KEY, bytes blob NOT NULL, code bigint NOT NULL, message "
    "text NOT NULL,"
    " done bigint NOT NULL, starts bigint NOT NULL, at_ms bigint NOT NULL);"
    "CREATE TABLE runs(number integer PRIMARY KEY AUTOINCREMENT, id text NOT NULL UNIQUE, "
    "installation text NOT NULL, install text NOT NULL,"
    " home text NOT NULL, site text NOT NULL, order_id text NOT NULL, plan_id text NOT NULL, "
    "plan_sha256 text NOT NULL,"
    " plan blob NOT NULL, attempt bigint NOT NULL, outcome bigint NOT NULL, reason text NOT NULL,"
    " created_ms bigint NOT NULL, finished_ms bigint NOT NULL, outage_ms bigint NOT NULL);"
    "CREATE TABLE steps(seq integer PRIMARY KEY AUTOINCREMENT, run text NOT NULL REFERENCES "
    "runs(id), step text NOT NULL,"
    " event text NOT NULL, at_ms bigint NOT NULL, took_ms bigint NOT NULL, message text NOT NULL);"
    "CREATE INDEX steps_run ON steps(run, seq);"
    "CREATE TABLE memo(run text NOT NULL REFERENCES runs(id), key text NOT NULL, value text NOT "
    "NULL, PRIMARY KEY(run, key));"
    "CREATE TABLE workers(pid bigint PRIMARY KEY, birth text NOT NULL);"
    "CREATE TABLE outbox(seq bigint PRIMARY KEY, bytes blob NOT NULL);",
    /* One serial served all installations before: each one that has had a run keeps it. */
    "CREATE TABLE serials(installation text PRIMARY KEY, serial bigint NOT NULL);"
    "INSERT INTO serials(installation, serial) SELECT DISTINCT runs.installation, meta.value FROM "
    "runs, meta WHERE meta.key='serial';"
    "DELETE FROM meta WHERE key='serial';",
    "CREATE TABLE expiry(run text PRIMARY KEY, done bigint NOT NULL, at_ms bigint NOT NULL);",
    ("CREATE TABLE dropped(plan_sha256 text NOT NULL, site text NOT NULL, why text NOT NULL, at_ms "
    "bigint NOT NULL, PRIMARY KEY(plan_sha256, site));"
    "CREATE TABLE store_head(one bigint PRIMARY KEY, seq bigint NOT NULL, hash text NOT NULL);"),
};

struct db *journal_db(struct journal *j)
{
    return j->db;
}

static int meta(struct journal *j, const char *key, int64_t *ret, struct err *err)
{
    return db_get_i64(j->db, ret, NULL, err, "SELECT value FROM meta WHERE key=$1", "t", key);
}

static int meta_set(struct journal *j, const char *key, int64_t value, struct err *err)
{
    return db_run(j->db, err,
                  "INSERT INTO meta(key, value) VALUES($1, $2) ON CONFLICT(key) DO UPDATE SET "
                  "value=excluded.value",
                  "ti", key, value);
}

static int read_meta(struct journal *j, struct err *err)
{
    int64_t *const fields[] = { &j->start_count, &j->epoch, &j->decision, &j->event_seq };
    static const char *const names[] = { "start_count", "epoch", "decision", "event_seq" };
    int result = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && result == 0; i++) {
        *fields[i] = 0;
        result = meta(j, names[i], fields[i], err);
    }
    return result ? result
                  : db_get_i64(j->db, &j->outbox, NULL, err, "SELECT count(*) FROM outbox", "");
}

int journal_open(const char *state_dir, struct journal **ret, struct err *err)
{
    CLEANUP(journal_close) struct journal *j = mem_zero(1, sizeof *j);
    CLEANUP(free_mem) char *path = fs_join(state_dir, "agent.db");
    int result =
        db_open(path, migrations, sizeof migrations / sizeof *migrations, true, &j->db, err);
    if (result == 0)
        result = read_meta(j, err);
    if (result == 0)
        result = meta_set(j, "start_count", ++j->start_count, err);
    if (result != 0)
        return err_wrap(err, "open the agent's journal");
    *ret = TAKE(j);
    return 0;
}

int journal_open_read(const char *state_dir, struct journal **ret, struct err *err)
{
    CLEANUP(journal_close) struct journal *j = mem_zero(1, sizeof *j);
    CLEANUP(free_mem) char *path = fs_join(state_dir, "agent.db");
    int result = db_open_read(path, &j->db, err);
    if (result == 0)
        result = read_meta(j, err);
    if (result != 0)
        return err_wrap(err, "read the agent's journal");
    *ret = TAKE(j);
    return 0;
}

void journal_close(struct journal **journal)
{
    if (!*journal)
        return;
    db_close(&(*journal)->db);
    free(*journal);
    *journal = NULL;
}

int journal_tx(struct journal *j, db_tx_fn *fn, void *arg, struct err *err)
{
    struct journal before = *j;
    int result = db_tx(j->db, fn, arg, err);
    if (result != 0)
        *j = before; /* what was counted inside a transaction that did not hold never happened */
    return result;
}

uint64_t journal_start_count(const struct journal *j)
{
    return (uint64_t)j->start_count;
}
uint64_t journal_epoch(const struct journal *j)
{
    return (uint64_t)j->epoch;
}
int journal_serial(struct journal *j, const char *installation, uint64_t *ret, struct err *err)
{
    int64_t serial = 0;
    int result = db_get_i64(j->db, &serial, NULL, err,
                            "SELECT serial FROM serials WHERE installation=$1", "t", installation);
    if (result == 0)
        *ret = (uint64_t)serial;
    return result;
}
uint64_t journal_event_seq(const struct journal *j)
{
    return (uint64_t)j->event_seq;
}

int journal_epoch_set(struct journal *j, uint64_t epoch, struct err *err)
{
    assert((int64_t)epoch >= j->epoch);
    int result = meta_set(j, "epoch", (int64_t)epoch, err);
    if (result == 0)
        j->epoch = (int64_t)epoch;
    return result;
}

int journal_serial_set(struct journal *j, const char *installation, uint64_t serial,
                       struct err *err)
{
    return db_run(j->db, err,
                  "INSERT INTO serials(installation, serial) VALUES($1, $2) ON "
                  "CONFLICT(installation) DO UPDATE SET serial=max(serials.serial, "
                  "excluded.serial)",
                  "ti", installation, (int64_t)serial);
}

uint64_t journal_decision(const struct journal *j)
{
    return (uint64_t)j->decision;
}

int journal_decision_set(struct journal *j, uint64_t serial, struct err *err)
{
    assert((int64_t)serial >= j->decision);
    int result = meta_set(j, "decision", (int64_t)serial, err);
    if (result == 0)
        j->decision = (int64_t)serial;
    return result;
}

struct found {
    bool found;
    int code;
    char *message;
};

static int take_order(void *arg, const struct db_row *row, struct err *err)
{
    struct found *found = arg;
    (void)err;
    found->found = true;
    found->code = (int)db_i64(row, 0);
    free(found->message);
    found->message = text_dup(db_text(row, 1));
    return 0;
}

int journal_order_find(struct journal *j, const char *id, bool *ret_found, int *ret_code,
                       char **ret_message, struct err *err)
{
    struct found found = { 0 };
    int result = db_each(j->db, take_order, &found, err,
                         "SELECT code, message FROM orders WHERE id=$1", "t", id);
    if (result != 0) {
        free(found.message);
        return result;
    }
    *ret_found = found.found;
    if (found.found) {
        *ret_code = found.code;
        *ret_message = found.message;
    }
    return 0;
}

int journal_order_add(struct journal *j, const char *id, const void *bytes, size_t len, int code,
                      const char *message, bool done, struct err *err)
{
    return db_run(j->db, err,
                  "INSERT INTO orders(id, bytes, code, message, done, starts, at_ms) VALUES($1, "
                  "$2, $3, $4, $5, 0, $6)",
                  "tbitii", id, bytes, len, (int64_t)code, message, (int64_t)done, clock_wall_ms());
}

int journal_order_done(struct journal *j, const char *id, struct err *err)
{
    return db_run(j->db, err, "UPDATE orders SET done=1, bytes=x'' WHERE id=$1", "t", id);
}

int journal_order_starts(struct journal *j, const char *id, int64_t *ret_starts, struct err *err)
{
    int result = db_run(j->db, err, "UPDATE orders SET starts=starts+1 WHERE id=$1", "t", id);
    return result ? result
                  : db_get_i64(j->db, ret_starts, NULL, err,
                               "SELECT starts FROM orders WHERE id=$1", "t", id);
}

struct each_order {
    journal_order_fn *each;
    void *arg;
};

static int give_order(void *arg, const struct db_row *row, struct err *err)
{
    struct each_order *give = arg;
    struct journal_order order = { .id = text_dup(db_text(row, 0)) };
    const void *bytes = db_bytes(row, 1, &order.len);
    order.bytes = mem_zero(1, order.len + 1);
    memcpy(order.bytes, bytes, order.len);
    int result = give->each(give->arg, &order, err);
    free(order.id);
    free(order.bytes);
    return result;
}

int journal_orders_open(struct journal *j, journal_order_fn *each, void *arg, struct err *err)
{
    struct each_order give = { each, arg };
    return db_each(j->db, give_order, &give, err,
                   "SELECT id, bytes FROM orders WHERE done=0 AND code=0 ORDER BY at_ms, id", "");
}

int journal_drop_set(struct journal *j, const char *plan_sha256, const char *site, const char *why,
                     struct err *err)
{
    return db_run(j->db, err,
                  "INSERT INTO dropped(plan_sha256, site, why, at_ms) VALUES($1, $2, $3, $4) ON "
                  "CONFLICT(plan_sha256, site) DO NOTHING",
                  "ttti", plan_sha256, site, why, clock_wall_ms());
}

int journal_dropped(struct journal *j, const char *plan_sha256, const char *site,
                    char **ret_why_owned, struct err *err)
{
    return db_get_text(j->db, ret_why_owned, err,
                       "SELECT why FROM dropped WHERE plan_sha256=$1 AND site=$2", "tt",
                       plan_sha256, site);
}

static int take_head(void *arg, const struct db_row *row, struct err *err)
{
    struct journal_head *head = arg;
    (void)err;
    head->seq = (uint64_t)db_i64(row, 0);
    (void)snprintf(head->hash, sizeof head->hash, "%s", db_text(row, 1));
    return 0;
}

int journal_store_head(struct journal *j, struct journal_head *ret, struct err *err)
{
    struct journal_head head = { 0, "" };
    int result =
        db_each(j->db, take_head, &head, err, "SELECT seq, hash FROM store_head WHERE one=1", "");
    if (result == 0)
        *ret = head;
    return result;
}

int journal_store_head_set(struct journal *j, const struct journal_head *head, struct err *err)
{
    return db_run(j->db, err,
                  "INSERT INTO store_head(one, seq, hash) VALUES(1, $1, $2) ON CONFLICT(one) DO "
                  "UPDATE SET seq=excluded.seq, hash=excluded.hash",
                  "it", (int64_t)head->seq, head->hash);
}

int journal_worker_add(struct journal *j, int64_t pid, const char *birth, struct err *err)
{
    return db_run(j->db, err,
                  "INSERT INTO workers(pid, birth) VALUES($1, $2) ON CONFLICT(pid) DO UPDATE SET "
                  "birth=excluded.birth",
                  "it", pid, birth);
}

int journal_worker_drop(struct journal *j, int64_t pid, struct err *err)
{
    return db_run(j->db, err, "DELETE FROM workers WHERE pid=$1", "i", pid);
}

struct each_worker {
    journal_worker_fn *each;
    void *arg;
};

static int give_worker(void *arg, const struct db_row *row, struct err *err)
{
    struct each_worker *give = arg;
    return give->each(give->arg, db_i64(row, 0), db_text(row, 1), err);
}

int journal_workers(struct journal *j, journal_worker_fn *each, void *arg, struct err *err)
{
    struct each_worker give = { each, arg };
    return db_each(j->db, give_worker, &give, err, "SELECT pid, birth FROM workers", "");
}

struct keep {
    struct journal *j;
    Confleet__Event *event;
};

static int keep_event(void *arg, struct err *err)
{
    struct keep *keep = arg;
    CLEANUP(str_free) struct str bytes = { 0 };
    int64_t seq = keep->j->event_seq + 1;
    keep->event->seq = (uint64_t)seq;
    wire_encode(&keep->event->base, &bytes);
    int result = meta_set(keep->j, "event_seq", seq, err);
    return result ? result
                  : db_run(keep->j->db, err, "INSERT INTO outbox(seq, bytes) VALUES($1, $2)", "ib",
                           seq, bytes.s, bytes.len);
}

int journal_event(struct journal *j, Confleet__Event *event, uint64_t *ret_seq, struct err *err)
{
    bool chatter = event->what_case == CONFLEET__EVENT__WHAT_LOG ||
                   event->what_case == CONFLEET__EVENT__WHAT_SURVEY;
    if (j->outbox >= JOURNAL_OUTBOX_MAX || (chatter && j->outbox >= JOURNAL_LOGS_MAX)) {
        *ret_seq = 0;
        return 0;
    }
    struct keep keep = { j, event };
    int result = journal_tx(j, keep_event, &keep, err);
    if (result != 0)
        return result;
    j->event_seq++;
    j->outbox++;
    *ret_seq = event->seq;
    return 0;
}

int journal_event_acked(struct journal *j, uint64_t seq, struct err *err)
{
    int result = db_run(j->db, err, "DELETE FROM outbox WHERE seq<=$1", "i", (int64_t)seq);
    return result ? result
                  : db_get_i64(j->db, &j->outbox, NULL, err, "SELECT count(*) FROM outbox", "");
}

int journal_event_gone(struct journal *j, uint64_t *ret_seq, struct err *err)
{
    int64_t first = 0;
    int result = db_get_i64(j->db, &first, NULL, err, "SELECT coalesce(min(seq), $1) FROM outbox",
                            "i", j->event_seq + 1);
    if (result == 0)
        *ret_seq = (uint64_t)(first - 1);
    return result;
}

struct each_event {
    journal_event_fn *each;
    void *arg;
};

static int give_event(void *arg, const struct db_row *row, struct err *err)
{
    struct each_event *give = arg;
    size_t len = 0;
    const void *bytes = db_bytes(row, 1, &len);
    return give->each(give->arg, (uint64_t)db_i64(row, 0), bytes, len, err);
}

int journal_events(struct journal *j, uint64_t after, uint32_t limit, journal_event_fn *each,
                   void *arg, struct err *err)
{
    struct each_event give = { each, arg };
    return db_each(j->db, give_event, &give, err,
                   "SELECT seq, bytes FROM outbox WHERE seq>$1 ORDER BY seq LIMIT $2", "ii",
                   (int64_t)after, (int64_t)limit);
}
