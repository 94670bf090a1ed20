#include "controller/cli/report.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

TEST(report_tells_who_what_when_and_how_it_ended)
{
    CLEANUP(str_free) struct str text = { 0 };
    const struct out plain = { .width = 100 };
    Confleet__RolloutView rollout = CONFLEET__ROLLOUT_VIEW__INIT;
    Confleet__RolloutSiteView site = CONFLEET__ROLLOUT_SITE_VIEW__INIT, *sites[] = { &site };
    Confleet__StepView step = CONFLEET__STEP_VIEW__INIT, *steps[] = { &step };
    Confleet__BackupRecord backup = CONFLEET__BACKUP_RECORD__INIT, *backups[] = { &backup };
    Confleet__PlanExcluded excluded = CONFLEET__PLAN_EXCLUDED__INIT,
                           *all_excluded[] = { &excluded };
    Confleet__SignedText plan = CONFLEET__SIGNED_TEXT__INIT;
    Confleet__Signature signature = CONFLEET__SIGNATURE__INIT, *signatures[] = { &signature };
    signature.key_id = (char *)"0123456789abcdef";
    plan.n_signatures = 1;
    plan.signatures = signatures;
    rollout.id = (char *)"spring-7";
    rollout.state = (char *)"halted";
    rollout.signed_by = (char *)"anna";
    rollout.plan_sha256 = (char *)"feed";
    rollout.audit_head = (char *)"beef";
    rollout.plan = &plan;
    rollout.started_ms = 1795400000000;
    rollout.n_sites = 1;
    rollout.sites = sites;
    rollout.n_excluded = 1;
    rollout.excluded = all_excluded;
    excluded.site = (char *)"docs";
    excluded.reason = (char *)"no stage selects it";
    site.site = (char *)"wiki";
    site.stage = (char *)"production";
    site.agent = (char *)"host-wiki";
    site.state = (char *)"held";
    site.safe_next = (char *)"do this\nthen that";
    site.outage_ms = 65000;
    site.n_steps = 1;
    site.steps = steps;
    step.step = (char *)"stop";
    step.state = CONFLEET__STEP_STATE__STEP_FAILED;
    step.down = 1;
    step.undo = 1;
    step.took_ms = 2200;
    step.message = (char *)"it said\033[1m no";
    site.n_backups = 1;
    site.backups = backups;
    backup.id = (char *)"20261123T041800Z-1a2b3c";
    backup.level = CONFLEET__BACKUP_LEVEL__RESTORED;
    backup.note = (char *)"proven on the site's own server";
    Confleet__AuditView record = CONFLEET__AUDIT_VIEW__INIT;
    const Confleet__AuditView *records[] = { &record };
    record.who = (char *)"operator:berta";
    record.what = (char *)"decision";
    record.detail = (char *)"approve for rollout spring-7, stage 'production'\033[0m";
    Confleet__StageView stage = CONFLEET__STAGE_VIEW__INIT, *stages[] = { &stage };
    char *approved_by[] = { (char *)"berta", (char *)"carl" };
    stage.name = (char *)"production";
    stage.state = (char *)"halted";
    stage.n_approved_by = 2;
    stage.approved_by = approved_by;
    rollout.n_stages = 1;
    rollout.stages = stages;
    Confleet__OperatorView berta = CONFLEET__OPERATOR_VIEW__INIT, *operators[] = { &berta };
    berta.name = (char *)"berta";
    berta.key_id = (char *)"fedcba9876543210";
    struct report report = { .rollout = &rollout,
                             .operators = operators,
                             .operator_count = 1,
                             .records = records,
                             .record_count = 1 };
    report_text(&report, &plain, &text);
    const char *const parts[] = { "Report of rollout spring-7\n",
                                  "  signed by    anna\n",
                                  "  with key     0123456789abcdef\n",
                                  "  plan digest  feed\n",
                                  "  audit head   beef\n",
                                  "\nSite wiki (stage production, agent host-wiki)\n",
                                  "  outcome      held\n",
                                  "  next\n    do this\n    then that\n",
                                  "  outage       1m 05s\n",
                                  "20261123T041800Z-1a2b3c",
                                  "restored",
                                  "proven on the site's own server",
                                  "undo stop",
                                  "failed",
                                  "it said?[1m no",
                                  "  docs         no stage selects it\n",
                                  "approved by berta, key fedcba9876543210\n",
                                  "approved by carl, key unknown\n",
                                  "operator:berta  decision: approve for rollout spring-7",
                                  "recap: 1 held\n" };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        CHECK_HAS(text.s, parts[i]);
    CHECK(strchr(text.s, '\033') == NULL);
}

static bool wants(const char *what, const char *detail)
{
    Confleet__AuditView record = CONFLEET__AUDIT_VIEW__INIT;
    record.what = (char *)what;
    record.detail = (char *)detail;
    return report_wants(&record, "spring-7");
}

TEST(report_takes_the_records_of_its_own_rollout)
{
    CHECK(wants("decision", "approve for rollout spring-7, stage 'production'"));
    CHECK(wants("plan-applied", "rollout spring-7 (spring): release 9.2.13"));
    CHECK(wants("rollout-state", "after rollout spring-70 rollout spring-7"));
    CHECK(!wants("decision", "approve for rollout spring-70, stage 'production'"));
    CHECK(!wants("site-state", "rollout spring-7: site wiki is running"));
    CHECK(!wants("decision", "spring-7"));
}

TEST(report_marks_a_finding_that_was_waived_in_text_and_json)
{
    CLEANUP(str_free) struct str text = { 0 }, json = { 0 };
    const struct out plain = { .width = 100 };
    Confleet__RolloutView rollout = CONFLEET__ROLLOUT_VIEW__INIT;
    Confleet__RolloutSiteView site = CONFLEET__ROLLOUT_SITE_VIEW__INIT, *sites[] = { &site };
    Confleet__Finding heap = CONFLEET__FINDING__INIT, space = heap, *findings[] = { &space, &heap };
    heap.id = (char *)"heap";
    heap.severity = CONFLEET__SEVERITY__BLOCK;
    heap.waived_by = (char *)"anna\033[1m";
    heap.waive_reason = (char *)"the sizing was agreed on";
    heap.waived_until_ms = 1795400000000;
    space.id = (char *)"memory";
    space.severity = CONFLEET__SEVERITY__WARN;
    site.site = (char *)"wiki";
    site.n_findings = 2;
    site.findings = findings;
    rollout.n_sites = 1;
    rollout.sites = sites;
    struct report report = { .rollout = &rollout };
    report_text(&report, &plain, &text);
    CHECK_HAS(text.s, "waived by anna?[1m until Mon 2026-11-23 02:13 UTC: the sizing was agreed on\n");
    CHECK(strstr(strstr(text.s, "memory"), "waived") == NULL);
    json_one(&json, "rollout", &rollout.base);
    CHECK_HAS(json.s, "\"waivedBy\":\"anna");
    CHECK_HAS(json.s, "\"waiveReason\":\"the sizing was agreed on\"");
    CHECK_HAS(json.s, "\"waivedUntilMs\":\"1795400000000\"");
}
