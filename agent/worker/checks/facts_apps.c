#include "agent/worker/checks/facts_apps.h"
#include "agent/worker/confluence/app_jar.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define TIME_MS   90000 /* of the 120 seconds that the part has */
#define FILES_MAX 5000  /* of one folder */
#define BUNDLED   "confluence/WEB-INF/atlassian-bundled-plugins"
#define LIB       "confluence/WEB-INF/lib"

bool apps_late(const struct apps_gathering *gathering)
{
    return clock_mono_ms() >= gathering->until_mono_ms;
}

static void clean(char *text)
{
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 127)
            *at = '?';
}

struct fact_app *apps_add(struct apps_gathering *gathering, enum fact_app_where where,
                          const char *file, uint64_t size)
{
    struct facts_apps *facts = gathering->facts;
    if (facts->count >= FACT_APPS_MAX) {
        facts->left_out++;
        return NULL;
    }
    facts->apps = mem_grow(facts->apps, facts->count + 1, sizeof *facts->apps);
    struct fact_app *app = &facts->apps[facts->count++];
    *app = (struct fact_app){ .where = where, .size = size, .enabled = FACT_UNKNOWN };
    (void)snprintf(app->file, sizeof app->file, "%.199s", file);
    clean(app->file);
    return app;
}

void apps_read(struct fact_app *app, const struct app *found, int result, const struct err *err)
{
    char key[sizeof app->app.key];
    (void)snprintf(key, sizeof key, "%s", app->app.key);
    if (result == 0) {
        app->app = *found;
        app->read = FACT_YES;
        if (key[0] && strcmp(key, found->key) != 0)
            (void)snprintf(app->why, sizeof app->why, "the jar says to be %.150s", found->key);
        if (key[0]) /* what Confluence calls it */
            (void)snprintf(app->app.key, sizeof app->app.key, "%s", key);
        return;
    }
    app->read = result == -FAIL_CORRUPT || result == -FAIL_NOT_FOUND ? FACT_NO : FACT_UNKNOWN;
    (void)snprintf(app->why, sizeof app->why, "%.199s", err->text);
}

/* ------------------------------------------------------------------ folders */

static bool is_jar(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && (strcmp(name + len - 4, ".jar") == 0 || strcmp(name + len - 4, ".obr") == 0);
}

/* Libraries are no apps; and of the rest only those of generation 1 live there. */
static bool belongs(enum fact_app_where where, const struct app *app, int result)
{
    if (where != APP_IN_LIB)
        return true;
    return result == 0 && app->generation <= 1;
}

/* Whether it is an app cannot be said. */
static void lib_unread(struct facts_apps *facts, const char *name, const struct err *err)
{
    if (facts->lib_why[0])
        return;
    (void)snprintf(facts->lib_why, FACT_TEXT, "%.199s cannot be read as a jar: %.200s", name,
                   err->text);
    clean(facts->lib_why);
}

static void look_at(struct apps_gathering *gathering, enum fact_app_where where, const char *folder,
                    const char *name)
{
    CLEANUP(free_mem) char *path = fs_join(folder, name);
    struct app found = { .key = "" };
    struct err err = { 0 };
    struct stat st = { 0 };
    if (stat(path, &st) != 0)
        st.st_size = 0;
    else if (S_ISDIR(st.st_mode)) /* which Java does not take for a jar either */
        return;
    int result = apps_late(gathering)
                     ? err_set(&err, FAIL_TIMEOUT, "not read, since the time was over")
                     : app_jar_read(path, &found, &err);
    if (where == APP_IN_LIB && result != 0 && result != -FAIL_NOT_FOUND)
        lib_unread(gathering->facts, name, &err);
    if (!belongs(where, &found, result))
        return;
    struct fact_app *app = apps_add(gathering, where, name, (uint64_t)st.st_size);
    if (app)
        apps_read(app, &found, result, &err);
}

static enum fact look_into(struct apps_gathering *gathering, enum fact_app_where where,
                           const char *folder, char why[FACT_TEXT])
{
    DIR *dir = opendir(folder);
    int jars = 0;
    if (!dir) {
        (void)snprintf(why, FACT_TEXT, "%.300s: %s", folder, strerror(errno));
        return FACT_UNKNOWN;
    }
    int seen = 0;
    for (struct dirent *entry = NULL; seen < FILES_MAX && (entry = readdir(dir)) != NULL; seen++)
        if (is_jar(entry->d_name)) {
            look_at(gathering, where, folder, entry->d_name);
            jars++;
        }
    (void)closedir(dir);
    /* Every release has libraries there: this is not the folder that Confluence reads. */
    if (where == APP_IN_LIB && jars == 0 && !why[0])
        (void)snprintf(why, FACT_TEXT, "%.300s holds no jar", folder);
    if (seen == FILES_MAX)
        (void)snprintf(why, FACT_TEXT, "%.300s holds more than %d files", folder, FILES_MAX);
    else if (apps_late(gathering))
        (void)snprintf(why, FACT_TEXT, "%.300s: not all read within %d s", folder, TIME_MS / 1000);
    return why[0] ? FACT_UNKNOWN : FACT_YES;
}

static void look_for_bundled(struct apps_gathering *gathering)
{
    struct facts_apps *facts = gathering->facts;
    CLEANUP(free_mem) char *folder = fs_join(gathering->source->site->install, BUNDLED);
    CLEANUP(free_mem) char *setup = text_printf("%s-setup", folder);
    char why[FACT_TEXT] = "";
    facts->bundled_known = look_into(gathering, APP_BUNDLED, folder, facts->bundled_why);
    (void)look_into(gathering, APP_BUNDLED, setup, why); /* not every release has it */
}

static void look_for_lib(struct apps_gathering *gathering)
{
    struct facts_apps *facts = gathering->facts;
    CLEANUP(free_mem) char *folder = fs_join(gathering->source->site->install, LIB);
    facts->lib_known = look_into(gathering, APP_IN_LIB, folder, facts->lib_why);
}

/* What the last start unpacked; Confluence may have got or lost an app since, so the list is not
 * known to be whole. */
static void look_for_cached(struct apps_gathering *gathering)
{
    struct facts_apps *facts = gathering->facts;
    char why[FACT_TEXT] = "";
    if (!gathering->source->site->home)
        return;
    CLEANUP(free_mem) char *folder = fs_join(gathering->source->site->home, "plugins-cache");
    if (!fs_is_dir(folder))
        return;
    facts->from_cache = true;
    (void)look_into(gathering, APP_BY_USER, folder, why);
}

/* ------------------------------------------------------------------ judgements of others */

static void set_enabled(const struct apps_gathering *gathering, struct fact_app *app)
{
    bool enabled = true;
    if (!gathering->states || !app->app.key[0])
        app->enabled = FACT_UNKNOWN;
    else if (app_state_of(gathering->states, app->app.key, &enabled))
        app->enabled = enabled ? FACT_YES : FACT_NO;
    else if (app->read == FACT_YES)
        app->enabled = app->app.off ? FACT_NO : FACT_YES;
}

static void ask_catalogue(const struct apps_gathering *gathering,
                          const struct app_catalogue *catalogue, struct fact_app *app)
{
    const struct gather_source *source = gathering->source;
    struct app_question question = { app->app.key, app->app.version, source->target.text,
                                     source->site->version };
    struct app_answer answer;
    app_catalogue_ask(catalogue, &question, &answer);
    app->fit = answer.fit;
    app->known_key = answer.known_key;
    app->blocks = answer.blocks;
    app->update_now = answer.update_now;
    (void)snprintf(app->data_center, sizeof app->data_center, "%s", answer.data_center);
    if (answer.update)
        (void)snprintf(app->update, sizeof app->update, "%s", answer.update->version);
    if (answer.entry)
        (void)snprintf(app->said, sizeof app->said, "%.30s to %.30s by %.60s%s%.15s",
                       answer.entry->from, answer.entry->to,
                       answer.entry->source[0] ? answer.entry->source : "the catalogue",
                       answer.entry->date[0] ? ", " : "", answer.entry->date);
}

static void look_up_all(struct apps_gathering *gathering)
{
    struct facts_apps *facts = gathering->facts;
    const char *path = gathering->source->node->apps_file;
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = NULL;
    struct err err = { 0 };
    if (!path[0]) {
        (void)snprintf(facts->catalogue_why, FACT_TEXT, "no catalogue of apps was imported");
        return;
    }
    if (app_catalogue_load(path, &catalogue, &err) != 0) {
        (void)snprintf(facts->catalogue_why, FACT_TEXT, "%.511s", err.text);
        return;
    }
    facts->catalogue_known = FACT_YES;
    facts->catalogue_count = app_catalogue_count(catalogue);
    for (size_t i = 0; i < facts->count; i++)
        if (facts->apps[i].where != APP_BUNDLED && facts->apps[i].app.key[0])
            ask_catalogue(gathering, catalogue, &facts->apps[i]);
}

static int in_order(const void *a, const void *b)
{
    const struct fact_app *x = a, *y = b;
    int order = strcmp(x->app.key, y->app.key);
    if (x->where != y->where)
        return x->where < y->where ? -1 : 1;
    return order ? order : strcmp(x->file, y->file);
}

void facts_gather_apps(const struct gather_source *source, void *part)
{
    struct facts_apps *facts = part;
    struct apps_gathering gathering = { source, facts, NULL, clock_mono_ms() + TIME_MS };
    apps_gather_database(&gathering);
    if (facts->user_known != FACT_YES && facts->count == 0)
        look_for_cached(&gathering);
    look_for_lib(&gathering);
    look_for_bundled(&gathering);
    for (size_t i = 0; i < facts->count; i++)
        set_enabled(&gathering, &facts->apps[i]);
    if (facts->count)
        qsort(facts->apps, facts->count, sizeof *facts->apps, in_order);
    look_up_all(&gathering);
    app_state_free(&gathering.states);
}

void facts_apps_free(struct facts_apps *facts)
{
    free_mem(&facts->apps);
    facts->count = 0;
}
