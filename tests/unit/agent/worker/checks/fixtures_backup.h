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
static void folder_unseen(struct facts *facts)
{
    facts->backup_dir.exists = FACT_UNKNOWN;
}
static void folder_not_named(struct facts *facts)
{
    facts->backup_path[0] = 0;
}

static const struct fixture fixtures_backup[] = {
    { "backup-dir", OK, NULL, "0700" },
    { "backup-dir", BLOCK, folder_missing, "does not exist" },
    { "backup-dir", BLOCK, folder_is_a_file, "not a folder" },
    { "backup-dir", BLOCK, folder_within, "inside" },
    { "backup-dir", BLOCK, folder_read_only, "read-only" },
    { "backup-dir", WARN, folder_open_to_others, "0755" },
    { "backup-dir", UNKNOWN, folder_unseen, "cannot be looked at" },
    { "backup-dir", UNKNOWN, folder_not_named, "No backup folder" },
    { NULL, OK, NULL, NULL },
};
