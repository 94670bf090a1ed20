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
    CHECK_OK(journal_event_acked(journal, 2, &err), err);
    str_clear(&seen);
    CHECK_OK(journal_events(journal, 0, 100, note, &seen, &err), err);
    CHECK_STR(str_text(&seen), "3 ");
    journal_close(&journal);
    CHECK_OK(journal_open(dir, &journal, &err), err);
    CHECK_INT(journal_event_seq(journal), 3);
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
    CHECK_OK(journal_serial_set(journal, 5, &err), err);
    CHECK_OK(journal_decision_set(journal, 6, &err), err);
    journal_close(&journal);
    CHECK_OK(journal_open(dir, &journal, &err), err);
    CHECK_INT(journal_start_count(journal), 2);
    CHECK_INT(journal_epoch(journal), 4);
    CHECK_INT(journal_serial(journal), 5);
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
