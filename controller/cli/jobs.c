#include "controller/cli/jobs.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <string.h>
#include <time.h>

bool job_state_is_over(const char *state)
{
    static const char *const open[] = { "", "queued", "ordered", "running", "pending" };
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        if (strcmp(open[i], state) == 0)
            return false;
    }
    return true;
}

bool job_state_is_good(const char *state)
{
    return strcmp(state, "done") == 0;
}

void job_line(const Confleet__JobView *job, struct str *to)
{
    size_t over = 0;
    const Confleet__JobSiteView *busy = NULL;
    for (size_t i = 0; i < job->n_sites; i++) {
        if (job_state_is_over(job->sites[i]->state))
            over++;
        else if (!busy || (!busy->text[0] && job->sites[i]->text[0]))
            busy = job->sites[i];
    }
    out_clean(to, job->kind);
    str_addf(to, ": %zu of %zu site%s done", over, job->n_sites, job->n_sites == 1 ? "" : "s");
    if (!busy)
        return;
    str_add(to, "; ");
    out_clean(to, busy->site);
    str_add(to, ": ");
    out_clean(to, busy->text[0] ? busy->text : busy->state);
    if (busy->total > 0 && busy->done <= busy->total)
        str_addf(to, " %d%%", (int)((double)busy->done * 100.0 / (double)busy->total));
}

static void line_show(struct cli *cli, const Confleet__JobView *job)
{
    CLEANUP(str_free) struct str line = { 0 }, cut = { 0 };
    if (!cli->note.terminal)
        return;
    job_line(job, &line);
    str_addf(&cut, "\r%.*s\033[K", cli->note.width - 1, str_text(&line));
    out_show(&cli->note, &cut); /* progress is for eyes only */
}

static void line_end(struct cli *cli)
{
    CLEANUP(str_free) struct str wipe = { 0 };
    str_add(&wipe, "\r\033[K");
    if (cli->note.terminal)
        out_show(&cli->note, &wipe);
}

static int job_poll(struct cli *cli, const char *id, bool brief, struct answer *answer,
                    struct err *err)
{
    Confleet__AskJob job = CONFLEET__ASK_JOB__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    struct answer next = { 0 };
    job.id = (char *)id;
    job.brief = brief;
    request.what_case = CONFLEET__REQUEST__WHAT_JOB;
    request.job = &job;
    int result = ask(cli, &request, &next, err);
    if (result == 0 && !next.reply->job) {
        answer_free(&next);
        result = err_set(err, FAIL_PROTOCOL, "the controller answered without a job");
    }
    if (result != 0)
        return result;
    answer_free(answer);
    *answer = next;
    return 0;
}

int job_wait(struct cli *cli, struct answer *first, int64_t timeout_ms, struct answer *ret,
             struct err *err)
{
    CLEANUP(answer_free) struct answer answer = *first;
    CLEANUP(free_mem) char *id = NULL;
    int64_t start_ms = clock_mono_ms();
    const struct timespec pause = { .tv_nsec = JOB_POLL_MS * 1000000L };
    *first = (struct answer){ 0 };
    if (!answer.reply->job)
        return err_set(err, FAIL_PROTOCOL, "the controller answered without a job");
    id = text_dup(answer.reply->job->id);
    bool whole = !answer.reply->next[0]; /* with all sites and what was found there */
    while (!job_state_is_over(answer.reply->job->state)) {
        line_show(cli, answer.reply->job);
        if (timeout_ms > 0 && clock_mono_ms() - start_ms > timeout_ms) {
            line_end(cli);
            return err_set(err, FAIL_TIMEOUT,
                           "job %s is not through yet; it goes on at the servers", id);
        }
        (void)nanosleep(&pause, NULL);
        int result = job_poll(cli, id, true, &answer, err);
        if (result != 0) {
            line_end(cli);
            return result;
        }
        whole = false;
    }
    line_end(cli);
    int result = whole ? 0 : job_poll(cli, id, false, &answer, err);
    if (result != 0)
        return result;
    *ret = answer;
    answer = (struct answer){ 0 };
    return 0;
}
