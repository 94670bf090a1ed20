/* fs - files as the rest of the project wants them: whole, synced, capped, in folders that we hold.
 *
 * Writing follows one rule: x.partial, fsync, rename, fsync of the folder. Does not follow symlinks at the
 * last component unless a function says so. Paths given here are ours, never a peer's. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include <stdint.h>
#include <sys/types.h>

#define FS_PATH_MAX 4096

int fs_read(const char *path, size_t size_max, struct str *ret_text, struct err *err) MUST_USE;   /* FAIL_NOT_FOUND, FAIL_LIMIT */
int fs_read_fd(int fd, const char *name, size_t size_max, struct str *ret_text, struct err *err) MUST_USE;
int fs_write(const char *path, const void *bytes, size_t len, mode_t mode, struct err *err) MUST_USE;   /* atomic, synced */
int fs_write_all(int fd, const void *bytes, size_t len, struct err *err) MUST_USE;
int fs_sync_fd(int fd, const char *name, struct err *err) MUST_USE;
int fs_sync_dir(const char *dir, struct err *err) MUST_USE;
int fs_sync_parent(const char *path, struct err *err) MUST_USE;
int fs_close(int *fd, const char *name, struct err *err) MUST_USE;          /* after writing */
int fs_mkdirs(const char *path, mode_t mode, struct err *err) MUST_USE;     /* existing is fine */
int fs_rename(const char *from, const char *to, struct err *err) MUST_USE;  /* synced, replaces */
int fs_exchange(const char *a, const char *b, struct err *err) MUST_USE;    /* atomic swap of two names, synced */
int fs_unlink(const char *path, struct err *err) MUST_USE;                  /* absent is fine; synced */
int fs_remove_tree(const char *path, struct err *err) MUST_USE;             /* absent is fine; never leaves the file system or follows links */
bool fs_exists(const char *path);                                           /* lstat */
bool fs_is_dir(const char *path);                                           /* follows links */
int fs_space(const char *path, uint64_t *ret_free_bytes, uint64_t *ret_free_inodes, struct err *err) MUST_USE;
int fs_lock(const char *path, int *ret_fd, struct err *err) MUST_USE;       /* exclusive flock, FAIL_BUSY when held; close releases */
/* The same of a file, or a folder, that is there and cannot be written. */
int fs_lock_to_read(const char *path, int *ret_fd, struct err *err) MUST_USE;
char *fs_join(const char *dir, const char *name);                           /* owned by the caller */
