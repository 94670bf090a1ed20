#include "agent/worker/checks/gather.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <pthread.h>
#include <string.h>
#include <time.h>

/* Shared by the caller and one thread, freed by whoever comes last. */
struct task {
    const struct gatherer *gatherer;
    const struct gather_source *source;
    void *part;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done, left;
};

static void task_free(struct task *task)
{
    (void)pthread_cond_destroy(&task->ended);
    (void)pthread_mutex_destroy(&task->lock);
    free_mem(&task->part);
    free(task);
}

static void *task_run(void *arg)
{
    struct task *task = arg;
    struct part *part = task->part;
    int64_t start_ms = clock_mono_ms();
    part->at_ms = clock_wall_ms();
    part->known = FACT_YES;
    task->gatherer->run(task->source, task->part);
    part->took_ms = clock_mono_ms() - start_ms;
    (void)pthread_mutex_lock(&task->lock);
    task->done = true;
    bool left = task->left;
    (void)pthread_cond_signal(&task->ended);
    (void)pthread_mutex_unlock(&task->lock);
    if (left)
        task_free(task);
    return NULL;
}

static struct task *task_start(const struct gatherer *gatherer, const struct gather_source *source)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_condattr_t clock;
    struct task *task = mem_zero(1, sizeof *task);
    *task = (struct task){ .gatherer = gatherer,
                           .source = source,
                           .part = mem_zero(1, gatherer->size) };
    (void)pthread_mutex_init(&task->lock, NULL);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&task->ended, &clock);
    (void)pthread_condattr_destroy(&clock);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &attr, task_run, task);
    (void)pthread_attr_destroy(&attr);
    if (failed == 0)
        return task;
    task_free(task);
    return NULL;
}

/* Waits until the task is done or its time is over; true: its part is in out. */
static bool task_take(struct task *task, const struct timespec *until, void *out)
{
    (void)pthread_mutex_lock(&task->lock);
    int failed = 0;
    while (!task->done && failed == 0)
        failed = pthread_cond_timedwait(&task->ended, &task->lock, until);
    bool done = task->done;
    if (done)
        memcpy(out, task->part, task->gatherer->size);
    task->left = !done;
    (void)pthread_mutex_unlock(&task->lock);
    if (done)
        task_free(task);
    return done;
}

bool gather_all(const struct gatherer *table, const struct gather_source *source, void *base)
{
    size_t count = 0;
    bool whole = true;
    struct timespec start;
    while (table[count].name)
        count++;
    CLEANUP(free_mem) struct task **tasks = mem_zero(count + 1, sizeof(struct task *));
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    for (size_t i = 0; i < count; i++)
        tasks[i] = task_start(&table[i], source);
    for (size_t i = 0; i < count; i++) {
        char *out = (char *)base + table[i].offset;
        struct timespec until = start;
        struct part *part = (struct part *)(void *)out;
        until.tv_sec += table[i].limit_ms / 1000;
        until.tv_nsec += (long)(table[i].limit_ms % 1000) * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (tasks[i] && task_take(tasks[i], &until, out))
            continue;
        part->known = FACT_UNKNOWN;
        part->at_ms = clock_wall_ms();
        (void)snprintf(part->why, sizeof part->why,
                       tasks[i] ? "%s: not found out within %d s" : "%s: no thread for it",
                       table[i].name, table[i].limit_ms / 1000);
        whole = whole && !tasks[i];
    }
    return whole;
}
