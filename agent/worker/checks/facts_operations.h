/* facts_operations - what runs around the site: scanners, index, collaborative editing, access
 * mode, nodes, and what a test clone must not share with production. */
#pragma once
#include "agent/worker/checks/gather.h"

enum site_env { ENV_PRODUCTION, ENV_TEST }; /* a site without a label is judged as production */

struct facts_operations {
    struct part part;
    /* processes */
    enum fact processes_known;
    char scanners[FACT_TEXT]; /* names and pids of known scanners, "" for none */
    enum fact fanotify_known; /* only root sees who watches file systems */
    char fanotify[FACT_TEXT]; /* programs that get file events and may delay opening */
    /* confluence.cfg.xml */
    enum fact config_known;
    char access_mode[32]; /* "" when the file does not say */
    char synchrony[32];   /* of synchrony.btf: "true", "false", "" */
    char node_count_why[FACT_TEXT];
    bool clustered;
    uint32_t peers; /* named in confluence.cluster.peers; zero: not told */
    /* the index */
    enum fact index_known;
    uint64_t index_bytes, index_files;
    char index_why[FACT_TEXT];
    /* HTTP, when Confluence runs */
    enum fact tasks_known;
    uint32_t tasks_running;
    char tasks_why[FACT_TEXT];
    /* options of bin/setenv.sh, and of the running process */
    enum fact mail_known;
    bool mail_send_off, mail_fetch_off;
    enum fact links_known;
    uint64_t links; /* application links in the database */
    char links_why[FACT_TEXT];
    /* from the order */
    enum site_env env;
    bool by_controller;            /* somebody knows the other sites */
    char same_database[FACT_TEXT]; /* other sites with this database, "" for none */
};
enum site_env site_env_of(const char *label);
gather_fn facts_gather_operations;
void facts_operations_free(struct facts_operations *facts);
