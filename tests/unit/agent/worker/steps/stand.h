/* stand - one light stand-in with its own database for a test program, and the runbook's steps run on it in this process.
 *
 * A world is made once, keeps its memo from step to step as the agent's journal would, and stops what it started. */
#pragma once
#include "agent/worker/confluence/installation.h"
#include "agent/worker/job.h"
#include "agent/worker/steps/launch.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "confleet/proc.h"
#include "harness/test.h"
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define WORLD_MEMO_MAX 64
struct world {
    char *root, *install, *home, *artifact, *pg, *site;
    unsigned http_port, shutdown_port, pg_port;
    Confleet__WorkerNode node;
    Confleet__WorkerOrder order;
    Confleet__Release release;
    Confleet__KeyValue pairs[WORLD_MEMO_MAX], *memo[WORLD_MEMO_MAX];
    char sha256[HASH_HEX_MAX];
    struct str findings;              /* "id: evidence" lines of the last step */
    struct err err;
};

/* The world that is up; a test that failed leaves it to the next one, or to WORLD_LAST_TEST. */
static struct world *world_now;
static inline void world_close(struct world *w);
#define WORLD_LAST_TEST TEST(nothing_is_left_running) { if (world_now) world_close(world_now); }

static inline unsigned free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    CHECK_INT(close(fd), 0);
    return ntohs(address.sin_port);
}

/* Runs a tool of the tests; its words are shown when it fails. */
static inline void tool(const char *const *words)
{
    char path[512];
    const char *argv[40] = { path };
    struct proc_result result = { 0 };
    struct err err = { 0 };
    char cwd[400];
    CHECK(getcwd(cwd, sizeof cwd));
    (void)snprintf(path, sizeof path, "%s/tests/standin/%s", cwd, words[0]);
    for (size_t i = 1; words[i]; i++)
        argv[i] = words[i], argv[i + 1] = NULL;
    const struct proc_spec spec = { .argv = argv, .timeout_ms = 120000 };
    int rc = proc_run(&spec, &result, &err);
    if (rc || result.status != 0)
        print_error("%s: %s %s %s\n", words[0], err.text, str_text(&result.out), str_text(&result.err));
    CHECK(rc == 0 && result.status == 0);
    proc_result_free(&result);
}
#define TOOL(...) tool((const char *const[]){ __VA_ARGS__, NULL })

static inline char *under(const char *dir, const char *name)
{
    char *path = fs_join(dir, name);
    struct err err = { 0 };
    CHECK_OK(fs_mkdirs(path, 0755, &err), err);
    return path;
}

static inline void world_switch(struct world *w, const char *line)
{
    CLEANUP(free_mem) char *path = fs_join(w->home, "standin.properties");
    FILE *file = fopen(path, "a");
    CHECK(file && fprintf(file, "%s\n", line) > 0 && fclose(file) == 0);
}

/* to: the version whose archive is to be installed over a site of version from. */
static inline struct world *world_open(const char *from, const char *to, uint32_t to_build, bool installer, bool java8_flags, const char *user_or_null)
{
    if (world_now)
        world_close(world_now);
    if (access("/usr/lib/postgresql", R_OK) != 0 || access("/usr/bin/python3", X_OK) != 0)
        TEST_SKIP("PostgreSQL or Python is not installed");
    struct world *w = world_now = mem_zero(1, sizeof *w);
    if (!user_or_null && geteuid() == 0)
        user_or_null = "nobody";        /* nothing is run as root */
    char http[16], shutdown[16], pg_port[16];
    w->root = text_dup(test_dir());
    CHECK_INT(chmod(w->root, 0755), 0);
    w->pg = fs_join(w->root, "pg");
    TOOL("pg", "start", w->pg);
    CLEANUP(free_mem) char *port_file = fs_join(w->pg, "port");
    CLEANUP(str_free) struct str text = { 0 };
    CHECK_OK(fs_read(port_file, 64, &text, &w->err), w->err);
    CHECK(sscanf(text.s, "%u", &w->pg_port) == 1);
    w->http_port = free_port(), w->shutdown_port = free_port();
    (void)snprintf(http, sizeof http, "%u", w->http_port);
    (void)snprintf(shutdown, sizeof shutdown, "%u", w->shutdown_port);
    (void)snprintf(pg_port, sizeof pg_port, "%u", w->pg_port);
    TOOL("site", "create", "--root", w->root, "--name", "one", "--pg-socket", w->pg, "--db", "one", "--db-user", "one", "--db-password", "se cret'7",
         "--pg-port", pg_port, "--http-port", http, "--shutdown-port", shutdown, "--version", from, java8_flags ? "--java8-flags" : "--seed=1",
         installer ? "--installer" : "--seed=1", user_or_null ? "--user" : "--seed=1", user_or_null ? user_or_null : "--size=small");
    w->site = fs_join(w->root, "one"), w->home = fs_join(w->site, "home");
    CLEANUP(free_mem) char *effects = text_printf("effects.file=%s/effects", w->root), *effects_file = fs_join(w->root, "effects");
    CHECK_OK(fs_write(effects_file, "", 0, 0666, &w->err), w->err);
    CHECK_INT(chmod(effects_file, 0666), 0);
    world_switch(w, effects);
    TOOL("dist", to, "--out", w->root);
    w->install = fs_join(w->site, "install");
    w->artifact = text_printf("%s/atlassian-confluence-%s.tar.gz", w->root, to);
    uint64_t size = 0;
    CHECK_OK(hash_file_hex(w->artifact, w->sha256, &size, &w->err), w->err);
    confleet__worker_node__init(&w->node), confleet__worker_order__init(&w->order), confleet__release__init(&w->release);
    w->release.version = text_dup(to), w->release.build = to_build, w->release.artifact_sha256 = w->sha256, w->release.artifact_size = size;
    w->node.installation = text_dup("install-1"), w->node.site = text_dup("one"), w->node.install = w->install, w->node.home = w->home;
    w->node.backup_dir = under(w->root, "backup"), w->node.run_dir = under(w->root, "runs/r1"), w->node.hooks_dir = under(w->root, "hooks");
    w->node.stage_dir = text_printf("%s/.confleet-one/r1", w->site), w->node.pid_root = text_dup("/proc");
    w->node.start_timeout_s = 40, w->node.stop_timeout_s = 20;
    w->order.job = text_dup("step"), w->order.node = &w->node, w->order.release = &w->release, w->order.artifact = w->artifact;
    w->order.memo = w->memo;
    return w;
}

static inline void world_close(struct world *w)
{
    struct err err = { 0 };
    struct installation found = { 0 };
    world_now = NULL;
    w->order.step = text_dup("stop");
    struct job *job = job_new(&w->order, -1);
    /* A start guard may be in place: by signal, not by script. */
    if (w->install && installation_read(w->install, w->home, "/proc", &found, &err) == 0 && launch_kill(job, &found, 5000, &err))
        print_message("the stand-in was not stopped: %s\n", err.text);
    installation_free(&found);
    job_free(&job);
    free(w->order.step);
    TOOL("pg", "stop", w->pg, "--remove");
    for (size_t i = 0; i < w->order.n_memo; i++)
        free(w->pairs[i].key), free(w->pairs[i].value);
    free(w->release.version), free(w->node.installation), free(w->node.site), free(w->node.backup_dir), free(w->node.run_dir);
    free(w->node.hooks_dir), free(w->node.stage_dir), free(w->node.pid_root), free(w->order.job);
    free(w->root), free(w->install), free(w->home), free(w->artifact), free(w->pg), free(w->site);
    str_free(&w->findings);
    free(w);
}

static inline void world_memo(struct world *w, const char *key, const char *value)
{
    size_t i = 0;
    while (i < w->order.n_memo && strcmp(w->pairs[i].key, key) != 0)
        i++;
    CHECK(i < WORLD_MEMO_MAX);
    if (i == w->order.n_memo) {
        confleet__key_value__init(&w->pairs[i]);
        w->memo[i] = &w->pairs[i];
        w->pairs[i].key = text_dup(key);
        w->order.n_memo++;
    } else {
        free(w->pairs[i].value);
    }
    w->pairs[i].value = text_dup(value);
}

static inline const char *world_memo_get(const struct world *w, const char *key)
{
    for (size_t i = 0; i < w->order.n_memo; i++)
        if (strcmp(w->pairs[i].key, key) == 0)
            return w->pairs[i].value;
    return "";
}

/* What the step "check" writes down, without its judgement. */
static inline void world_check(struct world *w)
{
    struct installation found = { 0 };
    char text[32];
    CHECK_OK(installation_read(w->install, NULL, "/proc", &found, &w->err), w->err);
    world_memo(w, MEMO_HOME, found.home);
    world_memo(w, MEMO_RUN_USER, found.run_user);
    world_memo(w, MEMO_OLD_VERSION, found.version);
    (void)snprintf(text, sizeof text, "%u", found.app_build);
    world_memo(w, MEMO_OLD_BUILD, text);
    world_memo(w, MEMO_WAS_RUNNING, found.pid ? "1" : "0");
    installation_free(&found);
}

static inline const struct step_impl *world_impl(const char *step)
{
    const struct step_impl *const tables[] = { steps_files, steps_service, steps_health };
    for (size_t t = 0; t < 3; t++)
        for (const struct step_impl *impl = tables[t]; impl->name; impl++)
            if (strcmp(impl->name, step) == 0)
                return impl;
    fail_msg("no step %s", step);
    return NULL;
}

static inline int world_do(struct world *w, const char *step, Confleet__WorkerPhase phase)
{
    const struct step_impl *impl = world_impl(step);
    w->order.step = (char *)(uintptr_t)step, w->order.phase = phase;
    w->err = (struct err){ 0 };
    struct job *job = job_new(&w->order, -1);
    int rc = phase == CONFLEET__WORKER_PHASE__ACT ? impl->act(job, &w->err) : impl->undo(job, &w->err);
    Confleet__WorkerResult *result = job_result(job);
    for (size_t i = 0; i < result->n_memo; i++)
        world_memo(w, result->memo[i]->key, result->memo[i]->value);
    str_clear(&w->findings);
    for (size_t i = 0; i < result->n_findings; i++)
        str_addf(&w->findings, "%s: %s\n", result->findings[i]->id, result->findings[i]->evidence);
    job_free(&job);
    return rc;
}
#define ACT_OK(w, step) CHECK_OK(world_do(w, step, CONFLEET__WORKER_PHASE__ACT), (w)->err)
#define UNDO_OK(w, step) CHECK_OK(world_do(w, step, CONFLEET__WORKER_PHASE__UNDO), (w)->err)

static inline Confleet__ProbeState world_probe(struct world *w, const char *step)
{
    Confleet__ProbeState state = CONFLEET__PROBE_STATE__PROBE_NONE;
    w->order.step = (char *)(uintptr_t)step, w->order.phase = CONFLEET__WORKER_PHASE__PROBE;
    w->err = (struct err){ 0 };
    struct job *job = job_new(&w->order, -1);
    CHECK_OK(world_impl(step)->probe(job, &state, &w->err), w->err);
    job_free(&job);
    return state;
}

/* How many effects of that kind the stand-in has counted by itself. */
static inline int world_effects(struct world *w, const char *what)
{
    CLEANUP(free_mem) char *path = fs_join(w->root, "effects"), *word = text_printf(" %s ", what);
    CLEANUP(str_free) struct str text = { 0 };
    int count = 0;
    if (fs_read(path, 1 << 20, &text, NULL))
        return 0;
    for (const char *at = str_text(&text); (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

static inline bool file_has(const char *dir, const char *name, const char *part)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    CLEANUP(str_free) struct str text = { 0 };
    return fs_read(path, 4 << 20, &text, NULL) == 0 && strstr(str_text(&text), part);
}

/* A running 9.2.13 whose upgrade to 9.2.21 has got as far as the stop. */
static inline struct world *stopped_world(const char *fault)
{
    struct world *w = world_open("9.2.13", "9.2.21", 9116, false, false, NULL);
    if (fault)
        world_switch(w, fault);
    TOOL("site", "start", "one", "--root", w->root, "--wait", "30");
    world_check(w);
    ACT_OK(w, "unpack");
    ACT_OK(w, "carry");
    ACT_OK(w, "baseline");
    ACT_OK(w, "stop");
    return w;
}

static inline void switched(struct world *w)
{
    ACT_OK(w, "guard");
    ACT_OK(w, "switch");
    ACT_OK(w, "configure");
}
