/* inside - files of a tree that belongs to somebody with fewer rights than we have.
 *
 * Whoever owns the tree may put a link where a file was, at any time. A file is therefore opened without following a link
 * anywhere below the tree, judged by its descriptor, and read through that descriptor alone. What is no regular file, is
 * reached by a link, or belongs to neither root, the tree's owner nor the run user, is refused: FAIL_CONFLICT. */
#pragma once
#include "agent/worker/steps/site.h"
#include <sys/stat.h>

struct inside { const char *tree; uid_t run_uid; };

int inside_open(struct inside in, const char *name, uint64_t size_max, int *ret_fd, struct stat *ret_stat, struct err *err) MUST_USE;
int inside_read(struct inside in, const char *name, uint64_t size_max, struct str *ret, struct err *err) MUST_USE;
/* With owner, mode and times of the file that was opened. */
int inside_copy(struct inside in, const char *name, const char *to, uint64_t size_max, struct err *err) MUST_USE;
/* A folder, reached without links; for fdopendir(). */
int inside_folder(struct inside in, const char *name, int *ret_fd, struct err *err) MUST_USE;
/* A link's text, when it is relative and stays in the tree; FAIL_CONFLICT otherwise. */
int inside_link(struct inside in, const char *name, char *ret, size_t size, struct owner *ret_owner, struct err *err) MUST_USE;
/* The account's number; root's when it is not known, which allows nobody more. */
uid_t inside_uid(const char *user);
