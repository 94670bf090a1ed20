#include "controller/cli/loss_text.h"
#include "controller/cli/states.h"
#include <string.h>

const char *loss_obstacle(const Confleet__RolloutSiteView *site)
{
    static const struct {
        const char *state, *why;
    } obstacles[] = {
        { "queued", "nothing was begun there; skip it instead" },
        { "not-ready", "nothing was changed there" },
        { "refused", "its agent refused the order, nothing was changed there" },
        { "rolled-back", "it is back already" },
        { "undoing", "it is on its way back already" },
        { "skipped", "it was skipped" },
    };
    for (size_t i = 0; i < sizeof obstacles / sizeof obstacles[0]; i++) {
        if (strcmp(obstacles[i].state, site->state) == 0)
            return obstacles[i].why;
    }
    return NULL;
}

/* The capture taken at the stop is the way back; the hot one only stands in when that is not
 * listed. */
static const Confleet__BackupRecord *backup_find(const Confleet__RolloutSiteView *site)
{
    const Confleet__BackupRecord *best = NULL;
    for (size_t i = 0; i < site->n_backups; i++) {
        const Confleet__BackupRecord *backup = site->backups[i];
        bool stop = strcmp(backup->kind, "stop") == 0,
             best_stop = best && strcmp(best->kind, "stop") == 0;
        if (!best || (stop && !best_stop) ||
            (stop == best_stop && backup->started_ms > best->started_ms))
            best = backup;
    }
    return best;
}

/* When users could write to the new version at the earliest; zero: it was never started. */
static int64_t start_find(const Confleet__RolloutSiteView *site)
{
    for (size_t i = 0; i < site->n_steps; i++) {
        if (strcmp(site->steps[i]->step, "start") == 0 && !site->steps[i]->undo)
            return site->steps[i]->at_ms;
    }
    return 0;
}

/* The end of the last step that had the site down on its way forward; zero: it is not up again. */
static int64_t up_find(const Confleet__RolloutSiteView *site)
{
    int64_t down_ms = 0;
    bool up = false;
    for (size_t i = 0; i < site->n_steps; i++) {
        const Confleet__StepView *step = site->steps[i];
        if (step->undo)
            continue;
        if (step->down && step->at_ms > down_ms)
            down_ms = step->at_ms;
        up = up || (!step->down && down_ms > 0 && step->at_ms >= down_ms);
    }
    return up ? down_ms : 0;
}

static void backup_add(const Confleet__BackupRecord *backup, int64_t now_ms, struct str *to)
{
    char when[32], ago[48];
    if (!backup) {
        str_add(to,
                "\n  from       no backup is listed: the agent decides what it has, or refuses");
        return;
    }
    int64_t at_ms = backup->finished_ms ? backup->finished_ms : backup->started_ms;
    str_add(to, "\n  from       backup ");
    out_clean(to, backup->id);
    str_addf(to, " (%s, level %s), taken %s, %s",
             strcmp(backup->kind, "stop") == 0 ? "at the stop" : "while running",
             level_word(backup->level), time_word(at_ms, when), ago_word(at_ms, now_ms, ago));
    if (backup->level < CONFLEET__BACKUP_LEVEL__RESTORED)
        str_add(to, "\n             it was not proven by restoring it yet");
}

static void since_add(const Confleet__RolloutSiteView *site, int64_t now_ms, struct str *to)
{
    int64_t start_ms = start_find(site), up_ms = up_find(site);
    char when[32], ago[48];
    if (start_ms == 0) {
        str_add(to, "\n  lost       nothing: the new version was not started\n");
        return;
    }
    str_addf(to, "\n  lost       everything written since the new version started: %s, %s",
             time_word(start_ms, when), ago_word(start_ms, now_ms, ago));
    if (up_ms >= start_ms)
        str_addf(to, "\n  users in   since %s, %s; how much they wrote is not counted",
                 time_word(up_ms, when), ago_word(up_ms, now_ms, ago));
    str_add(to, "\n");
}

void loss_text(const Confleet__RolloutSiteView *site, int64_t now_ms, struct str *to)
{
    const char *obstacle = loss_obstacle(site);
    str_add(to, "site ");
    out_clean(to, site->site);
    str_addf(to, ": %s on ", status_word(site));
    version_add(to, site->version[0] || site->build ? site->version : site->from_version,
                site->build ? site->build : site->from_build);
    if (obstacle) {
        str_addf(to, "\n  not possible: %s\n", obstacle);
        return;
    }
    str_add(to, "\n  back to    ");
    version_add(to, site->from_version, site->from_build);
    backup_add(backup_find(site), now_ms, to);
    since_add(site, now_ms, to);
    if (strcmp(site->state, "silent") == 0)
        str_add(to, "  when       once its agent is heard of again; it is silent now\n");
}
