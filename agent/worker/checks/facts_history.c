#include "agent/worker/checks/facts_history.h"
#include "agent/worker/confluence/cfg.h"
#include "confleet/cleanup.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>

#define STATEMENT_LIMIT_S 10
#define ENTRIES_MAX       10000
#define RECOVERY_PREFIX   "upgradeRecoveryFile-" /* FROM-TO-before.xml.gz (facts 4.2) */

static bool number_take(const char **at, uint32_t *ret)
{
    char digits[12] = "";
    uint64_t value = 0;
    size_t len = strspn(*at, "0123456789");
    if (len == 0 || len >= sizeof digits)
        return false;
    memcpy(digits, *at, len);
    *at += len;
    if (!text_parse_u64(digits, UINT32_MAX, &value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

static void recovery_note(const char *name, struct facts_history *facts)
{
    const char *at = name + strlen(RECOVERY_PREFIX);
    uint32_t from = 0, to = 0;
    if (strncmp(name, RECOVERY_PREFIX, strlen(RECOVERY_PREFIX)) != 0 || !number_take(&at, &from) ||
        *at++ != '-' || !number_take(&at, &to) || *at != '-' || to < facts->recovery_to)
        return;
    facts->recovery_from = from;
    facts->recovery_to = to;
    (void)snprintf(facts->recovery, sizeof facts->recovery, "%.255s", name);
}

static void look_for_recovery(const char *home, struct facts_history *facts)
{
    CLEANUP(free_mem) char *path = text_printf("%s/recovery", home);
    DIR *dir = opendir(path);
    facts->recovery_known = FACT_YES;
    if (!dir && errno != ENOENT) {
        facts->recovery_known = FACT_UNKNOWN;
        (void)snprintf(facts->recovery_text, FACT_TEXT, "%.300s: %s", path, strerror(errno));
    }
    if (!dir)
        return;
    size_t count = 0;
    for (struct dirent *entry = NULL; count < ENTRIES_MAX && (entry = readdir(dir)) != NULL;
         count++)
        recovery_note(entry->d_name, facts);
    if (count == ENTRIES_MAX) {
        facts->recovery_known = FACT_UNKNOWN;
        (void)snprintf(facts->recovery_text, FACT_TEXT, "%.300s holds more than %d files", path,
                       ENTRIES_MAX);
    }
    (void)closedir(dir);
}

static void look_for_lock(const struct gather_source *source, struct facts_history *facts)
{
    const struct database *database = &source->site->database;
    CLEANUP(database_close) PGconn *conn = NULL;
    struct err err = { 0 };
    if (database->kind != DATABASE_POSTGRESQL) {
        facts_database_why(source->site, facts->lock_text);
        return;
    }
    int result = database_connect(database, NULL, NULL, NULL, STATEMENT_LIMIT_S, &conn, &err);
    if (result == 0)
        result = database_upgrade_lock(conn, &facts->lock_build, &err);
    facts->lock_known = result == 0 ? FACT_YES : FACT_UNKNOWN;
    (void)snprintf(facts->lock_text, FACT_TEXT, "%.500s", err.text);
}

void facts_gather_history(const struct gather_source *source, void *part)
{
    struct facts_history *facts = part;
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    const char *home = source->site->home;
    if (!home) {
        facts->part.known = FACT_UNKNOWN;
        (void)snprintf(facts->part.why, sizeof facts->part.why, "the home is not known");
        return;
    }
    if (cfg_read(home, &cfg, NULL) == 0)
        facts->finalized_build = cfg.finalized_build;
    look_for_recovery(home, facts);
    look_for_lock(source, facts);
}

void facts_history_free(struct facts_history *facts)
{
    (void)facts;
}
