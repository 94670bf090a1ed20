/* copies - a site whose database was copied inside its server at the stop, and what is left there.
 */
#pragma once
#include "agent/worker/backup/twin.h"
#include "spoil.h"

#define LEFT                                                                                       \
    "SELECT coalesce(string_agg(datname, ' ' ORDER BY datname), '') FROM pg_database WHERE "       \
    "datname LIKE '%confleet%'"

static inline struct twin_note noted(const struct world *w)
{
    struct err err = { 0 };
    struct twin_note note = { .state = TWIN_NONE };
    CHECK_OK(twin_read(w->backup, "app-1", world_memo(w, MEMO_STOP_BACKUP), &note, &err), err);
    return note;
}

static inline const char *copy_name(const struct world *w)
{
    static char name[64];
    twin_name(world_memo(w, MEMO_STOP_BACKUP), name);
    return name;
}

static inline int tidy_back(struct job *job, struct err *err)
{
    (void)err;
    twin_tidy(job, false);
    return 0;
}

static inline int tidy_kept(struct job *job, struct err *err)
{
    (void)err;
    twin_tidy(job, true);
    return 0;
}

static inline void tidy(struct world *w, step_fn *fn)
{
    CHECK_OK(world_job(w, fn), w->err);
}

static inline void clear_copies(void)
{
    for (const char *name; (name = cluster_ask("postgres", "SELECT datname FROM pg_database WHERE "
                                                           "datname LIKE 'confleet\\_copy%' LIMIT "
                                                           "1"))[0];) {
        CLEANUP(free_mem) char *sql = text_printf("DROP DATABASE \"%s\"", name);
        cluster_sql("postgres", "postgres", sql);
    }
}

static inline void to_the_copy(struct world *w)
{
    furnish(w);
    clear_copies();
    /* Lists, odd names, grants that may be passed on, and one that was taken away. */
    cluster_sql("postgres", "wiki",
                "ALTER DATABASE wiki SET search_path = public, \"Second \"\"one\"; ALTER DATABASE "
                "wiki SET my.own = 'it''s, so'; ALTER ROLE \"odd Role\" IN DATABASE wiki SET "
                "temp_tablespaces = ''; GRANT CREATE ON DATABASE wiki TO \"odd Role\" WITH GRANT "
                "OPTION; REVOKE TEMP ON DATABASE wiki FROM conf");
    w->node.stop_capture = (char *)(uintptr_t) "auto";
    STEP(w, "capture-files");
    STEP(w, "capture-database");
}

static inline void go_back(struct world *w)
{
    w->order.new_build_started = true;
    UNDO(w, "capture-database");
    UNDO(w, "capture-files");
    world_fingerprint(w, "before", true);
}

static inline PGconn *join_copy(const struct world *w)
{
    struct err err = { 0 };
    PGconn *conn = NULL;
    CLEANUP(free_mem)
    char *yes = text_printf("ALTER DATABASE %s ALLOW_CONNECTIONS true", copy_name(w)),
         *no = text_printf("ALTER DATABASE %s ALLOW_CONNECTIONS false", copy_name(w));
    cluster_sql("postgres", "postgres", yes);
    CHECK_OK(database_connect(&cluster.site, copy_name(w), cluster.admin, NULL, 60, &conn, &err),
             err);
    CHECK_OK(database_do(conn, "SET application_name = 'an exporter'", &err), err);
    cluster_sql("postgres", "postgres", no);
    return conn;
}

static inline bool is_ended(PGconn *conn)
{
    struct err err = { 0 };
    return database_do(conn, "SELECT 1", &err) != 0;
}
