/* The job "survey": every installation of this server as a message. */
#include "agent/worker/confluence/discover.h"
#include "agent/worker/confluence/installation.h"
#include "agent/worker/confluence/shell.h"
#include "agent/worker/confluence/status.h"
#include "agent/worker/job.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_LIMIT_MS   3000
#define STATEMENT_LIMIT_S 5
#define TEXT_LIMIT        1000
#define NOTES_MAX         60

/* Paths and notes hold bytes of this server's own; the wire takes UTF-8 of a bounded length. */
static char *text_for_wire(const char *text)
{
    char *out = text_printf("%.*s", TEXT_LIMIT, text ? text : "");
    size_t len = strlen(out);
    while (len > 0 && len >= TEXT_LIMIT && ((unsigned char)out[len - 1] & 0x80))
        out[--len] = 0;
    if (!text_is_utf8(out, len))
        for (char *c = out; *c; c++)
            *c = (unsigned char)*c >= 0x80 ? '?' : *c;
    for (char *c = out; *c; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
    return out;
}

static void add_note(Confleet__Installation *message, const char *text)
{
    if (message->n_notes == NOTES_MAX || !*text)
        return;
    message->notes = mem_grow(message->notes, message->n_notes + 1, sizeof *message->notes);
    message->notes[message->n_notes++] = text_for_wire(text);
}

static void add_notes(Confleet__Installation *message, const char *lines)
{
    while (*lines) {
        size_t len = strcspn(lines, "\n");
        CLEANUP(free_mem) char *line = text_printf("%.*s", (int)len, lines);
        add_note(message, line);
        lines += len + (lines[len] == '\n');
    }
}

static void fill_database(const struct installation *site, Confleet__Installation *message)
{
    char where[600];
    CLEANUP(database_close) PGconn *conn = NULL;
    struct err err = { 0 };
    uint32_t build = 0;
    message->database_kind = text_dup(database_kind_name(site->database.kind));
    message->database_where = text_for_wire(database_where(&site->database, where, sizeof where));
    if (!site->has_config)
        return;
    if (database_connect(&site->database, NULL, NULL, NULL, STATEMENT_LIMIT_S, &conn, &err) != 0 ||
        database_build(conn, &build, &err) != 0) {
        CLEANUP(free_mem)
        char *note = text_printf("the database's build number is not known: %s", err.text);
        add_note(message, note);
        return;
    }
    message->database_build = build;
}

static void fill_state(const struct installation *site, Confleet__Installation *message)
{
    char state[STATUS_STATE_MAX] = "";
    long http = 0;
    struct err err = { 0 };
    if (site->pid == 0)
        message->state = text_dup("stopped");
    else if (site->http_port == 0)
        message->state = text_dup("unknown: no HTTP port");
    else if (status_ask(
                 &(struct status_where){ site->http_address, site->http_port, site->context_path },
                 STATUS_LIMIT_MS, state, &http, &err) == 0)
        message->state = text_dup(state);
    else {
        CLEANUP(free_mem) char *text = text_printf("unknown: %s", err.text);
        message->state = text_for_wire(text);
    }
}

static void fill(const struct installation *site, Confleet__Installation *message)
{
    confleet__installation__init(message);
    message->id = text_dup(site->id);
    message->install = text_for_wire(site->install);
    message->home = text_for_wire(site->home);
    message->version = text_for_wire(site->version);
    message->app_build = site->app_build;
    message->home_build = site->home_build;
    message->run_user = text_for_wire(site->run_user);
    message->pid = (int32_t)site->pid;
    message->http_port = site->http_port;
    message->shutdown_port = site->shutdown_port;
    message->context_path = text_for_wire(site->context_path);
    message->server_id = text_for_wire(site->server_id);
    message->installer_made = site->installer_made;
    message->clustered = site->clustered;
    message->java = text_for_wire(site->java);
    add_notes(message, str_text(&site->notes));
    if (!text_is_utf8(site->install, strlen(site->install)))
        add_note(
            message,
            "the path of the installation is not UTF-8; such a path cannot be named in a plan");
    fill_database(site, message);
    fill_state(site, message);
}

static char *read_os(void)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str name = { 0 };
    if (fs_read("/etc/os-release", 65536, &text, NULL) == 0 &&
        shell_variable(str_text(&text), "PRETTY_NAME", "", &name) == SHELL_VALUE)
        return text_for_wire(str_text(&name));
    return text_dup("");
}

static char *read_host(void)
{
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0)
        return text_dup("");
    return text_for_wire(name);
}

int survey_job(struct job *job, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    const char *proc_root = node->pid_root && *node->pid_root ? node->pid_root : "/proc";
    CLEANUP(discovery_free) struct discovery found = { 0 };
    if (node->install && *node->install)
        discover_add(&found, node->install);
    for (size_t i = 0; i < node->n_search; i++)
        discover_below(&found, node->search[i]);
    if (!node->install || !*node->install)
        discover_running(&found, proc_root);
    /* A survey that misses an installation would say that it is gone. */
    if (found.trouble)
        return err_sys(err, FAIL_IO, found.trouble, "search for installations");
    if (found.cut_short)
        job_log(job, 4,
                "the search for installations was cut short after %zu folders; name narrower "
                "folders under search",
                found.folders);
    Confleet__Survey *survey = mem_zero(1, sizeof *survey);
    confleet__survey__init(survey);
    survey->os = read_os();
    survey->host = read_host();
    survey->agent_version = text_dup(CONFLEET_VERSION);
    survey->installations = mem_zero(found.count + 1, sizeof *survey->installations);
    for (size_t i = 0; i < found.count; i++) {
        CLEANUP(installation_free) struct installation site = { 0 };
        struct err why = { 0 };
        job_progress(job, i, found.count, "looking at %s", found.paths[i]);
        if (installation_read(found.paths[i], NULL, proc_root, &site, &why) != 0) {
            job_log(job, 4, "%s", why.text);
            continue;
        }
        Confleet__Installation *message = mem_zero(1, sizeof *message);
        fill(&site, message);
        survey->installations[survey->n_installations++] = message;
    }
    job_result(job)->survey = survey;
    return 0;
}
