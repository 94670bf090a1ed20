#include "controller/edge/store_checks.h"

#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "controller/edge/store_sites.h"
#include <string.h>

struct list {
    struct pool *pool;
    Confleet__CheckView **items;
    size_t count;
};

/* Cut at a character's border; the rest of the text stays valid UTF-8. */
static char *text_short(struct pool *pool, const char *text)
{
    size_t len = strlen(text);
    if (len <= CHECK_EVIDENCE)
        return (char *)(uintptr_t)text;
    for (len = CHECK_EVIDENCE; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
        len--;
    char *copy = pool_alloc(pool, len + 4);
    memcpy(copy, text, len);
    memcpy(copy + len, "…", 4);
    return copy;
}

static void event_short(struct pool *pool, const Confleet__Event *event, struct str *out)
{
    static char none[] = "";
    Confleet__Event kept = *event;
    Confleet__CheckEvent check = *event->check;
    check.findings = pool_alloc(pool, (check.n_findings + 1) * sizeof *check.findings);
    for (size_t i = 0; i < check.n_findings; i++) {
        Confleet__Finding *finding =
            pool_copy(pool, event->check->findings[i], sizeof *event->check->findings[i]);
        finding->evidence = text_short(pool, finding->evidence);
        finding->remedy = finding->rule = none;
        check.findings[i] = finding;
    }
    kept.check = &check;
    wire_encode(&kept.base, out);
}

int check_keep(struct store *store, const struct check_new *check, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    CLEANUP(str_free) struct str bytes = { 0 };
    event_short(&pool, check->event, &bytes);
    /* An agent tells an event again when it does not know that it was heard. */
    int result =
        db_run(store->db, err, "DELETE FROM checks WHERE site=$1 AND cause=$2 AND at_ms=$3", "tti",
               check->site, check->cause, check->event->at_ms);
    if (result == 0)
        result = db_run(store->db, err,
                        "INSERT INTO checks(site, at_ms, target, cause, event) VALUES($1, $2, $3, "
                        "$4, $5)",
                        "tittb", check->site, check->event->at_ms, check->target, check->cause,
                        bytes.s, bytes.len);
    if (result == 0)
        result = db_run(store->db, err,
                        "DELETE FROM checks WHERE site=$1 AND seq NOT IN (SELECT seq FROM checks "
                        "WHERE site=$1 ORDER BY seq DESC LIMIT $2)",
                        "ti", check->site, (int64_t)CHECKS_KEPT);
    return result;
}

static int check_row(void *arg, const struct db_row *row, struct err *err)
{
    struct list *list = arg;
    const Confleet__Event *event = NULL;
    size_t len = 0;
    const void *bytes = db_bytes(row, 4, &len);
    int result = pool_event(list->pool, bytes, len, &event, err);
    if (result != 0 || !event || event->what_case != CONFLEET__EVENT__WHAT_CHECK)
        return result;
    Confleet__CheckView *view = pool_alloc(list->pool, sizeof *view);
    confleet__check_view__init(view);
    view->site = pool_text(list->pool, db_text(row, 0));
    view->at_ms = db_i64(row, 1);
    view->target = pool_text(list->pool, db_text(row, 2));
    view->cause = pool_text(list->pool, db_text(row, 3));
    view->n_findings = event->check->n_findings;
    view->findings = event->check->findings;
    pool_push(list->pool, &list->items, &list->count, view);
    return 0;
}

int checks_list(struct store *store, struct pool *pool, const char *site,
                Confleet__CheckView ***ret, size_t *ret_count, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, check_row, &list, err,
                         "SELECT site, at_ms, target, cause, event FROM checks WHERE site=$1 ORDER "
                         "BY seq DESC",
                         "t", site);
    if (result != 0)
        return result;
    *ret = list.items;
    *ret_count = list.count;
    return 0;
}

int check_before(struct store *store, struct pool *pool, const char *site, const char *cause,
                 Confleet__CheckView **ret, struct err *err)
{
    struct list list = { pool, NULL, 0 };
    int result = db_each(store->db, check_row, &list, err,
                         "SELECT b.site, b.at_ms, b.target, b.cause, b.event FROM checks b JOIN "
                         "(SELECT max(seq) AS seq, max(target) AS target FROM checks WHERE site=$1 "
                         "AND cause=$2) n ON b.seq<n.seq WHERE b.site=$1 AND b.cause<>$2 ORDER BY "
                         "CASE WHEN b.target=n.target THEN 0 ELSE 1 END, b.seq DESC LIMIT 1",
                         "tt", site, cause);
    if (result == 0)
        *ret = list.count > 0 ? list.items[0] : NULL;
    return result;
}
