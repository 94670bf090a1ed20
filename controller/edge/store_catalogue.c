#include "controller/edge/store_catalogue.h"
#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include <inttypes.h>
#include <string.h>

/* Through the catalogue's own form, so that nothing is kept that a reader would not take. */
int store_catalogue_put(struct store *store, const Confleet__Release *release, const char *who,
                        struct err *err)
{
    CLEANUP(catalogue_free) struct catalogue *catalogue = catalogue_new();
    CLEANUP(str_free) struct str bytes = { 0 };
    struct catalogue_wire wire;
    catalogue_put_wire(catalogue, release);
    const struct catalogue_release *entry = catalogue_at(catalogue, 0);
    if (!entry)
        return err_set(err, FAIL_USAGE, "'%.63s' is no version of a release", release->version);
    struct catalogue_release kept = *entry;
    if (!kept.source[0])
        (void)snprintf(kept.source, sizeof kept.source, "%.100s", who);
    catalogue_wire_fill(&wire, &kept);
    wire_encode(&wire.release.base, &bytes);
    return db_run(store->db, err,
                  "INSERT INTO catalogue(version, body, made_by, at_ms) VALUES($1, $2, $3, $4)"
                  " ON CONFLICT(version) DO UPDATE SET body=excluded.body, "
                  "made_by=excluded.made_by, at_ms=excluded.at_ms",
                  "tbti", kept.text, bytes.s, bytes.len, who, store->now_ms);
}

int store_catalogue_bound(struct store *store, struct err *err)
{
    int64_t count = 0, bytes = 0;
    int result = db_get_i64(store->db, &count, NULL, err, "SELECT count(*) FROM catalogue", "");
    if (result == 0)
        result = db_get_i64(store->db, &bytes, NULL, err,
                            "SELECT coalesce(sum(length(body)), 0) FROM catalogue", "");
    if (result == 0 && (count > STORE_CATALOGUE_MAX || bytes > STORE_CATALOGUE_BYTES_MAX))
        return err_set(err, FAIL_LIMIT,
                       "that would come to %" PRId64 " entries of %" PRId64
                       " bytes; at most %d entries of %d bytes are kept",
                       count, bytes, STORE_CATALOGUE_MAX, STORE_CATALOGUE_BYTES_MAX);
    return result;
}

struct reading {
    struct pool *pool;
    struct store_catalogue *catalogue;
};

static int catalogue_row(void *arg, const struct db_row *row, struct err *err)
{
    struct reading *reading = arg;
    Confleet__Release *release = NULL;
    size_t len = 0;
    const void *bytes = db_bytes(row, 0, &len);
    int result = wire_decode_release(pool_arena(reading->pool), bytes, len, &release, err);
    if (result == 0)
        pool_push(reading->pool, &reading->catalogue->list, &reading->catalogue->count, release);
    return result;
}

int store_catalogue_read(struct store *store, struct pool *pool, struct store_catalogue *ret,
                         struct err *err)
{
    struct store_catalogue found = { 0 };
    struct reading reading = { pool, &found };
    int result = db_each(store->db, catalogue_row, &reading, err,
                         "SELECT body FROM catalogue ORDER BY version", "");
    if (result == 0)
        *ret = found;
    return result;
}
