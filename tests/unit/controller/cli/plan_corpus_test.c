#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "fleet.h"
#include "harness/test.h"
#include <dirent.h>

#define FOLDER "tests/unit/controller/cli/plans"

static void stage_text(const Confleet__PlanStage *stage, struct str *to)
{
    char opens[CLOCK_TEXT_MAX];
    str_addf(to, "stage %s (approvals %u", stage->name, stage->needs_approvals);
    if (stage->n_windows > 0)
        str_addf(to, ", %s: %zu from %s", stage->window_rule, stage->n_windows,
                 clock_text(stage->windows[0]->from_ms, opens));
    str_add(to, "):");
    for (size_t s = 0; s < stage->n_sites; s++)
        str_addf(to, " %s", stage->sites[s]->name);
    str_add(to, "\n");
}

/* What a person sees for this plan file: every complaint, or the stages of the plan. */
static void play(const char *name, const char *text, struct str *to)
{
    struct planfile file = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    Confleet__Plan *plan = NULL;
    int result = planfile_load_text(name, text, &file, &report, &err);
    CLEANUP(str_free) struct str warnings = { 0 };
    if (result == -FAIL_USAGE && file.whole)
        err_clear(&err);
    if (file.whole) {
        struct resolve_in in = fleet_in(&file);
        in.warnings = &warnings;
        result = plan_resolve(&in, &plan, &report, &err);
    }
    CHECK_INT(result, report.errors > 0 ? -FAIL_USAGE : 0);
    str_add(to, str_text(&report.text));
    str_add(to, str_text(&warnings));
    if (result != 0)
        str_addf(to, "%s\n", err.text);
    for (size_t i = 0; plan && i < plan->n_stages; i++)
        stage_text(plan->stages[i], to);
    for (size_t i = 0; plan && i < plan->n_excluded; i++)
        str_addf(to, "not %s: %s\n", plan->excluded[i]->site, plan->excluded[i]->reason);
    plan_free(&plan);
    yaml_report_free(&report);
    planfile_free(&file);
}

static void case_run(const char *name)
{
    struct err err = { 0 };
    CLEANUP(str_free) struct str text = { 0 }, want = { 0 }, got = { 0 };
    CLEANUP(free_mem) char *path = text_printf(FOLDER "/%s", name);
    CLEANUP(free_mem)
    char *want_path = text_printf(FOLDER "/%.*s.expected", (int)(strlen(name) - 5), name);
    CHECK_OK(fs_read(path, 65536, &text, &err), err);
    play(name, str_text(&text), &got);
    if (getenv("CONFLEET_UPDATE"))
        CHECK_OK(fs_write(want_path, got.s, got.len, 0644, &err), err);
    CHECK_OK(fs_read(want_path, 65536, &want, &err), err);
    if (strcmp(str_text(&want), str_text(&got)) != 0)
        print_error("%s:\n", path);
    CHECK_STR(str_text(&got), str_text(&want));
}

TEST(every_plan_file_of_the_folder_is_answered_as_expected)
{
    DIR *dir = opendir(FOLDER);
    size_t count = 0;
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t len = strlen(entry->d_name);
        if (len < 6 || strcmp(entry->d_name + len - 5, ".yaml") != 0)
            continue;
        case_run(entry->d_name);
        count++;
    }
    CHECK_INT(closedir(dir), 0);
    CHECK(count >= 60);
}
