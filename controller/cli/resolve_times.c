#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/resolve_inside.h"
#include <string.h>

/* Freezes and openings of one plan while it is judged. */
struct judging {
    const struct resolve_in *in;
    Confleet__Plan *plan;
    struct yaml_report *report;
    struct spans freezes;
};

static const char *const day_words[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static void rule_text(const struct plan_window *window, struct str *to)
{
    char open[24];
    bool some = false;
    if (to->len > 0)
        str_add(to, "; ");
    for (int day = 0; day < 7 && window->rule.days != WINDOW_EVERY_DAY; day++) {
        if (window->rule.days & 1u << day) {
            str_addf(to, "%s%s", some ? "," : "", day_words[day]);
            some = true;
        }
    }
    str_addf(to, "%s %s for %s %s", some ? "" : "daily", window->from,
             text_duration(window->for_ms, open), window->tz);
}

/* False when the openings could not be told, which was complained about then or before. */
static bool openings_find(const struct judging *j, const struct yaml_list *windows,
                          struct spans *ret)
{
    for (size_t i = 0; i < windows->count; i++) {
        const struct plan_window *window = planfile_window(windows, i);
        struct err err = { 0 };
        if (window->rule.for_ms == 0)
            return false;
        if (window_expand(&window->rule, j->in->now_ms, j->plan->expires_ms, ret, &err) != 0) {
            resolve_complain(j->in, j->report, window->from_at, "window: %s", err.text);
            return false;
        }
    }
    spans_merge(ret);
    return true;
}

static Confleet__PlanWindow **windows_make(const struct spans *spans)
{
    Confleet__PlanWindow **list = mem_zero(spans->count + 1, sizeof(void *));
    for (size_t i = 0; i < spans->count; i++) {
        list[i] = mem_zero(1, sizeof *list[i]);
        confleet__plan_window__init(list[i]);
        list[i]->from_ms = spans->list[i].from_ms;
        list[i]->to_ms = spans->list[i].to_ms;
    }
    return list;
}

static void freezes_make(struct judging *j)
{
    const struct plan_freeze *items = j->in->file->freezes.items;
    size_t count = j->in->file->freezes.count;
    j->plan->freezes = mem_zero(count + 1, sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        Confleet__PlanFreeze *freeze = mem_zero(1, sizeof *freeze);
        confleet__plan_freeze__init(freeze);
        freeze->from_ms = items[i].from_ms;
        freeze->to_ms = items[i].to_ms;
        freeze->reason = own(items[i].reason);
        j->plan->freezes[j->plan->n_freezes++] = freeze;
        spans_add(&j->freezes, items[i].from_ms, items[i].to_ms);
    }
    spans_merge(&j->freezes);
}

/* ------------------------------------------------------------------ can it begin? */

/* What one site's start is judged by. */
struct opening {
    const struct spans *windows;        /* NULL: any time */
    struct yaml_at window_at;           /* to complain at */
    const struct plan_site_window *own; /* of the site, or NULL */
    int64_t estimate_ms;
};

static void never_opens(const struct judging *j, const struct plan_stage *stage,
                        const struct opening *opening)
{
    char until[CLOCK_TEXT_MAX], estimate[24];
    (void)clock_text(j->plan->expires_ms, until);
    (void)text_duration(opening->estimate_ms, estimate);
    if (opening->own)
        resolve_complain(j->in, j->report, opening->window_at,
                         "window: site \"%s\" is never open for %s within the window of stage "
                         "\"%s\" before the plan expires at %s; change one of them, or set expires",
                         opening->own->site, estimate, stage->name, until);
    else
        resolve_complain(j->in, j->report, opening->window_at,
                         "window: no opening of %s is left before the plan expires at %s; choose "
                         "other days, or set expires to a later time",
                         estimate, until);
}

/* The stage it waits for and when that one is through at the earliest. */
struct waiting {
    const struct plan_stage *stage; /* NULL: none */
    int64_t until_ms;
};

static void never_begins(const struct judging *j, const struct plan_stage *stage,
                         const struct waiting *waiting)
{
    char until[CLOCK_TEXT_MAX], through[CLOCK_TEXT_MAX], soak[24];
    resolve_complain(
        j->in, j->report, at_or(waiting->stage->soak_at, waiting->stage->name_at),
        "soak: stage \"%s\" can never begin: stage \"%s\" soaks %s%s and is through "
        "on %s at the earliest, after the last start before the plan expires at %s; "
        "shorten the soak, or set expires to a later time",
        stage->name, waiting->stage->name, text_duration(waiting->stage->soak_ms, soak),
        waiting->stage->soak_at.line > 0 ? "" : " (the default)",
        clock_text(waiting->until_ms, through), clock_text(j->plan->expires_ms, until));
}

/* The first moment a site can start, or -1 after a complaint. */
static int64_t start_find(const struct judging *j, const struct plan_stage *stage,
                          const struct opening *opening, const struct waiting *waiting)
{
    static const struct spans none = { 0 };
    int64_t now_ms = j->in->now_ms, until_ms = j->plan->expires_ms;
    int64_t start = window_first_start(opening->windows, &j->freezes, opening->estimate_ms,
                                       waiting->until_ms, until_ms);
    if (start >= 0)
        return start;
    if (window_first_start(opening->windows, &none, opening->estimate_ms, now_ms, until_ms) < 0)
        never_opens(j, stage, opening);
    else if (window_first_start(opening->windows, &j->freezes, opening->estimate_ms, now_ms,
                                until_ms) < 0)
        resolve_complain(j->in, j->report, j->in->file->freeze_at,
                         "freeze: it covers every start of stage \"%s\" before the plan expires; "
                         "shorten it, or set expires to a later time",
                         stage->name);
    else
        never_begins(j, stage, waiting);
    return -1;
}

/* Gives the site its own openings and answers its first start. */
static int64_t site_judge(const struct judging *j, const struct plan_stage *stage,
                          Confleet__PlanSite *site, struct opening opening,
                          const struct waiting *waiting)
{
    CLEANUP(spans_free) struct spans open = { 0 }, both = { 0 };
    opening.own = planfile_site_window(j->in->file, site->name);
    site->estimate_ms = stage->estimate_ms;
    if (!opening.own || !openings_find(j, &opening.own->windows, &open))
        return -1;
    site->windows = windows_make(&open);
    site->n_windows = open.count;
    if (opening.windows)
        spans_both(opening.windows, &open, &both);
    opening.window_at = opening.own->windows_at;
    opening.windows = opening.windows ? &both : &open;
    return start_find(j, stage, &opening, waiting);
}

/* A window that is shorter than the estimate was complained about when the file was read. */
static bool windows_are_too_short(const struct plan_stage *stage)
{
    for (size_t i = 0; i < stage->windows.count; i++) {
        if (planfile_window(&stage->windows, i)->for_ms >= stage->estimate_ms)
            return false;
    }
    return stage->windows.count > 0;
}

/* When the stage is through at the earliest; when nobody can tell, when the one before it is. */
static int64_t stage_judge(const struct judging *j, size_t at, const struct waiting *waiting)
{
    const struct plan_stage *stage = planfile_stage(j->in->file, at);
    Confleet__PlanStage *to = j->plan->stages[at];
    CLEANUP(spans_free) struct spans open = { 0 };
    CLEANUP(str_free) struct str rule = { 0 };
    struct opening opening = { .windows = stage->windows.count > 0 ? &open : NULL,
                               .window_at = stage->window_at,
                               .estimate_ms = stage->estimate_ms };
    int64_t latest = waiting->until_ms;
    if (!openings_find(j, &stage->windows, &open))
        return latest;
    for (size_t i = 0; i < stage->windows.count; i++)
        rule_text(planfile_window(&stage->windows, i), &rule);
    to->windows = windows_make(&open);
    to->n_windows = open.count;
    if (rule.len > 0)
        to->window_rule = own(str_text(&rule));
    if (to->n_sites == 0 || windows_are_too_short(stage))
        return latest;
    int64_t start = start_find(j, stage, &opening, waiting);
    latest = start > latest ? start : latest;
    for (size_t i = 0; i < to->n_sites; i++) {
        int64_t own_start = start < 0 ? -1 : site_judge(j, stage, to->sites[i], opening, waiting);
        latest = own_start > latest ? own_start : latest;
    }
    return start < 0 ? latest : latest + stage->soak_ms;
}

static bool expiry_judge(const struct resolve_in *in, Confleet__Plan *plan,
                         struct yaml_report *report)
{
    const struct planfile *file = in->file;
    char now[CLOCK_TEXT_MAX];
    plan->expires_ms = file->expires_ms > 0 ? in->now_ms + file->expires_ms : file->until_ms;
    if (plan->expires_ms <= in->now_ms)
        resolve_complain(in, report, file->expires_at,
                         "expires: \"%s\" is in the past: it is %s; write a later time, or a "
                         "duration such as 7d",
                         file->expires, clock_text(in->now_ms, now));
    else if (plan->expires_ms - in->now_ms > PLAN_EXPIRES_MAX_MS)
        resolve_complain(in, report, file->expires_at,
                         "expires: \"%s\" is more than 90d away; agents keep no plan for so long",
                         file->expires);
    else
        return true;
    return false;
}

static bool soak_judge(const struct judging *j, const struct plan_stage *stage)
{
    char soak[24], good[24];
    if (stage->soak_ms < j->plan->expires_ms - j->in->now_ms)
        return true;
    resolve_complain(j->in, j->report, at_or(stage->soak_at, stage->name_at),
                     "soak: %s%s is not over before the plan expires, in %s; shorten it, or set "
                     "expires to a later time",
                     text_duration(stage->soak_ms, soak),
                     stage->soak_at.line > 0 ? "" : " (the default)",
                     text_duration(j->plan->expires_ms - j->in->now_ms, good));
    return false;
}

void resolve_times(const struct resolve_in *in, Confleet__Plan *plan, struct yaml_report *report)
{
    struct judging j = { .in = in, .plan = plan, .report = report };
    int64_t through[PLAN_STAGES_MAX] = { 0 };
    freezes_make(&j);
    plan->silence_ms = in->file->silence_ms;
    for (size_t i = 0; i < plan->n_stages; i++) {
        for (size_t s = 0; s < plan->stages[i]->n_sites; s++)
            plan->stages[i]->sites[s]->estimate_ms = planfile_stage(in->file, i)->estimate_ms;
    }
    bool known = expiry_judge(in, plan, report);
    for (size_t i = 0; known && i < plan->n_stages; i++) {
        size_t before = stage_before(in->file, i);
        struct waiting waiting = { .until_ms = before == i ? in->now_ms : through[before],
                                   .stage = before == i ? NULL : planfile_stage(in->file, before) };
        bool ends = soak_judge(&j, planfile_stage(in->file, i));
        through[i] = stage_judge(&j, i, &waiting);
        if (!ends || through[i] < in->now_ms)
            through[i] = waiting.until_ms;
    }
    spans_free(&j.freezes);
}
