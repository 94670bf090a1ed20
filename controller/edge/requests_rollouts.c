#include "controller/edge/apply.h"
#include "controller/edge/rollouts_inside.h"

#include "confleet/hash.h"
#include <string.h>

#define LISTED_SITES_MAX 100

int rollout_need(struct ask *ask, const char *id, struct rollout_case **ret, struct err *err)
{
    const char *found = "";
    int result = rollout_id_find(ask->store, ask->pool, id, &found, err);
    if (result == 0 && found[0] == '\0')
        return err_set(err, FAIL_NOT_FOUND, "there was no rollout yet (confleet apply PLAN)");
    if (result == 0)
        result = rollout_load(ask->store, ask->pool, found, ret, err);
    if (result == 0 && !*ret)
        return err_set(err, FAIL_NOT_FOUND, "no rollout is called %s (confleet rollout list)",
                       found);
    return result;
}

int rollout_reply(struct ask *ask, const char *id, const struct rollout_ask *what, struct err *err)
{
    struct rollout_case *c = NULL;
    Confleet__RolloutView *view = NULL;
    int result = rollout_need(ask, id, &c, err);
    if (result == 0)
        result = view_rollout(ask, c, what, &view, err);
    if (result == 0)
        pool_push(ask->pool, &ask->reply->rollouts, &ask->reply->n_rollouts, view);
    return result;
}

int ask_rollout_show(struct ask *ask, struct err *err)
{
    const Confleet__AskRollout *from = ask->request->rollout_show;
    struct rollout_ask what = { .brief = from->brief,
                                .attention = from->attention,
                                .after = from->after,
                                .limit = from->limit };
    return rollout_reply(ask, from->id, &what, err);
}

/* Sites of small rollouts are told with the list; of large ones, the counts. Newest first. */
int ask_rollout_list(struct ask *ask, struct err *err)
{
    const char **ids = NULL;
    struct page page = { 0 };
    size_t count = 0, sites = 0;
    int result = rollouts_page(ask->store, ask->pool, ask->request->after, PAGE_ROWS_MAX, &ids,
                               &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct rollout_case *c = NULL;
        Confleet__RolloutView *view = NULL;
        result = rollout_load(ask->store, ask->pool, ids[i], &c, err);
        if (result != 0)
            return result;
        struct rollout_ask what = { .brief = true };
        what.no_sites = c->core.site_count > LISTED_SITES_MAX ||
                        sites + c->core.site_count > 4 * LISTED_SITES_MAX;
        sites += what.no_sites ? 0 : c->core.site_count;
        result = view_rollout(ask, c, &what, &view, err);
        if (result != 0)
            return result;
        if (!page_takes(ask, &page, confleet__rollout_view__get_packed_size(view)))
            break;
        pool_push(ask->pool, &ask->reply->rollouts, &ask->reply->n_rollouts, view);
    }
    if (page.rows > 0 && (page.rows < count || count == PAGE_ROWS_MAX))
        ask->reply->next = field(ids[page.rows - 1]);
    return result;
}

int ask_apply(struct ask *ask, struct err *err)
{
    const Confleet__SignedText *text = ask->request->apply->plan;
    const Confleet__Plan *plan = NULL;
    const struct operator* signer = NULL;
    struct rollout_case *c = NULL;
    char sha256[HASH_HEX_MAX];
    int result = plan_check(ask, text, &plan, &signer, err);
    if (result != 0)
        return result;
    hash_bytes_hex(text->payload.data, text->payload.len, sha256);
    struct rollout_new new = { plan, text, sha256, signer->name };
    result = rollout_put(ask->store, &new, err);
    if (result == 0)
        result = store_serial_set(ask->store, plan->serial, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "plan-applied", err,
                           "rollout %s (%s): release %s, serial %llu, signed by %s, %s", plan->id,
                           plan->name, plan->release->version, (unsigned long long)plan->serial,
                           signer->name, sha256);
    if (result == 0)
        result = rollout_load(ask->store, ask->pool, plan->id, &c, err);
    if (result == 0)
        result = rollout_feed(ask->store, c, NULL, ask->who, err);
    struct rollout_ask what = { 0 };
    return result == 0 ? rollout_reply(ask, plan->id, &what, err) : result;
}
