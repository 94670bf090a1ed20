/* Files of the installation against the release as it was shipped. */
#include "agent/worker/checks/facts_custom.h"
#include "agent/worker/checks/pristine.h"
#include "agent/worker/checks/tree_files.h"
#include "agent/worker/steps/inside.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#define DAY_S 86400
#define POM   "confluence/META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties"
#define LIB   "confluence/WEB-INF/lib/"
#define INIT  "confluence/WEB-INF/classes/confluence-init.properties"

struct looking {
    const struct gather_source *source;
    struct facts_custom *facts;
    int64_t until_mono_ms;
    struct pristine shipped;
    bool has_shipped;
    struct tree tree;
    char folder[FS_PATH_MAX]; /* the last folder that was told as one */
    enum custom_class folder_class;
};

static void looking_free(struct looking *looking)
{
    pristine_free(&looking->shipped);
    tree_free(&looking->tree);
}

/* ---------------------------------------------------------------- which folders */

static bool is_in(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* What runs, what Confleet and the installer keep, and Tomcat's own. */
static bool is_living(const char *path)
{
    static const char *const tops[] = { "logs", "work",    "temp",      ".confleet",
                                        "jre",  ".install4j", "uninstall", NULL };
    static const char *const deep[] = { "conf/Catalina", NULL };
    char top[64];
    size_t len = strcspn(path, "/");
    if (len < sizeof top) {
        memcpy(top, path, len);
        top[len] = 0;
        if (is_in(tops, top))
            return true;
    }
    for (const char *const *name = deep; *name; name++)
        if (strncmp(path, *name, strlen(*name)) == 0)
            return true;
    return strncmp(path, "bin/", 4) == 0 && strlen(path) > 4 &&
           strcmp(path + strlen(path) - 4, ".pid") == 0;
}

static bool home_is_here(const struct installation *site)
{
    return site->home && strcmp(site->home, site->install) == 0;
}

static bool enter(const void *arg, const char *folder)
{
    static const char *const tops[] = { "bin",      "conf",     "confluence",      "lib",
                                        "licenses", "webapps", "synchrony-proxy", NULL };
    const struct looking *looking = arg;
    const struct installation *site = looking->source->site;
    size_t install = strlen(site->install);
    if (is_living(folder))
        return false;
    if (site->home && strncmp(site->home, site->install, install) == 0 &&
        site->home[install] == '/' && strcmp(site->home + install + 1, folder) == 0)
        return false;
    /* Folders beside the release's own are one item each, however large. */
    return strchr(folder, '/') || is_in(tops, folder) ||
           (looking->has_shipped &&
            pristine_has_folder(&looking->shipped, folder, strlen(folder)));
}

/* ---------------------------------------------------------------- what was shipped */

struct source_thread {
    const char *path;
    int64_t until_mono_ms;
    struct pristine made;
    struct err err;
    int result;
};

static void *source_run(void *arg)
{
    struct source_thread *thread = arg;
    thread->result =
        pristine_of_archive(thread->path, thread->until_mono_ms, &thread->made, &thread->err);
    return NULL;
}

static bool tree_look(struct looking *looking, struct err *err)
{
    struct tree tree = { .count = 0 };
    if (tree_walk(looking->source->site->install, enter, looking, &tree, err) != 0)
        return false;
    tree_free(&looking->tree);
    looking->tree = tree;
    return true;
}

/* While one core unpacks the archive, the others hash the installation. */
static int shipped_of_archive(struct looking *looking, const char *path, struct err *err)
{
    struct source_thread thread = { .path = path, .until_mono_ms = looking->until_mono_ms };
    struct err unread = { 0 };
    pthread_t id;
    bool beside = pthread_create(&id, NULL, source_run, &thread) == 0;
    if (tree_look(looking, &unread)) {
        for (size_t i = 0; i < looking->tree.count; i++)
            looking->tree.files[i].wanted = true;
        tree_hash(&looking->tree, looking->until_mono_ms);
    }
    if (beside)
        (void)pthread_join(id, NULL);
    else
        (void)source_run(&thread);
    if (thread.result)
        return err_set(err, (enum fail)thread.err.code, "%s", thread.err.text);
    looking->shipped = thread.made;
    looking->has_shipped = true;
    return 0;
}

static int shipped_of_tree(struct looking *looking, struct err *err)
{
    const struct installation *site = looking->source->site;
    const struct inside in = { site->install, site->uid };
    CLEANUP(str_free) struct str text = { 0 };
    int rc = inside_read(in, CUSTOM_MANIFEST, PRISTINE_TEXT_MAX, &text, err);
    if (rc == 0)
        rc = pristine_parse(CUSTOM_MANIFEST, str_text(&text), text.len, &looking->shipped, err);
    looking->has_shipped = rc == 0;
    return rc;
}

static int shipped_of_file(struct looking *looking, const char *path, struct err *err)
{
    if (!pristine_is_manifest(path))
        return shipped_of_archive(looking, path, err);
    int rc = pristine_load(path, &looking->shipped, err);
    looking->has_shipped = rc == 0;
    return rc;
}

/* What a person named comes first; a list in the tree costs least. */
static void shipped_find(struct looking *looking)
{
    struct facts_custom *facts = looking->facts;
    const char *version = looking->source->site->version;
    const char *named = looking->source->order ? looking->source->order->pristine : "";
    char held[FACT_TEXT];
    struct err err = { 0 };
    if (named[0]) {
        (void)snprintf(facts->source, FACT_TEXT, "%.511s", named);
        if (shipped_of_file(looking, named, &err))
            (void)snprintf(facts->why, FACT_TEXT, "%.511s", err.text);
        return;
    }
    int rc = shipped_of_tree(looking, &err);
    (void)snprintf(facts->source, FACT_TEXT, "the list that the upgrade to %.60s left here",
                   version);
    if (rc == 0)
        return;
    if (rc != -FAIL_NOT_FOUND)
        (void)snprintf(facts->why, FACT_TEXT, "%.511s", err.text);
    err_clear(&err);
    custom_artifact(looking->source, version, held);
    (void)snprintf(facts->source, FACT_TEXT, "the archive of %.60s that this server holds",
                   version);
    if (held[0] && shipped_of_archive(looking, held, &err))
        (void)snprintf(facts->why, FACT_TEXT, "%.511s", err.text);
    else if (!held[0] && !facts->why[0])
        (void)snprintf(facts->why, FACT_TEXT,
                       "neither the archive of %.60s nor a list of its files is here",
                       version[0] ? version : "the installed version");
}

/* ---------------------------------------------------------------- telling */

static void text_add(char text[CUSTOM_TEXT], const char *what, const char *path)
{
    size_t used = strlen(text), room = CUSTOM_TEXT - used;
    char shown[200];
    size_t n = 0;
    for (const char *c = path; *c && n < sizeof shown - 1; c++)
        shown[n++] = (unsigned char)*c < ' ' || *c == 127 ? '?' : *c;
    shown[n] = 0;
    if (used >= 3 && strcmp(text + used - 3, "...") == 0)
        return;
    if (room < n + 40)
        (void)snprintf(text + used, room, "; ...");
    else
        (void)snprintf(text + used, room, "%s%s%s", used ? "; " : "", what, shown);
}

static void tell(struct looking *looking, enum custom_kind kind, const char *path,
                 const char *shown)
{
    static const char *const words[] = { "added ", "changed ", "missing ", "" };
    struct custom_group *group = &looking->facts->groups[custom_class_of(path)];
    group->counts[kind]++;
    if (kind != CUSTOM_SEEN)
        looking->facts->differences++;
    if (shown)
        text_add(group->names, words[kind], shown);
    if ((kind == CUSTOM_ADDED || kind == CUSTOM_CHANGED) && !custom_is_carried(path, kind)) {
        group->left++;
        if (shown)
            text_add(group->left_names, words[kind], shown);
    }
}

/* A folder that was not shipped is named once for each class of files in it. */
static void tell_added(struct looking *looking, const struct tree_file *file)
{
    const char *path = file->path;
    char shown[FS_PATH_MAX];
    if (is_living(path) || (home_is_here(looking->source->site) && !strchr(path, '/')))
        return;
    if (S_ISDIR(file->mode)) {
        (void)snprintf(shown, sizeof shown, "%.4000s/", path);
        tell(looking, CUSTOM_ADDED, path, shown);
        return;
    }
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - path);
        if (pristine_has_folder(&looking->shipped, path, len))
            continue;
        bool again = strlen(looking->folder) == len && strncmp(looking->folder, path, len) == 0 &&
                     looking->folder_class == custom_class_of(path);
        memcpy(looking->folder, path, len);
        looking->folder[len] = 0;
        looking->folder_class = custom_class_of(path);
        (void)snprintf(shown, sizeof shown, "%.*s", (int)len + 1, path);
        tell(looking, CUSTOM_ADDED, path, again ? NULL : shown);
        return;
    }
    tell(looking, CUSTOM_ADDED, path, path);
}

static void tell_unread(struct looking *looking, const struct tree_file *file, int error)
{
    struct facts_custom *facts = looking->facts;
    if (facts->unread++ == 0)
        (void)snprintf(facts->unread_name, FACT_TEXT, "%.400s: %s", file->path,
                       error ? strerror(error) : "not read in time");
}

static void tell_both(struct looking *looking, const struct pristine_file *shipped,
                      const struct tree_file *file)
{
    struct facts_custom *facts = looking->facts;
    bool kind_same = (shipped->mode & S_IFMT) == (file->mode & S_IFMT);
    if (file->failed || (kind_same && shipped->size == file->size && !file->hashed))
        tell_unread(looking, file, file->failed);
    else if (strcmp(file->path, INIT) != 0 && /* holds the home: every site's differs */
             (!kind_same || shipped->size != file->size ||
              memcmp(shipped->sha256, file->sha256, HASH_SIZE) != 0))
        tell(looking, CUSTOM_CHANGED, file->path, file->path);
    if (S_ISREG(file->mode) && (shipped->mode & 0100) && !(file->mode & 0100) &&
        facts->not_executable++ == 0)
        (void)snprintf(facts->not_executable_name, FACT_TEXT, "%.511s", file->path);
}

/* Whether path lies below something that stands in a folder's place or could not be entered. */
static bool is_hidden(const struct tree *tree, const char *path)
{
    char folder[FS_PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t from = 0, to = tree->count, len = (size_t)(slash - path);
        if (len >= sizeof folder)
            return true;
        memcpy(folder, path, len);
        folder[len] = 0;
        while (from < to) {
            size_t middle = from + (to - from) / 2;
            int order = strcmp(tree->files[middle].path, folder);
            if (order == 0)
                return true;
            if (order < 0)
                from = middle + 1;
            else
                to = middle;
        }
    }
    return false;
}

static void compare(struct looking *looking)
{
    const struct pristine *shipped = &looking->shipped;
    const struct tree *tree = &looking->tree;
    size_t s = 0, f = 0;
    while (s < shipped->count || f < tree->count) {
        const struct pristine_file *one = s < shipped->count ? &shipped->files[s] : NULL;
        const struct tree_file *other = f < tree->count ? &tree->files[f] : NULL;
        int order = !one ? 1 : !other ? -1 : strcmp(one->path, other->path);
        if (order == 0) {
            if (!is_living(other->path))
                tell_both(looking, one, other);
            s++, f++;
        } else if (order < 0) {
            if (!is_living(one->path) && !is_hidden(tree, one->path))
                tell(looking, CUSTOM_MISSING, one->path, one->path);
            s++;
        } else {
            if (other->failed && !is_living(other->path))
                tell_unread(looking, other, other->failed);
            else
                tell_added(looking, other);
            f++;
        }
    }
}

/* ---------------------------------------------------------------- the whole */

static const struct tree_file *tree_find(const struct tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->count; i++)
        if (strcmp(tree->files[i].path, path) == 0)
            return &tree->files[i];
    return NULL;
}

/* The vendor's own note of the version is nobody's to edit. */
static bool is_other_release(const struct looking *looking)
{
    const struct pristine_file *shipped = pristine_find(&looking->shipped, POM);
    const struct tree_file *here = tree_find(&looking->tree, POM);
    if (shipped && here && !here->failed)
        return shipped->size != here->size ||
               (here->hashed && memcmp(shipped->sha256, here->sha256, HASH_SIZE) != 0);
    size_t met = 0;
    for (size_t i = 0; i < looking->tree.count; i++)
        met += pristine_find(&looking->shipped, looking->tree.files[i].path) != NULL;
    return met * 2 < looking->shipped.count;
}

/* Only what has the shipped size needs to be read. */
static void want(struct looking *looking)
{
    for (size_t i = 0; i < looking->tree.count; i++) {
        struct tree_file *file = &looking->tree.files[i];
        const struct pristine_file *shipped =
            file->hashed ? NULL : pristine_find(&looking->shipped, file->path);
        file->wanted = shipped && shipped->size == file->size &&
                       (shipped->mode & S_IFMT) == (file->mode & S_IFMT);
    }
}

/* Nothing to compare with: what is a customer's by its kind, or was written after the release. */
static void guess(struct looking *looking)
{
    const struct tree *tree = &looking->tree;
    int64_t vendor_s = 0;
    size_t later = 0;
    for (size_t i = 0; i < tree->count && !vendor_s; i++)
        if (strncmp(tree->files[i].path, LIB "confluence-", sizeof LIB + 10) == 0 &&
            isdigit((unsigned char)tree->files[i].path[sizeof LIB + 10]))
            vendor_s = tree->files[i].mtime_s;
    for (size_t i = 0; i < tree->count; i++)
        later += vendor_s && S_ISREG(tree->files[i].mode) && !is_living(tree->files[i].path) &&
                 tree->files[i].mtime_s > vendor_s + DAY_S;
    /* Copied without their times, all files are late; then times say nothing. */
    bool times = later * 5 < tree->count;
    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_file *file = &tree->files[i];
        enum custom_class is = custom_class_of(file->path);
        bool late = times && vendor_s && file->mtime_s > vendor_s + DAY_S;
        if (file->failed && !is_living(file->path))
            tell_unread(looking, file, file->failed);
        if (!S_ISREG(file->mode) || is_living(file->path) || strcmp(file->path, INIT) == 0 ||
            (home_is_here(looking->source->site) && !strchr(file->path, '/')))
            continue;
        if (late || (is == CUSTOM_DRIVER && strstr(file->path, "/postgresql-") == NULL) ||
            (is == CUSTOM_KEYSTORE && strncmp(file->path, "conf/", 5) == 0))
            tell(looking, CUSTOM_SEEN, file->path, file->path);
    }
}

void facts_custom_files(const struct gather_source *source, int64_t until_mono_ms,
                        struct facts_custom *facts)
{
    CLEANUP(looking_free)
    struct looking looking = { .source = source, .facts = facts, .until_mono_ms = until_mono_ms };
    struct err err = { 0 };
    shipped_find(&looking);
    /* An archive may have shown folders that were not entered before it was read. */
    struct tree first = looking.tree;
    looking.tree = (struct tree){ .count = 0 };
    if (!tree_look(&looking, &err)) {
        tree_free(&first);
        (void)snprintf(facts->why, FACT_TEXT, "%.511s", err.text);
        return;
    }
    if (first.count == looking.tree.count) {
        struct tree second = looking.tree;
        looking.tree = first;
        first = second;
    }
    tree_free(&first);
    for (size_t i = 0; i < looking.tree.count; i++) {
        facts->files += S_ISREG(looking.tree.files[i].mode);
        facts->bytes += S_ISREG(looking.tree.files[i].mode) ? looking.tree.files[i].size : 0;
    }
    if (!looking.has_shipped) {
        guess(&looking);
        return;
    }
    facts->why[0] = 0;
    facts->shipped = looking.shipped.count;
    want(&looking);
    tree_hash(&looking.tree, until_mono_ms);
    if (is_other_release(&looking)) {
        (void)snprintf(facts->why, FACT_TEXT,
                       "%.400s is not the release that is installed here (%.60s)", facts->source,
                       source->site->version);
        guess(&looking);
        return;
    }
    compare(&looking);
    facts->compared = FACT_YES;
}
