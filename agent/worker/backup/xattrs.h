/* xattrs - the extended attributes of one name (ACLs are among them) as one line of text:
 * "name:base64 name:base64", sorted by name. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"

#define XATTRS_LIST_MAX  (64u * 1024)
#define XATTRS_VALUE_MAX (64u * 1024)

/* path names the thing itself, a link is not followed. A file system without attributes has none.
 */
int xattrs_read(const char *path, struct str *ret_text, struct err *err) MUST_USE;
/* Makes the attributes of path those of text: sets what differs, removes what is not in it. */
int xattrs_apply(const char *path, const char *text, struct err *err) MUST_USE;
/* Calls each with name and value; stops at the first that returns not zero. FAIL_CORRUPT when text
 * is none of ours. */
typedef int xattr_fn(void *ctx, const char *name, const void *value, size_t len, struct err *err);
int xattrs_each(const char *text, xattr_fn *each, void *ctx, struct err *err) MUST_USE;
