#include "agent/edge/worker.h"
#include "confleet/cleanup.h"
#include "harness/test.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* It waits for an order that never comes. */
static struct worker *waiting_worker(void)
{
    struct worker *worker = NULL;
    struct err err = { 0 };
    CHECK_OK(worker_open("/bin/cat", &worker, &err), err);
    return worker;
}

static bool runs(pid_t pid)
{
    char path[64], text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *in = fopen(path, "re");
    size_t len = in ? fread(text, 1, sizeof text - 1, in) : 0;
    if (in)
        CHECK_INT(fclose(in), 0);
    const char *name_end = len ? strrchr(text, ')') : NULL;
    return name_end && name_end[2] != 'Z';
}

TEST(a_worker_of_an_earlier_agent_is_ended)
{
    CLEANUP(worker_close) struct worker *worker = waiting_worker();
    struct err err = { 0 };
    CHECK(runs(worker_pid(worker)));
    CHECK_OK(worker_sweep(worker_pid(worker), worker_birth(worker), &err), err);
    CHECK(!runs(worker_pid(worker)));
}

TEST(a_process_of_another_birth_or_boot_is_left_alone)
{
    CLEANUP(worker_close) struct worker *worker = waiting_worker();
    char birth[WORKER_BIRTH_MAX];
    struct err err = { 0 };
    (void)snprintf(birth, sizeof birth, "%.36s 1", worker_birth(worker));
    CHECK_OK(worker_sweep(worker_pid(worker), birth, &err), err);
    (void)snprintf(birth, sizeof birth, "%s", worker_birth(worker));
    birth[0] = birth[0] == 'a' ? 'b' : 'a';
    CHECK_OK(worker_sweep(worker_pid(worker), birth, &err), err);
    CHECK(runs(worker_pid(worker)));
}

TEST(where_processes_cannot_be_looked_at_none_is_taken_for_gone)
{
    CLEANUP(worker_close) struct worker *worker = waiting_worker();
    struct rlimit before, none;
    struct err err = { 0 };
    int next = dup(2);
    CHECK(next > 0 && close(next) == 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = (struct rlimit){ (rlim_t)next, before.rlim_max };
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    int rc = worker_sweep(worker_pid(worker), worker_birth(worker), &err);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK(rc != 0);
    CHECK_HAS(err.text, "an earlier agent");
    CHECK(runs(worker_pid(worker)));
}
