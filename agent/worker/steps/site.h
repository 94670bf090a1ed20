/* site - what the steps need to know of the node again and again: its trees, its home, its people.
 *
 * A tree that this run unpacked carries a mark (TREE_FOLDER/tree); a tree without this run's mark is the old version and is
 * never removed. The mark sits in a folder of ours with copies of the files that customers edit, as they were shipped, so
 * that the next upgrade knows what is the customer's. */
#pragma once
#include "agent/worker/confluence/installation.h"
#include "agent/worker/job.h"

/* For a call whose failure changes nothing; the line says why. */
#define IGNORE(call) do { if (call) { } } while (0)

#define SITE_KEPT_NOTE "KEPT"          /* beside stage_dir/old: a commit has put it there */
#define SITE_HOME_NOTE "home-changed"  /* in run_dir: "configure" has begun to change the home */
#define SITE_UNSTARTED_NOTE "unstarted" /* in run_dir: "start" has begun, and not yet run the start script */
#define TREE_FOLDER ".confleet"
#define TREE_SHIPPED TREE_FOLDER "/shipped"
#define TREE_JARS TREE_FOLDER "/jars"

const char *site_proc(const struct job *job);                          /* "/proc" but in tests */
char *site_stage(const struct job *job, const char *name);             /* stage_dir/name, owned */
char *site_run(const struct job *job, const char *name);               /* run_dir/name, owned */
/* The stage folder of a run, and the hidden one above it that holds those of all runs, when nothing is left in them. */
int site_stage_leave(const char *stage_dir, struct err *err) MUST_USE;
const char *site_home(const struct job *job);                          /* from the memo, else the order; "" when neither knows */
/* The installation as it is now, at the installation's place; its run user is the memo's alone (uid -1 when there is none). */
int site_read(const struct job *job, struct installation *ret, struct err *err) MUST_USE;
/* Whether what was read from the tree itself may be the memo's run user: not root, owner of the home and of the process. */
int site_user_decide(const struct job *job, const struct installation *found, struct err *err) MUST_USE;
/* Whether the process is there and of found's run user. */
bool site_process_is_users(const struct job *job, const struct installation *found, pid_t pid);
uint32_t site_memo_u32(const struct job *job, const char *key);        /* zero when absent or no number */

int tree_mark(const struct job *job, const char *tree, struct err *err) MUST_USE;
/* Whether tree is the one that this run unpacked. What cannot be read is an error: neither answer would be true. */
int tree_mark_read(const struct job *job, const char *tree, bool *ret_ours, struct err *err) MUST_USE;
/* The same where nothing hangs on it: false also when it cannot be read. */
bool tree_is_ours(const struct job *job, const char *tree);
/* Whether tree was unpacked by the run of this id, whatever it was to hold. */
bool tree_is_of_run(const char *tree, const char *run);
/* Version and build as the order wants them: FAIL_MISMATCH otherwise. */
int tree_check(const struct job *job, const char *tree, struct err *err) MUST_USE;

/* Owner for a new file at tree/path: that of the same first component in the old tree, else of the old tree itself. */
struct owner { uid_t uid; gid_t gid; };
int owner_like(const char *old_tree, const char *path, struct owner *ret, struct err *err) MUST_USE;
/* Atomic write that keeps mode and owner of the file that is there (or gives the given ones). Not for files outside our trees. */
int file_replace(const char *path, const void *bytes, size_t len, mode_t mode, struct owner owner, struct err *err) MUST_USE;
/* One regular file, with mode and times; the target's folder exists. Links are refused. */
int file_copy(const char *from, const char *to, struct owner owner, uint64_t size_max, struct err *err) MUST_USE;
/* The same from an open regular file; from is its name for messages. */
int file_copy_fd(int in, const char *from, const char *to, struct owner owner, uint64_t size_max, struct err *err) MUST_USE;
/* Text of a person's file or log, for messages: passwords behind "password=" and the like are masked in place. */
void text_mask_secrets(char *text);
