#include "controller/edge/views.h"

#include "confleet/clock.h"
#include "controller/edge/store_decisions.h"
#include <string.h>

#define HOLD_MAX_MS     (366LL * 24 * 3600 * 1000)
#define HOLD_REASON_MAX 500

int view_holds(struct ask *ask, const char *site, Confleet__HoldView ***ret, size_t *ret_count,
               struct err *err)
{
    struct hold **holds = NULL;
    size_t count = 0;
    int result = holds_list(ask->store, ask->pool, &holds, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        if (site && holds[i]->site[0] != '\0' && strcmp(holds[i]->site, site) != 0)
            continue;
        Confleet__HoldView *view =
            POOL_MESSAGE(ask->pool, Confleet__HoldView, confleet__hold_view__init);
        view->site = field(holds[i]->site);
        view->until_ms = holds[i]->until_ms;
        view->reason = field(holds[i]->reason);
        view->by = field(holds[i]->made_by);
        view->at_ms = holds[i]->at_ms;
        pool_push(ask->pool, ret, ret_count, view);
    }
    return result;
}

int ask_hold_list(struct ask *ask, struct err *err)
{
    return view_holds(ask, NULL, &ask->reply->holds, &ask->reply->n_holds, err);
}

static const char *hold_what(const struct ask *ask, const char *site)
{
    char words[STORE_NAME_MAX + 8];
    (void)snprintf(words, sizeof words, "site %s", site);
    return site[0] == '\0' ? "all sites" : pool_text(ask->pool, words);
}

static int hold_lifted(struct ask *ask, const char *site, struct err *err)
{
    bool found = false;
    int result = hold_lift(ask->store, site, &found, err);
    if (result == 0 && !found)
        return err_set(err, FAIL_NOT_FOUND, "there is no hold on %s (confleet hold list)",
                       hold_what(ask, site));
    if (result == 0)
        result = audit_add(ask->store, ask->who, "unhold", err, "hold on %s lifted",
                           hold_what(ask, site));
    return result == 0 ? ask_hold_list(ask, err) : result;
}

int ask_hold(struct ask *ask, struct err *err)
{
    const Confleet__AskHold *from = ask->request->hold;
    char until[CLOCK_TEXT_MAX];
    struct site *site = NULL;
    int64_t now_ms = ask->store->now_ms;
    struct hold hold = { from->site, from->reason, ask->peer->name, from->until_ms, now_ms };
    if (from->until_ms == 0)
        return hold_lifted(ask, from->site, err);
    if (from->until_ms <= now_ms)
        return err_set(err, FAIL_USAGE, "a hold until %s is over already",
                       clock_text(from->until_ms, until));
    if (from->until_ms > now_ms + HOLD_MAX_MS)
        return err_set(err, FAIL_LIMIT, "a hold lasts a year at most");
    if (strlen(from->reason) > HOLD_REASON_MAX)
        return err_set(err, FAIL_LIMIT, "the reason of a hold has %d bytes at most",
                       HOLD_REASON_MAX);
    int result =
        from->site[0] == '\0' ? 0 : site_find(ask->store, ask->pool, from->site, &site, err);
    if (result == 0 && from->site[0] != '\0' && !site)
        return err_set(err, FAIL_NOT_FOUND, "no site is called %s (confleet site list)",
                       from->site);
    if (result == 0)
        result = hold_set(ask->store, &hold, err);
    if (result == 0)
        result =
            audit_add(ask->store, ask->who, "hold", err, "nothing starts on %s until %s: %s",
                      hold_what(ask, from->site), clock_text(from->until_ms, until), from->reason);
    return result == 0 ? ask_hold_list(ask, err) : result;
}
