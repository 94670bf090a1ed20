/* scratch - a database of our own to try a restore in: on the site's server, or on a throw-away
 * server of this host.
 *
 * It is named by the installation and gone afterwards, in every case; what a crash left is found by
 * that name and removed at the next begin. A local one runs as an unprivileged user, listens on a
 * unix socket only, and is never durable. */
#pragma once
#include "agent/worker/backup/contents.h"
#include "agent/worker/backup/reach.h"
#include "confleet/proc.h"

struct scratch_spec {
    const char *kind;          /* "auto", "server" or "local" */
    const struct reach *reach; /* of the site's server */
    const char *installation;  /* names what is made */
    const char *pg_bin;
    const char *places[4]; /* folders for a local one, the first with room that its user can reach;
                              ended by NULL */
    const char *run_user;  /* of the site: never runs a local one; may be "" */
    uint64_t bytes;        /* of the dump's content: what it needs at least */
};
struct scratch {
    struct reach reach; /* to get into it */
    char name[64];      /* of the database */
    bool local;
    bool as_postgres; /* a local one runs as the user that may also run the site's own server */
    struct database database; /* of a local one */
    struct reach server;      /* of the server that holds it */
    char *dir, *socket_dir;   /* of a local one */
    struct proc_child postmaster;
};
/* Tries one kind, "server" or "local", for contents as they were. */
int scratch_begin(const struct scratch_spec *spec, bool local, const struct contents *contents,
                  struct scratch **ret, struct err *err) MUST_USE;
int scratch_end(struct scratch **scratch, struct err *err) MUST_USE;
void scratch_free(struct scratch **scratch); /* scratch_end() for the way out after another failure;
                                                fits CLEANUP() */
