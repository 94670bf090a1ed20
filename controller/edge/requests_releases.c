/* Releases: artifacts that came, and what operators know of versions. */
#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include "controller/edge/requests_inside.h"
#include "controller/edge/store_catalogue.h"
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

struct rows {
    struct ask *ask;
    Confleet__Release **list;
    size_t count;
};

/* All but version, build, date and artifact, which belong to the release itself; build and date
 * when it has none. */
static void facts_fill(Confleet__Release *to, const Confleet__Release *from)
{
    Confleet__Release all = *from;
    all.base = to->base;
    all.version = to->version;
    all.build = to->build ? to->build : from->build;
    all.date = to->date[0] ? to->date : from->date;
    all.artifact_sha256 = to->artifact_sha256;
    all.artifact_size = to->artifact_size;
    all.artifact_name = to->artifact_name;
    *to = all;
}

static int release_row(void *arg, const struct db_row *row, struct err *err)
{
    struct rows *rows = arg;
    struct pool *pool = rows->ask->pool;
    Confleet__Release *release = POOL_MESSAGE(pool, Confleet__Release, confleet__release__init);
    (void)err;
    release->version = pool_text(pool, db_text(row, 0));
    release->build = (uint32_t)db_i64(row, 1);
    release->date = pool_text(pool, db_text(row, 2));
    release->artifact_sha256 = pool_text(pool, db_text(row, 3));
    release->artifact_size = (uint64_t)db_i64(row, 4);
    release->artifact_name = pool_text(pool, db_text(row, 5));
    pool_push(pool, &rows->list, &rows->count, release);
    return 0;
}

/* version: "" for all. */
static int releases_read(struct ask *ask, const char *version, struct rows *rows, struct err *err)
{
    struct store_catalogue own = { 0 };
    rows->ask = ask;
    int result = db_each(ask->store->db, release_row, rows, err,
                         "SELECT version, build, date, artifact_sha256, artifact_size, "
                         "artifact_name FROM releases WHERE $1='' OR version=$1 ORDER BY build, "
                         "version",
                         "t", version);
    if (result == 0)
        result = store_catalogue_read(ask->store, ask->pool, &own, err);
    for (size_t i = 0; result == 0 && i < rows->count; i++)
        for (size_t n = 0; n < own.count; n++)
            if (strcmp(own.list[n]->version, rows->list[i]->version) == 0)
                facts_fill(rows->list[i], own.list[n]);
    return result;
}

static int release_list(struct ask *ask, const char *version, struct err *err)
{
    struct rows rows = { 0 };
    int result = releases_read(ask, version, &rows, err);
    ask->reply->releases = rows.list;
    ask->reply->n_releases = rows.count;
    return result;
}

int ask_release_list(struct ask *ask, struct err *err)
{
    struct store_catalogue own = { 0 };
    int result = release_list(ask, "", err);
    if (result == 0)
        result = store_catalogue_read(ask->store, ask->pool, &own, err);
    ask->reply->catalogue = own.list;
    ask->reply->n_catalogue = own.count;
    return result;
}

/* What neither has an artifact nor was entered by an operator may still be a release of the
 * vendor's. A missing or spoilt file is no reason to refuse what does not need it. */
static int shipped_find(struct ask *ask, const char *version, Confleet__Release **ret)
{
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    CLEANUP(free_mem) char *path = catalogue_shipped();
    CLEANUP(str_free) struct str bytes = { 0 };
    struct catalogue_wire wire;
    if (catalogue_load(path, &catalogue, NULL) != 0)
        return -FAIL_NOT_FOUND;
    const struct catalogue_release *found = catalogue_find(catalogue, version);
    if (!found)
        return -FAIL_NOT_FOUND;
    catalogue_wire_fill(&wire, found);
    wire.release.version = field(version);
    wire_encode(&wire.release.base, &bytes);
    return wire_decode_release(pool_arena(ask->pool), bytes.s, bytes.len, ret, NULL);
}

int release_target(struct ask *ask, const char *version, Confleet__Release **ret, struct err *err)
{
    struct rows rows = { 0 };
    struct store_catalogue own = { 0 };
    Confleet__Release *found = NULL;
    if (version[0] == '\0') {
        *ret = NULL;
        return 0;
    }
    int result = releases_read(ask, version, &rows, err);
    if (result == 0)
        result = store_catalogue_read(ask->store, ask->pool, &own, err);
    if (result != 0)
        return result;
    found = rows.count > 0 ? rows.list[0] : NULL;
    for (size_t i = 0; !found && i < own.count; i++)
        found = strcmp(own.list[i]->version, version) == 0 ? own.list[i] : NULL;
    if (!found && shipped_find(ask, version, &found) != 0)
        return err_set(err, FAIL_NOT_FOUND,
                       "release %s is not known here (confleet release list, release import)",
                       version);
    *ret = found;
    return 0;
}

int ask_catalogue_import(struct ask *ask, struct err *err)
{
    const Confleet__AskCatalogue *import = ask->request->catalogue_import;
    CLEANUP(str_free) struct str what = { 0 };
    int result = 0;
    if (import->n_releases == 0)
        return err_set(err, FAIL_USAGE, "nothing was given to be imported");
    for (size_t i = 0; result == 0 && i < import->n_releases; i++) {
        result = store_catalogue_put(ask->store, import->releases[i], ask->who, err);
        str_addf(&what, "%s%s", i ? ", " : "", import->releases[i]->version);
    }
    if (result == 0)
        result = store_catalogue_bound(ask->store, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "catalogue", err, "%zu entries: %s",
                           import->n_releases, str_text(&what));
    return result == 0 ? ask_release_list(ask, err) : result;
}

/* The bulk transfer has proven size and digest before the file got this name. */
static int artifact_check(const struct ask *ask, const Confleet__Release *release, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(ask->daemon->artifacts_dir, release->artifact_sha256);
    struct stat st;
    if (!hash_is_hex(release->artifact_sha256))
        return err_set(err, FAIL_USAGE, "'%s' is no SHA-256 in small hex digits",
                       release->artifact_sha256);
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, FAIL_NOT_FOUND,
                       "the artifact %s did not arrive: send it before the release is added",
                       release->artifact_sha256);
    if ((uint64_t)st.st_size != release->artifact_size)
        return err_set(err, FAIL_MISMATCH,
                       "the artifact %s has %" PRIu64 " bytes, the release says %" PRIu64,
                       release->artifact_sha256, (uint64_t)st.st_size, release->artifact_size);
    return 0;
}

int ask_release_add(struct ask *ask, struct err *err)
{
    const Confleet__Release *release = ask->request->release_add->release;
    CLEANUP(free_mem) char *have = NULL;
    if (!release || release->version[0] == '\0')
        return err_set(err, FAIL_USAGE, "a release has a version");
    int result = release->artifact_sha256[0] != '\0' ? artifact_check(ask, release, err) : 0;
    if (result == 0)
        result = db_get_text(ask->store->db, &have, err,
                             "SELECT artifact_sha256 FROM releases WHERE version=$1", "t",
                             release->version);
    if (result == 0 && have && have[0] != '\0' && strcmp(have, release->artifact_sha256) != 0)
        return err_set(
            err, FAIL_EXISTS,
            "release %s is known with the artifact %s: a release never changes its bytes",
            release->version, have);
    if (result == 0)
        result =
            db_run(ask->store->db, err,
                   "INSERT INTO releases(version, build, date, artifact_sha256, artifact_size, "
                   "artifact_name, added_ms)"
                   " VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT(version) DO UPDATE SET "
                   "build=excluded.build,"
                   " date=excluded.date, artifact_sha256=excluded.artifact_sha256,"
                   " artifact_size=excluded.artifact_size, artifact_name=excluded.artifact_name",
                   "tittiti", release->version, (int64_t)release->build, release->date,
                   release->artifact_sha256, (int64_t)release->artifact_size,
                   release->artifact_name, ask->store->now_ms);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "release", err, "release %s build %u artifact %s",
                           release->version, release->build,
                           release->artifact_sha256[0] ? release->artifact_sha256 : "none");
    if (result == 0)
        result = release_list(ask, release->version, err);
    return result;
}
