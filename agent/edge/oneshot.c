#include "agent/edge/oneshot.h"
#include "agent/edge/damage.h"
#include "agent/core/memo.h"
#include "agent/edge/findings_text.h"
#include "agent/edge/journal.h"
#include "agent/edge/run.h"
#include "agent/edge/worker.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "confleet/json.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

#define OUTPUT_MAX (128u << 20)

/* The same rule as the worker's installation_id(): base name, dash, 8 hex digits of the real path's
 * SHA-256. */
void oneshot_id(const char *real_path, char *out, size_t size)
{
    char hex[HASH_HEX_MAX];
    const char *slash = strrchr(real_path, '/');
    hash_bytes_hex(real_path, strlen(real_path), hex);
    (void)snprintf(out, size, "%s-%.8s", slash ? slash + 1 : real_path, hex);
}

struct search {
    const char *install;
    bool busy;
};

static int search_one(void *arg, const struct journal_run *run, struct err *err)
{
    struct search *search = arg;
    (void)err;
    search->busy = search->busy ||
                   (run->outcome == OUTCOME_NONE && strcmp(run->install, search->install) == 0);
    return 0;
}

static int check_idle(const struct config *config, const char *install, bool apart,
                      struct err *err)
{
    CLEANUP(journal_close) struct journal *journal = NULL;
    CLEANUP(free_mem) char *damaged = damage_known(config);
    struct search search = { install, false };
    struct err why = { 0 };
    int result = journal_open_read(config->state_dir, &journal, &why);
    /* No agent acts by a damaged journal, and what is restored goes into a folder of its own. */
    if (result == -FAIL_NOT_FOUND || (apart && (damaged || result == -FAIL_CORRUPT)))
        return 0;
    if (result == 0)
        result = journal_runs(journal, true, search_one, &search, &why);
    if (result != 0)
        return err_set(err, (enum fail)why.code, "%s", why.text);
    if (search.busy)
        return err_set(err, FAIL_BUSY, "a run of %s is in flight: see confleet-agent status",
                       install);
    return 0;
}

static void heard(void *arg, const Confleet__WorkerReply *reply)
{
    const struct oneshot *shot = arg;
    if (shot->quiet)
        return;
    if (reply->body_case == CONFLEET__WORKER_REPLY__BODY_PROGRESS && isatty(STDERR_FILENO))
        (void)fprintf(stderr, "\r\033[K%s %llu/%llu", reply->progress->text,
                      (unsigned long long)reply->progress->done,
                      (unsigned long long)reply->progress->total);
    else if (reply->body_case == CONFLEET__WORKER_REPLY__BODY_LOG && reply->log->level <= 4)
        (void)fprintf(stderr, "%s\n", reply->log->text);
}

static int watch(struct worker *worker, const struct oneshot *shot, struct err *err)
{
    for (;;) {
        enum worker_state state =
            worker_tick(worker, clock_mono_ms(), heard, (void *)(uintptr_t)shot);
        if (state == WORKER_ANSWERED) {
            if (!shot->quiet && isatty(STDERR_FILENO))
                (void)fputs("\r\033[K", stderr);
            return 0;
        }
        if (state != WORKER_RUNNING)
            return err_set(err, FAIL_TOOL, "%s", worker_why(worker));
        zmq_pollitem_t items[WORKER_POLL_MAX];
        if (zmq_poll(items, (int)worker_poll(worker, items), 1000) < 0 && errno != EINTR)
            return err_sys(err, FAIL_INTERNAL, errno, "poll");
    }
}

static int ask(const struct config *config, const struct oneshot *shot, const char *install,
               const char *run_dir, struct worker *worker, struct err *err)
{
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    Confleet__Release release = CONFLEET__RELEASE__INIT;
    Confleet__WorkerNode node;
    char id[NAME_MAX + 16], pristine[PATH_MAX] = "", artifact[PATH_MAX] = "";
    if ((shot->pristine && !realpath(shot->pristine, pristine)) ||
        (shot->artifact && !realpath(shot->artifact, artifact)))
        return err_sys(err, FAIL_NOT_FOUND, errno, "%s",
                       shot->artifact && !artifact[0] ? shot->artifact : shot->pristine);
    oneshot_id(install, id, sizeof id);
    config_node(config, id, install, shot->home, "", run_dir, "", &node);
    CLEANUP(free_mem)
    char *licence = shot->bare           ? text_dup("")
                    : shot->licence_file ? text_dup(shot->licence_file)
                                         : config_licence(config, id);
    node.licence_file = licence;
    if (shot->apps_file)
        node.apps_file = (char *)(uintptr_t)shot->apps_file;
    else if (shot->bare)
        node.apps_file = (char *)(uintptr_t) "";
    if (shot->bare)
        node.backup_dir = (char *)(uintptr_t) "";
    order.job = (char *)(uintptr_t)shot->job;
    order.node = &node;
    order.pristine = pristine;
    order.artifact = artifact;
    order.want_diff = shot->diff;
    order.full_speed = shot->full_speed;
    order.into = (char *)(uintptr_t)(shot->into ? shot->into : "");
    order.backup = (char *)(uintptr_t)shot->backup;
    order.level = CONFLEET__BACKUP_LEVEL__RESTORED;
    release.version = (char *)(uintptr_t)shot->version;
    if (*shot->version)
        order.release = &release;
    worker_order(worker, &order, 0, clock_mono_ms());
    return watch(worker, shot, err);
}

static char *make_run_dir(const struct config *config, bool bare, struct err *err)
{
    if (bare) {
        char *dir = text_dup("/tmp/confleet-check-XXXXXX");
        if (mkdtemp(dir))
            return dir;
        (void)err_sys(err, FAIL_IO, errno, "make a folder in /tmp");
        free(dir);
        return NULL;
    }
    char *dir = text_printf("%s/runs/by-hand-%lld", config->state_dir, (long long)clock_wall_ms());
    if (fs_mkdirs(dir, 0700, err) == 0)
        return dir;
    free(dir);
    return NULL;
}

/* What a job wrote for the person who asked, not for the machine. */
static int print_output(const char *run_dir, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(run_dir, "output");
    CLEANUP(str_free) struct str text = { 0 };
    if (!fs_exists(path))
        return 0;
    int result = fs_read(path, OUTPUT_MAX, &text, err);
    if (result == 0 && fwrite(str_text(&text), 1, text.len, stdout) != text.len)
        result = err_sys(err, FAIL_IO, errno, "write to stdout");
    return result;
}

/* Text of an order is UTF-8, names on old disks are not: such a folder goes by a link in the run's
 * own folder, which the worker resolves. Owned by the caller. */
static char *name_for_wire(const char *path, const char *run_dir, const char *name, struct err *err)
{
    if (text_is_utf8(path, strlen(path)))
        return text_dup(path);
    char real[PATH_MAX];
    char *link = text_printf("%s/%s", run_dir, name);
    if (realpath(path, real) && symlink(real, link) == 0)
        return link;
    (void)err_sys(err, FAIL_IO, errno, "make the link %s", link);
    free(link);
    return NULL;
}

/* An installation that is gone is just what a backup is for: the id comes from where it was, and
 * its folder of backups says that there was one. */
static int find_gone(const struct config *config, const struct oneshot *shot, char *install,
                     struct err *err)
{
    int failed = errno, len = -1;
    CLEANUP(free_mem) char *parent = text_dup(shot->install);
    char id[NAME_MAX + 16], real[PATH_MAX], *slash = strrchr(parent, '/');
    bool by_folder = strcmp(shot->job, "restore") == 0 || strcmp(shot->job, "backups") == 0;
    if (failed == ENOENT && by_folder && slash && slash != parent &&
        slash[1]) {
        *slash = '\0';
        len = snprintf(install, PATH_MAX, "%s/%s", realpath(parent, real) ? real : parent,
                       slash + 1);
    }
    if (len > 0 && len < PATH_MAX && install[0] == '/' && strlen(slash + 1) < NAME_MAX) {
        oneshot_id(install, id, sizeof id);
        CLEANUP(free_mem) char *backups = fs_join(config->backup_dir, id);
        if (fs_is_dir(backups))
            return 0;
        return err_set(err, FAIL_NOT_FOUND,
                       "installation %s is not there, and neither is %s with backups of it: give "
                       "the path that it had when it was backed up",
                       install, backups);
    }
    return err_sys(err, FAIL_NOT_FOUND, failed, "installation %s%s", shot->install,
                   failed == ENOENT && strcmp(shot->job, "verify") == 0
                       ? " (its database is asked for; without it: confleet-agent restore)"
                       : "");
}

/* The agent tells the controller of it when it looks through its backups the next time. */
static void note_untold(const struct config *config, const char *install, const char *backup)
{
    char id[NAME_MAX + 16];
    oneshot_id(install, id, sizeof id);
    CLEANUP(free_mem)
    char *path = text_printf("%s/%s/%s/" BACKUP_UNTOLD, config->backup_dir, id, backup);
    struct err err = { 0 };
    if (fs_write(path, "", 0, 0600, &err) != 0)
        (void)fprintf(stderr, "%s; the controller is not told of this backup\n", err.text);
}

int oneshot_run(const struct config *config, const struct oneshot *shot, struct arena *arena,
                Confleet__WorkerResult **ret, struct err *err)
{
    char install[PATH_MAX];
    CLEANUP(worker_close) struct worker *worker = NULL;
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__WorkerReply wrap = CONFLEET__WORKER_REPLY__INIT, *copy = NULL;
    install[0] = 0;
    if (shot->install[0] && !realpath(shot->install, install) &&
        find_gone(config, shot, install, err) != 0)
        return -err->code;
    bool looks = shot->bare || strcmp(shot->job, "backups") == 0;
    int result = looks ? 0 : check_idle(config, install, strcmp(shot->job, "restore") == 0, err);
    if (result != 0)
        return result;
    CLEANUP(free_mem) char *run_dir = make_run_dir(config, shot->bare, err);
    if (!run_dir)
        return -FAIL_IO;
    result = worker_open(config->worker, &worker, err);
    struct oneshot named = *shot;
    CLEANUP(free_mem) char *home = name_for_wire(shot->home, run_dir, "home", err);
    CLEANUP(free_mem) char *folder = home ? name_for_wire(install, run_dir, "install", err) : NULL;
    named.home = home;
    if (result == 0 && !folder)
        result = -FAIL_IO;
    if (result == 0)
        result = ask(config, &named, folder, run_dir, worker, err);
    if (result == 0) {
        wrap.body_case = CONFLEET__WORKER_REPLY__BODY_RESULT;
        wrap.result = (Confleet__WorkerResult *)(uintptr_t)worker_result(worker);
        wire_encode(&wrap.base, &bytes);
        result = wire_decode_worker_reply(arena, bytes.s, bytes.len, &copy, err);
    }
    if (result == 0 && copy->result->backup && strcmp(shot->job, "restore") != 0)
        note_untold(config, install, copy->result->backup->id);
    if (result == 0)
        result = print_output(run_dir, err);
    struct err ignored = { 0 };
    if (fs_remove_tree(run_dir, &ignored) != 0)
        (void)fprintf(stderr, "%s; ignoring\n", ignored.text);
    if (result == 0)
        *ret = copy->result;
    return result;
}

static const char *level_word(Confleet__BackupLevel level)
{
    static const char *const words[] = { "none", "complete", "re-read", "restored", "started" };
    return (unsigned)level < sizeof words / sizeof *words ? words[level] : "?";
}

/* What is there, the newest first; each with its note and what it cannot be restored without. */
static void print_list(const Confleet__WorkerResult *result, struct str *out)
{
    char age[24], stored[24];
    str_addf(out, "%-23s %-4s %-8s %10s %10s %9s  %s\n", "BACKUP", "KIND", "LEVEL", "AGE", "STORED",
             "FILES", "VERSION");
    for (size_t i = 0; i < result->n_listed; i++) {
        const Confleet__BackupRecord *one = result->listed[i];
        bool whole = one->finished_ms > 0;
        str_addf(out, "%-23s %-4s %-8s %10s %10s %9llu  ", one->id, *one->kind ? one->kind : "-",
                 whole ? level_word(one->level) : "-",
                 whole ? text_duration(clock_wall_ms() - one->finished_ms, age) : "-",
                 whole ? text_size(one->stored_bytes, stored) : "-",
                 (unsigned long long)one->files);
        findings_plain(out, *one->version ? one->version : "-");
        str_add(out, "\n");
        for (size_t k = 0; k < one->n_needs; k++)
            str_addf(out, "%s%s%s", k ? ", " : "  needs ", one->needs[k],
                     k + 1 == one->n_needs ? "\n" : "");
        if (*one->note) {
            str_add(out, "  ");
            findings_plain(out, one->note);
            str_add(out, "\n");
        }
    }
}

static void print_backup(const Confleet__BackupRecord *backup, struct str *out)
{
    char bytes[24], stored[24];
    str_addf(out, "backup %s, level %s: %llu files, %s, %s stored, %llu tables, %llu rows\n",
             backup->id, level_word(backup->level),
             (unsigned long long)backup->files, text_size(backup->bytes, bytes),
             text_size(backup->stored_bytes, stored), (unsigned long long)backup->tables,
             (unsigned long long)backup->rows);
    if (*backup->note)
        str_addf(out, "%s\n", backup->note);
    if (*backup->room)
        str_addf(out, "%s\n", backup->room);
}

void oneshot_print(const struct oneshot *shot, const Confleet__WorkerResult *result, bool json,
                   struct str *out)
{
    if (json) {
        json_message(out, &result->base, false);
        str_add(out, "\n");
        return;
    }
    findings_text(out, result->findings, result->n_findings, findings_width());
    if (result->backup)
        print_backup(result->backup, out);
    if (result->n_listed > 0)
        print_list(result, out);
    else if (strcmp(shot->job, "backups") == 0 && result->code == 0)
        str_addf(out, "no backups of %s\n", shot->install);
    if (result->code) {
        str_addf(out, "%s: ", shot->job);
        findings_plain(out, result->message);
        str_addf(out, " (%s)\n", fail_name((int)result->code));
    }
}

void oneshot_failed(const struct err *err, struct str *out)
{
    Confleet__WorkerResult result = CONFLEET__WORKER_RESULT__INIT;
    result.code = (uint32_t)err->code;
    result.message = (char *)(uintptr_t)err->text;
    json_message(out, &result.base, false);
    str_add(out, "\n");
}

/* As `confleet check` ends: what should be looked at, or could not be found out, is not done. */
int oneshot_check_status(const Confleet__WorkerResult *result)
{
    int status = oneshot_exit_status(result);
    for (size_t i = 0; status == EXIT_DONE && i < result->n_findings; i++) {
        const Confleet__Finding *finding = result->findings[i];
        if (finding->waived_until_ms == 0 && (finding->severity == CONFLEET__SEVERITY__WARN ||
                                              finding->severity == CONFLEET__SEVERITY__UNKNOWN))
            status = EXIT_PENDING;
    }
    return status;
}

int oneshot_exit_status(const Confleet__WorkerResult *result)
{
    for (size_t i = 0; i < result->n_findings; i++)
        if (result->findings[i]->severity == CONFLEET__SEVERITY__BLOCK &&
            result->findings[i]->waived_until_ms == 0)
            return EXIT_BLOCKED;
    return result->code ? fail_exit_status((int)result->code) : EXIT_DONE;
}
