#include "confleet/cleanup.h"
#include "controller/cli/planfile.h"
#include <string.h>

struct plan_window *planfile_window(const struct yaml_list *windows, size_t index)
{
    return &((struct plan_window *)windows->items)[index];
}

const struct plan_site_window *planfile_site_window(const struct planfile *file, const char *site)
{
    const struct plan_site_window *items = file->site_windows.items;
    for (size_t i = 0; i < file->site_windows.count; i++) {
        if (items[i].site && strcmp(items[i].site, site) == 0)
            return &items[i];
    }
    return NULL;
}

static bool zone_check(const struct planfile *file, const char *name, struct yaml_at at,
                       struct yaml_report *report)
{
    char meant[ZONE_TEXT_MAX];
    if (zone_exists(name))
        return true;
    if (zone_suggest(name, meant))
        planfile_complain(file, report, at,
                          "tz: no time zone is called \"%s\"; did you mean \"%s\"?", name, meant);
    else
        planfile_complain(
            file, report, at,
            "tz: no time zone is called \"%s\"; write a name of the tz database, such "
            "as Europe/Berlin, or UTC",
            name);
    return false;
}

static void window_check(const struct planfile *file, struct plan_window *window,
                         struct yaml_report *report)
{
    int minute = 0;
    unsigned days = 0;
    const int *items = window->days.items;
    for (size_t i = 0; i < window->days.count; i++) {
        if (days & 1u << items[i])
            planfile_complain(file, report, window->days.at[i],
                              "days: this day is named twice; leave it out once");
        days |= 1u << items[i];
    }
    bool good = window->for_ms > 0;
    if (window->from && !window_clock_parse(window->from, &minute)) {
        planfile_complain(file, report, window->from_at,
                          "from: \"%s\" is no time of day: write hours and minutes, such as "
                          "\"02:00\"",
                          window->from);
        good = false;
    }
    good = window->tz && zone_check(file, window->tz, window->tz_at, report) && good;
    window->rule = (struct window_rule){ .days = days ? days : WINDOW_EVERY_DAY,
                                         .from_minute = minute,
                                         .for_ms = good && window->from ? window->for_ms : 0,
                                         .tz = window->tz };
}

static void windows_check(const struct planfile *file, const struct yaml_list *windows,
                          struct yaml_report *report)
{
    for (size_t i = 0; i < windows->count; i++)
        window_check(file, planfile_window(windows, i), report);
}

static void estimate_check(const struct planfile *file, const struct plan_stage *stage,
                           struct yaml_report *report)
{
    for (size_t i = 0; i < stage->windows.count; i++) {
        const struct plan_window *window = planfile_window(&stage->windows, i);
        char open[24], estimate[24];
        if (window->for_ms == 0 || window->for_ms >= stage->estimate_ms)
            continue;
        planfile_complain(file, report, window->for_at,
                          "for: the window is open for %s, shorter than the estimate of %s for one "
                          "site: nothing would ever start; make it longer, or set estimate",
                          text_duration(window->for_ms, open),
                          text_duration(stage->estimate_ms, estimate));
    }
}

static bool freeze_read(const struct planfile *file, const struct plan_freeze *freeze,
                        const char *text, struct yaml_at at, bool last, int64_t *ret_ms,
                        struct yaml_report *report)
{
    struct err err = { 0 };
    size_t len = strlen(text);
    bool zoned = freeze->tz || (len > 0 && text[len - 1] == 'Z');
    if (window_instant(text, freeze->tz ? freeze->tz : "UTC", last, ret_ms, &err) != 0) {
        planfile_complain(file, report, at, "freeze: %s", err.text);
        return false;
    }
    if (!zoned)
        planfile_complain(file, report, at,
                          "freeze: \"%s\" of which zone? Add tz: Europe/Berlin, or write "
                          "2026-12-24T17:00:00Z",
                          text);
    return zoned;
}

static void freeze_check(const struct planfile *file, struct plan_freeze *freeze,
                         struct yaml_report *report)
{
    int64_t from_ms = 0, to_ms = 0;
    if (freeze->tz && !zone_check(file, freeze->tz, freeze->tz_at, report))
        return;
    bool good = freeze->from &&
                freeze_read(file, freeze, freeze->from, freeze->from_at, false, &from_ms, report);
    good = freeze->to &&
           freeze_read(file, freeze, freeze->to, freeze->to_at, true, &to_ms, report) && good;
    if (good && to_ms <= from_ms)
        planfile_complain(file, report, freeze->to_at, "freeze: it ends before it begins (%s)",
                          freeze->from);
    freeze->from_ms = good ? from_ms : 0;
    freeze->to_ms = good && to_ms > from_ms ? to_ms : 0;
}

static void expires_check(struct planfile *file, struct yaml_report *report)
{
    int64_t value = 0;
    if (!file->expires)
        return;
    if (!yaml_duration(file->expires, &value)) {
        if (window_instant(file->expires, "UTC", true, &file->until_ms, NULL) == 0)
            file->expires_ms = 0;
        else
            planfile_complain(file, report, file->expires_at,
                              "expires: \"%s\" is neither a duration, such as 12h or 7d, nor a "
                              "time, such as 2026-12-24T17:00:00Z",
                              file->expires);
    } else if (value < 60000 || value > PLAN_EXPIRES_MAX_MS) {
        planfile_complain(file, report, file->expires_at,
                          "expires: %s is out of range: between 1m and 90d", file->expires);
    } else {
        file->expires_ms = value;
    }
}

static void site_windows_check(const struct planfile *file, struct yaml_report *report)
{
    const struct plan_site_window *items = file->site_windows.items;
    for (size_t i = 0; i < file->site_windows.count; i++) {
        windows_check(file, &items[i].windows, report);
        if (items[i].site && planfile_site_window(file, items[i].site) != &items[i])
            planfile_complain(file, report, items[i].site_at,
                              "site_windows: site \"%s\" is there already, in line %d; give it a "
                              "list of windows",
                              items[i].site,
                              planfile_site_window(file, items[i].site)->site_at.line);
    }
}

void planfile_times(struct planfile *file, struct yaml_report *report)
{
    struct plan_freeze *freezes = file->freezes.items;
    for (size_t i = 0; i < file->stages.count; i++) {
        windows_check(file, &planfile_stage(file, i)->windows, report);
        estimate_check(file, planfile_stage(file, i), report);
    }
    for (size_t i = 0; i < file->freezes.count; i++)
        freeze_check(file, &freezes[i], report);
    site_windows_check(file, report);
    expires_check(file, report);
}
