#include "dialled.h"

TEST(a_signed_plan_over_the_link_becomes_a_run_whose_artifact_is_fetched)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench);
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex("artifact", 8, sha256);
    CLEANUP(free_mem)
    char *here = config_artifact(&bench.lab.config, sha256),
         *there = text_printf("%s/store/%s", bench.lab.dir, sha256);
    CLEANUP(free_mem) char *store = fs_join(bench.lab.dir, "store");
    CHECK_INT(mkdir(store, 0700), 0);
    CHECK_INT(rename(here, there), 0);
    CHECK_OK(bulk_store_open(store, &bench.store, &err), err);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "done o1 0; ");
    CHECK_HAS(str_text(&bench.told), "ack o1 0; ");
    CHECK_HAS(str_text(&bench.told), "run 1; run 2; run 3; done o1 0; ");
    CHECK(!fs_exists(here)); /* used and given back */
    CHECK_INT(lab_serial(&bench.lab), 7);
    CHECK_INT(journal_epoch(bench.lab.journal), 3);
    bench_close(&bench);
}

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

/* So many greetings more, or five seconds without one: false. */
static bool greeted(struct bench *bench, int hellos)
{
    struct err err = { 0 };
    for (int64_t end_ms = clock_mono_ms() + 5000; bench->hellos < hellos; (void)poll(NULL, 0, 5)) {
        if (clock_mono_ms() > end_ms)
            return false;
        CHECK_OK(uplink_tick(bench->uplink, &err), err);
        controller_turn(bench);
    }
    for (int i = 0; i < 50; i++, (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench->uplink, &err), err);
        controller_turn(bench);
    }
    return true;
}

TEST(a_store_that_does_not_hold_what_was_seen_of_it_is_followed_when_a_person_adopted_it)
{
    struct bench bench;
    struct err err = { 0 };
    struct journal_head head = { 0 };
    bench_open(&bench);
    bench.head = ONE;
    bench.head_seq = 40;
    pump(&bench, "survey 1; ");
    CHECK_OK(journal_store_head(bench.lab.journal, &head, &err), err);
    CHECK_INT(head.seq, 40);
    CHECK_STR(head.hash, ONE);
    /* One epoch higher, and longer by now: but it is another one. */
    agent_end(&bench);
    bench.epoch++;
    bench.head = bench.seen_hash = TWO;
    bench.head_seq = 70;
    bench.adopted = 3; /* the epoch that was obeyed before is none to go back with */
    int before = bench.hellos;
    agent_begin(&bench);
    CHECK(greeted(&bench, bench.hellos + 1));
    CHECK_INT(bench.connection, bench.hellos - before);
    CHECK(greeted(&bench, bench.hellos + 1)); /* it asks again and again, and says nothing else */
    CHECK_INT(bench.connection, bench.hellos - before);
    CHECK_STR(str_text(&bench.told), "survey 1; ");
    CHECK_INT(journal_epoch(bench.lab.journal), 3);
    bench.adopted = 4;
    pump(&bench, "survey 1; survey 1; ");
    CHECK_OK(journal_store_head(bench.lab.journal, &head, &err), err);
    CHECK_INT(head.seq, 70);
    CHECK_INT(journal_epoch(bench.lab.journal), 4);
    bench_close(&bench);
}

TEST(a_run_past_the_stop_needs_no_controller_and_its_reports_come_later)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    order_upgrade(&bench, "o1", ANN, 1);
    pump(&bench, "ack o1 0; ");
    char endpoint[256];
    (void)snprintf(endpoint, sizeof endpoint, "%s", link_server_endpoint(bench.control));
    link_server_close(&bench.control);
    for (int64_t end_ms = clock_mono_ms() + 60000;
         bench.agent->run_count && clock_mono_ms() < end_ms; (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench.uplink, &err), err);
        CHECK_OK(agent_tick(bench.agent, &err), err);
    }
    CHECK_INT(bench.agent->run_count, 0);
    server_open(&bench, endpoint, &bench.control);
    pump(&bench, "run 1; run 2; run 3; done o1 0; ");
    CHECK(bench.hellos >= 2);
    bench_close(&bench);
}

TEST(events_wait_in_the_outbox_across_a_restart_of_the_agent)
{
    struct bench bench;
    bench_open(&bench);
    bench.mute = true;
    pump(&bench, "");
    struct err err = { 0 };
    for (int64_t end_ms = clock_mono_ms() + 20000;
         journal_event_seq(bench.lab.journal) == 0 && clock_mono_ms() < end_ms;
         (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench.uplink, &err), err);
        CHECK_OK(agent_tick(bench.agent, &err), err);
        controller_turn(&bench);
    }
    agent_end(&bench);
    CHECK_STR(str_text(&bench.told), "");
    bench.mute = false;
    agent_begin(&bench);
    pump(&bench, "survey 1; survey 1; ");
    bench_close(&bench);
}

TEST(a_pending_agent_keeps_its_events_to_itself_and_obeys_no_order)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench);
    bench.standing = "pending";
    bool ordered = false;
    for (int64_t end_ms = clock_mono_ms() + 1500; clock_mono_ms() < end_ms;
         (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench.uplink, &err), err);
        CHECK_OK(agent_tick(bench.agent, &err), err);
        controller_turn(&bench);
        if (bench.hellos && !ordered)
            order_check(&bench, "c1", "conf-12345678", 0);
        ordered = bench.hellos > 0;
    }
    CHECK(bench.hellos > 0);
    CHECK_STR(str_text(&bench.told), "");
    bench.standing = "accepted";
    welcome(&bench);
    pump(&bench, "survey 1; ");
    CHECK_STR(lab_story(&bench.lab), "survey");
    bench_close(&bench);
}

/* The store behind this controller was put back from an old copy. */
TEST(a_controller_of_an_older_epoch_is_neither_told_nor_obeyed)
{
    struct bench bench;
    struct err err = { 0 };
    bench_open(&bench);
    pump(&bench, "survey 1; ");
    agent_end(&bench);
    str_clear(&bench.told);
    size_t before = (size_t)bench.hellos;
    bool ordered = false;
    bench.epoch = 2;
    agent_begin(&bench);
    for (int64_t end_ms = clock_mono_ms() + 1500; clock_mono_ms() < end_ms;
         (void)poll(NULL, 0, 5)) {
        CHECK_OK(uplink_tick(bench.uplink, &err), err);
        CHECK_OK(agent_tick(bench.agent, &err), err);
        controller_turn(&bench);
        if ((size_t)bench.hellos > before && !ordered)
            order_check(&bench, "c1", "conf-12345678", 0);
        ordered = (size_t)bench.hellos > before;
    }
    CHECK(ordered);
    CHECK_STR(str_text(&bench.told), "");
    CHECK_INT(journal_epoch(bench.lab.journal), 3);
    bench_close(&bench);
}
