/* Fixtures of the family backup. */
#pragma once
#include "fixtures.h"

static void folder_missing(struct facts *facts)
{
    facts->backup_dir.exists = FACT_NO;
}
static void folder_is_a_file(struct facts *facts)
{
    facts->backup_dir.is_dir = false;
}
static void folder_within(struct facts *facts)
{
    facts->backup_inside = true;
}
static void folder_read_only(struct facts *facts)
{
    facts->backup_dir.read_only = true;
}
static void folder_open_to_others(struct facts *facts)
{
    facts->backup_dir.mode = 0755;
}
static void folder_anybodys(struct facts *facts)
{
    facts->backup_dir.mode = 01777;
}
static void folder_unseen(struct facts *facts)
{
    facts->backup_dir.exists = FACT_UNKNOWN;
}
static void folder_not_named(struct facts *facts)
{
    facts->backup_path[0] = 0;
}

static void medium_memory(struct facts *facts)
{
    facts->backup.memory = true;
    (void)snprintf(facts->backup.kind, sizeof facts->backup.kind, "tmpfs");
}
static void medium_memory_for_trials(struct facts *facts)
{
    medium_memory(facts);
    facts->backup.same_device = FACT_YES;
}
static void medium_not_mounted(struct facts *facts)
{
    (void)snprintf(facts->backup.expected, FACT_TEXT, "/var/backups (/etc/fstab)");
    (void)snprintf(facts->backup.at, FACT_TEXT, "/");
}
static void medium_layer(struct facts *facts)
{
    facts->backup.layer = true;
}
static void medium_with_the_home(struct facts *facts)
{
    facts->backup.same_device = FACT_YES;
}
static void medium_untold(struct facts *facts)
{
    facts->backup.mounts_known = FACT_UNKNOWN;
    (void)snprintf(facts->backup.mounts_why, FACT_TEXT, "Permission denied");
}
static void folder_hangs(struct facts *facts)
{
    facts->backup.part.known = FACT_UNKNOWN;
    (void)snprintf(facts->backup.part.why, FACT_TEXT, "not found out within 30 s");
}
static void speed_low(struct facts *facts)
{
    facts->backup.wrote_ms = 20000;
}
static void speed_low_for_so_much(struct facts *facts)
{
    facts->backup_need = 4000000000000;
}
static void speed_untold(struct facts *facts)
{
    facts->backup.speed_known = FACT_UNKNOWN;
    (void)snprintf(facts->backup.speed_why, FACT_TEXT, "Input/output error");
}
static void forecast_full(struct facts *facts)
{
    facts->backup.forecast.more = 0;
}
static void forecast_soon(struct facts *facts)
{
    facts->backup.forecast.full_in_ms = 5LL * 24 * 3600 * 1000;
}
static void forecast_without_pace(struct facts *facts)
{
    facts->backup.forecast.paced = false;
}
static void forecast_none_yet(struct facts *facts)
{
    facts->backup.has_forecast = false;
}
static void forecast_untold(struct facts *facts)
{
    facts->backup.room_known = FACT_UNKNOWN;
    (void)snprintf(facts->backup.room_why, FACT_TEXT, "Stale file handle");
}

static const struct fixture fixtures_backup[] = {
    { "backup-medium", OK, NULL, "/dev/sdb1 (ext4 at /var/backups)" },
    { "backup-medium", BLOCK, medium_memory, "next boot" },
    { "backup-medium", INFO, medium_memory_for_trials, "as the home does" },
    { "backup-medium", BLOCK, medium_not_mounted, "/var/backups (/etc/fstab) and is not" },
    { "backup-medium", WARN, medium_layer, "container" },
    { "backup-medium", INFO, medium_with_the_home, "same file system as the home" },
    { "backup-medium", UNKNOWN, medium_untold, "Permission denied" },
    { "backup-medium", UNKNOWN, folder_hangs, "within 30 s" },
    { "backup-medium", INFO, folder_not_named, "no backup folder" },
    { "backup-speed", OK, NULL, "20 s at backup_rate" },
    { "backup-speed", WARN, speed_low, "/s); the next" },
    { "backup-speed", WARN, speed_low_for_so_much, "h" },
    { "backup-speed", UNKNOWN, speed_untold, "Input/output error" },
    { "backup-forecast", OK, NULL, "what expires makes room" },
    { "backup-forecast", WARN, forecast_full, "room for 0 more" },
    { "backup-forecast", WARN, forecast_soon, "full in 5" },
    { "backup-forecast", INFO, forecast_without_pace, "is unknown" },
    { "backup-forecast", INFO, forecast_none_yet, "No backup of this installation" },
    { "backup-forecast", UNKNOWN, forecast_untold, "Stale file handle" },
    { "backup-dir", OK, NULL, "0700" },
    { "backup-dir", BLOCK, folder_missing, "does not exist" },
    { "backup-dir", BLOCK, folder_is_a_file, "not a folder" },
    { "backup-dir", BLOCK, folder_within, "inside" },
    { "backup-dir", BLOCK, folder_read_only, "read-only" },
    { "backup-dir", WARN, folder_open_to_others, "0755" },
    { "backup-dir", BLOCK, folder_anybodys, "1777: others on this server can put" },
    { "backup-dir", UNKNOWN, folder_unseen, "cannot be looked at" },
    { "backup-dir", UNKNOWN, folder_not_named, "No backup folder" },
    { NULL, OK, NULL, NULL },
};
