#include "prove.h"
#include "confleet/cleanup.h"
#include "dump.h"
#include <string.h>

struct attempt {
    const struct store *store;
    const struct manifest *manifest;
    const char *ending;
    const struct scratch_spec *spec;
    pack_progress *progress;
    void *ctx;
    bool as_postgres;
};

static int compare_copy(const struct attempt *a, const struct scratch *scratch, struct err *err)
{
    CLEANUP(contents_free) struct contents copy = { .method = a->manifest->contents.method };
    struct pool pool = { 0 };
    int rc = dump_describe_at(&scratch->reach, scratch->name, a->store->threads, &pool, &copy, err);
    if (rc == 0)
        rc = contents_compare(&a->manifest->contents, &copy, err);
    pool_free(&pool);
    return rc;
}

/* ret_ran: the restore itself was begun, so that a failure speaks of the dump and not only of the
 * place. */
static int try_place(struct attempt *a, bool local, bool *ret_ran, struct err *err)
{
    CLEANUP(scratch_free) struct scratch *scratch = NULL;
    CLEANUP(free_mem)
    char *path = store_path(a->store, a->manifest->id, a->ending, a->manifest->dump.name);
    int rc = scratch_begin(a->spec, local, &a->manifest->contents, &scratch, err);
    if (rc != 0)
        return rc;
    *ret_ran = true;
    a->as_postgres = scratch->as_postgres;
    struct restore_spec restore = { .reach = &scratch->reach,
                                    .pg_bin = a->spec->pg_bin,
                                    .dbname = scratch->name,
                                    .fast = true,
                                    .threads = a->store->threads,
                                    .server_version = (int)a->manifest->contents.server_version };
    rc = dump_restore(path, &a->manifest->dump, &restore, a->progress, a->ctx, err);
    if (rc == 0 && (rc = compare_copy(a, scratch, err)) != 0)
        return err_wrap(err, "what %s restores to", path);
    if (rc == 0)
        rc = scratch_end(&scratch, err);
    return rc;
}

int prove_database(const struct store *store, const struct manifest *manifest, const char *ending,
                   const struct scratch_spec *spec, struct proof *proof, pack_progress *progress,
                   void *ctx, struct err *err)
{
    struct attempt a = { store, manifest, ending, spec, progress, ctx, false };
    struct err why = { 0 };
    bool ran = false;
    bool on_server = strcmp(spec->kind, "local") != 0, on_host = strcmp(spec->kind, "server") != 0;
    if (!manifest->has_dump)
        return err_set(err, FAIL_NOT_FOUND, "backup %s holds no database", manifest->id);
    if (on_server) {
        int rc = try_place(&a, false, &ran, &why);
        if (rc == 0) {
            (void)snprintf(proof->note, sizeof proof->note,
                           "restored into a scratch database on the site's own server");
            return 0;
        }
        /* Damage and difference are about the backup: no other place makes them better. */
        if (!on_host || why.code == FAIL_CORRUPT || (ran && why.code == FAIL_MISMATCH)) {
            if (err)
                *err = why;
            return rc;
        }
    }
    int rc = try_place(&a, true, &ran, err);
    if (rc != 0 && why.code && err)
        return err_wrap(err, "no scratch database on the site's server (%.300s), and on this host",
                        why.text);
    if (rc != 0)
        return rc;
    (void)snprintf(proof->note, sizeof proof->note,
                   "restored into a throw-away server on this host%s%s%.300s",
                   a.as_postgres ? " (run as postgres: no user confleet-scratch)" : "",
                   why.code ? ": on the site's server: " : "", why.text);
    return 0;
}
