#include "agent/edge/expire.h"
#include "agent/core/memo.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/log.h"
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define ROUND_MS   (3600LL * 1000)
#define SOON_MS    (60LL * 1000) /* more is waiting than one round takes */
#define PLACES_MAX 32
#define RUNS_MAX   64 /* of one installation in one order */

CLEANUP_OF(close_dir, DIR *, closedir)

struct place {
    char *installation, *install, *home;
    struct str runs, keep;
    size_t run_count;
};
struct round {
    struct agent *agent;
    int64_t before_ms;
    struct place places[PLACES_MAX];
    size_t count;
    bool more;
};

static void round_free(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        free(round->places[i].installation);
        free(round->places[i].install);
        free(round->places[i].home);
        str_free(&round->places[i].runs);
        str_free(&round->places[i].keep);
    }
}

static struct place *place_of(struct round *round, const char *installation, const char *install,
                              const char *home)
{
    for (size_t i = 0; i < round->count; i++)
        if (strcmp(round->places[i].installation, installation) == 0)
            return &round->places[i];
    if (round->count == PLACES_MAX) {
        round->more = true;
        return NULL;
    }
    struct place *place = &round->places[round->count++];
    place->installation = text_dup(installation);
    place->install = text_dup(install);
    place->home = text_dup(home);
    return place;
}

static int take_over(void *arg, const struct journal_run *run, struct err *err)
{
    struct round *round = arg;
    (void)err;
    struct place *place = place_of(round, run->installation, run->install, run->home);
    if (place && place->run_count < RUNS_MAX) {
        str_addf(&place->runs, "%s\n", run->id);
        place->run_count++;
    } else {
        round->more = true;
    }
    return 0;
}

static int take_backup(void *arg, const char *key, const char *value, struct err *err)
{
    struct place *place = arg;
    (void)err;
    if ((strcmp(key, MEMO_HOT_BACKUP) == 0 || strcmp(key, MEMO_STOP_BACKUP) == 0) && *value &&
        !strchr(value, '\n'))
        str_addf(&place->keep, "%s\n", value);
    return 0;
}

/* A run that can still be rolled back needs its backups however old they are: its time counts from
 * its end. */
static int take_needed(void *arg, const struct journal_run *run, struct err *err)
{
    struct round *round = arg;
    bool expired = false;
    for (size_t i = 0; i < round->count; i++) {
        struct place *place = &round->places[i];
        if (strcmp(place->installation, run->installation) != 0 ||
            run->finished_ms <= round->before_ms)
            continue;
        int result = journal_expiry(round->agent->journal, run->id, &expired, err);
        if (result == 0 && !expired)
            result = journal_memo(round->agent->journal, run->id, take_backup, place, err);
        if (result != 0)
            return result;
    }
    return 0;
}

static bool is_busy(const struct agent *agent, const char *installation)
{
    for (size_t i = 0; i < agent->task_count; i++)
        if (strcmp(task_installation(agent->tasks[i]), installation) == 0)
            return true;
    return agent_run(agent, installation) != NULL;
}

static int note_expiry(struct round *round, const struct place *place, struct err *err)
{
    char id[RUN_ID_MAX];
    int result = 0;
    for (const char *at = str_text(&place->runs); *at && result == 0;) {
        size_t len = strcspn(at, "\n");
        (void)snprintf(id, sizeof id, "%.*s", (int)len, at);
        result = journal_expiry_set(round->agent->journal, id, false, err);
        at += len + 1;
    }
    return result;
}

struct noting {
    struct round *round;
    const struct place *place;
};

static int note_in_tx(void *arg, struct err *err)
{
    struct noting *noting = arg;
    return note_expiry(noting->round, noting->place, err);
}

static int order(struct round *round, const struct place *place, struct err *err)
{
    struct agent *agent = round->agent;
    struct task_expiry expiry = { round->before_ms, str_text(&place->runs),
                                  str_text(&place->keep) };
    struct task_spec spec = { .kind = TASK_EXPIRE,
                              .order_id = "",
                              .installation = place->installation,
                              .install = place->install,
                              .home = place->home,
                              .site = "",
                              .backup = "",
                              .expiry = &expiry };
    CLEANUP(free_mem) char *backups = fs_join(agent->config->backup_dir, place->installation);
    if (!place->runs.len && !fs_is_dir(backups))
        return 0;
    if (is_busy(agent, place->installation) || agent->task_count >= AGENT_TASKS_MAX / 2) {
        round->more = true;
        return 0;
    }
    struct noting noting = { round, place };
    int result = journal_tx(agent->journal, note_in_tx, &noting, err);
    return result ? result : agent_task_add(agent, &spec, err);
}

static bool is_older(const char *path, int64_t before_ms)
{
    struct stat st;
    return lstat(path, &st) == 0 && (int64_t)st.st_mtim.tv_sec * 1000 < before_ms;
}

static bool is_wanted(const struct agent *agent, const char *artifact)
{
    for (size_t i = 0; i < agent->run_count; i++) {
        const char *sha256 = run_release(agent->runs[i])->artifact_sha256;
        if (strncmp(artifact, sha256, strlen(sha256)) == 0)
            return true;
    }
    return false;
}

/* The agent's own: releases that no unfinished run needs, and folders of jobs by hand that were cut
 * off. */
static void clear_folder(const struct agent *agent, const char *name, const char *beginning,
                         int64_t before_ms)
{
    CLEANUP(free_mem) char *folder = config_state(agent->config, name);
    CLEANUP(close_dir) DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        CLEANUP(free_mem) char *path = fs_join(folder, entry->d_name);
        struct err err = { 0 };
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, beginning, strlen(beginning)) != 0 ||
            !is_older(path, before_ms) || is_wanted(agent, entry->d_name))
            continue;
        if (fs_remove_tree(path, &err) != 0)
            log_warn("expire.left", "message=\"%s\"; ignoring", err.text);
        else
            log_info("expire.removed", "path=%s", path);
    }
}

static int64_t pause_ms(const struct agent *agent, bool more)
{
    int64_t pause = more ? SOON_MS : ROUND_MS;
    return agent->config->keep_ms < pause ? agent->config->keep_ms : pause;
}

int expire_tick(struct agent *agent, struct err *err)
{
    if (clock_mono_ms() < agent->expire_mono_ms)
        return 0;
    CLEANUP(round_free)
    struct round round = { .agent = agent, .before_ms = clock_wall_ms() - agent->config->keep_ms };
    int result = journal_runs_over(agent->journal, round.before_ms, take_over, &round, err);
    for (size_t i = 0; agent->survey && i < agent->survey->n_installations; i++) {
        const Confleet__Installation *found = agent->survey->installations[i];
        (void)place_of(&round, found->id, found->install, found->home);
    }
    if (result == 0)
        result = journal_runs(agent->journal, false, take_needed, &round, err);
    for (size_t i = 0; i < round.count && result == 0; i++)
        result = order(&round, &round.places[i], err);
    clear_folder(agent, "artifacts", "", round.before_ms);
    clear_folder(agent, "runs", "by-hand-", round.before_ms);
    agent->expire_mono_ms = clock_mono_ms() + pause_ms(agent, round.more || !agent->survey);
    return result;
}

int expire_check(struct agent *agent, const struct journal_run *row, struct err *err)
{
    bool expired = false, superseded = false;
    char keep[24], ended[CLOCK_TEXT_MAX];
    int result = journal_expiry(agent->journal, row->id, &expired, err);
    if (result == 0)
        result = journal_run_superseded(agent->journal, row->id, &superseded, err);
    if (result != 0)
        return result;
    if (expired)
        return err_set(err, FAIL_EXPIRED,
                       "the way back of site %s has expired: its run ended %s, and what a rollback "
                       "needs was kept for %s (keep of agent.yaml). confleet backup list shows "
                       "what is still there to restore from",
                       row->site, clock_text(row->finished_ms, ended),
                       text_duration(agent->config->keep_ms, keep));
    if (superseded)
        return err_set(err, FAIL_CONFLICT,
                       "site %s was upgraded again after this run; only its newest upgrade can be "
                       "rolled back",
                       row->site);
    return 0;
}
