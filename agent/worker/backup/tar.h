/* tar - what writing and reading of packs share: entries to and from libarchive, in UTF-8 whatever
 * the program's locale is. */
#pragma once
#include "agent/worker/backup/manifest.h"
#include "confleet/cleanup.h"
#include "confleet/err.h"
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

CLEANUP_OF(tar_entry_free, struct archive_entry *, archive_entry_free)

/* libarchive translates names by the locale of the thread; without this every name that is not
 * ASCII would be a failure. Made once, since glibc reads a file for it; entered around each call.
 */
int tar_locale_new(locale_t *ret, struct err *err) MUST_USE;
void tar_locale_free(locale_t *locale);
static inline void tar_locale_leave(locale_t *before)
{
    (void)uselocale(*before);
}
#define TAR_LOCALE(locale) CLEANUP(tar_locale_leave) locale_t before_ = uselocale(locale)

int tar_entry_fill(const struct entry *entry, struct archive_entry *to, struct err *err) MUST_USE;
/* FAIL_CORRUPT naming the entry's path when the member is not exactly this entry; content is not
 * looked at. */
int tar_entry_compare(const struct entry *entry, struct archive_entry *member, const char *pack,
                      struct err *err) MUST_USE;
