/* oneshot - one worker's job for a person at the terminal: check, backup or verify, without daemon
 * and controller.
 *
 * Keeps no journal. Refuses to work beside a run that is in flight on the same installation. */
#pragma once
#include "agent/edge/config.h"
#include "confleet/wire.h"

struct oneshot {
    const char *job;            /* "check", "backup", "backups", "verify", "restore", … */
    const char *install, *home; /* paths; install "": needs none; home "": to be found */
    const char *backup;         /* id, for verify and restore */
    const char *version;        /* target of a check, "" for none */
    bool bare;                  /* no configuration: nothing but reading, in a temporary folder */
    bool quiet;                 /* no progress on stderr */
    const char *licence_file;   /* NULL: the one that waits for this installation */
    const char *pristine; /* archive or list of files of the installed version; NULL: find it */
    const char *artifact; /* archive of the target, or the one to list; NULL: none */
    bool diff;            /* what the merge would change, as a text on stdout */
    bool full_speed;      /* backup, verify: no rate limit, all cores */
    const char *into;      /* restore: an empty folder, or one to be made; NULL: none */
    const char *apps_file; /* NULL: what the controller said */
};
/* The worker's result, in the caller's arena; its code may be a failure of the job (then 0 is
 * returned all the same). A text that the job made, such as a list of files, goes to stdout. */
int oneshot_run(const struct config *config, const struct oneshot *shot, struct arena *arena,
                Confleet__WorkerResult **ret, struct err *err) MUST_USE;
/* For people, or as JSON. */
void oneshot_print(const struct oneshot *shot, const Confleet__WorkerResult *result, bool json,
                   struct str *out);
/* What --json prints for an error without a result: the same form, with code and message alone. */
void oneshot_failed(const struct err *err, struct str *out);
/* The id of an installation, as the worker makes it. */
void oneshot_id(const char *real_path, char *out, size_t size);
int oneshot_exit_status(const Confleet__WorkerResult *result);
/* The same for a readiness check, which tells apart what is all well from what is to be looked at. */
int oneshot_check_status(const Confleet__WorkerResult *result);
