/* out - what the command prints: whole texts at once, tables, JSON, and whether a terminal is at
 * the other end.
 *
 * Texts that come from a server or a file pass out_clean() first: no control character of theirs
 * reaches a terminal. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include "confleet.pb-c.h"

#define OUT_SCHEMA 1 /* of every --json output */

struct out {
    int fd;
    bool terminal, color;
    int width, height; /* where there is no terminal: 100 columns, 40 lines */
};
enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM, TONE_BOLD };

void out_open(struct out *out, int fd); /* looks at the terminal, NO_COLOR and TERM */
int out_write(const struct out *out, const struct str *text, struct err *err) MUST_USE;
void out_show(const struct out *out,
              const struct str *text); /* for eyes only: a failure is nobody's concern */
void out_clean(struct str *to,
               const char *text); /* control characters become '?', line breaks spaces */
/* A text of several lines: `before` (a line break and the indent) in front of each, the label in
 * front of the first. */
void out_lines(struct str *to, const char *before, const char *label, const char *text);
void out_tone(struct str *to, const struct out *out, enum tone tone, const char *text);
size_t out_columns(const char *text); /* width on the screen, in columns */
/* At most that many columns of the text, cleaned; what was cut off ends in an ellipsis. */
void out_cut(struct str *to, const char *text, size_t columns);

#define TABLE_COLUMNS_MAX 12
struct table {
    const char *const *heads;
    size_t columns;
    char **cells;
    size_t count;
};
void table_add(struct table *table, const char *cell); /* cleaned and copied; "" shows as "-" */
void table_addf(struct table *table, const char *format, ...) FORMAT(2, 3);
void table_print(const struct table *table, struct str *to);
void table_free(struct table *table);

/* {"schema":1,"KEY":[…]} and {"schema":1,"KEY":…}, with a line end. */
void json_list(struct str *to, const char *key, const ProtobufCMessage *const *items, size_t count);
void json_one(struct str *to, const char *key, const ProtobufCMessage *item);
#define JSON_LIST(to, key, items, count)                                                           \
    json_list(to, key, (const ProtobufCMessage *const *)(const void *)(items), count)

/* Words for people; enums come from the protocol. */
const char *severity_word(Confleet__Severity severity);
enum tone severity_tone(Confleet__Severity severity);
const char *level_word(Confleet__BackupLevel level);
const char *role_word(Confleet__Role role);
bool role_parse(const char *text, Confleet__Role *ret_role);
const char *time_word(int64_t ms, char out[32]); /* clock_text() */
#define DAY_WORD_MAX 48
const char *day_word(int64_t ms, char out[DAY_WORD_MAX]); /* "Sat 2026-11-28 02:00 UTC" */
const char *ago_word(int64_t then_ms, int64_t now_ms, char out[48]); /* "3m 20s ago" */
/* "9.2.13 (build 9112)", or "unknown". */
void version_add(struct str *to, const char *version, uint32_t build);
