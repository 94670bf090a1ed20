#include "controller/cli/status.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static const struct out plain = { .fd = 1, .width = 100 };
static Confleet__RolloutSiteView one, two;
static Confleet__RolloutSiteView *sites[] = { &one, &two };
static Confleet__RolloutView rollout;
static Confleet__Release release;

/* Two sites of one stage; the words of the tests are the controller's. */
static void begin(const char *state_one, const char *state_two)
{
    confleet__rollout_view__init(&rollout);
    confleet__release__init(&release);
    release.version = (char *)"9.2.13";
    rollout.id = (char *)"spring-7";
    rollout.state = (char *)"running";
    rollout.release = &release;
    rollout.n_sites = 2;
    rollout.sites = sites;
    const char *const states[] = { state_one, state_two }, *const names[] = { "wiki", "docs" };
    for (size_t i = 0; i < 2; i++) {
        confleet__rollout_site_view__init(sites[i]);
        sites[i]->stage = (char *)"production";
        sites[i]->site = (char *)names[i];
        sites[i]->state = (char *)states[i];
        sites[i]->from_version = (char *)"8.5.4";
        sites[i]->from_build = 8804;
    }
}

static const char *text_of(const struct str *str)
{
    static char text[8192];
    (void)snprintf(text, sizeof text, "%s", str_text(str));
    return text;
}

TEST(line_of_a_site_shows_step_bar_time_and_what_it_waits_for)
{
    CLEANUP(str_free) struct str text = { 0 };
    begin("running", "queued");
    one.step = (char *)"wait";
    one.step_label = (char *)"waiting for the schema upgrade";
    one.step_number = 11;
    one.step_count = 21;
    one.started_ms = 1000000;
    one.down = 1;
    one.waiting_for = (char *)"status RUNNING";
    status_lines(&rollout, &plain, 1000000 + 83500, &text);
    CHECK_STR(text_of(&text), "rollout spring-7 to 9.2.13: running\n stage production\n"
                              "  wiki     running     [#########...........]   1m 23s down 11/21 "
                              "waiting for the schema upgrade; w…\n"
                              "  docs     queued      [....................]               \n");
}

TEST(bytes_move_the_bar_inside_a_step)
{
    CLEANUP(str_free) struct str text = { 0 };
    begin("running", "committed");
    one.step_number = 1;
    one.step_count = 2;
    one.done = 500000;
    one.total = 1000000;
    one.step_label = (char *)"fetching";
    status_lines(&rollout, &plain, 0, &text);
    CHECK_HAS(text_of(&text), "[#####...............]");
    CHECK_HAS(text_of(&text), "1/2 fetching 500 kB of 1.0 MB");
    CHECK_HAS(text_of(&text), "committed   [####################]");
}

static void narrow_play(int width)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct out narrow = plain;
    narrow.width = width;
    begin("running", "rolled-back");
    one.site = (char *)"a-site-with-a-name-that-is-much-too-long-for-any-table";
    one.step_label = (char *)"ein sehr langer Schritt mit Umläuten: äöüäöüäöüäöüäöüäöüäöü";
    two.reason = (char *)"the schema upgrade failed in task 42 of 97 with an error that nobody "
                         "reads to its end";
    rollout.reason = two.reason;
    status_lines(&rollout, &narrow, 0, &text);
    const char *line = strtok(text.s, "\n");
    CHECK(line != NULL);
    for (; line; line = strtok(NULL, "\n"))
        CHECK(out_columns(line) <= (size_t)width);
}

TEST(no_line_is_wider_than_the_terminal)
{
    for (int width = 40; width < 150; width++)
        narrow_play(width);
}

TEST(texts_from_servers_cannot_steer_the_terminal)
{
    CLEANUP(str_free) struct str text = { 0 };
    begin("held", "running");
    one.reason = (char *)"\033]0;owned\007 disk\nfull";
    two.step_label = (char *)"\033[2J";
    two.step_count = 1;
    status_lines(&rollout, &plain, 0, &text);
    status_recap(&rollout, &plain, &text);
    CHECK(strchr(text.s, '\033') == NULL);
    CHECK(strchr(text.s, '\007') == NULL);
    CHECK_HAS(text.s, "because: ?]0;owned? disk full");
}

TEST(off_a_terminal_each_change_is_one_line_and_sizes_are_none)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(status_memory_free) struct status_memory memory = { 0 };
    begin("running", "queued");
    one.step = (char *)"backup";
    one.step_label = (char *)"backing up while running";
    one.step_number = 7;
    one.step_count = 21;
    status_changes(&memory, &rollout, 1795400000000, &text);
    CHECK_STR(text_of(&text), "2026-11-23T02:13:20Z wiki: running: 7/21 backing up while running\n"
                              "2026-11-23T02:13:20Z docs: queued\n");
    str_clear(&text);
    one.done = 10;
    one.total = 20;
    status_changes(&memory, &rollout, 1795400001000, &text);
    CHECK_STR(text_of(&text), "");
    one.state = (char *)"rolled-back";
    one.reason = (char *)"schema task failed";
    status_changes(&memory, &rollout, 1795400002000, &text);
    CHECK_STR(text_of(&text), "2026-11-23T02:13:22Z wiki: rolled back: schema task failed\n");
}

TEST(rollout_is_over_when_nothing_moves)
{
    begin("committed", "running");
    CHECK(!status_is_over(&rollout));
    rollout.state = (char *)"halted";
    CHECK(!status_is_over(&rollout));
    two.state = (char *)"soaking";
    CHECK(!status_is_over(&rollout));
    two.state = (char *)"held";
    CHECK(status_is_over(&rollout));
    rollout.state = (char *)"running";
    CHECK(!status_is_over(&rollout));
    rollout.state = (char *)"done";
    CHECK(status_is_over(&rollout));
}

static int exit_of(const char *state, const char *a, const char *b)
{
    begin(a, b);
    rollout.state = (char *)state;
    return (int)status_exit(&rollout);
}

TEST(exit_status_is_that_of_the_worst_outcome)
{
    CHECK_INT(exit_of("done", "committed", "committed"), 0);
    CHECK_INT(exit_of("done", "committed", "skipped"), 0);
    CHECK_INT(exit_of("running", "committed", "running"), 2);
    CHECK_INT(exit_of("halted", "rolled-back", "queued"), 5);
    CHECK_INT(exit_of("halted", "rolled-back", "held"), 4);
    CHECK_INT(exit_of("halted", "not-ready", "rolled-back"), 5);
    CHECK_INT(exit_of("halted", "committed", "not-ready"), 3);
    CHECK_INT(exit_of("halted", "refused", "queued"), 3);
    CHECK_INT(exit_of("halted", "silent", "rolled-back"), 7);
    CHECK_INT(exit_of("halted", "committed", "queued"), 4);
    CHECK_INT(exit_of("halted", "committed", "from-the-future"), 1);
}

TEST(recap_of_a_halt_says_how_to_go_on_but_not_after_an_abort)
{
    CLEANUP(str_free) struct str text = { 0 };
    begin("rolled-back", "queued");
    rollout.state = (char *)"halted";
    rollout.reason = (char *)"stage production: 1 of 2 sites did not end well";
    status_recap(&rollout, &plain, &text);
    CHECK_HAS(text.s, "  halted: stage production: 1 of 2 sites did not end well\n"
                      "  to go on: confleet rollout retry spring-7 SITE, or skip, for what did not "
                      "end well; then confleet rollout resume spring-7\n");
    str_clear(&text);
    rollout.reason = (char *)"aborted by anna";
    status_recap(&rollout, &plain, &text);
    CHECK_HAS(text.s, "  halted: aborted by anna\n  wiki: ");
}

TEST(a_gate_that_closed_while_sites_are_at_work_says_that_nothing_new_starts)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(status_memory_free) struct status_memory memory = { 0 };
    begin("rolled-back", "running");
    rollout.reason = (char *)"1 of 2 sites did not end well";
    status_head(&rollout, &plain, &text);
    CHECK_STR(text.s, "rollout spring-7 to 9.2.13: nothing new starts: 1 of 2 sites did not end "
                      "well\n");
    str_clear(&text);
    status_changes(&memory, &rollout, 1795400000000, &text);
    CHECK_HAS(text.s, "2026-11-23T02:13:20Z rollout spring-7: nothing new starts: 1 of 2 sites did "
                      "not end well\n");
}

TEST(why_a_rollout_stopped_is_told_once)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(status_memory_free) struct status_memory memory = { 0 };
    Confleet__StageView stage = CONFLEET__STAGE_VIEW__INIT, *stages[] = { &stage };
    begin("rolled-back", "queued");
    rollout.n_stages = 1;
    rollout.stages = stages;
    stage.name = (char *)"production";
    rollout.state = stage.state = (char *)"halted";
    rollout.reason = stage.reason = (char *)"1 of 2 sites did not end well";
    status_changes(&memory, &rollout, 1795400000000, &text);
    CHECK_HAS(text.s,
              "2026-11-23T02:13:20Z rollout spring-7: halted: 1 of 2 sites did not end well\n"
              "2026-11-23T02:13:20Z stage production: halted\n");
}

TEST(recap_counts_outcomes_and_names_what_to_do)
{
    CLEANUP(str_free) struct str text = { 0 };
    begin("committed", "held");
    one.version = (char *)"9.2.13";
    one.build = 9112;
    one.outage_ms = 65000;
    two.reason = (char *)"the way back failed";
    two.safe_next = (char *)"confleet-agent status\nconfleet-agent rollback docs\n";
    status_recap(&rollout, &plain, &text);
    CHECK_STR(text_of(&text),
              "recap: 1 committed, 1 held\n"
              "  wiki: committed, 9.2.13 (build 9112), was down for 1m 05s\n"
              "  docs: held, 8.5.4 (build 8804)\n    because: the way back failed\n"
              "    next:\n    confleet-agent status\n    confleet-agent rollback docs\n");
}

TEST(a_site_that_is_held_while_down_is_down_since_then)
{
    CLEANUP(str_free) struct str text = { 0 };
    begin("committed", "held");
    two.outage_ms = 8000;
    two.down = true;
    two.down_since_ms = 1795400000000;
    status_recap(&rollout, &plain, &text);
    CHECK_HAS(text_of(&text), "docs: held, 8.5.4 (build 8804), is down since 2026-11-23T02:13:20Z\n");
    CHECK(!strstr(text_of(&text), "was down"));
}

TEST(colour_is_only_for_terminals_that_want_it)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct out colored = plain;
    colored.color = true;
    begin("held", "committed");
    status_recap(&rollout, &colored, &text);
    CHECK_HAS(text_of(&text), "\033[31mwiki\033[0m");
}

TEST(what_is_waived_stands_under_the_sites_and_in_the_recap)
{
    CLEANUP(str_free) struct str text = { 0 };
    Confleet__Waiver waiver = CONFLEET__WAIVER__INIT, *waivers[] = { &waiver };
    struct out narrow = plain;
    begin("running", "queued");
    waiver.check = (char *)"heap";
    waiver.by = (char *)"anna";
    waiver.until_ms = 1795400000000;
    waiver.reason = (char *)"agreed\nin writing";
    two.n_waivers = 1;
    two.waivers = waivers;
    status_lines(&rollout, &plain, 0, &text);
    CHECK_HAS(text_of(&text),
              "  waived now at docs: heap by anna until Mon 2026-11-23 02:13 UTC: agreed in writing\n");
    CHECK(strstr(text_of(&text), "at wiki:") == NULL);
    str_clear(&text);
    narrow.width = 40;
    status_lines(&rollout, &narrow, 0, &text);
    CHECK_HAS(text_of(&text), "  waived now at docs: heap by anna unti…\n");
    str_clear(&text);
    status_recap(&rollout, &plain, &text);
    CHECK_HAS(text_of(&text), "waived now at docs: heap by anna");
}
