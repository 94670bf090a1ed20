#include "controller/cli/zone.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include "confleet/yaml.h"
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FOLDER    "/usr/share/zoneinfo"
#define NAME_LEN  40
#define HOUR_S    3600
#define REACH_S   (27 * HOUR_S) /* no zone was ever further from UTC, skipped days included */
#define WORDS_MAX 256

/* Files of the folder that are no place: this computer's own zone, and zones that count leap
 * seconds, in which every instant would be half a minute off. */
static const char *const no_places[] = { "localtime", "posixrules", "Factory", NULL };

static bool name_is_plain(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAME_LEN || name[0] == '/' || name[len - 1] == '/' ||
        strstr(name, "//") || strncmp(name, "right/", 6) == 0 || strncmp(name, "posix/", 6) == 0)
        return false;
    for (size_t i = 0; no_places[i]; i++) {
        if (strcmp(name, no_places[i]) == 0)
            return false;
    }
    /* No dot: neither ".." nor the tables that stand beside the zones. */
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") ==
           len;
}

bool zone_exists(const char *name)
{
    char magic[4] = "";
    if (!name_is_plain(name))
        return false;
    CLEANUP(free_mem) char *path = text_printf(FOLDER "/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, magic, sizeof magic);
    (void)close(fd); /* only read from */
    return got == (ssize_t)sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
}

const char *zone_suggest(const char *name, char out[ZONE_TEXT_MAX])
{
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    int region = slash ? (int)(slash - name) : 0;
    char *words[WORDS_MAX + 1] = { NULL };
    size_t count = 0;
    if (region > NAME_LEN || memchr(name, '.', strlen(name)))
        return NULL;
    CLEANUP(free_mem) char *path = text_printf(FOLDER "/%.*s", region, name);
    DIR *dir = opendir(path);
    if (!dir)
        return NULL;
    for (struct dirent *entry; count < WORDS_MAX && (entry = readdir(dir));)
        words[count++] = text_dup(entry->d_name);
    (void)closedir(dir); /* only read from */
    const char *meant = yaml_suggest(last, (const char *const *)words);
    int len =
        meant ? snprintf(out, ZONE_TEXT_MAX, "%.*s%s%s", region, name, slash ? "/" : "", meant) : 0;
    for (size_t i = 0; i < count; i++)
        free(words[i]);
    return len > 0 && len < ZONE_TEXT_MAX && zone_exists(out) ? out : NULL;
}

/* ------------------------------------------------------------------ the process in another zone */

static int zone_enter(const char *name, char **ret_before, struct err *err)
{
    if (!zone_exists(name))
        return err_set(err, FAIL_NOT_FOUND, "no time zone \"%s\" below " FOLDER, name);
    /* By path, so that TZDIR of the environment has no say. */
    CLEANUP(free_mem) char *value = text_printf(":" FOLDER "/%s", name);
    const char *before = getenv("TZ");
    *ret_before = text_dup(before);
    int result = setenv("TZ", value, 1);
    assert(result == 0);
    tzset();
    return 0;
}

static void zone_leave(char **before)
{
    int result = *before ? setenv("TZ", *before, 1) : unsetenv("TZ");
    assert(result == 0);
    tzset();
    free_mem(before);
}

static int64_t offset_at(int64_t at_s)
{
    struct tm tm = { 0 };
    time_t at = (time_t)at_s;
    struct tm *got = localtime_r(&at, &tm);
    assert(got);
    return tm.tm_gmtoff;
}

/* The first second of (low, high] whose offset is not that of low. */
static int64_t change_find(int64_t low, int64_t high)
{
    int64_t offset = offset_at(low);
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (offset_at(middle) == offset)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* Walks the stretches of one offset in order. The first stretch that reaches the reading has it,
 * or begins after it because the reading was skipped. */
static int64_t instant_find(int64_t wall_s)
{
    int64_t begin = wall_s - REACH_S, offset = offset_at(begin);
    for (int64_t at = begin; at < wall_s + REACH_S; at += HOUR_S) {
        int64_t next = offset_at(at + HOUR_S);
        if (next == offset)
            continue;
        int64_t change = change_find(at, at + HOUR_S);
        if (wall_s - offset < change)
            break;
        begin = change;
        offset = next;
    }
    return wall_s - offset < begin ? begin : wall_s - offset;
}

static int64_t instant_last(int64_t wall_s)
{
    int64_t last = instant_find(wall_s);
    for (int64_t at = last; at < wall_s + REACH_S; at += HOUR_S / 2) {
        int64_t again = wall_s - offset_at(at);
        if (again > last && offset_at(again) == offset_at(at))
            last = again;
    }
    return last;
}

int zone_instants(const char *name, const int64_t *wall_s, size_t count, int64_t *ret_ms,
                  struct err *err)
{
    char *before = NULL;
    int result = zone_enter(name, &before, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < count; i++)
        ret_ms[i] = instant_find(wall_s[i]) * 1000;
    zone_leave(&before);
    return 0;
}

int zone_instant(const char *name, int64_t wall_s, int64_t *ret_ms, struct err *err)
{
    return zone_instants(name, &wall_s, 1, ret_ms, err);
}

int zone_instant_last(const char *name, int64_t wall_s, int64_t *ret_ms, struct err *err)
{
    char *before = NULL;
    int result = zone_enter(name, &before, err);
    if (result != 0)
        return result;
    *ret_ms = instant_last(wall_s) * 1000;
    zone_leave(&before);
    return 0;
}

int zone_local(const char *name, int64_t at_ms, int64_t *ret_wall_s, struct err *err)
{
    char *before = NULL;
    int result = zone_enter(name, &before, err);
    if (result != 0)
        return result;
    int64_t at_s = at_ms / 1000 - (at_ms % 1000 < 0);
    *ret_wall_s = at_s + offset_at(at_s);
    zone_leave(&before);
    return 0;
}

const char *zone_text(const char *name, int64_t at_ms, char out[ZONE_TEXT_MAX])
{
    char *before = NULL;
    struct tm tm = { 0 };
    time_t at = (time_t)(at_ms / 1000);
    (void)snprintf(out, ZONE_TEXT_MAX, "-");
    if (zone_enter(name, &before, NULL) != 0)
        return out;
    if (!localtime_r(&at, &tm) || strftime(out, ZONE_TEXT_MAX, "%a %Y-%m-%d %H:%M %Z", &tm) == 0)
        (void)snprintf(out, ZONE_TEXT_MAX, "-");
    zone_leave(&before);
    return out;
}

/* ------------------------------------------------------------------ dates */

static int month_days(int64_t year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (leap && month == 2);
}

bool date_days(int64_t year, int month, int day, int64_t *ret_days)
{
    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 ||
        day > month_days(year, month))
        return false;
    /* Years begin in March here, so that the leap day is the last one. */
    int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    *ret_days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
    return true;
}

int date_weekday(int64_t days)
{
    return (int)(((days + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}
