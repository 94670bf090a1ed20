#include "controller/cli/screen.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "harness/test.h"

#define NOW 1795400000000 /* Mon 2026-11-23 02:13:20 UTC */

static const struct out plain = { .fd = 1, .width = 100, .height = 40 };
static Confleet__RolloutSiteView site_rows[1000], *site_list[1000];
static Confleet__StageView stage_rows[20], *stage_list[20];
static Confleet__ClassCount count_rows[20][13], *count_lists[20][13];
static Confleet__RolloutView rollout;
static Confleet__Release release;
static char names[1000][24];

static void begin(size_t sites, const char *(*state_of)(size_t))
{
    confleet__rollout_view__init(&rollout);
    confleet__release__init(&release);
    release.version = (char *)"9.2.13";
    rollout.id = (char *)"spring-7";
    rollout.state = (char *)"running";
    rollout.release = &release;
    rollout.sites = site_list;
    rollout.n_sites = sites;
    rollout.site_count = (uint32_t)sites;
    for (size_t i = 0; i < sites; i++) {
        Confleet__RolloutSiteView *site = site_list[i] = &site_rows[i];
        confleet__rollout_site_view__init(site);
        (void)snprintf(names[i], sizeof names[i], "wiki-%03zu", i);
        site->site = names[i];
        site->stage = (char *)(i < 12 ? "test" : "production");
        site->state = (char *)state_of(i);
        site->step_label = (char *)"waiting for the schema upgrade";
        site->step_number = 16;
        site->step_count = 21;
        site->started_ms = NOW - 90000;
        site->reason = (char *)"the schema task 42 of 97 failed";
    }
}

static Confleet__StageView *stage_add(const char *name, const char *state, uint32_t sites)
{
    size_t at = rollout.n_stages++;
    Confleet__StageView *stage = stage_list[at] = &stage_rows[at];
    confleet__stage_view__init(stage);
    stage->name = (char *)name;
    stage->state = (char *)state;
    stage->sites = sites;
    rollout.stages = stage_list;
    return stage;
}

static void stage_count(Confleet__StageView *stage, const char *state, uint32_t count)
{
    size_t at = (size_t)(stage - stage_rows);
    Confleet__ClassCount *entry = count_lists[at][stage->n_counts] =
        &count_rows[at][stage->n_counts];
    confleet__class_count__init(entry);
    entry->state = (char *)state;
    entry->count = count;
    stage->counts = count_lists[at];
    stage->n_counts++;
}

static size_t lines_of(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static const char *mixed(size_t i)
{
    static const char *const states[] = { "committed", "held",    "running",     "queued",
                                          "silent",    "soaking", "rolled-back", "not-ready" };
    return i < 500 ? "committed" : states[i % 8];
}

static void thousand(void)
{
    begin(1000, mixed);
    stage_count(stage_add("test", "done", 12), "committed", 12);
    Confleet__StageView *stage = stage_add("production", "running", 988);
    stage_count(stage, "committed", 550);
    stage_count(stage, "held", 63);
}

TEST(thousand_sites_fit_one_screen_within_a_blink)
{
    CLEANUP(str_free) struct str text = { 0 };
    thousand();
    int64_t start_ms = clock_mono_ms();
    screen_add(&rollout, &plain, false, NOW, &text);
    CHECK(clock_mono_ms() - start_ms < 250);
    CHECK(lines_of(text.s) <= 40);
    CHECK(lines_of(text.s) >= 30);
    CHECK_HAS(text.s, "rollout spring-7 to 9.2.13: running\n"
                      "1000 sites: 62 queued, 62 running, 63 soaking, 562 committed");
    CHECK_HAS(text.s, " STAGE       STATE      SITES  OUTCOMES; WAITING FOR\n"
                      " test        done          12  12 committed\n"
                      " production  running      988  550 committed, 63 held\n");
    CHECK_HAS(text.s, "needs attention (251)\n  wiki-505 held ");
    CHECK_HAS(text.s, "at work (125)\n  wiki-506 running ");
    CHECK_HAS(text.s, "more\nevery site: confleet rollout status spring-7 --all\n");
}

TEST(no_screen_is_higher_or_wider_than_its_terminal)
{
    for (int height = 10; height < 80; height++) {
        for (int width = 40; width < 130; width += 15) {
            CLEANUP(str_free) struct str text = { 0 };
            struct out out = { .width = width, .height = height };
            thousand();
            screen_add(&rollout, &out, false, NOW, &text);
            CHECK(lines_of(text.s) <= (size_t)height);
            for (char *line = strtok(text.s, "\n"); line; line = strtok(NULL, "\n"))
                CHECK(out_columns(line) <= (size_t)width);
        }
    }
}

TEST(all_of_them_are_shown_when_asked_for)
{
    CLEANUP(str_free) struct str text = { 0 };
    thousand();
    int64_t start_ms = clock_mono_ms();
    screen_add(&rollout, &plain, true, NOW, &text);
    CHECK(clock_mono_ms() - start_ms < 500);
    CHECK_INT(lines_of(text.s), 1003);
    CHECK_HAS(text.s, "wiki-999");
}

static const char *held_first(size_t i)
{
    return i == 0 ? "rolled-back" : i == 1 ? "held" : "running";
}

TEST(pages_that_leave_sites_out_are_counted_by_the_controller)
{
    CLEANUP(str_free) struct str text = { 0 };
    begin(3, held_first);
    rollout.site_count = 1000;
    Confleet__ClassCount counts[3], *list[] = { &counts[0], &counts[1], &counts[2] };
    const char *const words[] = { "committed", "rolled-back", "running" };
    const uint32_t numbers[] = { 900, 40, 60 };
    for (size_t i = 0; i < 3; i++) {
        confleet__class_count__init(list[i]);
        list[i]->state = (char *)words[i];
        list[i]->count = numbers[i];
    }
    rollout.counts = list;
    rollout.n_counts = 3;
    screen_add(&rollout, &plain, false, NOW, &text);
    CHECK_HAS(text.s, "1000 sites: 60 running, 900 committed, 40 rolled back\n");
    CHECK_HAS(text.s, "needs attention (40)\n  wiki-001 held ");
    CHECK_HAS(text.s, "… and 38 more\n");
    CHECK_HAS(text.s, "at work (60)\n");
    CHECK_HAS(text.s, "… and 59 more\n");
    CHECK_INT(status_exit(&rollout), EXIT_PENDING);
    rollout.state = (char *)"done";
    CHECK_INT(status_exit(&rollout), EXIT_ROLLED_BACK);
}

static const char *queued(size_t i)
{
    return i < 12 ? "committed" : "queued";
}

TEST(stage_says_what_it_waits_for)
{
    CLEANUP(str_free) struct str text = { 0 };
    begin(14, queued);
    stage_add("test", "done", 12);
    Confleet__StageView *stage = stage_add("production", "approval", 2);
    stage->approvals_needed = 2;
    stage->approvals = 1;
    char *by[] = { (char *)"berta" };
    stage->n_approved_by = 1;
    stage->approved_by = by;
    screen_add(&rollout, &plain, false, NOW, &text);
    CHECK_HAS(text.s, " stage test: done\n");
    CHECK_HAS(text.s, " stage production: approval 1 of 2 by berta: confleet rollout "
                      "approve spring-7 produ");
    CHECK_INT(status_exit(&rollout), EXIT_PERSON);
    str_clear(&text);
    stage->state = (char *)"window";
    stage->window_from_ms = NOW + 5 * 24 * 3600 * 1000LL;
    screen_add(&rollout, &plain, false, NOW, &text);
    CHECK_HAS(text.s,
              " stage production: window opens Sat 2026-11-28 02:13 UTC (in 5d 00h)\n");
    CHECK_INT(status_exit(&rollout), EXIT_PENDING);
    str_clear(&text);
    stage->state = (char *)"soaking";
    stage->soak_until_ms = NOW + 3600 * 1000LL;
    screen_add(&rollout, &plain, false, NOW, &text);
    CHECK_HAS(text.s, "stage production: soak until Mon 2026-11-23 03:13 UTC (in 1h 00m)\n");
    str_clear(&text);
    stage->state = (char *)"waiting";
    stage->reason = (char *)"stage test has not soaked\033[2J";
    screen_add(&rollout, &plain, false, NOW, &text);
    CHECK_HAS(text.s, "waiting: stage test has not soaked?[2J\n");
}

TEST(paused_rollout_with_nothing_at_work_needs_a_person)
{
    begin(3, queued);
    site_rows[2].state = (char *)"running";
    rollout.paused = 1;
    CHECK_INT(status_exit(&rollout), EXIT_PENDING);
    site_rows[2].state = (char *)"queued";
    CHECK_INT(status_exit(&rollout), EXIT_PERSON);
    CHECK(!status_is_over(&rollout));
}

TEST(many_stages_leave_room_for_the_sites)
{
    CLEANUP(str_free) struct str text = { 0 };
    static char stage_names[20][16];
    begin(1000, mixed);
    for (size_t i = 0; i < 20; i++) {
        (void)snprintf(stage_names[i], sizeof stage_names[i], "wave-%zu", i);
        stage_add(stage_names[i], i < 5 ? "done" : "waiting", 50);
    }
    screen_add(&rollout, &plain, false, NOW, &text);
    CHECK(lines_of(text.s) <= 40);
    CHECK(!strstr(text.s, "wave-4"));
    CHECK_HAS(text.s, " wave-5 ");
    CHECK_HAS(text.s, "  … and 12 more stages\n");
}

TEST(lines_of_changes_tell_stages_and_leave_out_the_crowd)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(status_memory_free) struct status_memory memory = { 0 };
    begin(1000, queued);
    Confleet__StageView *stage = stage_add("production", "approval", 988);
    stage->approvals_needed = 1;
    status_changes(&memory, &rollout, NOW, &text);
    CHECK_INT(lines_of(text.s), 13);
    CHECK_HAS(text.s, "2026-11-23T02:13:20Z stage production: approval 0 of 1: confleet "
                      "rollout approve spring-7 production\n");
    str_clear(&text);
    status_changes(&memory, &rollout, NOW, &text);
    CHECK_STR(str_text(&text), "");
    rollout.paused = 1;
    rollout.reason = (char *)"anna paused it";
    stage->state = (char *)"running";
    site_rows[900].state = (char *)"ordered";
    status_changes(&memory, &rollout, NOW, &text);
    CHECK_STR(text.s,
              "2026-11-23T02:13:20Z rollout spring-7: paused: anna paused it\n"
              "2026-11-23T02:13:20Z stage production: running\n"
              "2026-11-23T02:13:20Z wiki-900: ordered: 16/21 waiting for the schema upgrade\n");
}

TEST(recap_of_many_names_only_those_that_need_a_look)
{
    CLEANUP(str_free) struct str text = { 0 };
    thousand();
    rollout.state = (char *)"halted";
    rollout.reason = (char *)"failed: 3 of at most 2: wiki-1, wiki-9, wiki-17";
    status_recap(&rollout, &plain, &text);
    CHECK_HAS(text.s,
              "recap: 62 queued, 62 running, 63 soaking, 562 committed, 63 not ready, 63 rolled "
              "back, 63 silent, 62 held\n  halted: failed: 3 of at most 2");
    CHECK(!strstr(text.s, ": committed"));
    CHECK(lines_of(text.s) < 90);
    CHECK_HAS(text.s, "more\n");
}
