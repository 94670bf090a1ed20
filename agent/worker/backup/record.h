/* record - what people and the controller are told of one backup.
 *
 * Made from its manifest and its proof alone; reads no pack. Owned by the caller, in the protocol's
 * own form. */
#pragma once
#include "agent/worker/backup/store.h"

Confleet__BackupRecord *record_make(const struct manifest *manifest, const char *manifest_sha256,
                                    const struct proof *proof);
/* Of a backup in the folder, with the level that its proof says. What cannot be read has no level,
 * and a note that says why. ret_trouble may be NULL: true when it was the reading that failed, so
 * that there may be more to it. */
Confleet__BackupRecord *record_read(const struct store *store, const char *id, bool *ret_trouble);
void record_note(Confleet__BackupRecord *record, const char *note); /* instead of the one it has */
