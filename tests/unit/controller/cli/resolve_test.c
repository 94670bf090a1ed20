#include "confleet/cleanup.h"
#include "fleet.h"
#include "harness/test.h"

static const char two_stages[] = "name: spring\nrelease: 9.2.13\nstages:\n"
                                 "  - name: test\n    select: { env: test }\n    soak: 2h\n"
                                 "  - name: production\n    select: { env: production }\n    "
                                 "batch: [1, 2, rest]\n    needs: { stage: test }\n"
                                 "    gate: { max_failed: 1, max_silent: 2 }\n"
                                 "on_failure: hold\nbackup_level: started\nexpires: 3d\n";

static Confleet__Plan *resolved(const char *text, struct resolve_in *ret_in, struct planfile *file)
{
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    Confleet__Plan *plan = NULL;
    CHECK_OK(planfile_load_text("p.yaml", text, file, &report, &err), err);
    *ret_in = fleet_in(file);
    int result = plan_resolve(ret_in, &plan, &report, &err);
    if (result != 0)
        print_error("%s", str_text(&report.text));
    CHECK_OK(result, err);
    yaml_report_free(&report);
    return plan;
}

static const char *refused(const char *text)
{
    static char out[8192];
    struct planfile file = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    Confleet__Plan *plan = NULL;
    CHECK_OK(planfile_load_text("p.yaml", text, &file, &report, &err), err);
    struct resolve_in in = fleet_in(&file);
    CHECK_INT(plan_resolve(&in, &plan, &report, &err), -FAIL_USAGE);
    CHECK(plan == NULL);
    (void)snprintf(out, sizeof out, "%s", str_text(&report.text));
    yaml_report_free(&report);
    planfile_free(&file);
    return out;
}

static const char *reason_of(const Confleet__Plan *plan, const char *site)
{
    for (size_t i = 0; i < plan->n_excluded; i++) {
        if (strcmp(plan->excluded[i]->site, site) == 0)
            return plan->excluded[i]->reason;
    }
    return NULL;
}

TEST(plan_holds_everything_that_is_to_be_signed)
{
    struct planfile file = { 0 };
    struct resolve_in in;
    CLEANUP(plan_free) Confleet__Plan *plan = resolved(two_stages, &in, &file);
    CHECK_INT(plan->format, 1);
    CHECK_STR(plan->fleet, "fleet-1");
    CHECK_STR(plan->id, "spring-7");
    CHECK_STR(plan->name, "spring");
    CHECK_INT(plan->serial, 7);
    CHECK_INT(plan->created_ms, in.now_ms);
    CHECK_INT(plan->expires_ms, in.now_ms + 3 * 24 * 3600 * 1000LL);
    CHECK_STR(plan->release->version, "9.2.13");
    CHECK_INT(plan->release->build, 9112);
    CHECK_INT(plan->release->artifact_size, 812345678);
    CHECK_INT(strlen(plan->release->artifact_sha256), 64);
    CHECK_INT(plan->backup_level, CONFLEET__BACKUP_LEVEL__STARTED);
    CHECK_STR(plan->on_failure, "hold");
    CHECK_STR(plan->signed_by, "anna");
    CHECK_INT(plan->n_stages, 2);
    const Confleet__PlanStage *production = plan->stages[1];
    CHECK_STR(production->needs_stage, "test");
    CHECK_INT(production->n_batch, 3);
    CHECK_INT(production->batch[1], 2);
    CHECK_INT(production->batch[2], 0);
    CHECK_INT(production->gate->max_failed, 1);
    CHECK_INT(production->gate->max_silent, 2);
    CHECK_INT(production->soak_ms, 24 * 3600 * 1000LL);
    CHECK_INT(plan->stages[0]->soak_ms, 2 * 3600 * 1000LL);
    CHECK_INT(plan->stages[0]->n_batch, 1);
    CHECK_INT(plan->stages[0]->batch[0], 1);
    CHECK_INT(plan->stages[0]->gate->max_failed, 0);
    CHECK_INT(production->n_sites, 3);
    CHECK_STR(production->sites[0]->name, "wiki");
    CHECK_STR(production->sites[0]->env, "production");
    CHECK_STR(production->sites[0]->covered_by, "wiki-test");
    CHECK_INT(production->sites[0]->n_nodes, 1);
    CHECK_STR(production->sites[0]->nodes[0]->agent, "host-wiki");
    CHECK_STR(production->sites[0]->nodes[0]->installation, "confluence-wiki");
    CHECK_STR(production->sites[0]->from_version, "8.5.4");
    CHECK_INT(production->sites[0]->from_build, 8804);
    CHECK_INT(plan_site_count(plan), 4);
    planfile_free(&file);
}

TEST(every_site_is_in_a_stage_or_excluded_with_its_reason)
{
    struct planfile file = { 0 };
    struct resolve_in in;
    CLEANUP(plan_free) Confleet__Plan *plan = resolved(two_stages, &in, &file);
    CHECK_INT(plan_site_count(plan) + plan->n_excluded, in.site_count);
    CHECK_STR(reason_of(plan, "old"), "no stage selects it");
    CHECK_STR(reason_of(plan, "done"), "it is on build 9112 already");
    planfile_free(&file);
}

TEST(a_site_that_cannot_go_is_excluded_and_says_why)
{
    struct planfile file = { 0 };
    struct resolve_in in;
    CLEANUP(plan_free)
    Confleet__Plan *plan = resolved(
        "name: x\nrelease: 9.2.13\nstages:\n"
        "  - { name: a, select: { env: bare } }\n  - { name: b, select: { env: cluster } }\n"
        "  - { name: c, select: { env: lost } }\n  - { name: d, select: { env: blind } }\n"
        "  - { name: e, select: { env: archive } }\n",
        &in, &file);
    CHECK_INT(plan->n_stages, 0);
    CHECK_STR(reason_of(plan, "bare"),
              "it has no node: confleet site set bare --node HOST:INSTALL");
    CHECK_STR(reason_of(plan, "pair"), "it has 2 nodes; this version upgrades sites of one node");
    CHECK_STR(reason_of(plan, "lost"), "its agent host-lost is revoked");
    CHECK_STR(reason_of(plan, "blind"),
              "its build number is unknown; see: confleet agent show host-blind");
    CHECK_STR(reason_of(plan, "old"), "it is on build 9999, newer than 9.2.13 (build 9112)");
    CHECK_STR(reason_of(plan, "wiki"), "no stage selects it");
    planfile_free(&file);
}

TEST(node_without_report_or_of_a_cluster_or_of_an_unknown_agent_is_excluded)
{
    static const char text[] =
        "name: x\nrelease: 9.2.13\nstages: [{ name: a, select: { site: docs } }]\n";
    struct planfile file = { 0 };
    struct resolve_in in;
    Confleet__InstallationView *node = fleet_site("docs")->nodes[0];
    Confleet__Installation *one = node->installation;
    char *agent = node->agent;
    one->clustered = 1;
    Confleet__Plan *plan = resolved(text, &in, &file);
    CHECK_STR(reason_of(plan, "docs"),
              "it is a node of a cluster, which this version does not upgrade");
    plan_free(&plan);
    planfile_free(&file);
    one->clustered = 0;
    node->installation = NULL;
    plan = resolved(text, &in, &file);
    CHECK_STR(reason_of(plan, "docs"), "agent host-docs does not report its installation");
    plan_free(&plan);
    planfile_free(&file);
    node->installation = one;
    node->agent = (char[]){ "nobody" };
    plan = resolved(text, &in, &file);
    CHECK_STR(reason_of(plan, "docs"), "its agent nobody is not known");
    plan_free(&plan);
    planfile_free(&file);
    node->agent = agent;
}

TEST(stage_whose_sites_are_done_is_left_out_and_no_longer_needed)
{
    struct planfile file = { 0 };
    struct resolve_in in;
    CLEANUP(plan_free)
    Confleet__Plan *plan =
        resolved("name: x\nrelease: 9.2.13\nstages:\n  - { name: first, select: { team: done } }\n"
                 "  - { name: second, select: { site: wiki }, needs: { stage: first } }\n",
                 &in, &file);
    CHECK_INT(plan->n_stages, 1);
    CHECK_STR(plan->stages[0]->name, "second");
    CHECK_STR(plan->stages[0]->needs_stage, "");
    planfile_free(&file);
}

TEST(stage_is_refused_when_the_one_it_needs_cannot_prove_anything)
{
    CHECK_HAS(
        refused("name: x\nrelease: 9.2.13\nstages:\n  - { name: first, select: { env: lost } }\n"
                "  - { name: second, select: { site: wiki }, needs: { stage: first } }\n"),
        "p.yaml:5:61: error: needs: stage \"first\" has no site that can be upgraded first");
    /* A newer build than the release proves nothing about the release. */
    CHECK_HAS(
        refused("name: x\nrelease: 9.2.13\nstages:\n  - { name: first, select: { env: archive } }\n"
                "  - { name: second, select: { site: wiki }, needs: { stage: first } }\n"),
        "has no site that can be upgraded first");
}

TEST(one_site_in_two_stages_is_an_error_at_the_second)
{
    CHECK_HAS(
        refused("name: x\nrelease: 9.2.13\nstages:\n  - { name: a, select: { env: production } }\n"
                "  - { name: b, select: { site: wiki } }\n"),
        "p.yaml:5:26: error: site \"wiki\" is selected by stage \"a\" and by stage \"b\"; a site "
        "belongs to one stage");
}

TEST(empty_fleet_has_no_site_for_any_stage)
{
    struct planfile file = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    Confleet__Plan *plan = NULL;
    CHECK_OK(planfile_load_text("p.yaml", two_stages, &file, &report, &err), err);
    struct resolve_in in = fleet_in(&file);
    in.site_count = 0;
    CHECK_INT(plan_resolve(&in, &plan, &report, &err), -FAIL_USAGE);
    CHECK_INT(report.errors, 2);
    yaml_report_free(&report);
    planfile_free(&file);
}

TEST(same_input_gives_the_same_bytes)
{
    struct planfile file = { 0 };
    struct resolve_in in;
    uint8_t one[4096], two[4096];
    CLEANUP(plan_free) Confleet__Plan *first = resolved(two_stages, &in, &file);
    planfile_free(&file);
    CLEANUP(plan_free) Confleet__Plan *second = resolved(two_stages, &in, &file);
    planfile_free(&file);
    CHECK(confleet__plan__get_packed_size(first) < sizeof one);
    size_t len = confleet__plan__pack(first, one);
    CHECK_INT(confleet__plan__pack(second, two), len);
    CHECK(memcmp(one, two, len) == 0);
}
