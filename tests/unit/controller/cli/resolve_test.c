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

/* ------------------------------------------------------------------ what a plan takes for granted
 */

static const char bare_stages[] = "name: x\nrelease: 9.2.13\nstages:\n"
                                  "  - { name: first, select: { env: test } }\n"
                                  "  - { name: second, select: { env: production } }\n";

TEST(empty_stage_gets_the_careful_defaults)
{
    CLEANUP(planfile_free) struct planfile file = { 0 };
    struct resolve_in in;
    CLEANUP(plan_free) Confleet__Plan *plan = resolved(bare_stages, &in, &file);
    for (size_t i = 0; i < 2; i++) {
        const Confleet__PlanStage *stage = plan->stages[i];
        CHECK_INT(stage->n_batch, 1);
        CHECK_INT(stage->batch[0], 1);
        CHECK_INT(stage->soak_ms, 24 * 3600 * 1000LL);
        CHECK_INT(stage->gate->max_failed, 0);
        CHECK_INT(stage->gate->max_silent, 0);
        CHECK_INT(stage->gate->n_limits, 0);
        CHECK_INT(stage->n_windows, 0);
        CHECK_INT(stage->sites[0]->estimate_ms, 30 * 60 * 1000LL);
    }
    CHECK(!plan->stages[0]->production && plan->stages[1]->production);
    CHECK_INT(plan->stages[0]->needs_approvals, 0);
    CHECK_INT(plan->stages[1]->needs_approvals, 1);
    CHECK(plan->run_gate == NULL);
    CHECK_INT(plan->n_freezes, 0);
    CHECK_INT(plan->silence_ms, 0);
}

TEST(approval_of_production_can_be_switched_off_and_never_is_by_itself)
{
    CLEANUP(planfile_free) struct planfile file = { 0 }, named = { 0 };
    struct resolve_in in;
    CLEANUP(plan_free)
    Confleet__Plan *off = resolved("name: x\nrelease: 9.2.13\nstages:\n  - { name: a, select: { "
                                   "env: production }, needs: { approvals: 0 } }\n",
                                   &in, &file);
    CHECK(off->stages[0]->production);
    CHECK_INT(off->stages[0]->needs_approvals, 0);
    CLEANUP(plan_free)
    Confleet__Plan *by_name = resolved("name: x\nrelease: 9.2.13\nstages:\n  - { name: production, "
                                       "select: { env: test }, needs: { covered: false } }\n",
                                       &in, &named);
    CHECK(by_name->stages[0]->production);
    CHECK_INT(by_name->stages[0]->needs_approvals, 1);
}

/* With so many of the fleet's operators known: anna signs, bert approves, carl looks on. */
static int approvals_with(size_t operators, const char *needed, const char *signer)
{
    char text[256];
    CLEANUP(planfile_free) struct planfile file = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    Confleet__Plan *plan = NULL;
    (void)snprintf(
        text, sizeof text,
        "name: x\nrelease: 9.2.13\nstages:\n  - { name: a, select: { env: test }, needs: "
        "{ approvals: %s } }\n",
        needed);
    CHECK_OK(planfile_load_text("p.yaml", text, &file, &report, &err), err);
    struct resolve_in in = fleet_in(&file);
    in.operator_count = operators;
    in.operator= signer;
    int result = plan_resolve(&in, &plan, &report, &err);
    CHECK(result == 0 || strstr(str_text(&report.text), "who may approve") != NULL);
    plan_free(&plan);
    yaml_report_free(&report);
    return result;
}

TEST(approvals_are_counted_among_those_who_can_give_them)
{
    CHECK_INT(approvals_with(1, "1", "anna"), 0); /* nobody else is there */
    CHECK_INT(approvals_with(1, "2", "anna"), -FAIL_USAGE);
    CHECK_INT(approvals_with(2, "1", "anna"), 0);
    CHECK_INT(approvals_with(2, "2", "anna"), -FAIL_USAGE);
    CHECK_INT(approvals_with(2, "1", "bert"), 0);
    CHECK_INT(approvals_with(3, "2", "carl"), 0);
    CHECK_INT(approvals_with(3, "3", "carl"), -FAIL_USAGE);
    fleet_in(NULL).operators[1]->state = (char *)"revoked";
    CHECK_INT(approvals_with(2, "1", "anna"), 0); /* alone again */
    CHECK_INT(approvals_with(3, "1", "anna"), 0); /* carl only looks on */
    CHECK_INT(approvals_with(3, "2", "carl"), -FAIL_USAGE);
    fleet_in(NULL).operators[1]->state = (char *)"accepted";
    fleet_in(NULL).operators[1]->role = CONFLEET__ROLE__OPERATOR;
    CHECK_INT(approvals_with(2, "1", "anna"), -FAIL_USAGE); /* bert may sign, not approve */
    fleet_in(NULL).operators[1]->role = CONFLEET__ROLE__APPROVER;
}

TEST(windows_freezes_gates_and_times_are_signed_as_they_were_written)
{
    CLEANUP(planfile_free) struct planfile file = { 0 };
    struct resolve_in in;
    CLEANUP(plan_free)
    Confleet__Plan *plan = resolved(
        "name: x\nrelease: 9.2.13\nstages:\n  - name: a\n    select: { env: production }\n"
        "    window: [{ days: [sat], from: \"02:00\", for: 4h, tz: Europe/Berlin },\n"
        "             { days: [sat], from: \"05:00\", for: 2h, tz: Europe/Berlin }]\n"
        "    estimate: 45m\n    batch: 2\n    gate: { max_failed: 2, max_rolled_back: 1 }\n"
        "gate: { max_failed: 1, max_silent: 2 }\nsilence: 5m\n"
        "site_windows: { site: docs, window: { from: \"03:00\", for: 1h, tz: Europe/Berlin } }\n"
        "freeze: { from: 2026-12-20, to: 2026-12-31, reason: year end, tz: Europe/Berlin }\n"
        "expires: 2026-12-06\n",
        &in, &file);
    const Confleet__PlanStage *stage = plan->stages[0];
    CHECK_INT(plan->expires_ms, 1796601600000);           /* 2026-12-07T00:00:00Z */
    CHECK_INT(stage->n_windows, 2);                       /* what overlaps is one opening */
    CHECK_INT(stage->windows[0]->from_ms, 1795827600000); /* 2026-11-28T01:00:00Z */
    CHECK_INT(stage->windows[0]->to_ms, 1795827600000 + 5 * 3600 * 1000LL);
    CHECK_STR(stage->window_rule, "sat 02:00 for 4h 00m Europe/Berlin; sat 05:00 for 2h 00m "
                                  "Europe/Berlin");
    CHECK_INT(stage->batch[0], 2);
    CHECK_INT(stage->gate->n_limits, 1);
    CHECK_INT(stage->gate->limits[0]->class_, CONFLEET__OUTCOME_CLASS__ROLLED_BACK);
    CHECK_INT(stage->gate->limits[0]->max, 1);
    CHECK_INT(plan->run_gate->max_failed, 1);
    CHECK_INT(plan->run_gate->max_silent, 2);
    CHECK_INT(plan->silence_ms, 300000);
    CHECK_INT(stage->sites[0]->estimate_ms, 45 * 60 * 1000LL);
    CHECK_INT(stage->sites[0]->n_windows, 0);
    CHECK_STR(stage->sites[1]->name, "docs");
    CHECK_INT(stage->sites[1]->n_windows,
              14); /* each day at 02:00Z, from Tuesday on, and today's */
    CHECK_INT(plan->n_freezes, 1);
    CHECK_STR(plan->freezes[0]->reason, "year end");
    CHECK_INT(plan->freezes[0]->from_ms, 1797721200000); /* 2026-12-19T23:00:00Z */
    CHECK_INT(plan->freezes[0]->to_ms, 1798758000000);   /* 2026-12-31T23:00:00Z */
}

/* ------------------------------------------------------------------ stale plans */

struct twice {
    struct planfile one_file, two_file;
    Confleet__Plan *one, *two;
};

static void twice_free(struct twice *twice)
{
    plan_free(&twice->one);
    plan_free(&twice->two);
    planfile_free(&twice->one_file);
    planfile_free(&twice->two_file);
}

static const char *changes(const struct twice *twice)
{
    static char out[2048];
    char one[PLAN_INPUTS_MAX], two[PLAN_INPUTS_MAX];
    CLEANUP(str_free) struct str text = { 0 };
    plan_inputs(twice->one, one);
    plan_inputs(twice->two, two);
    CHECK_INT(strlen(one), PLAN_INPUTS_MAX - 1);
    plan_changes(twice->one, twice->two, &text);
    CHECK((text.len == 0) == (strcmp(one, two) == 0));
    (void)snprintf(out, sizeof out, "%s", str_text(&text));
    return out;
}

/* Who resolves it, when and under which number is no change; nor is a site that no stage selects.
 */
TEST(fingerprint_is_that_of_the_work_alone)
{
    CLEANUP(twice_free) struct twice twice = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    struct resolve_in in;
    static const char text[] =
        "name: x\nrelease: 9.2.13\nstages:\n  - name: a\n    select: { env: test }\n    window: { "
        "from: \"02:00\", for: 4h, tz: Europe/Berlin }\n"
        "site_windows: { site: wiki-test, window: { from: \"03:00\", for: 1h, tz: UTC } }\n";
    twice.one = resolved(text, &in, &twice.one_file);
    CHECK_OK(planfile_load_text("p.yaml", text, &twice.two_file, &report, &err), err);
    in = fleet_in(&twice.two_file);
    in.now_ms += 5 * 24 * 3600 * 1000LL;
    in.serial = 99;
    in.operator= "bert";
    in.site_count--;
    CHECK_OK(plan_resolve(&in, &twice.two, &report, &err), err);
    CHECK(twice.one->stages[0]->windows[0]->from_ms != twice.two->stages[0]->windows[0]->from_ms);
    CHECK_STR(changes(&twice), "");
    yaml_report_free(&report);
}

static const char *changed_by(void (*change)(bool on))
{
    CLEANUP(twice_free) struct twice twice = { 0 };
    struct resolve_in in;
    twice.one = resolved(bare_stages, &in, &twice.one_file);
    change(true);
    twice.two = resolved(bare_stages, &in, &twice.two_file);
    change(false);
    return changes(&twice);
}

static void site_moves(bool on)
{
    fleet_site("wiki")->nodes[0]->agent = on ? (char *)"host-docs" : (char *)"host-wiki";
}
static void version_changes(bool on)
{
    fleet_site("wiki")->nodes[0]->installation->app_build = on ? 8805 : 8804;
    fleet_site("wiki")->nodes[0]->installation->version = (char *)(on ? "8.5.5" : "8.5.4");
}
static void label_changes(bool on)
{
    fleet_site("docs")->labels[0]->value = (char *)(on ? "test" : "production");
}
static void site_leaves(bool on)
{
    fleet_site("docs")->labels[0]->value = (char *)(on ? "closed" : "production");
}
static void site_enters(bool on)
{
    fleet_site("ancient")->labels[0]->value = (char *)(on ? "production" : "ancient");
    fleet_site("ancient")->nodes[0]->installation->app_build = on ? 8804 : 5997;
}
static void digest_changes(bool on)
{
    fleet_in(NULL).releases[0]->artifact_sha256 =
        (char *)(on ? "ffff456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                    : "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
}
static void site_is_upgraded(bool on)
{
    fleet_site("wiki")->nodes[0]->installation->app_build = on ? 9112 : 8804;
}
static void cover_goes(bool on)
{
    fleet_site("wiki")->covered_by = (char *)(on ? "" : "wiki-test");
}

TEST(stale_plan_says_what_changed)
{
    CHECK_STR(changed_by(site_moves), "site wiki: its server was host-wiki, is host-docs\n");
    CHECK_STR(changed_by(version_changes), "site wiki: its version was 8.5.4, is 8.5.5\n"
                                           "site wiki: its build was 8804, is 8805\n");
    CHECK_STR(changed_by(label_changes), "site docs moved from stage second to stage first\n"
                                         "site docs: label env was production, is test\n");
    CHECK_STR(changed_by(site_leaves), "site docs left stage second: no stage selects it\n");
    CHECK_STR(changed_by(site_enters), "site ancient entered stage second\n");
    CHECK_STR(changed_by(site_is_upgraded),
              "site wiki left stage second: it is on build 9112 already\n");
    CHECK_STR(changed_by(cover_goes),
              "site wiki: the test site that covers it was wiki-test, is nothing\n");
    CHECK_HAS(changed_by(digest_changes), "release: the digest of its artifact was 0123");
}

TEST(another_plan_file_is_a_change_too)
{
    CLEANUP(twice_free) struct twice twice = { 0 };
    struct resolve_in in;
    twice.one = resolved("name: x\nrelease: 9.2.13\nstages: [{ name: a, select: { env: test } }]\n",
                         &in, &twice.one_file);
    twice.two = resolved("name: x\nrelease: 9.2.13\nstages: [{ name: a, select: { env: test }, "
                         "soak: 1h }]\n",
                         &in, &twice.two_file);
    CHECK_STR(changes(&twice), "the plan file, or the order of the sites, is another\n");
}

/* ------------------------------------------------------------------ one hop */

TEST(more_than_one_major_version_is_a_warning)
{
    CLEANUP(planfile_free) struct planfile file = { 0 };
    CLEANUP(str_free) struct str warnings = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    Confleet__Plan *plan = NULL;
    Confleet__Installation *one = fleet_site("wiki-test")->nodes[0]->installation;
    CHECK_OK(planfile_load_text("p.yaml",
                                "name: x\nrelease: 9.2.13\nstages: [{ name: a, select: { env: test "
                                "} }]\n",
                                &file, &report, &err),
             err);
    struct resolve_in in = fleet_in(&file);
    in.warnings = &warnings;
    one->app_build = 8401;
    one->version = (char *)"7.19.1";
    CHECK_OK(plan_resolve(&in, &plan, &report, &err), err);
    plan_free(&plan);
    CHECK_HAS(str_text(&warnings), "p.yaml:2:10: warning: release: site \"wiki-test\" goes from "
                                   "7.19.1 to 9.2.13, over more than one major version");
    str_clear(&warnings);
    one->app_build = 8804;
    one->version = (char *)"8.5.4";
    CHECK_OK(plan_resolve(&in, &plan, &report, &err), err);
    CHECK_STR(str_text(&warnings), "");
    plan_free(&plan);
    yaml_report_free(&report);
}

/* ------------------------------------------------------------------ ways and notes */

static const char ways[] = "version,build,floor_version,java,postgresql,note,note_url\n"
                           "8.6.0,,7.19.0,,,Data Center only,https://example.org/8.6\n"
                           "9.0.1,,8.0.0,,,,\n"
                           "9.2.13,9112,7.19.0,17,12-16,,\n";

/* Against a catalogue; 0: the plan, else the report. */
static int on_the_way(const char *csv, const char *notes, Confleet__Plan **ret, char out[8192])
{
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    CLEANUP(free_mem)
    char *text = text_printf("name: spring\nrelease: 9.2.13\n%sstages:\n  - name: test\n    "
                             "select: { env: test }\n",
                             notes);
    struct planfile file = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    CHECK_OK(catalogue_parse("c", csv, strlen(csv), &catalogue, &err), err);
    int result = planfile_load_text("p.yaml", text, &file, &report, &err);
    if (result == 0) {
        struct resolve_in in = fleet_in(&file);
        in.catalogue = catalogue;
        result = plan_resolve(&in, ret, &report, &err);
    }
    (void)snprintf(out, 8192, "%s", str_text(&report.text));
    yaml_report_free(&report);
    planfile_free(&file);
    return result;
}

TEST(notes_of_each_feature_version_on_the_way_must_have_been_read)
{
    CLEANUP(plan_free) Confleet__Plan *plan = NULL;
    char text[8192];
    CHECK_INT(on_the_way(ways, "", &plan, text), -FAIL_USAGE);
    CHECK_HAS(text, "p.yaml:2:10: error: notes_read: site \"wiki-test\"");
    CHECK_HAS(text, "8.6 (Data Center only, https://example.org/8.6); 9.0; 9.2");
    CHECK_HAS(text, "notes_read: [\"8.6\", \"9.0\", \"9.2\"]");
    CHECK_INT(on_the_way(ways, "notes_read: [\"8.6\", \"9.2\"]\n", &plan, text), -FAIL_USAGE);
    CHECK_HAS(text, "p.yaml:3:14: error: notes_read: site \"wiki-test\"");
    CHECK_HAS(text, "have read: 9.0. Read");
    CHECK_HAS(text, "notes_read: [\"8.6\", \"9.2\", \"9.0\"]");
    CHECK_INT(on_the_way(ways, "notes_read: 9.2.13\n", &plan, text), -FAIL_USAGE);
    CHECK_HAS(text, "\"9.2.13\" is no feature version such as 9.0");
    CHECK_INT(on_the_way(ways, "notes_read: [\"8.6\", \"9.0\", \"9.2\"]\n", &plan, text), 0);
    CHECK_INT(plan->n_notes_read, 3);
    CHECK_STR(plan->notes_read[0], "8.6");
    /* What the catalogue says is signed. */
    CHECK_STR(plan->release->floor_version, "7.19.0");
    CHECK_INT(plan->release->n_java, 1);
    CHECK_STR(plan->release->platforms[0]->value, "12-16");
}

TEST(more_than_one_hop_is_refused_with_the_plans_to_write)
{
    CLEANUP(plan_free) Confleet__Plan *plan = NULL;
    char text[8192];
    CHECK_INT(on_the_way("version,floor_version\n8.9.1,8.0.0\n9.2.13,8.9.0\n",
                         "notes_read: [\"8.9\", \"9.2\"]\n", &plan, text),
              -FAIL_USAGE);
    CHECK_HAS(text,
              "is on 8.5.4, and 9.2.13 cannot be reached from there in one hop; a plan is one "
              "hop: write 2 of them, to 8.9.1, then 9.2.13");
    CHECK_INT(
        on_the_way("version,floor_version\n9.2.13,8.9.0\n", "notes_read: \"9.2\"\n", &plan, text),
        -FAIL_USAGE);
    CHECK_HAS(text, "9.2.13 wants at least 8.9.0, and no release is known");
}
