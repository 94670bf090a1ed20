#include "confleet/clock.h"
#include "controller/edge/store_checks.h"
#include "controller/edge/views_inside.h"
#include <string.h>

/* What it takes to say what changed: no texts but the title of what may be gone. */
static void before_shorten(Confleet__CheckView *before)
{
    for (size_t i = 0; i < before->n_findings; i++)
        before->findings[i]->evidence = before->findings[i]->waive_reason = field("");
}

static int site_details(struct ask *ask, const struct job *job, struct job_site *site,
                        Confleet__JobSiteView *v, struct err *err)
{
    const Confleet__Event *backup = NULL;
    int result = job_site_events(ask->store, ask->pool, job->id, site, err);
    if (result == 0)
        result = view_findings(ask, site->check, site->check_len, true, &v->findings,
                               &v->n_findings, err);
    if (result == 0)
        result = pool_event(ask->pool, site->backup, site->backup_len, &backup, err);
    if (result == 0 && v->n_findings > 0)
        result = check_before(ask->store, ask->pool, site->site, job->id, &v->before, err);
    if (result != 0)
        return result;
    if (v->before)
        before_shorten(v->before);
    if (backup && backup->what_case == CONFLEET__EVENT__WHAT_BACKUP)
        v->backup = backup->backup;
    return 0;
}

static bool is_open(const struct job_site *site)
{
    return strcmp(site->state, "ordered") == 0 || strcmp(site->state, "running") == 0;
}

static int job_site_view(struct ask *ask, const struct job *job, struct job_site *site, bool brief,
                         Confleet__JobSiteView **ret, struct err *err)
{
    Confleet__JobSiteView *v =
        POOL_MESSAGE(ask->pool, Confleet__JobSiteView, confleet__job_site_view__init);
    const struct progress *progress = progress_find(ask->daemon->progress, job->id, site->site);
    v->site = field(site->site);
    v->state = field(site->state);
    v->message = field(site->message);
    v->agent = field(site->agent);
    if (strcmp(site->state, "running") == 0 && progress) {
        v->done = progress->done;
        v->total = progress->total;
        v->text = field(progress->text);
    }
    if (is_open(site) && !daemon_online(ask->daemon, site->agent)) {
        char words[128];
        (void)snprintf(words, sizeof words, "waiting for agent %s, which is not connected",
                       site->agent);
        v->text = pool_text(ask->pool, words);
    }
    *ret = v;
    return brief ? 0 : site_details(ask, job, site, v, err);
}

static bool wanted(const Confleet__AskJob *what, const struct job_site *site)
{
    for (size_t i = 0; i < what->n_sites; i++)
        if (strcmp(what->sites[i], site->site) == 0)
            return true;
    return what->n_sites == 0;
}

static int page_add(struct ask *ask, const struct job *job, const Confleet__AskJob *what,
                    struct job_site **sites, size_t count, Confleet__JobView *view, struct err *err)
{
    struct page page = { 0 };
    for (size_t i = 0; i < count; i++) {
        Confleet__JobSiteView *site = NULL;
        if (!wanted(what, sites[i]) || strcmp(sites[i]->site, ask->request->after) <= 0)
            continue;
        int result = job_site_view(ask, job, sites[i], what->brief, &site, err);
        if (result != 0)
            return result;
        if (!page_takes(ask, &page, confleet__job_site_view__get_packed_size(site))) {
            ask->reply->next = view->sites[view->n_sites - 1]->site;
            return 0;
        }
        pool_push(ask->pool, &view->sites, &view->n_sites, site);
    }
    return 0;
}

int view_job(struct ask *ask, const struct job *job, const Confleet__AskJob *what,
             Confleet__JobView **ret, struct err *err)
{
    Confleet__JobView *view = POOL_MESSAGE(ask->pool, Confleet__JobView, confleet__job_view__init);
    struct job_site **sites = NULL;
    size_t count = 0, bad = 0;
    int result = job_sites(ask->store, ask->pool, job->id, &sites, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        view->open += is_open(sites[i]);
        bad += !is_open(sites[i]) && strcmp(sites[i]->state, "done") != 0;
    }
    if (result == 0)
        result = page_add(ask, job, what, sites, count, view, err);
    if (result != 0)
        return result;
    view->id = field(job->id);
    view->kind = field(job->kind);
    view->state = field(view->open > 0 ? "running" : bad > 0 ? "failed" : "done");
    view->site_count = (uint32_t)count;
    view->created_ms = job->created_ms;
    view->deadline_ms = job->deadline_ms;
    view->target = field(job->target);
    *ret = view;
    return 0;
}
