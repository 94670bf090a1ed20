/* lab - one agent's state in a folder, a plan, and a fake worker that fails on demand, for the
 * tests of agent/edge.
 *
 * The fake worker is the test program itself, started by a link called "fake-worker". It keeps
 * LAB/log (one line per order: "act stop") and LAB/done-STEP as its effect, and obeys LAB/script:
 * lines "PHASE STEP NTH WHAT". */
#pragma once
#include "agent/edge/run.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "harness/test.h"
#include <limits.h>
#include <poll.h>
#include <signal.h>

#define UNUSED __attribute__((unused))

static char *lend(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void lab_append(const char *dir, const char *name, const char *text)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    FILE *f = fopen(path, "a");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

static char *lab_read(const char *dir, const char *name)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    CLEANUP(str_free) struct str text = { 0 };
    return text_dup(fs_read(path, 1 << 20, &text, NULL) == 0 ? str_text(&text) : "");
}

/* ------------------------------------------------ the fake worker's side */

static int fake_count(const char *log, const char *line)
{
    int count = 0;
    size_t len = strlen(line);
    for (const char *at = log; (at = strstr(at, line)) != NULL; at += len)
        count += at == log || at[-1] == '\n';
    return count;
}

_Noreturn static void fake_result(Confleet__WorkerResult *result)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__WorkerReply reply = CONFLEET__WORKER_REPLY__INIT;
    reply.body_case = CONFLEET__WORKER_REPLY__BODY_RESULT;
    reply.result = result;
    wire_pipe_add(&bytes, &reply.base);
    _exit(fs_write_all(1, bytes.s, bytes.len, NULL) != 0 ? 9 : 0);
}

/* What the script says of this order's nth delivery; "" for nothing. */
static void fake_script(const char *dir, const char *phase, const char *step, int nth,
                        char what[32])
{
    CLEANUP(free_mem) char *script = lab_read(dir, "script");
    char line[128], want[96];
    (void)snprintf(want, sizeof want, "%s %s %d ", phase, step, nth);
    what[0] = 0;
    for (const char *at = script; *at; at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n')) {
        (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        if (strncmp(line, want, strlen(want)) == 0)
            (void)snprintf(what, 32, "%.31s", line + strlen(want));
    }
}

_Noreturn static void fake_step(const char *dir, const Confleet__WorkerOrder *order,
                                const char *phase, const char *what)
{
    Confleet__WorkerResult result = CONFLEET__WORKER_RESULT__INIT;
    Confleet__KeyValue memo = CONFLEET__KEY_VALUE__INIT, *memos[] = { &memo };
    char done[64];
    (void)snprintf(done, sizeof done, "done-%s", order->step);
    CLEANUP(free_mem) char *mark = fs_join(dir, done);
    if (strcmp(what, "die") == 0)
        (void)raise(SIGKILL);
    while (strcmp(what, "hang") == 0)
        (void)pause();
    if (strcmp(what, "fail") == 0) {
        result.code = FAIL_UNHEALTHY;
        result.message = lend("told to fail");
        fake_result(&result);
    }
    if (strcmp(phase, "probe") == 0) {
        result.probe = strcmp(what, "partial") == 0 ? CONFLEET__PROBE_STATE__PARTIAL
                       : fs_exists(mark)            ? CONFLEET__PROBE_STATE__PROBE_COMPLETE
                                                    : CONFLEET__PROBE_STATE__ABSENT;
        fake_result(&result);
    }
    if (strcmp(phase, "undo") == 0) {
        if (fs_unlink(mark, NULL) != 0)
            _exit(8);
        fake_result(&result);
    }
    /* Whole or not at all: a worker may be killed in the midst of it. */
    CLEANUP(free_mem) char *before = lab_read(dir, done), *after = text_printf("%sx", before);
    if (fs_write(mark, after, strlen(after), 0600, NULL) != 0)
        _exit(8);
    if (strcmp(what, "die-after") == 0)
        (void)raise(SIGKILL);
    memo.key = order->step;
    memo.value = done;
    result.memo = memos;
    result.n_memo = 1;
    fake_result(&result);
}

_Noreturn static void fake_job(const Confleet__WorkerOrder *order)
{
    Confleet__WorkerResult result = CONFLEET__WORKER_RESULT__INIT;
    Confleet__Survey survey = CONFLEET__SURVEY__INIT;
    Confleet__Installation installation = CONFLEET__INSTALLATION__INIT, *list[] = { &installation };
    Confleet__Finding finding = CONFLEET__FINDING__INIT, *findings[] = { &finding };
    installation.id = lend("conf-12345678");
    installation.install = lend("/opt/conf");
    installation.home = lend("/var/conf");
    installation.version = lend("8.5.4");
    installation.app_build = installation.home_build = installation.database_build = 9012;
    survey.installations = list;
    survey.n_installations = 1;
    finding.id = lend("space");
    finding.severity = CONFLEET__SEVERITY__BLOCK;
    finding.title = lend("not enough room");
    if (strcmp(order->job, "survey") == 0)
        result.survey = &survey;
    if (strcmp(order->job, "check") == 0) {
        result.findings = findings;
        result.n_findings = 1;
    }
    fake_result(&result);
}

_Noreturn static void fake_worker(const char *self)
{
    CLEANUP(str_free) struct str in = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__WorkerOrder *order = NULL;
    const uint8_t *bytes = NULL;
    size_t len = 0;
    char dir[PATH_MAX], what[32], line[96];
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(self, '/') - self), self);
    if (fs_read_fd(0, "order", WIRE_FRAME_MAX, &in, NULL) != 0 ||
        wire_pipe_take(&in, &bytes, &len, NULL) != 1 ||
        wire_decode_worker_order(arena, bytes, len, &order, NULL) != 0)
        _exit(7);
    if (strcmp(order->job, "step") != 0) {
        CLEANUP(str_free) struct str text = { 0 };
        str_add(&text, order->job);
        for (size_t i = 0; i < order->n_expire_runs; i++)
            str_addf(&text, " run %s in %s and %s", order->expire_runs[i], order->node->run_dir,
                     order->node->stage_dir);
        for (size_t i = 0; i < order->n_keep_backups; i++)
            str_addf(&text, " but %s", order->keep_backups[i]);
        if (order->into[0])
            str_addf(&text, " into %s", order->into);
        str_add(&text, order->full_speed ? " at full speed" : "");
        str_add(&text, "\n");
        lab_append(dir, "log", str_text(&text));
        fake_script(dir, "job", order->job, 1, what);
        if (strcmp(what, "die") == 0)
            (void)raise(SIGKILL);
        fake_job(order);
    }
    static const char *const phases[] = { "none", "act", "undo", "probe" };
    (void)snprintf(line, sizeof line, "%s %s\n", phases[order->phase], order->step);
    lab_append(dir, "log", line);
    CLEANUP(free_mem) char *log = lab_read(dir, "log");
    fake_script(dir, phases[order->phase], order->step, fake_count(log, line), what);
    fake_step(dir, order, phases[order->phase], what);
}

__attribute__((constructor)) static void fake_take_over(int argc, char **argv)
{
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
    if (name && strcmp(name, "/fake-worker") == 0)
        fake_worker(argv[0]);
}

/* ------------------------------------------------ the test's side */

struct lab {
    const char *dir;
    struct config config;
    struct journal *journal;
    struct run_host host;
    struct str plan;
    int64_t soak_ms;
    const char *on_failure;
    void (*change)(Confleet__Plan *plan); /* last touch before the plan is encoded */
};

UNUSED static void lab_plan(struct lab *lab)
{
    Confleet__Plan plan = CONFLEET__PLAN__INIT;
    Confleet__Release release = CONFLEET__RELEASE__INIT;
    Confleet__PlanStage stage = CONFLEET__PLAN_STAGE__INIT, *stages[] = { &stage };
    Confleet__PlanSite site = CONFLEET__PLAN_SITE__INIT, *sites[] = { &site };
    Confleet__PlanNode node = CONFLEET__PLAN_NODE__INIT, *nodes[] = { &node };
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex("artifact", 8, sha256);
    plan.format = 1;
    plan.fleet = lend("fleet1");
    plan.id = lend("plan1");
    plan.name = lend("spring");
    plan.serial = 7;
    plan.created_ms = clock_wall_ms();
    plan.expires_ms = plan.created_ms + 3600 * 1000;
    plan.on_failure = lend(lab->on_failure ? lab->on_failure : "rollback");
    plan.backup_level = CONFLEET__BACKUP_LEVEL__RESTORED;
    plan.release = &release;
    release.version = lend("9.2.13");
    release.build = 9111;
    release.artifact_sha256 = sha256;
    release.artifact_size = 8;
    plan.stages = stages;
    plan.n_stages = 1;
    stage.name = lend("test");
    stage.soak_ms = lab->soak_ms;
    stage.sites = sites;
    stage.n_sites = 1;
    site.name = lend("wiki");
    site.from_version = lend("8.5.4");
    site.from_build = 9012;
    site.nodes = nodes;
    site.n_nodes = 1;
    node.agent = lend("server1");
    node.installation = lend("conf-12345678");
    if (lab->change)
        lab->change(&plan);
    str_clear(&lab->plan);
    wire_encode(&plan.base, &lab->plan);
}

UNUSED static void lab_script(struct lab *lab, const char *lines)
{
    lab_append(lab->dir, "script", lines);
}

/* A fresh server: state folder, journal, artifact in place, fake worker. */
UNUSED static void lab_open(struct lab *lab)
{
    struct err err = { 0 };
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(len > 0);
    self[len] = 0;
    lab->dir = test_dir();
    config_bare(&lab->config);
    free(lab->config.worker);
    free(lab->config.state_dir);
    lab->config.worker = fs_join(lab->dir, "fake-worker");
    lab->config.state_dir = text_dup(lab->dir);
    CHECK_INT(symlink(self, lab->config.worker), 0);
    lab_plan(lab);
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex("artifact", 8, sha256);
    CLEANUP(free_mem) char *artifact = config_artifact(&lab->config, sha256);
    CLEANUP(free_mem) char *folder = config_state(&lab->config, "artifacts");
    CHECK_OK(fs_mkdirs(folder, 0700, &err), err);
    CHECK_OK(fs_write(artifact, "artifact", 8, 0600, &err), err);
    CHECK_OK(journal_open(lab->dir, &lab->journal, &err), err);
    lab->host = (struct run_host){ .config = &lab->config, .journal = lab->journal };
}

UNUSED static void lab_close(struct lab *lab)
{
    journal_close(&lab->journal);
    config_free(&lab->config);
    str_free(&lab->plan);
}

UNUSED static struct run *lab_run(struct lab *lab, bool fresh)
{
    struct err err = { 0 };
    struct run *run = NULL;
    char sha256[HASH_HEX_MAX];
    hash_bytes_hex(lab->plan.s, lab->plan.len, sha256);
    struct journal_run row = { .id = "run1",
                               .installation = lend("conf-12345678"),
                               .install = lend("/opt/conf"),
                               .home = lend("/var/conf"),
                               .site = lend("wiki"),
                               .order_id = lend("order1"),
                               .plan_id = lend("plan1"),
                               .plan_sha256 = sha256,
                               .plan = lab->plan.s,
                               .plan_len = lab->plan.len,
                               .attempt = 1,
                               .created_ms = clock_wall_ms() };
    if (fresh)
        CHECK_OK(journal_run_add(lab->journal, &row, &err), err);
    CLEANUP(journal_run_free) struct journal_run found = { 0 };
    CHECK_OK(journal_run_find(lab->journal, "run1", "", "", "", &found, &err), err);
    CHECK_OK(run_open(&lab->host, &found, &run, &err), err);
    return run;
}

/* Drives until the run is over, or until the fake worker's log holds `until`. */
UNUSED static void lab_drive(struct lab *lab, struct run *run, const char *until)
{
    struct err err = { 0 };
    for (int64_t end_ms = clock_mono_ms() + 60000; !run_over(run);) {
        CHECK(clock_mono_ms() < end_ms);
        CHECK_OK(run_tick(run, &err), err);
        CLEANUP(free_mem) char *log = lab_read(lab->dir, "log");
        if (until && strstr(log, until))
            return;
        zmq_pollitem_t items[WORKER_POLL_MAX];
        int64_t due_ms = run_due_ms(run) - clock_mono_ms();
        (void)zmq_poll(items, (int)run_poll(run, items),
                       due_ms < 0    ? 0
                       : due_ms > 50 ? 50
                                     : (long)due_ms);
    }
}

UNUSED static uint64_t lab_serial(struct lab *lab)
{
    struct err err = { 0 };
    uint64_t serial = 99;
    CHECK_OK(journal_serial(lab->journal, "conf-12345678", &serial, &err), err);
    return serial;
}

/* What happened, as the fake worker saw it: "check, unpack, ..., undo start". */
UNUSED static const char *lab_story(struct lab *lab)
{
    static char story[4096];
    CLEANUP(free_mem) char *log = lab_read(lab->dir, "log");
    size_t used = 0;
    story[0] = 0;
    for (char *at = log; *at;) {
        char *end = strchr(at, '\n');
        *end = 0;
        const char *word = strncmp(at, "act ", 4) == 0 ? at + 4 : at;
        used += (size_t)snprintf(story + used, sizeof story - used, "%s%s", used ? ", " : "", word);
        at = end + 1;
    }
    return story;
}
