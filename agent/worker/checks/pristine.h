/* pristine - what a release ships: path, size, SHA-256 and mode of each file and link, sorted by
 * path.
 *
 * Made from the vendor's archive, or from a tree that was just unpacked, or read from its own text
 * form (the manifest), less than 1 % of the archive:
 *
 *     confleet pristine 1
 *     SHA256 SIZE MODE PATH        one line a file, MODE in octal with the file's kind
 *     end COUNT
 *
 * A text without its last line is refused, since a cut one would show files as added. */
#pragma once
#include "agent/worker/backup/pool.h"
#include "confleet/err.h"
#include "confleet/hash.h"
#include "confleet/str.h"

#define PRISTINE_FILES_MAX 300000
#define PRISTINE_TEXT_MAX  (96u << 20)
struct pristine_file {
    const char *path;
    uint64_t size;
    uint32_t mode;
    uint8_t sha256[HASH_SIZE]; /* of a link: of its text */
};
struct pristine {
    struct pool pool;
    struct pristine_file *files;
    size_t count, room;
};
void pristine_free(struct pristine *pristine); /* fits CLEANUP() */

int pristine_of_archive(const char *path, int64_t until_mono_ms, struct pristine *ret,
                        struct err *err) MUST_USE;
/* Every file of the tree, hashed on all cores. */
int pristine_of_tree(const char *tree, struct pristine *ret, struct err *err) MUST_USE;
int pristine_parse(const char *name, const char *text, size_t len, struct pristine *ret,
                   struct err *err) MUST_USE;
void pristine_write(const struct pristine *pristine, struct str *out);
/* Told by its first bytes. */
bool pristine_is_manifest(const char *path);
int pristine_load(const char *path, struct pristine *ret, struct err *err) MUST_USE;

const struct pristine_file *pristine_find(const struct pristine *pristine, const char *path);
bool pristine_has_folder(const struct pristine *pristine, const char *folder, size_t len);
