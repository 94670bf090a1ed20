#include "controller/cli/gather.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/jobs.h"
#include "controller/cli/readiness.h"
#include "controller/cli/views.h"
#include <string.h>
#include <time.h>

#define FETCH_AT_ONCE 64 /* sites of one question; the answer may hold fewer */

void gathered_free(struct gathered *gathered)
{
    for (size_t i = 0; i < gathered->answer_count; i++)
        answer_free(&gathered->answers[i]);
    free_mem(&gathered->answers);
    free_mem(&gathered->views);
    free_mem(&gathered->asked);
    *gathered = (struct gathered){ 0 };
}

static void keep(struct gathered *gathered, struct answer *answer)
{
    gathered->answers =
        mem_grow(gathered->answers, gathered->answer_count + 1, sizeof *gathered->answers);
    gathered->answers[gathered->answer_count++] = *answer;
    *answer = (struct answer){ 0 };
}

void gather_line(Confleet__JobSiteView *const *views, size_t count, size_t columns, struct str *to)
{
    size_t over = 0, named = 0, open = 0;
    for (size_t i = 0; i < count; i++)
        over += job_state_is_over(views[i]->state);
    str_addf(to, "%zu of %zu site%s", over, count, count == 1 ? "" : "s");
    open = count - over;
    for (size_t i = 0; i < count; i++) {
        if (job_state_is_over(views[i]->state))
            continue;
        if (named > 0 && out_columns(str_text(to)) + out_columns(views[i]->site) + 14 > columns)
            break;
        str_add(to, named == 0 ? "; waiting for: " : ", ");
        out_clean(to, views[i]->site);
        named++;
    }
    if (open > named)
        str_addf(to, " and %zu more", open - named);
}

static void line_show(struct cli *cli, const struct gathered *gathered)
{
    CLEANUP(str_free) struct str line = { 0 }, shown = { 0 };
    if (!cli->note.terminal)
        return;
    gather_line(gathered->views, gathered->count, (size_t)cli->note.width - 1, &line);
    str_add(&shown, "\r");
    out_cut(&shown, str_text(&line), (size_t)cli->note.width - 1);
    str_add(&shown, "\033[K");
    out_show(&cli->note, &shown);
}

static void line_end(struct cli *cli)
{
    CLEANUP(str_free) struct str wipe = { 0 };
    str_add(&wipe, "\r\033[K");
    if (cli->note.terminal)
        out_show(&cli->note, &wipe);
}

/* One that is through, for who does not watch a terminal. */
static void site_say(struct cli *cli, const Confleet__JobSiteView *site)
{
    CLEANUP(str_free) struct str line = { 0 };
    size_t counts[READY_RANKS] = { 0 }, waived = 0;
    for (size_t i = 0; i < site->n_findings; i++) {
        waived += site->findings[i]->waived_until_ms > 0;
        counts[severity_rank(site->findings[i]->severity)] +=
            site->findings[i]->waived_until_ms == 0;
    }
    if (cli->note.terminal)
        return;
    out_clean(&line, site->site);
    str_add(&line, ": ");
    if (job_state_is_good(site->state)) {
        ready_counts_add(counts, waived, &line);
    } else {
        out_clean(&line, site->state);
        str_add(&line, site->message[0] ? ": " : "");
        out_clean(&line, site->message);
    }
    str_add(&line, "\n");
    out_show(&cli->note, &line);
}

static int job_ask(struct cli *cli, Confleet__AskJob *what, struct answer *ret, struct err *err)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    request.what_case = CONFLEET__REQUEST__WHAT_JOB;
    request.job = what;
    int result = ask(cli, &request, ret, err);
    if (result == 0 && !ret->reply->job)
        result = err_set(err, FAIL_PROTOCOL, "the controller answered without a job");
    return result;
}

/* Where this site's view stands. */
static Confleet__JobSiteView **view_of(struct gathered *gathered, const char *site)
{
    for (size_t i = 0; i < gathered->count; i++)
        if (strcmp(gathered->views[i]->site, site) == 0)
            return &gathered->views[i];
    return NULL;
}

/* Full views of sites that are through. */
static int fetch(struct cli *cli, struct gathered *gathered, char **names, size_t count,
                 struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    Confleet__AskJob what = CONFLEET__ASK_JOB__INIT;
    what.id = gathered->head.id;
    what.sites = names;
    what.n_sites = count;
    int result = job_ask(cli, &what, &answer, err);
    if (result != 0)
        return result;
    const Confleet__JobView *job = answer.reply->job;
    for (size_t i = 0; i < job->n_sites; i++) {
        Confleet__JobSiteView **place = view_of(gathered, job->sites[i]->site);
        if (!place)
            continue;
        *place = job->sites[i];
        site_say(cli, *place);
    }
    keep(gathered, &answer);
    return 0;
}

/* What one look at the job says; sites that came through since the last are fetched. */
static int look_take(struct cli *cli, struct gathered *gathered, const Confleet__JobView *look,
                     struct err *err)
{
    char *names[FETCH_AT_ONCE];
    size_t count = 0;
    int result = 0;
    for (size_t i = 0; result == 0 && i < look->n_sites; i++) {
        Confleet__JobSiteView **place = view_of(gathered, look->sites[i]->site);
        if (!place || job_state_is_over((*place)->state))
            continue;
        if (!job_state_is_over(look->sites[i]->state)) {
            *place = look->sites[i];
            continue;
        }
        names[count++] = look->sites[i]->site;
        if (count == FETCH_AT_ONCE) {
            result = fetch(cli, gathered, names, count, err);
            count = 0;
        }
    }
    return result == 0 && count > 0 ? fetch(cli, gathered, names, count, err) : result;
}

/* The views that are open point into the newest look, *latest, which replaces the one before. */
static int look(struct cli *cli, struct gathered *gathered, struct answer *latest, struct err *err)
{
    CLEANUP(answer_free) struct answer next = { 0 };
    Confleet__AskJob what = CONFLEET__ASK_JOB__INIT;
    what.id = gathered->head.id;
    what.brief = true;
    int result = job_ask(cli, &what, &next, err);
    if (result == 0) {
        gathered->head.state = next.reply->job->open > 0 ? (char *)"running" : (char *)"done";
        result = look_take(cli, gathered, next.reply->job, err);
    }
    if (result != 0)
        return result;
    answer_free(latest);
    *latest = next;
    next = (struct answer){ 0 };
    return 0;
}

/* The controller did not say it in time, so this command does. */
static void silent_say(struct cli *cli, struct gathered *gathered)
{
    for (size_t i = 0; i < gathered->count; i++) {
        if (job_state_is_over(gathered->views[i]->state))
            continue;
        gathered->views[i]->state = (char *)"silent";
        gathered->views[i]->message = (char *)"not heard of in time";
        site_say(cli, gathered->views[i]);
    }
}

static int follow(struct cli *cli, struct gathered *gathered, int64_t timeout_ms, struct err *err)
{
    CLEANUP(answer_free) struct answer latest = { 0 };
    const struct timespec pause = { .tv_nsec = JOB_POLL_MS * 1000000L };
    int64_t until_ms = clock_mono_ms() + timeout_ms + GATHER_GRACE_MS;
    for (;;) {
        int result = look(cli, gathered, &latest, err);
        if (result != 0)
            return result;
        if (job_state_is_over(gathered->head.state))
            break;
        if (clock_mono_ms() > until_ms) {
            silent_say(cli, gathered);
            break;
        }
        line_show(cli, gathered);
        (void)nanosleep(&pause, NULL);
    }
    keep(gathered, &latest);
    return 0;
}

static int begin(struct cli *cli, const Confleet__AskCheck *check, struct gathered *ret,
                 struct err *err)
{
    CLEANUP(answer_free) struct answer first = { 0 };
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    request.what_case = CONFLEET__REQUEST__WHAT_CHECK;
    request.check = (Confleet__AskCheck *)(uintptr_t)check;
    int result = ask(cli, &request, &first, err);
    if (result == 0 && !first.reply->job)
        result = err_set(err, FAIL_PROTOCOL, "the controller answered without a job");
    if (result != 0)
        return result;
    ret->head = *first.reply->job;
    keep(ret, &first);
    return 0;
}

/* Every site that was asked for, open until a look says otherwise. */
static void names_take(struct gathered *gathered, const char *const *names, size_t count)
{
    Confleet__JobSiteView *room = gathered->asked = mem_zero(count + 1, sizeof *room);
    gathered->views = mem_zero(count + 1, sizeof(Confleet__JobSiteView *));
    for (size_t i = 0; i < count; i++) {
        confleet__job_site_view__init(&room[i]);
        room[i].site = (char *)(uintptr_t)names[i];
        gathered->views[gathered->count++] = &room[i];
    }
}

int gather(struct cli *cli, const char *const *names, size_t count, const char *target,
           int64_t timeout_ms, struct gathered *ret, struct err *err)
{
    Confleet__AskCheck check = CONFLEET__ASK_CHECK__INIT;
    struct gathered gathered = { 0 };
    check.sites = (char **)(uintptr_t)names;
    check.n_sites = count;
    check.target_version = (char *)(uintptr_t)target;
    check.timeout_ms = timeout_ms;
    int result = begin(cli, &check, &gathered, err);
    if (result == 0) {
        names_take(&gathered, names, count);
        result = follow(cli, &gathered, timeout_ms, err);
        line_end(cli);
    }
    if (result != 0) {
        gathered_free(&gathered);
        return result;
    }
    gathered.head.sites = gathered.views;
    gathered.head.n_sites = gathered.count;
    *ret = gathered;
    return 0;
}
