/* jar - one entry out of a jar, which is a zip file, by libarchive with every other format switched
 * off. Bounded. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"

#define JAR_ENTRIES_MAX 200000

/* FAIL_NOT_FOUND when there is no such entry, FAIL_LIMIT when it is larger than size_max,
 * FAIL_CORRUPT for no zip. */
int jar_entry(const char *path, const char *entry, size_t size_max, struct str *ret_text,
              struct err *err) MUST_USE;
