/* reach - the account by which a server's databases are read or written, for libpq and for
 * PostgreSQL's own programs alike.
 *
 * The site's account, or the one of the local policy (an admin connection). Secrets go by memory or
 * passfile only. */
#pragma once
#include "agent/worker/confluence/database.h"

struct reach {
    const struct database *database;
    const char *admin;          /* conninfo, "" for the site's own account */
    const char *admin_passfile; /* "" for none */
    const char *dir;            /* for a passfile of the site's account; 0700 */
};
int reach_connect(const struct reach *reach, const char *dbname_or_null, PGconn **ret,
                  struct err *err) MUST_USE;
/* Environment of a child; options is for PGOPTIONS, may be NULL. Free with
 * database_child_env_free(). */
int reach_env(const struct reach *reach, const char *dbname_or_null, const char *options,
              char ***ret, struct err *err) MUST_USE;
void reach_end(const struct reach *reach); /* removes the passfile */

/* Runs a program of PostgreSQL, its stdin and stdout through our callbacks. give: fills the next
 * bytes for stdin (0 length: its end); take: gets stdout. Either may be NULL. A status other than 0
 * is FAIL_TOOL with the end of its stderr. */
struct pump {
    int (*give)(void *ctx, const uint8_t **ret_bytes, size_t *ret_len, struct err *err);
    int (*take)(void *ctx, const void *bytes, size_t len, struct err *err);
    void *ctx;
    int64_t timeout_ms; /* without any byte moving; zero: none */
    const bool *enough; /* when it is true after take(): the program is ended, and that is a success;
                           may be NULL */
};
int pump_run(const char *const *argv, char *const *env, const struct pump *pump,
             struct err *err) MUST_USE;
