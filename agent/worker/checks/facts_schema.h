/* facts_schema - what the database and the way to it tell of trouble ahead: collation, extensions,
 * open transactions, ownership of every table, broken indexes, pool, URL, driver. */
#pragma once
#include "agent/worker/checks/gather.h"

struct facts_schema {
    struct part part;
    /* confluence.cfg.xml and the installation, for every kind of database */
    enum fact config_known;
    char config_why[FACT_TEXT];
    uint32_t pool_max;   /* zero: not set */
    char pool_text[128]; /* as written when it is no number */
    char driver[128];    /* hibernate.connection.driver_class */
    bool storage_engine; /* the URL holds a parameter storage_engine */
    bool datasource;
    enum fact driver_jar_known; /* looked for in WEB-INF/lib and lib */
    char driver_jar[FACT_TEXT]; /* file names of jars that look like the driver's, "" for none */
    /* the server; FACT_UNKNOWN with why for other kinds, and when it did not answer */
    enum fact asked;
    char why[FACT_TEXT];
    int server_version;
    char collate[64];
    enum fact collation_moved_known;
    char collation_moved[FACT_TEXT]; /* "2.31, now 2.36": the library's rules are others now */
    char extensions[FACT_TEXT];      /* besides plpgsql, "" for none */
    uint64_t bytes, tables;
    enum fact transactions_known;
    uint64_t old_transactions; /* open for ten minutes and more, of others */
    char old_transaction[FACT_TEXT];
    uint64_t prepared; /* prepared transactions, which hold locks without a session */
    enum fact ddl_known;
    enum fact ddl_create; /* CREATE in the site's schema */
    uint64_t ddl_foreign; /* tables of the schema that the site's account cannot alter */
    char ddl_example[256];
    enum fact indexes_known;
    uint64_t indexes_broken;
    char index_example[256];
};
gather_fn facts_gather_schema;
void facts_schema_free(struct facts_schema *facts);
