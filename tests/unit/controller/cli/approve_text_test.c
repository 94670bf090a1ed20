#include "controller/cli/approve_text.h"
#include "confleet/cleanup.h"
#include "controller/cli/loss_text.h"
#include "harness/test.h"

#define NOW 1795400000000 /* Mon 2026-11-23 02:13:20 UTC */

static const struct out plain = { .fd = 1, .width = 100, .height = 40 };

TEST(approver_sees_what_would_happen_and_what_speaks_for_it)
{
    CLEANUP(str_free) struct str text = { 0 };
    Confleet__Release release = CONFLEET__RELEASE__INIT;
    Confleet__PlanSite first = CONFLEET__PLAN_SITE__INIT, second = first, test = first;
    Confleet__PlanSite *production_sites[] = { &first, &second }, *test_sites[] = { &test };
    Confleet__PlanWindow over = CONFLEET__PLAN_WINDOW__INIT, next = over;
    Confleet__PlanWindow *windows[] = { &over, &next };
    Confleet__PlanGate gate = CONFLEET__PLAN_GATE__INIT;
    Confleet__PlanStage one = CONFLEET__PLAN_STAGE__INIT, two = one, *stages[] = { &one, &two };
    Confleet__Plan plan = CONFLEET__PLAN__INIT;
    Confleet__RolloutView rollout = CONFLEET__ROLLOUT_VIEW__INIT;
    Confleet__RolloutSiteView tested = CONFLEET__ROLLOUT_SITE_VIEW__INIT, *views[] = { &tested };
    Confleet__StageView view = CONFLEET__STAGE_VIEW__INIT, *stage_views[] = { &view };
    uint32_t batch[] = { 1, 0 };
    release.version = (char *)"9.2.13";
    release.build = 9112;
    first.name = (char *)"wiki";
    second.name = (char *)"docs\033[2J";
    test.name = (char *)"wiki-test";
    first.from_version = second.from_version = (char *)"8.5.4";
    first.covered_by = test.name;
    over.from_ms = NOW - 7200000;
    over.to_ms = NOW - 3600000;
    next.from_ms = NOW + 3600000;
    next.to_ms = NOW + 7200000;
    one.name = (char *)"test";
    one.sites = test_sites;
    two.name = (char *)"production";
    two.sites = production_sites;
    one.n_sites = 1;
    two.n_sites = two.n_windows = two.n_batch = 2;
    two.windows = windows;
    two.batch = batch;
    two.gate = &gate;
    two.needs_approvals = 2;
    two.soak_ms = 86400000;
    two.production = 1;
    two.window_rule = (char *)"daily";
    plan.release = &release;
    plan.stages = stages;
    plan.n_stages = 2;
    plan.serial = 7;
    plan.signed_by = (char *)"anna";
    tested.site = test.name;
    tested.stage = one.name;
    tested.state = (char *)"committed";
    tested.version = release.version;
    tested.outage_ms = 65000;
    rollout.id = (char *)"spring-7";
    rollout.plan_sha256 = (char *)"0123456789abcdef0123";
    rollout.n_sites = rollout.n_stages = 1;
    rollout.sites = views;
    rollout.stages = stage_views;
    view.name = two.name;
    view.approvals = 1;
    char *by[] = { (char *)"berta" };
    view.n_approved_by = 1;
    view.approved_by = by;
    approve_text(&plan, plan_stage_find(&plan, "production"), &rollout, &plain, NOW, &text);
    CHECK_STR(
        text.s,
        "Stage production of rollout spring-7\n"
        "  plan          0123456789abcdef…, serial 7, signed by anna\n"
        "  release       9.2.13 (build 9112)\n"
        "  stage before  test: 1 committed of 1\n"
        "    wiki-test  committed on 9.2.13, was down for 1m 05s\n"
        "  sites         2, production\n"
        "    wiki  8.5.4 → 9.2.13 (build 9112); tested on wiki-test: committed on 9.2.13, was "
        "down for 1m 05s\n"
        "    docs?[2J  8.5.4 → 9.2.13 (build 9112); no test site stands for it\n"
        "  windows       daily\n"
        "    Mon 2026-11-23 03:13 UTC to Mon 2026-11-23 04:13 UTC\n"
        "  batches       1, the rest at once\n"
        "  gate          stops when more than 0 fail or more than 0 fall silent\n"
        "  soak          24h 00m\n"
        "  approvals     1 of 2 so far, by berta\n");
    CHECK(plan_stage_find(&plan, "prod") == NULL);
}

static const char *loss_of(const char *state, bool started)
{
    static char text[1024];
    CLEANUP(str_free) struct str to = { 0 };
    Confleet__RolloutSiteView site = CONFLEET__ROLLOUT_SITE_VIEW__INIT;
    Confleet__StepView start = CONFLEET__STEP_VIEW__INIT, probe = start, soak = start;
    Confleet__StepView *steps[] = { &start, &probe, &soak };
    Confleet__BackupRecord hot = CONFLEET__BACKUP_RECORD__INIT, stop = hot;
    Confleet__BackupRecord *backups[] = { &stop, &hot };
    start.step = (char *)"start";
    start.at_ms = NOW - 7200000;
    probe.at_ms = NOW - 7100000;
    start.down = probe.down = 1;
    soak.at_ms = NOW - 7000000;
    hot.kind = (char *)"hot";
    hot.started_ms = NOW;
    stop.kind = (char *)"stop";
    stop.id = (char *)"20261123T001000Z-1a2b3c";
    stop.started_ms = NOW - 7300000;
    stop.level = CONFLEET__BACKUP_LEVEL__RE_READ;
    site.site = (char *)"wiki";
    site.state = (char *)(uintptr_t)state;
    site.from_version = (char *)"8.5.4";
    site.version = (char *)"9.2.13";
    site.steps = steps;
    site.n_steps = started ? 3 : 0;
    site.backups = backups;
    site.n_backups = started ? 2 : 0;
    loss_text(&site, NOW, &to);
    (void)snprintf(text, sizeof text, "%s", str_text(&to));
    return text;
}

TEST(going_back_tells_which_backup_and_what_is_lost)
{
    CHECK_STR(loss_of("soaking", true),
              "site wiki: soaking on 9.2.13\n"
              "  back to    8.5.4\n"
              "  from       backup 20261123T001000Z-1a2b3c (at the stop, level re-read), taken "
              "2026-11-23T00:11:40Z, 2h 01m ago\n"
              "             it was not proven by restoring it yet\n"
              "  lost       everything written since the new version started: "
              "2026-11-23T00:13:20Z, 2h 00m ago\n"
              "  users in   since 2026-11-23T00:15:00Z, 1h 58m ago; how much they wrote is not "
              "counted\n");
    CHECK_HAS(loss_of("running", false), "no backup is listed");
    CHECK_HAS(loss_of("running", false), "nothing: the new version was not started");
    CHECK_HAS(loss_of("silent", true), "once its agent is heard of again");
}

TEST(site_that_cannot_go_back_says_why)
{
    static const char *const states[] = { "queued",      "not-ready", "refused",
                                          "rolled-back", "undoing",   "skipped" };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        CHECK_HAS(loss_of(states[i], true), "\n  not possible: ");
    CHECK(!strstr(loss_of("committed", true), "not possible"));
    CHECK(!strstr(loss_of("held", true), "not possible"));
}
