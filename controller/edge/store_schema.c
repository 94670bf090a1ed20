#include "controller/edge/store.h"

/* A text here is never changed after it was released: a new one is added. */
const char *const store_migrations[] = {
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

    "ALTER TABLE rollouts ADD COLUMN paused bigint NOT NULL DEFAULT 0;"
    "ALTER TABLE rollouts ADD COLUMN paused_reason text NOT NULL DEFAULT '';"
    "ALTER TABLE rollouts ADD COLUMN aborted bigint NOT NULL DEFAULT 0;"
    "ALTER TABLE rollouts ADD COLUMN artifact_sha256 text NOT NULL DEFAULT '';"
    "ALTER TABLE rollout_sites ADD COLUMN excused bigint NOT NULL DEFAULT 0;"
    "ALTER TABLE rollout_sites ADD COLUMN soaking_ms bigint NOT NULL DEFAULT 0;"
    "CREATE INDEX rollouts_state ON rollouts(state);"
    "CREATE INDEX rollout_sites_site ON rollout_sites(site, state);"
    "CREATE INDEX orders_rollout ON orders(rollout, site);"
    "CREATE TABLE approvals(rollout text NOT NULL REFERENCES rollouts(id), stage text NOT NULL,"
    " key_id text NOT NULL, operator text NOT NULL, at_ms bigint NOT NULL, expires_ms bigint NOT "
    "NULL,"
    " envelope bytea NOT NULL, PRIMARY KEY(rollout, stage, key_id));"
    "CREATE TABLE attempts(rollout text NOT NULL REFERENCES rollouts(id), site text NOT NULL,"
    " attempt bigint NOT NULL, at_ms bigint NOT NULL, decided_by text NOT NULL, before_state text "
    "NOT NULL,"
    " before_reason text NOT NULL, envelope bytea NOT NULL, PRIMARY KEY(rollout, site, attempt));"
    "CREATE TABLE holds(site text PRIMARY KEY, until_ms bigint NOT NULL, reason text NOT NULL,"
    " made_by text NOT NULL, at_ms bigint NOT NULL);"
    "CREATE TABLE notices(seq integer PRIMARY KEY, at_ms bigint NOT NULL, kind text NOT NULL,"
    " subject text NOT NULL, rollout text NOT NULL, stage text NOT NULL, site text NOT NULL,"
    " message text NOT NULL, state text NOT NULL);"
    "CREATE UNIQUE INDEX notices_subject ON notices(rollout, kind, subject) WHERE subject<>'';"
    "CREATE INDEX notices_pending ON notices(seq) WHERE state='pending';",

    /* Asked for each row of a list of sites. */
    "CREATE INDEX sites_covers ON sites(covers, name) WHERE covers<>'';",

    /* What operators know of releases beyond what was shipped: a Release without an artifact. */
    "CREATE TABLE catalogue(version text PRIMARY KEY, body bytea NOT NULL, made_by text NOT NULL,"
    " at_ms bigint NOT NULL);",

    /* One test site stands for many production sites, each of which has one. */
    "CREATE TABLE coverage(site text PRIMARY KEY REFERENCES sites(name), covered_by text NOT NULL"
    " REFERENCES sites(name));"
    "INSERT INTO coverage(site, covered_by) SELECT s.covers, min(s.name) FROM sites s WHERE"
    " s.covers IN (SELECT name FROM sites) GROUP BY s.covers;"
    "CREATE INDEX coverage_by ON coverage(covered_by, site);"
    "DROP INDEX sites_covers;"
    "ALTER TABLE sites DROP COLUMN covers;",

    "ALTER TABLE jobs ADD COLUMN target text NOT NULL DEFAULT '';"
    "ALTER TABLE jobs ADD COLUMN deadline_ms bigint NOT NULL DEFAULT 0;"
    "CREATE INDEX job_sites_open ON job_sites(job) WHERE state IN ('ordered', 'running');"
    "CREATE TABLE checks(seq integer PRIMARY KEY, site text NOT NULL, at_ms bigint NOT NULL,"
    " target text NOT NULL, cause text NOT NULL, event bytea NOT NULL);"
    "CREATE INDEX checks_site ON checks(site, seq);"
    "CREATE TABLE waivers(site text NOT NULL, check_id text NOT NULL, until_ms bigint NOT NULL,"
    " reason text NOT NULL, made_by text NOT NULL, key_id text NOT NULL, at_ms bigint NOT NULL,"
    " envelope bytea NOT NULL, PRIMARY KEY(site, check_id));",

    /* Why this store is too old for an agent. */
    "ALTER TABLE agents ADD COLUMN outdated text NOT NULL DEFAULT '';",

    /* Which releases a version of an app fits; low and high are versions of Confluence. */
    "CREATE TABLE apps(key text NOT NULL, version text NOT NULL, low text NOT NULL, high text NOT "
    "NULL, name text NOT NULL, data_center text NOT NULL, blocks bigint NOT NULL, source text NOT "
    "NULL, day text NOT NULL, made_by text NOT NULL, at_ms bigint NOT NULL,"
    " PRIMARY KEY(key, version, low, high));",

    /* Who has orders that were not sent, asked in each turn of the loop. */
    "CREATE INDEX orders_unsent ON orders(sent_ms, agent) WHERE state='pending';",

    /* Which connection of its process an agent said Hello on last. */
    "ALTER TABLE agents ADD COLUMN connection bigint NOT NULL DEFAULT 0;",
};
const size_t store_migration_count = sizeof store_migrations / sizeof store_migrations[0];
