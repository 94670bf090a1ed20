#include "agent/edge/config.h"
#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <assert.h>
#include <limits.h>
#include <string.h>

#define MINUTE_MS (60 * 1000)
#define DAY_MS    (24LL * 60 * MINUTE_MS)

static const char *const scratch_words[] = { "auto", "server", "local", NULL };
static const char *const capture_words[] = { "auto", "dump", "copy", NULL };
static const char *const operation_words[] = { "check", "backup", "upgrade", "rollback", NULL };

static const struct yaml_field policy_fields[] = {
    { .key = "operations",
      .kind = YAML_LIST,
      .offset = offsetof(struct policy, operations),
      .item = YAML_TEXT,
      .item_size = sizeof(char *),
      .max = 4,
      .help = "what orders may do here: check, backup, upgrade, rollback" },
    { .key = "installations",
      .kind = YAML_LIST,
      .offset = offsetof(struct policy, installations),
      .item = YAML_PATH,
      .item_size = sizeof(char *),
      .max = 64,
      .help = "folders of the installations that plans may change; others are only looked at" },
    { .key = "version_from",
      .kind = YAML_TEXT,
      .offset = offsetof(struct policy, version_from),
      .help = "lowest release that may be installed" },
    { .key = "version_to",
      .kind = YAML_TEXT,
      .offset = offsetof(struct policy, version_to),
      .help = "highest release that may be installed" },
    { .key = "min_soak",
      .kind = YAML_DURATION,
      .offset = offsetof(struct policy, min_soak_ms),
      .help = "plans with a shorter soak are refused" },
    { .key = "signatures",
      .kind = YAML_U64,
      .offset = offsetof(struct policy, signatures),
      .min = 1,
      .max = 16,
      .help = "how many different operators must have signed a plan" },
    { .key = "approvals_needed",
      .kind = YAML_U64,
      .offset = offsetof(struct policy, approvals_needed),
      .max = 16,
      .help = "how many persons must have approved a stage, at least, whatever the plan says" },
    { .key = "hold_file",
      .kind = YAML_PATH,
      .offset = offsetof(struct policy, hold_file),
      .help = "while it exists nothing new starts" },
    { 0 }
};

#define AT(name) offsetof(struct config, name)
static const struct yaml_field fields[] = {
    { .key = "state_dir",
      .kind = YAML_PATH,
      .offset = AT(state_dir),
      .help = "the agent's own folder: journal, keys, runs" },
    { .key = "backup_dir",
      .kind = YAML_PATH,
      .offset = AT(backup_dir),
      .help = "where backups are kept" },
    { .key = "drill_dir",
      .kind = YAML_PATH,
      .offset = AT(drill_dir),
      .help = "where an ordered restore may make a folder; without it none may" },
    { .key = "worker",
      .kind = YAML_PATH,
      .offset = AT(worker),
      .help = "the program confleet-worker" },
    { .key = "search",
      .kind = YAML_LIST,
      .offset = AT(search),
      .item = YAML_PATH,
      .item_size = sizeof(char *),
      .max = 64,
      .help = "folders in which to look for installations" },
    { .key = "hooks_dir",
      .kind = YAML_PATH,
      .offset = AT(hooks_dir),
      .help = "holds pre-stop.d and post-start.d" },
    { .key = "scratch",
      .kind = YAML_WORD,
      .offset = AT(scratch),
      .words = scratch_words,
      .help = "where dumps are restored to prove them" },
    { .key = "stop_capture",
      .kind = YAML_WORD,
      .offset = AT(stop_capture),
      .words = capture_words,
      .help = "how the database is captured at the stop" },
    { .key = "database_admin",
      .kind = YAML_TEXT,
      .offset = AT(database_admin),
      .help = "libpq connection text without a password" },
    { .key = "passfile",
      .kind = YAML_PATH,
      .offset = AT(passfile),
      .help = "libpq password file for database_admin, mode 0600" },
    { .key = "pg_bin",
      .kind = YAML_PATH,
      .offset = AT(pg_bin),
      .help = "folder with pg_dump and pg_restore" },
    { .key = "token_file",
      .kind = YAML_PATH,
      .offset = AT(token_file),
      .help = "token for probes that need a login, mode 0600" },
    { .key = "start_timeout",
      .kind = YAML_DURATION,
      .offset = AT(start_timeout_ms),
      .min = 1000,
      .max = DAY_MS },
    { .key = "stop_timeout",
      .kind = YAML_DURATION,
      .offset = AT(stop_timeout_ms),
      .min = 1000,
      .max = DAY_MS },
    { .key = "reserve",
      .kind = YAML_SIZE,
      .offset = AT(reserve_bytes),
      .help = "space kept back for the way back" },
    { .key = "backup_rate",
      .kind = YAML_SIZE,
      .offset = AT(backup_rate),
      .help = "bytes a second that a backup moves while the site serves users" },
    { .key = "keep",
      .kind = YAML_DURATION,
      .offset = AT(keep_ms),
      .min = 1000,
      .help = "how long old trees, run folders and backups are kept; until then a run can be "
              "rolled back" },
    { .key = "soak_probe",
      .kind = YAML_DURATION,
      .offset = AT(soak_probe_ms),
      .min = 1000,
      .max = DAY_MS },
    { .key = "survey",
      .kind = YAML_DURATION,
      .offset = AT(survey_ms),
      .min = 1000,
      .max = DAY_MS,
      .help = "time between two looks at the server" },
    { .key = "services",
      .kind = YAML_PAIRS,
      .offset = AT(services),
      .max = 64,
      .help = "installation folder: systemd unit" },
    { .key = "policy", .kind = YAML_MAP, .offset = AT(policy), .fields = policy_fields },
    { 0 }
};

static void default_text(char **text, const char *value)
{
    if (!*text)
        *text = text_dup(value);
}

/* Takes the last name off a path. */
static void path_rise(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = 0;
}

/* An installed worker lies where the build has said, seen from the agent; a built one beside it.
 * When there is neither, the first is named, since that is where it is missing. */
static char *find_worker(void)
{
    char self[PATH_MAX];
    const char *beside = CONFLEET_WORKER_BESIDE;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return text_dup("/usr/libexec/confleet/confleet-worker");
    self[len] = 0;
    path_rise(self);
    CLEANUP(free_mem) char *built = text_printf("%s/confleet-worker", self);
    for (; strncmp(beside, "../", 3) == 0; beside += 3)
        path_rise(self);
    CLEANUP(free_mem) char *installed = text_printf("%s/%s", self, beside);
    return text_dup(fs_exists(installed) || !fs_exists(built) ? installed : built);
}

static void defaults_set(struct config *config)
{
    config->start_timeout_ms = 20 * MINUTE_MS;
    config->stop_timeout_ms = 5 * MINUTE_MS;
    config->keep_ms = 30 * DAY_MS;
    config->soak_probe_ms = MINUTE_MS;
    config->survey_ms = 10 * MINUTE_MS;
    config->backup_rate = 100ULL * 1000 * 1000;
    config->reserve_bytes = 256ULL * 1024 * 1024;
    config->policy.signatures = 1;
}

static void defaults_fill(struct config *config)
{
    default_text(&config->state_dir, "/var/lib/confleet-agent");
    default_text(&config->backup_dir, "/var/backups/confleet");
    default_text(&config->hooks_dir, "/etc/confleet/hooks");
    if (!config->worker)
        config->worker = find_worker();
    if (!config->catalogue)
        config->catalogue = catalogue_shipped();
    if (!config->artifacts && config->state_dir)
        config->artifacts = config_state(config, "artifacts");
    if (!config->apps)
        config->apps = fs_join(config->state_dir, "apps.json");
}

void config_bare(struct config *ret)
{
    *ret = (struct config){ 0 };
    defaults_set(ret);
    defaults_fill(ret);
}

static bool operation_known(const char *name)
{
    for (int i = 0; operation_words[i]; i++)
        if (strcmp(operation_words[i], name) == 0)
            return true;
    return false;
}

static void check_operations(const char *path, const char *source, const struct yaml_list *list,
                             struct yaml_report *report)
{
    char *const *names = list->items;
    for (size_t i = 0; i < list->count; i++)
        if (!operation_known(names[i]))
            yaml_report_add(report, path, source, list->at ? list->at[i] : (struct yaml_at){ 0 },
                            "'%s' is no operation: check, backup, upgrade or rollback", names[i]);
}

int config_load(const char *path, struct config *ret, struct yaml_report *report, struct err *err)
{
    CLEANUP(config_free) struct config config = { 0 };
    CLEANUP(free_mem) char *source = NULL;
    defaults_set(&config);
    int result = yaml_load(path, fields, &config, report, &source, err);
    if (result != 0)
        return result;
    check_operations(path, source, &config.policy.operations, report);
    if (report->errors)
        return err_set(err, FAIL_USAGE, "%s: %d error%s", path, report->errors,
                       report->errors == 1 ? "" : "s");
    defaults_fill(&config);
    *ret = config;
    config = (struct config){ 0 };
    return 0;
}

void config_free(struct config *config)
{
    yaml_free(fields, config);
    free(config->catalogue);
    free(config->artifacts);
    free(config->apps);
    *config = (struct config){ 0 };
}

int policy_allows(const struct policy *policy, enum operation operation, const char *install,
                  struct err *err)
{
    char *const *operations = policy->operations.items;
    bool allowed = operation == OPERATION_CHECK;
    for (size_t i = 0; i < policy->operations.count && !allowed; i++)
        allowed = strcmp(operations[i], operation_words[operation]) == 0;
    if (!allowed)
        return err_set(
            err, FAIL_DENIED,
            "this server's policy does not allow '%s'; add it to policy.operations in agent.yaml",
            operation_words[operation]);
    if (!install || operation == OPERATION_CHECK || operation == OPERATION_BACKUP)
        return 0;
    char *const *installations = policy->installations.items;
    for (size_t i = 0; i < policy->installations.count; i++)
        if (strcmp(installations[i], install) == 0)
            return 0;
    return err_set(err, FAIL_DENIED,
                   "this server's policy does not let %s be changed; add it to "
                   "policy.installations in agent.yaml",
                   install);
}

static unsigned long number_take(const char **at)
{
    unsigned long number = 0;
    while (**at >= '0' && **at <= '9' && number < 100000000)
        number = number * 10 + (unsigned long)(*(*at)++ - '0');
    if (**at == '.')
        (*at)++;
    return number;
}

int policy_version_compare(const char *a, const char *b)
{
    while ((*a >= '0' && *a <= '9') || (*b >= '0' && *b <= '9')) {
        unsigned long left = number_take(&a), right = number_take(&b);
        if (left != right)
            return left < right ? -1 : 1;
    }
    return 0;
}

int policy_takes_release(const struct policy *policy, const char *version, int64_t soak_ms,
                         struct err *err)
{
    if (policy->version_from && policy_version_compare(version, policy->version_from) < 0)
        return err_set(err, FAIL_DENIED, "release %s is below policy.version_from %s of agent.yaml",
                       version, policy->version_from);
    if (policy->version_to && policy_version_compare(version, policy->version_to) > 0)
        return err_set(err, FAIL_DENIED, "release %s is above policy.version_to %s of agent.yaml",
                       version, policy->version_to);
    char has[24], needs[24];
    if (soak_ms < policy->min_soak_ms)
        return err_set(err, FAIL_DENIED,
                       "the plan soaks for %s, policy.min_soak of agent.yaml asks for %s",
                       text_duration(soak_ms, has), text_duration(policy->min_soak_ms, needs));
    return 0;
}

int policy_held(const struct policy *policy, struct err *err)
{
    if (policy->hold_file && fs_exists(policy->hold_file))
        return err_set(err, FAIL_DENIED, "this server is on hold: remove %s to let plans start",
                       policy->hold_file);
    return 0;
}

const char *config_service(const struct config *config, const char *install)
{
    const struct yaml_pair *pairs = config->services.items;
    for (size_t i = 0; i < config->services.count; i++)
        if (strcmp(pairs[i].key, install) == 0)
            return pairs[i].value;
    return "";
}

char *config_state(const struct config *config, const char *name)
{
    return fs_join(config->state_dir, name);
}

char *config_run_dir(const struct config *config, const char *run_id)
{
    return text_printf("%s/runs/%s", config->state_dir, run_id);
}

char *config_stage_root(const char *install, const char *installation)
{
    const char *slash = strrchr(install, '/');
    assert(slash);
    return text_printf("%.*s/.confleet-%s", (int)(slash - install), install, installation);
}

char *config_stage_dir(const char *install, const char *installation, const char *run_id)
{
    CLEANUP(free_mem) char *root = config_stage_root(install, installation);
    return fs_join(root, run_id);
}

char *config_artifact(const struct config *config, const char *sha256)
{
    return text_printf("%s/artifacts/%s", config->state_dir, sha256);
}

char *config_licence(const struct config *config, const char *installation)
{
    return text_printf("%s/licences/%s", config->state_dir, installation);
}

/* protobuf-c's structs hold char * for what is only read. */
static char *lend(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

void config_node(const struct config *config, const char *installation, const char *install,
                 const char *home, const char *site, const char *run_dir, const char *stage_dir,
                 Confleet__WorkerNode *node)
{
    confleet__worker_node__init(node);
    node->installation = lend(installation);
    node->install = lend(install);
    node->home = lend(home);
    node->site = lend(site);
    node->run_dir = lend(run_dir);
    node->stage_dir = lend(stage_dir);
    node->backup_dir = lend(config->backup_dir);
    node->pg_bin = lend(config->pg_bin);
    node->hooks_dir = lend(config->hooks_dir);
    node->scratch = lend(scratch_words[config->scratch]);
    node->stop_capture = lend(capture_words[config->stop_capture]);
    node->database_admin = lend(config->database_admin);
    node->passfile = lend(config->passfile);
    node->token_file = lend(config->token_file);
    node->service = lend(config_service(config, install ? install : ""));
    node->start_timeout_s = (uint32_t)(config->start_timeout_ms / 1000);
    node->stop_timeout_s = (uint32_t)(config->stop_timeout_ms / 1000);
    node->soak_probe_s = (uint32_t)(config->soak_probe_ms / 1000);
    node->reserve_bytes = config->reserve_bytes;
    node->backup_rate = config->backup_rate;
    node->keep_ms = config->keep_ms;
    node->pid_root = lend("/proc");
    node->catalogue_file = lend(config->catalogue);
    node->artifacts_dir = lend(config->artifacts);
    node->apps_file = lend(config->apps && fs_exists(config->apps) ? config->apps : "");
    node->n_search = config->search.count;
    node->search = config->search.items;
}
