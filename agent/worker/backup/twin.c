#include "twin.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_MAX         4096
#define NOTE_HEAD        "confleet-copy 1\n"
#define SESSIONS_WAIT_MS 2000 /* at the stop: what was just closed is still seen for a moment */
#define DROP_WAIT_MS     10000
#define MAKING_WAIT_MS   (60 * 1000) /* and a second for each of so many bytes: */
#define MAKING_BYTES     (10 * 1000 * 1000)
#define LOOK_MS          20
#define HASH_SHOWN       8

static const char *const state_names[] = { "none", "making", "ready", "back" };

/* ---- the note ---- */

void twin_name(const char *id, char out[64])
{
    size_t len = (size_t)snprintf(out, 64, TWIN_PREFIX "%s", id);
    for (size_t i = 0; i < len && i < 63; i++)
        out[i] = (char)(out[i] == '-' ? '_' : tolower((unsigned char)out[i]));
}

void twin_failed_name(const char *name, char out[ELSEWHERE_NAME_MAX + 1])
{
    const size_t room = ELSEWHERE_NAME_MAX - strlen(TWIN_FAILED);
    size_t keep = strlen(name);
    char hash[HASH_HEX_MAX];
    if (keep <= room) {
        (void)snprintf(out, ELSEWHERE_NAME_MAX + 1, "%s" TWIN_FAILED, name);
        return;
    }
    hash_bytes_hex(name, keep, hash);
    for (keep = room - 1 - HASH_SHOWN; keep > 0 && (name[keep] & 0xc0) == 0x80; keep--)
        ;
    (void)snprintf(out, ELSEWHERE_NAME_MAX + 1, "%.*s_%.*s" TWIN_FAILED, (int)keep, name,
                   HASH_SHOWN, hash);
}

static char *note_path(const char *backup_dir, const char *installation, const char *id)
{
    return text_printf("%s/%s/%s" TWIN_ENDING, backup_dir, installation, id);
}

/* The value of one line, up to its end; false when it is not there or too long. */
static bool take_line(const char *text, const char *key, char *out, size_t size)
{
    const char *at = strstr(text, key);
    while (at && (at == text || at[-1] != '\n')) /* a name may hold the key's word */
        at = strstr(at + 1, key);
    size_t len = at ? strcspn(at + strlen(key), "\n") : 0;
    if (!at || len >= size)
        return false;
    memcpy(out, at + strlen(key), len);
    out[len] = '\0';
    return true;
}

int twin_read(const char *backup_dir, const char *installation, const char *id,
              struct twin_note *ret, struct err *err)
{
    CLEANUP(free_mem) char *path = note_path(backup_dir, installation, id);
    CLEANUP(str_free) struct str text = { 0 };
    struct twin_note note = { .state = TWIN_NONE };
    char state[16], oid[24], failed[24], opened[8] = "";
    if (!manifest_id_is_valid(id) || !fs_exists(path)) {
        *ret = note;
        return 0;
    }
    int rc = fs_read(path, NOTE_MAX, &text, err);
    if (rc != 0)
        return rc;
    bool whole = strncmp(str_text(&text), NOTE_HEAD, strlen(NOTE_HEAD)) == 0 &&
                 take_line(text.s, "name ", note.name, sizeof note.name) &&
                 take_line(text.s, "of ", note.of, sizeof note.of) &&
                 take_line(text.s, "at ", note.at, sizeof note.at) &&
                 take_line(text.s, "state ", state, sizeof state) &&
                 take_line(text.s, "oid ", oid, sizeof oid) &&
                 take_line(text.s, "failed ", failed, sizeof failed) &&
                 text_parse_u64(oid, UINT32_MAX, &note.oid) &&
                 text_parse_u64(failed, UINT32_MAX, &note.failed_oid);
    for (int i = TWIN_MAKING; whole && i <= TWIN_BACK; i++)
        if (strcmp(state, state_names[i]) == 0)
            note.state = (enum twin_state)i;
    char name[64];
    twin_name(id, name);
    if (!whole || note.state == TWIN_NONE || strcmp(name, note.name) != 0)
        return err_set(err, FAIL_CORRUPT, "%s is no note of a database copy", path);
    (void)snprintf(note.id, sizeof note.id, "%s", id);
    note.opened = !take_line(text.s, "opened ", opened, sizeof opened) || strcmp(opened, "0") != 0;
    *ret = note;
    return 0;
}

int twin_write(struct subject *subject, const struct twin_note *note, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(subject->job);
    CLEANUP(free_mem) char *path = note_path(node->backup_dir, node->installation, note->id);
    CLEANUP(free_mem)
    char *text = text_printf(
        NOTE_HEAD "name %s\nof %s\nat %s\nstate %s\noid %llu\nfailed %llu\nopened %d\n", note->name,
        note->of, note->at, state_names[note->state], (unsigned long long)note->oid,
        (unsigned long long)note->failed_oid, note->opened ? 1 : 0);
    return fs_write(path, text, strlen(text), 0600, err);
}

static int read_own(struct subject *s, const char *id, struct twin_note *ret, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(s->job);
    return twin_read(node->backup_dir, node->installation, id, ret, err);
}

static int forget(struct subject *s, const char *id, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(s->job);
    CLEANUP(free_mem) char *path = note_path(node->backup_dir, node->installation, id);
    return fs_unlink(path, err);
}

/* ---- making ---- */

static const char *policy_of(const struct subject *s)
{
    const char *policy = job_node(s->job)->stop_capture;
    return policy[0] ? policy : "auto";
}

static bool insists(const struct subject *s)
{
    return strcmp(policy_of(s), "copy") == 0;
}

/* No copy: that is told, or where the policy wants nothing else, it is the step's failure. */
static int no_copy(struct subject *s, char out[TWIN_WHY], const char *why, struct err *err)
{
    (void)snprintf(out, TWIN_WHY, "dump: %.380s", why);
    if (insists(s))
        return err_set(err, FAIL_CONFLICT,
                       "the database is not copied, and the policy wants no dump (stop_capture: "
                       "copy): %.380s",
                       why);
    job_log(s->job, 6, "the database will be captured by a dump: %s", why);
    return 0;
}

static int choose(struct subject *s, PGconn *conn, struct twin_facts *facts, bool *ret_copy,
                  char why[TWIN_WHY], struct err *err)
{
    int rc = twin_gather(conn, &s->reach, s->site.database.name, facts, err);
    if (rc != 0)
        return rc;
    facts->ask.policy = policy_of(s);
    facts->ask.reserve_bytes = job_node(s->job)->reserve_bytes;
    *ret_copy = twin_choose(&facts->ask, why);
    return 0;
}

static int send_create(struct subject *s, struct twin *t, const struct twin_facts *facts,
                       struct err *err)
{
    CLEANUP(str_free) struct str sql = { 0 };
    const char *names[] = { t->note.name, facts->owner, s->site.database.name };
    static const char *const words[] = { "CREATE DATABASE ", " WITH OWNER ", " TEMPLATE " };
    for (size_t i = 0; i < 3; i++) {
        char *quoted = PQescapeIdentifier(t->conn, names[i], strlen(names[i]));
        if (!quoted)
            return err_set(err, FAIL_DATABASE, "name '%s' cannot be quoted", names[i]);
        str_addf(&sql, "%s%s", words[i], quoted);
        PQfreemem(quoted);
    }
    str_addf(&sql, "%s ALLOW_CONNECTIONS false CONNECTION LIMIT %d",
             PQserverVersion(t->conn) >= 150000 ? " STRATEGY file_copy" : "",
             facts->connection_limit);
    if (PQsendQuery(t->conn, sql.s) != 1)
        return err_set(err, FAIL_DATABASE, "CREATE DATABASE was not sent: %.300s",
                       PQerrorMessage(t->conn));
    t->running = true;
    return 0;
}

int twin_begin(struct subject *subject, const char *id, struct twin *ret, struct err *err)
{
    CLEANUP(twin_close) struct twin t = { .conn = NULL };
    struct twin_facts facts = { .connection_limit = -1 };
    struct err why = { 0 };
    char reason[TWIN_WHY] = "the policy says so (stop_capture: dump)";
    const char *other = "";
    bool copy = strcmp(policy_of(subject), "dump") != 0;
    int rc = copy ? elsewhere_open(&subject->reach, &t.conn, &other, &why) : 0;
    if (copy && rc == 0)
        rc = choose(subject, t.conn, &facts, &copy, reason, &why);
    if (copy && rc == 0)
        rc = elsewhere_alone(t.conn, subject->site.database.name, SESSIONS_WAIT_MS, &why);
    if (!copy || rc != 0)
        return no_copy(subject, ret->why, rc != 0 ? why.text : reason, err);
    t.note.state = TWIN_MAKING;
    (void)snprintf(t.note.id, sizeof t.note.id, "%s", id);
    (void)snprintf(t.note.of, sizeof t.note.of, "%s", subject->site.database.name);
    (void)database_where(&subject->site.database, t.note.at, sizeof t.note.at);
    twin_name(id, t.note.name);
    (void)snprintf(t.why, sizeof t.why, "copy: %.380s", reason);
    if ((rc = twin_write(subject, &t.note, err)) != 0)
        return rc;
    if ((rc = send_create(subject, &t, &facts, err)) != 0)
        return rc;
    job_log(subject->job, 6, "the database is copied inside its server, as %s: %s", t.note.name,
            reason);
    *ret = t;
    t = (struct twin){ .conn = NULL };
    return 0;
}

int twin_end(struct subject *subject, struct twin *twin, struct err *err)
{
    struct err why = { 0 };
    if (!twin->running)
        return 0;
    twin->running = false;
    for (PGresult *r; (r = PQgetResult(twin->conn)) != NULL; PQclear(r))
        if (PQresultStatus(r) != PGRES_COMMAND_OK && !why.code)
            (void)err_set(&why, FAIL_DATABASE, "CREATE DATABASE: %.300s",
                          PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY)
                              ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY)
                              : PQerrorMessage(twin->conn));
    if (!why.code)
        return 0;
    /* A lost connection says nothing about the copy: the note stays, and whoever looks next asks
     * the server. */
    if (PQstatus(twin->conn) == CONNECTION_OK) {
        int rc = forget(subject, twin->note.id, err);
        if (rc != 0)
            return rc;
    }
    return no_copy(subject, twin->why, why.text, err);
}

void twin_close(struct twin *twin)
{
    database_close(&twin->conn);
    *twin = (struct twin){ .conn = NULL };
}

/* A worker that was killed leaves its server at work. */
int twin_wait_making(PGconn *conn, const char *name, bool stop, int64_t wait_ms, struct err *err)
{
    CLEANUP(free_mem) char *like = text_printf("CREATE DATABASE %%%s%%", name);
    const char *values[] = { like };
    static const char look[] =
        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state <> 'idle' AND "
        "query LIKE $1 AND usename = current_user";
    static const char end[] = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                              "pid <> pg_backend_pid() AND "
                              "state <> 'idle' AND query LIKE $1 AND usename = current_user";
    for (int64_t until = clock_mono_ms() + wait_ms;; (void)poll(NULL, 0, LOOK_MS)) {
        CLEANUP(database_result_free) PGresult *r = NULL;
        char waited[24];
        int rc = database_query(conn, stop ? end : look, 1, values, &r, err);
        if (rc != 0 || PQntuples(r) == 0)
            return rc;
        if (clock_mono_ms() > until)
            return err_set(err, FAIL_TIMEOUT,
                           "the server is still making copy %s after %s more (process %.20s)%s",
                           name, text_duration(wait_ms, waited), PQgetvalue(r, 0, 0),
                           stop ? ", though it was told to end that" : "");
    }
}

/* As slow as a server that is fit for use may be: its checkpoints, then its disk. */
static int64_t making_ms(PGconn *conn, const char *of)
{
    CLEANUP(database_result_free) PGresult *r = NULL;
    struct err ignored = { 0 };
    uint64_t bytes = 0;
    if (database_query(conn, "SELECT pg_database_size(oid) FROM pg_database WHERE datname = $1", 1,
                       &of, &r, &ignored) != 0 ||
        PQntuples(r) == 0 || !text_parse_u64(PQgetvalue(r, 0, 0), INT64_MAX, &bytes))
        bytes = 0;
    return MAKING_WAIT_MS + (int64_t)(bytes / MAKING_BYTES) * 1000;
}

static int make_ready(struct subject *s, PGconn *conn, struct twin_note *note, struct err *err)
{
    int rc = twin_props_put(conn, note->of, note->name, err);
    if (rc == 0)
        rc = twin_props_compare(conn, note->of, note->name, err);
    if (rc != 0)
        return rc;
    note->state = TWIN_READY;
    return twin_write(s, note, err);
}

int twin_finish(struct subject *subject, const char *id, bool *ret_ready, char why[TWIN_WHY],
                struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    struct twin_note note;
    struct err wrong = { 0 };
    const char *other = "";
    *ret_ready = false;
    int rc = read_own(subject, id, &note, err);
    if (rc != 0 || note.state == TWIN_NONE)
        return rc;
    if ((rc = elsewhere_open(&subject->reach, &conn, &other, err)) != 0)
        return rc;
    if (note.state == TWIN_MAKING &&
        (rc = twin_wait_making(conn, note.name, false, making_ms(conn, note.of), err)) != 0)
        return rc;
    uint64_t oid = 0;
    if ((rc = elsewhere_oid(conn, note.name, &oid, err)) != 0)
        return rc;
    if (oid == 0 || (note.oid != 0 && note.oid != oid)) {
        (void)snprintf(why, TWIN_WHY, "the copy %s was begun and is not there", note.name);
        return oid == 0 ? forget(subject, id, err)
                        : err_set(err, FAIL_CONFLICT, "database %s is not the copy that was made",
                                  note.name);
    }
    note.oid = oid;
    if (note.state == TWIN_MAKING && make_ready(subject, conn, &note, &wrong) != 0) {
        (void)snprintf(why, TWIN_WHY, "%.390s", wrong.text);
        database_close(&conn);
        return twin_drop(subject, id, err);
    }
    *ret_ready = true;
    return 0;
}

/* ---- what there is ---- */

int twin_place(struct subject *s, const struct twin_note *note, struct err *err)
{
    char where[sizeof note->at];
    (void)database_where(&s->site.database, where, sizeof where);
    if (strcmp(where, note->at) == 0)
        return 0;
    return err_set(err, FAIL_CONFLICT,
                   "copy %s is at %s, and the site's database is at %s now: drop it there by hand, "
                   "then remove %s" TWIN_ENDING " from the backups",
                   note->name, note->at, where, note->id);
}

int twin_there(struct subject *subject, const struct twin_note *note, bool *ret, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    const char *other = "";
    uint64_t oid = 0;
    *ret = false;
    if (note->state != TWIN_READY)
        return 0;
    int rc = twin_place(subject, note, err);
    if (rc == 0)
        rc = elsewhere_open(&subject->reach, &conn, &other, err);
    if (rc == 0)
        rc = elsewhere_oid(conn, note->name, &oid, err);
    if (rc == 0)
        *ret = oid != 0 && oid == note->oid;
    return rc;
}

/* ---- away ---- */

/* ours: a copy, in which nobody has any business. */
static int drop_named(PGconn *conn, const char *name, uint64_t want_oid, bool ours, struct err *err)
{
    uint64_t oid = 0;
    int rc = elsewhere_oid(conn, name, &oid, err);
    if (rc != 0 || oid == 0 || (want_oid != 0 && oid != want_oid))
        return rc;
    rc = ours ? elsewhere_end(conn, name, 0, DROP_WAIT_MS, err)
              : elsewhere_alone(conn, name, DROP_WAIT_MS, err);
    bool force = ours && PQserverVersion(conn) >= 130000;
    return rc == 0
               ? elsewhere_do(conn, "DROP DATABASE ", name, force ? " WITH (FORCE)" : "", "", err)
               : rc;
}

int twin_drop(struct subject *subject, const char *id, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    struct twin_note note;
    const char *other = "";
    int rc = read_own(subject, id, &note, err);
    if (rc != 0 || note.state == TWIN_NONE)
        return rc;
    rc = twin_place(subject, &note, err);
    if (rc == 0)
        rc = elsewhere_open(&subject->reach, &conn, &other, err);
    if (rc != 0)
        return err_wrap(err, "drop copy %s", note.name);
    if (note.state == TWIN_BACK) {
        char failed[ELSEWHERE_NAME_MAX + 1];
        twin_failed_name(note.of, failed);
        rc = note.failed_oid ? drop_named(conn, failed, note.failed_oid, false, err) : 0;
        if (rc == 0) /* the exchange was begun and did not happen */
            rc = drop_named(conn, note.name, note.oid, true, err);
    } else {
        rc = twin_wait_making(conn, note.name, true, DROP_WAIT_MS, err);
        if (rc == 0)
            rc = drop_named(conn, note.name, note.oid, true, err);
    }
    if (rc == 0)
        rc = forget(subject, id, err);
    if (rc == 0)
        job_log(subject->job, 6, "%s is dropped",
                note.state == TWIN_BACK ? "the failed database" : note.name);
    return rc == 0 ? 0 : err_wrap(err, "drop copy %s", note.name);
}
