/* agent - everything this server's agent is doing: its runs, its tasks, what it knows of the
 * server. No network here.
 *
 * Runs of different installations go side by side; one installation has one worker at most. Orders
 * become runs and tasks in orders.h, by way of the journal. Invariant: every unfinished run of the
 * journal is among the runs. */
#pragma once
#include "agent/edge/config.h"
#include "agent/edge/journal.h"
#include "agent/edge/run.h"
#include "agent/edge/task.h"
#include "confleet/keys.h"

#define AGENT_RUNS_MAX  16
#define AGENT_TASKS_MAX 64
#define AGENT_POLL_MAX  ((AGENT_RUNS_MAX + AGENT_TASKS_MAX) * WORKER_POLL_MAX)

struct agent {
    const struct config *config;
    struct journal *journal;
    struct join controller; /* name, fleet, keys that may sign; zero without a controller file */
    struct run_host host;
    struct run *runs[AGENT_RUNS_MAX];
    size_t run_count;
    struct task *tasks[AGENT_TASKS_MAX];
    size_t task_count;
    struct task *surveyed; /* the newest survey that answered; holds what survey points to */
    const Confleet__Survey *survey;
    int64_t survey_mono_ms; /* when the next one is due */
    bool survey_wanted;
    int64_t expire_mono_ms; /* when expire_tick() looks again */
    /* The controller's clock shows at most so much more than the monotonic one here; set by the
     * uplink. */
    int64_t controller_clock_ms;
    bool controller_clock_known;
    /* When the newest word was said that the controller answered (monotonic; zero: none since this
     * start), and after how long without one it takes a site for silent; set by the uplink. */
    int64_t answered_mono_ms, silence_ms;
    bool linked; /* there is an uplink; without one nobody waits for a controller */
};

/* Ends the workers that a killed agent left, then reads back every unfinished run and task.
 * controller may be NULL. say: for progress, may be NULL. */
int agent_open(const struct config *config, struct journal *journal, const struct join *controller,
               void (*say)(void *arg, const void *frame, size_t len), void *arg, struct agent **ret,
               struct err *err) MUST_USE;
void agent_close(struct agent **agent);
int agent_tick(struct agent *agent,
               struct err *err) MUST_USE; /* negative: the journal failed, stop */
size_t agent_poll(const struct agent *agent, zmq_pollitem_t items[AGENT_POLL_MAX]);
int64_t agent_due_ms(const struct agent *agent); /* monotonic */

struct run *agent_run(const struct agent *agent,
                      const char *installation); /* in flight or held, NULL for none */
int agent_run_load(struct agent *agent, const struct journal_run *row, struct run **ret,
                   struct err *err) MUST_USE; /* FAIL_LIMIT */
int agent_task_add(struct agent *agent, const struct task_spec *spec,
                   struct err *err) MUST_USE; /* FAIL_LIMIT */
struct run *agent_fetching(
    const struct agent *agent);             /* one that waits for its artifact, NULL for none */
bool agent_busy(const struct agent *agent); /* a run that is not held, not soaking and not waiting
                                               for its artifact */
