#include "controller/edge/store_notices.h"

#include "confleet/log.h"

int notice_put(struct store *store, const struct notice *notice, struct err *err)
{
    int64_t waiting = 0;
    if (!store->notices)
        return 0;
    int result = db_get_i64(store->db, &waiting, NULL, err,
                            "SELECT count(*) FROM notices WHERE state='pending'", "");
    if (result != 0)
        return result;
    if (waiting >= NOTICES_MAX) {
        log_warn("notify.dropped", "kind=%s rollout=%s site=%s; ignoring: %d wait already",
                 notice->kind, notice->rollout, notice->site, NOTICES_MAX);
        return 0;
    }
    return db_run(store->db, err,
                  "INSERT INTO notices(at_ms, kind, subject, rollout, stage, site, message, state)"
                  " VALUES($1, $2, $3, $4, $5, $6, $7, 'pending') ON CONFLICT DO NOTHING",
                  "itttttt", store->now_ms, notice->kind, notice->subject, notice->rollout,
                  notice->stage, notice->site, notice->message);
}

struct found {
    struct pool *pool;
    struct notice_row *row;
};

static int notice_row(void *arg, const struct db_row *row, struct err *err)
{
    struct found *found = arg;
    struct notice_row *notice = pool_alloc(found->pool, sizeof *notice);
    (void)err;
    notice->seq = db_i64(row, 0);
    notice->at_ms = db_i64(row, 1);
    notice->notice = (struct notice){
        pool_text(found->pool, db_text(row, 2)), pool_text(found->pool, db_text(row, 3)),
        pool_text(found->pool, db_text(row, 4)), pool_text(found->pool, db_text(row, 5)),
        pool_text(found->pool, db_text(row, 6)), pool_text(found->pool, db_text(row, 7))
    };
    found->row = notice;
    return 0;
}

int notice_next(struct store *store, struct pool *pool, const struct notice_row **ret,
                struct err *err)
{
    struct found found = { pool, NULL };
    int result = db_each(store->db, notice_row, &found, err,
                         "SELECT seq, at_ms, kind, subject, rollout, stage, site, message FROM "
                         "notices WHERE state='pending' ORDER BY seq LIMIT 1",
                         "");
    if (result == 0)
        *ret = found.row;
    return result;
}

int notice_done(struct store *store, int64_t seq, struct err *err)
{
    /* Those with a subject stay, so that they are not told again. */
    int result =
        db_run(store->db, err, "DELETE FROM notices WHERE seq=$1 AND subject=''", "i", seq);
    return result == 0
               ? db_run(store->db, err, "UPDATE notices SET state='told' WHERE seq=$1", "i", seq)
               : result;
}
