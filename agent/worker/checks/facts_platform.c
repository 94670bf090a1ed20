#include "agent/worker/checks/facts_platform.h"
#include "confleet/properties.h"
#include "agent/worker/confluence/shell.h"
#include "agent/worker/steps/setenv.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SCRIPT_MAX  (1024 * 1024)
#define ENTRIES_MAX 20000
#define FONTS_MAX   10000
#define DEPTH_MAX   2
#define INIT_FILE   "confluence/WEB-INF/classes/confluence-init.properties"

/* ------------------------------------------------------------------ system */

/* NAME=value or NAME="value" of a simple file. */
static bool line_value(const char *text, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        if (strncmp(at, name, len) != 0 || at[len] != '=')
            continue;
        const char *value = at + len + 1;
        size_t end = strcspn(value, "\n");
        if (*value == '"') {
            value++;
            end = strcspn(value, "\"\n");
        }
        (void)snprintf(out, size, "%.*s", (int)(end < size ? end : size - 1), value);
        return true;
    }
    return false;
}

static void gather_system(struct facts_platform *facts)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct utsname name;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    facts->cpus = cpus > 0 ? (uint32_t)cpus : 0;
    if (uname(&name) == 0)
        (void)snprintf(facts->kernel, sizeof facts->kernel, "%.30s %.60s %.30s", name.sysname,
                       name.release, name.machine);
    if (fs_read("/etc/os-release", 65536, &text, NULL) == 0)
        (void)line_value(str_text(&text), "PRETTY_NAME", facts->os, sizeof facts->os);
}

static bool kilobytes(const char *text, const char *name, uint64_t *ret)
{
    const char *at = strstr(text, name);
    if (!at)
        return false;
    at += strlen(name);
    at += strspn(at, " \t:");
    *ret = strtoull(at, NULL, 10) * 1024;
    return true;
}

static void gather_memory(const char *proc_root, pid_t pid, struct facts_platform *facts)
{
    CLEANUP(free_mem) char *path = fs_join(proc_root, "meminfo");
    CLEANUP(str_free) struct str text = { 0 };
    if (fs_read(path, 65536, &text, NULL) == 0 &&
        kilobytes(str_text(&text), "MemTotal", &facts->memory_total) &&
        kilobytes(str_text(&text), "MemAvailable", &facts->memory_available))
        facts->memory_known = FACT_YES;
    if (pid <= 0)
        return;
    CLEANUP(free_mem) char *status = text_printf("%s/%d/status", proc_root, (int)pid);
    str_clear(&text);
    if (fs_read(status, 65536, &text, NULL) == 0)
        (void)kilobytes(str_text(&text), "VmRSS", &facts->memory_confluence);
}

static uint64_t limit_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    if (!at)
        return 0;
    at += strlen(name);
    at += strspn(at, " ");
    return strncmp(at, "unlimited", 9) == 0 ? UINT64_MAX : strtoull(at, NULL, 10);
}

static void gather_limits(const char *proc_root, pid_t pid, struct facts_platform *facts)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem) char *path = text_printf("%s/%d/limits", proc_root, (int)pid);
    if (pid <= 0 || fs_read(path, 65536, &text, NULL) != 0)
        return;
    facts->files_max = limit_of(str_text(&text), "Max open files");
    facts->processes_max = limit_of(str_text(&text), "Max processes");
    facts->limits_known = facts->files_max && facts->processes_max ? FACT_YES : FACT_UNKNOWN;
}

static void gather_clock(struct facts_platform *facts)
{
    struct timex clock = { 0 };
    int state = adjtimex(&clock);
    if (state < 0)
        return;
    facts->clock_known = FACT_YES;
    facts->clock_synced =
        (clock.status & STA_UNSYNC) == 0 && state != TIME_ERROR ? FACT_YES : FACT_NO;
}

static bool is_font(const char *name)
{
    static const char *const ends[] = { ".ttf", ".otf", ".ttc", ".pfb", ".pcf.gz" };
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (len > strlen(ends[i]) && strcasecmp(name + len - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

static void gather_fonts(struct facts_platform *facts)
{
    char share[] = "/usr/share/fonts", local[] = "/usr/local/share/fonts";
    char *const roots[] = { share, local, NULL };
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!fts)
        return;
    facts->fonts_known = FACT_YES;
    for (FTSENT *entry = NULL; facts->fonts < FONTS_MAX && (entry = fts_read(fts)) != NULL;) {
        if (entry->fts_info == FTS_DNR)
            facts->fonts_known = FACT_UNKNOWN;
        if ((entry->fts_info == FTS_F || entry->fts_info == FTS_SL) && is_font(entry->fts_name))
            facts->fonts++;
    }
    (void)fts_close(fts);
}

/* ------------------------------------------------------------------ Java */

uint32_t java_major_of(const char *version)
{
    char *end = NULL;
    unsigned long major = strtoul(version, &end, 10);
    if (end == version || major > 1000)
        return 0;
    if (major == 1 && *end == '.')
        major = strtoul(end + 1, NULL, 10);
    return major <= 1000 ? (uint32_t)major : 0;
}

uint64_t java_size_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || errno != 0 || value > 1ULL << 44)
        return 0;
    int shift = *end == 'k' || *end == 'K'   ? 10
                : *end == 'm' || *end == 'M' ? 20
                : *end == 'g' || *end == 'G' ? 30
                                             : 0;
    return value > UINT64_MAX >> shift ? 0 : (uint64_t)value << shift;
}

/* The real path of bin/java; the file `release` stands beside bin, or one higher for a jre inside a
 * JDK 8. */
static void gather_java(const char *java, struct facts_platform *facts)
{
    CLEANUP(free_mem) char *real = *java ? realpath(java, NULL) : NULL;
    CLEANUP(str_free) struct str text = { 0 };
    if (!real) {
        (void)snprintf(facts->java_why, FACT_TEXT, "%s",
                       *java ? "its path cannot be followed" : "no Java was found");
        return;
    }
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(real, '/');
        if (!slash || slash == real)
            break;
        *slash = 0;
        CLEANUP(free_mem) char *path = fs_join(real, "release");
        str_clear(&text);
        if (up == 0 || fs_read(path, 65536, &text, NULL) != 0 ||
            !line_value(str_text(&text), "JAVA_VERSION", facts->java_version,
                        sizeof facts->java_version))
            continue;
        (void)snprintf(facts->java_home, FACT_TEXT, "%.511s", real);
        facts->java_major = java_major_of(facts->java_version);
        return;
    }
    (void)snprintf(facts->java_why, FACT_TEXT, "there is no file `release` beside it that tells");
}

static void add_word(char out[FACT_TEXT], const char *word, size_t len)
{
    size_t used = strlen(out);
    if (used + len + 3 < FACT_TEXT)
        (void)snprintf(out + used, FACT_TEXT - used, "%s%.*s", used ? " " : "", (int)len, word);
}

/* Words of the script that are options; only the names of those that are refused are kept, since
 * options may hold secrets. */
static void look_for_refused(const char *text, struct facts_platform *facts)
{
    for (const char *line = text; line && *line;) {
        size_t len = strcspn(line, "\n");
        size_t at = strspn(line, " \t");
        for (; at < len && line[at] != '#';) {
            size_t word = strcspn(line + at, " \t\n\"'");
            char option[200];
            (void)snprintf(option, sizeof option, "%.*s",
                           (int)(word < sizeof option ? word : sizeof option - 1), line + at);
            if (option[0] == '-' && setenv_refused(option))
                add_word(facts->refused, option, strcspn(option, "="));
            at += word;
            at += strspn(line + at, " \t\"'");
        }
        line += len;
        line += *line == '\n';
    }
}

static void gather_options(const char *install, struct facts_platform *facts)
{
    CLEANUP(free_mem) char *path = fs_join(install, "bin/setenv.sh");
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str value = { 0 };
    struct err err = { 0 };
    if (fs_read(path, SCRIPT_MAX, &text, &err) != 0) {
        (void)snprintf(facts->options_why, FACT_TEXT, "%.511s", err.text);
        return;
    }
    facts->options_known = FACT_YES;
    look_for_refused(str_text(&text), facts);
    if (shell_option(str_text(&text), "-Xmx", install, &value) == SHELL_VALUE)
        facts->heap_max = java_size_of(str_text(&value));
    str_clear(&value);
    if (shell_option(str_text(&text), "-Xms", install, &value) == SHELL_VALUE)
        facts->heap_min = java_size_of(str_text(&value));
}

/* ------------------------------------------------------------------ files */

static void gather_home_file(const char *install, struct facts_platform *facts)
{
    CLEANUP(free_mem) char *path = fs_join(install, INIT_FILE);
    CLEANUP(properties_free) struct properties properties = { 0 };
    if (properties_read(path, PROPERTIES_LATIN1, &properties, NULL) != 0)
        return;
    const char *home = properties_get(&properties, "confluence.home");
    facts->home_file_known = FACT_YES;
    (void)snprintf(facts->home_file, FACT_TEXT, "%.511s", home ? home : "");
}

static void look_at_owners(const char *path, uid_t uid, struct facts_platform *facts)
{
    char *const roots[] = { (char *)(uintptr_t)path, NULL };
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!fts)
        return;
    for (FTSENT *entry = NULL; facts->looked_at < ENTRIES_MAX && (entry = fts_read(fts)) != NULL;) {
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR) {
            if (entry->fts_errno == ENOENT)
                continue;
            facts->owners_known = FACT_UNKNOWN;
            (void)snprintf(facts->owners_why, FACT_TEXT, "%.300s: %s", entry->fts_path,
                           strerror(entry->fts_errno));
            continue;
        }
        if (entry->fts_info == FTS_DP || !entry->fts_statp)
            continue;
        if (entry->fts_info == FTS_D && entry->fts_level >= DEPTH_MAX)
            (void)fts_set(fts, entry, FTS_SKIP);
        facts->looked_at++;
        if (entry->fts_statp->st_uid == uid)
            continue;
        if (facts->strangers++ == 0)
            (void)snprintf(facts->stranger, FACT_TEXT, "%.400s of user id %u", entry->fts_path,
                           (unsigned)entry->fts_statp->st_uid);
    }
    (void)fts_close(fts);
}

/* What Confluence itself writes to; the rest of the installation may well be root's. */
static void gather_owners(const struct installation *site, struct facts_platform *facts)
{
    static const char *const folders[] = { "work", "logs", "temp" };
    if (site->uid == (uid_t)-1 || !site->home) {
        (void)snprintf(facts->owners_why, FACT_TEXT, "%s is not known",
                       site->home ? "the account that Confluence runs as" : "the home");
        return;
    }
    facts->owners_known = FACT_YES;
    look_at_owners(site->home, site->uid, facts);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        CLEANUP(free_mem) char *path = fs_join(site->install, folders[i]);
        look_at_owners(path, site->uid, facts);
    }
}

void facts_gather_platform(const struct gather_source *source, void *part)
{
    struct facts_platform *facts = part;
    const struct installation *site = source->site;
    const char *proc_root =
        source->node->pid_root && source->node->pid_root[0] ? source->node->pid_root : "/proc";
    gather_system(facts);
    gather_memory(proc_root, site->pid, facts);
    gather_limits(proc_root, site->pid, facts);
    gather_clock(facts);
    gather_fonts(facts);
    gather_java(site->java, facts);
    gather_options(site->install, facts);
    gather_home_file(site->install, facts);
    gather_owners(site, facts);
}

void facts_platform_free(struct facts_platform *facts)
{
    (void)facts;
}
