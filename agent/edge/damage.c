#include "agent/edge/damage.h"
#include "agent/core/memo.h"
#include "agent/edge/uplink.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/json.h"
#include "confleet/log.h"
#include "confleet/notify.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define NOTE       "open-run" /* site, installation's id, installation's folder: a line each */
#define MARK       "journal-damaged" /* what the agent found; there until it can read its journal */
#define NOTE_MAX   16384
#define RUNS_SHOWN 64
#define AGAIN_MS   10000

struct noted {
    char *run, *site, *installation, *install, *ways;
};
struct notes {
    struct noted list[RUNS_SHOWN];
    size_t count;
};

static void notes_free(struct notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        char *owned[] = { notes->list[i].run, notes->list[i].site, notes->list[i].installation,
                          notes->list[i].install, notes->list[i].ways };
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
            free(owned[k]);
    }
}

int damage_note(const char *run_dir, const struct journal_run *run, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(run_dir, NOTE);
    CLEANUP(free_mem)
    char *text = text_printf("%s\n%s\n%s\n", run->site, run->installation, run->install);
    return fs_exists(path) ? 0 : fs_write(path, text, strlen(text), 0600, err);
}

static char *word_of_file(const char *dir, const char *name)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    CLEANUP(str_free) struct str text = { 0 };
    if (fs_read(path, NOTE_MAX, &text, NULL) != 0)
        return text_dup("");
    return text_printf("%.*s", (int)strcspn(str_text(&text), "\n"), str_text(&text));
}

void damage_ways(const struct config *config, const char *run, const char *installation,
                 const char *install, const char *site, struct str *out)
{
    static const char *const names[] = { MEMO_STOP_BACKUP, MEMO_HOT_BACKUP };
    CLEANUP(free_mem) char *dir = config_run_dir(config, run);
    const char *slash = strrchr(install, '/');
    int parent = slash ? (int)(slash - install) : 0;
    bool listed = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CLEANUP(free_mem) char *id = word_of_file(dir, names[i]);
        CLEANUP(free_mem)
        char *manifest = text_printf("%s/%s/%s/manifest", config->backup_dir, installation, id);
        if (!id[0] || strchr(id, '/') || !fs_exists(manifest))
            continue;
        if (!listed)
            str_addf(out, "confleet-agent backups %s\n", install);
        listed = true;
        str_addf(out, "confleet-agent restore %s %s --into %.*s/restored-%s\n", install, id, parent,
                 install, site);
    }
}

static void note_read(const struct config *config, const char *run, struct notes *notes)
{
    CLEANUP(free_mem) char *dir = config_run_dir(config, run);
    CLEANUP(free_mem) char *path = fs_join(dir, NOTE);
    CLEANUP(str_free) struct str text = { 0 }, ways = { 0 };
    if (notes->count == RUNS_SHOWN || fs_read(path, NOTE_MAX, &text, NULL) != 0)
        return;
    const char *site = str_text(&text), *installation = strchr(site, '\n');
    const char *install = installation ? strchr(installation + 1, '\n') : NULL;
    size_t len = install ? strlen(install + 1) : 0;
    if (len < 2 || install[len] != '\n' || install[1] != '/')
        return;
    struct noted *one = &notes->list[notes->count++];
    *one = (struct noted){
        .run = text_dup(run),
        .site = text_printf("%.*s", (int)(installation - site), site),
        .installation = text_printf("%.*s", (int)(install - installation - 1), installation + 1),
        .install = text_printf("%.*s", (int)len - 1, install + 1),
    };
    str_add(&ways, "confleet-agent status\n");
    damage_ways(config, run, one->installation, one->install, one->site, &ways);
    one->ways = text_dup(str_text(&ways));
}

static void runs_each(const struct config *config, void (*each)(void *arg, const char *run),
                      void *arg)
{
    CLEANUP(free_mem) char *top = config_state(config, "runs");
    DIR *runs = opendir(top);
    for (struct dirent *entry; runs && (entry = readdir(runs)) != NULL;)
        if (entry->d_name[0] != '.')
            each(arg, entry->d_name);
    if (runs)
        (void)closedir(runs);
}

struct reading {
    const struct config *config;
    struct notes *notes;
};

static void read_one(void *arg, const char *run)
{
    const struct reading *reading = arg;
    note_read(reading->config, run, reading->notes);
}

struct keeping {
    const struct config *config;
    bool (*is_open)(const void *arg, const char *run);
    const void *arg;
};

static void keep_one(void *arg, const char *run)
{
    const struct keeping *keeping = arg;
    struct err err = { 0 };
    CLEANUP(free_mem) char *dir = config_run_dir(keeping->config, run);
    CLEANUP(free_mem) char *path = fs_join(dir, NOTE);
    if (!keeping->is_open(keeping->arg, run) && fs_exists(path) && fs_unlink(path, &err) != 0)
        log_warn("run.note", "message=\"%s\"; ignoring", err.text);
}

void damage_keep(const struct config *config, bool (*is_open)(const void *arg, const char *run),
                 const void *arg)
{
    struct keeping keeping = { config, is_open, arg };
    runs_each(config, keep_one, &keeping);
}

static void lines_add(struct str *out, const char *before, const char *lines)
{
    for (const char *line = lines; *line; line += strcspn(line, "\n") + 1)
        str_addf(out, "%s%.*s\n", before, (int)strcspn(line, "\n"), line);
}

static void status_json(const struct notes *notes, const struct err *why, struct str *out)
{
    str_add(out, "{\"damaged\":");
    json_text(out, why->text);
    str_add(out, ",\"runs\":[");
    for (size_t i = 0; i < notes->count; i++) {
        const struct noted *one = &notes->list[i];
        const char *const pairs[][2] = { { "id", one->run },
                                         { "site", one->site },
                                         { "installation", one->installation },
                                         { "install", one->install },
                                         { "state", "held" } };
        for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
            str_addf(out, "%s\"%s\":", k ? "," : i ? ",{" : "{", pairs[k][0]);
            json_text(out, pairs[k][1]);
        }
        str_add(out, ",\"safeNext\":[");
        for (const char *line = one->ways; *line; line += strcspn(line, "\n") + 1) {
            CLEANUP(free_mem) char *text = text_printf("%.*s", (int)strcspn(line, "\n"), line);
            str_add(out, line == one->ways ? "" : ",");
            json_text(out, text);
        }
        str_add(out, "]}");
    }
    str_add(out, "]}\n");
}

void damage_status(const struct config *config, const struct err *why, bool json,
                   struct status *ret)
{
    CLEANUP(notes_free) struct notes notes = { .count = 0 };
    struct status status = { { 0 }, 0, 0, 0 };
    runs_each(config, read_one, &(struct reading){ config, &notes });
    status.runs = notes.count;
    status.held = notes.count > 0 ? notes.count : 1;
    if (json) {
        status_json(&notes, why, &status.text);
        *ret = status;
        return;
    }
    str_addf(&status.text,
             "%s\nThe agent begins nothing and goes on with nothing; nothing was deleted. Keep a "
             "copy of %s before anything else.\n",
             why->text, config->state_dir);
    for (size_t i = 0; i < notes.count; i++) {
        str_addf(&status.text, "\n%s  site %s  %s\n", notes.list[i].run, notes.list[i].site,
                 notes.list[i].install);
        str_add(&status.text, "  This run was open: its site waits for a person, and may be down. "
                              "Safe next commands:\n");
        lines_add(&status.text, "    ", notes.list[i].ways);
    }
    if (notes.count == 0)
        str_add(&status.text, "No run was open.\n");
    *ret = status;
}

/* ------------------------------------------------ the controller is told */

static void hello_write(const struct config *config, const struct join *controller,
                        const struct err *why, struct str *ret_frame)
{
    CLEANUP(notes_free) struct notes notes = { .count = 0 };
    Confleet__HeldRun runs[RUNS_SHOWN], *list[RUNS_SHOWN];
    runs_each(config, read_one, &(struct reading){ config, &notes });
    for (size_t i = 0; i < notes.count; i++) {
        confleet__held_run__init(&runs[i]);
        runs[i].site = notes.list[i].site;
        runs[i].safe_next = notes.list[i].ways;
        list[i] = &runs[i];
    }
    struct uplink_damage damage = { why->text, list, notes.count };
    uplink_hello(NULL, &damage, controller->name, 0, ret_frame);
}

/* True when a signal asks for the end. */
static bool asked_to_end(int signals)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGHUP)
            return true;
    return false;
}

static int serve(const struct config *config, const struct join *controller,
                 struct link_client *link, const struct err *why, int signals, struct err *err)
{
    CLEANUP(str_free) struct str hello = { 0 }, heard = { 0 };
    int64_t said_mono_ms = 0;
    hello_write(config, controller, why, &hello);
    while (!asked_to_end(signals)) {
        bool fresh = false;
        int64_t now_ms = clock_mono_ms();
        struct err ignored = { 0 };
        int64_t wait_ms = link ? link_client_tick(link, now_ms, &fresh) : AGAIN_MS;
        while (link && link_client_recv(link, &heard, &ignored) > 0)
            str_clear(&heard); /* an order is not taken, and so is not acknowledged */
        if (link && link_client_state(link) == LINK_UP &&
            (fresh || now_ms - said_mono_ms >= AGAIN_MS) &&
            link_client_send(link, hello.s, hello.len, &ignored) == 0)
            said_mono_ms = now_ms;
        zmq_pollitem_t items[] = {
            { NULL, signals, ZMQ_POLLIN, 0 },
            { link ? link_client_socket(link) : NULL, 0, ZMQ_POLLIN, 0 },
            { link ? link_client_monitor(link) : NULL, 0, ZMQ_POLLIN, 0 },
        };
        if (zmq_poll(items, link ? 3 : 1, (long)(wait_ms < 1000 ? wait_ms : 1000)) < 0 &&
            errno != EINTR)
            return err_sys(err, FAIL_INTERNAL, errno, "poll");
    }
    return err_set(err, (enum fail)why->code, "%s", why->text);
}

static int serve_enrolled(const struct config *config, const struct err *why, int signals,
                          struct err *err)
{
    CLEANUP(free_mem)
    char *key_path = config_state(config, "agent.key"),
         *join_path = config_state(config, "controller");
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    CLEANUP(link_client_close) struct link_client *link = NULL;
    struct join controller = { 0 };
    if (!fs_exists(join_path))
        return serve(config, &controller, NULL, why, signals, err);
    int result = join_load(join_path, &controller, err);
    if (result == 0)
        result = keys_load(key_path, &keys, err);
    struct link_client_options options = { .endpoint = controller.control,
                                           .server_key = controller.controller_key,
                                           .curve_public = keys.curve_public,
                                           .curve_secret = keys.curve_secret };
    if (result == 0)
        result = link_client_open(&options, &link, err);
    return result == 0 ? serve(config, &controller, link, why, signals, err) : result;
}

char *damage_known(const struct config *config)
{
    CLEANUP(free_mem) char *path = config_state(config, MARK);
    CLEANUP(str_free) struct str text = { 0 };
    if (!fs_exists(path))
        return NULL;
    return text_dup(fs_read(path, NOTE_MAX, &text, NULL) == 0 ? str_text(&text) : "damaged");
}

void damage_gone(const struct config *config)
{
    CLEANUP(free_mem) char *path = config_state(config, MARK);
    struct err err = { 0 };
    if (fs_exists(path) && fs_unlink(path, &err) != 0)
        log_warn("journal.mark", "message=\"%s\"; ignoring", err.text);
}

int damage_serve(const struct config *config, const struct err *why, int signals, struct err *err)
{
    struct status status = { { 0 }, 0, 0, 0 };
    struct err ignored = { 0 };
    CLEANUP(free_mem) char *mark = config_state(config, MARK);
    if (fs_write(mark, why->text, strlen(why->text), 0600, &ignored) != 0)
        log_warn("journal.mark", "message=\"%s\"; ignoring", ignored.text);
    err_clear(&ignored);
    damage_status(config, why, false, &status);
    for (const char *line = str_text(&status.text); *line;) {
        size_t len = strcspn(line, "\n");
        if (len > 0)
            log_error("journal.damaged", "text=\"%.*s\"", (int)len, line);
        line += len + (line[len] == '\n');
    }
    status_free(&status);
    (void)!notify_send("READY=1\nSTATUS=the journal is damaged: see confleet-agent status",
                       &ignored);
    int result = link_start(err);
    if (result != 0)
        return result;
    result = serve_enrolled(config, why, signals, err);
    link_stop();
    return result;
}
