#include "agent/worker/checks/check.h"
#include "confleet/cleanup.h"
#include <stdlib.h>
#include <string.h>

const struct check_family check_families[] = {
    { "site", "Site", checks_site },
    { "path", "Version and path", checks_path },
    { "licence", "Licence", checks_licence },
    { "platform", "Platform", checks_platform },
    { "database", "Database", checks_database },
    { "apps", "Apps", checks_apps },
    { "custom", "Customisations", checks_custom },
    { "operations", "Operations", checks_operations },
    { "backup", "Backup", checks_backup },
    { NULL, NULL, NULL },
};

void verdict_set(struct verdict *verdict, Confleet__Severity severity, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(verdict->evidence, sizeof verdict->evidence, format, ap);
    va_end(ap);
    size_t len = strlen(verdict->evidence); /* notes are lines */
    while (len > 0 && strchr(" \n", verdict->evidence[len - 1]))
        verdict->evidence[--len] = 0;
    verdict->severity = severity;
}

const struct check_def *check_find(const char *id)
{
    for (const struct check_family *family = check_families; family->name; family++)
        for (const struct check_def *check = family->checks; check->id; check++)
            if (strcmp(check->id, id) == 0)
                return check;
    return NULL;
}

static const Confleet__Waiver *waiver_of(const struct job *job, const char *id)
{
    const Confleet__WorkerOrder *order = job_order(job);
    for (size_t i = 0; i < order->n_waivers; i++)
        if (strcmp(order->waivers[i]->check, id) == 0)
            return order->waivers[i];
    return NULL;
}

static void tell(struct job *job, const struct check_family *family, const struct check_def *check,
                 const struct facts *facts)
{
    struct verdict verdict = { .severity = CONFLEET__SEVERITY__UNKNOWN };
    check->judge(facts, &verdict);
    bool fine =
        verdict.severity == CONFLEET__SEVERITY__OK || verdict.severity == CONFLEET__SEVERITY__INFO;
    /* The table's remedy mends what was found; what was not found out has the judge's own, if any.
     */
    bool unknown = verdict.severity == CONFLEET__SEVERITY__UNKNOWN;
    const char *remedy = verdict.remedy ? verdict.remedy : unknown ? "" : check->remedy;
    Confleet__Finding finding = CONFLEET__FINDING__INIT;
    const Confleet__Waiver *waiver = fine ? NULL : waiver_of(job, check->id);
    finding.id = (char *)(uintptr_t)check->id;
    finding.severity = verdict.severity;
    finding.title = (char *)(uintptr_t)check->title;
    finding.evidence = verdict.evidence;
    finding.remedy = (char *)(uintptr_t)(fine ? "" : remedy);
    finding.family = (char *)(uintptr_t)family->name;
    finding.rule = (char *)(uintptr_t)(check->rule ? check->rule : "");
    finding.at_ms = facts->at_ms;
    if (waiver) {
        finding.waived_by = waiver->by;
        finding.waive_reason = waiver->reason;
        finding.waived_until_ms = waiver->until_ms;
    }
    job_found(job, &finding);
}

int check_job(struct job *job, struct err *err)
{
    struct facts *facts = mem_zero(1, sizeof *facts);
    int result = facts_gather(job, facts, err);
    for (const struct check_family *family = check_families; result == 0 && family->name; family++)
        for (const struct check_def *check = family->checks; check->id; check++)
            tell(job, family, check, facts);
    if (result == 0)
        facts_free(facts);
    if (!facts->stuck) /* else a gatherer that was left behind still reads it */
        free(facts);
    return result;
}
