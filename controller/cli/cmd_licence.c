/* One licence text judged anywhere: without a controller, and without showing the text. */
#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/json.h"
#include "confleet/licence.h"
#include "controller/cli/commands.h"
#include <string.h>

struct shown {
    struct licence licence;
    struct licence_answer answers[LICENCE_ASPECT_COUNT];
    Confleet__Severity worst;
};

static int worse(Confleet__Severity severity)
{
    static const int ranks[] = { 0, 0, 1, 3, 4, 2 }; /* none, ok, info, warn, block, unknown */
    return (unsigned)severity < sizeof ranks / sizeof *ranks ? ranks[severity] : 2;
}

/* How many users there are cannot be known here: that it is for so many is told, not judged. */
static bool is_asked(const struct shown *shown, enum licence_aspect aspect)
{
    return aspect != LICENCE_ASPECT_USERS ||
           shown->answers[aspect].severity != CONFLEET__SEVERITY__UNKNOWN;
}

static int read_text(const char *path, struct str *ret, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return fs_read_fd(STDIN_FILENO, "standard input", LICENCE_TEXT_MAX, ret, err);
    return fs_read(path, LICENCE_TEXT_MAX, ret, err);
}

static int target_find(const char *version, struct catalogue_release *ret, struct err *err)
{
    CLEANUP(free_mem) char *path = catalogue_shipped();
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    struct version parsed;
    if (!version_parse(version, &parsed))
        return err_set(err, FAIL_USAGE, "--to '%s' is no version, such as 9.2.13", version);
    int result = catalogue_load(path, &catalogue, err);
    if (result != 0)
        return err_wrap(err, "the catalogue of releases");
    const struct catalogue_release *found = catalogue_find(catalogue, version);
    if (found)
        *ret = *found;
    return 0;
}

static int judge(struct cli *cli, struct shown *shown, struct err *err)
{
    const char *to = cli_value(cli, "to");
    struct catalogue_release target = { 0 };
    int result = to ? target_find(to, &target, err) : 0;
    if (result != 0)
        return result;
    const struct licence_question question = {
        .target = to ? to : "",
        .target_date = target.date,
        .target_data_center = strcmp(target.data_center_only, "yes") == 0,
        .today = licence_day_of(clock_wall_ms()),
    };
    for (int aspect = 0; aspect < LICENCE_ASPECT_COUNT; aspect++) {
        struct licence_answer *answer = &shown->answers[aspect];
        licence_judge(&shown->licence, &question, (enum licence_aspect)aspect, answer);
        if (is_asked(shown, (enum licence_aspect)aspect) &&
            worse(answer->severity) > worse(shown->worst))
            shown->worst = answer->severity;
    }
    return 0;
}

static void show_text(const struct cli *cli, const struct shown *shown, struct str *text)
{
    char line[512], day[48];
    const struct licence *licence = &shown->licence;
    licence_describe(licence, line, sizeof line);
    if (licence->form == LICENCE_VERSION_2)
        str_addf(text, "%s\n", line);
    if (licence->created.when != LICENCE_ABSENT)
        str_addf(text, "  created %s", licence_end_text(&licence->created, day));
    if (licence->purchased.when != LICENCE_ABSENT)
        str_addf(text, ", bought %s", licence_end_text(&licence->purchased, day));
    if (licence->nodes.when == LICENCE_DAY)
        str_addf(text, ", %llu nodes", (unsigned long long)licence->nodes.value);
    str_add(text, licence->created.when != LICENCE_ABSENT ? "\n" : "");
    for (int aspect = 0; aspect < LICENCE_ASPECT_COUNT; aspect++) {
        const struct licence_answer *answer = &shown->answers[aspect];
        /* What the first line has said, and what nothing can be said of, is not said again. */
        bool read = licence->form == LICENCE_VERSION_2;
        if (!is_asked(shown, (enum licence_aspect)aspect) ||
            read == (aspect == LICENCE_ASPECT_READABLE))
            continue;
        const char *word = severity_word(answer->severity);
        size_t width = strlen(word);
        str_add(text, "  ");
        out_tone(text, &cli->out, severity_tone(answer->severity), word);
        str_addf(text, "%*s  %s: %s\n", width < 7 ? (int)(7 - width) : 0, "",
                 licence_aspects[aspect].title, answer->text);
        if (worse(answer->severity) >= worse(CONFLEET__SEVERITY__WARN))
            str_addf(text, "           %s\n", licence_aspects[aspect].remedy);
    }
}

static void json_end(struct str *text, const char *name, const struct licence_end *end)
{
    char out[48];
    str_addf(text, ",\"%s\":", name);
    json_text(text, licence_end_text(end, out));
}

static void show_json(const struct shown *shown, struct str *text)
{
    static const char *const forms[] = { "none", "unreadable", "version-1", "version-2" };
    const struct licence *licence = &shown->licence;
    str_addf(text, "{\"schema\":%d,\"licence\":{\"form\":\"%s\"", OUT_SCHEMA, forms[licence->form]);
    if (licence->form == LICENCE_VERSION_2) {
        str_addf(text,
                 ",\"verified\":%s,\"host\":%s,\"dataCenter\":%s,\"evaluation\":%s,"
                 "\"subscription\":%s,\"type\":",
                 licence->signature == LICENCE_VERIFIED ? "true" : "false",
                 licence->host ? "true" : "false", licence->data_center ? "true" : "false",
                 licence->evaluation ? "true" : "false", licence->subscription ? "true" : "false");
        json_text(text, licence->type);
        if (licence->users.when == LICENCE_DAY)
            str_addf(text, ",\"users\":%llu", (unsigned long long)licence->users.value);
        json_end(text, "maintenance", &licence->maintenance);
        json_end(text, "expiry", &licence->expiry);
    }
    str_add(text, "},\"answers\":[");
    for (int aspect = 0; aspect < LICENCE_ASPECT_COUNT; aspect++) {
        const struct licence_answer *answer = &shown->answers[aspect];
        str_addf(text, "%s{\"id\":\"%s\",\"severity\":\"%s\",\"title\":", aspect ? "," : "",
                 licence_aspects[aspect].check, severity_word(answer->severity));
        json_text(text, licence_aspects[aspect].title);
        str_add(text, ",\"evidence\":");
        json_text(text, answer->text);
        str_add(text, "}");
    }
    str_add(text, "]}\n");
}

int cmd_licence_show(struct cli *cli, struct err *err)
{
    CLEANUP(str_wipe) struct str licence = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct shown shown = { .worst = CONFLEET__SEVERITY__OK };
    int result = read_text(cli->args[0], &licence, err);
    if (result != 0)
        return result;
    licence_decode(str_text(&licence), licence.len, &licence_keys_vendor, &shown.licence);
    result = judge(cli, &shown, err);
    if (result != 0)
        return result;
    if (cli_flag(cli, "json"))
        show_json(&shown, &text);
    else
        show_text(cli, &shown, &text);
    result = out_write(&cli->out, &text, err);
    if (result != 0)
        return result;
    return shown.worst == CONFLEET__SEVERITY__BLOCK               ? EXIT_BLOCKED
           : worse(shown.worst) > worse(CONFLEET__SEVERITY__INFO) ? EXIT_PENDING
                                                                  : EXIT_DONE;
}
