/* requests_inside - what the files that answer requests share; nobody else includes this. */
#pragma once
#include "controller/edge/audit.h"
#include "controller/edge/requests.h"
#include "controller/edge/store_jobs.h"
#include "controller/edge/store_outbox.h"
#include "controller/edge/store_peers.h"
#include "controller/edge/store_rollouts.h"
#include "controller/edge/store_sites.h"

struct ask {
    struct daemon *daemon;
    struct store *store;
    struct pool *pool;
    const struct peer *peer;
    char who[PEER_ID_MAX]; /* "operator:anna" */
    const Confleet__Request *request;
    Confleet__Reply *reply;
    /* To be done when the request has succeeded: */
    bool keys_changed;
    const char *welcome; /* agent that was accepted */
    const char *cut;     /* start of the link ids that are served no more */
};

typedef int ask_fn(struct ask *ask, struct err *err);
#define ASK(name) int ask_##name(struct ask *ask, struct err *err) MUST_USE
ASK(agent_list);
ASK(agent_show);
ASK(agent_token);
ASK(agent_accept);
ASK(agent_revoke);
ASK(operator_token);
ASK(operator_list);
ASK(operator_revoke);
ASK(site_list);
ASK(site_show);
ASK(site_set);
ASK(release_list);
ASK(release_add);
ASK(catalogue_import);
ASK(check);
ASK(backup_run);
ASK(backup_verify);
ASK(backup_restore);
ASK(backup_list);
ASK(job);
ASK(logs);
ASK(audit);
ASK(serial);
ASK(apply);
ASK(decide);
ASK(rollout_list);
ASK(rollout_show);
ASK(hold);
ASK(hold_list);
ASK(app_import);
ASK(app_list);
ASK(waive);
ASK(waiver_list);
ASK(check_history);
#undef ASK

/* The release with all that is known of it: its artifact, the operators' entry, the shipped
 * catalogue, in this order. NULL for the empty version: a check without a target. FAIL_NOT_FOUND.
 */
int release_target(struct ask *ask, const char *version, Confleet__Release **ret,
                   struct err *err) MUST_USE;

/* Text for a message field, which protobuf-c wants without const. */
static inline char *field(const char *text)
{
    return (char *)(uintptr_t)text;
}
/* One page of a list: as many rows as fit in a frame, and no more than were asked for. */
#define PAGE_BYTES_MAX (400 * 1024) /* a frame holds 512 KiB */
#define PAGE_ROWS_MAX  256          /* that are read for one page */
struct page {
    size_t bytes, rows;
};
static inline bool page_takes(const struct ask *ask, struct page *page, size_t size)
{
    uint32_t limit = ask->request->limit;
    if (page->rows > 0 &&
        (page->bytes + size > PAGE_BYTES_MAX || (limit > 0 && page->rows >= limit)))
        return false;
    page->bytes += size + 8;
    page->rows++;
    return true;
}
#define POOL_MESSAGE(pool, type, init)                                                             \
    __extension__({                                                                                \
        type *m_ = pool_alloc(pool, sizeof *m_);                                                   \
        init(m_);                                                                                  \
        m_;                                                                                        \
    })
