#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/client.h"
#include <string.h>

int cmd_agent_list(struct cli *cli, struct err *err)
{
    static const char *const heads[] = { "AGENT",   "STATE", "ONLINE",       "LAST SEEN",
                                         "VERSION", "HOST",  "INSTALLATIONS" };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 7 };
    char when[48];
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_AGENT_LIST, &answer, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < answer.reply->n_agents; i++) {
        const Confleet__AgentView *agent = answer.reply->agents[i];
        table_add(&table, agent->name);
        table_add(&table, agent->state);
        table_add(&table, agent->online ? "yes" : "no");
        table_add(&table, ago_word(agent->last_seen_ms, clock_wall_ms(), when));
        table_add(&table, agent->version);
        table_add(&table, agent->host);
        table_addf(&table, "%zu", agent->n_installations);
    }
    if (cli_flag(cli, "json"))
        JSON_LIST(&text, "agents", answer.reply->agents, answer.reply->n_agents);
    else if (answer.reply->n_agents == 0)
        str_add(&text, "no agents yet: confleet agent token HOST --join FILE\n");
    else
        table_print(&table, &text);
    return out_write(&cli->out, &text, err);
}

static void line_add(struct str *text, const char *label, const char *value)
{
    str_addf(text, "    %-14s ", label);
    out_clean(text, value && *value ? value : "-");
    str_add(text, "\n");
}

static void installation_add(struct str *text, const Confleet__InstallationView *view)
{
    const Confleet__Installation *one = view->installation;
    char line[256];
    if (!one)
        return;
    str_add(text, "  ");
    out_clean(text, one->id);
    str_add(text, "\n");
    line_add(text, "site", *view->site ? view->site : "unassigned");
    line_add(text, "installation", one->install);
    line_add(text, "home", one->home);
    CLEANUP(str_free) struct str version = { 0 };
    version_add(&version, one->version, one->app_build);
    line_add(text, "version", str_text(&version));
    (void)snprintf(line, sizeof line, "application %u, home %u, database %u", one->app_build,
                   one->home_build, one->database_build);
    line_add(text, "builds", line);
    CLEANUP(str_free) struct str database = { 0 };
    str_addf(&database, "%s %s", one->database_kind, one->database_where);
    line_add(text, "database", str_text(&database));
    (void)snprintf(line, sizeof line, "%u (shutdown %u) %.150s", one->http_port, one->shutdown_port,
                   one->context_path);
    line_add(text, "port", line);
    line_add(text, "runs as", one->run_user);
    line_add(text, "java", one->java);
    line_add(text, "state", one->state);
    if (one->installer_made)
        line_add(text, "made by", "the vendor's installer");
    if (one->clustered)
        line_add(text, "cluster", "yes: a node of a cluster");
    for (size_t i = 0; i < one->n_notes; i++)
        line_add(text, "note", one->notes[i]);
}

int cmd_agent_show(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    char when[48];
    int result = ask_name(cli, CONFLEET__REQUEST__WHAT_AGENT_SHOW, cli->args[0], &answer, err);
    if (result != 0)
        return result;
    if (answer.reply->n_agents != 1)
        return err_set(err, FAIL_NOT_FOUND, "no agent '%s'; see: confleet agent list",
                       cli->args[0]);
    const Confleet__AgentView *agent = answer.reply->agents[0];
    if (cli_flag(cli, "json")) {
        json_one(&text, "agent", &agent->base);
        return out_write(&cli->out, &text, err);
    }
    out_clean(&text, agent->name);
    str_add(&text, "\n");
    line_add(&text, "state", agent->state);
    line_add(&text, "online", agent->online ? "yes" : "no");
    line_add(&text, "last seen", ago_word(agent->last_seen_ms, clock_wall_ms(), when));
    line_add(&text, "fingerprint", agent->fingerprint);
    line_add(&text, "version", agent->version);
    line_add(&text, "host", agent->host);
    line_add(&text, "system", agent->os);
    line_add(&text, "surveyed",
             agent->surveyed_ms ? ago_word(agent->surveyed_ms, clock_wall_ms(), when) : "never");
    for (size_t i = 0; i < agent->n_installations; i++)
        installation_add(&text, agent->installations[i]);
    if (agent->n_installations == 0)
        str_add(&text, "  no installation was reported\n");
    return out_write(&cli->out, &text, err);
}

static int say(struct cli *cli, struct err *err, const char *format, ...) FORMAT(3, 4);
static int say(struct cli *cli, struct err *err, const char *format, ...)
{
    CLEANUP(str_free) struct str text = { 0 };
    va_list ap;
    va_start(ap, format);
    str_vaddf(&text, format, ap);
    va_end(ap);
    return out_write(&cli->out, &text, err);
}

int cmd_agent_accept(struct cli *cli, struct err *err)
{
    Confleet__AskAccept accept = CONFLEET__ASK_ACCEPT__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer answer = { 0 };
    accept.name = cli->args[0];
    accept.fingerprint = (char *)cli_value(cli, "fingerprint");
    request.what_case = CONFLEET__REQUEST__WHAT_AGENT_ACCEPT;
    request.agent_accept = &accept;
    int result = ask(cli, &request, &answer, err);
    return result == 0 ? say(cli, err, "agent %s is accepted\n", cli->args[0]) : result;
}

static int key_revoke(struct cli *cli, Confleet__Request__WhatCase what, const char *kind,
                      struct err *err)
{
    Confleet__AskRevoke ask_revoke = CONFLEET__ASK_REVOKE__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer answer = { 0 };
    const char *reason = cli_value(cli, "reason");
    ask_revoke.name = cli->args[0];
    ask_revoke.reason = (char *)(reason ? reason : "");
    request.what_case = what;
    request.agent_revoke = &ask_revoke; /* the place of operator_revoke as well */
    int result = ask(cli, &request, &answer, err);
    return result == 0
               ? say(cli, err, "%s %s is revoked; its connections are cut\n", kind, cli->args[0])
               : result;
}

int cmd_agent_revoke(struct cli *cli, struct err *err)
{
    return key_revoke(cli, CONFLEET__REQUEST__WHAT_AGENT_REVOKE, "agent", err);
}

int cmd_operator_revoke(struct cli *cli, struct err *err)
{
    return key_revoke(cli, CONFLEET__REQUEST__WHAT_OPERATOR_REVOKE, "operator", err);
}

int cmd_operator_list(struct cli *cli, struct err *err)
{
    static const char *const heads[] = { "OPERATOR", "ROLE", "STATE", "SIGNS AS", "FINGERPRINT" };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 5 };
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_OPERATOR_LIST, &answer, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < answer.reply->n_operators; i++) {
        const Confleet__OperatorView *operator= answer.reply->operators[i];
        table_add(&table, operator->name);
        table_add(&table, role_word(operator->role));
        table_add(&table, operator->state);
        table_add(&table, operator->key_id);
        table_add(&table, operator->fingerprint);
    }
    if (cli_flag(cli, "json"))
        JSON_LIST(&text, "operators", answer.reply->operators, answer.reply->n_operators);
    else
        table_print(&table, &text);
    return out_write(&cli->out, &text, err);
}
