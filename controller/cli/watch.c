#include "controller/cli/watch.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/fetch.h"
#include "controller/cli/screen.h"
#include "controller/cli/status.h"
#include <signal.h>
#include <string.h>
#include <time.h>

#define POLL_MS 500
#define GONE_MS (5 * 60 * 1000) /* so long the controller may be away while we watch */

static volatile sig_atomic_t interrupted;
static void on_interrupt(int number)
{
    interrupted = number;
}

struct watching {
    struct status_memory memory;
    size_t lines;      /* on the screen, to be overwritten */
    int width, height; /* of the terminal when they were drawn */
    size_t sites;      /* how many the rollout had when last seen; zero: not seen yet */
    size_t stages;
    bool every;      /* ask for every site: lines of changes need them */
    int64_t gone_ms; /* since when the controller does not answer; zero: it does */
};

/* In place: over the lines drawn before, each cut by the terminal instead of wrapped, since a line
 * that takes two rows would be climbed over too shortly the next time. After a change of size
 * nobody knows where those lines are, so the screen begins anew. */
static void redraw(struct cli *cli, struct watching *watching, const char *text, struct str *to)
{
    const struct out *out = &cli->out;
    size_t most = out->height > 2 ? (size_t)out->height - 1 : 1;
    bool resized = out->width != watching->width || out->height != watching->height;
    str_add(to, "\033[?7l");
    if (watching->lines > 0 && resized)
        str_add(to, "\033[H");
    else if (watching->lines > 0)
        str_addf(to, "\033[%zuA", watching->lines);
    watching->lines = 0;
    for (const char *s = text; *s && watching->lines < most; watching->lines++) {
        size_t len = strcspn(s, "\n");
        str_addf(to, "%.*s\033[K\n", (int)len, s);
        s += len + (s[len] == '\n');
    }
    str_add(to, "\033[J\033[?7h");
    watching->width = out->width;
    watching->height = out->height;
}

static int show_live(struct cli *cli, struct watching *watching,
                     const Confleet__RolloutView *rollout, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 }, screen = { 0 };
    if (!cli->out.terminal) {
        status_changes(&watching->memory, rollout, clock_wall_ms(), &text);
        return out_write(&cli->out, &text, err);
    }
    screen_add(rollout, &cli->out, false, clock_wall_ms(), &text);
    redraw(cli, watching, str_text(&text), &screen);
    return out_write(&cli->out, &screen, err);
}

/* A screen that a large rollout does not fit on shows only sites at work or in need of a person,
 * and only they are asked for: a look at 1,000 sites stays short. */
static int look(struct cli *cli, const char *id, struct watching *watching, struct fetched *ret,
                struct err *err)
{
    CLEANUP(fetched_free) struct fetched seen = { 0 };
    if (cli->out.terminal)
        out_open(&cli->out, cli->out.fd); /* the window may have changed its size */
    bool every = watching->every ||
                 (watching->sites > 0 && screen_fits(watching->sites, watching->stages, &cli->out));
    int result = rollout_fetch(cli, id, every ? FETCH_BRIEF : FETCH_ATTENTION, &seen, err);
    if (result != 0)
        return result;
    watching->sites = seen.view->site_count > 0 ? seen.view->site_count : seen.view->n_sites;
    watching->stages = seen.view->n_stages;
    if (seen.view->n_sites < watching->sites &&
        screen_fits(watching->sites, watching->stages, &cli->out)) {
        fetched_free(&seen);
        result = rollout_fetch(cli, id, FETCH_BRIEF, &seen, err);
    }
    if (result == 0) {
        *ret = seen;
        seen = (struct fetched){ 0 };
    }
    return result;
}

static void note(struct cli *cli, const char *format, const char *value)
{
    CLEANUP(str_free) struct str text = { 0 }, clean = { 0 };
    out_clean(&clean, value);
    str_addf(&text, "%s%s\n", format, str_text(&clean));
    out_show(&cli->note, &text);
}

/* A controller that is restarted does not end the watch: what happens at the servers goes on
 * anyway. */
static bool may_wait(struct cli *cli, struct watching *watching, int result, struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    if (result != -FAIL_UNREACHABLE || !cli->client)
        return false;
    if (watching->gone_ms == 0) {
        note(cli, "waiting for the controller: ", err->text);
        watching->gone_ms = now_ms;
        watching->lines = 0;
    }
    if (now_ms - watching->gone_ms > GONE_MS)
        return false;
    err_clear(err);
    return true;
}

static int finish(struct cli *cli, const char *id, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(fetched_free) struct fetched end = { 0 };
    bool json = cli_flag(cli, "json");
    int result = rollout_fetch(cli, id, json ? FETCH_FULL : FETCH_BRIEF, &end, err);
    if (result != 0)
        return result;
    const Confleet__RolloutView *rollout = end.view;
    if (cli_flag(cli, "json")) {
        json_one(&text, "rollout", &rollout->base);
    } else {
        status_recap(rollout, &cli->out, &text);
        str_addf(&text, "confleet report %s tells all of it\n", rollout->id);
    }
    result = out_write(&cli->out, &text, err);
    return result == 0 ? (int)status_exit(rollout) : result;
}

static void pause_between(void)
{
    const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
    (void)nanosleep(&pause, NULL); /* a signal ends it early, which is what it is for */
}

static int once(struct cli *cli, const char *id, struct err *err)
{
    CLEANUP(fetched_free) struct fetched now = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct watching watching = { .every = cli_flag(cli, "all") };
    if (cli_flag(cli, "json"))
        return finish(cli, id, err);
    int result = look(cli, id, &watching, &now, err);
    if (result != 0)
        return result;
    screen_add(now.view, &cli->out, cli_flag(cli, "all"), clock_wall_ms(), &text);
    result = out_write(&cli->out, &text, err);
    if (result != 0)
        return result;
    return status_is_over(now.view) ? finish(cli, now.view->id, err) : (int)status_exit(now.view);
}

static int loop(struct cli *cli, const char *id, int64_t timeout_ms, struct watching *watching,
                struct err *err)
{
    int64_t start_ms = clock_mono_ms();
    bool quiet = cli_flag(cli, "json");
    for (;;) {
        CLEANUP(fetched_free) struct fetched now = { 0 };
        int result = look(cli, id, watching, &now, err);
        if (result != 0 && !may_wait(cli, watching, result, err))
            return result;
        if (result == 0) {
            watching->gone_ms = 0;
            result = quiet ? 0 : show_live(cli, watching, now.view, err);
            if (result != 0)
                return result;
            if (status_is_over(now.view))
                return finish(cli, id, err);
        }
        if (interrupted) {
            note(cli, "\nthe rollout goes on; look again with: confleet rollout status ", id);
            return 128 + interrupted;
        }
        if (timeout_ms > 0 && clock_mono_ms() - start_ms > timeout_ms)
            return err_set(err, FAIL_TIMEOUT,
                           "the rollout is not through yet; it goes on: confleet rollout status %s",
                           id);
        pause_between();
    }
}

int watch(struct cli *cli, const char *id, struct err *err)
{
    CLEANUP(status_memory_free) struct status_memory memory = { 0 };
    struct watching watching = { .every = !cli->out.terminal && !cli_flag(cli, "json") };
    const char *live = cli_value(cli, "watch");
    struct sigaction action = { .sa_handler = on_interrupt };
    int64_t timeout_ms = 0;
    int result = cli_duration(cli, "timeout", &timeout_ms, err);
    if (result != 0)
        return result;
    if (cli_flag(cli, "all") || (live && strcmp(live, "false") == 0))
        return once(cli, id, err);
    if (live && strcmp(live, "true") != 0)
        return err_set(err, FAIL_USAGE, "--watch '%s': write true or false", live);
    CLEANUP(fetched_free) struct fetched newest = { 0 };
    CLEANUP(free_mem) char *pinned = NULL;
    if (!*id && (result = rollout_fetch(cli, id, FETCH_ATTENTION, &newest, err)) != 0)
        return result;
    /* "The newest" must stay the same one when another rollout begins. */
    pinned = text_dup(*id ? id : newest.view->id);
    (void)sigaction(SIGINT, &action, NULL);
    result = loop(cli, pinned, timeout_ms, &watching, err);
    memory = watching.memory;
    return result;
}
