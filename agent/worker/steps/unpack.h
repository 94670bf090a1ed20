/* unpack - one vendor archive into one fresh folder; everything that an archive can do beyond that is refused.
 *
 * Only tar (plain, gzip, zstd) and zip are read. Refused: absolute names, "..", links that leave the tree, hard links, devices,
 * FIFOs, sockets, set-uid and sticky modes, a name twice, entries and totals above the caps, a second top folder. The one
 * top folder is stripped. Nothing outside the folder is touched; the caller removes it after a failure. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

struct unpack {
    const char *artifact, *into;       /* into: does not exist yet, its parent does */
    const char *old_tree;              /* owners are taken from here; NULL: the caller's own */
    uint64_t entries_max, file_bytes_max, total_bytes_max;      /* zero: the defaults below */
    void (*progress)(void *arg, uint64_t done, uint64_t total);  /* bytes of the archive; may be NULL */
    void *arg;
};
#define UNPACK_ENTRIES_MAX 300000
#define UNPACK_FILE_MAX (2ULL << 30)
#define UNPACK_TOTAL_MAX (12ULL << 30)

struct unpack_count { uint64_t entries, bytes; };
int unpack_archive(const struct unpack *unpack, struct unpack_count *ret, struct err *err) MUST_USE;   /* synced */
