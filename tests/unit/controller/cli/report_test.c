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
    report_text(&rollout, &plain, &text);
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
                                  "recap: 1 held\n" };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        CHECK_HAS(text.s, parts[i]);
    CHECK(strchr(text.s, '\033') == NULL);
}
