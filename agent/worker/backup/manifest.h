/* manifest - what one backup holds: every file with all that is needed to put it back, every pack,
 * the dump and its frames, and what the database held.
 *
 * Text, one thing a line, `key=value` fields in a fixed order, odd bytes as %XX; the last line is
 * the SHA-256 of all before it. README.md has it in prose. The parser trusts nothing: it bounds
 * every count, wants paths relative, clean, in strict order and below a folder that was named
 * before, and references to packs that exist. It reads no pack. Names are in memory, or stay in a
 * file (manifest_read.h), or are written to one as they come (manifest_spill.h): then as many as
 * there may be take no more memory. Invariant: manifest_parse(manifest_write(m)) is m, and a
 * manifest that parsed can be walked without another check. */
#pragma once
#include "agent/worker/backup/contents.h"
#include "agent/worker/backup/frames.h"
#include "agent/worker/backup/pool.h"
#include "confleet/err.h"
#include "confleet/str.h"
#include <stdint.h>

#define MANIFEST_FORMAT      1
#define MANIFEST_SIZE_MAX    (1024u * 1024 * 1024)
#define MANIFEST_ENTRIES_MAX 5000000u
#define MANIFEST_PACKS_MAX   4096u
#define MANIFEST_PATH_MAX    4096u
#define MANIFEST_XATTRS_MAX  (128u * 1024)
#define MANIFEST_NO_PACK     UINT32_MAX
#define MANIFEST_ID_MAX      32

struct manifest_file;
struct manifest_spill;

enum tree { TREE_INSTALL, TREE_HOME, TREE_COUNT };
enum entry_type {
    ENTRY_FILE,
    ENTRY_DIR,
    ENTRY_LINK,
    ENTRY_HARD,
    ENTRY_FIFO,
    ENTRY_SOCKET,
    ENTRY_DEVICE,
    ENTRY_TYPES
};

/* One name in a tree. Times are nanoseconds since 1970. */
struct entry {
    enum entry_type type;
    enum tree tree;
    bool changed;     /* kept changing while it was read: what is packed may be torn */
    bool fresh;       /* changed so shortly before it was read that equal times prove nothing */
    bool stale;       /* a first try at a file that changed: in the pack, to be passed over */
    bool owed;        /* its pack is open, and sha256 begins with the number of its digest */
    const char *path; /* relative; "." is the root of the tree */
    uint32_t mode;    /* the lower twelve bits */
    uint32_t uid, gid;
    const char *user, *group; /* "" when the numbers have no names */
    uint64_t size;            /* of a file's content; zero for others */
    int64_t mtime_ns, ctime_ns;
    uint64_t ino;
    const char *target;        /* of a link; of a hard link the path that holds the content */
    const char *xattrs;        /* "name:base64 …" sorted, or "" */
    uint8_t sha256[HASH_SIZE]; /* of a file's content */
    uint32_t pack;             /* index, or MANIFEST_NO_PACK for what is only listed */
    uint64_t at, skip; /* frame in the pack that begins the member, and where in its content */
    const char *line;  /* as it was read from a manifest, up to where it is packed; or NULL */
    size_t line_len;
    const struct manifest_file *line_file; /* whose whole line it is, there; or NULL */
    uint64_t line_at, line_end;
};
struct manifest_pack {
    enum tree tree;
    const char *name, *from;
    uint64_t size;
    uint8_t sha256[HASH_SIZE];
}; /* from: "" or the id of the backup that holds it */
struct manifest_dump {
    const char *name;
    uint64_t size, content;
    uint8_t sha256[HASH_SIZE];
    struct frame_list frames;
};

#define SUMS_NAMED 3
/* Of all names, for people and for estimates. */
struct sums {
    size_t names, changed, outside;
    uint64_t bytes;
    struct str changed_names, outside_links; /* the first few */
};
struct manifest {
    struct pool pool; /* owns every text below */
    char id[MANIFEST_ID_MAX];
    const char *kind; /* "hot" or "stop" */
    const char *installation, *site, *version,
        *base; /* base: id of the backup this one refers to, or "" */
    uint32_t build;
    int64_t started_ms, finished_ms;
    const char *root[TREE_COUNT]; /* where the trees were */
    struct manifest_pack *packs;
    size_t pack_count, pack_cap;
    struct entry *entries;
    size_t entry_count, entry_cap; /* by tree, then path; stale ones are apart. With a spill those
                                      alone whose pack is open */
    struct manifest_file *file;    /* where names are that are not in memory, or NULL */
    struct manifest_spill *spill;  /* where names go that come, or NULL */
    struct sums sums;              /* with one of these two */
    struct members *members;       /* the same: of packs their lines */
    size_t member_packs;
    struct entry *stale;
    size_t stale_count, stale_cap;
    bool has_dump;
    struct manifest_dump dump;
    struct contents contents; /* of the database; with has_dump only */
};

void manifest_init(struct manifest *manifest);
void manifest_free(struct manifest *manifest);                          /* fits CLEANUP() */
const char *manifest_text(struct manifest *manifest, const char *text); /* copied into the pool */
/* Into memory, its texts as well; to stale when it is. */
struct entry *manifest_add_entry(struct manifest *manifest, const struct entry *entry);
struct entry *manifest_push_entry(struct manifest *manifest,
                                  const struct entry *entry); /* texts are borrowed */
uint32_t manifest_add_pack(struct manifest *manifest, const struct manifest_pack *pack);
const struct entry *manifest_find(const struct manifest *manifest, enum tree tree,
                                  const char *path);
/* What all names come to, wherever they are; free with sums_free(). */
void manifest_sum(const struct manifest *manifest, struct sums *ret);
void sums_add(struct sums *sums, const struct manifest *manifest, const struct entry *entry);
void sums_free(struct sums *sums);
int manifest_path_compare(const char *a,
                          const char *b); /* a folder, what is in it, then its next sibling */
bool manifest_path_is_safe(const char *path);
bool manifest_id_is_valid(const char *id);
const char *tree_name(enum tree tree);
const char *entry_type_name(enum entry_type type);

void manifest_write(const struct manifest *manifest, struct str *ret_text);
/* The same into a file that has its name when it is whole and synced, without holding all of it. */
int manifest_save(const struct manifest *manifest, const char *path,
                  char ret_sha256_or_null[HASH_HEX_MAX], struct err *err) MUST_USE;
/* text is changed while it is read. name is for error texts. */
int manifest_parse(struct str *text, const char *name, struct manifest *ret,
                   struct err *err) MUST_USE;
