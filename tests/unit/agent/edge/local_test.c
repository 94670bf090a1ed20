/* A person on the server: status, inbox, and the commands without the daemon. */
#include "agent/edge/daemon.h"
#include "agent/edge/inbox.h"
#include "agent/edge/oneshot.h"
#include "agent/edge/status.h"
#include "lab.h"
#include <jansson.h>
#include <sys/stat.h>

/* A run of /opt/conf that is held because an undo failed. */
static void held_run(struct lab *lab)
{
    lab_open(lab);
    lab_script(lab,
               "act start 1 fail\nundo switch 1 fail\nundo switch 2 fail\nundo switch 3 fail\n");
    struct run *run = lab_run(lab, true);
    lab_drive(lab, run, NULL);
    CHECK_INT(run_runbook(run)->outcome, OUTCOME_HELD);
    run_close(&run);
    journal_close(&lab->journal);
}

TEST(status_names_the_safe_next_commands_of_a_held_run)
{
    struct lab lab = { 0 };
    held_run(&lab);
    CLEANUP(status_free) struct status status = { { 0 }, 0, 0, 0 };
    struct err err = { 0 };
    CHECK_OK(status_read(&lab.config, false, &status, &err), err);
    CHECK_INT(status.held, 1);
    CHECK_HAS(str_text(&status.text), "held");
    CHECK_HAS(str_text(&status.text), "undoing 'switch' failed 3 times");
    CHECK_HAS(str_text(&status.text), ", down since 20");
    CHECK(!strstr(str_text(&status.text), "down for"));
    CHECK_HAS(str_text(&status.text), "confleet-agent rollback /opt/conf\n");
    CHECK_HAS(str_text(&status.text), "confleet-agent resume /opt/conf\n");
    status_free(&status);
    CHECK_OK(status_read(&lab.config, true, &status, &err), err);
    json_error_t where;
    json_t *root = json_loads(str_text(&status.text), JSON_REJECT_DUPLICATES, &where);
    CHECK(root != NULL);
    json_t *run = json_array_get(json_object_get(root, "runs"), 0);
    CHECK_STR(json_string_value(json_object_get(run, "state")), "held");
    CHECK_INT(json_array_size(json_object_get(run, "safeNext")), 2);
    json_decref(root);
    lab_close(&lab);
}

TEST(status_of_a_server_without_a_journal_says_so)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    CLEANUP(status_free) struct status status = { { 0 }, 0, 0, 0 };
    struct err err = { 0 };
    CLEANUP(free_mem) char *nowhere = fs_join(lab.dir, "nowhere");
    free(lab.config.state_dir);
    lab.config.state_dir = TAKE(nowhere);
    CHECK_INT(status_read(&lab.config, false, &status, &err), -FAIL_NOT_FOUND);
    lab_close(&lab);
}

TEST(a_held_run_is_resumed_without_daemon_and_network)
{
    struct lab lab = { 0 };
    held_run(&lab);
    int outcome = OUTCOME_NONE;
    struct err err = { 0 };
    CHECK_OK(daemon_word(&lab.config, EVENT_RESUME_ORDERED, "/opt/conf", &outcome, &err), err);
    CHECK_INT(outcome, OUTCOME_ROLLED_BACK);
    CHECK_INT(daemon_word(&lab.config, EVENT_RESUME_ORDERED, "/opt/conf", &outcome, &err),
              -FAIL_CONFLICT);
    err_clear(&err);
    CHECK_INT(daemon_word(&lab.config, EVENT_RESUME_ORDERED, "/opt/other", &outcome, &err),
              -FAIL_NOT_FOUND);
    lab_close(&lab);
}

TEST(the_command_leaves_a_running_daemon_s_journal_alone)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    int outcome = OUTCOME_NONE;
    struct err err = { 0 };
    CHECK_INT(daemon_word(&lab.config, EVENT_ROLLBACK_ORDERED, "/opt/conf", &outcome, &err),
              -FAIL_BUSY);
    lab_close(&lab);
}

static void inbox_put(struct lab *lab, const char *name, const char *text, mode_t mode)
{
    struct err err = { 0 };
    CLEANUP(free_mem) char *path = text_printf("%s/inbox/%s", lab->dir, name);
    CHECK_OK(fs_write(path, text, strlen(text), 0600, &err), err);
    CHECK_INT(chmod(path, mode), 0);
}

TEST(words_in_the_inbox_are_obeyed_and_answered_and_foreign_files_left_alone)
{
    struct lab lab = { 0 };
    held_run(&lab);
    struct err err = { 0 };
    struct agent *agent = NULL;
    CHECK_OK(journal_open(lab.dir, &lab.journal, &err), err);
    CHECK_OK(inbox_open(&lab.config, &err), err);
    CHECK_OK(agent_open(&lab.config, lab.journal, NULL, NULL, NULL, &agent, &err), err);
    inbox_put(&lab, "a.word", "resume /opt/conf\n", 0600);
    inbox_put(&lab, "b.word", "rollback /opt/none\n", 0600);
    inbox_put(&lab, "c.word", "explode /opt/conf\n", 0600);
    inbox_put(&lab, "d.word", "rollback /opt/conf\n", 0666);
    CHECK_OK(inbox_tick(agent, &err), err);
    CLEANUP(free_mem) char *a = lab_read(lab.dir, "inbox/a.answer");
    CLEANUP(free_mem) char *b = lab_read(lab.dir, "inbox/b.answer");
    CLEANUP(free_mem) char *c = lab_read(lab.dir, "inbox/c.answer");
    CLEANUP(free_mem) char *d = lab_read(lab.dir, "inbox/d.word");
    CHECK_HAS(a, "0 ");
    CHECK_HAS(b, "6 the journal holds no run of /opt/none");
    CHECK_HAS(c, "2 ");
    CHECK_STR(d, "rollback /opt/conf\n");
    CHECK(!run_over(agent->runs[0]));
    CHECK(run_runbook(agent->runs[0])->undoing);
    agent_close(&agent);
    lab_close(&lab);
}

TEST(a_check_by_hand_needs_no_configuration_and_says_blocked)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    CLEANUP(str_free) struct str out = { 0 };
    Confleet__WorkerResult *result = NULL;
    struct err err = { 0 };
    struct oneshot shot = { .job = "check",
                            .install = lab.dir,
                            .home = "",
                            .backup = "",
                            .version = "",
                            .bare = true,
                            .quiet = true };
    CHECK_OK(oneshot_run(&lab.config, &shot, arena, &result, &err), err);
    oneshot_print(&shot, result, false, &out);
    CHECK_HAS(str_text(&out), "  BLOCK    space                 not enough room\n");
    CHECK_HAS(str_text(&out), "checks: 1 block");
    CHECK_INT(oneshot_exit_status(result), EXIT_BLOCKED);
    lab_close(&lab);
}

TEST(a_backup_by_hand_waits_for_a_run_in_flight)
{
    struct lab lab = { 0 };
    lab_open(&lab);
    char real[PATH_MAX];
    struct err err = { 0 };
    CHECK(realpath(lab.dir, real) != NULL);
    struct journal_run row = { .id = "r",
                               .installation = lend("x"),
                               .install = real,
                               .home = lend(""),
                               .site = lend("s"),
                               .order_id = lend("o"),
                               .plan_id = lend("p"),
                               .plan_sha256 = lend("0"),
                               .plan = lend("") };
    CHECK_OK(journal_run_add(lab.journal, &row, &err), err);
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__WorkerResult *result = NULL;
    struct oneshot shot = { .job = "backup",
                            .install = lab.dir,
                            .home = "",
                            .backup = "",
                            .version = "",
                            .quiet = true };
    CHECK_INT(oneshot_run(&lab.config, &shot, arena, &result, &err), -FAIL_BUSY);
    lab_close(&lab);
}
