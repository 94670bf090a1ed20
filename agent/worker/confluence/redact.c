#include "agent/worker/confluence/redact.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool redact_is_secret(const char *name)
{
    static const char *const parts[] = { "pass", "pwd", "secret", "token", "credential", "licen",
                                         "private" };
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcasestr(name, parts[i]))
            return true;
    return strcmp(name, "shutdown") == 0 || (len >= 3 && strcasecmp(name + len - 3, "key") == 0);
}

/* Settings of Java, Tomcat and Confluence itself; whatever else is set with -D is not known here. */
static bool is_known(const char *name)
{
    static const char *const starts[] = { "atlassian.", "com.atlassian.", "confluence.", "java.",
                                          "jdk.",       "file.",          "user.",       "sun.",
                                          "synchrony.", "catalina.",      "org.apache." };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(name, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static void pair_add(struct str *out, const char *pair, size_t name_len, bool shown)
{
    if (shown || !pair[name_len])
        str_add(out, pair);
    else
        str_addf(out, "%.*s=" REDACTED, (int)name_len, pair);
}

void redact_option(struct str *out, const char *option)
{
    size_t len = strcspn(option, "=");
    bool shown = strncmp(option, "-X", 2) == 0 || strncmp(option, "--", 2) == 0;
    if (strncmp(option, "-D", 2) == 0) {
        char name[128];
        (void)snprintf(name, sizeof name, "%.*s", (int)(len < 2 ? 0 : len - 2), option + 2);
        shown = is_known(name) && !redact_is_secret(name);
    }
    pair_add(out, option, len, shown);
}

void redact_variable(struct str *out, const char *pair)
{
    static const char *const harmless[] = { "JAVA_HOME", "JRE_HOME", "LD_LIBRARY_PATH", "LANG",
                                            "LC_ALL",    "TZ",       "UMASK",           "PATH" };
    size_t len = strcspn(pair, "=");
    bool shown = false;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless && !shown; i++)
        shown = strlen(harmless[i]) == len && strncmp(pair, harmless[i], len) == 0;
    pair_add(out, pair, len, shown);
}
