#include "agent/worker/checks/facts_custom.h"
#include "agent/worker/steps/carry.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include <string.h>

#define LIMIT_MS 240000 /* within the 300 s of the table of gatherers */

#define X(id, text) [CUSTOM_##id] = (text),
const char *const custom_class_names[CUSTOM_CLASS_COUNT] = { CUSTOM_CLASSES(X) };
#undef X

static bool ends(const char *text, const char *end)
{
    size_t len = strlen(text), tail = strlen(end);
    return len >= tail && strcasecmp(text + len - tail, end) == 0;
}

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_keystore(const char *name)
{
    static const char *const tails[] = { ".jks", ".p12", ".pfx",    ".keystore", ".truststore",
                                         ".ks",  ".pem", ".key",    ".crt",      ".cer",
                                         ".csr", ".der", "cacerts", ".bcfks",    NULL };
    for (const char *const *tail = tails; *tail; tail++)
        if (ends(name, *tail))
            return true;
    return false;
}

static bool is_driver(const char *name)
{
    static const char *const starts[] = { "mysql-connector", "ojdbc", "mssql-jdbc",
                                          "sqljdbc",         "jtds",  "postgresql-",
                                          "mariadb-java",    NULL };
    for (const char *const *start = starts; *start; start++)
        if (begins(name, *start))
            return true;
    return false;
}

static bool is_config(const char *path)
{
    return begins(path, "conf/") || strcmp(path, "confluence/robots.txt") == 0 ||
           (begins(path, "confluence/WEB-INF/") &&
            (ends(path, ".properties") || ends(path, ".xml") || ends(path, ".types") ||
             ends(path, ".conf")));
}

enum custom_class custom_class_of(const char *path)
{
    static const struct {
        const char *path;
        enum custom_class is;
    } known[] = {
        { "conf/server.xml", CUSTOM_SERVER },  { "bin/setenv.sh", CUSTOM_SETENV },
        { "bin/setjre.sh", CUSTOM_SETENV },    { "bin/user.sh", CUSTOM_USER },
        { "conf/web.xml", CUSTOM_WEB },        { "confluence/WEB-INF/web.xml", CUSTOM_WEB },
        { "conf/context.xml", CUSTOM_WEB },    { "conf/logging.properties", CUSTOM_LOG },
        { "conf/tomcat-users.xml", CUSTOM_CROWD },
    };
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].path, path) == 0)
            return known[i].is;
    if (ends(name, ".jar"))
        return is_driver(name) ? CUSTOM_DRIVER : CUSTOM_JAR;
    if (ends(name, ".class"))
        return CUSTOM_JAR;
    if (ends(name, ".vm") || ends(name, ".vmd"))
        return CUSTOM_LAYOUT;
    if (is_keystore(name))
        return CUSTOM_KEYSTORE;
    if (begins(path, "confluence/WEB-INF/classes/")) {
        if (begins(name, "seraph-"))
            return CUSTOM_SERAPH;
        if (begins(name, "log4j"))
            return CUSTOM_LOG;
        if (strcmp(name, "crowd.properties") == 0 || strcmp(name, "osuser.xml") == 0 ||
            strcmp(name, "atlassian-user.xml") == 0)
            return CUSTOM_CROWD;
    }
    if (is_config(path))
        return CUSTOM_CONFIG;
    return ends(name, ".sh") || ends(name, ".bat") || begins(path, "bin/") ? CUSTOM_SCRIPT
                                                                            : CUSTOM_OTHER;
}

bool custom_is_carried(const char *path, enum custom_kind kind)
{
    static const char lib[] = "confluence/WEB-INF/lib/";
    for (const char *const *name = carry_files; *name; name++)
        if (strcmp(*name, path) == 0)
            return true;
    if (kind != CUSTOM_ADDED)
        return false;
    return (begins(path, "conf/") && !strchr(path + 5, '/')) ||
           (begins(path, lib) && ends(path, ".jar") && !strchr(path + sizeof lib - 1, '/'));
}

/* An archive lies there by its digest, and was compared with it when it came. */
static bool held(const Confleet__WorkerNode *node, const Confleet__Release *release,
                 char ret[FACT_TEXT])
{
    if (!node->artifacts_dir[0] || !hash_is_hex(release->artifact_sha256))
        return false;
    int len = snprintf(ret, FACT_TEXT, "%s/%s", node->artifacts_dir, release->artifact_sha256);
    if (len > 0 && len < FACT_TEXT && fs_exists(ret))
        return true;
    ret[0] = 0;
    return false;
}

void custom_artifact(const struct gather_source *source, const char *version, char ret[FACT_TEXT])
{
    const Confleet__WorkerOrder *order = source->order;
    ret[0] = 0;
    if (!order || !version[0])
        return;
    if (order->release && strcmp(order->release->version, version) == 0) {
        if (order->artifact[0] && strlen(order->artifact) < FACT_TEXT && fs_exists(order->artifact))
            (void)snprintf(ret, FACT_TEXT, "%s", order->artifact);
        else if (held(source->node, order->release, ret))
            return;
    }
    for (size_t i = 0; !ret[0] && i < order->n_catalogue; i++)
        if (strcmp(order->catalogue[i]->version, version) == 0)
            (void)held(source->node, order->catalogue[i], ret);
}

void facts_gather_custom(const struct gather_source *source, void *part)
{
    struct facts_custom *facts = part;
    int64_t until_ms = clock_mono_ms() + LIMIT_MS;
    facts_custom_database(source, &facts->database);
    facts_custom_files(source, until_ms, facts);
    facts_custom_merge(source, until_ms, &facts->merge);
}

void facts_custom_free(struct facts_custom *facts)
{
    (void)facts;
}
