/* properties - a Java .properties file, read as java.util.Properties does: # and ! comments, = : or
 * blank between name and value, continued lines, escapes with \uXXXX. Of a name given twice the
 * last one counts. Bounded; nothing is written. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"

#define PROPERTIES_SIZE_MAX  (1024 * 1024)
#define PROPERTIES_COUNT_MAX 20000

/* Java takes the file's bytes as Latin-1. RAW keeps them as they are: the way to a file name that
 * was written in the server's own encoding. */
enum properties_bytes { PROPERTIES_LATIN1, PROPERTIES_RAW };

struct property {
    char *name, *value;
};
struct properties {
    struct property *items;
    size_t count;
};

int properties_parse(const char *text, size_t len, enum properties_bytes bytes,
                     struct properties *ret, struct err *err) MUST_USE;
int properties_read(const char *path, enum properties_bytes bytes, struct properties *ret,
                    struct err *err) MUST_USE;
const char *properties_get(const struct properties *properties,
                           const char *name); /* NULL when absent */
void properties_add(struct properties *properties, const char *name, const char *value);
void properties_free(struct properties *properties); /* wipes values; fits CLEANUP() */
