#include "controller/edge/store_sites.h"

#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "controller/edge/store_peers.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

struct list {
    struct pool *pool;
    void **items;
    size_t count;
};

static int site_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct site *site = pool_alloc(list->pool, sizeof *site);
    (void)err;
    site->name = pool_text(list->pool, db_text(row, 0));
    const void *bytes = db_bytes(row, 1, &site->check_len);
    site->check = pool_copy(list->pool, bytes, site->check_len);
    site->checked_ms = db_i64(row, 2);
    pool_push(list->pool, &list->items, &list->count, site);
    return 0;
}

static int label_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct label *label = pool_alloc(list->pool, sizeof *label);
    (void)err;
    label->key = pool_text(list->pool, db_text(row, 0));
    label->value = pool_text(list->pool, db_text(row, 1));
    pool_push(list->pool, &list->items, &list->count, label);
    return 0;
}

static int node_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    struct node *node = pool_alloc(list->pool, sizeof *node);
    (void)err;
    node->agent = pool_text(list->pool, db_text(row, 0));
    node->installation = pool_text(list->pool, db_text(row, 1));
    node->site = pool_text(list->pool, db_text(row, 2));
    pool_push(list->pool, &list->items, &list->count, node);
    return 0;
}

int site_find(struct store *store, struct pool *pool, const char *name, struct site **ret,
              struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result =
        db_each(store->db, site_row, &list, err,
                "SELECT name, check_event, checked_ms FROM sites WHERE name=$1", "t", name);
    if (result == 0)
        *ret = list.count > 0 ? list.items[0] : NULL;
    return result;
}

int sites_list(struct store *store, struct pool *pool, const char *after, int64_t limit,
               struct site ***ret, size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, site_row, &list, err,
                         "SELECT name, check_event, checked_ms FROM sites WHERE name>$1 "
                         "ORDER BY name LIMIT $2",
                         "ti", after, limit);
    if (result != 0)
        return result;
    *ret = (struct site **)list.items;
    *ret_count = list.count;
    return 0;
}

int site_labels(struct store *store, struct pool *pool, const char *site, struct label ***ret,
                size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, label_row, &list, err,
                         "SELECT key, value FROM labels WHERE site=$1 ORDER BY key", "t", site);
    if (result != 0)
        return result;
    *ret = (struct label **)list.items;
    *ret_count = list.count;
    return 0;
}

int site_nodes(struct store *store, struct pool *pool, const char *site, struct node ***ret,
               size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(
        store->db, node_row, &list, err,
        "SELECT agent, installation, site FROM nodes WHERE site=$1 ORDER BY agent, installation",
        "t", site);
    if (result != 0)
        return result;
    *ret = (struct node **)list.items;
    *ret_count = list.count;
    return 0;
}

static int text_in_pool(struct pool *pool, char *owned, const char **ret)
{
    *ret = owned ? pool_text(pool, owned) : "";
    free(owned);
    return 0;
}

int site_of_node(struct store *store, struct pool *pool, const char *agent,
                 const char *installation, const char **ret, struct err *err)
{
    char *site = NULL;
    int result = db_get_text(store->db, &site, err,
                             "SELECT site FROM nodes WHERE agent=$1 AND installation=$2", "tt",
                             agent, installation);
    return result != 0 ? result : text_in_pool(pool, site, ret);
}

int site_covered_by(struct store *store, struct pool *pool, const char *site, const char **ret,
                    struct err *err)
{
    char *by = NULL;
    int result = db_get_text(store->db, &by, err, "SELECT covered_by FROM coverage WHERE site=$1",
                             "t", site);
    return result != 0 ? result : text_in_pool(pool, by, ret);
}

static int name_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    (void)err;
    pool_push(list->pool, &list->items, &list->count, pool_text(list->pool, db_text(row, 0)));
    return 0;
}

int site_covers(struct store *store, struct pool *pool, const char *site, char ***ret,
                size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, name_row, &list, err,
                         "SELECT site FROM coverage WHERE covered_by=$1 ORDER BY site", "t", site);
    if (result != 0)
        return result;
    *ret = (char **)list.items;
    *ret_count = list.count;
    return 0;
}

int site_check_set(struct store *store, const char *site, const Confleet__Event *event,
                   struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&event->base, &bytes);
    return db_run(store->db, err, "UPDATE sites SET check_event=$2, checked_ms=$3 WHERE name=$1",
                  "tbi", site, bytes.s, bytes.len, store->now_ms);
}

int pool_survey(struct pool *pool, const uint8_t *bytes, size_t len, const Confleet__Survey **ret,
                struct err *err)
{
    Confleet__Survey *survey = NULL;
    int result = len == 0 ? 0 : wire_decode_survey(pool_arena(pool), bytes, len, &survey, err);
    if (result == 0)
        *ret = survey;
    return result;
}

int pool_event(struct pool *pool, const void *bytes, size_t len, const Confleet__Event **ret,
               struct err *err)
{
    Confleet__Event *event = NULL;
    int result = len == 0 ? 0 : wire_decode_event(pool_arena(pool), bytes, len, &event, err);
    if (result == 0)
        *ret = event;
    return result;
}

int installation_find(struct store *store, struct pool *pool, const char *agent_name,
                      const char *id, const Confleet__Installation **ret, struct err *err)
{
    struct agent *agent = NULL;
    const Confleet__Survey *survey = NULL;
    const Confleet__Installation *found = NULL;
    int result = agent_find(store, pool, agent_name, &agent, err);
    if (result == 0 && agent)
        result = pool_survey(pool, agent->survey, agent->survey_len, &survey, err);
    for (size_t i = 0; result == 0 && survey && i < survey->n_installations; i++)
        if (strcmp(survey->installations[i]->id, id) == 0)
            found = survey->installations[i];
    if (result == 0)
        *ret = found;
    return result;
}

static int label_set(struct store *store, const char *site, const Confleet__KeyValue *label,
                     struct err *err)
{
    int64_t count = 0;
    if (!text_is_name(label->key))
        return err_set(err, FAIL_USAGE,
                       "'%s' is no label: small letters, digits, dot, dash, underscore",
                       label->key);
    if (strlen(label->value) > LABEL_VALUE_MAX)
        return err_set(err, FAIL_LIMIT, "label %s: more than %d bytes", label->key,
                       LABEL_VALUE_MAX);
    if (label->value[0] == '\0')
        return db_run(store->db, err, "DELETE FROM labels WHERE site=$1 AND key=$2", "tt", site,
                      label->key);
    int result = db_run(store->db, err,
                        "INSERT INTO labels(site, key, value) VALUES($1, $2, $3) ON CONFLICT(site, "
                        "key) DO UPDATE SET"
                        " value=excluded.value",
                        "ttt", site, label->key, label->value);
    if (result == 0)
        result = db_get_i64(store->db, &count, NULL, err,
                            "SELECT count(*) FROM labels WHERE site=$1", "t", site);
    if (result == 0 && count > SITE_LABELS_MAX)
        return err_set(err, FAIL_LIMIT, "site %s: more than %d labels", site, SITE_LABELS_MAX);
    return result;
}

static int node_check(struct store *store, struct pool *pool, const char *site,
                      const Confleet__PlanNode *node, struct err *err)
{
    struct agent *agent = NULL;
    const Confleet__Installation *installation = NULL;
    const char *owner = "";
    int result = agent_find(store, pool, node->agent, &agent, err);
    if (result == 0 && (!agent || agent->standing == STANDING_REVOKED))
        return err_set(err, FAIL_NOT_FOUND, "no agent is called %s (confleet agent list)",
                       node->agent);
    if (result == 0 && agent->standing != STANDING_ACCEPTED)
        return err_set(err, FAIL_DENIED,
                       "agent %s is %s: accept it first (confleet agent accept %s)", node->agent,
                       standing_name(agent->standing), node->agent);
    if (result == 0)
        result =
            installation_find(store, pool, node->agent, node->installation, &installation, err);
    if (result == 0 && !installation)
        return err_set(err, FAIL_NOT_FOUND,
                       "agent %s reports no installation %s (confleet agent show %s)", node->agent,
                       node->installation, node->agent);
    if (result == 0)
        result = site_of_node(store, pool, node->agent, node->installation, &owner, err);
    if (result == 0 && owner[0] != '\0' && strcmp(owner, site) != 0)
        return err_set(err, FAIL_EXISTS,
                       "%s:%s belongs to site %s: an installation belongs to one site at most",
                       node->agent, node->installation, owner);
    return result;
}

static int node_set(struct store *store, const char *site, const Confleet__PlanNode *node,
                    struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    int result = node_check(store, &pool, site, node, err);
    if (result != 0)
        return result;
    return db_run(store->db, err,
                  "INSERT INTO nodes(agent, installation, site) VALUES($1, $2, $3) ON "
                  "CONFLICT(agent, installation)"
                  " DO NOTHING",
                  "ttt", node->agent, node->installation, site);
}

/* Its agent may be gone for good: nothing is asked of it. */
static int node_drop(struct store *store, const char *site, const Confleet__PlanNode *node,
                     struct err *err)
{
    int result =
        db_run(store->db, err, "DELETE FROM nodes WHERE agent=$1 AND installation=$2 AND site=$3",
               "ttt", node->agent, node->installation, site);
    if (result == 0 && db_changes(store->db) == 0)
        return err_set(err, FAIL_NOT_FOUND, "site %s has no node %s:%s (confleet site show %s)",
                       site, node->agent, node->installation, site);
    return result;
}

static int covers_set(struct store *store, const char *site, const char *covers, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct site *other = NULL;
    if (strcmp(site, covers) == 0)
        return err_set(err, FAIL_USAGE, "site %s cannot stand for itself", site);
    int result = site_find(store, &pool, covers, &other, err);
    if (result == 0 && !other)
        return err_set(err, FAIL_NOT_FOUND, "no site is called %s (confleet site list)", covers);
    return result != 0 ? result
                       : db_run(store->db, err,
                                "INSERT INTO coverage(site, covered_by) VALUES($1, $2) ON "
                                "CONFLICT(site) DO UPDATE SET covered_by=excluded.covered_by",
                                "tt", covers, site);
}

static int site_make(struct store *store, const char *name, struct err *err)
{
    int64_t count = 0;
    int result = db_run(store->db, err,
                        "INSERT INTO sites(name, created_ms, check_event, checked_ms) "
                        "VALUES($1, $2, $3, 0)"
                        " ON CONFLICT(name) DO NOTHING",
                        "tib", name, store->now_ms, "", (size_t)0);
    if (result != 0 || db_changes(store->db) == 0)
        return result;
    result = db_get_i64(store->db, &count, NULL, err, "SELECT count(*) FROM sites", "");
    if (result == 0 && count > SITES_MAX)
        return err_set(err, FAIL_LIMIT,
                       "there are %d sites, and no more fit: a plan or a check names at most so "
                       "many. Run a second controller for the rest",
                       SITES_MAX);
    return result;
}

static int site_is_free(struct store *store, const char *name, struct err *err)
{
    CLEANUP(free_mem) char *rollout = NULL;
    int result = db_get_text(
        store->db, &rollout, err,
        "SELECT r.id FROM rollouts r JOIN rollout_sites s ON s.rollout=r.id WHERE s.site=$1 AND"
        " r.state='running' LIMIT 1",
        "t", name);
    if (result == 0 && rollout)
        return err_set(err, FAIL_BUSY,
                       "site %s is in rollout %s, which runs: its nodes cannot change now", name,
                       rollout);
    return result;
}

int site_set(struct store *store, const Confleet__AskSiteSet *ask, struct err *err)
{
    if (!text_is_name(ask->name))
        return err_set(err, FAIL_USAGE,
                       "'%s' is no name of a site: small letters, digits, dot, dash, underscore",
                       ask->name);
    int result = site_make(store, ask->name, err);
    for (size_t i = 0; result == 0 && i < ask->n_labels; i++)
        result = label_set(store, ask->name, ask->labels[i], err);
    if (result == 0 && (ask->node || ask->drop))
        result = site_is_free(store, ask->name, err);
    if (result == 0 && ask->drop)
        result = node_drop(store, ask->name, ask->drop, err);
    if (result == 0 && ask->node)
        result = node_set(store, ask->name, ask->node, err);
    if (result == 0 && ask->covers[0] != '\0')
        result = covers_set(store, ask->name, ask->covers, err);
    return result;
}
