/* Version and build number of a tree, without starting it (facts 1.3). */
#include "agent/worker/confluence/installation.h"
#include "agent/worker/confluence/jar.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/properties.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define LIB      "confluence/WEB-INF/lib"
#define POM \
    "confluence/META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties"
#define DEFAULTS "com/atlassian/confluence/default.properties"
#define JARS_MAX 256

struct release {
    char version[64], date[16];
    uint32_t build;
};

static bool parse_number(const char *text, uint32_t *ret)
{
    uint64_t value = 0;
    if (!text || !text_parse_u64(text, UINT32_MAX, &value) || value == 0)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool digits(const char *text, size_t count)
{
    return strspn(text, "0123456789") >= count;
}

/* yyyy-mm-dd out of the forms a build writes: ISO, yyyyMMdd, or Java's "Wed Jun 18 07:56:00 UTC
 * 2014". Else "". */
static void parse_date(const char *text, char out[16])
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    out[0] = 0;
    if (!text)
        return;
    if (digits(text, 4) && text[4] == '-' && digits(text + 5, 2) && text[7] == '-' &&
        digits(text + 8, 2)) {
        (void)snprintf(out, 16, "%.10s", text);
        return;
    }
    if (digits(text, 8)) {
        (void)snprintf(out, 16, "%.4s-%.2s-%.2s", text, text + 4, text + 6);
        return;
    }
    for (int month = 0; month < 12; month++) {
        char name[5] = { months[3 * month], months[3 * month + 1], months[3 * month + 2], ' ',
                         '\0' };
        const char *at = strstr(text, name);
        size_t len = strlen(text);
        if (!at || !digits(at + 4, 2) || len < 4 || !digits(text + len - 4, 4))
            continue;
        (void)snprintf(out, 16, "%.4s-%02d-%.2s", text + len - 4, month + 1, at + 4);
        return;
    }
}

static const char *first_of(const struct properties *properties, const char *const *names)
{
    for (; *names; names++) {
        const char *value = properties_get(properties, *names);
        if (value && *value)
            return value;
    }
    return NULL;
}

/* The names of the keys are not confirmed (facts 1.3), so the likely spellings are tried in turn.
 */
static bool read_defaults(const char *jar, struct release *release)
{
    static const char *const version[] = { "version.number", "versionNumber", "version", NULL };
    static const char *const build[] = { "build.number", "buildNumber", NULL };
    static const char *const date[] = { "build.date", "buildDate", "build.timestamp", NULL };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(properties_free) struct properties properties = { 0 };
    if (jar_entry(jar, DEFAULTS, PROPERTIES_SIZE_MAX, &text, NULL) != 0 ||
        properties_parse(str_text(&text), text.len, PROPERTIES_LATIN1, &properties, NULL) != 0 ||
        !parse_number(first_of(&properties, build), &release->build))
        return false;
    const char *value = first_of(&properties, version);
    (void)snprintf(release->version, sizeof release->version, "%.63s", value ? value : "");
    parse_date(first_of(&properties, date), release->date);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_jars(const char *lib, char **names)
{
    DIR *dir = opendir(lib);
    size_t count = 0;
    for (struct dirent *entry = NULL; dir && count < JARS_MAX && (entry = readdir(dir)) != NULL;) {
        size_t len = strlen(entry->d_name);
        if (strncmp(entry->d_name, "confluence-", 11) == 0 && len > 15 &&
            strcmp(entry->d_name + len - 4, ".jar") == 0)
            names[count++] = text_dup(entry->d_name);
    }
    if (dir)
        (void)closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    return count;
}

/* Two jars that tell different builds come from a version unpacked over another: nothing said about
 * such a tree is safe. */
static int read_jars(const char *install, struct release *release, char *by_jar_name, size_t size,
                     struct err *err)
{
    CLEANUP(free_mem) char *lib = fs_join(install, LIB);
    char *names[JARS_MAX];
    size_t count = list_jars(lib, names);
    char first[256] = "";
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        CLEANUP(free_mem) char *path = fs_join(lib, names[i]);
        struct release one = { 0 };
        if (names[i][11] >= '0' && names[i][11] <= '9')
            (void)snprintf(by_jar_name, size, "%.*s", (int)(strlen(names[i]) - 15), names[i] + 11);
        if (result != 0 || !read_defaults(path, &one))
            continue;
        if (release->build != 0 && release->build != one.build)
            result = err_set(err, FAIL_CONFLICT,
                             "%s holds two versions of Confluence: build %u in %s, build %u in %s",
                             lib, release->build, first, one.build, names[i]);
        else if (release->build == 0)
            (void)snprintf(first, sizeof first, "%s", names[i]);
        *release = one;
    }
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    return result;
}

static void read_pom(const char *install, struct release *release)
{
    CLEANUP(free_mem) char *path = fs_join(install, POM);
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(properties_free) struct properties properties = { 0 };
    if (fs_read(path, PROPERTIES_SIZE_MAX, &text, NULL) != 0 ||
        properties_parse(str_text(&text), text.len, PROPERTIES_LATIN1, &properties, NULL) != 0)
        return;
    const char *value = properties_get(&properties, "version");
    if (!release->version[0])
        (void)snprintf(release->version, sizeof release->version, "%.63s", value ? value : "");
    for (const char *line = str_text(&text); *line == '#' && !release->date[0]; line++) {
        char one[128];
        size_t len = strcspn(line, "\r\n");
        (void)snprintf(one, sizeof one, "%.*s", len < sizeof one ? (int)len : 0, line);
        parse_date(one, release->date);
        line = strchr(line, '\n');
        if (!line)
            break;
    }
}

/* Line 2: "Atlassian Confluence 5.5.3 - Standalone README". */
static void read_readme(const char *install, struct release *release)
{
    CLEANUP(free_mem) char *path = fs_join(install, "README.txt");
    CLEANUP(str_free) struct str text = { 0 };
    if (release->version[0] || fs_read(path, 1024 * 1024, &text, NULL) != 0)
        return;
    const char *at = strstr(str_text(&text), "Atlassian Confluence ");
    at = at ? at + strlen("Atlassian Confluence ") : "";
    size_t len = strspn(at, "0123456789.");
    if (len > 0 && len < sizeof release->version)
        (void)snprintf(release->version, sizeof release->version, "%.*s", (int)len, at);
}

int installation_release(const char *install, char ret_version[64], uint32_t *ret_build,
                         char ret_date[16], struct err *err)
{
    struct release release = { 0 };
    char by_jar_name[64] = "";
    int result = read_jars(install, &release, by_jar_name, sizeof by_jar_name, err);
    if (result != 0)
        return result;
    read_pom(install, &release);
    if (!release.version[0])
        (void)snprintf(release.version, sizeof release.version, "%s", by_jar_name);
    read_readme(install, &release);
    if (!release.version[0])
        return err_set(err, FAIL_NOT_FOUND,
                       "%s tells no version of Confluence: neither a jar in %s nor pom.properties",
                       install, LIB);
    (void)snprintf(ret_version, 64, "%s", release.version);
    (void)snprintf(ret_date, 16, "%s", release.date);
    *ret_build = release.build;
    return 0;
}
