#include "agent/worker/steps/setenv.h"
#include "agent/worker/confluence/redact.h"
#include "confleet/cleanup.h"
#include <ctype.h>
#include <string.h>

#define WORDS_MAX 2000
#define OPTIONS_MAX 400

struct words { char *items[WORDS_MAX]; size_t count; };

static void words_free(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
    words->count = 0;
}

static void words_add(struct words *words, const char *text, size_t len)
{
    if (words->count < WORDS_MAX)
        words->items[words->count++] = text_printf("%.*s", (int)len, text);
}

void setenv_report_free(struct setenv_report *report)
{
    str_free(&report->carried);
    str_free(&report->dropped);
    str_free(&report->left);
}

/* Names behind -XX: (without + - and value) that Java 17 does not know any more, and whole options that end its start. */
static const char *const refused_names[] = {
    "MaxPermSize", "PermSize", "UseConcMarkSweepGC", "UseParNewGC", "CMSClassUnloadingEnabled", "CMSParallelRemarkEnabled",
    "CMSInitiatingOccupancyFraction", "UseCMSInitiatingOccupancyOnly", "CMSScavengeBeforeRemark", "CMSPermGenSweepingEnabled",
    "CMSIncrementalMode", "CMSConcurrentMTEnabled", "ExplicitGCInvokesConcurrentAndUnloadsClasses", "UseCMSCompactAtFullCollection",
    "CMSFullGCsBeforeCompaction", "PrintGCDetails", "PrintGCDateStamps", "PrintGCTimeStamps", "PrintGCCause", "PrintGC",
    "PrintGCApplicationStoppedTime", "PrintGCApplicationConcurrentTime", "PrintTenuringDistribution", "PrintHeapAtGC",
    "PrintAdaptiveSizePolicy", "PrintReferenceGC", "PrintPromotionFailure", "PrintClassHistogramBeforeFullGC", "PrintFLSStatistics",
    "UseGCLogFileRotation", "NumberOfGCLogFiles", "GCLogFileSize", "AggressiveOpts", "UseParallelOldGC", "UseFastAccessorMethods",
    "UseStringCache", "UseCompressedStrings", "UseSplitVerifier", "UnlockCommercialFeatures", "UseLargePagesMetaspace", "UseMembar",
    "TraceClassLoading", "TraceClassUnloading", "UseAdaptiveGCBoundary", NULL
};
static const char *const refused_starts[] = { "-Djava.endorsed.dirs=", "-Djava.ext.dirs=", "-Xincgc", "-Xconcgc", "-Xbootclasspath/p:", "-Xbootclasspath:",
                                              "-d64", "-d32", "-Xloggc:", "-XX:PermSize", NULL };

bool setenv_refused(const char *option)
{
    for (const char *const *start = refused_starts; *start; start++)
        if (strncmp(option, *start, strlen(*start)) == 0)
            return true;
    if (strncmp(option, "-XX:", 4) != 0)
        return false;
    const char *name = option + 4 + (option[4] == '+' || option[4] == '-');
    size_t len = strcspn(name, "=");
    for (const char *const *known = refused_names; *known; known++)
        if (strlen(*known) == len && strncmp(*known, name, len) == 0)
            return true;
    return false;
}

/* What two spellings of one setting have in common: "-Xmx" for -Xmx2g, "-Dname" for -Dname=value, "-XX:Name" for +, - and =. */
static void option_key(const char *option, char *out, size_t size)
{
    static const char *const sized[] = { "-Xms", "-Xmx", "-Xmn", "-Xss", "-Xloggc:", NULL };
    for (const char *const *start = sized; *start; start++)
        if (strncmp(option, *start, strlen(*start)) == 0) {
            (void)snprintf(out, size, "%s", *start);
            return;
        }
    /* These may be given many times, each for itself. */
    static const char *const many[] = { "--", "-javaagent:", "-agentlib:", "-agentpath:", "-Xlog:", NULL };
    for (const char *const *start = many; *start; start++)
        if (strncmp(option, *start, strlen(*start)) == 0) {
            (void)snprintf(out, size, "%s", option);
            return;
        }
    if (strncmp(option, "-XX:", 4) == 0 && (option[4] == '+' || option[4] == '-'))
        (void)snprintf(out, size, "-XX:%s", option + 5);
    else
        (void)snprintf(out, size, "%.*s", (int)strcspn(option, "="), option);
}

static const char *words_find(const struct words *words, const char *option)
{
    char key[256], other[256];
    option_key(option, key, sizeof key);
    const char *found = NULL;
    for (size_t i = 0; i < words->count; i++) {
        option_key(words->items[i], other, sizeof other);
        if (strcmp(key, other) == 0)
            found = words->items[i];
    }
    return found;
}

/* ---------------------------------------------------------------- reading */

/* The value of an assignment to name in this line: start and length between its quotes; NULL when the line is none. */
static const char *assigned(const char *line, size_t len, const char *name, size_t *ret_len)
{
    const char *end = line + len;
    while (line < end && isblank((unsigned char)*line))
        line++;
    if ((size_t)(end - line) > 7 && strncmp(line, "export ", 7) == 0)
        line += 7;
    size_t name_len = strlen(name);
    if ((size_t)(end - line) <= name_len || strncmp(line, name, name_len) != 0 || line[name_len] != '=')
        return NULL;
    line += name_len + 1;
    char quote = line < end && (*line == '"' || *line == '\'') ? *line : 0;
    const char *stop = line + (quote != 0);
    while (stop < end && (quote ? *stop != quote || (quote == '"' && stop[-1] == '\\') : !isspace((unsigned char)*stop) && *stop != ';'))
        stop++;
    *ret_len = (size_t)(stop - line) - (quote != 0);
    return line + (quote != 0);
}

static const char *const variables[] = { "CATALINA_OPTS", "JAVA_OPTS", NULL };

/* One option ends at a blank outside of quotes, braces and substitutions. */
static size_t word_len(const char *at, size_t left)
{
    size_t n = 0;
    char inside = 0;
    for (; n < left; n++) {
        char c = at[n];
        if (inside) {
            if (c == inside)
                inside = 0;
        } else if (c == '\'' || c == '`') {
            inside = c;
        } else if (c == '$' && n + 1 < left && (at[n + 1] == '{' || at[n + 1] == '(')) {
            inside = at[n + 1] == '{' ? '}' : ')';
        } else if (isspace((unsigned char)c)) {
            break;
        }
    }
    return n;
}

/* "--add-opens x" in two words is the same as in one. */
static void words_join(struct words *words, const char *text, size_t len)
{
    char **last = words->count ? &words->items[words->count - 1] : NULL;
    if (!last || strncmp(*last, "--", 2) != 0 || strchr(*last, '='))
        return;
    char *joined = text_printf("%s=%.*s", *last, (int)len, text);
    free(*last);
    *last = joined;
}

static void options_read(const char *text, struct words *ret)
{
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n"), value_len = 0;
        for (const char *const *name = variables; *name && line[strspn(line, " \t")] != '#'; name++) {
            const char *value = assigned(line, len, *name, &value_len);
            for (size_t at = 0; value && at < value_len;) {
                size_t word = word_len(value + at, value_len - at);
                if (word && value[at] == '-')
                    words_add(ret, value + at, word);
                else if (word)
                    words_join(ret, value + at, word);
                at += word + 1;
            }
        }
        line += len + (line[len] == '\n');
    }
}

/* Other variables that a customer sets, such as JAVA_HOME; as "NAME=value" lines. Only plain ones at the start of a line. */
static void variables_read(const char *text, struct words *ret)
{
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n"), at = 0, value_len = 0;
        if (len > 7 && strncmp(line, "export ", 7) == 0)
            at = 7;
        size_t name_len = 0;
        while (at + name_len < len && (isalnum((unsigned char)line[at + name_len]) || line[at + name_len] == '_'))
            name_len++;
        if (name_len && name_len < 64 && line[at + name_len] == '=') {
            char name[64];
            (void)snprintf(name, sizeof name, "%.*s", (int)name_len, line + at);
            const char *value = assigned(line, len, name, &value_len);
            CLEANUP(free_mem) char *pair = value ? text_printf("%s=%.*s", name, (int)value_len, value) : NULL;
            if (pair)
                words_add(ret, pair, strlen(pair));
        }
        line += len + (line[len] == '\n');
    }
}

/* ---------------------------------------------------------------- merging */

static bool is_memory(const char *option)
{
    return strncmp(option, "-Xms", 4) == 0 || strncmp(option, "-Xmx", 4) == 0;
}

/* Would the shell change it? Inside double quotes these four are all it looks at. */
static bool is_plain(const char *option)
{
    return !strpbrk(option, "$`\"\\'");
}

/* Replaces every -Xms or -Xmx word of the assignments in text. */
static bool memory_replace(struct str *text, const char *option)
{
    struct str out = { 0 };
    bool done = false;
    for (const char *line = str_text(text); *line;) {
        size_t len = strcspn(line, "\n"), at = 0, value_len = 0;
        bool counts = line[strspn(line, " \t")] != '#' && (assigned(line, len, variables[0], &value_len) || assigned(line, len, variables[1], &value_len));
        while (at < len) {
            bool starts = at == 0 || isspace((unsigned char)line[at - 1]) || line[at - 1] == '"' || line[at - 1] == '=';
            if (counts && starts && strncmp(line + at, option, 4) == 0) {
                at += strcspn(line + at, " \t\n\"'");
                str_add(&out, option);
                done = true;
            } else {
                str_add_bytes(&out, line + at, 1);
                at++;
            }
        }
        if (line[len] == '\n')
            str_add(&out, "\n");
        line += len + (line[len] == '\n');
    }
    str_clear(text);
    str_add(text, str_text(&out));
    str_free(&out);
    return done;
}

static void tell(struct str *lines, void (*redact)(struct str *, const char *), const char *what)
{
    redact(lines, what);
    str_add(lines, "\n");
}

static void option_merge(const char *option, const struct words *shipped, const struct words *fresh, struct str *text, struct str *extra,
                         struct setenv_report *report)
{
    const char *theirs = words_find(shipped, option), *ours = words_find(fresh, option);
    if ((theirs && strcmp(theirs, option) == 0) || (ours && strcmp(ours, option) == 0))
        return;
    if (setenv_refused(option)) {
        tell(&report->dropped, redact_option, option);
    } else if (!is_plain(option)) {
        /* What both files set by a variable of the script is the vendor's way of doing it. */
        if (!ours)
            tell(&report->left, redact_option, option);
    } else if (is_memory(option) && memory_replace(text, option)) {
        tell(&report->carried, redact_option, option);
    } else {
        str_addf(extra, " %s", option);
        redact_option(&report->carried, option);
        if (ours)
            str_add(&report->carried, " instead of ");
        tell(&report->carried, redact_option, ours ? ours : "");
    }
}

static void variable_merge(const char *pair, const struct words *shipped, const struct words *fresh, struct str *lines, struct setenv_report *report)
{
    size_t name_len = strcspn(pair, "=");
    static const char *const theirs[] = { "CATALINA_OPTS", "JAVA_OPTS", "CATALINA_PID", "PRGDIR", "LOGBASEABS", "LOGBASE", "LOGTAIL", "PRG", NULL };
    for (const char *const *name = theirs; *name; name++)
        if (strlen(*name) == name_len && strncmp(*name, pair, name_len) == 0)
            return;
    for (size_t i = 0; i < fresh->count; i++)
        if (strncmp(fresh->items[i], pair, name_len + 1) == 0)
            return;
    for (size_t i = 0; i < shipped->count; i++)
        if (strcmp(shipped->items[i], pair) == 0)
            return;
    if (!is_plain(pair)) {
        tell(&report->left, redact_variable, pair);
        return;
    }
    str_addf(lines, "export %.*s=\"%s\"\n", (int)name_len, pair, pair + name_len + 1);
    tell(&report->carried, redact_variable, pair);
}

/* The last spelling of a setting is the one that counted. */
static bool is_last(const struct words *words, size_t at)
{
    return words_find(words, words->items[at]) == words->items[at];
}

int setenv_merge(const char *old, const char *shipped_or_null, const char *fresh, const char *version, struct str *ret_text,
                 struct setenv_report *ret, struct err *err)
{
    CLEANUP(words_free) struct words mine = { .count = 0 }, theirs = { .count = 0 }, ours = { .count = 0 };
    CLEANUP(words_free) struct words my_names = { .count = 0 }, their_names = { .count = 0 }, our_names = { .count = 0 };
    CLEANUP(str_free) struct str text = { 0 }, extra = { 0 }, lines = { 0 };
    options_read(old, &mine), variables_read(old, &my_names);
    options_read(fresh, &ours), variables_read(fresh, &our_names);
    if (shipped_or_null)
        options_read(shipped_or_null, &theirs), variables_read(shipped_or_null, &their_names);
    if (mine.count >= OPTIONS_MAX || my_names.count >= OPTIONS_MAX)
        return err_set(err, FAIL_LIMIT, "bin/setenv.sh has more than %d options", OPTIONS_MAX);
    str_add(&text, fresh);
    for (size_t i = 0; i < mine.count; i++)
        if (is_last(&mine, i))
            option_merge(mine.items[i], &theirs, &ours, &text, &extra, ret);
    for (size_t i = 0; i < my_names.count; i++)
        variable_merge(my_names.items[i], &their_names, &our_names, &lines, ret);
    if (extra.len || lines.len) {
        if (text.len && text.s[text.len - 1] != '\n')
            str_add(&text, "\n");
        str_addf(&text, "\n# Carried over from version %s by Confleet; the site's own settings.\n%s", version, str_text(&lines));
        /* Behind the others: of one option given twice Java takes the last. */
        if (extra.len)
            str_addf(&text, "CATALINA_OPTS=\"${CATALINA_OPTS}%s\"\nexport CATALINA_OPTS\n", str_text(&extra));
    }
    str_clear(ret_text);
    str_add(ret_text, str_text(&text));
    return 0;
}
