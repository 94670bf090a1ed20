/* load - rows as COPY sends them, into a database, over one or several connections at once.
 *
 * One table after the other goes in; the rows of a large one are dealt out to all connections, cut
 * between rows, so that the order of rows is not kept. Each connection's part of a table is a
 * transaction. Knows no archive, and decides nothing about what is loaded where. */
#pragma once
#include "agent/worker/backup/reach.h"

#define LOAD_CONNECTIONS_MAX 4u

struct load_spec {
    const struct reach *reach;
    const char *dbname;
    const char *encoding; /* of the rows */
    const char *set[8];   /* "name=value" for each session, ended by NULL */
    unsigned connections; /* at least one; fewer if the server gives no more */
};
struct load;
int load_new(const struct load_spec *spec, struct load **ret, struct err *err) MUST_USE;
void load_free(struct load **load); /* before load_finish(): gives up what is not committed */
/* Begins a table; copy is "COPY … FROM stdin;", borrowed until load_finish(). */
void load_table(struct load *load, const char *copy);
/* What fails in a connection is told by one of the next calls, at the latest by load_finish(). */
int load_add(struct load *load, const void *bytes, size_t len, struct err *err) MUST_USE;
/* Its bytes must end in pg_dump's end of data, which is not sent. */
int load_table_end(struct load *load, struct err *err) MUST_USE;
int load_finish(struct load *load, struct err *err) MUST_USE; /* all is committed */
