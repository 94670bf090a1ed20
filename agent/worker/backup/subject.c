#include "subject.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "record.h"
#include "room.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_NAME  "confluence.cfg.xml"
#define CONFIG_MAX   (4 * 1024 * 1024)
#define BUSY_WAIT_MS (15 * 60 * 1000)
#define THREADS_MAX  4

static int read_site(struct job *job, enum subject_config config, struct installation *ret,
                     struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    const char *home = job_memo(job, MEMO_HOME)[0] ? job_memo(job, MEMO_HOME) : node->home;
    const char *proc = node->pid_root[0] ? node->pid_root : "/proc";
    CLEANUP(free_mem)
    char *kept = fs_join(node->run_dir, SUBJECT_CONFIG), *file = fs_join(kept, CONFIG_NAME);
    if (config == CONFIG_AT_STOP && node->run_dir[0] && fs_exists(file)) {
        int rc = installation_read(node->install, kept, proc, ret, err);
        if (rc != 0)
            return rc;
        free(ret->home); /* where the configuration was read is not where the home is */
        ret->home = text_dup(home);
        return 0;
    }
    return installation_read(node->install, home[0] ? home : NULL, proc, ret, err);
}

/* The way back must not fail because an operator's backup of the same site is just running: it
 * waits for that one. */
static int open_store(const Confleet__WorkerNode *node, enum subject_config config,
                      struct store *ret, struct err *err)
{
    for (int64_t end = clock_mono_ms() + BUSY_WAIT_MS;; (void)poll(NULL, 0, 200)) {
        struct err why = { 0 };
        int rc = store_open(node->backup_dir, node->installation, ret, &why);
        if (rc == -FAIL_BUSY && config == CONFIG_AT_STOP && clock_mono_ms() < end)
            continue;
        if (rc != 0 && err)
            *err = why;
        return rc;
    }
}

int subject_open(struct job *job, enum subject_config config, struct subject *ret, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    CLEANUP(subject_close) struct subject s = { .job = job, .store = { .lock = -1 }, .doing = "" };
    int rc = read_site(job, config, &s.site, err);
    if (rc == 0)
        rc = open_store(node, config, &s.store, err);
    if (rc != 0)
        return rc;
    if (!s.site.home || !s.site.home[0])
        return err_set(err, FAIL_NOT_FOUND, "no home of %s is known", node->install);
    s.dir = text_dup(node->run_dir[0] ? node->run_dir : s.store.dir);
    if ((rc = fs_mkdirs(s.dir, 0700, err)) != 0)
        return rc;
    *ret = s;
    ret->reach = (struct reach){ .database = &ret->site.database,
                                 .admin = node->database_admin,
                                 .admin_passfile = node->passfile,
                                 .dir = ret->dir };
    s = (struct subject){ .store = { .lock = -1 } };
    return 0;
}

unsigned subject_threads(const struct subject *subject, bool down)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 2 || (!down && !job_order(subject->job)->full_speed))
        return 0;
    return cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
}

void subject_close(struct subject *subject)
{
    if (subject->site.install)
        installation_free(&subject->site);
    store_close(&subject->store);
    free(subject->dir);
    subject->dir = NULL;
}

void subject_doing(struct subject *subject, const char *doing, uint64_t total)
{
    const Confleet__WorkerOrder *order = job_order(subject->job);
    uint64_t rate = job_node(subject->job)->backup_rate;
    subject->doing = doing;
    pace_begin(&subject->pace,
               !subject->serving || order->full_speed ? 0
               : rate                                 ? rate
                                                      : PACE_RATE,
               total);
}

void subject_moved(void *subject, uint64_t bytes)
{
    struct subject *s = subject;
    char text[128];
    pace_moved(&s->pace, bytes);
    pace_text(&s->pace, clock_mono_ms() - s->pace.began_ms, text);
    job_progress(s->job, s->pace.done, s->pace.total, "%s, %s", s->doing, text);
}

void subject_spared(void *subject, uint64_t bytes)
{
    struct subject *s = subject;
    s->pace.total -= bytes < s->pace.total ? bytes : s->pace.total;
}

void subject_scratch(struct subject *subject, const struct manifest *manifest,
                     struct scratch_spec *ret)
{
    const Confleet__WorkerNode *node = job_node(subject->job);
    *ret = (struct scratch_spec){ .kind = node->scratch[0] ? node->scratch : "auto",
                                  .reach = &subject->reach,
                                  .installation = node->installation,
                                  .pg_bin = node->pg_bin,
                                  .places = { node->backup_dir, "/var/tmp", "/tmp", NULL },
                                  .run_user = subject->site.run_user,
                                  .bytes = manifest->dump.content };
}

void subject_id(struct job *job, const char *memo, const char *file, char ret_id[MANIFEST_ID_MAX])
{
    CLEANUP(free_mem) char *path = fs_join(job_node(job)->run_dir, file);
    CLEANUP(str_free) struct str text = { 0 };
    struct err ignored = { 0 };
    const char *id = job_memo(job, memo);
    /* The memo is journalled with a step's end; the file is there from its beginning. */
    if (!id[0] && job_node(job)->run_dir[0] && fs_read(path, MANIFEST_ID_MAX, &text, &ignored) == 0)
        id = str_text(&text);
    ret_id[0] = '\0';
    if (manifest_id_is_valid(id))
        (void)snprintf(ret_id, MANIFEST_ID_MAX, "%s", id);
}

int subject_remember(struct job *job, const char *file, const char *id, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(job_node(job)->run_dir, file);
    return job_node(job)->run_dir[0] ? fs_write(path, id, strlen(id), 0600, err) : 0;
}

int subject_keep_config(struct subject *subject, struct err *err)
{
    CLEANUP(free_mem) char *from = fs_join(subject->site.home, CONFIG_NAME);
    CLEANUP(free_mem)
    char *dir = fs_join(job_node(subject->job)->run_dir, SUBJECT_CONFIG),
         *to = fs_join(dir, CONFIG_NAME);
    CLEANUP(str_free) struct str text = { 0 };
    int rc = fs_read(from, CONFIG_MAX, &text, err);
    if (rc == 0)
        rc = fs_mkdirs(dir, 0700, err);
    if (rc == 0)
        rc = fs_write(to, text.s, text.len, 0600, err);
    if (text.s)
        explicit_bzero(text.s, text.len);
    return rc;
}

/* For people only: what cannot be told is left out. */
static char *room_text(const struct subject *subject)
{
    CLEANUP(free_mem) struct room_kept *kept = NULL;
    struct room_forecast forecast;
    struct err ignored = { 0 };
    uint64_t free_bytes = 0, files = 0;
    size_t count = 0;
    char text[400] = "";
    if (fs_space(subject->store.dir, &free_bytes, &files, &ignored) == 0 &&
        room_look(subject->store.dir, &kept, &count, &ignored) == 0 &&
        room_forecast(kept, count, free_bytes, job_node(subject->job)->keep_ms, clock_wall_ms(),
                      &forecast))
        room_forecast_text(&forecast, free_bytes, text, sizeof text);
    return text_dup(text);
}

void subject_record(struct subject *subject, const struct manifest *manifest,
                    const char *manifest_sha256, const struct proof *proof)
{
    Confleet__WorkerResult *result = job_result(subject->job);
    Confleet__BackupRecord *record = record_make(manifest, manifest_sha256, proof);
    record->room = room_text(subject);
    if (result->backup)
        confleet__backup_record__free_unpacked(result->backup, NULL);
    result->backup = record;
}
