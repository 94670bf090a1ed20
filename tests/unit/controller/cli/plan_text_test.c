#include "controller/cli/plan_text.h"
#include "confleet/cleanup.h"
#include "fleet.h"
#include "harness/test.h"

/* The plan file as it is printed before it is signed. */
static const char *shown(const char *text)
{
    static char out[16384];
    CLEANUP(planfile_free) struct planfile file = { 0 };
    CLEANUP(str_free) struct str to = { 0 };
    CLEANUP(plan_free) Confleet__Plan *plan = NULL;
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    Confleet__Reply reply = CONFLEET__REPLY__INIT;
    const struct out plain = { .width = 200 };
    CHECK_OK(planfile_load_text("p.yaml", text, &file, &report, &err), err);
    struct resolve_in in = fleet_in(&file);
    if (plan_resolve(&in, &plan, &report, &err) != 0)
        print_error("%s", str_text(&report.text));
    CHECK(plan != NULL);
    reply.sites = (Confleet__SiteView **)(uintptr_t)in.sites;
    reply.n_sites = in.site_count;
    const struct plan_shown what = {
        .plan = plan, .file = &file, .sites = &reply, .now_ms = in.now_ms
    };
    plan_text(&what, &plain, &to);
    yaml_report_free(&report);
    (void)snprintf(out, sizeof out, "%s", str_text(&to));
    return out;
}

TEST(every_default_is_shown_as_one)
{
    const char *text = shown("name: x\nrelease: 9.2.13\nstages:\n"
                             "  - { name: first, select: { env: test } }\n"
                             "  - { name: second, select: { env: production } }\n");
    CHECK_HAS(text,
              "on failure: rollback (default); backup before the stop: restored into a scratch "
              "database (default); good until 2026-11-30T02:13:20Z (default)\n");
    CHECK_HAS(text, "stage 1: first  batch 1 (default); soak 24h 00m (default); estimate 30m 00s "
                    "(default) for one site\n"
                    "  begins at once; no approval needed\n"
                    "  window: any time (default)\n"
                    "  stops at the first site that fails or falls silent (default)\n");
    CHECK_HAS(text, "stage 2: second");
    CHECK_HAS(text, "  begins when stage first is through and soaked; after 1 approval (default of "
                    "production)\n");
    CHECK_HAS(text, "not touched:\n  old: no stage selects it\n");
    CHECK_HAS(text, "\ninputs ");
}

TEST(what_is_written_is_shown_without_that_mark)
{
    const char *text =
        shown("name: x\nrelease: 9.2.13\nstages:\n  - name: a\n    select: { env: production }\n"
              "    window: { days: [sat], from: \"02:00\", for: 4h, tz: Europe/Berlin }\n"
              "    estimate: 45m\n    batch: [1, rest]\n    soak: 1h\n"
              "    gate: { max_failed: 2, max_rolled_back: 1 }\n    needs: { approvals: 0 }\n"
              "gate: { max_failed: 1 }\nsilence: 5m\non_failure: hold\nbackup_level: started\n"
              "site_windows: { site: docs, window: { from: \"10:00\", for: 2h, tz: Asia/Tokyo } }\n"
              "freeze: { from: 2026-12-20, to: 2026-12-31, reason: year end, tz: Europe/Berlin }\n"
              "expires: 8d\n");
    CHECK(!strstr(text, "default"));
    CHECK_HAS(text, "on failure: hold; backup before the stop: restored and started; good until "
                    "2026-12-01T02:13:20Z\n");
    CHECK_HAS(text, "  a site without a word for 5m 00s counts as silent\n");
    CHECK_HAS(text, "  the whole run stops when more than 1 fail or more than 0 fall silent\n");
    CHECK_HAS(text, "  frozen from 2026-12-19T23:00:00Z to 2026-12-31T23:00:00Z: year end\n");
    CHECK_HAS(text,
              "stage 1: a  batch 1, rest; soak 1h 00m; estimate 45m 00s for one site\n"
              "  begins at once; without approval (switched off by the plan)\n"
              "  window: sat 02:00 for 4h 00m Europe/Berlin; opens next 2026-11-28T01:00:00Z "
              "(Sat 2026-11-28 02:00 CET)\n"
              "  window of site docs besides; open now, until 2026-11-23T03:00:00Z (Mon 2026-11-23 "
              "12:00 JST)\n"
              "  stops when more than 2 fail or more than 0 fall silent, or more than 1 are "
              "rolled back\n");
}

TEST(window_that_is_open_says_until_when)
{
    CHECK_HAS(
        shown("name: x\nrelease: 9.2.13\nstages:\n  - name: a\n    select: { env: test }\n"
              "    window: { days: [mon], from: \"02:00\", for: 4h, tz: UTC }\n"),
        "mon 02:00 for 4h 00m UTC; open now, until 2026-11-23T06:00:00Z (Mon 2026-11-23 06:00 "
        "UTC)\n");
}

TEST(plan_without_work_says_so)
{
    CHECK_HAS(shown("name: x\nrelease: 9.2.13\nstages: [{ name: a, select: { team: done } }]\n"),
              "Nothing to do: no site is in a stage.");
}

TEST(what_is_waived_at_a_site_is_shown_before_the_plan_is_signed)
{
    static Confleet__Waiver waiver, *waivers[] = { &waiver };
    static Confleet__Finding finding, *findings[] = { &finding };
    static const char plan[] = "name: x\nrelease: 9.2.13\nstages:\n"
                               "  - { name: first, select: { env: test } }\n";
    CHECK(strstr(shown(plan), "waived") == NULL);
    confleet__waiver__init(&waiver);
    confleet__finding__init(&finding);
    waiver.check = finding.id = (char *)"heap";
    finding.severity = CONFLEET__SEVERITY__BLOCK;
    waiver.by = (char *)"anna";
    waiver.reason = (char *)"agreed";
    waiver.until_ms = 1795400000000;
    Confleet__SiteView *site = fleet_site("wiki-test"), *other = fleet_site("docs");
    site->n_waivers = other->n_waivers = 1;
    site->waivers = other->waivers = waivers;
    site->n_findings = 1;
    site->findings = findings;
    const char *text = shown(plan);
    CHECK_HAS(text, "  waived at wiki-test: heap (block) by anna until Mon 2026-11-23 02:13 UTC: "
                    "agreed\n");
    CHECK(strstr(text, "waived at docs") == NULL); /* it is not in this plan */
    site->n_waivers = other->n_waivers = site->n_findings = 0;
}
