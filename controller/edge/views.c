#include "controller/edge/views.h"

#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include "controller/edge/views_inside.h"
#include <string.h>

#define BACKUPS_SHOWN  50
#define PASSAGES_SHOWN 5

static int view_installation(struct ask *ask, const char *agent,
                             const Confleet__Installation *installation,
                             Confleet__InstallationView **ret, struct err *err)
{
    Confleet__InstallationView *view =
        POOL_MESSAGE(ask->pool, Confleet__InstallationView, confleet__installation_view__init);
    const char *site = "";
    int result = site_of_node(ask->store, ask->pool, agent, installation->id, &site, err);
    if (result != 0)
        return result;
    view->installation = (Confleet__Installation *)(uintptr_t)installation;
    view->site = field(site);
    view->agent = field(agent);
    *ret = view;
    return 0;
}

int view_agent(struct ask *ask, const struct agent *agent, Confleet__AgentView **ret,
               struct err *err)
{
    Confleet__AgentView *view =
        POOL_MESSAGE(ask->pool, Confleet__AgentView, confleet__agent_view__init);
    const Confleet__Survey *survey = NULL;
    uint8_t key[KEY_SIZE];
    char at[CLOCK_TEXT_MAX];
    int result = pool_survey(ask->pool, agent->survey, agent->survey_len, &survey, err);
    for (size_t i = 0; result == 0 && survey && i < survey->n_installations; i++) {
        Confleet__InstallationView *installation = NULL;
        result = view_installation(ask, agent->name, survey->installations[i], &installation, err);
        if (result == 0)
            pool_push(ask->pool, &view->installations, &view->n_installations, installation);
    }
    if (result != 0)
        return result;
    if (!hex_parse(agent->curve_public, key, KEY_SIZE))
        return err_set(err, FAIL_CORRUPT, "the key of agent %s in the store is no key",
                       agent->name);
    view->fingerprint = pool_alloc(ask->pool, FINGERPRINT_MAX);
    keys_fingerprint(key, view->fingerprint);
    view->name = field(agent->name);
    view->state = field(agent->outdated[0] != '\0' && agent->standing == STANDING_ACCEPTED
                            ? "store-older"
                            : standing_name(agent->standing));
    view->reason = field(agent->outdated);
    view->online = agent->standing != STANDING_REVOKED && daemon_online(ask->daemon, agent->name);
    view->last_seen_ms = daemon_seen_ms(ask->daemon, agent->name, agent->seen_ms);
    view->version = field(agent->version);
    view->host = field(agent->host);
    view->os = field(agent->os);
    view->since = pool_text(ask->pool, clock_text(agent->created_ms, at));
    view->surveyed_ms = agent->survey_ms;
    *ret = view;
    return 0;
}

int view_backups(struct ask *ask, const char *site, const char *rollout,
                 Confleet__BackupRecord ***ret, size_t *ret_count, struct err *err)
{
    const Confleet__Event **events = NULL;
    size_t count = 0;
    int result =
        backups_list(ask->store, ask->pool, site, rollout, BACKUPS_SHOWN, &events, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        pool_push(ask->pool, ret, ret_count, events[i]->backup);
    return result;
}

/* Findings of a kept CheckEvent; short: without evidence and remedy, so that a list fits in a
 * frame. */
int view_findings(struct ask *ask, const uint8_t *bytes, size_t len, bool full,
                  Confleet__Finding ***ret, size_t *ret_count, struct err *err)
{
    const Confleet__Event *event = NULL;
    int result = pool_event(ask->pool, bytes, len, &event, err);
    if (result != 0 || !event || event->what_case != CONFLEET__EVENT__WHAT_CHECK)
        return result;
    for (size_t i = 0; i < event->check->n_findings; i++) {
        Confleet__Finding *finding = event->check->findings[i];
        if (!full)
            finding->evidence = finding->remedy = field("");
        pool_push(ask->pool, ret, ret_count, finding);
    }
    return 0;
}

struct passages {
    struct pool *pool;
    Confleet__PassageView ***ret;
    size_t *ret_count;
};

struct busy {
    struct pool *pool;
    const char *rollout, *state, *reason;
};

static int busy_row(void *arg, const struct db_row *row, struct err *err)
{
    struct busy *busy = arg;
    (void)err;
    busy->rollout = pool_text(busy->pool, db_text(row, 0));
    busy->state = pool_text(busy->pool, db_text(row, 1));
    busy->reason = pool_text(busy->pool, db_text(row, 2));
    return 0;
}

static int site_state_words(struct ask *ask, Confleet__SiteView *view, struct err *err)
{
    struct busy busy = { ask->pool, "", "", "" };
    int result =
        db_each(ask->store->db, busy_row, &busy, err,
                "SELECT r.id, s.state, s.reason FROM rollout_sites s JOIN rollouts r ON "
                "r.id=s.rollout WHERE s.site=$1"
                " AND (r.state='running' OR s.state='held') ORDER BY r.started_ms DESC LIMIT 1",
                "t", view->name);
    CLEANUP(free_mem) char *outdated = NULL;
    if (result == 0)
        result = db_get_text(ask->store->db, &outdated, err,
                             "SELECT max(a.outdated) FROM agents a JOIN nodes n ON n.agent=a.name "
                             "WHERE n.site=$1",
                             "t", view->name);
    bool blocked = false, unknown = false, warned = false;
    for (size_t i = 0; i < view->n_findings; i++) {
        const Confleet__Finding *finding = view->findings[i];
        if (finding->waived_until_ms > ask->store->now_ms)
            continue;
        blocked |= finding->severity == CONFLEET__SEVERITY__BLOCK;
        unknown |= finding->severity == CONFLEET__SEVERITY__UNKNOWN;
        warned |= finding->severity == CONFLEET__SEVERITY__WARN;
        if (finding->severity == CONFLEET__SEVERITY__BLOCK && view->reason[0] == '\0')
            view->reason = finding->title;
    }
    if (busy.rollout[0] != '\0') {
        view->state = field(busy.state);
        view->reason = field(busy.reason);
    } else if (view->n_nodes == 0) {
        view->state = field("no-node");
        view->reason =
            field("no installation belongs to it (confleet site set SITE --node HOST:INSTALL)");
    } else if (outdated && outdated[0] != '\0') {
        view->state = field("store-older");
        view->reason = pool_text(ask->pool, outdated);
    } else if (view->n_nodes > 1) {
        view->state = field("blocked");
        view->reason = field("it has more than one node; clusters are not supported yet; one that is not its own "
                  "any more is taken away by: confleet site set SITE --no-node HOST:INSTALL");
    } else if (view->checked_ms == 0) {
        view->state = field("unchecked");
    } else {
        view->state = field(blocked ? "blocked" : warned ? "warn" : unknown ? "unknown" : "ready");
    }
    return result;
}

static int site_node_views(struct ask *ask, Confleet__SiteView *view, struct err *err)
{
    struct node **nodes = NULL;
    size_t count = 0;
    int result = site_nodes(ask->store, ask->pool, view->name, &nodes, &count, err);
    view->online = result == 0 && count > 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        const Confleet__Installation *found = NULL;
        Confleet__InstallationView *node = NULL;
        result = installation_find(ask->store, ask->pool, nodes[i]->agent, nodes[i]->installation,
                                   &found, err);
        if (result == 0 && !found) { /* its agent does not see it any more */
            Confleet__Installation *gone =
                POOL_MESSAGE(ask->pool, Confleet__Installation, confleet__installation__init);
            gone->id = field(nodes[i]->installation);
            gone->state = field("unknown: its agent does not report it");
            found = gone;
        }
        if (result == 0)
            result = view_installation(ask, nodes[i]->agent, found, &node, err);
        if (result != 0)
            return result;
        pool_push(ask->pool, &view->nodes, &view->n_nodes, node);
        view->online = view->online && daemon_online(ask->daemon, nodes[i]->agent);
        view->version = found->version;
        view->build = found->app_build;
    }
    return result;
}

static int passage_row(void *arg, const struct db_row *row, struct err *err)
{
    struct passages *list = arg;
    Confleet__PassageView *view =
        POOL_MESSAGE(list->pool, Confleet__PassageView, confleet__passage_view__init);
    (void)err;
    view->rollout = pool_text(list->pool, db_text(row, 0));
    view->name = pool_text(list->pool, db_text(row, 1));
    view->stage = pool_text(list->pool, db_text(row, 2));
    view->state = pool_text(list->pool, db_text(row, 3));
    view->reason = pool_text(list->pool, db_text(row, 4));
    view->from_version = pool_text(list->pool, db_text(row, 5));
    view->version = pool_text(list->pool, db_text(row, 6));
    view->started_ms = db_i64(row, 7);
    view->finished_ms = db_i64(row, 8);
    view->outage_ms = db_i64(row, 9);
    view->attempt = (uint32_t)db_i64(row, 10);
    view->safe_next = pool_text(list->pool, db_text(row, 11));
    pool_push(list->pool, list->ret, list->ret_count, view);
    return 0;
}

static int site_passages(struct ask *ask, Confleet__SiteView *view, struct err *err)
{
    struct passages list = { ask->pool, &view->passages, &view->n_passages };
    return db_each(ask->store->db, passage_row, &list, err,
                   "SELECT r.id, r.name, s.stage_name, s.state, s.reason, s.from_version, s.version,"
                   " s.started_ms, s.finished_ms, s.outage_ms, s.attempt, CASE WHEN s.state='held' THEN "
                   "s.safe_next ELSE '' END FROM rollout_sites s JOIN "
                   "rollouts r ON r.id=s.rollout WHERE s.site=$1 ORDER BY r.started_ms DESC, "
                   "r.serial DESC LIMIT $2",
                   "ti", view->name, (int64_t)PASSAGES_SHOWN);
}

int view_site(struct ask *ask, const struct site *site, bool full, Confleet__SiteView **ret,
              struct err *err)
{
    Confleet__SiteView *view =
        POOL_MESSAGE(ask->pool, Confleet__SiteView, confleet__site_view__init);
    struct label **labels = NULL;
    const char *covered_by = "";
    size_t count = 0;
    view->name = field(site->name);
    view->checked_ms = site->checked_ms;
    int result = site_labels(ask->store, ask->pool, site->name, &labels, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        Confleet__KeyValue *label =
            POOL_MESSAGE(ask->pool, Confleet__KeyValue, confleet__key_value__init);
        label->key = field(labels[i]->key);
        label->value = field(labels[i]->value);
        pool_push(ask->pool, &view->labels, &view->n_labels, label);
    }
    if (result == 0)
        result = site_covers(ask->store, ask->pool, site->name, &view->covers, &view->n_covers, err);
    if (result == 0)
        result = site_covered_by(ask->store, ask->pool, site->name, &covered_by, err);
    view->covered_by = field(covered_by);
    if (result == 0)
        result = site_node_views(ask, view, err);
    if (result == 0)
        result = view_findings(ask, site->check, site->check_len, full, &view->findings,
                               &view->n_findings, err);
    if (result == 0 && full)
        result = view_backups(ask, site->name, "", &view->backups, &view->n_backups, err);
    if (result == 0 && full)
        result = view_holds(ask, site->name, &view->holds, &view->n_holds, err);
    if (result == 0 && full)
        result = site_passages(ask, view, err);
    if (result == 0)
        result = view_waivers(ask, site->name, &view->waivers, &view->n_waivers, err);
    if (result == 0)
        result = site_state_words(ask, view, err);
    if (result == 0)
        *ret = view;
    return result;
}
