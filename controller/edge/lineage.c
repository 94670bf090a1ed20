#include "controller/edge/lineage.h"

#include "confleet/cleanup.h"
#include "controller/edge/audit.h"
#include <inttypes.h>
#include <string.h>

#define REMEDY                                                                                     \
    "Put the newest store in place; if it is lost, stop this controller and run "                  \
    "confleet-controller raise-epoch --state DIR --epoch %" PRIu64

/* A controller raises the epoch by one at each start: further ahead, the number is no controller's.
 */
#define EPOCH_LEAD_MAX UINT64_C(1000000)

static int head_row(void *arg, const struct db_row *row, struct err *err)
{
    struct lineage_head *head = arg;
    (void)err;
    head->seq = (uint64_t)db_i64(row, 0);
    (void)snprintf(head->hash, sizeof head->hash, "%s", db_text(row, 1));
    return 0;
}

int lineage_head(struct store *store, struct lineage_head *ret, struct err *err)
{
    struct lineage_head head = { 0, AUDIT_ZERO };
    int result = db_each(store->db, head_row, &head, err,
                         "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", "");
    if (result == 0)
        *ret = head;
    return result;
}

int lineage_hash(struct store *store, const Confleet__Hello *hello, char ret_hash[65],
                 struct err *err)
{
    struct lineage_head found = { 0, "" };
    int result = 0;
    if (hello->seen)
        result =
            db_each(store->db, head_row, &found, err, "SELECT seq, hash FROM audit WHERE seq=$1",
                    "i", (int64_t)hello->seen->seq);
    if (result == 0)
        memcpy(ret_hash, found.hash, sizeof found.hash);
    return result;
}

int lineage_judge(struct store *store, const char *agent, const Confleet__Hello *hello,
                  struct err *ret_why, struct err *err)
{
    char hash[65];
    int64_t held = 0;
    if (hello->epoch_seen > store->epoch && hello->epoch_seen - store->epoch > EPOCH_LEAD_MAX) {
        (void)err_set(ret_why, FAIL_STALE,
                      "agent %s says that it has obeyed epoch %" PRIu64 ", this one is of epoch "
                      "%" PRIu64 ": no controller was started so often, so the agent's state is "
                      "damaged or false. Do not raise the epoch for it: look at that server, and "
                      "confleet agent revoke %s",
                      agent, hello->epoch_seen, store->epoch, agent);
        return 0;
    }
    if (hello->epoch_seen > store->epoch) {
        (void)err_set(ret_why, FAIL_STALE,
                      "agent %s has obeyed a controller of epoch %" PRIu64
                      ", this one is of epoch %" PRIu64
                      ": this store is an older copy, or another controller runs on a newer one, "
                      "and the agent takes no orders from here. " REMEDY,
                      agent, hello->epoch_seen, store->epoch, hello->epoch_seen);
        return 0;
    }
    if (store->adopted > hello->epoch_seen)
        return 0;
    int result = lineage_hash(store, hello, hash, err);
    if (result == 0)
        result = db_get_i64(store->db, &held, NULL, err,
                            "SELECT event_seq FROM agents WHERE name=$1", "t", agent);
    if (result != 0)
        return result;
    bool lost = hello->event_gone > (uint64_t)held && hello->event_gone <= hello->event_seq;
    if (!lost && (!hello->seen || strcmp(hash, hello->seen->hash) == 0))
        return 0;
    (void)err_set(ret_why, FAIL_STALE,
                  "this store is older than agent %s has seen: it does not hold %s, so it was put "
                  "back from an older copy, and what it says of rollouts is not what happened. The "
                  "agent takes no orders from here. " REMEDY,
                  agent, lost ? "what the agent has reported" : "the audit record that was shown",
                  hello->epoch_seen > store->epoch ? hello->epoch_seen : store->epoch);
    return 0;
}

/* agent "": all of them; else those that have a site of this agent. One agent's word must not stop
 * what it has no part in: the others say the same by themselves when they are asked, and take no
 * orders until then. */
static int rollouts_pause(struct store *store, const char *agent, const char *why, struct err *err)
{
    int result = db_run(store->db, err,
                        "UPDATE rollouts SET paused=1, paused_reason=$1 WHERE state='running' AND "
                        "paused=0 AND aborted=0 AND ($2='' OR id IN (SELECT rollout FROM "
                        "rollout_sites WHERE agent=$2))",
                        "tt", why, agent);
    if (result != 0 || db_changes(store->db) == 0)
        return result;
    return audit_add(store, "controller", "rollouts-paused", err, "%" PRId64 " rollouts: %s",
                     db_changes(store->db), why);
}

int lineage_note(struct store *store, const char *agent, const char *why, struct err *err)
{
    int result =
        db_run(store->db, err, "UPDATE agents SET outdated=$2 WHERE name=$1", "tt", agent, why);
    return result == 0 && why[0] != '\0' ? rollouts_pause(store, agent, why, err) : result;
}

int lineage_adopt(struct store *store, uint64_t epoch, struct err *err)
{
    int64_t orders = 0;
    int result = store_adopt(store, epoch, err);
    if (result == 0)
        result = rollouts_pause(store, "",
                                "the store was put back from an older copy (raise-epoch): see what "
                                "has happened on the sites since, then resume or abort",
                                err);
    if (result == 0)
        result =
            db_run(store->db, err, "UPDATE orders SET state='withdrawn' WHERE state='pending'", "");
    if (result != 0)
        return result;
    orders = db_changes(store->db);
    result = db_run(store->db, err, "UPDATE agents SET outdated=''", "");
    return result != 0 ? result
                       : audit_add(store, "controller", "raise-epoch", err,
                                   "this store is the one to follow from epoch %" PRIu64
                                   " on; %" PRId64 " orders that waited were taken back",
                                   store->epoch, orders);
}
