/* facts_apps - installed and bundled apps, from the database and from jars.
 *
 * Users' apps are rows of the table plugindata, the jar in a column; where the database cannot be
 * asked, the copies in <home>/plugins-cache are listed, which are those of the last start. Time,
 * bytes and count are bounded, and what was not read for that is listed all the same. */
#pragma once
#include "agent/worker/checks/gather.h"
#include "agent/worker/confluence/app_descriptor.h"
#include "agent/worker/confluence/app_state.h"
#include "confleet/app_catalogue.h"

#define FACT_APPS_MAX       4000
#define FACT_APPS_JAR_MAX   (128 * 1024 * 1024)           /* one jar out of the database */
#define FACT_APPS_BYTES_MAX ((uint64_t)768 * 1024 * 1024) /* all of them */

enum fact_app_where {
    APP_BY_USER, /* plugindata */
    APP_BUNDLED, /* WEB-INF/atlassian-bundled-plugins and -setup */
    APP_IN_LIB,  /* generation 1 in WEB-INF/lib */
};
struct fact_app {
    struct app app; /* key: of the database where there is one */
    char file[200];
    uint64_t size;
    enum fact_app_where where;
    enum fact enabled;
    enum fact read; /* FACT_NO: it is broken; FACT_UNKNOWN: it could not be told, why says so */
    char why[200];
    /* by the catalogue of apps */
    enum app_fit fit;
    bool known_key, blocks, update_now;
    char said[160];      /* which entry says so */
    char data_center[8]; /* "yes", "no", "" */
    char update[64];     /* newest version that fits the target; "" for none known */
};

struct facts_apps {
    struct part part;
    enum fact user_known; /* all apps of the database are listed */
    bool from_cache;      /* they were taken from plugins-cache */
    char user_why[FACT_TEXT];
    enum fact states_known; /* which were switched off */
    char states_why[FACT_TEXT];
    enum fact bundled_known, lib_known;
    char bundled_why[FACT_TEXT], lib_why[FACT_TEXT];
    struct fact_app *apps; /* owned */
    size_t count, left_out;
    enum fact catalogue_known; /* a catalogue of apps is here */
    char catalogue_why[FACT_TEXT];
    size_t catalogue_count;
};
gather_fn facts_gather_apps;
void facts_apps_free(struct facts_apps *facts);

/* Shared by the files that gather; nobody else uses these. */
struct apps_gathering {
    const struct gather_source *source;
    struct facts_apps *facts;
    struct app_state *states; /* NULL: not known */
    int64_t until_mono_ms;
};
bool apps_late(const struct apps_gathering *gathering);
struct fact_app *apps_add(struct apps_gathering *gathering, enum fact_app_where where,
                          const char *file, uint64_t size); /* NULL: too many */
void apps_read(struct fact_app *app, const struct app *found, int result, const struct err *err);
void apps_gather_database(struct apps_gathering *gathering);
