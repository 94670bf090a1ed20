/* release_archive - the files of one vendor archive, told one after the other without unpacking it.
 *
 * Tar (plain, gzip, zstd) and zip alone. The one top folder is stripped. What unpacking would
 * refuse (names that leave the tree, hard links, devices, two top folders) is refused here as well,
 * and entries, bytes and time are bounded, so a bomb costs seconds and no disk. Writes nothing. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>
#include <stddef.h>

#define RELEASE_ENTRIES_MAX 300000
#define RELEASE_TOTAL_MAX   (12ULL << 30)

struct release_entry {
    const char *path; /* below the top folder; no control characters */
    uint32_t mode;    /* with S_IFREG or S_IFLNK */
    const char *link; /* text of a link, else NULL */
};
struct release_reader {
    void *arg;
    /* 1: its bytes are wanted, 0: they are not; negative ends the reading. */
    int (*begin)(void *arg, const struct release_entry *entry, struct err *err);
    int (*bytes)(void *arg, const void *bytes, size_t len, struct err *err);
    int (*end)(void *arg, uint64_t size, struct err *err);
};
/* until_mono_ms: FAIL_TIMEOUT when it is past; zero: no limit. FAIL_CORRUPT names the entry. */
int release_archive_read(const char *path, const struct release_reader *reader,
                         int64_t until_mono_ms, struct err *err) MUST_USE;
/* Whether a path is one that a release may hold: relative, plain parts, no control characters. */
bool release_path_ok(const char *path);
