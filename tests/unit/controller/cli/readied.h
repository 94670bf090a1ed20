/* readied - the answers of a few sites to a check, for the tests of the forms that it is shown in.
 * Everything lives until the program ends. */
#pragma once
#include "confleet/cleanup.h"
#include "controller/cli/readiness.h"
#include "harness/test.h"

#define NOW  1795400000000
#define EVIL "<script>alert(1)</script>"

static Confleet__Finding made_findings[128], *made_lists[16][64];
static Confleet__JobSiteView made_views[16], *made_view_list[16];
static size_t made_count, made_finding_count;

static inline char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static inline void sites_clear(void)
{
    made_count = made_finding_count = 0;
}

static inline Confleet__JobSiteView *site_made(const char *name)
{
    Confleet__JobSiteView *view = made_view_list[made_count] = &made_views[made_count];
    confleet__job_site_view__init(view);
    view->site = text_of(name);
    view->state = text_of("done");
    view->findings = made_lists[made_count++];
    return view;
}

static inline Confleet__Finding *found(Confleet__JobSiteView *view, const char *family,
                                       const char *id, Confleet__Severity severity,
                                       const char *evidence)
{
    Confleet__Finding *finding = &made_findings[made_finding_count++];
    confleet__finding__init(finding);
    finding->family = text_of(family);
    finding->id = text_of(id);
    finding->title = text_of("Title of it");
    finding->severity = severity;
    finding->evidence = text_of(evidence);
    finding->remedy = text_of("Do this.");
    view->findings[view->n_findings++] = finding;
    return finding;
}

static inline void waived(Confleet__Finding *finding, const char *reason)
{
    finding->waived_by = text_of("anna");
    finding->waive_reason = text_of(reason);
    finding->waived_until_ms = NOW + 3600000;
}

static inline void readied(struct readiness *ret)
{
    readiness_make(made_view_list, made_count, "9.2.21", NOW, ret);
}
