#include "agent/worker/checks/facts_operations.h"
#include "agent/worker/checks/facts_links.h"
#include "agent/worker/confluence/cfg.h"
#include "agent/worker/confluence/process.h"
#include "agent/worker/confluence/shell.h"
#include "agent/worker/steps/http.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INDEX_FILES_MAX 1000000
#define HTTP_LIMIT_MS   5000
#define SCRIPT_MAX      (1024 * 1024)
#define FDS_MAX         65536

/* ------------------------------------------------------------------ processes */

/* Names as /proc/PID/comm shows them: at most 15 bytes. */
static const char *const scanners[] = {
    "clamd",
    "clamonacc",
    "freshclam",
    "wdavdaemon",
    "mdatp",
    "falcon-sensor",
    "ds_agent",
    "ds_am",
    "savd",
    "savscand",
    "SophosScanD",
    "sophos-av",
    "mfetpd",
    "nailsd",
    "isectpd",
    "cbagentd",
    "cbdaemon",
    "cbsensor",
    "sentinelone",
    "s1-agent",
    "s1-scanner",
    "kesl",
    "kesl-control",
    "oaeventd",
    "esets",
    "eraagent",
    "fsavd",
    "fsoasd",
    "bdsecd",
    "bdsrvscand",
    "xagt",
    "cylancesvc",
    "traps_pmd",
    "wazuh-syscheckd",
    "ossec-syscheckd",
    "elastic-endpoi",
    "aide",
    "samhain",
    "tripwire",
};

struct walk {
    const char *proc_root;
    struct facts_operations *facts;
    bool denied;
};

static void add_name(char out[FACT_TEXT], const char *name, pid_t pid)
{
    size_t used = strlen(out);
    if (used + 64 < FACT_TEXT)
        (void)snprintf(out + used, FACT_TEXT - used, "%s%.40s (pid %d)", used ? ", " : "", name,
                       (int)pid);
}

static bool is_scanner(const char *name)
{
    for (size_t i = 0; i < sizeof scanners / sizeof *scanners; i++)
        if (strncmp(scanners[i], name, 15) == 0)
            return true;
    return false;
}

/* A program that asked for file events has a descriptor whose fdinfo begins with "fanotify". */
static bool watches_files(struct walk *walk, pid_t pid)
{
    CLEANUP(free_mem) char *path = text_printf("%s/%d/fdinfo", walk->proc_root, (int)pid);
    DIR *dir = opendir(path);
    bool found = false;
    if (!dir) {
        walk->denied = walk->denied || errno == EACCES;
        return false;
    }
    int seen = 0;
    for (struct dirent *entry = NULL; !found && seen < FDS_MAX && (entry = readdir(dir)) != NULL;
         seen++) {
        CLEANUP(str_free) struct str text = { 0 };
        CLEANUP(free_mem) char *file = text_printf("%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && fs_read(file, 65536, &text, NULL) == 0)
            found = strstr(str_text(&text), "\nfanotify ") != NULL;
    }
    (void)closedir(dir);
    return found;
}

static bool look_at_process(pid_t pid, void *data)
{
    struct walk *walk = data;
    CLEANUP(free_mem) char *path = text_printf("%s/%d/comm", walk->proc_root, (int)pid);
    CLEANUP(str_free) struct str name = { 0 };
    if (fs_read(path, 64, &name, NULL) != 0)
        return true;
    char *end = strchr(str_text(&name), '\n');
    if (end)
        *end = 0;
    if (is_scanner(str_text(&name)))
        add_name(walk->facts->scanners, str_text(&name), pid);
    if (watches_files(walk, pid))
        add_name(walk->facts->fanotify, str_text(&name), pid);
    return true;
}

static void gather_processes(const char *proc_root, struct facts_operations *facts)
{
    struct walk walk = { proc_root, facts, false };
    if (process_each(proc_root, look_at_process, &walk, NULL) != 0)
        return;
    facts->processes_known = FACT_YES;
    facts->fanotify_known = walk.denied ? FACT_UNKNOWN : FACT_YES;
}

/* ------------------------------------------------------------------ files */

static uint32_t count_peers(const char *peers)
{
    uint32_t count = *peers ? 1 : 0;
    for (; *peers; peers++)
        count += *peers == ',';
    return count;
}

static void gather_config(const struct installation *site, struct facts_operations *facts)
{
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    struct err err = { 0 };
    if (!site->home || cfg_read(site->home, &cfg, &err) != 0) {
        (void)snprintf(facts->node_count_why, FACT_TEXT, "%.511s",
                       site->home ? err.text : "the home is not known");
        return;
    }
    facts->config_known = FACT_YES;
    (void)snprintf(facts->access_mode, sizeof facts->access_mode, "%.31s",
                   cfg_get(&cfg, "access.mode"));
    (void)snprintf(facts->synchrony, sizeof facts->synchrony, "%.31s",
                   cfg_get(&cfg, "synchrony.btf"));
    facts->clustered = site->clustered;
    facts->peers = count_peers(cfg_get(&cfg, "confluence.cluster.peers"));
}

static void gather_index(const struct installation *site, struct facts_operations *facts)
{
    if (!site->home) {
        (void)snprintf(facts->index_why, FACT_TEXT, "the home is not known");
        return;
    }
    CLEANUP(free_mem) char *path = fs_join(site->home, "index");
    char *const roots[] = { path, NULL };
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!fts) {
        (void)snprintf(facts->index_why, FACT_TEXT, "%.300s: %s", path, strerror(errno));
        return;
    }
    facts->index_known = FACT_YES;
    for (FTSENT *entry = NULL;
         facts->index_files < INDEX_FILES_MAX && (entry = fts_read(fts)) != NULL;) {
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
            facts->index_known = entry->fts_errno == ENOENT ? FACT_NO : FACT_UNKNOWN;
            (void)snprintf(facts->index_why, FACT_TEXT, "%.300s: %s", entry->fts_path,
                           strerror(entry->fts_errno));
        }
        if (entry->fts_info != FTS_F)
            continue;
        facts->index_files++;
        facts->index_bytes += (uint64_t)entry->fts_statp->st_size;
    }
    (void)fts_close(fts);
}

/* The running process is what counts; a stopped site will be started with setenv.sh. */
static void gather_mail(const struct gather_source *source, const char *proc_root,
                        struct facts_operations *facts)
{
    const struct installation *site = source->site;
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str value = { 0 };
    if (site->pid > 0 && process_arguments(proc_root, site->pid, &text, NULL) == 0) {
        const char *send = process_option(&text, "-Datlassian.mail.senddisabled="),
                   *fetch = process_option(&text, "-Datlassian.mail.fetchdisabled=");
        facts->mail_send_off = send && strcmp(send, "true") == 0;
        facts->mail_fetch_off = fetch && strcmp(fetch, "true") == 0;
        facts->mail_known = FACT_YES;
        return;
    }
    CLEANUP(free_mem) char *path = fs_join(site->install, "bin/setenv.sh");
    str_clear(&text);
    if (fs_read(path, SCRIPT_MAX, &text, NULL) != 0)
        return;
    enum shell_found send =
        shell_option(str_text(&text), "-Datlassian.mail.senddisabled=", site->install, &value);
    facts->mail_send_off = send == SHELL_VALUE && strcmp(str_text(&value), "true") == 0;
    str_clear(&value);
    enum shell_found fetch =
        shell_option(str_text(&text), "-Datlassian.mail.fetchdisabled=", site->install, &value);
    facts->mail_fetch_off = fetch == SHELL_VALUE && strcmp(str_text(&value), "true") == 0;
    facts->mail_known = send == SHELL_UNKNOWN || fetch == SHELL_UNKNOWN ? FACT_UNKNOWN : FACT_YES;
}

/* ------------------------------------------------------------------ HTTP */

static int count_running(const char *body, uint32_t *ret)
{
    json_t *root = json_loads(body, 0, NULL), *results = json_object_get(root, "results");
    bool fine = json_is_array(results);
    size_t i = 0;
    json_t *task = NULL;
    json_array_foreach(results, i, task)
    {
        json_t *percent = json_object_get(task, "percentageComplete");
        if (json_is_number(percent) && json_number_value(percent) < 100.0)
            (*ret)++;
    }
    json_decref(root);
    return fine ? 0 : -FAIL_CORRUPT;
}

static void gather_tasks(const struct gather_source *source, struct facts_operations *facts)
{
    struct http_place place = { 0 };
    CLEANUP(http_answer_free) struct http_answer answer = { 0 };
    struct err err = { 0 };
    if (source->site->processes_hidden) {
        (void)snprintf(facts->tasks_why, FACT_TEXT,
                       "whether Confluence runs is not known to this account");
        return;
    }
    if (source->site->pid == 0) {
        facts->tasks_known = FACT_YES; /* a stopped Confluence runs none */
        return;
    }
    if (http_place(source->site->install, source->node->token_file, &place, &err) != 0 ||
        http_get(&place, "/rest/api/longtask?limit=200", HTTP_LIMIT_MS, &answer, &err) != 0)
        (void)snprintf(facts->tasks_why, FACT_TEXT, "%.511s", err.text);
    else if (answer.status != 200)
        (void)snprintf(facts->tasks_why, FACT_TEXT, "Confluence answers with HTTP status %d%s",
                       answer.status,
                       place.token_file[0] ? "" : "; the agent has no token_file to log in with");
    else if (count_running(str_text(&answer.body), &facts->tasks_running) != 0)
        (void)snprintf(facts->tasks_why, FACT_TEXT, "the answer lists no tasks");
    else
        facts->tasks_known = FACT_YES;
}

/* ------------------------------------------------------------------ the whole */

enum site_env site_env_of(const char *label)
{
    return label && label[0] && strcmp(label, "production") != 0 ? ENV_TEST : ENV_PRODUCTION;
}

static void gather_order(const struct gather_source *source, struct facts_operations *facts)
{
    const Confleet__WorkerOrder *order = source->order;
    facts->env = site_env_of(order->env);
    facts->by_controller = order->fleet_known;
    for (size_t i = 0; i < order->n_same_database; i++) {
        size_t used = strlen(facts->same_database);
        if (used + 70 < FACT_TEXT)
            (void)snprintf(facts->same_database + used, FACT_TEXT - used, "%s%.64s",
                           used ? ", " : "", order->same_database[i]);
    }
}

void facts_gather_operations(const struct gather_source *source, void *part)
{
    struct facts_operations *facts = part;
    const char *proc_root =
        source->node->pid_root && source->node->pid_root[0] ? source->node->pid_root : "/proc";
    gather_order(source, facts);
    gather_processes(proc_root, facts);
    gather_config(source->site, facts);
    gather_index(source->site, facts);
    gather_mail(source, proc_root, facts);
    gather_tasks(source, facts);
    facts_links_count(&source->site->database, &facts->links_known, &facts->links,
                      facts->links_why);
}

void facts_operations_free(struct facts_operations *facts)
{
    (void)facts;
}
