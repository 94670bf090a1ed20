/* same_database - which sites of the inventory name one and the same database.
 *
 * Told by what agents report: host, port and name of the JDBC URL. "localhost" and its like mean
 * the agent's own host, so they never join sites of two agents. Two names of one host are not seen
 * through; what is said here is certain, what is not said is not. */
#pragma once
#include "controller/edge/store_sites.h"

struct same_database_row {
    const char *site, *where;
};
struct same_database {
    struct same_database_row **rows;
    size_t count;
};
/* Of all sites; in the pool. */
int same_database_read(struct store *store, struct pool *pool, struct same_database *ret,
                       struct err *err) MUST_USE;
/* Names of the other sites that share this one's database; in the pool. */
void same_database_of(const struct same_database *same, struct pool *pool, const char *site,
                      char ***ret, size_t *ret_count);
/* "AGENT//PORT/NAME" for a database on the agent's own host, else as it is; "" for none. */
char *same_database_where(const char *agent, const char *where);
