/* facts_backup - what the backup folder lies on, how fast it takes what is written, and how long its
 * room will last.
 *
 * The only gatherer that writes: a nameless file of some megabytes in the backup folder, for a
 * second at most, gone before the gatherer ends. Not right before the stop. */
#pragma once
#include "agent/worker/backup/room.h"
#include "agent/worker/checks/gather.h"

#define SPEED_BYTES (64ULL * 1024 * 1024)
#define SPEED_MS    1000 /* no further block is begun then */

struct facts_backup {
    struct part part;
    enum fact mounts_known;
    char mounts_why[FACT_TEXT];
    char kind[64], source[FACT_TEXT], at[FACT_TEXT]; /* file system, its device or server, where */
    bool memory, layer;       /* gone with a boot; with a container */
    char expected[FACT_TEXT]; /* mount point above the folder where nothing is mounted, and who says
                                 so; "": none */
    enum fact same_device;    /* as the home's */
    enum fact speed_known;
    char speed_why[FACT_TEXT];
    uint64_t written;
    int64_t wrote_ms;
    enum fact room_known;
    char room_why[FACT_TEXT];
    uint64_t free_bytes;
    bool has_forecast; /* there is a backup of this installation */
    struct room_forecast forecast;
};
gather_fn facts_gather_backup;
/* Of all that only what the folder lies on; writes nothing. Returns its real path, owned by the
 * caller; NULL when it cannot be looked at. */
char *facts_backup_medium(const struct gather_source *source, struct facts_backup *facts);
/* From texts as in /proc/self/mountinfo and fstab; dir is real. Pure. */
void facts_backup_mount(struct facts_backup *facts, const char *dir, const char *mountinfo);
void facts_backup_expected(struct facts_backup *facts, const char *dir, const char *mountinfo,
                           const char *fstab, const char *says);
