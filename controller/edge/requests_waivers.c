#include "controller/edge/apply.h"
#include "controller/edge/views_inside.h"

#include "confleet/clock.h"
#include "confleet/waiver.h"
#include "controller/edge/store_decisions.h"
#include "controller/edge/store_sites.h"
#include "controller/edge/store_waivers.h"
#include <string.h>

int view_waivers(struct ask *ask, const char *site, Confleet__Waiver ***ret, size_t *ret_count,
                 struct err *err)
{
    struct waiver **waivers = NULL;
    size_t count = 0;
    int result = waivers_list(ask->store, ask->pool, site, &waivers, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        Confleet__Waiver *view = POOL_MESSAGE(ask->pool, Confleet__Waiver, confleet__waiver__init);
        view->site = field(waivers[i]->site);
        view->check = field(waivers[i]->check);
        view->by = field(waivers[i]->made_by);
        view->reason = field(waivers[i]->reason);
        view->until_ms = waivers[i]->until_ms;
        pool_push(ask->pool, ret, ret_count, view);
    }
    return result;
}

int ask_waiver_list(struct ask *ask, struct err *err)
{
    const char *name = ask->request->waiver_list->name;
    struct site *site = NULL;
    int result = name[0] != '\0' ? site_find(ask->store, ask->pool, name, &site, err) : 0;
    if (result != 0)
        return result;
    if (name[0] != '\0' && !site)
        return err_set(err, FAIL_NOT_FOUND, "no site is called %s (confleet site list)", name);
    return view_waivers(ask, ask->request->waiver_list->name, &ask->reply->waivers,
                        &ask->reply->n_waivers, err);
}

static int waive_form(struct ask *ask, const Confleet__Decision *decision, struct err *err)
{
    struct site *site = NULL;
    if (decision->plan_sha256[0] != '\0' || decision->stage[0] != '\0')
        return err_set(err, FAIL_USAGE, "a waiver is for a site, not for a plan or a stage");
    if (decision->check[0] == '\0' || decision->site[0] == '\0')
        return err_set(err, FAIL_USAGE, "a waiver names a site and a check");
    int result = site_find(ask->store, ask->pool, decision->site, &site, err);
    if (result == 0 && !site)
        return err_set(err, FAIL_NOT_FOUND, "no site is called %s (confleet site list)",
                       decision->site);
    return result;
}

static int waive_lift(struct ask *ask, const Confleet__Decision *decision,
                      const struct operator* signer, struct err *err)
{
    bool found = false;
    int result = waiver_lift(ask->store, decision->site, decision->check, &found, err);
    if (result == 0 && !found)
        return err_set(err, FAIL_NOT_FOUND, "%s of site %s is not waived (confleet waive list)",
                       decision->check, decision->site);
    if (result != 0)
        return result;
    return audit_add(ask->store, ask->who, "unwaive", err,
                     "%s of site %s counts again, signed by %s: %s", decision->check,
                     decision->site, signer->name, decision->reason);
}

/* A word that no finding has would waive nothing, and its signer would believe that it does. */
static int waive_known(struct ask *ask, const Confleet__Decision *decision, struct err *err)
{
    struct site *site = NULL;
    Confleet__Finding **findings = NULL;
    size_t count = 0;
    int result = site_find(ask->store, ask->pool, decision->site, &site, err);
    if (result == 0 && site && site->check_len > 0)
        result = view_findings(ask, site->check, site->check_len, false, &findings, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (strcmp(findings[i]->id, decision->check) == 0)
            return 0;
    if (result != 0 || count == 0)
        return result;
    return err_set(err, FAIL_NOT_FOUND,
                   "the last check of site %s has no finding %s: write its name as 'confleet site "
                   "show %s' prints it",
                   decision->site, decision->check, decision->site);
}

static int waive_set(struct ask *ask, const Confleet__Decision *decision,
                     const struct operator* signer, struct err *err)
{
    char until[CLOCK_TEXT_MAX];
    struct waiver waiver = { decision->site,
                             decision->check,
                             decision->reason,
                             signer->name,
                             signer->key_id,
                             decision->expires_ms,
                             ask->store->now_ms,
                             ask->request->waive->decision };
    if (decision->reason[0] == '\0')
        return err_set(err, FAIL_USAGE, "a waiver has a reason");
    if (strlen(decision->reason) > WAIVER_REASON_MAX)
        return err_set(err, FAIL_LIMIT, "the reason of a waiver has %d bytes at most",
                       WAIVER_REASON_MAX);
    if (decision->expires_ms - decision->created_ms > WAIVER_MAX_MS)
        return err_set(err, FAIL_LIMIT, "a waiver lasts %d days at most; then it is looked at anew",
                       (int)(WAIVER_MAX_MS / (24LL * 3600 * 1000)));
    int result = waiver_allowed(decision->check, err);
    if (result == 0)
        result = waive_known(ask, decision, err);
    if (result == 0)
        result = waiver_put(ask->store, &waiver, err);
    if (result != 0)
        return result;
    return audit_add(ask->store, ask->who, "waive", err,
                     "%s of site %s stops nothing until %s, signed by %s: %s", decision->check,
                     decision->site, clock_text(decision->expires_ms, until), signer->name,
                     decision->reason);
}

int ask_waive(struct ask *ask, struct err *err)
{
    const Confleet__Decision *decision = NULL;
    const struct operator* signer = NULL;
    int result = waive_check(ask, ask->request->waive->decision, &decision, &signer, err);
    if (result == 0)
        result = waive_form(ask, decision, err);
    if (result == 0)
        result = store_serial_set(ask->store, decision->serial, err);
    if (result != 0)
        return result;
    result = decision->expires_ms <= ask->store->now_ms ? waive_lift(ask, decision, signer, err)
                                                        : waive_set(ask, decision, signer, err);
    return result == 0 ? view_waivers(ask, decision->site, &ask->reply->waivers,
                                      &ask->reply->n_waivers, err)
                       : result;
}
