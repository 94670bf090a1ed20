/* world - one made-up site for tests of steps and jobs: an installation and a home as discovery
 * wants them, a database that is reached by loopback and password, a run folder, and the memo that
 * an agent would keep. */
#pragma once
#include "../confluence/tree.h"
#include "agent/worker/job.h"
#include "cluster.h"
#include "confleet/hash.h"

#define WORLD_MEMO_MAX 16
struct world {
    char *dir, *install, *home, *backup, *run;
    Confleet__WorkerNode node;
    Confleet__WorkerOrder order;
    Confleet__KeyValue memo[WORLD_MEMO_MAX], *memo_list[WORLD_MEMO_MAX];
    struct err err;
    Confleet__ProbeState probe;
    char backup_id[64], note[2048];
    Confleet__BackupLevel level;
    uint64_t rows, files;
};

static inline void world_free(struct world *w)
{
    for (size_t i = 0; i < w->order.n_memo; i++) {
        free(w->memo[i].key);
        free(w->memo[i].value);
    }
    free(w->dir), free(w->install), free(w->home), free(w->backup), free(w->run);
}

static inline void world_make(struct world *w)
{
    *w = (struct world){ .node = CONFLEET__WORKER_NODE__INIT,
                         .order = CONFLEET__WORKER_ORDER__INIT,
                         .dir = text_dup(test_dir()) };
    struct err err = { 0 };
    char cfg[2048];
    w->install = fs_join(w->dir, "app");
    w->home = fs_join(w->dir, "home");
    w->backup = fs_join(w->dir, "backup");
    w->run = fs_join(w->dir, "run");
    /* Whoever runs a throw-away server reaches this world's own folder: no two of them share one. */
    CHECK_INT(chmod(w->dir, 0711), 0);
    CHECK_INT(mkdir(w->backup, 0711), 0);
    tree_site(w->dir);
    (void)snprintf(
        cfg, sizeof cfg,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<confluence-configuration>\n  "
        "<setupStep>complete</setupStep>\n"
        "  <buildNumber>9109</buildNumber>\n  <properties>\n"
        "    <property name=\"hibernate.connection.password\">pa:ss\\w</property>\n"
        "    <property "
        "name=\"hibernate.connection.url\">jdbc:postgresql://127.0.0.1:%d/wiki</property>\n"
        "    <property name=\"hibernate.connection.username\">conf</property>\n  "
        "</properties>\n</confluence-configuration>\n",
        cluster.port);
    tree_file(w->dir, "home/confluence.cfg.xml", cfg);
    tree_file(w->dir, "home/attachments/ver003/1/2/3", "an attachment");
    tree_file(w->dir, "home/index/segments", "lucene");
    CHECK_OK(fs_mkdirs(w->run, 0700, &err), err);
    w->node.installation = (char *)(uintptr_t) "app-1";
    w->node.install = w->install;
    w->node.home = w->home;
    w->node.site = (char *)(uintptr_t) "wiki";
    w->node.backup_dir = w->backup;
    w->node.run_dir = w->run;
    w->node.pid_root = (char *)(uintptr_t) "/proc";
    w->node.scratch = (char *)(uintptr_t) "auto";
    w->node.stop_capture = (char *)(uintptr_t) "dump";
    w->node.database_admin = cluster.admin;
    w->order.node = &w->node;
    w->order.memo = w->memo_list;
}

static inline void world_note(struct world *w, const Confleet__WorkerResult *result)
{
    for (size_t i = 0; i < result->n_memo; i++) {
        size_t at = 0;
        while (at < w->order.n_memo && strcmp(w->memo[at].key, result->memo[i]->key) != 0)
            at++;
        CHECK(at < WORLD_MEMO_MAX);
        if (at == w->order.n_memo) {
            w->memo[at] = (Confleet__KeyValue)CONFLEET__KEY_VALUE__INIT;
            w->memo[at].key = text_dup(result->memo[i]->key);
            w->memo[at].value = NULL;
            w->memo_list[at] = &w->memo[at];
            w->order.n_memo++;
        }
        free(w->memo[at].value);
        w->memo[at].value = text_dup(result->memo[i]->value);
    }
    if (result->backup) {
        (void)snprintf(w->backup_id, sizeof w->backup_id, "%s", result->backup->id);
        (void)snprintf(w->note, sizeof w->note, "%s", result->backup->note);
        w->level = result->backup->level;
        w->rows = result->backup->rows;
        w->files = result->backup->files;
    }
}

static inline const char *world_memo(const struct world *w, const char *key)
{
    for (size_t i = 0; i < w->order.n_memo; i++)
        if (strcmp(w->memo[i].key, key) == 0)
            return w->memo[i].value;
    return "";
}

static inline int world_job(struct world *w, step_fn *fn)
{
    CLEANUP(job_free) struct job *job = job_new(&w->order, -1);
    err_clear(&w->err);
    int rc = fn(job, &w->err);
    world_note(w, job_result(job));
    return rc;
}

/* act, undo or probe of a step; the memo is kept as an agent keeps it: of what succeeded. */
static inline int world_step(struct world *w, const char *step, Confleet__WorkerPhase phase)
{
    const struct step_impl *impl = steps_backup;
    while (impl->name && strcmp(impl->name, step) != 0)
        impl++;
    CHECK(impl->name != NULL);
    if (phase != CONFLEET__WORKER_PHASE__PROBE)
        return world_job(w, phase == CONFLEET__WORKER_PHASE__UNDO ? impl->undo : impl->act);
    CLEANUP(job_free) struct job *job = job_new(&w->order, -1);
    err_clear(&w->err);
    int rc = impl->probe(job, &w->probe, &w->err);
    world_note(w, job_result(job));
    return rc;
}
#define STEP(w, step) CHECK_OK(world_step((w), (step), CONFLEET__WORKER_PHASE__ACT), (w)->err)
#define UNDO(w, step) CHECK_OK(world_step((w), (step), CONFLEET__WORKER_PHASE__UNDO), (w)->err)
#define PROBED(w, step, want)                                                                      \
    do {                                                                                           \
        CHECK_OK(world_step((w), (step), CONFLEET__WORKER_PHASE__PROBE), (w)->err);                \
        CHECK_INT((w)->probe, (want));                                                             \
    } while (0)

/* The oracle of the whole project, which knows no code of the product: home and database as one
 * text of items. */
static inline void world_fingerprint(const struct world *w, const char *file, bool compare)
{
    struct err err = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    CLEANUP(free_mem)
    char *program = realpath("tests/harness/fingerprint", NULL), *path = fs_join(w->dir, file);
    CLEANUP(free_mem) char *pg = text_printf("%s dbname=wiki", cluster.admin);
    const char *argv[] = { "/usr/bin/python3",
                           program,
                           "--home",
                           w->home,
                           "--install",
                           w->install,
                           "--pg",
                           pg,
                           compare ? "--diff" : "--json",
                           compare ? path : NULL,
                           NULL };
    CHECK(program != NULL);
    CHECK_OK(proc_run(&(struct proc_spec){ .argv = argv, .timeout_ms = 60000 }, &result, &err),
             err);
    if (result.status != 0)
        print_error("%s%s\n", str_text(&result.out), str_text(&result.err));
    CHECK_INT(result.status, 0);
    if (!compare)
        CHECK_OK(fs_write(path, result.out.s, result.out.len, 0600, &err), err);
}
