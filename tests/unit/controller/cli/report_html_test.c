#include "confleet/cleanup.h"
#include "controller/cli/html.h"
#include "controller/cli/report.h"
#include "harness/test.h"

#define NOW  1795400000000
#define EVIL "<script>alert(1)</script><img src=x onerror='alert(2)'>\"&"

static Confleet__RolloutView rollout;
static Confleet__RolloutSiteView site_rows[4], *sites[4];
static Confleet__StepView step_rows[4][24], *steps[4][24];
static Confleet__Finding finding_rows[2], *findings[] = { &finding_rows[0], &finding_rows[1] };
static Confleet__BackupRecord backup_rows[2], *backups[] = { &backup_rows[0], &backup_rows[1] };
static Confleet__StageView stage_rows[2], *stages[] = { &stage_rows[0], &stage_rows[1] };
static Confleet__ClassCount counts[3], *count_lists[] = { &counts[0], &counts[1], &counts[2] };
static Confleet__PlanExcluded excluded, *excluded_list[] = { &excluded };
static Confleet__SignedText signed_plan;
static Confleet__Signature signature, *signatures[] = { &signature };
static Confleet__Release release;
static Confleet__Plan plan;
static Confleet__PlanStage plan_rows[2], *plan_stages[] = { &plan_rows[0], &plan_rows[1] };
static Confleet__PlanGate gate;
static Confleet__AuditView record_rows[2];
static const Confleet__AuditView *records[] = { &record_rows[0], &record_rows[1] };
static Confleet__OperatorView berta, *operators[] = { &berta };
static char *approved_by[1];
static uint32_t batches[] = { 1, 3, 0 };

/* Every text of the views; what a test wants to see everywhere goes through here. */
static const char *poison;
static char *words(const char *text)
{
    return (char *)(uintptr_t)(poison ? poison : text);
}

static const struct {
    const char *name;
    int64_t took_ms;
    bool down;
} passage[] = { { "check", 2100, false },
                { "fetch", 14200, false },
                { "unpack", 6400, false },
                { "carry", 3100, false },
                { "reserve", 200, false },
                { "baseline", 4100, false },
                { "backup", 61000, false },
                { "verify", 88000, false },
                { "stop", 9100, true },
                { "guard", 40, true },
                { "capture-files", 5200, true },
                { "capture-database", 3300, true },
                { "switch", 60, true },
                { "configure", 300, true },
                { "start", 2200, true },
                { "wait", 41000, true },
                { "compare", 150, true },
                { "probe", 3800, true },
                { "prove-capture", 52000, false },
                { "soak", 86400000, false },
                { "commit", 900, false } };
#define PASSAGE (sizeof passage / sizeof passage[0])

static void steps_make(size_t at, size_t count, bool fails)
{
    Confleet__RolloutSiteView *site = &site_rows[at];
    for (size_t i = 0; i < count; i++) {
        Confleet__StepView *step = steps[at][i] = &step_rows[at][i];
        confleet__step_view__init(step);
        step->step = (char *)(uintptr_t)passage[i].name;
        step->state = fails && i + 1 == count ? CONFLEET__STEP_STATE__STEP_FAILED
                                              : CONFLEET__STEP_STATE__STEP_DONE;
        step->took_ms = passage[i].took_ms;
        step->down = passage[i].down;
        step->message = words(fails && i + 1 == count ? "schema task 42 of 97 failed" : "");
    }
    site->steps = steps[at];
    site->n_steps = count;
    for (size_t i = 0; fails && i < 3; i++) {
        Confleet__StepView *step = steps[at][count + i] = &step_rows[at][count + i];
        confleet__step_view__init(step);
        step->step = (char *)(uintptr_t)(i == 0 ? "start" : i == 1 ? "switch" : "stop");
        step->state = CONFLEET__STEP_STATE__STEP_UNDONE;
        step->took_ms = 7000;
        step->undo = step->down = 1;
        site->n_steps++;
    }
}

static void site_make(size_t at, const char *name, const char *stage, const char *state)
{
    Confleet__RolloutSiteView *site = sites[at] = &site_rows[at];
    confleet__rollout_site_view__init(site);
    site->site = words(name);
    site->stage = words(stage);
    site->agent = words("srv-wiki-01");
    site->state = words(state);
    site->from_version = words("8.5.4");
    site->from_build = 8804;
    if (strcmp(state, "queued") == 0)
        return;
    site->started_ms = NOW - 100000000;
    site->finished_ms = NOW - 1000000;
    site->outage_ms = 65000;
    site->n_findings = 2;
    site->findings = findings;
    site->n_backups = 2;
    site->backups = backups;
}

static void parts_make(void)
{
    for (size_t i = 0; i < 2; i++) {
        confleet__finding__init(findings[i]);
        findings[i]->severity = i == 0 ? CONFLEET__SEVERITY__OK : CONFLEET__SEVERITY__WARN;
        findings[i]->id = words(i == 0 ? "build-numbers" : "disk-space");
        findings[i]->title =
            words(i == 0 ? "application, home and database agree" : "room is short");
        findings[i]->evidence = words("12 GB free on /var, 11 GB needed");
        findings[i]->remedy = words("make room on /var");
        confleet__backup_record__init(backups[i]);
        backups[i]->id = words(i == 0 ? "20261123T041800Z-1a2b3c" : "20261123T042500Z-4d5e6f");
        backups[i]->kind = words(i == 0 ? "hot" : "stop");
        backups[i]->level = CONFLEET__BACKUP_LEVEL__RESTORED;
        backups[i]->started_ms = NOW - 90000000;
        backups[i]->files = 72014;
        backups[i]->bytes = 4700000000;
        backups[i]->stored_bytes = 1900000000;
        backups[i]->rows = 1200345;
        backups[i]->version = words("8.5.4");
        backups[i]->note = words("restored into a scratch database on the site's own server");
        confleet__audit_view__init(&record_rows[i]);
        record_rows[i].seq = 41 + i;
        record_rows[i].at_ms = NOW - 100000000;
        record_rows[i].who = words(i == 0 ? "operator:anna" : "operator:berta");
        record_rows[i].what = words(i == 0 ? "plan-applied" : "decision");
        record_rows[i].detail = words(
            i == 0 ? "rollout spring-7 (spring-upgrade): release 9.2.13, serial 7, signed by anna"
                   : "approve for rollout spring-7, stage production, signed by "
                     "berta: tests looked good");
        record_rows[i].hash = words("0123456789abcdef0123456789abcdef");
    }
}

static void stages_make(void)
{
    confleet__plan_gate__init(&gate);
    for (size_t i = 0; i < 2; i++) {
        confleet__stage_view__init(stages[i]);
        confleet__plan_stage__init(plan_stages[i]);
        stages[i]->name = words(i == 0 ? "test" : "production");
        stages[i]->state = words(i == 0 ? "done" : "halted");
        stages[i]->reason = words(i == 0 ? "" : "rolled back: 1, at most 0: docs");
        stages[i]->sites = i == 0 ? 1 : 3;
        plan_stages[i]->name = stages[i]->name;
        plan_stages[i]->soak_ms = 86400000;
        plan_stages[i]->gate = &gate;
        plan_stages[i]->n_batch = 3;
        plan_stages[i]->batch = batches;
        plan_stages[i]->window_rule = words(i == 0 ? "" : "Sat 02:00 for 4h, Europe/Berlin");
    }
    approved_by[0] = words("berta");
    stages[1]->approvals = stages[1]->approvals_needed = 1;
    stages[1]->n_approved_by = 1;
    stages[1]->approved_by = approved_by;
    for (size_t i = 0; i < 3; i++) {
        confleet__class_count__init(count_lists[i]);
        count_lists[i]->state = words(i == 0 ? "committed" : i == 1 ? "rolled-back" : "queued");
        count_lists[i]->count = 1;
    }
    stages[0]->n_counts = 1;
    stages[1]->n_counts = 3;
    stages[0]->counts = stages[1]->counts = count_lists;
}

static struct report made(const char *evil)
{
    poison = evil;
    confleet__rollout_view__init(&rollout);
    confleet__release__init(&release);
    confleet__plan__init(&plan);
    confleet__operator_view__init(&berta);
    confleet__signed_text__init(&signed_plan);
    confleet__signature__init(&signature);
    confleet__plan_excluded__init(&excluded);
    parts_make();
    stages_make();
    site_make(0, "wiki-test", "test", "committed");
    site_make(1, "wiki", "production", "committed");
    site_make(2, "docs", "production", "rolled-back");
    site_make(3, "intra", "production", "queued");
    steps_make(0, PASSAGE, false);
    steps_make(1, PASSAGE, false);
    steps_make(2, 16, true);
    site_rows[0].version = site_rows[1].version = words("9.2.13");
    site_rows[0].build = site_rows[1].build = 9112;
    site_rows[2].reason =
        words("wait: schema task 42 of 97 failed; the old version is back, its data "
              "as at the stop");
    site_rows[2].safe_next = words("confleet-agent status\nconfleet rollout retry spring-7 docs");
    release.version = words("9.2.13");
    release.build = 9112;
    release.artifact_name = words("atlassian-confluence-9.2.13.tar.gz");
    release.artifact_sha256 =
        words("9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de");
    signature.key_id = words("0123456789abcdef");
    signed_plan.n_signatures = 1;
    signed_plan.signatures = signatures;
    excluded.site = words("archive");
    excluded.reason = words("no stage selects it");
    berta.name = words("berta");
    berta.key_id = words("fedcba9876543210");
    rollout.id = words("spring-7");
    rollout.name = words("spring-upgrade");
    rollout.state = words("halted");
    rollout.reason = words("stage production: rolled back: 1, at most 0: docs");
    rollout.signed_by = words("anna");
    rollout.plan_sha256 = words("feed");
    rollout.audit_head = words("beef");
    rollout.release = &release;
    rollout.plan = &signed_plan;
    rollout.started_ms = NOW - 100000000;
    rollout.n_sites = rollout.site_count = 4;
    rollout.sites = sites;
    rollout.n_stages = 2;
    rollout.stages = stages;
    rollout.n_excluded = 1;
    rollout.excluded = excluded_list;
    plan.n_stages = 2;
    plan.stages = plan_stages;
    plan.on_failure = words("rollback");
    plan.backup_level = CONFLEET__BACKUP_LEVEL__RESTORED;
    return (struct report){ .rollout = &rollout,
                            .plan = &plan,
                            .operators = operators,
                            .operator_count = 1,
                            .records = records,
                            .record_count = 2,
                            .now_ms = NOW,
                            .made_by = words("anna") };
}

TEST(page_tells_who_what_when_and_how_it_ended)
{
    CLEANUP(str_free) struct str page = { 0 };
    struct report report = made(NULL);
    report_html(&report, &page);
    const char *const parts[] = {
        "<title>Rollout spring-7: report</title>",
        "<span class=\"badge bad\">halted</span>",
        "<b>2 of 4</b><span>sites committed",
        "<b>1m 05s</b><span>longest outage",
        "<dt>With key</dt><dd>0123456789abcdef</dd>",
        "<dt>Plan digest</dt><dd>feed</dd>",
        "<dt>Audit head</dt><dd>beef</dd>",
        "<td>1, 3, the rest</td><td>failed 0, silent 0</td>",
        "<td>Sat 02:00 for 4h, Europe/Berlin</td>",
        "1 of 1<small>berta, key fedcba9876543210</small>",
        "tests looked good<small class=\"mono\">no. 42, 0123456789abcdef…</small>",
        "<a href=\"#site-2\">docs</a>",
        "id=\"site-2\"",
        "wait ✗",
        "undo switch",
        "20261123T042500Z-4d5e6f",
        "at the stop",
        "<span class=\"badge good\">restored</span>",
        "<span class=\"badge warn\">warn</span>",
        "Remedy: make room on /var",
        "confleet-agent status\nconfleet rollout retry spring-7 docs",
        "<td class=\"w\">archive</td><td>no stage selects it</td>",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        CHECK_HAS(page.s, parts[i]);
    CHECK(!strstr(page.s, "id=\"site-3\"")); /* nothing was done there */
}

TEST(what_did_not_change_and_what_did_not_happen_look_like_it)
{
    CLEANUP(str_free) struct str page = { 0 };
    struct report report = made(NULL);
    rollout.finished_ms = 0;
    site_rows[2].version = words("8.5.4");
    site_rows[2].build = 8804;
    report_html(&report, &page);
    CHECK_HAS(page.s, "<dt>Version</dt><dd>8.5.4 (build 8804), as before</dd>");
    CHECK_HAS(page.s, "<dt>Finished</dt><dd>–</dd>");
    CHECK(!strstr(page.s, "<dd>-</dd>"));
    CHECK(!strstr(page.s, ">-</td>"));
    CHECK_HAS(page.s, "soak, not to scale");
}

TEST(page_needs_nothing_from_outside_and_runs_nothing)
{
    CLEANUP(str_free) struct str page = { 0 };
    struct report report = made(NULL);
    report_html(&report, &page);
    static const char *const outside[] = { "http:",   "https:", "src=",    "<link", "<script",
                                           "@import", "url(",   "<iframe", "onload" };
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        CHECK(!strstr(page.s, outside[i]));
    CHECK_HAS(page.s, "content=\"default-src 'none'; style-src 'unsafe-inline'");
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *s = strstr(text, part); s; s = strstr(s + 1, part))
        count++;
    return count;
}

TEST(markup_in_any_text_of_a_server_is_shown_as_text)
{
    CLEANUP(str_free) struct str clean = { 0 }, page = { 0 };
    struct report report = made(NULL);
    report_html(&report, &clean);
    report = made(EVIL);
    report_html(&report, &page);
    CHECK(!strstr(page.s, "<script"));
    CHECK(!strstr(page.s, "<img"));
    CHECK(!strstr(page.s, "onerror='"));
    CHECK(count_of(page.s, "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x "
                           "onerror=&#39;alert(2)&#39;&gt;&quot;&amp;") > 50);
    /* No text opened or closed an element, or left an attribute. */
    CHECK_INT(count_of(page.s, "<"), count_of(page.s, ">"));
    CHECK_INT(count_of(page.s, "<script") + count_of(page.s, "javascript:"), 0);
    for (const char *s = strchr(page.s, '<'); s; s = strchr(s + 1, '<')) {
        size_t len = strcspn(s, ">");
        CHECK(!memmem(s, len, "alert", 5));
    }
}

TEST(control_characters_and_broken_text_do_not_pass)
{
    CLEANUP(str_free) struct str text = { 0 };
    html_text(&text, "a\033[1m\xc2\x9b"
                     "b\nü");
    CHECK_STR(text.s, "a?[1m?b\nü");
    str_clear(&text);
    html_text(&text, "\xff<");
    CHECK_STR(text.s, "?&lt;");
}

TEST(site_that_is_named_like_another_rollout_state_gets_no_class_of_its_own)
{
    CLEANUP(str_free) struct str page = { 0 };
    struct report report = made(NULL);
    site_rows[1].state = (char *)"\" onclick=\"x";
    report_html(&report, &page);
    CHECK_HAS(page.s, "<span class=\"badge warn\">&quot; onclick=&quot;x</span>");
}

TEST(empty_rollout_makes_a_page_too)
{
    CLEANUP(str_free) struct str page = { 0 };
    Confleet__RolloutView none = CONFLEET__ROLLOUT_VIEW__INIT;
    struct report report = { .rollout = &none, .made_by = "" };
    report_html(&report, &page);
    CHECK_HAS(page.s, "</html>\n");
}

TEST(page_marks_a_finding_that_was_waived)
{
    CLEANUP(str_free) struct str page = { 0 };
    struct report report = made(NULL);
    report_html(&report, &page);
    CHECK(strstr(page.s, "waived") == NULL);
    findings[1]->waived_by = words("anna");
    findings[1]->waive_reason = words("<script>alert(1)</script>");
    findings[1]->waived_until_ms = NOW;
    str_clear(&page);
    report_html(&report, &page);
    CHECK_HAS(page.s, "<span class=\"badge plain\">warn</span><span class=\"badge plain\">waived</span>");
    CHECK_HAS(page.s, "<small>waived by anna until Mon 2026-11-23 02:13 UTC: "
                      "&lt;script&gt;alert(1)&lt;/script&gt;</small>");
    CHECK(strstr(page.s, "<script") == NULL);
}
