#include "agent/edge/waivers.h"
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include <string.h>

#define MEMO_PREFIX  "waiver-"
#define TEXT_LEN_MAX 7000 /* of one, encoded: its hex must fit in a memo */

static bool may_waive(const struct join_trust *key)
{
    return strcmp(key->role, "operator") == 0 || strcmp(key->role, "admin") == 0;
}

/* The key by which it counts. */
static int signer_find(const struct join *controller, const Confleet__SignedText *text,
                       const struct join_trust **ret, struct err *err)
{
    const struct join_trust *other = NULL, *good = NULL;
    for (size_t i = 0; i < controller->trust_count; i++) {
        const struct join_trust *key = &controller->trust[i];
        int result = trust_signed_by(key, SIGN_CONTEXT_DECISION, text, err);
        if (result < 0)
            return result;
        good = result && !good && may_waive(key) ? key : good;
        other = result ? key : other;
    }
    if (!good && other)
        return err_set(err, FAIL_DENIED, "%s is %s; a waiver is signed by an operator or an admin",
                       other->name, other->role);
    if (!good)
        return err_set(err, FAIL_SIGNATURE, "it is signed by no key that this agent trusts");
    *ret = good;
    return 0;
}

static int waiver_fits(const struct join *controller, const Confleet__Decision *waiver,
                       const char *site, int64_t now_ms, struct err *err)
{
    if (waiver->format != 1)
        return err_set(err, FAIL_PROTOCOL, "it has format %u, this agent reads format 1",
                       waiver->format);
    if (strcmp(waiver->kind, "waive") != 0)
        return err_set(err, FAIL_MISMATCH, "it is a '%s', not a waiver", waiver->kind);
    if (strcmp(waiver->fleet, controller->fleet) != 0)
        return err_set(err, FAIL_MISMATCH, "it is for fleet %s, this agent belongs to %s",
                       waiver->fleet, controller->fleet);
    if (strcmp(waiver->site, site) != 0)
        return err_set(err, FAIL_MISMATCH, "it was given for site '%s', not %s", waiver->site,
                       site);
    if (waiver->check[0] == '\0' || waiver->plan_sha256[0] != '\0' || waiver->stage[0] != '\0')
        return err_set(err, FAIL_MISMATCH, "it names no check, or a plan or stage beside it");
    if (waiver->expires_ms - waiver->created_ms > WAIVER_MAX_MS)
        return err_set(err, FAIL_LIMIT, "it lasts longer than %d days",
                       (int)(WAIVER_MAX_MS / (24LL * 3600 * 1000)));
    int result = trust_times(waiver->created_ms, waiver->expires_ms, now_ms, "waiver", err);
    return result ? result : waiver_allowed(waiver->check, err);
}

static int waiver_take(const struct join *controller, struct arena *arena,
                       const Confleet__SignedText *text, const char *site, int64_t now_ms,
                       Confleet__Waiver *ret, struct err *err)
{
    const struct join_trust *signer = NULL;
    Confleet__Decision *waiver = NULL;
    int result = signer_find(controller, text, &signer, err);
    if (result == 0)
        result =
            wire_decode_decision(arena, text->payload.data, text->payload.len, &waiver, err);
    if (result == 0)
        result = waiver_fits(controller, waiver, site, now_ms, err);
    if (result != 0)
        return result;
    confleet__waiver__init(ret);
    ret->site = waiver->site;
    ret->check = waiver->check;
    ret->reason = waiver->reason;
    ret->until_ms = waiver->expires_ms;
    ret->by = (char *)(uintptr_t)signer->name; /* the key's owner here, not what the text says */
    return 0;
}

void waivers_take(const struct join *controller, struct arena *arena,
                  Confleet__SignedText *const *texts, size_t count, const char *site,
                  int64_t now_ms, waiver_refused_fn *refused, void *arg, struct waivers *ret)
{
    *ret = (struct waivers){ 0 };
    for (size_t i = 0; i < count && ret->count < WAIVERS_SITE_MAX; i++) {
        struct err why = { 0 };
        Confleet__Waiver *waiver = &ret->items[ret->count];
        if (waiver_take(controller, arena, texts[i], site, now_ms, waiver, &why) == 0)
            ret->list[ret->count++] = waiver;
        else if (refused)
            refused(arg, why.text);
    }
}

int waivers_keep(struct journal *journal, const char *run, Confleet__SignedText *const *texts,
                 size_t count, struct err *err)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < count && i < WAIVERS_SITE_MAX; i++) {
        CLEANUP(str_free) struct str bytes = { 0 };
        Confleet__Order order = CONFLEET__ORDER__INIT;
        Confleet__OrderDecide decide = CONFLEET__ORDER_DECIDE__INIT;
        decide.decision = texts[i];
        order.what_case = CONFLEET__ORDER__WHAT_DECIDE;
        order.decide = &decide;
        wire_encode(&order.base, &bytes);
        if (bytes.len > TEXT_LEN_MAX) /* none of ours; it counts for nothing */
            continue;
        CLEANUP(free_mem) char *key = text_printf(MEMO_PREFIX "%zu", i);
        CLEANUP(free_mem) char *value = mem_zero(2 * bytes.len + 1, 1);
        hex_text((const uint8_t *)bytes.s, bytes.len, value);
        result = journal_memo_set(journal, run, key, value, err);
    }
    return result;
}

bool waivers_is_memo(const char *key)
{
    return strncmp(key, MEMO_PREFIX, strlen(MEMO_PREFIX)) == 0;
}

bool waivers_read(struct arena *arena, const char *key, const char *value,
                  Confleet__SignedText **ret)
{
    size_t len = strlen(value) / 2;
    Confleet__Order *order = NULL;
    if (!waivers_is_memo(key) || len == 0)
        return false;
    CLEANUP(free_mem) uint8_t *bytes = mem_zero(len, 1);
    if (!hex_parse(value, bytes, len) || wire_decode_order(arena, bytes, len, &order, NULL) != 0 ||
        order->what_case != CONFLEET__ORDER__WHAT_DECIDE || !order->decide->decision)
        return false;
    *ret = order->decide->decision;
    return true;
}
