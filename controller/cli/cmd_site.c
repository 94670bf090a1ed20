#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/client.h"
#include "controller/cli/site_text.h"
#include <string.h>

#define LABELS_MAX 64

static void labels_add(struct str *text, const Confleet__SiteView *site)
{
    for (size_t i = 0; i < site->n_labels; i++)
        str_addf(text, "%s%s=%s", i > 0 ? " " : "", site->labels[i]->key, site->labels[i]->value);
}

/* The names of the sites that this one stands for, at most so many of them. */
static void covers_add(struct str *text, const Confleet__SiteView *site, size_t most)
{
    for (size_t i = 0; i < site->n_covers && i < most; i++)
        str_addf(text, "%s%s", i > 0 ? " " : "", site->covers[i]);
    if (site->n_covers > most)
        str_addf(text, " and %zu more", site->n_covers - most);
}

static void row_add(struct table *table, const Confleet__SiteView *site)
{
    CLEANUP(str_free) struct str version = { 0 }, nodes = { 0 }, labels = { 0 }, covers = { 0 };
    version_add(&version, site->version, site->build);
    for (size_t i = 0; i < site->n_nodes; i++)
        str_addf(&nodes, "%s%s", i > 0 ? " " : "", site->nodes[i]->agent);
    labels_add(&labels, site);
    table_add(table, site->name);
    table_add(table, site->state);
    table_add(table, site->online ? "yes" : "no");
    table_add(table, str_text(&version));
    table_add(table, str_text(&nodes));
    covers_add(&covers, site, 2);
    table_add(table, str_text(&covers));
    table_add(table, str_text(&labels));
}

int cmd_site_list(struct cli *cli, struct err *err)
{
    static const char *const heads[] = { "SITE",  "STATE",  "ONLINE", "VERSION",
                                         "AGENT", "COVERS", "LABELS" };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 7 };
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_SITE_LIST, &answer, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < answer.reply->n_sites; i++)
        row_add(&table, answer.reply->sites[i]);
    if (cli_flag(cli, "json"))
        JSON_LIST(&text, "sites", answer.reply->sites, answer.reply->n_sites);
    else if (answer.reply->n_sites == 0)
        str_add(&text, "no sites yet: confleet site set SITE env=test --node HOST:INSTALL\n");
    else
        table_print(&table, &text);
    return out_write(&cli->out, &text, err);
}

/* Of a text only: JSON has had its shape since before there was a history. */
static int show_text(struct cli *cli, const Confleet__SiteView *site, struct str *text,
                     struct err *err)
{
    CLEANUP(answer_free) struct answer history = { 0 };
    int result = ask_name(cli, CONFLEET__REQUEST__WHAT_CHECK_HISTORY, site->name, &history, err);
    if (result != 0)
        return result;
    const struct site_shown shown = { .site = site,
                                      .checks = history.reply->checks,
                                      .check_count = history.reply->n_checks,
                                      .now_ms = clock_wall_ms() };
    site_text(&shown, &cli->out, text);
    return 0;
}

int cmd_site_show(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    int result = ask_name(cli, CONFLEET__REQUEST__WHAT_SITE_SHOW, cli->args[0], &answer, err);
    if (result != 0)
        return result;
    if (answer.reply->n_sites != 1)
        return err_set(err, FAIL_NOT_FOUND, "no site '%s'; see: confleet site list", cli->args[0]);
    if (cli_flag(cli, "json"))
        json_one(&text, "site", &answer.reply->sites[0]->base);
    else
        result = show_text(cli, answer.reply->sites[0], &text, err);
    return result == 0 ? out_write(&cli->out, &text, err) : result;
}

static bool same_path(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    while (a_len > 1 && a[a_len - 1] == '/')
        a_len--;
    while (b_len > 1 && b[b_len - 1] == '/')
        b_len--;
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static int installation_pick(const Confleet__AgentView *agent, const char *wanted, char **ret_owned,
                             struct err *err)
{
    CLEANUP(str_free) struct str known = { 0 };
    for (size_t i = 0; i < agent->n_installations; i++) {
        const Confleet__Installation *one = agent->installations[i]->installation;
        if (!one)
            continue;
        if (strcmp(one->id, wanted) == 0 || (wanted[0] == '/' && same_path(one->install, wanted))) {
            *ret_owned = text_dup(one->id);
            return 0;
        }
        str_addf(&known, "%s%s (%s)", known.len ? ", " : "", one->install, one->id);
    }
    return err_set(err, FAIL_NOT_FOUND, "agent %s has reported no installation '%s'; it has: %s",
                   agent->name, wanted, known.len ? str_text(&known) : "none");
}

/* HOST:INSTALL, where INSTALL is a path or an id, becomes what the agent calls it. */
static int node_resolve(struct cli *cli, const char *text, Confleet__PlanNode *node,
                        char **ret_agent, char **ret_id, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return err_set(err, FAIL_USAGE,
                       "--node '%s': write HOST:INSTALL, INSTALL being the path or the id that "
                       "'confleet agent show HOST' prints",
                       text);
    *ret_agent = text_printf("%.*s", (int)(colon - text), text);
    int result = ask_name(cli, CONFLEET__REQUEST__WHAT_AGENT_SHOW, *ret_agent, &answer, err);
    if (result == 0 && answer.reply->n_agents != 1)
        result =
            err_set(err, FAIL_NOT_FOUND, "no agent '%s'; see: confleet agent list", *ret_agent);
    if (result == 0)
        result = installation_pick(answer.reply->agents[0], colon + 1, ret_id, err);
    if (result != 0)
        return result;
    node->agent = *ret_agent;
    node->installation = *ret_id;
    return 0;
}

/* A node that the site has; its agent may be revoked, and may not report it any more. */
static int node_find(struct cli *cli, const char *text, Confleet__PlanNode *node, char **ret_agent,
                     char **ret_id, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    const char *colon = strchr(text, ':');
    int result = ask_name(cli, CONFLEET__REQUEST__WHAT_SITE_SHOW, cli->args[0], &answer, err);
    if (result != 0)
        return result;
    const Confleet__SiteView *site = answer.reply->n_sites == 1 ? answer.reply->sites[0] : NULL;
    for (size_t i = 0; colon && site && i < site->n_nodes; i++) {
        const Confleet__InstallationView *view = site->nodes[i];
        const Confleet__Installation *one = view->installation;
        if (!one || strlen(view->agent) != (size_t)(colon - text) ||
            strncmp(view->agent, text, (size_t)(colon - text)) != 0 ||
            (strcmp(one->id, colon + 1) != 0 &&
             !(colon[1] == '/' && same_path(one->install, colon + 1))))
            continue;
        node->agent = *ret_agent = text_dup(view->agent);
        node->installation = *ret_id = text_dup(one->id);
        return 0;
    }
    return err_set(err, FAIL_NOT_FOUND,
                   "site %s has no node '%s'; write it as 'confleet site show %s' prints it",
                   cli->args[0], text, cli->args[0]);
}

struct labels {
    Confleet__KeyValue items[LABELS_MAX], *list[LABELS_MAX];
    size_t count;
};

/* Splits "key=value" arguments in place: they are this process's own. */
static int labels_read(struct cli *cli, struct labels *labels, struct err *err)
{
    for (int i = 1; i < cli->arg_count; i++) {
        char *equals = strchr(cli->args[i], '=');
        if (!equals || equals == cli->args[i])
            return err_set(err, FAIL_USAGE,
                           "'%s' is no label: write key=value (key= removes the label)",
                           cli->args[i]);
        if (labels->count == LABELS_MAX)
            return err_set(err, FAIL_LIMIT, "at most %d labels", LABELS_MAX);
        Confleet__KeyValue *label = &labels->items[labels->count];
        confleet__key_value__init(label);
        *equals = '\0';
        label->key = cli->args[i];
        label->value = equals + 1;
        labels->list[labels->count++] = label;
    }
    return 0;
}

int cmd_site_set(struct cli *cli, struct err *err)
{
    Confleet__AskSiteSet set = CONFLEET__ASK_SITE_SET__INIT;
    Confleet__PlanNode node = CONFLEET__PLAN_NODE__INIT, drop = CONFLEET__PLAN_NODE__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(free_mem) char *agent = NULL;
    CLEANUP(free_mem) char *id = NULL;
    CLEANUP(free_mem) char *old_agent = NULL;
    CLEANUP(free_mem) char *old_id = NULL;
    CLEANUP(free_mem) struct labels *labels = mem_zero(1, sizeof *labels);
    CLEANUP(str_free) struct str text = { 0 };
    const char *covers = cli_value(cli, "covers"), *where = cli_value(cli, "node");
    const char *gone = cli_value(cli, "no-node");
    if (!text_is_name(cli->args[0]))
        return err_set(err, FAIL_USAGE,
                       "'%s' is no name of a site: 1 to 63 of a-z, 0-9, '.', '_', '-'",
                       cli->args[0]);
    int result = labels_read(cli, labels, err);
    if (result == 0 && where)
        result = node_resolve(cli, where, &node, &agent, &id, err);
    if (result == 0 && gone)
        result = node_find(cli, gone, &drop, &old_agent, &old_id, err);
    if (result != 0)
        return result;
    set.name = cli->args[0];
    set.n_labels = labels->count;
    set.labels = labels->list;
    set.node = where ? &node : NULL;
    set.drop = gone ? &drop : NULL;
    set.covers = (char *)(covers ? covers : "");
    request.what_case = CONFLEET__REQUEST__WHAT_SITE_SET;
    request.site_set = &set;
    result = ask(cli, &request, &answer, err);
    if (result != 0)
        return result;
    str_addf(&text, "site %s is set\n", cli->args[0]);
    if (old_id)
        str_addf(&text, "  no longer %s:%s\n", old_agent, old_id);
    if (id)
        str_addf(&text, "  node %s:%s\n", agent, id);
    return out_write(&cli->out, &text, err);
}
