/* A store as it was before rollouts had stages that wait: today's controller goes on with it. */
#include "work.h"

/* The schema of that time, letter by letter; it is never brought up to date here. */
static const char *const old_schema[] = {
    "CREATE TABLE meta(key text PRIMARY KEY, value text NOT NULL);"

    "CREATE TABLE agents(name text PRIMARY KEY, curve_public text NOT NULL, state text NOT NULL,"
    " created_ms bigint NOT NULL, seen_ms bigint NOT NULL, version text NOT NULL, host text NOT "
    "NULL, os text NOT NULL,"
    " start_count bigint NOT NULL, boot_id text NOT NULL, event_seq bigint NOT NULL, survey bytea "
    "NOT NULL,"
    " survey_ms bigint NOT NULL);"

    "CREATE TABLE operators(name text PRIMARY KEY, curve_public text NOT NULL, sign_public text "
    "NOT NULL,"
    " key_id text NOT NULL, role bigint NOT NULL, state text NOT NULL, created_ms bigint NOT NULL);"

    "CREATE TABLE tokens(token_sha256 text PRIMARY KEY, curve_public text NOT NULL UNIQUE, kind "
    "text NOT NULL,"
    " name text NOT NULL, role bigint NOT NULL, created_ms bigint NOT NULL, expires_ms bigint NOT "
    "NULL,"
    " used_ms bigint NOT NULL, made_by text NOT NULL);"

    "CREATE TABLE sites(name text PRIMARY KEY, created_ms bigint NOT NULL, covers text NOT NULL,"
    " check_event bytea NOT NULL, checked_ms bigint NOT NULL);"
    "CREATE TABLE labels(site text NOT NULL REFERENCES sites(name), key text NOT NULL, value text "
    "NOT NULL,"
    " PRIMARY KEY(site, key));"
    "CREATE TABLE nodes(agent text NOT NULL, installation text NOT NULL, site text NOT NULL "
    "REFERENCES sites(name),"
    " PRIMARY KEY(agent, installation));"
    "CREATE INDEX nodes_site ON nodes(site);"

    "CREATE TABLE releases(version text PRIMARY KEY, build bigint NOT NULL, date text NOT NULL,"
    " artifact_sha256 text NOT NULL, artifact_size bigint NOT NULL, artifact_name text NOT NULL,"
    " added_ms bigint NOT NULL);",

    "CREATE TABLE rollouts(id text PRIMARY KEY, name text NOT NULL, state text NOT NULL, reason "
    "text NOT NULL,"
    " serial bigint NOT NULL, plan bytea NOT NULL, envelope bytea NOT NULL,"
    " plan_sha256 text NOT NULL, signed_by text NOT NULL, started_ms bigint NOT NULL, finished_ms "
    "bigint NOT NULL);"
    "CREATE TABLE rollout_sites(rollout text NOT NULL REFERENCES rollouts(id), place bigint NOT "
    "NULL,"
    " stage bigint NOT NULL, stage_name text NOT NULL, site text NOT NULL, agent text NOT NULL,"
    " installation text NOT NULL, state text NOT NULL, run bigint NOT NULL, reason text NOT NULL,"
    " safe_next text NOT NULL, attempt bigint NOT NULL, ordered_ms bigint NOT NULL, started_ms "
    "bigint NOT NULL,"
    " finished_ms bigint NOT NULL, outage_ms bigint NOT NULL, version text NOT NULL, build bigint "
    "NOT NULL,"
    " from_version text NOT NULL, from_build bigint NOT NULL, check_event bytea NOT NULL,"
    " PRIMARY KEY(rollout, place), UNIQUE(rollout, site));"
    "CREATE INDEX rollout_sites_agent ON rollout_sites(agent);"
    "CREATE TABLE steps(rollout text NOT NULL, site text NOT NULL, attempt bigint NOT NULL, step "
    "text NOT NULL,"
    " undo bigint NOT NULL, ord bigint NOT NULL, state bigint NOT NULL, at_ms bigint NOT NULL, "
    "took_ms bigint NOT NULL,"
    " message text NOT NULL, down bigint NOT NULL, number bigint NOT NULL, total bigint NOT NULL, "
    "label text NOT NULL,"
    " PRIMARY KEY(rollout, site, attempt, step, undo));"

    "CREATE TABLE orders(id text PRIMARY KEY, agent text NOT NULL, kind text NOT NULL, body bytea "
    "NOT NULL,"
    " state text NOT NULL, created_ms bigint NOT NULL, sent_ms bigint NOT NULL, acked_ms bigint "
    "NOT NULL,"
    " rollout text NOT NULL, job text NOT NULL, site text NOT NULL, message text NOT NULL);"
    "CREATE INDEX orders_pending ON orders(agent) WHERE state='pending';"

    "CREATE TABLE backups(agent text NOT NULL, id text NOT NULL, site text NOT NULL, installation "
    "text NOT NULL,"
    " rollout text NOT NULL, at_ms bigint NOT NULL, event bytea NOT NULL, PRIMARY KEY(agent, id));"
    "CREATE INDEX backups_site ON backups(site);"

    "CREATE TABLE jobs(id text PRIMARY KEY, kind text NOT NULL, made_by text NOT NULL, created_ms "
    "bigint NOT NULL);"
    "CREATE TABLE job_sites(job text NOT NULL REFERENCES jobs(id), site text NOT NULL, agent text "
    "NOT NULL,"
    " installation text NOT NULL, order_id text NOT NULL, state text NOT NULL, message text NOT "
    "NULL,"
    " check_event bytea NOT NULL, backup_event bytea NOT NULL, PRIMARY KEY(job, site));"

    "CREATE TABLE logs(seq integer PRIMARY KEY, at_ms bigint NOT NULL, agent text NOT NULL, level "
    "bigint NOT NULL,"
    " text text NOT NULL);"
    "CREATE INDEX logs_agent ON logs(agent, seq);"

    "CREATE TABLE answers(peer text NOT NULL, request text NOT NULL, at_ms bigint NOT NULL, reply "
    "bytea NOT NULL,"
    " PRIMARY KEY(peer, request));"

    "CREATE TABLE audit(seq bigint PRIMARY KEY, at_ms bigint NOT NULL, who text NOT NULL, what "
    "text NOT NULL,"
    " detail text NOT NULL, prev text NOT NULL, hash text NOT NULL);",
};
#define OLD_COUNT (sizeof old_schema / sizeof old_schema[0])

/* The columns that those tables had, in their order; all others are the same today. */
#define AGENTS                                                                                     \
    "name, curve_public, state, created_ms, seen_ms, version, host, os, start_count, boot_id, "    \
    "event_seq, survey, survey_ms"
#define ROLLOUTS                                                                                   \
    "id, name, state, reason, serial, plan, envelope, plan_sha256, signed_by, started_ms, "        \
    "finished_ms"
#define ROLLOUT_SITES                                                                              \
    "rollout, place, stage, stage_name, site, agent, installation, state, run, reason, safe_next," \
    " attempt, ordered_ms, started_ms, finished_ms, outage_ms, version, build, from_version,"      \
    " from_build, check_event"

/* A test site then stood for one production site alone. */
#define SITES                                                                                      \
    "name, created_ms, coalesce((SELECT min(c.site) FROM today.coverage c WHERE "                  \
    "c.covered_by=name),"                                                                          \
    " ''), check_event, checked_ms"

static const struct {
    const char *table, *columns;
} old_tables[] = {
    { "meta", "*" },          { "agents", AGENTS },
    { "operators", "*" },     { "tokens", "*" },
    { "sites", SITES },       { "labels", "*" },
    { "nodes", "*" },         { "releases", "*" },
    { "rollouts", ROLLOUTS }, { "rollout_sites", ROLLOUT_SITES },
    { "steps", "*" },         { "orders", "*" },
    { "backups", "*" },       { "jobs", "id, kind, made_by, created_ms" },
    { "job_sites", "*" },     { "logs", "*" },
    { "answers", "*" },       { "audit", "*" },
};
#define TABLES (sizeof old_tables / sizeof old_tables[0])

static int64_t rows(struct db *db, const char *table)
{
    struct err err = { 0 };
    int64_t count = -1;
    CLEANUP(free_mem) char *sql = text_printf("SELECT count(*) FROM %s", table);
    CHECK_OK(db_get_i64(db, &count, NULL, &err, sql, ""), err);
    return count;
}

/* Puts what the store holds into one of the old schema, as if it had been written then. */
static void store_age(const char *path, int64_t counts[TABLES])
{
    struct err err = { 0 };
    struct db *db = NULL;
    CLEANUP(free_mem) char *old = text_printf("%s.old", path);
    CLEANUP(free_mem) char *wal = text_printf("%s-wal", path);
    CLEANUP(free_mem) char *shm = text_printf("%s-shm", path);
    CLEANUP(free_mem) char *lock = text_printf("%s.lock", old);
    CHECK_OK(db_open(old, old_schema, OLD_COUNT, false, &db, &err), err);
    CHECK_OK(db_run(db, &err, "ATTACH DATABASE $1 AS today", "t", path), err);
    for (size_t i = 0; i < TABLES; i++) {
        CLEANUP(free_mem)
        char *sql = text_printf("INSERT INTO main.%s SELECT %s FROM today.%s", old_tables[i].table,
                                old_tables[i].columns, old_tables[i].table);
        CHECK_OK(db_run(db, &err, sql, ""), err);
        counts[i] = rows(db, old_tables[i].table);
    }
    db_close(&db);
    CHECK_INT(rename(old, path), 0);
    (void)unlink(wal);
    (void)unlink(shm);
    (void)unlink(lock);
}

TEST(the_schema_of_before_is_the_beginning_of_todays)
{
    CHECK(store_migration_count > OLD_COUNT);
    for (size_t i = 0; i < OLD_COUNT; i++)
        CHECK_STR(store_migrations[i], old_schema[i]);
}

static void old_world(struct fleet *fleet, struct draft *d, char *order_id, size_t size)
{
    work_open(fleet);
    draft_make(d, fleet, 2);
    good(draft_apply(d, fleet));
    const Confleet__Order *order = hear_order(&fleet->agent);
    (void)snprintf(order_id, size, "%s", order->id);
    say_order_ack(&fleet->agent, order_id, 0, "");
    struct about about = { 2, order_id, "docs", d->id };
    CHECK_INT(say_step(&fleet->agent, about, "check", CONFLEET__STEP_STATE__STEP_DONE), 2);
    about.seq = 3;
    CHECK_INT(say_check(&fleet->agent, about, CONFLEET__SEVERITY__WARN), 3);
    about.seq = 4;
    CHECK_INT(say_backup(&fleet->agent, about, "20261123T041800Z-1a2b3c"), 4);
    about.seq = 5;
    CHECK_INT(say_run(&fleet->agent, about, CONFLEET__RUN_STATE__RUN_APPLIED, ""), 5);
}

static void cover(struct fleet *fleet, const char *test_site, const char *site)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskSiteSet set = CONFLEET__ASK_SITE_SET__INIT;
    set.name = word(test_site);
    set.covers = word(site);
    request.what_case = CONFLEET__REQUEST__WHAT_SITE_SET;
    request.site_set = &set;
    good(end_ask(&fleet->anna, &request));
}

TEST(a_rollout_under_way_in_an_old_store_goes_on_and_nothing_is_lost)
{
    struct fleet fleet = { 0 };
    struct draft d = { 0 };
    struct err err = { 0 };
    char order_id[64];
    int64_t counts[TABLES];
    old_world(&fleet, &d, order_id, sizeof order_id);
    cover(&fleet, "help", "docs");
    int64_t soaking = audited(&fleet, "site-state", "docs is soaking");
    CHECK_INT(soaking, 1);
    CLEANUP(free_mem) char *path = text_dup(db_path(fleet.daemon->store->db));
    daemon_close(&fleet.daemon);
    store_age(path, counts);
    fleet_start(&fleet);
    struct db *db = fleet.daemon->store->db;
    for (size_t i = 0; i < TABLES; i++)
        CHECK(rows(db, old_tables[i].table) >= counts[i]);
    CHECK(counts[TABLES - 1] > 5); /* the audit has something to verify */
    uint64_t verified = 0;
    CHECK_OK(audit_verify(fleet.daemon->store, &verified, &err), err);
    CHECK(verified >= (uint64_t)counts[TABLES - 1]);

    CHECK_INT(end_greet(&fleet.agent, 2, 5)->event_acked, 5);
    end_up(&fleet.anna);
    end_say_hello(&fleet.anna, (struct greeting){ 0 });
    const Confleet__RolloutView *view = show(&fleet, "");
    CHECK_STR(view->id, d.id);
    CHECK_STR(view->state, "running");
    CHECK(!view->paused);
    CHECK_STR(view->signed_by, "anna");
    CHECK_STR(view->stages[0]->name, "test");
    CHECK_STR(view->sites[0]->state, "soaking");
    CHECK_INT(view->sites[0]->n_steps, 1);
    CHECK_INT(view->sites[0]->n_findings, 1);
    CHECK_INT(view->sites[0]->n_backups, 1);
    CHECK_STR(view->sites[0]->from_version, "9.2.1");
    const Confleet__Reply *reply = ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_LIST);
    CHECK_INT(good(reply)->n_sites, 2);
    CHECK_STR(reply->sites[0]->covered_by, "help");
    CHECK_STR(reply->sites[1]->covers[0], "docs");
    reply = good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_RELEASE_LIST));
    CHECK_INT(reply->n_releases, 1);

    /* What that version did not know works on the very same rollout. */
    struct about about = { 6, order_id, "docs", d.id };
    CHECK_STR(hear_order(&fleet.agent)->upgrade->site, "help");
    CHECK_INT(say_run(&fleet.agent, about, CONFLEET__RUN_STATE__RUN_COMMITTED, ""), 6);
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskHold hold = CONFLEET__ASK_HOLD__INIT;
    hold.site = word("docs");
    hold.until_ms = clock_wall_ms() + 3600000;
    hold.reason = word("audit week");
    request.what_case = CONFLEET__REQUEST__WHAT_HOLD;
    request.hold = &hold;
    CHECK_INT(good(end_ask(&fleet.anna, &request))->n_holds, 1);
    CHECK_STR(show(&fleet, d.id)->sites[0]->state, "committed");
    str_free(&d.payload);
    fleet_close(&fleet);
}
