/* app_jar - reads from a jar what the app in it says of itself.
 *
 * The jar is a customer's or a stranger's: entries, and bytes taken out of one, are counted against
 * limits; nothing is unpacked, and an entry's name is compared and never used as a path. */
#pragma once
#include "agent/worker/confluence/app_descriptor.h"

#define APP_JAR_ENTRIES_MAX 100000

/* FAIL_NOT_FOUND: no file, or a jar that is no app; FAIL_CORRUPT: no whole zip file, or a
 * descriptor that is none; FAIL_LIMIT, and FAIL_UNSUPPORTED for what is encrypted or has a document
 * type: it could not be told. */
int app_jar_read(const char *path, struct app *ret, struct err *err) MUST_USE;
int app_jar_read_bytes(const void *bytes, size_t len, struct app *ret, struct err *err) MUST_USE;
