/* When the agent orders an expiry, of what, and what it refuses from then on. */
#include "agent/edge/expire.h"
#include "agent/edge/orders.h"
#include "lab.h"
#include <fcntl.h>
#include <sys/stat.h>

struct bench {
    struct lab lab;
    struct agent *agent;
};

static void agent_begin(struct bench *bench)
{
    struct err err = { 0 };
    CHECK_OK(
        agent_open(&bench->lab.config, bench->lab.journal, NULL, NULL, NULL, &bench->agent, &err),
        err);
}

static void bench_open(struct bench *bench, int64_t keep_ms)
{
    struct err err = { 0 };
    lab_open(&bench->lab);
    bench->lab.config.keep_ms = keep_ms;
    free(bench->lab.config.backup_dir);
    bench->lab.config.backup_dir = fs_join(bench->lab.dir, "backup");
    CLEANUP(free_mem) char *backups = fs_join(bench->lab.config.backup_dir, "conf-12345678");
    CHECK_OK(fs_mkdirs(backups, 0700, &err), err);
    agent_begin(bench);
}

static void bench_close(struct bench *bench)
{
    agent_close(&bench->agent);
    lab_close(&bench->lab);
}

static void row_add(struct bench *bench, const char *id, enum outcome outcome, int64_t age_ms)
{
    struct err err = { 0 };
    int64_t now_ms = clock_wall_ms();
    struct journal_run row = { .installation = lend("conf-12345678"),
                               .install = lend("/opt/conf"),
                               .home = lend("/var/conf"),
                               .site = lend("wiki"),
                               .order_id = lend("o"),
                               .plan_id = lend("p"),
                               .plan_sha256 = lend("0"),
                               .plan = bench->lab.plan.s,
                               .plan_len = bench->lab.plan.len,
                               .attempt = 1,
                               .outcome = outcome,
                               .created_ms = 1,
                               .finished_ms = outcome == OUTCOME_NONE ? 0 : now_ms - age_ms };
    (void)snprintf(row.id, sizeof row.id, "%s", id);
    CHECK_OK(journal_run_add(bench->lab.journal, &row, &err), err);
    CHECK_OK(journal_memo_set(bench->lab.journal, id, "hot-backup", id, &err), err);
}

/* Ticks until the fake worker's log holds this, or for so long. */
static void tick(struct bench *bench, const char *until, int64_t most_ms)
{
    struct err err = { 0 };
    for (int64_t end_ms = clock_mono_ms() + most_ms; clock_mono_ms() < end_ms;
         (void)poll(NULL, 0, 5)) {
        CHECK_OK(agent_tick(bench->agent, &err), err);
        CLEANUP(free_mem) char *log = lab_read(bench->lab.dir, "log");
        if (until && strstr(log, until) && bench->agent->task_count == 0)
            return;
    }
    CHECK(!until);
}

static bool is_done(struct bench *bench, const char *id)
{
    CLEANUP(journal_run_free) struct journal_run row = { 0 };
    struct err err = { 0 };
    bool expired = false;
    CHECK_OK(journal_expiry(bench->lab.journal, id, &expired, &err), err);
    return expired;
}

TEST(runs_past_their_time_are_expired_and_the_younger_ones_backups_are_kept)
{
    struct bench bench = { 0 };
    bench_open(&bench, 60000);
    row_add(&bench, "old1", OUTCOME_ROLLED_BACK, 70000);
    row_add(&bench, "old2", OUTCOME_COMMITTED, 60001);
    row_add(&bench, "young", OUTCOME_COMMITTED, 30000);
    CLEANUP(free_mem)
    char *want = text_printf("expire run old1 in %s/runs and /opt/.confleet-conf-12345678 run old2 "
                             "in %s/runs and /opt/.confleet-conf-12345678 but young\n",
                             bench.lab.dir, bench.lab.dir);
    tick(&bench, want, 30000);
    CHECK(is_done(&bench, "old1") && is_done(&bench, "old2") && !is_done(&bench, "young"));
    /* Once is enough. */
    bench.agent->expire_mono_ms = 0;
    tick(&bench, "expire but young\n", 30000);
    /* And nobody is sent where there is nothing. */
    CLEANUP(free_mem) char *backups = fs_join(bench.lab.dir, "backup/conf-12345678");
    CLEANUP(free_mem) char *log = fs_join(bench.lab.dir, "log");
    CHECK_INT(rmdir(backups), 0);
    CHECK_INT(unlink(log), 0);
    bench.agent->expire_mono_ms = 0;
    tick(&bench, NULL, 500);
    CLEANUP(free_mem) char *story = lab_read(bench.lab.dir, "log");
    CHECK(!strstr(story, "expire"));
    bench_close(&bench);
}

TEST(a_run_in_flight_or_held_keeps_everything_of_its_installation)
{
    static const enum outcome outcomes[] = { OUTCOME_NONE, OUTCOME_HELD };
    for (size_t i = 0; i < 2; i++) {
        struct bench bench = { 0 };
        lab_open(&bench.lab);
        bench.lab.config.keep_ms = 1000;
        lab_script(&bench.lab, outcomes[i] == OUTCOME_HELD
                                   ? "act start 1 fail\nundo switch 1 fail\nundo switch 2 fail\n"
                                     "undo switch 3 fail\n"
                                   : "act check 1 hang\n");
        struct run *run = lab_run(&bench.lab, true);
        if (outcomes[i] == OUTCOME_HELD) {
            lab_drive(&bench.lab, run, NULL);
            CHECK_INT(run_runbook(run)->outcome, OUTCOME_HELD);
        }
        run_close(&run);
        agent_begin(&bench);
        row_add(&bench, "old", OUTCOME_COMMITTED, 70000);
        tick(&bench, NULL, 2500);
        CLEANUP(free_mem) char *log = lab_read(bench.lab.dir, "log");
        CHECK(!strstr(log, "expire"));
        CHECK(!is_done(&bench, "old"));
        bench_close(&bench);
    }
}

static int word(struct bench *bench, struct err *err)
{
    return orders_local(bench->agent, EVENT_ROLLBACK_ORDERED, "/opt/conf", "test", err);
}

TEST(nobody_goes_back_behind_an_expiry_even_when_its_removal_was_cut_off)
{
    struct bench bench = { 0 };
    struct err err = { 0 };
    bench_open(&bench, 1000);
    lab_script(&bench.lab, "job expire 1 die\n");
    row_add(&bench, "old", OUTCOME_COMMITTED, 5000);
    tick(&bench, "expire run old", 30000);
    CHECK(is_done(&bench, "old"));
    CHECK_INT(word(&bench, &err), -FAIL_EXPIRED);
    CHECK_HAS(err.text, "the way back of site wiki has expired");
    CHECK_HAS(err.text, "was kept for 1.0 s (keep of agent.yaml)");
    CHECK_INT(bench.agent->run_count, 0);
    /* What was cut off is ordered again by the next agent. */
    agent_close(&bench.agent);
    CLEANUP(free_mem) char *log_path = fs_join(bench.lab.dir, "log");
    CLEANUP(free_mem) char *script_path = fs_join(bench.lab.dir, "script");
    CHECK_INT(unlink(log_path), 0);
    CHECK_INT(unlink(script_path), 0);
    agent_begin(&bench);
    tick(&bench, "expire run old", 30000);
    bench.agent->expire_mono_ms = 0;
    CHECK_INT(unlink(log_path), 0);
    tick(&bench, "expire\n", 30000);
    bench_close(&bench);
}

TEST(only_the_newest_upgrade_that_was_kept_goes_back)
{
    struct bench bench = { 0 };
    struct err err = { 0 };
    bench_open(&bench, 3600 * 1000);
    CLEANUP(journal_run_free) struct journal_run row = { 0 };
    row_add(&bench, "first", OUTCOME_COMMITTED, 5000);
    row_add(&bench, "undone", OUTCOME_ROLLED_BACK, 3000);
    CHECK_OK(journal_run_find(bench.lab.journal, "first", "", "", "", &row, &err), err);
    CHECK_OK(expire_check(bench.agent, &row, &err), err);
    row_add(&bench, "second", OUTCOME_COMMITTED, 1000);
    CHECK_INT(expire_check(bench.agent, &row, &err), -FAIL_CONFLICT);
    CHECK_HAS(err.text, "upgraded again after this run");
    bench_close(&bench);
}

TEST(a_later_try_that_was_not_ready_does_not_stand_in_the_way_back)
{
    struct bench bench = { 0 };
    struct err err = { 0 };
    bench_open(&bench, 3600 * 1000);
    struct run *run = lab_run(&bench.lab, true);
    lab_drive(&bench.lab, run, NULL);
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_COMMITTED);
    run_close(&run);
    row_add(&bench, "blocked", OUTCOME_NOT_READY, 0);
    CHECK_OK(word(&bench, &err), err);
    CHECK_INT(bench.agent->run_count, 1);
    CHECK_STR(run_id(bench.agent->runs[0]), "run1");
    CHECK(run_runbook(bench.agent->runs[0])->undoing);
    bench_close(&bench);
}

static void old_file(struct lab *lab, const char *name, bool folder)
{
    CLEANUP(free_mem) char *path = fs_join(lab->dir, name);
    struct err err = { 0 };
    struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
    if (folder)
        CHECK_OK(fs_mkdirs(path, 0700, &err), err);
    else
        CHECK_OK(fs_write(path, "x", 1, 0600, &err), err);
    CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
}

TEST(artifacts_that_no_unfinished_run_needs_and_cut_off_jobs_by_hand_go)
{
    struct bench bench = { 0 };
    lab_open(&bench.lab);
    bench.lab.config.keep_ms = 60000;
    char sha256[HASH_HEX_MAX], name[128];
    hash_bytes_hex("artifact", 8, sha256);
    (void)snprintf(name, sizeof name, "artifacts/%s", sha256);
    old_file(&bench.lab, name, false);
    old_file(&bench.lab, "artifacts/0000", false);
    old_file(&bench.lab, "runs/by-hand-1", true);
    old_file(&bench.lab, "runs/run1", true);
    lab_script(&bench.lab, "act check 1 hang\n");
    struct run *run = lab_run(&bench.lab, true);
    run_close(&run);
    agent_begin(&bench);
    tick(&bench, NULL, 100);
    CLEANUP(free_mem) char *used = fs_join(bench.lab.dir, name);
    CLEANUP(free_mem) char *unused = fs_join(bench.lab.dir, "artifacts/0000");
    CLEANUP(free_mem) char *hand = fs_join(bench.lab.dir, "runs/by-hand-1");
    CLEANUP(free_mem) char *own = fs_join(bench.lab.dir, "runs/run1");
    CHECK(fs_exists(used) && fs_exists(own));
    CHECK(!fs_exists(unused) && !fs_exists(hand));
    bench_close(&bench);
}
