/* config - what root on this server allows the agent, from agent.yaml; nothing on the wire can
 * widen it.
 *
 * Everything is read once at the start. Unset paths get their defaults here, so that nobody else
 * knows any. */
#pragma once
#include "confleet/err.h"
#include "confleet/wire.h"
#include "confleet/yaml.h"

enum config_scratch { SCRATCH_AUTO, SCRATCH_SERVER, SCRATCH_LOCAL };
enum config_capture { CAPTURE_AUTO, CAPTURE_DUMP, CAPTURE_COPY };

/* What plans may do here. An installation that is not listed is checked and backed up, never
 * upgraded. */
struct policy {
    struct yaml_list operations;     /* of char *: check, backup, upgrade, rollback */
    struct yaml_list installations;  /* of char *: paths that may be upgraded and rolled back */
    char *version_from, *version_to; /* NULL: no limit; both ends belong to the range */
    int64_t min_soak_ms;
    uint64_t signatures;       /* distinct keys needed */
    uint64_t approvals_needed; /* of a stage, at least, whatever the plan says */
    char *hold_file;           /* while this file exists nothing new starts */
};

struct config {
    char *state_dir, *backup_dir, *worker, *catalogue; /* catalogue: as shipped */
    char *artifacts; /* folder of fetched archives, by digest */
    char *apps; /* what is known of apps; the file may not be there */
    struct yaml_list search; /* of char *: folders or installations to look at */
    char *drill_dir; /* where ordered restores go; NULL: nowhere */
    char *hooks_dir, *database_admin, *passfile, *pg_bin, *token_file;
    int scratch;      /* enum config_scratch */
    int stop_capture; /* enum config_capture */
    int64_t start_timeout_ms, stop_timeout_ms, keep_ms, soak_probe_ms, survey_ms;
    uint64_t reserve_bytes, backup_rate;
    struct yaml_list services; /* of struct yaml_pair: installation, systemd unit */
    struct policy policy;
};

int config_load(const char *path, struct config *ret, struct yaml_report *report,
                struct err *err) MUST_USE;
void config_free(struct config *config); /* fits CLEANUP() */
/* What `confleet-agent check --install DIR` works with: no file, nothing allowed but reading. */
void config_bare(struct config *ret);

enum operation { OPERATION_CHECK, OPERATION_BACKUP, OPERATION_UPGRADE, OPERATION_ROLLBACK };
/* FAIL_DENIED, naming the key of agent.yaml that would have to change. install: NULL when the
 * operation has none. */
int policy_allows(const struct policy *policy, enum operation operation, const char *install,
                  struct err *err) MUST_USE;
int policy_takes_release(const struct policy *policy, const char *version, int64_t soak_ms,
                         struct err *err) MUST_USE;
/* FAIL_DENIED while the hold file is there. */
int policy_held(const struct policy *policy, struct err *err) MUST_USE;
/* Versions compare by their numbers: 9.2.13 is newer than 9.2.4. Anything behind other characters
 * than digits and dots is ignored. */
int policy_version_compare(const char *a, const char *b);

const char *config_service(const struct config *config, const char *install); /* "" when none */
/* Paths of the agent's own: owned by the caller. */
char *config_run_dir(const struct config *config, const char *run_id);
char *config_stage_root(const char *install, const char *installation); /* of all its runs */
char *config_stage_dir(const char *install, const char *installation, const char *run_id);
char *config_artifact(const struct config *config, const char *sha256);
char *config_state(const struct config *config, const char *name);
/* Where a new licence of this installation waits for its upgrade; there may be none. */
char *config_licence(const struct config *config, const char *installation);
/* Fills what is the same for every order to a worker; the texts stay the config's. run_dir and
 * stage_dir may be "". */
void config_node(const struct config *config, const char *installation, const char *install,
                 const char *home, const char *site, const char *run_dir, const char *stage_dir,
                 Confleet__WorkerNode *node);
