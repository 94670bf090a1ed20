#include "scratch.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "scratch_local.h"
#include <string.h>

/* Two hosts may hold installations of one name and share a server or a backup folder: the name
 * tells them apart, those that bear one name as well. */
void scratch_name(const struct scratch_spec *spec, char out[64])
{
    char host[256] = "", hex[HASH_HEX_MAX];
    CLEANUP(str_free) struct str machine = { 0 };
    struct err ignored = { 0 };
    (void)gethostname(host, sizeof host - 1);
    if (fs_read("/etc/machine-id", 256, &machine, &ignored) != 0)
        err_clear(&ignored); /* not every container has one */
    CLEANUP(free_mem)
    char *text = text_printf("%s\n%s\n%s\n%s", host, str_text(&machine), spec->installation,
                             spec->reach->database->name);
    hash_bytes_hex(text, strlen(text), hex);
    (void)snprintf(out, 64, "confleet_scratch_%.16s", hex);
}

static int add_literal(PGconn *conn, struct str *sql, const char *before, const char *value,
                       struct err *err)
{
    CLEANUP(pq_drop) char *quoted = PQescapeLiteral(conn, value, strlen(value));
    if (!quoted)
        return err_set(err, FAIL_DATABASE, "'%s' cannot be quoted", value);
    str_addf(sql, "%s%s", before, quoted);
    return 0;
}

static int drop_database(PGconn *conn, const char *name, struct err *err)
{
    CLEANUP(free_mem)
    char *sql = text_printf("DROP DATABASE IF EXISTS %s%s", name,
                            PQserverVersion(conn) >= 130000 ? " WITH (FORCE)" : "");
    return database_do(conn, sql, err);
}

/* The same encoding and locale, or rows would be ordered and compared otherwise; from template0, so
 * that nothing local is in it. */
static int create_database(PGconn *conn, const char *name, const struct contents *c,
                           struct err *err)
{
    CLEANUP(str_free) struct str sql = { 0 };
    int version = PQserverVersion(conn);
    str_addf(&sql, "CREATE DATABASE %s TEMPLATE template0", name);
    int rc = add_literal(conn, &sql, " ENCODING ", c->encoding, err);
    if (rc == 0)
        rc = add_literal(conn, &sql, " LC_COLLATE ", c->collate, err);
    if (rc == 0)
        rc = add_literal(conn, &sql, " LC_CTYPE ", c->ctype, err);
    if (rc == 0 && version >= 150000 && strcmp(c->provider, "i") == 0)
        rc = add_literal(conn, &sql, " LOCALE_PROVIDER icu ICU_LOCALE ", c->locale, err);
    else if (rc == 0 && version >= 170000 && strcmp(c->provider, "b") == 0)
        rc = add_literal(conn, &sql, " LOCALE_PROVIDER builtin BUILTIN_LOCALE ", c->locale, err);
    else if (rc == 0 && version >= 150000)
        str_add(&sql, " LOCALE_PROVIDER libc");
    return rc == 0 ? database_do(conn, sql.s, err) : rc;
}

static int begin_on_server(const struct scratch_spec *spec, struct scratch *s,
                           const struct contents *contents, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    uint64_t may = 0;
    bool found = false;
    s->server = *spec->reach;
    int rc = reach_connect(&s->server, NULL, &conn, err);
    if (rc == 0)
        rc = database_u64(
            conn,
            "SELECT (rolcreatedb OR rolsuper)::int FROM pg_roles WHERE rolname = current_user",
            &may, &found, err);
    if (rc != 0)
        return rc;
    if (!found || may == 0)
        return err_set(err, FAIL_DENIED,
                       "account %s may not create databases on the site's server (ALTER ROLE … "
                       "CREATEDB would allow it)",
                       PQuser(conn));
    rc = drop_database(conn, s->name, err);
    if (rc == 0)
        rc = create_database(conn, s->name, contents, err);
    return rc;
}

static int create_roles(PGconn *conn, const struct contents *c, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->role_count; i++) {
        if (strcmp(c->roles[i].b, "bootstrap") == 0)
            continue;
        CLEANUP(pq_drop)
        char *quoted = PQescapeIdentifier(conn, c->roles[i].a, strlen(c->roles[i].a));
        if (!quoted)
            return err_set(err, FAIL_DATABASE, "role '%s' cannot be quoted", c->roles[i].a);
        CLEANUP(free_mem) char *sql = text_printf("CREATE ROLE %s NOLOGIN", quoted);
        /* What owns and is granted must exist to be restored; rights of its own it needs none. */
        if ((rc = database_do(conn, sql, err)) != 0)
            return err_wrap(err, "role %s on the throw-away server", c->roles[i].a);
    }
    return rc;
}

static int begin_local(const struct scratch_spec *spec, struct scratch *s,
                       const struct contents *contents, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    s->local = true;
    int rc = scratch_local_start(spec, s, contents, err);
    if (rc == 0)
        rc = reach_connect(&s->server, "postgres", &conn, err);
    if (rc == 0)
        rc = create_roles(conn, contents, err);
    if (rc == 0)
        rc = create_database(conn, s->name, contents, err);
    return rc;
}

int scratch_begin(const struct scratch_spec *spec, bool local, const struct contents *contents,
                  struct scratch **ret, struct err *err)
{
    CLEANUP(scratch_free) struct scratch *s = mem_zero(1, sizeof *s);
    s->postmaster = (struct proc_child){ 0, -1, -1, -1, -1, false };
    scratch_name(spec, s->name);
    int rc = local ? begin_local(spec, s, contents, err) : begin_on_server(spec, s, contents, err);
    if (rc != 0)
        return rc;
    s->reach = s->server;
    *ret = TAKE(s);
    return 0;
}

static void forget(struct scratch **scratch)
{
    struct scratch *s = *scratch;
    free(s->dir);
    free(s->socket_dir);
    proc_child_close(&s->postmaster);
    free(s);
    *scratch = NULL;
}

int scratch_end(struct scratch **scratch, struct err *err)
{
    struct scratch *s = *scratch;
    int rc = 0;
    if (s->local) {
        rc = scratch_local_stop(s, err);
    } else if (s->server.database) {
        CLEANUP(database_close) PGconn *conn = NULL;
        rc = reach_connect(&s->server, NULL, &conn, err);
        if (rc == 0)
            rc = drop_database(conn, s->name, err);
    }
    if (rc != 0 && err)
        rc = err_wrap(err, "remove the scratch database %s", s->name);
    forget(scratch);
    return rc;
}

void scratch_free(struct scratch **scratch)
{
    struct err ignored = { 0 };
    if (*scratch && scratch_end(scratch, &ignored) != 0)
        err_clear(&ignored); /* another failure is being told; the next begin finds what is left by
                                its name */
}
