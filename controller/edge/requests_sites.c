#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include "controller/edge/views.h"
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

int ask_site_list(struct ask *ask, struct err *err)
{
    struct site **sites = NULL;
    struct page page = { 0 };
    size_t count = 0;
    int result = sites_list(ask->store, ask->pool, ask->request->after, PAGE_ROWS_MAX, &sites,
                            &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        Confleet__SiteView *view = NULL;
        result = view_site(ask, sites[i], false, &view, err);
        if (result != 0)
            return result;
        if (!page_takes(ask, &page, confleet__site_view__get_packed_size(view)))
            break;
        pool_push(ask->pool, &ask->reply->sites, &ask->reply->n_sites, view);
    }
    if (page.rows > 0 && (page.rows < count || count == PAGE_ROWS_MAX))
        ask->reply->next = field(sites[page.rows - 1]->name);
    return result;
}

static int site_reply(struct ask *ask, const char *name, struct err *err)
{
    struct site *site = NULL;
    Confleet__SiteView *view = NULL;
    int result = site_find(ask->store, ask->pool, name, &site, err);
    if (result == 0 && !site)
        return err_set(err, FAIL_NOT_FOUND, "no site is called %s (confleet site list)", name);
    if (result == 0)
        result = view_site(ask, site, true, &view, err);
    if (result == 0)
        pool_push(ask->pool, &ask->reply->sites, &ask->reply->n_sites, view);
    return result;
}

int ask_site_show(struct ask *ask, struct err *err)
{
    return site_reply(ask, ask->request->site_show->name, err);
}

int ask_site_set(struct ask *ask, struct err *err)
{
    CLEANUP(str_free) struct str what = { 0 };
    const Confleet__AskSiteSet *set = ask->request->site_set;
    int result = site_set(ask->store, set, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < set->n_labels; i++)
        str_addf(&what, " %s=%s", set->labels[i]->key, set->labels[i]->value);
    if (set->node)
        str_addf(&what, " node=%s:%s", set->node->agent, set->node->installation);
    if (set->covers[0] != '\0')
        str_addf(&what, " covers=%s", set->covers);
    result =
        audit_add(ask->store, ask->who, "site-set", err, "site %s%s", set->name, str_text(&what));
    return result == 0 ? site_reply(ask, set->name, err) : result;
}

static int release_row(void *arg, const struct db_row *row, struct err *err)
{
    struct ask *ask = arg;
    Confleet__Release *release =
        POOL_MESSAGE(ask->pool, Confleet__Release, confleet__release__init);
    (void)err;
    release->version = pool_text(ask->pool, db_text(row, 0));
    release->build = (uint32_t)db_i64(row, 1);
    release->date = pool_text(ask->pool, db_text(row, 2));
    release->artifact_sha256 = pool_text(ask->pool, db_text(row, 3));
    release->artifact_size = (uint64_t)db_i64(row, 4);
    release->artifact_name = pool_text(ask->pool, db_text(row, 5));
    pool_push(ask->pool, &ask->reply->releases, &ask->reply->n_releases, release);
    return 0;
}

#define RELEASE_COLUMNS                                                                            \
    "SELECT version, build, date, artifact_sha256, artifact_size, artifact_name FROM releases "

int ask_release_list(struct ask *ask, struct err *err)
{
    return db_each(ask->store->db, release_row, ask, err, RELEASE_COLUMNS "ORDER BY build, version",
                   "");
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
        result = db_each(ask->store->db, release_row, ask, err, RELEASE_COLUMNS "WHERE version=$1",
                         "t", release->version);
    return result;
}

int ask_serial(struct ask *ask, struct err *err)
{
    Confleet__SerialView *view =
        POOL_MESSAGE(ask->pool, Confleet__SerialView, confleet__serial_view__init);
    uint64_t serial = 0;
    int result = store_serial(ask->store, &serial, err);
    view->next = serial + 1;
    view->fleet = ask->store->fleet;
    ask->reply->serial = view;
    return result;
}

#define ROWS_MAX 1000

static uint32_t limit_of(uint32_t asked)
{
    return asked == 0 || asked > ROWS_MAX ? ROWS_MAX : asked;
}

static int log_row(void *arg, const struct db_row *row, struct err *err)
{
    struct ask *ask = arg;
    Confleet__LogView *view = POOL_MESSAGE(ask->pool, Confleet__LogView, confleet__log_view__init);
    (void)err;
    view->seq = (uint64_t)db_i64(row, 0);
    view->at_ms = db_i64(row, 1);
    view->agent = pool_text(ask->pool, db_text(row, 2));
    view->level = (uint32_t)db_i64(row, 3);
    view->text = pool_text(ask->pool, db_text(row, 4));
    pool_push(ask->pool, &ask->reply->logs, &ask->reply->n_logs, view);
    return 0;
}

int ask_logs(struct ask *ask, struct err *err)
{
    const Confleet__AskLogs *logs = ask->request->logs;
    int64_t limit = limit_of(logs->limit);
    /* Without a place to go on from, the newest are wanted. */
    return db_each(ask->store->db, log_row, ask, err,
                   "SELECT seq, at_ms, agent, level, text FROM (SELECT seq, at_ms, agent, level, "
                   "text FROM logs WHERE"
                   " ($1='' OR agent=$1) AND seq>$2 ORDER BY CASE $2 WHEN 0 THEN -seq ELSE seq END "
                   "LIMIT $3) AS page"
                   " ORDER BY seq",
                   "tii", logs->agent, (int64_t)logs->after, limit);
}

static int audit_row(void *arg, const struct db_row *row, struct err *err)
{
    struct ask *ask = arg;
    Confleet__AuditView *view =
        POOL_MESSAGE(ask->pool, Confleet__AuditView, confleet__audit_view__init);
    (void)err;
    view->seq = (uint64_t)db_i64(row, 0);
    view->at_ms = db_i64(row, 1);
    view->who = pool_text(ask->pool, db_text(row, 2));
    view->what = pool_text(ask->pool, db_text(row, 3));
    view->detail = pool_text(ask->pool, db_text(row, 4));
    view->prev = pool_text(ask->pool, db_text(row, 5));
    view->hash = pool_text(ask->pool, db_text(row, 6));
    pool_push(ask->pool, &ask->reply->audit, &ask->reply->n_audit, view);
    return 0;
}

int ask_audit(struct ask *ask, struct err *err)
{
    const Confleet__AskAudit *audit = ask->request->audit;
    int64_t limit =
        limit_of(audit->limit) < 200 ? limit_of(audit->limit) : 200; /* details may be long */
    return db_each(ask->store->db, audit_row, ask, err,
                   "SELECT seq, at_ms, who, what, detail, prev, hash FROM audit WHERE seq>$1 ORDER "
                   "BY seq LIMIT $2",
                   "ii", (int64_t)audit->after, limit);
}
