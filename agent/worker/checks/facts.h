/* facts - everything the readiness checks judge, gathered once.
 *
 * Each family that came later keeps its facts in a part of its own: facts_FAMILY.h says what, and
 * facts_FAMILY.c finds it out.
 *
 * Gathering reads files, /proc and the database and changes nothing. Judges see this struct and
 * nothing else, so they are pure. What could not be found out is FACT_UNKNOWN with a reason, and no
 * judge may take it for good. */
#pragma once
#include "agent/worker/checks/facts_apps.h"
#include "agent/worker/checks/facts_backup.h"
#include "agent/worker/checks/facts_custom.h"
#include "agent/worker/checks/facts_history.h"
#include "agent/worker/checks/facts_licence.h"
#include "agent/worker/checks/facts_operations.h"
#include "agent/worker/checks/facts_platform.h"
#include "agent/worker/checks/facts_schema.h"
#include "agent/worker/confluence/installation.h"
#include "agent/worker/job.h"

#define PLACES_MAX 5

struct fact_connect {
    bool tried;
    int code;
    char text[FACT_TEXT];
}; /* code zero and tried: it worked */

struct fact_database {
    struct fact_connect site,
        admin;          /* the site's own account; database_admin of the local policy */
    int server_version; /* zero: not known */
    uint32_t build;     /* zero: not known, build_text says why */
    char build_text[FACT_TEXT];
    char account[128], owner[128], encoding[32], collate[64];
    enum fact superuser, createdb, owns,
        creates; /* of the account that is to restore: admin when given, else the site's */
    /* Whether it may rename and create databases of the owner, and whether it enters one from
     * which that is done: the way back needs both. elsewhere_text says why not. */
    enum fact renames, elsewhere;
    char elsewhere_text[FACT_TEXT];
    bool by_admin;
    char rights_text[FACT_TEXT];
    uint64_t foreign; /* objects whose owner we cannot become */
    enum fact foreign_known;
    char foreign_example[FACT_TEXT];
    uint64_t bytes;
    bool bytes_known;
    enum fact sessions_visible;
    uint64_t sessions; /* others than ours */
    char sessions_who[FACT_TEXT];
    uint64_t own_addresses; /* hosts from which the site's own account is connected */
    enum fact safety_table;
    char safety_text[FACT_TEXT];
    /* Where the server keeps the database, seen on this host; room_text says why not. */
    enum fact room_known;
    char room_path[FACT_TEXT], room_text[FACT_TEXT];
    uint64_t wal_bytes; /* max_wal_size: so much log the server may keep beside it */
    /* How the database would be captured at the stop, and why; capture_text says why not known. */
    enum fact copied;
    bool copy_insisted;
    char capture_text[FACT_TEXT];
};

struct fact_tools {
    int code, version; /* code zero: fit for use with the server when its version is known */
    char text[FACT_TEXT], dir[256];
    bool server_known;
    enum fact initdb; /* of the server's major version */
    char initdb_text[FACT_TEXT];
};

struct fact_size {
    uint64_t bytes, files;
    enum fact known;
};

/* One place that something is written to. dev tells which places share room. */
struct fact_place {
    const char *what;
    char path[FACT_TEXT];
    uint64_t need_bytes, need_files, free_bytes, free_files, dev;
    bool files_limited; /* some file systems have no fixed number of files */
    enum fact known;
};

struct fact_path {
    enum fact exists;
    bool is_dir, writable, read_only;
    unsigned mode;
    uint32_t uid;
};

struct facts {
    struct installation site;
    int64_t at_ms;                  /* when they were gathered */
    bool stuck;                     /* a gatherer was left behind: what it reads is never freed */
    struct gather_source *source;   /* target and installed release, catalogue; owned */
    struct catalogue *catalogue;    /* what source->catalogue is; owned */
    char catalogue_text[FACT_TEXT]; /* why the shipped releases are not in it; "" when they are */
    struct catalogue_release catalogued; /* the target without what the order says of it */
    /* Gathered side by side, each with a time limit (gather.h). */
    struct facts_licence licence;
    struct facts_platform platform;
    struct facts_schema schema;
    struct facts_apps apps;
    struct facts_custom custom;
    struct facts_operations operations;
    struct facts_history history;
    struct facts_backup backup;
    char install_folder[FACT_TEXT];
    /* the order */
    bool has_target;
    char target_version[64];
    uint32_t target_build;
    bool has_artifact;
    char artifact[FACT_TEXT];
    struct fact_path artifact_path;
    uint64_t artifact_bytes, artifact_want;
    enum site_env env;
    char scratch[16]; /* "auto", "server", "local" */

    struct fact_database database;
    struct fact_tools tools;
    struct fact_size install_size, home_size, index_size;
    struct fact_place places[PLACES_MAX];
    size_t place_count;

    /* the run user and the home */
    enum fact user_exists;
    uint32_t home_uid, process_uid;
    enum fact home_uid_known, process_uid_known;

    char outside[FACT_TEXT]; /* link in the home that leads out of it, and where to; "" for none */
    char outside_allowed[FACT_TEXT]; /* the same, of a folder that Confluence can do without */
    enum fact outside_known;
    enum fact
        port_taken; /* Confluence is stopped and something answers on its HTTP or shutdown port */
    uint32_t taken_port;

    struct fact_path backup_dir;
    char backup_path[FACT_TEXT];
    bool backup_inside; /* in the home or the installation */
    uint64_t backup_need; /* bytes that the next backup writes, about */
    uint64_t backup_rate; /* bytes a second that it may move; zero: as many as it can */

    char service[256]; /* unit of the policy, "" for the scripts */
    enum fact service_exists, start_script, stop_script;

    char hooks_path[FACT_TEXT];
    uint64_t hooks;
    char hooks_bad[FACT_TEXT]; /* first one that others than root can change; "" for none */
    enum fact hooks_known;

    enum fact guarded;         /* the start guard of an earlier run stands in bin/catalina.sh */
    char leftovers[FACT_TEXT]; /* folders of earlier runs beside the installation */
};

/* What a second copy of the database and its log take while both are there. */
uint64_t facts_room_need(const struct facts *facts);
int facts_gather(struct job *job, struct facts *ret, struct err *err) MUST_USE;
void facts_free(struct facts *facts); /* fits CLEANUP() */
/* Parts of it, each a file of its own. */
void facts_gather_database(const Confleet__WorkerNode *node, struct facts *facts);
void facts_gather_room(PGconn *conn, struct fact_database *facts);
bool facts_room_is_here(const char *data_dir, const char *port, int64_t started_s,
                        char why[FACT_TEXT]);
void facts_gather_server(struct job *job, struct facts *facts);
void facts_gather_space(struct job *job, struct facts *facts);
