#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "controller/edge/store_peers.h"
#include "controller/edge/views.h"
#include <string.h>

int ask_site_list(struct ask *ask, struct err *err)
{
    struct site **sites = NULL;
    struct page page = { 0 };
    size_t count = 0;
    int result = sites_list(ask->store, ask->pool, ask->request->after, PAGE_ROWS_MAX, &sites,
                            &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        Confleet__SiteView *view = NULL;
        result = view_site(ask, sites[i], false, &view, err);
        if (result != 0)
            return result;
        if (!page_takes(ask, &page, confleet__site_view__get_packed_size(view)))
            break;
        pool_push(ask->pool, &ask->reply->sites, &ask->reply->n_sites, view);
    }
    if (page.rows > 0 && (page.rows < count || count == PAGE_ROWS_MAX))
        ask->reply->next = field(sites[page.rows - 1]->name);
    return result;
}

static int site_reply(struct ask *ask, const char *name, struct err *err)
{
    struct site *site = NULL;
    Confleet__SiteView *view = NULL;
    int result = site_find(ask->store, ask->pool, name, &site, err);
    if (result == 0 && !site)
        return err_set(err, FAIL_NOT_FOUND, "no site is called %s (confleet site list)", name);
    if (result == 0)
        result = view_site(ask, site, true, &view, err);
    if (result == 0)
        pool_push(ask->pool, &ask->reply->sites, &ask->reply->n_sites, view);
    return result;
}

int ask_site_show(struct ask *ask, struct err *err)
{
    return site_reply(ask, ask->request->site_show->name, err);
}

int ask_site_set(struct ask *ask, struct err *err)
{
    CLEANUP(str_free) struct str what = { 0 };
    const Confleet__AskSiteSet *set = ask->request->site_set;
    int result = site_set(ask->store, set, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < set->n_labels; i++)
        str_addf(&what, " %s=%s", set->labels[i]->key, set->labels[i]->value);
    if (set->drop)
        str_addf(&what, " no-node=%s:%s", set->drop->agent, set->drop->installation);
    if (set->node)
        str_addf(&what, " node=%s:%s", set->node->agent, set->node->installation);
    if (set->covers[0] != '\0')
        str_addf(&what, " covers=%s", set->covers);
    result =
        audit_add(ask->store, ask->who, "site-set", err, "site %s%s", set->name, str_text(&what));
    return result == 0 ? site_reply(ask, set->name, err) : result;
}

int ask_serial(struct ask *ask, struct err *err)
{
    Confleet__SerialView *view =
        POOL_MESSAGE(ask->pool, Confleet__SerialView, confleet__serial_view__init);
    uint64_t serial = 0;
    int result = store_serial(ask->store, &serial, err);
    view->next = serial + 1;
    view->fleet = ask->store->fleet;
    ask->reply->serial = view;
    return result;
}

#define ROWS_MAX 1000

static uint32_t limit_of(uint32_t asked)
{
    return asked == 0 || asked > ROWS_MAX ? ROWS_MAX : asked;
}

static int log_row(void *arg, const struct db_row *row, struct err *err)
{
    struct ask *ask = arg;
    Confleet__LogView *view = POOL_MESSAGE(ask->pool, Confleet__LogView, confleet__log_view__init);
    (void)err;
    view->seq = (uint64_t)db_i64(row, 0);
    view->at_ms = db_i64(row, 1);
    view->agent = pool_text(ask->pool, db_text(row, 2));
    view->level = (uint32_t)db_i64(row, 3);
    view->text = pool_text(ask->pool, db_text(row, 4));
    pool_push(ask->pool, &ask->reply->logs, &ask->reply->n_logs, view);
    return 0;
}

int ask_logs(struct ask *ask, struct err *err)
{
    const Confleet__AskLogs *logs = ask->request->logs;
    int64_t limit = limit_of(logs->limit);
    struct agent *agent = NULL;
    int result = logs->agent[0] != '\0'
                     ? agent_find(ask->store, ask->pool, logs->agent, &agent, err)
                     : 0;
    if (result != 0)
        return result;
    if (logs->agent[0] != '\0' && !agent)
        return err_set(err, FAIL_NOT_FOUND, "no agent is called %s (confleet agent list)",
                       logs->agent);
    /* Without a place to go on from, the newest are wanted. */
    return db_each(ask->store->db, log_row, ask, err,
                   "SELECT seq, at_ms, agent, level, text FROM (SELECT seq, at_ms, agent, level, "
                   "text FROM logs WHERE"
                   " ($1='' OR agent=$1) AND seq>$2 ORDER BY CASE $2 WHEN 0 THEN -seq ELSE seq END "
                   "LIMIT $3) AS page"
                   " ORDER BY seq",
                   "tii", logs->agent, (int64_t)logs->after, limit);
}

static int audit_row(void *arg, const struct db_row *row, struct err *err)
{
    struct ask *ask = arg;
    Confleet__AuditView *view =
        POOL_MESSAGE(ask->pool, Confleet__AuditView, confleet__audit_view__init);
    (void)err;
    view->seq = (uint64_t)db_i64(row, 0);
    view->at_ms = db_i64(row, 1);
    view->who = pool_text(ask->pool, db_text(row, 2));
    view->what = pool_text(ask->pool, db_text(row, 3));
    view->detail = pool_text(ask->pool, db_text(row, 4));
    view->prev = pool_text(ask->pool, db_text(row, 5));
    view->hash = pool_text(ask->pool, db_text(row, 6));
    pool_push(ask->pool, &ask->reply->audit, &ask->reply->n_audit, view);
    return 0;
}

int ask_audit(struct ask *ask, struct err *err)
{
    const Confleet__AskAudit *audit = ask->request->audit;
    int64_t limit =
        limit_of(audit->limit) < 200 ? limit_of(audit->limit) : 200; /* details may be long */
    return db_each(ask->store->db, audit_row, ask, err,
                   "SELECT seq, at_ms, who, what, detail, prev, hash FROM audit WHERE seq>$1 ORDER "
                   "BY seq LIMIT $2",
                   "ii", (int64_t)audit->after, limit);
}
