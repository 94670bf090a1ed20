/* elsewhere - a connection to a database that is not the site's, from which the site's and its
 * copies are made, renamed and dropped.
 *
 * Ends nobody's session but our own, save in a copy (elsewhere_end()). */
#pragma once
#include "agent/worker/backup/reach.h"

#define ELSEWHERE_NAME_MAX 63
/* ret_name: the database that answered, a constant. */
int elsewhere_open(const struct reach *reach, PGconn **ret, const char **ret_name,
                   struct err *err) MUST_USE;
/* Its oid; zero when no database has that name. */
int elsewhere_oid(PGconn *conn, const char *name, uint64_t *ret_oid, struct err *err) MUST_USE;
/* before "a" between "b", the names quoted; b is left out when it is empty. */
int elsewhere_do(PGconn *conn, const char *before, const char *a, const char *between,
                 const char *b, struct err *err) MUST_USE;
/* Our own sessions in it are asked to end, others' are waited for so long, and then named
 * (FAIL_CONFLICT). */
int elsewhere_alone(PGconn *conn, const char *name, int64_t wait_ms, struct err *err) MUST_USE;
/* For a copy, in which nobody has any business: whoever is in it is asked to end and waited for so
 * long, but for the session of process but_pid (0: nobody). FAIL_CONFLICT names who stays. */
int elsewhere_end(PGconn *conn, const char *name, uint64_t but_pid, int64_t wait_ms,
                  struct err *err) MUST_USE;
