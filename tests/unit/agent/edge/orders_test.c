#include "dialled.h"

TEST(full_speed_reaches_the_worker_and_a_restore_goes_where_root_allows_it)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_backup(&bench, "b1", CONFLEET__ORDER__WHAT_BACKUP, "");
    pump(&bench, "done b1 0; ");
    order_backup(&bench, "b2", CONFLEET__ORDER__WHAT_VERIFY, "");
    pump(&bench, "done b2 0; ");
    order_backup(&bench, "r1", CONFLEET__ORDER__WHAT_RESTORE, "drill");
    pump(&bench, "ack r1 8; "); /* no drill_dir */
    bench.lab.config.drill_dir = text_dup("/srv/drills");
    order_backup(&bench, "r2", CONFLEET__ORDER__WHAT_RESTORE, "../../etc");
    pump(&bench, "ack r2 2; ");
    order_backup(&bench, "r3", CONFLEET__ORDER__WHAT_RESTORE, "drill");
    pump(&bench, "done r3 0; ");
    CHECK_HAS(lab_story(&bench.lab), "backup at full speed, verify at full speed, "
                                     "restore into /srv/drills/drill");
    CHECK(!strstr(lab_story(&bench.lab), "etc"));
    bench_close(&bench);
}

TEST(an_order_that_comes_twice_has_one_effect_and_the_same_answer)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_check(&bench, "c1", "conf-12345678", 0);
    order_check(&bench, "c1", "conf-12345678", 0);
    pump(&bench, "done c1 0; ");
    order_check(&bench, "c1", "conf-12345678", 0);
    order_check(&bench, "c2", "conf-12345678", 0);
    pump(&bench, "done c2 0; ");
    CHECK_STR(str_text(&bench.told), "survey 1; ack c1 0; ack c1 0; findings 1; done c1 0; ack c1 "
                                     "0; ack c2 0; findings 1; done c2 0; ");
    bench_close(&bench);
}

TEST(what_is_refused_is_acknowledged_with_its_code_and_changes_nothing)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "bad", EVE, 1);
    pump(&bench, "ack bad 9; ");
    order_check(&bench, "nowhere", "other-00000000", 0);
    pump(&bench, "ack nowhere 6; ");
    order_check(&bench, "old", "conf-12345678", 2);
    pump(&bench, "ack old 11; ");
    CHECK_INT(lab_serial(&bench.lab), 0);
    CHECK_INT(bench.agent->run_count, 0);
    CHECK_STR(lab_story(&bench.lab), "survey");
    bench_close(&bench);
}

TEST(the_same_attempt_is_not_made_twice_under_another_order_id)
{
    struct bench bench;
    bench_open(&bench);
    lab_script(&bench.lab, "act check 1 fail\nact check 2 fail\n");
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 23; ");
    order_upgrade(&bench, "o2", ANN, 1);
    pump(&bench, "ack o2 7; ");
    order_upgrade(&bench, "o3", ANN, 2); /* nobody has decided upon a retry */
    pump(&bench, "ack o3 8; ");
    bench.retry_serial = 9;
    order_upgrade(&bench, "o4", ANN, 2);
    pump(&bench, "done o4 23; ");
    order_upgrade(&bench, "o5", ANN, 3); /* that one was used up */
    pump(&bench, "ack o5 11; ");
    bench.retry_serial = 10;
    order_upgrade(&bench, "o6", ANN, 3);
    pump(&bench, "done o6 0; ");
    bench_close(&bench);
}

TEST(an_abort_cuts_a_fetch_short_and_has_no_meaning_when_nothing_is_in_flight)
{
    struct bench bench;
    bench_open(&bench);
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex("artifact", 8, sha256);
    CLEANUP(free_mem) char *artifact = config_artifact(&bench.lab.config, sha256);
    CHECK_INT(unlink(artifact), 0); /* and no bulk store that could give it */
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "run 1; ");
    order_decision(&bench, "a1", "abort", 9);
    pump(&bench, "ack a1 0; ");
    pump(&bench, "run 6; "); /* not ready: nothing was changed */
    CHECK_INT(journal_decision(bench.lab.journal), 9);
    order_decision(&bench, "a2", "abort", 10);
    pump(&bench, "ack a2 22; ");
    bench.retry_serial = 11;
    order_upgrade(&bench, "o2", ANN, 2); /* it was aborted for good */
    pump(&bench, "ack o2 25; ");
    bench_close(&bench);
}

/* By the controller's clock, which is an hour behind; what counts is when the order is looked at,
 * and an agent that slept looks late. */
TEST(an_order_starts_nothing_after_its_time_by_the_controller_s_clock)
{
    struct bench bench;
    bench_open(&bench);
    bench.now_ms = clock_wall_ms() - 3600 * 1000;
    pump(&bench, "survey 1; ");
    bench.start_by_ms = bench.now_ms;
    order_upgrade(&bench, "late", ANN, 1);
    pump(&bench, "ack late 10; ");
    CHECK_HAS(str_text(&bench.told), "done late 10; "); /* told durably, should the answer be lost */
    order_upgrade(&bench, "late", ANN, 1);
    pump(&bench, "ack late 10; ack late 10; ");
    CHECK_STR(lab_story(&bench.lab), "survey");
    bench.start_by_ms = bench.now_ms + 120 * 1000;
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 0; ");
    bench_close(&bench);
}

TEST(without_the_controller_s_clock_the_own_one_judges_with_the_tolerance_of_windows)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    bench.start_by_ms = clock_wall_ms() - 121 * 1000;
    order_upgrade(&bench, "late", ANN, 1);
    pump(&bench, "ack late 10; ");
    bench.start_by_ms = clock_wall_ms() - 60 * 1000;
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 0; ");
    bench_close(&bench);
}

TEST(a_skipped_site_starts_nothing_when_its_order_comes_after_the_skip)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_decision(&bench, "r1", "rollback", 8);
    pump(&bench, "ack r1 6; "); /* nothing is here to go back */
    order_decision(&bench, "s1", "skip", 9);
    pump(&bench, "ack s1 0; ");
    pump(&bench, "done s1 0; ");
    CHECK_INT(journal_decision(bench.lab.journal), 9);
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "ack o1 25; ");
    CHECK_HAS(str_text(&bench.told), "done o1 25; ");
    CHECK_STR(lab_story(&bench.lab), "survey");
    bench_close(&bench);
}

TEST(a_forged_skip_keeps_no_site_back)
{
    struct bench bench;
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    bench.signers.keys[0] = bench.signers.keys[2]; /* eve signs, whom nobody trusts */
    order_decision(&bench, "s1", "skip", 9);
    pump(&bench, "ack s1 6; ");
    bench.signers.keys[0] = bench.signers.keys[1];
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 0; ");
    bench_close(&bench);
}

TEST(a_skip_ends_what_has_not_stopped_its_site_and_nothing_else)
{
    struct bench bench;
    bench_open(&bench);
    bench.lab.soak_ms = 3600 * 1000;
    lab_plan(&bench.lab);
    pump(&bench, "survey 1; ");
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex("artifact", 8, sha256);
    CLEANUP(free_mem) char *artifact = config_artifact(&bench.lab.config, sha256);
    CHECK_INT(unlink(artifact), 0); /* the fetch waits, and is cut short */
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "run 1; ");
    order_decision(&bench, "s1", "skip", 9);
    pump(&bench, "run 6; ");
    CHECK_HAS(str_text(&bench.told), "ack s1 0; ");
    CHECK(!strstr(lab_story(&bench.lab), "stop"));
    bench_close(&bench);

    bench_open(&bench);
    bench.lab.soak_ms = 3600 * 1000;
    lab_plan(&bench.lab);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "run 2; ");
    order_decision(&bench, "s1", "skip", 9);
    pump(&bench, "ack s1 22; ");
    CHECK_INT(bench.agent->run_count, 1);
    bench_close(&bench);
}

TEST(a_rollback_ordered_by_a_signed_decision_undoes_the_soaking_run)
{
    struct bench bench;
    bench_open(&bench);
    bench.lab.soak_ms = 3600 * 1000;
    lab_plan(&bench.lab);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "run 2; ");
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    Confleet__Order body = CONFLEET__ORDER__INIT;
    Confleet__OrderDecide decide = CONFLEET__ORDER_DECIDE__INIT;
    struct signed_text signed_decision = { 0 };
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex(bench.lab.plan.s, bench.lab.plan.len, sha256);
    decision.format = 1;
    decision.fleet = lend("fleet1");
    decision.plan_sha256 = sha256;
    decision.kind = lend("rollback");
    decision.serial = 8;
    decision.reason = lend("users complain");
    decision.signed_by = lend("bob");
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + 60000;
    wire_encode(&decision.base, &bytes);
    text_sign(&signed_decision, &bench.signers, BOB, SIGN_CONTEXT_DECISION, &bytes);
    decide.decision = &signed_decision.text;
    decide.plan = &bench.plan.text;
    decide.site = lend("wiki");
    body.what_case = CONFLEET__ORDER__WHAT_DECIDE;
    body.decide = &decide;
    order(&bench, &body, "d1");
    pump(&bench, "run 5; ");
    CHECK_HAS(str_text(&bench.told), "ack d1 0; ");
    CHECK_HAS(lab_story(&bench.lab), "undo start, undo switch");
    bench_close(&bench);
}
