/* Where backups go: what that lies on, how fast it is, how long its room lasts. */
#include "agent/worker/checks/check.h"
#include "agent/worker/checks/facts_backup.h"
#include "confleet/cleanup.h"

#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define WARN    CONFLEET__SEVERITY__WARN
#define INFO    CONFLEET__SEVERITY__INFO
#define OK      CONFLEET__SEVERITY__OK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

#define SLOW_BYTES_S (10ULL * 1000 * 1000)
#define LONG_MS      (8LL * 3600 * 1000)
#define SOON_MS      (14LL * 24 * 3600 * 1000)

/* Whether there is nothing to judge, and then why. */
static bool missing(const struct facts *facts, struct verdict *ret)
{
    if (!facts->backup_path[0])
        verdict_set(ret, INFO, "Not looked at: no backup folder is named in this order.");
    else if (facts->backup.part.known != FACT_YES)
        verdict_set(ret, UNKNOWN, "Not known: %s.", facts->backup.part.why);
    else
        return false;
    return true;
}

static void judge_medium(const struct facts *facts, struct verdict *ret)
{
    const struct facts_backup *backup = &facts->backup;
    const char *name = facts->backup_path;
    if (missing(facts, ret))
        return;
    if (backup->mounts_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "What %s lies on is not known: %s.", name, backup->mounts_why);
    else if (backup->expected[0]) {
        verdict_set(ret, BLOCK,
                    "Something is to be mounted at %s and is not: %s lies on %s (%s) instead.",
                    backup->expected, name, backup->at, backup->kind);
        ret->remedy = "Mount it (systemctl status and dmesg say why it is not), and see that it "
                      "comes before confleet-agent.service.";
    } else if (backup->memory) /* where the home lies there as well it is a trial */
        verdict_set(ret, backup->same_device == FACT_YES ? INFO : BLOCK,
                    "%s lies in memory (%s at %s)%s: the next boot takes every backup with it.",
                    name, backup->kind, backup->at,
                    backup->same_device == FACT_YES ? ", as the home does" : "");
    else if (backup->layer)
        verdict_set(ret, WARN,
                    "%s lies in a container's own layer (%s at %s): it goes with the container.",
                    name, backup->kind, backup->at);
    else if (backup->same_device == FACT_YES)
        verdict_set(ret, INFO,
                    "%s lies on the same file system as the home (%s at %s): one broken disk takes "
                    "both.",
                    name, backup->kind, backup->at);
    else
        verdict_set(ret, OK, "%s lies on %s (%s at %s).", name, backup->source, backup->kind,
                    backup->at);
}

int check_backup_medium(const Confleet__WorkerNode *node, const struct installation *site,
                        struct err *err)
{
    CLEANUP(free_mem) struct facts *facts = mem_zero(1, sizeof *facts);
    CLEANUP(free_mem) struct verdict *verdict = mem_zero(1, sizeof *verdict);
    const struct gather_source source = { .node = node, .site = site };
    (void)snprintf(facts->backup_path, sizeof facts->backup_path, "%s", node->backup_dir);
    facts->backup.part.known = FACT_YES;
    CLEANUP(free_mem) char *dir = facts_backup_medium(&source, &facts->backup);
    judge_medium(facts, verdict);
    if (verdict->severity != BLOCK)
        return 0;
    const char *remedy = verdict->remedy ? verdict->remedy : check_find("backup-medium")->remedy;
    return err_set(err, FAIL_BLOCKED, "%.500s %.300s", verdict->evidence, remedy);
}

static void judge_speed(const struct facts *facts, struct verdict *ret)
{
    const struct facts_backup *backup = &facts->backup;
    char wrote[24], speed[24], need[24], took[24], whole[24];
    if (missing(facts, ret))
        return;
    if (backup->speed_known != FACT_YES) {
        verdict_set(ret, UNKNOWN, "Not known: %s.", backup->speed_why);
        return;
    }
    int64_t ms = backup->wrote_ms > 0 ? backup->wrote_ms : 1;
    uint64_t rate = backup->written * 1000 / (uint64_t)ms, limit = facts->backup_rate;
    uint64_t used = limit > 0 && limit < rate ? limit : rate > 0 ? rate : 1;
    int64_t whole_ms = (int64_t)(facts->backup_need / used * 1000);
    bool slow = rate < SLOW_BYTES_S || whole_ms > LONG_MS;
    verdict_set(ret, slow ? WARN : OK,
                "%s took %s in %s, synced (%s/s); the next backup writes about %s: %s%s.",
                facts->backup_path, text_size(backup->written, wrote), text_duration(ms, took),
                text_size(rate, speed), text_size(facts->backup_need, need),
                text_duration(whole_ms, whole),
                used < rate ? " at backup_rate, with --full-speed less" : "");
}

static void judge_forecast(const struct facts *facts, struct verdict *ret)
{
    const struct facts_backup *backup = &facts->backup;
    char text[400], have[24], need[24];
    if (missing(facts, ret))
        return;
    if (backup->room_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "Not known: %s.", backup->room_why);
    else if (!backup->has_forecast)
        verdict_set(ret, INFO, "No backup of this installation is there yet: the first needs about "
                               "%s, %s are free.",
                    text_size(facts->backup_need, need), text_size(backup->free_bytes, have));
    else {
        const struct room_forecast *forecast = &backup->forecast;
        bool soon = forecast->more == 0 ||
                    (forecast->full_in_ms >= 0 && forecast->full_in_ms < SOON_MS);
        room_forecast_text(forecast, backup->free_bytes, text, sizeof text);
        verdict_set(ret, soon ? WARN : forecast->paced ? OK : INFO, "%s: %s.", facts->backup_path,
                    text);
    }
}

/* clang-format off */
const struct check_def checks_backup[] = {
    { "backup-dir", "Backup folder",
      "Create it, owned by root, mode 0700, outside of home and installation.",
      judge_backup_dir, NEED_FILES, NULL },
    { "backup-medium", "What the backup folder lies on",
      "Give backup_dir of agent.yaml a place on a disk, or a mounted file system, of its own.",
      judge_medium, NEED_FILES, NULL },
    { "backup-speed", "How fast the backup folder takes what is written",
      "Look at that disk or network, or give backup_dir of agent.yaml a faster place; backup_rate "
      "limits a backup while users are served.",
      judge_speed, NEED_FILES | NEED_DATABASE, NULL },
    { "backup-forecast", "How long the room for backups lasts",
      "Make room there, shorten keep, or give backup_dir of agent.yaml another place.",
      judge_forecast, NEED_FILES, NULL },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
