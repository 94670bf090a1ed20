/* The steps that compare: what the site answered and held before, and what it answers and holds now. */
#include "agent/worker/steps/hooks.h"
#include "agent/worker/steps/http.h"
#include "agent/worker/steps/proof.h"
#include "agent/worker/steps/site.h"
#include "agent/worker/steps/waiting.h"
#include "confleet/cleanup.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS 60000
#define COMPLETE CONFLEET__PROBE_STATE__PROBE_COMPLETE
#define PARTIAL CONFLEET__PROBE_STATE__PARTIAL
#define ABSENT CONFLEET__PROBE_STATE__ABSENT

CLEANUP_OF(json_drop, json_t *, json_decref)

/* What is asked. A page that needs a login is "unknown" without a token, before and after. */
struct question { const char *name, *path; bool count; };
static const struct question questions[] = {
    { "status", "/status", false },
    { "front", "/", false },
    { "login", "/login.action", false },
    { "space", "/rest/api/space?limit=1", true },
    { "search", "/rest/api/search?cql=type%3Dpage&limit=1", true },
    { "apps", "/rest/plugins/1.0/", true },
};
#define QUESTIONS (sizeof questions / sizeof questions[0])

static void put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        abort();                         /* out of memory, or a key of ours that is no UTF-8 */
}

/* How many things a JSON answer lists; apps: those that are enabled. Negative when it cannot be told. */
static json_int_t count_of(const char *name, const char *body)
{
    CLEANUP(json_drop) json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    const json_t *total = json_object_get(root, "totalSize"), *size = json_object_get(root, "size");
    if (strcmp(name, "apps") != 0)
        return json_is_integer(total) ? json_integer_value(total) : json_is_integer(size) ? json_integer_value(size) : -1;
    json_t *plugins = json_object_get(root, "plugins"), *plugin = NULL;
    size_t at = 0;
    json_int_t enabled = 0;
    if (!json_is_array(plugins))
        return -1;
    json_array_foreach(plugins, at, plugin)
        enabled += json_is_true(json_object_get(plugin, "enabled")) && json_is_true(json_object_get(plugin, "userInstalled"));
    return enabled;
}

static bool is_unknown(int status)
{
    return status == 401 || status == 403 || (status >= 300 && status < 400) || status == 404;
}

static json_t *ask(const struct http_place *place, const struct question *question)
{
    CLEANUP(http_answer_free) struct http_answer answer = { 0 };
    struct err err = { 0 };
    json_t *seen = json_object();
    char version[64], build[32];
    if (http_get(place, question->path, ASK_MS, &answer, &err)) {
        put(seen, "status", json_integer(0));
        put(seen, "why", json_string(err.text));
        return seen;
    }
    put(seen, "status", json_integer(answer.status));
    if (question->count && is_unknown(answer.status))
        put(seen, "unknown", json_string("needs a login, and no token is at hand or it is not allowed to"));
    json_int_t count = question->count && answer.status == 200 ? count_of(question->name, str_text(&answer.body)) : -1;
    if (count >= 0)
        put(seen, "count", json_integer(count));
    if (http_meta(str_text(&answer.body), "ajs-version-number", version, sizeof version))
        put(seen, "version", json_string(version));
    if (http_meta(str_text(&answer.body), "ajs-build-number", build, sizeof build))
        put(seen, "build", json_string(build));
    return seen;
}

/* ---------------------------------------------------------------- one attachment, found by the database */

static void escape_path(struct str *out, const char *text)
{
    for (const char *c = text; *c; c++)
        if (isalnum((unsigned char)*c) || strchr("-._~", *c))
            str_add_bytes(out, c, 1);
        else
            str_addf(out, "%%%02X", (unsigned)(unsigned char)*c);
}

/* Owned, NULL when none can be found. Older versions keep attachments in a table of their own; then it is not asked. */
static char *attachment_path(const struct database *database)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(database_result_free) PGresult *where = NULL, *result = NULL;
    CLEANUP(str_free) struct str path = { 0 };
    if (database_connect(database, NULL, NULL, NULL, 60, &conn, NULL) ||
        database_query(conn, "select quote_ident(n.nspname) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                       "where c.relname = 'content' and c.relkind = 'r' order by (n.nspname = 'public') desc limit 1", 0, NULL, &where, NULL) ||
        PQntuples(where) != 1)
        return NULL;
    CLEANUP(free_mem) char *sql = text_printf("select pageid::text, title from %s.content where contenttype = 'ATTACHMENT' and prevver is null "
                                              "and pageid is not null and title is not null order by contentid limit 1", PQgetvalue(where, 0, 0));
    if (database_query(conn, sql, 0, NULL, &result, NULL) || PQntuples(result) != 1)
        return NULL;
    str_addf(&path, "/download/attachments/%s/", PQgetvalue(result, 0, 0));
    escape_path(&path, PQgetvalue(result, 0, 1));
    return text_dup(str_text(&path));
}

static json_t *ask_attachment(const struct http_place *place, const char *path)
{
    CLEANUP(http_answer_free) struct http_answer answer = { 0 };
    struct err err = { 0 };
    json_t *seen = json_object();
    put(seen, "path", json_string(path));
    if (http_get(place, path, ASK_MS, &answer, &err)) {
        put(seen, "status", json_integer(0));
        put(seen, "why", json_string(err.text));
        return seen;
    }
    put(seen, "status", json_integer(answer.status));
    if (answer.status != 200 || strncmp(answer.type, "text/html", 9) == 0)
        put(seen, "unknown", json_string("is not given without a login"));
    else
        put(seen, "sha256", json_string(answer.sha256));
    return seen;
}

/* ---------------------------------------------------------------- baseline */

static json_t *look(struct job *job, const struct http_place *place, const char *attachment)
{
    json_t *seen = json_object();
    for (size_t i = 0; i < QUESTIONS; i++) {
        job_progress(job, i, QUESTIONS, "asking %s", questions[i].path);
        put(seen, questions[i].name, ask(place, &questions[i]));
    }
    if (attachment)
        put(seen, "attachment", ask_attachment(place, attachment));
    return seen;
}

static int baseline_act(struct job *job, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    struct http_place place = { 0 };
    if (site_read(job, &found, err) || http_place(found.install, job_node(job)->token_file, &place, err))
        return err_wrap(err, "baseline");
    CLEANUP(free_mem) char *attachment = attachment_path(&found.database);
    CLEANUP(json_drop) json_t *seen = found.pid ? look(job, &place, attachment) : json_object();
    CLEANUP(free_mem) char *counts = proof_counts(&found.database);
    json_t *rows = json_loads(counts, 0, NULL);
    put(seen, "rows", rows ? rows : json_object());
    CLEANUP(str_free) struct str unknown = { 0 };
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(seen, key, value)
        if (json_object_get(value, "unknown"))
            str_addf(&unknown, "%s%s", unknown.len ? ", " : "", key);
    if (unknown.len)
        job_finding(job, "probe-unknown", CONFLEET__SEVERITY__UNKNOWN, "parts that will not be probed after the upgrade",
                    "give the agent a token file for this site", "%s: needs a login", str_text(&unknown));
    char *text = json_dumps(seen, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return err_set(err, FAIL_INTERNAL, "the baseline cannot be written down");
    job_memo_set(job, MEMO_BASELINE, "%s", text);
    free(text);
    return 0;
}

static int baseline_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    (void)err;
    *ret = job_memo(job, MEMO_BASELINE)[0] ? COMPLETE : ABSENT;
    return 0;
}

/* ---------------------------------------------------------------- compare */

/* Confluence syncs little of what it writes. A site that is called upgraded must still be when the power fails the next moment. */
static int upgraded_sync(const char *folder, struct err *err)
{
    CLEANUP(close_fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || syncfs(fd) != 0 ? err_sys(err, FAIL_IO, errno, "sync %s", folder) : 0;
}

static int compare_act(struct job *job, struct err *err)
{
    const char *install = job_node(job)->install, *home = job_memo(job, MEMO_HOME);
    const Confleet__Release *release = job_order(job)->release;
    struct builds builds = { 0 };
    if (tree_check(job, install, err) || builds_read(job, &builds, err))
        return err_wrap(err, "compare builds");
    uint32_t want = release->build ? release->build : builds.app;
    if (builds.app != want || builds.home != want || builds.database != want)
        return err_set(err, FAIL_MISMATCH, "builds after the upgrade: application %u, home %u, database %u; all must be %u", builds.app,
                       builds.home, builds.database, want);
    return upgraded_sync(install, err) || upgraded_sync(home, err) ? -err->code : 0;
}

static int look_again(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    (void)job, (void)err;
    *ret = PARTIAL;              /* only looks; looking again is the only way to know */
    return 0;
}

/* ---------------------------------------------------------------- probe */

static long long number(const json_t *object, const char *key, long long none)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? (long long)json_integer_value(value) : none;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int compare_answer(struct job *job, const struct question *question, const json_t *before, const json_t *now, struct err *err)
{
    long long was = number(before, "status", 0), is = number(now, "status", 0);
    if (is == 0 || is >= 500)
        return err_set(err, FAIL_UNHEALTHY, "%s answers %lld%s%s", question->path, is, is ? "" : ": ", text_of(now, "why"));
    if (was == 200 && is != 200)
        return err_set(err, FAIL_UNHEALTHY, "%s answers %lld, before the upgrade it was 200", question->path, is);
    long long had = number(before, "count", -1), has = number(now, "count", -1);
    if (had > has && strcmp(question->name, "space") == 0)
        return err_set(err, FAIL_UNHEALTHY, "%s lists %lld, before the upgrade it was %lld", question->path, has, had);
    /* The index may still be building, and an app may have been switched off by its own new version: told, not judged. */
    if (had > has)
        job_finding(job, strcmp(question->name, "apps") == 0 ? "apps-fewer" : "search-fewer", CONFLEET__SEVERITY__WARN,
                    strcmp(question->name, "apps") == 0 ? "fewer apps are enabled than before" : "search finds less than before",
                    strcmp(question->name, "apps") == 0 ? "look at the manage apps page and update the apps" : "wait for the index, or rebuild it",
                    "%s: %lld, before the upgrade %lld", question->path, has, had);
    return 0;
}

/* Rows are compared with those at the stop: what was written between baseline and stop is no loss. */
static int compare_rows(struct job *job, const struct database *database, struct err *err)
{
    const char *at_stop = job_memo(job, "stop-counts");
    CLEANUP(free_mem) char *text = proof_counts(database);
    CLEANUP(json_drop) json_t *before = json_loads(at_stop[0] ? at_stop : "{}", 0, NULL), *now = json_loads(text, 0, NULL);
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(before, key, value)
        if (number(now, key, -1) < (long long)json_integer_value(value))
            return err_set(err, FAIL_UNHEALTHY, "%s: %lld in the database, at the stop it was %lld", key, number(now, key, -1),
                           (long long)json_integer_value(value));
    return 0;
}

static int compare_version(const struct job *job, const json_t *login, struct err *err)
{
    const Confleet__Release *release = job_order(job)->release;
    const char *version = text_of(login, "version");
    if (!version[0] || !release || strcmp(version, release->version) == 0)
        return 0;
    return err_set(err, FAIL_MISMATCH, "the login page shows version %s, not %s", version, release->version);
}

static int compare_attachment(const json_t *before, const json_t *now, struct err *err)
{
    const char *had = text_of(before, "sha256"), *has = text_of(now, "sha256");
    if (!had[0] || strcmp(had, has) == 0)
        return 0;
    return err_set(err, FAIL_UNHEALTHY, "attachment %s %s", text_of(before, "path"),
                   has[0] ? "has other bytes than before the upgrade" : "is not given any more");
}

static int probe_act(struct job *job, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    struct http_place place = { 0 };
    const char *text = job_memo(job, MEMO_BASELINE);
    CLEANUP(json_drop) json_t *before = json_loads(text[0] ? text : "{}", JSON_REJECT_DUPLICATES, NULL);
    if (!before)
        return err_set(err, FAIL_CORRUPT, "the baseline in the journal cannot be read");
    if (site_read(job, &found, err) || http_place(found.install, job_node(job)->token_file, &place, err))
        return err_wrap(err, "probe");
    const json_t *attachment = json_object_get(before, "attachment");
    CLEANUP(json_drop) json_t *now = look(job, &place, attachment ? text_of(attachment, "path") : NULL);
    if (http_state(&place, NULL) != SITE_RUNNING)
        return err_set(err, FAIL_UNHEALTHY, "/status is not RUNNING");
    for (size_t i = 0; i < QUESTIONS; i++)
        if (compare_answer(job, &questions[i], json_object_get(before, questions[i].name), json_object_get(now, questions[i].name), err))
            return err_wrap(err, "probe");
    if (compare_version(job, json_object_get(now, "login"), err) || compare_attachment(attachment, json_object_get(now, "attachment"), err) ||
        compare_rows(job, &found.database, err))
        return err_wrap(err, "probe");
    hooks_run_noted(job, "post-start", "upgrade");
    return 0;
}

/* ---------------------------------------------------------------- soak: a light look, again and again */

static int soak_act(struct job *job, struct err *err)
{
    CLEANUP(http_answer_free) struct http_answer login = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct http_place place = { 0 };
    if (http_place(job_node(job)->install, job_node(job)->token_file, &place, err))
        return err_wrap(err, "soak");
    if (http_state(&place, &text) != SITE_RUNNING)
        return err_set(err, FAIL_UNHEALTHY, "%s", str_text(&text));
    if (http_get(&place, "/login.action", ASK_MS, &login, err))
        return err_wrap(err, "soak");
    if (login.status >= 400)
        return err_set(err, FAIL_UNHEALTHY, "/login.action answers %d", login.status);
    return 0;
}

const struct step_impl steps_health[] = {
    { "baseline", baseline_act, NULL, baseline_probe },
    { "compare", compare_act, NULL, look_again },
    { "probe", probe_act, NULL, look_again },
    { "soak", soak_act, NULL, look_again },
    { NULL, NULL, NULL, NULL },
};
