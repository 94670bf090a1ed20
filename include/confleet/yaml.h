/* yaml - a YAML file checked against a table of keys and read into structs, all errors in one pass.
 *
 * Each error is "FILE:LINE:COLUMN: error: text", the source line, a caret, and a suggestion for a misspelt key. Scalars stay text
 * until the table's kind parses them. Aliases, duplicate keys and documents above 1 MiB are refused. libfyaml's tree does not
 * leave this unit. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include <stdint.h>

enum yaml_kind {
    YAML_TEXT,        /* char *, owned by the struct, freed by yaml_free() */
    YAML_NAME,        /* the same, text_is_name() */
    YAML_PATH,        /* the same, absolute */
    YAML_U64,         /* uint64_t between min and max */
    YAML_BOOL,        /* bool */
    YAML_DURATION,    /* int64_t milliseconds: 90s, 10m, 4h, 7d */
    YAML_SIZE,        /* uint64_t bytes: 512, 10M, 2G */
    YAML_WORD,        /* int: index into words */
    YAML_LIST,        /* struct yaml_list of scalars (item gives their kind) or mappings (fields) */
    YAML_MAP,         /* a nested struct by fields, inline at offset */
    YAML_PAIRS        /* struct yaml_list of struct yaml_pair: free keys, text values */
};
struct yaml_at { int line, column; };   /* 1-based; zero: the key is absent */
struct yaml_pair { char *key, *value; struct yaml_at at; };             /* at: the key's place */
struct yaml_list { void *items; size_t count; struct yaml_at *at; };    /* at: each item's place */
struct yaml_field {
    const char *key;
    enum yaml_kind kind;
    size_t offset;                      /* in the struct being filled */
    bool needed;
    uint64_t min, max;                  /* numbers, durations (ms), sizes; max zero: no limit. Lists: item counts */
    const char *const *words;           /* YAML_WORD, NULL-ended */
    const struct yaml_field *fields;    /* YAML_MAP, YAML_LIST of mappings: table ended by a NULL key */
    size_t item_size;                   /* YAML_LIST: size of one item struct, or of the scalar */
    enum yaml_kind item;                /* YAML_LIST of scalars */
    bool single;                        /* YAML_LIST: one item may stand without its list */
    const char *help;                   /* one line, said with the error */
    size_t at_offset;                   /* not zero: offset of a struct yaml_at that gets the value's place */
};

#define YAML_SIZE_MAX (1024 * 1024)
#define YAML_ERRORS_MAX 50              /* further ones are counted, not printed */
struct yaml_report { struct str text; int errors; };     /* whole messages, ready to print */
void yaml_report_free(struct yaml_report *report);
/* A further check by the caller, at a place that the table gave. Reads the source line again for the caret. */
void yaml_report_add(struct yaml_report *report, const char *file, const char *source, struct yaml_at at, const char *format, ...) FORMAT(5, 6);

/* Fills *out (zeroed by the caller; default texts must be heap-owned). FAIL_USAGE when the report holds errors: *out then holds what
 * could be read, so that the caller can add checks of its own to the same report; yaml_free() it in both cases. A key that is
 * absent leaves its default alone. err gets one line: the count of errors and the file. ret_source: the text, owned; may be NULL. */
int yaml_load(const char *path, const struct yaml_field *fields, void *out, struct yaml_report *report, char **ret_source, struct err *err) MUST_USE;
int yaml_load_text(const char *name, const char *text, size_t len, const struct yaml_field *fields, void *out,
                   struct yaml_report *report, struct err *err) MUST_USE;
void yaml_free(const struct yaml_field *fields, void *out);

/* The word of the NULL-ended list that was probably meant, or NULL. For keys, words, and commands alike. */
const char *yaml_suggest(const char *word, const char *const *words);
/* "90s", "1h30m", "0": what YAML_DURATION takes, for options of commands. */
bool yaml_duration(const char *text, int64_t *ret_ms);
