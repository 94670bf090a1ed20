/* facts_custom - what this site changed: files of the installation against the release as it was
 * shipped, layouts, themes and templates in the database, and what the upgrade's merge would do.
 *
 * Names and counts alone: no file's text and no layout's body gets in here. The release as shipped
 * is known from the manifest that an upgrade by Confleet leaves in the installation, from the old
 * version's archive where the agent still has it, or from either as named by a person. */
#pragma once
#include "agent/worker/checks/gather.h"

#define CUSTOM_TEXT 900
#define CUSTOM_CLASSES(X)                                                                          \
    X(SERVER, "Tomcat's server.xml")                                                               \
    X(SETENV, "Java options")                                                                      \
    X(USER, "run user")                                                                            \
    X(WEB, "web.xml and context.xml")                                                              \
    X(SERAPH, "login (seraph)")                                                                    \
    X(CROWD, "user directories")                                                                   \
    X(LOG, "logging")                                                                              \
    X(CONFIG, "other configuration")                                                               \
    X(LAYOUT, "layouts (.vm)")                                                                     \
    X(JAR, "jars and classes")                                                                     \
    X(DRIVER, "database drivers")                                                                  \
    X(KEYSTORE, "keystores and certificates")                                                      \
    X(SCRIPT, "scripts")                                                                           \
    X(OTHER, "other files")
#define X(id, text) CUSTOM_##id,
enum custom_class { CUSTOM_CLASSES(X) CUSTOM_CLASS_COUNT };
#undef X
extern const char *const custom_class_names[CUSTOM_CLASS_COUNT];

enum custom_kind { CUSTOM_ADDED, CUSTOM_CHANGED, CUSTOM_MISSING, CUSTOM_SEEN, CUSTOM_KIND_COUNT };
struct custom_group {
    uint64_t counts[CUSTOM_KIND_COUNT]; /* SEEN: looks like it, but was not compared */
    uint64_t left; /* added or changed, and no rule of the upgrade carries it over */
    char names[CUSTOM_TEXT];      /* "changed conf/server.xml; added conf/a.p12"; cut with "..." */
    char left_names[CUSTOM_TEXT]; /* of those, the ones that stay behind */
};

struct custom_database {
    enum fact known, templates_known;
    char why[FACT_TEXT];
    uint64_t layouts, layouts_of_spaces, themes_of_spaces, templates, templates_of_spaces;
    char layout_names[CUSTOM_TEXT], theme[256], theme_names[CUSTOM_TEXT];
};

struct custom_merge {
    enum fact known;
    char why[FACT_TEXT];
    uint64_t files, conflicts, dropped, left; /* files: that the upgrade would change */
    char carried_text[CUSTOM_TEXT], conflict_text[CUSTOM_TEXT], dropped_text[CUSTOM_TEXT],
        left_text[CUSTOM_TEXT];
};

struct facts_custom {
    struct part part;
    enum fact compared;
    char why[FACT_TEXT];    /* why it was not compared */
    char source[FACT_TEXT]; /* what it was compared with */
    uint64_t files, bytes, shipped, differences;
    uint64_t unread; /* files and folders that could not be read */
    char unread_name[FACT_TEXT];
    uint64_t not_executable; /* scripts that were shipped to be run and now cannot be */
    char not_executable_name[FACT_TEXT];
    struct custom_group groups[CUSTOM_CLASS_COUNT];
    struct custom_database database;
    struct custom_merge merge;
};
gather_fn facts_gather_custom;
void facts_custom_free(struct facts_custom *facts);

/* Parts of it, for tests. */
enum custom_class custom_class_of(const char *path);
/* Whether the upgrade brings a file of this path over, by a merge or whole. */
bool custom_is_carried(const char *path, enum custom_kind kind);
/* until_mono_ms bounds reading and hashing; what is then missing is unknown. */
void facts_custom_files(const struct gather_source *source, int64_t until_mono_ms,
                        struct facts_custom *facts);
void facts_custom_database(const struct gather_source *source, struct custom_database *ret);
void facts_custom_merge(const struct gather_source *source, int64_t until_mono_ms,
                        struct custom_merge *ret);
/* The archive of a release that this server holds, or "". */
void custom_artifact(const struct gather_source *source, const char *version, char ret[FACT_TEXT]);
/* The old version's list of files, which the step "unpack" leaves in the tree. */
#define CUSTOM_MANIFEST ".confleet/manifest"
