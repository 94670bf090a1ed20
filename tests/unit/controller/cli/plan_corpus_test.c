#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "fleet.h"
#include "harness/test.h"
#include <dirent.h>

#define FOLDER "tests/unit/controller/cli/plans"

/* What a person sees for this plan file: every complaint, or the stages of the plan. */
static void play(const char *name, const char *text, struct str *to)
{
    struct planfile file = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    Confleet__Plan *plan = NULL;
    int result = planfile_load_text(name, text, &file, &report, &err);
    if (result == 0) {
        struct resolve_in in = fleet_in(&file);
        result = plan_resolve(&in, &plan, &report, &err);
    }
    CHECK_INT(result, report.errors > 0 ? -FAIL_USAGE : 0);
    str_add(to, str_text(&report.text));
    if (result != 0)
        str_addf(to, "%s\n", err.text);
    for (size_t i = 0; plan && i < plan->n_stages; i++) {
        str_addf(to, "stage %s:", plan->stages[i]->name);
        for (size_t s = 0; s < plan->stages[i]->n_sites; s++)
            str_addf(to, " %s", plan->stages[i]->sites[s]->name);
        str_add(to, "\n");
    }
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
    CHECK(count >= 35);
}
