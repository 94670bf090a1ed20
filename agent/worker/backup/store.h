/* store - where the backups of one installation are: BACKUP_DIR/INSTALLATION/ID/, and what their
 * names say about them.
 *
 *   ID.partial   being written; worth nothing, removed at the next backup
 *   ID.files     a capture at the stop whose files are complete and synced and whose database is
 * still to come ID           a backup that exists: its manifest was there, whole and synced, before
 * the folder got this name
 *
 * One writer at a time by a lock file. Folders are 0700: they hold what the site's database holds.
 */
#pragma once
#include "agent/worker/backup/manifest_read.h"
#include "agent/worker/backup/pack.h"
#include "confleet/err.h"
#include "confleet.pb-c.h"

struct store {
    char *dir;
    int lock;
    unsigned threads; /* so many read parts back at once; 0: the caller alone */
};
/* FAIL_BUSY when another backup of this installation is being made. A folder that can only be read
 * is opened all the same. */
int store_open(const char *backup_dir, const char *installation, struct store *ret,
               struct err *err) MUST_USE;
void store_close(struct store *store); /* fits CLEANUP() */
char *store_path(const struct store *store, const char *id, const char *ending,
                 const char *file); /* ending: "", ".partial", ".files"; file may be NULL */
char *store_pack_path(const struct store *store, const struct manifest *manifest, uint32_t pack,
                      const char *ending);
int store_begin(struct store *store, struct manifest *manifest, struct err *err)
    MUST_USE; /* gives it an id, makes ID.partial; removes older .partial */
/* Goes on with a backup that was cut off, if one left what can be used: ret_part says what is in
 * its folder, and the manifest gets its id. Nothing to go on with: ret_found is false and all is as
 * before. */
int store_go_on(struct store *store, struct manifest *manifest, struct manifest *ret_part,
                bool *ret_found, struct err *err) MUST_USE;
/* What ID+ending holds so far, synced; of no use to anybody but store_go_on(). */
int store_note_part(const struct store *store, const struct manifest *manifest, const char *ending,
                    struct err *err) MUST_USE;
/* Writes the manifest (or, for .files, its first half) into ID+from, syncs, and gives the folder
 * its next name. */
int store_keep(struct store *store, const struct manifest *manifest, const char *from,
               const char *to, struct err *err) MUST_USE;
/* The same, and the digest of the manifest's file. */
int store_keep_told(struct store *store, const struct manifest *manifest, const char *from,
                    const char *to, char ret_sha256[HASH_HEX_MAX], struct err *err) MUST_USE;
/* Names stay in the file. */
int store_read(const struct store *store, const char *id, const char *ending,
               enum manifest_how how, struct manifest *ret, char ret_sha256_or_null[HASH_HEX_MAX],
               struct err *err) MUST_USE;
/* All of it into memory. */
int store_load(const struct store *store, const char *id, const char *ending, struct manifest *ret,
               char ret_sha256_or_null[HASH_HEX_MAX], struct err *err) MUST_USE;
bool store_has(const struct store *store, const char *id, const char *ending);
int store_drop(const struct store *store, const char *id, const char *ending,
               struct err *err) MUST_USE;
/* Every pack and the dump of this folder read back whole; packs of other backups are there with the
 * size they must have. */
int store_check(const struct store *store, const struct manifest *manifest, const char *ending,
                pack_progress *progress, void *ctx, struct err *err) MUST_USE;
/* The packs of other backups, read from the disk to their last byte. A backup whose pack is bad is
 * doubted from then on. */
int store_check_bases(const struct store *store, const struct manifest *manifest,
                      pack_progress *progress, void *ctx, struct err *err) MUST_USE;
/* The packs of one tree alone, its own and those of other backups, each read to its last byte. A
 * backup whose pack is bad is doubted from then on. */
int store_check_tree(const struct store *store, const struct manifest *manifest, enum tree tree,
                     const char *ending, pack_progress *progress, void *ctx,
                     struct err *err) MUST_USE;
int store_check_dump(const struct store *store, const struct manifest *manifest, const char *ending,
                     pack_progress *progress, void *ctx,
                     struct err *err) MUST_USE;        /* the dump alone */
uint64_t store_bytes(const struct manifest *manifest); /* stored in this backup's own folder */

/* How far a backup was proven; kept beside the manifest, worth nothing for another manifest. */
struct proof {
    Confleet__BackupLevel level;
    char note[512];
};
int proof_write(const struct store *store, const char *id, const char *ending,
                const char *manifest_sha256, const struct proof *proof, struct err *err) MUST_USE;
/* A pack of it was found bad: whoever looks for a base passes it over, until it is proven again. */
void proof_doubt(const struct store *store, const char *id);
int proof_read(const struct store *store, const char *id, const char *manifest_sha256,
               struct proof *ret, struct err *err) MUST_USE; /* absent: LEVEL_NONE */
