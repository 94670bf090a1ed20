/* room - whether what is going to be written fits where it goes, asked before anything is begun, and
 * how long the folder will last.
 *
 * Looks at trees and file systems and writes nothing. Places on one file system share its free
 * space. No compression is counted on: too careful is a refusal with a remedy, too bold is a backup
 * that fails in the midst of it. */
#pragma once
#include "agent/worker/backup/manifest.h"
#include "confleet/err.h"
#include <sys/stat.h>

#define ROOM_SPARE (16ULL * 1024 * 1024) /* what a file system needs itself, once for each */
#define ROOM_MAX   8

/* One folder that is written to; it need not be there yet. */
struct room_place {
    const char *path, *what; /* what: "the backup" */
    uint64_t bytes, files;
};
/* FAIL_SPACE names folder, need, free and remedy. */
int room_check(const struct room_place *places, size_t count, const char *remedy,
               struct err *err) MUST_USE;

/* What a file takes on its disk: without its holes. */
uint64_t room_content(const struct stat *st);

/* What a hot backup would take: of the trees what neither manifest (either may be NULL) holds as it
 * is, and what the names take in the manifest. */
struct room_trees {
    uint64_t bytes, names; /* of everything there */
    uint64_t packed;       /* bytes that are to be packed */
};
void room_trees(const char *const root[TREE_COUNT], const char *skip,
                const struct manifest *const held[2], struct room_trees *ret);
uint64_t room_manifest(uint64_t names); /* bytes, about */

/* One backup as it lies in the folder. */
struct room_kept {
    int64_t finished_ms;
    uint64_t bytes;
};
/* Backups in the folder of one installation, by the sizes of their files; owned by the caller. A
 * folder that is not there holds none. */
int room_look(const char *store, struct room_kept **ret, size_t *ret_count,
              struct err *err) MUST_USE;
struct room_forecast {
    uint64_t next_bytes; /* the mean of the newest ones, a whole chain of them */
    uint64_t more;       /* so many like these fit, nothing expiring */
    size_t like;         /* of so many is the mean */
    int64_t full_in_ms;  /* at the pace so far; -1: what expires makes room in time */
    bool paced;          /* a day or more between the first and the last: that tells a pace */
};
/* kept in any order; false: there is none. keep_ms: what is older expires; zero: nothing does. */
bool room_forecast(const struct room_kept *kept, size_t count, uint64_t free_bytes, int64_t keep_ms,
                   int64_t now_ms, struct room_forecast *ret);
/* "room for 12 more like the last 5 (3.1 GB each); …" */
void room_forecast_text(const struct room_forecast *forecast, uint64_t free_bytes, char *out,
                        size_t size);
