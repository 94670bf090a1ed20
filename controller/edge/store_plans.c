#include "controller/edge/store_plans.h"

#include "confleet/cleanup.h"
#include "controller/edge/pool.h"
#include <stdlib.h>
#include <string.h>

struct plan_kept {
    struct plan_kept *next; /* used longer ago */
    struct pool pool;
    void *envelope;
    size_t len;
    const Confleet__SignedText *text;
    const Confleet__Plan *plan; /* NULL until it is asked for */
};

static void kept_free(struct plan_kept **kept)
{
    if (!*kept)
        return;
    pool_free(&(*kept)->pool);
    free(*kept);
    *kept = NULL;
}

static int envelope_read(struct plan_kept *kept, struct err *err)
{
    Confleet__Order *envelope = NULL;
    int result =
        wire_decode_order(pool_arena(&kept->pool), kept->envelope, kept->len, &envelope, err);
    if (result == 0 &&
        (envelope->what_case != CONFLEET__ORDER__WHAT_UPGRADE || !envelope->upgrade->plan))
        return err_set(err, FAIL_CORRUPT, "its plan is not in the store");
    if (result == 0)
        kept->text = envelope->upgrade->plan;
    return result;
}

static int plan_read(struct plan_kept *kept, struct err *err)
{
    Confleet__Plan *plan = NULL;
    int result = wire_decode_plan(pool_arena(&kept->pool), kept->text->payload.data,
                                  kept->text->payload.len, &plan, err);
    if (result == 0)
        kept->plan = plan;
    return result;
}

/* Takes it out of the list. */
static struct plan_kept *find(struct store *store, const void *envelope, size_t len)
{
    for (struct plan_kept **at = &store->plans; *at; at = &(*at)->next) {
        struct plan_kept *kept = *at;
        if (kept->len != len || memcmp(kept->envelope, envelope, len) != 0)
            continue;
        *at = kept->next;
        return kept;
    }
    return NULL;
}

static struct plan_kept *make(const void *envelope, size_t len)
{
    struct plan_kept *kept = mem_zero(1, sizeof *kept);
    kept->envelope = pool_copy(&kept->pool, envelope, len);
    kept->len = len;
    return kept;
}

int plans_read(struct store *store, const void *envelope, size_t len,
               const Confleet__SignedText **ret_text, const Confleet__Plan **ret_plan,
               struct err *err)
{
    struct plan_kept *kept = find(store, envelope, len);
    if (!kept)
        kept = make(envelope, len);
    int result = kept->text ? 0 : envelope_read(kept, err);
    if (result == 0 && ret_plan && !kept->plan)
        result = plan_read(kept, err);
    if (result != 0 && !kept->text) {
        kept_free(&kept);
        return result;
    }
    /* Also one whose plan could not be read: somebody may hold its text. */
    kept->next = store->plans;
    store->plans = kept;
    if (result != 0)
        return result;
    *ret_text = kept->text;
    if (ret_plan)
        *ret_plan = kept->plan;
    return 0;
}

static void drop_behind(struct store *store, size_t count)
{
    struct plan_kept **at = &store->plans;
    for (size_t i = 0; i < count && *at; i++)
        at = &(*at)->next;
    for (struct plan_kept *kept = TAKE(*at); kept;) {
        struct plan_kept *next = kept->next;
        kept_free(&kept);
        kept = next;
    }
}

void plans_trim(struct store *store)
{
    drop_behind(store, PLANS_KEPT_MAX);
}

void plans_drop(struct store *store)
{
    drop_behind(store, 0);
}
