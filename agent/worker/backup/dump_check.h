/* dump_check - a stored dump is read from the disk and compared with its manifest: each frame's
 * content with its digest, the file with its own. Of one that was just made with frames of another
 * dump, each frame as stored, and the content of those that are its own. Parses nothing of what
 * pg_dump wrote. */
#pragma once
#include "agent/worker/backup/manifest.h"
#include "agent/worker/backup/pack.h"

/* Several threads share the frames; progress is called by one at a time. */
int dump_check(const char *path, const struct manifest_dump *dump, unsigned threads,
               pack_progress *progress, void *ctx, struct err *err) MUST_USE;
