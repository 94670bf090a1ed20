/* manifest_line - one line of a manifest taken apart, for who parses a whole text and who reads a
 * file line after line, and an entry's line written.
 *
 * The first thing that is wrong is remembered; later calls do nothing. Keeps no entry. */
#pragma once
#include "agent/worker/backup/manifest.h"

/* Names are the lines from begin on; end is behind the last of them, or where lines end at all. */
struct manifest_file {
    int fd;
    char *name;
    uint64_t begin, end;
};

struct line {
    struct manifest *manifest; /* what was named before: packs; owns texts unless they stay in place */
    bool in_place;             /* texts are good as long as the line's own bytes */
    char *at;                  /* what is left of the line */
    const char *why;           /* what is wrong with it */
};
/* The entry before: what comes next must follow it, in a folder that was named. All zero with empty
 * owners is the beginning. */
struct line_before {
    bool any;
    enum tree tree;
    enum entry_type type;
    const char *user, *group;
    struct str path, texts[2];
};
void line_before_init(struct line_before *before);
void line_before_free(struct line_before *before);

bool line_has(const struct line *line, const char *key);
const char *line_text(struct line *line, const char *key);
const char *line_name(struct line *line, const char *key); /* of a file of ours */
uint64_t line_u64(struct line *line, const char *key, uint64_t max);
int64_t line_i64(struct line *line, const char *key);
void line_hex(struct line *line, const char *key, uint8_t out[HASH_SIZE]);
enum tree line_tree(struct line *line, const char *key);

/* ENTRY_TYPES: the line, up to its first blank, names no entry. */
enum entry_type line_type(const char *text, size_t word);
/* Everything behind the word. Whether a hard link's target was named is asked only where texts do
 * not stay in place. before NULL: what it follows does not matter. */
void line_entry(struct line *line, enum entry_type type, bool stale, struct line_before *before,
                struct entry *ret);
void line_passed(struct line_before *before, struct entry *entry, bool in_place);
/* A line that is no entry. */
void line_word(struct line *line, const char *word);
int line_check_whole(const struct manifest *m, const char *name, struct err *err) MUST_USE;
void line_write_entry(struct str *out, const struct entry *entry);
void line_write_head(struct str *out, const struct manifest *m);
