#include "agent/edge/journal.h"
#include "agent/edge/report.h"
#include "lab.h"
#include <fcntl.h>

static struct journal *open_new(const char **ret_dir)
{
    struct journal *journal = NULL;
    struct err err = { 0 };
    *ret_dir = test_dir();
    CHECK_OK(journal_open(*ret_dir, &journal, &err), err);
    return journal;
}

static int log_once(struct journal *journal, struct err *err)
{
    struct report_about about = { 0 };
    return report_log(journal, &about, 6, "text", err);
}

static int log_and_fail(void *arg, struct err *err)
{
    int result = log_once(arg, err);
    return result ? result : err_set(err, FAIL_CONFLICT, "changed its mind");
}

static int note(void *arg, uint64_t seq, const void *bytes, size_t len, struct err *err)
{
    (void)bytes, (void)len, (void)err;
    str_addf(arg, "%llu ", (unsigned long long)seq);
    return 0;
}

TEST(events_are_numbered_without_gaps_even_when_a_transaction_fails)
{
    const char *dir;
    CLEANUP(journal_close) struct journal *journal = open_new(&dir);
    CLEANUP(str_free) struct str seen = { 0 };
    struct err err = { 0 };
    CHECK_OK(log_once(journal, &err), err);
    CHECK_INT(journal_tx(journal, log_and_fail, journal, &err), -FAIL_CONFLICT);
    err_clear(&err);
    CHECK_OK(log_once(journal, &err), err);
    CHECK_OK(log_once(journal, &err), err);
    CHECK_OK(journal_events(journal, 0, 100, note, &seen, &err), err);
    CHECK_STR(str_text(&seen), "1 2 3 ");
    uint64_t gone = 99;
    CHECK_OK(journal_event_gone(journal, &gone, &err), err);
    CHECK_INT(gone, 0);
    CHECK_OK(journal_event_acked(journal, 2, &err), err);
    CHECK_OK(journal_event_gone(journal, &gone, &err), err);
    CHECK_INT(gone, 2);
    str_clear(&seen);
    CHECK_OK(journal_events(journal, 0, 100, note, &seen, &err), err);
    CHECK_STR(str_text(&seen), "3 ");
    journal_close(&journal);
    CHECK_OK(journal_open(dir, &journal, &err), err);
    CHECK_INT(journal_event_seq(journal), 3);
    CHECK_OK(journal_event_acked(journal, 3, &err), err);
    CHECK_OK(journal_event_gone(journal, &gone, &err), err);
    CHECK_INT(gone, 3); /* an empty outbox: all are */
    CHECK_OK(log_once(journal, &err), err);
    CHECK_INT(journal_event_seq(journal), 4);
}

TEST(each_start_is_counted_and_marks_survive)
{
    const char *dir;
    CLEANUP(journal_close) struct journal *journal = open_new(&dir);
    struct err err = { 0 };
    CHECK_INT(journal_start_count(journal), 1);
    CHECK_OK(journal_epoch_set(journal, 4, &err), err);
    CHECK_OK(journal_serial_set(journal, "conf-1", 5, &err), err);
    CHECK_OK(journal_decision_set(journal, 6, &err), err);
    journal_close(&journal);
    CHECK_OK(journal_open(dir, &journal, &err), err);
    CHECK_INT(journal_start_count(journal), 2);
    CHECK_INT(journal_epoch(journal), 4);
    uint64_t serial = 0;
    CHECK_OK(journal_serial(journal, "conf-1", &serial, &err), err);
    CHECK_INT(serial, 5);
    CHECK_OK(journal_serial(journal, "conf-2", &serial, &err), err);
    CHECK_INT(serial, 0);
    CHECK_INT(journal_decision(journal), 6);
}

TEST(the_journal_is_read_beside_its_owner_but_not_opened_twice)
{
    const char *dir;
    CLEANUP(journal_close) struct journal *journal = open_new(&dir);
    CLEANUP(journal_close) struct journal *other = NULL;
    struct err err = { 0 };
    CHECK(journal != NULL);
    CHECK_INT(journal_open(dir, &other, &err), -FAIL_BUSY);
    err_clear(&err);
    CHECK_OK(journal_open_read(dir, &other, &err), err);
    CHECK_INT(journal_start_count(other), 1);
    CHECK(log_once(other, &err) != 0);
}

TEST(a_damaged_journal_is_refused_by_name)
{
    const char *dir;
    struct journal *journal = open_new(&dir);
    struct err err = { 0 };
    for (int i = 0; i < 300; i++)
        CHECK_OK(log_once(journal, &err), err);
    journal_close(&journal);
    CLEANUP(free_mem) char *path = fs_join(dir, "agent.db");
    char junk[4096];
    memset(junk, 0x5a, sizeof junk);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    for (int page = 1; page < 12; page++)
        CHECK_INT(pwrite(fd, junk, sizeof junk, page * 4096), sizeof junk);
    CHECK_INT(close(fd), 0);
    CHECK_INT(journal_open(dir, &journal, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, "agent.db");
}

TEST(an_order_is_known_by_its_id_with_the_answer_it_was_given)
{
    const char *dir;
    CLEANUP(journal_close) struct journal *journal = open_new(&dir);
    CLEANUP(free_mem) char *message = NULL;
    struct err err = { 0 };
    bool found = true;
    int code = 0;
    CHECK_OK(journal_order_find(journal, "a", &found, &code, &message, &err), err);
    CHECK(!found);
    CHECK_OK(journal_order_add(journal, "a", "x", 1, FAIL_DENIED, "no", true, &err), err);
    CHECK_OK(journal_order_find(journal, "a", &found, &code, &message, &err), err);
    CHECK(found);
    CHECK_INT(code, FAIL_DENIED);
    CHECK_STR(message, "no");
}

/* The schema as the first form had it, where one serial served all installations. */
static const char *const first_form[] = {
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
};

static void first_form_fill(const char *path, bool with_serial)
{
    CLEANUP(db_close) struct db *db = NULL;
    struct err err = { 0 };
    CHECK_OK(db_open(path, first_form, 1, true, &db, &err), err);
    static const char *const runs[][2] = { { "a", "conf-1" },
                                           { "b", "conf-1" },
                                           { "c", "conf-2" } };
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(db_run(db, &err,
                        "INSERT INTO runs(id, installation, install, home, site, order_id, "
                        "plan_id, plan_sha256, plan, attempt, outcome, reason, created_ms, "
                        "finished_ms, outage_ms) VALUES($1, $2, '/opt/conf', '', 'wiki', 'o', 'p', "
                        "'0', x'', 1, 1, '', 0, 0, 0)",
                        "tt", runs[i][0], runs[i][1]),
                 err);
    CHECK_OK(db_run(db, &err, "INSERT INTO meta(key, value) VALUES('start_count', 3)", ""), err);
    if (with_serial)
        CHECK_OK(db_run(db, &err, "INSERT INTO meta(key, value) VALUES('serial', 41)", ""), err);
}

TEST(a_journal_of_the_first_form_gives_its_serial_to_every_installation_that_had_a_run)
{
    static const char *const names[] = { "conf-1", "conf-2", "conf-3" };
    for (int with_serial = 0; with_serial < 2; with_serial++) {
        const char *dir = test_dir();
        CLEANUP(free_mem) char *path = fs_join(dir, "agent.db");
        CLEANUP(journal_close) struct journal *journal = NULL;
        struct err err = { 0 };
        first_form_fill(path, with_serial);
        CHECK_OK(journal_open(dir, &journal, &err), err);
        CHECK_INT(journal_start_count(journal), 4);
        for (size_t i = 0; i < 3; i++) {
            uint64_t serial = 99;
            CHECK_OK(journal_serial(journal, names[i], &serial, &err), err);
            CHECK_INT(serial, with_serial && i < 2 ? 41 : 0);
        }
        CHECK_OK(journal_serial_set(journal, "conf-1", 42, &err), err);
        journal_close(&journal);
        CHECK_OK(journal_open(dir, &journal, &err), err);
        uint64_t serial = 0;
        CHECK_OK(journal_serial(journal, "conf-1", &serial, &err), err);
        CHECK_INT(serial, 42);
    }
}
