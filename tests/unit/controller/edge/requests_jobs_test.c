/* The inventory and the jobs: checks, backups, releases. */
#include "controller/edge/store_jobs.h"
#include "work.h"
#include <signal.h>
#include <sys/resource.h>

static const Confleet__Reply *ask_check(struct end *end, const char *site, const char *target)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskCheck check = CONFLEET__ASK_CHECK__INIT;
    char *sites[] = { word(site) };
    check.n_sites = site ? 1 : 0;
    check.sites = sites;
    check.target_version = word(target);
    request.what_case = CONFLEET__REQUEST__WHAT_CHECK;
    request.check = &check;
    return end_ask(end, &request);
}

static const Confleet__Reply *ask_backup(struct end *end, Confleet__Request__WhatCase what,
                                         const char *site, const char *id)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskBackup backup = CONFLEET__ASK_BACKUP__INIT;
    backup.site = word(site);
    backup.backup = word(id);
    request.what_case = what;
    request.backup_run = &backup;
    return end_ask(end, &request);
}

static const Confleet__JobView *ask_job(struct end *end, const char *id)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskJob ask = CONFLEET__ASK_JOB__INIT;
    ask.id = word(id);
    request.what_case = CONFLEET__REQUEST__WHAT_JOB;
    request.job = &ask;
    return good(end_ask(end, &request))->job;
}

TEST(a_check_of_all_sites_orders_each_once_and_collects_findings)
{
    struct fleet fleet = { 0 };
    work_open(&fleet);
    good(ask_site_set(&fleet.anna, "empty", NULL, NULL, "test"));
    const Confleet__JobView *job = good(ask_check(&fleet.anna, NULL, "9.2.3"))->job;
    CHECK_STR(job->state, "running");
    CHECK_INT(job->n_sites, 3);
    CHECK_STR(job->sites[1]->site, "empty");
    CHECK_STR(job->sites[1]->state, "failed");
    CHECK_HAS(job->sites[1]->message, "confleet site set");
    uint64_t seq = 2;
    for (int i = 0; i < 2; i++) {
        const Confleet__Order *order = hear_order(&fleet.agent);
        CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_CHECK);
        CHECK_STR(order->check->target->version, "9.2.3");
        say_order_ack(&fleet.agent, order->id, 0, "");
        CHECK_INT(say_check(&fleet.agent,
                            (struct about){ seq, order->id, order->check->site, NULL },
                            CONFLEET__SEVERITY__BLOCK),
                  seq);
        CHECK_INT(say_done(&fleet.agent,
                           (struct about){ seq + 1, order->id, order->check->site, NULL }, 0, ""),
                  seq + 1);
        seq += 2;
    }
    job = ask_job(&fleet.anna, job->id);
    CHECK_STR(job->state, "failed"); /* one site has no node */
    CHECK_STR(job->sites[0]->state, "done");
    CHECK_INT(job->sites[0]->n_findings, 1);
    CHECK_HAS(job->sites[0]->findings[0]->evidence, "4 GB needed");
    const Confleet__SiteView *site =
        good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_SHOW, "docs"))->sites[0];
    CHECK_STR(site->state, "blocked");
    CHECK_STR(site->reason, "too little room");
    CHECK(site->checked_ms > 0);
    CHECK_INT(ask_check(&fleet.anna, "docs", "1.0")->code, FAIL_NOT_FOUND);
    CHECK_INT(ask_check(&fleet.anna, "nowhere", "")->code, FAIL_NOT_FOUND);
    fleet_close(&fleet);
}

TEST(a_backup_job_ends_with_the_record_and_its_proof_can_be_ordered)
{
    struct fleet fleet = { 0 };
    static const char id[] = "20261123T041800Z-1a2b3c";
    work_open(&fleet);
    const Confleet__JobView *job =
        good(ask_backup(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_RUN, "docs", ""))->job;
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_STR(order->backup->installation, "conf-1");
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(say_backup(&fleet.agent, (struct about){ 2, order->id, "docs", NULL }, id), 2);
    CHECK_INT(say_done(&fleet.agent, (struct about){ 3, order->id, "docs", NULL }, 0, ""), 3);
    job = ask_job(&fleet.anna, job->id);
    CHECK_STR(job->state, "done");
    CHECK_STR(job->sites[0]->backup->id, id);
    CHECK_INT(good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_LIST, "docs"))->n_backups,
              1);
    CHECK_INT(ask_backup(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_VERIFY, "help", id)->code,
              FAIL_NOT_FOUND);
    good(ask_backup(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_VERIFY, "docs", id));
    order = hear_order(&fleet.agent);
    CHECK_STR(order->verify->backup, id);
    CHECK(!order->verify->full_speed);
    say_order_ack(&fleet.agent, order->id, FAIL_BUSY, "another job runs");
    job = ask_job(&fleet.anna, job->id);
    fleet_close(&fleet);
}

/* The request as an operator types it: where to, and how fast. */
static const Confleet__Reply *ask_fast(struct end *end, Confleet__Request__WhatCase what,
                                       const char *id, const char *into)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskBackup backup = CONFLEET__ASK_BACKUP__INIT;
    backup.site = word("docs");
    backup.backup = word(id);
    backup.into = word(into);
    backup.full_speed = true;
    request.what_case = what;
    request.backup_run = &backup;
    return end_ask(end, &request);
}

TEST(full_speed_and_the_folder_of_a_drill_are_carried_in_the_order)
{
    struct fleet fleet = { 0 };
    static const char id[] = "20261123T041800Z-1a2b3c";
    work_open(&fleet);
    good(ask_fast(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_RUN, "", ""));
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_BACKUP);
    CHECK(order->backup->full_speed);
    say_order_ack(&fleet.agent, order->id, 0, "");
    CHECK_INT(ask_fast(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_RESTORE, id, "drill-1")->code,
              FAIL_NOT_FOUND);
    CHECK_INT(say_backup(&fleet.agent, (struct about){ 2, order->id, "docs", NULL }, id), 2);
    CHECK_INT(say_done(&fleet.agent, (struct about){ 3, order->id, "docs", NULL }, 0, ""), 3);
    good(ask_fast(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_VERIFY, id, ""));
    order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_VERIFY);
    CHECK(order->verify->full_speed);
    say_order_ack(&fleet.agent, order->id, FAIL_BUSY, "another job runs");
    static const char *const paths[] = { "", "/tmp/x", "../x", "a/b", ".", "A" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        CHECK_INT(
            ask_fast(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_RESTORE, id, paths[i])->code,
            FAIL_USAGE);
    good(ask_fast(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_RESTORE, id, "drill-1"));
    order = hear_order(&fleet.agent);
    CHECK_INT(order->what_case, CONFLEET__ORDER__WHAT_RESTORE);
    CHECK_STR(order->restore->installation, "conf-1");
    CHECK_STR(order->restore->backup, id);
    CHECK_STR(order->restore->into, "drill-1");
    CHECK(order->restore->full_speed);
    fleet_close(&fleet);
}

static size_t audit_count(struct end *end, const char *what)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskAudit ask = CONFLEET__ASK_AUDIT__INIT;
    size_t count = 0;
    request.what_case = CONFLEET__REQUEST__WHAT_AUDIT;
    request.audit = &ask;
    for (;;) {
        const Confleet__Reply *reply = good(end_ask(end, &request));
        for (size_t i = 0; i < reply->n_audit; i++)
            count += strcmp(reply->audit[i]->what, what) == 0;
        if (reply->n_audit == 0)
            return count;
        ask.after = reply->audit[reply->n_audit - 1]->seq;
    }
}

TEST(a_backup_that_was_made_by_hand_is_listed_with_its_site_and_its_lost_proof)
{
    struct fleet fleet = { 0 };
    static const char id[] = "20261123T041800Z-1a2b3c";
    work_open(&fleet);
    CHECK_INT(say_backup(&fleet.agent, (struct about){ 2, "", "", NULL }, id), 2);
    const Confleet__Reply *list =
        good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_LIST, "docs"));
    CHECK_INT(list->n_backups, 1);
    CHECK_STR(list->backups[0]->site, "docs");
    CHECK_INT(list->backups[0]->level, CONFLEET__BACKUP_LEVEL__RESTORED);
    CHECK_INT(say_level(&fleet.agent, (struct about){ 3, "", "", NULL }, id,
                        CONFLEET__BACKUP_LEVEL__COMPLETE),
              3);
    list = good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_BACKUP_LIST, "docs"));
    CHECK_INT(list->n_backups, 1);
    CHECK_INT(list->backups[0]->level, CONFLEET__BACKUP_LEVEL__COMPLETE);
    fleet_close(&fleet);
}

TEST(an_agent_that_makes_up_backups_fills_no_store)
{
    enum { MORE = 20 };
    struct fleet fleet = { 0 };
    char id[64];
    work_open(&fleet);
    uint64_t seq = 2;
    for (int i = 0; i < BACKUPS_A_DAY + MORE; i++, seq++) {
        (void)snprintf(id, sizeof id, "20261123T041800Z-%06x", (unsigned)i);
        CHECK_INT(say_backup(&fleet.agent, (struct about){ seq, "", "docs", NULL }, id), seq);
    }
    size_t backups = audit_count(&fleet.anna, "backup"),
           refused = audit_count(&fleet.anna, "backups-refused");
    CHECK_INT(backups, BACKUPS_A_DAY);
    CHECK_INT(refused, 1);
    /* What is known may still be told anew. */
    CHECK_INT(say_backup(&fleet.agent, (struct about){ seq, "", "docs", NULL },
                         "20261123T041800Z-000000"),
              seq);
    backups = audit_count(&fleet.anna, "backup");
    CHECK_INT(backups, BACKUPS_A_DAY + 1);
    fleet_close(&fleet);
}

TEST(a_job_of_an_agent_that_refuses_or_is_away_says_so)
{
    struct fleet fleet = { 0 };
    struct err err = { 0 };
    work_open(&fleet);
    const Confleet__JobView *job = good(ask_check(&fleet.anna, "docs", ""))->job;
    const Confleet__Order *order = hear_order(&fleet.agent);
    CHECK(!order->check->target);
    say_order_ack(&fleet.agent, order->id, FAIL_BUSY, "a run is under way");
    job = ask_job(&fleet.anna, job->id);
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
         strcmp(job->state, "running") == 0 && clock_mono_ms() < until_ms;)
        job = ask_job(&fleet.anna, job->id);
    CHECK_STR(job->state, "failed");
    CHECK_STR(job->sites[0]->state, "refused");
    CHECK_STR(job->sites[0]->message, "a run is under way");

    end_close(&fleet.agent);
    CHECK_OK(db_run(fleet.daemon->store->db, &err, "UPDATE agents SET seen_ms=0", ""), err);
    fleet_restart(&fleet);
    end_up(&fleet.anna);
    end_say_hello(&fleet.anna, (struct greeting){ 0 });
    job = good(ask_check(&fleet.anna, "docs", ""))->job;
    CHECK_STR(job->sites[0]->text, "waiting for agent wiki1, which is not connected");
    /* Long after, it is given up, and the order is not sent any more. */
    CHECK_OK(db_run(fleet.daemon->store->db, &err,
                    "UPDATE orders SET created_ms=1 WHERE state='pending'", ""),
             err);
    fleet.daemon->started_ms = 1;
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
         strcmp(job->state, "running") == 0 && clock_mono_ms() < until_ms;)
        job = ask_job(&fleet.anna, job->id);
    CHECK_STR(job->sites[0]->state, "silent");
    end_open(&fleet, &fleet.agent);
    (void)end_greet(&fleet.agent, 2, 1);
    CHECK(!end_hear_for(&fleet.agent, CONFLEET__FRAME__BODY_ORDER, 200));
    fleet_close(&fleet);
}

TEST(an_agent_answers_for_its_own_orders_only)
{
    struct fleet fleet = { 0 };
    struct end eve = { 0 };
    work_open(&fleet);
    const Confleet__JobView *job = good(ask_check(&fleet.anna, "docs", ""))->job;
    const Confleet__Order *order = hear_order(&fleet.agent);
    agent_join(&fleet, &eve, "wiki2");
    say_order_ack(&eve, order->id, FAIL_DENIED, "evil");
    CHECK_INT(
        say_check(&eve, (struct about){ 1, order->id, "docs", NULL }, CONFLEET__SEVERITY__BLOCK),
        1);
    CHECK_INT(say_done(&eve, (struct about){ 2, order->id, "docs", NULL }, 0, "evil"), 2);
    job = ask_job(&fleet.anna, job->id);
    CHECK_STR(job->sites[0]->state, "ordered");
    CHECK_INT(job->sites[0]->n_findings, 0);
    CHECK_INT(good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_SHOW, "docs"))
                  ->sites[0]
                  ->checked_ms,
              0);
    fleet_close(&fleet);
}

TEST(an_installation_belongs_to_one_site_and_must_have_been_reported)
{
    struct fleet fleet = { 0 };
    work_open(&fleet);
    const Confleet__Reply *reply = ask_site_set(&fleet.anna, "third", "wiki1", "conf-1", NULL);
    CHECK_INT(reply->code, FAIL_EXISTS);
    CHECK_HAS(reply->message, "belongs to site docs");
    CHECK_INT(ask_site_set(&fleet.anna, "third", "wiki1", "conf-9", NULL)->code, FAIL_NOT_FOUND);
    CHECK_INT(ask_site_set(&fleet.anna, "third", "nobody", "conf-1", NULL)->code, FAIL_NOT_FOUND);
    CHECK_INT(ask_site_set(&fleet.anna, "Bad Name", NULL, NULL, NULL)->code, FAIL_USAGE);
    /* What was refused left nothing behind. */
    CHECK_INT(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_LIST))->n_sites, 2);
    reply = good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_AGENT_SHOW, "wiki1"));
    CHECK(reply->agents[0]->surveyed_ms > clock_wall_ms() - 60000);
    CHECK_INT(reply->agents[0]->n_installations, 2);
    CHECK_STR(reply->agents[0]->installations[0]->site, "docs");
    CHECK_STR(reply->agents[0]->host, "wiki1.example");
    reply = good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_SHOW, "docs"));
    CHECK_STR(reply->sites[0]->version, "9.2.1");
    CHECK_STR(reply->sites[0]->state, "unchecked");
    CHECK(reply->sites[0]->online);
    CHECK_STR(reply->sites[0]->labels[0]->value, "test");
    good(ask_site_set(&fleet.anna, "docs", NULL, NULL,
                      "")); /* an empty value takes the label away */
    CHECK_INT(
        good(ask_name(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_SHOW, "docs"))->sites[0]->n_labels,
        0);
    fleet_close(&fleet);
}

TEST(a_node_that_a_site_has_no_longer_is_taken_away_and_another_site_may_have_it)
{
    struct fleet fleet = { 0 };
    work_open(&fleet);
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskSiteSet set = CONFLEET__ASK_SITE_SET__INIT;
    Confleet__PlanNode drop = CONFLEET__PLAN_NODE__INIT;
    set.name = word("docs");
    set.drop = &drop;
    drop.agent = word("wiki1");
    drop.installation = word("conf-2");
    request.what_case = CONFLEET__REQUEST__WHAT_SITE_SET;
    request.site_set = &set;
    const Confleet__Reply *reply = end_ask(&fleet.anna, &request); /* another site's */
    CHECK_INT(reply->code, FAIL_NOT_FOUND);
    CHECK_HAS(reply->message, "site docs has no node wiki1:conf-2");
    drop.installation = word("conf-1");
    reply = good(end_ask(&fleet.anna, &request));
    CHECK_INT(reply->sites[0]->n_nodes, 0);
    CHECK_STR(reply->sites[0]->state, "no-node");
    good(ask_site_set(&fleet.anna, "third", "wiki1", "conf-1", NULL));
    fleet_close(&fleet);
}

TEST(a_release_needs_its_artifact_and_never_changes_its_bytes)
{
    struct fleet fleet = { 0 };
    struct err err = { 0 };
    char sha256[HASH_HEX_MAX];
    work_open(&fleet);
    good(ask_release_add(&fleet)); /* the same again is fine */
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskRelease ask = CONFLEET__ASK_RELEASE__INIT;
    Confleet__Release release;
    release_of_tests(&release, sha256);
    ask.release = &release;
    request.what_case = CONFLEET__REQUEST__WHAT_RELEASE_ADD;
    request.release_add = &ask;
    release.artifact_size++;
    CHECK_INT(end_ask(&fleet.anna, &request)->code, FAIL_MISMATCH);
    hash_bytes_hex("other", 5, sha256);
    release.artifact_size = 5;
    CHECK_INT(end_ask(&fleet.anna, &request)->code, FAIL_NOT_FOUND);
    CLEANUP(free_mem) char *path = text_printf("%s/artifacts/%s", fleet.state_dir, sha256);
    CHECK_OK(fs_write(path, "other", 5, 0600, &err), err);
    const Confleet__Reply *reply = end_ask(&fleet.anna, &request);
    CHECK_INT(reply->code, FAIL_EXISTS);
    CHECK_HAS(reply->message, "never changes its bytes");
    CHECK_INT(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_RELEASE_LIST))->n_releases, 1);
    fleet_close(&fleet);
}

static const Confleet__Reply *ask_import(struct end *end, Confleet__Release *release)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskCatalogue ask = CONFLEET__ASK_CATALOGUE__INIT;
    ask.releases = &release;
    ask.n_releases = release ? 1 : 0;
    request.what_case = CONFLEET__REQUEST__WHAT_CATALOGUE_IMPORT;
    request.catalogue_import = &ask;
    return end_ask(end, &request);
}

TEST(what_an_operator_knows_of_a_release_is_kept_and_goes_out_with_each_check)
{
    struct fleet fleet = { 0 };
    Confleet__Release release = CONFLEET__RELEASE__INIT;
    char sha256[HASH_HEX_MAX];
    work_open(&fleet);
    Confleet__Release known;
    release_of_tests(&known, sha256);
    release.version = known.version;
    release.floor_version = (char *)(uintptr_t) "7.19.0";
    release.build = 4711; /* of the entry: the imported artifact's own counts */
    const Confleet__Reply *reply = good(ask_import(&fleet.anna, &release));
    CHECK_INT(reply->n_catalogue, 1);
    CHECK_STR(reply->catalogue[0]->source, "operator:anna");
    CHECK_INT(reply->n_releases, 1);
    CHECK_STR(reply->releases[0]->floor_version, "7.19.0");
    CHECK_INT(reply->releases[0]->build, known.build);
    CHECK_STR(reply->releases[0]->artifact_sha256, sha256);
    /* A later entry of the same version takes its place, whole. */
    release.floor_version = (char *)(uintptr_t) "";
    release.source = (char *)(uintptr_t) "our wiki";
    reply = good(ask_import(&fleet.anna, &release));
    CHECK_INT(reply->n_catalogue, 1);
    CHECK_STR(reply->catalogue[0]->source, "our wiki");
    CHECK_STR(reply->releases[0]->floor_version, "");
    release.version = (char *)(uintptr_t) "latest";
    CHECK_INT(ask_import(&fleet.anna, &release)->code, FAIL_USAGE);
    CHECK_INT(ask_import(&fleet.anna, NULL)->code, FAIL_USAGE);
    fleet_close(&fleet);
}

TEST(the_operators_entries_are_bounded_and_one_too_many_changes_nothing)
{
    struct fleet fleet = { 0 };
    Confleet__Release release = CONFLEET__RELEASE__INIT;
    static char note[1000], version[32];
    int code = 0, taken = 0;
    work_open(&fleet);
    memset(note, 'n', sizeof note - 1);
    release.note = note;
    release.version = version;
    for (; code == 0 && taken < 400; taken += code == 0) {
        (void)snprintf(version, sizeof version, "20.0.%d", taken);
        code = (int)ask_import(&fleet.anna, &release)->code;
    }
    CHECK_INT(code, FAIL_LIMIT);
    CHECK(taken > 100);
    CHECK_INT(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_RELEASE_LIST))->n_catalogue,
              taken);
    fleet_close(&fleet);
}

TEST(logs_come_in_order_the_newest_page_first_and_the_audit_can_be_read_to_its_end)
{
    struct fleet fleet = { 0 };
    work_open(&fleet);
    for (uint64_t seq = 2; seq < 12; seq++) {
        Confleet__Event event = event_about((struct about){ seq, NULL, NULL, NULL });
        Confleet__LogEvent log = CONFLEET__LOG_EVENT__INIT;
        char text[16];
        (void)snprintf(text, sizeof text, "line %d", (int)seq);
        log.text = text;
        event.what_case = CONFLEET__EVENT__WHAT_LOG;
        event.log = &log;
        CHECK_INT(event_acked(&fleet.agent, &event), seq);
    }
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskLogs logs = CONFLEET__ASK_LOGS__INIT;
    logs.agent = word("wiki1");
    logs.limit = 3;
    request.what_case = CONFLEET__REQUEST__WHAT_LOGS;
    request.logs = &logs;
    const Confleet__Reply *reply = good(end_ask(&fleet.anna, &request));
    CHECK_INT(reply->n_logs, 3);
    CHECK_STR(reply->logs[0]->text, "line 9");
    CHECK_STR(reply->logs[2]->text, "line 11");
    logs.after = 1;
    reply = good(end_ask(&fleet.anna, &request));
    CHECK_STR(reply->logs[0]->text, "line 3");
    logs.agent = word("wiki-one");
    CHECK_INT(end_ask(&fleet.anna, &request)->code, FAIL_NOT_FOUND);

    Confleet__AskAudit audit = CONFLEET__ASK_AUDIT__INIT;
    char prev[65] = AUDIT_ZERO, hash[65];
    request.what_case = CONFLEET__REQUEST__WHAT_AUDIT;
    request.audit = &audit;
    audit.limit = 4;
    for (;;) {
        reply = good(end_ask(&fleet.anna, &request));
        if (reply->n_audit == 0)
            break;
        for (size_t i = 0; i < reply->n_audit; i++) {
            const Confleet__AuditView *row = reply->audit[i];
            CHECK_INT(row->seq, audit.after + 1);
            CHECK_STR(row->prev, prev);
            audit_hash((int64_t)row->seq, row->at_ms, row->who, row->what, row->detail, row->prev,
                       hash);
            CHECK_STR(row->hash, hash);
            (void)snprintf(prev, sizeof prev, "%s", row->hash);
            audit.after = row->seq;
        }
    }
    CHECK(audit.after > 5);
    fleet_close(&fleet);
}

TEST(a_store_that_cannot_be_written_ends_the_controller_and_nothing_was_promised)
{
    struct fleet fleet = { 0 };
    struct err err = { 0 };
    struct rlimit old = { 0 }, none = { 0 };
    work_open(&fleet);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
    none.rlim_max = old.rlim_max;
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskSiteSet set = CONFLEET__ASK_SITE_SET__INIT;
    set.name = word("third");
    request.id = word("full-disk");
    request.what_case = CONFLEET__REQUEST__WHAT_SITE_SET;
    request.site_set = &set;
    frame.body_case = CONFLEET__FRAME__BODY_REQUEST;
    frame.request = &request;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &none), 0);
    end_say(&fleet.anna, &frame);
    int result = 0;
    for (int64_t until_ms = clock_mono_ms() + FLEET_WAIT_MS;
         result == 0 && clock_mono_ms() < until_ms;)
        result = daemon_turn(fleet.daemon, -1, 5, &err);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK(result < 0);
    CHECK_HAS(err.text, "controller.db");
    fleet_restart(&fleet);
    CHECK(!end_hear_for(&fleet.anna, CONFLEET__FRAME__BODY_REPLY, 300));
    end_up(&fleet.anna);
    end_say_hello(&fleet.anna, (struct greeting){ 0 });
    CHECK_INT(good(ask_nothing(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_LIST))->n_sites, 2);
    fleet_close(&fleet);
}
