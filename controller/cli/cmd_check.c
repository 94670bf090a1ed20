#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "controller/cli/gather.h"
#include "controller/cli/readiness.h"
#include "controller/cli/resolve.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LEAST_SHOWN 2 /* unknown, warn, block */

/* Sites of the arguments and of -l, as names; the list borrows them. */
struct targets {
    const char **names;
    size_t count;
    struct answer answer;
};
static void targets_free(struct targets *targets)
{
    free_mem(&targets->names);
    answer_free(&targets->answer);
}

static bool selected(const struct cli *cli, const Confleet__SiteView *site)
{
    const char *pair;
    for (size_t i = 0; (pair = cli_value_at(cli, "label", i)); i++) {
        const char *equals = strchr(pair, '=');
        if (!equals || !site_has_label(site, pair, (size_t)(equals - pair), equals + 1))
            return false;
    }
    return true;
}

static int targets_find(struct cli *cli, struct targets *targets, struct err *err)
{
    const char *pair;
    for (size_t i = 0; (pair = cli_value_at(cli, "label", i)); i++) {
        if (!strchr(pair, '=') || pair[0] == '=')
            return err_set(err, FAIL_USAGE, "-l '%s' is no label: write key=value", pair);
    }
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_SITE_LIST, &targets->answer, err);
    if (result != 0)
        return result;
    const Confleet__Reply *reply = targets->answer.reply;
    targets->names = mem_zero(reply->n_sites + 1, sizeof *targets->names);
    for (size_t i = 0; i < reply->n_sites; i++) {
        bool named = cli->arg_count == 0;
        for (int a = 0; a < cli->arg_count; a++)
            named = named || strcmp(cli->args[a], reply->sites[i]->name) == 0;
        if (named && selected(cli, reply->sites[i]))
            targets->names[targets->count++] = reply->sites[i]->name;
    }
    for (int a = 0; a < cli->arg_count; a++) {
        bool known = false;
        for (size_t i = 0; i < reply->n_sites; i++)
            known = known || strcmp(cli->args[a], reply->sites[i]->name) == 0;
        if (!known)
            return err_set(err, FAIL_NOT_FOUND, "no site '%s'; see: confleet site list",
                           cli->args[a]);
    }
    if (targets->count == 0)
        return err_set(err, FAIL_NOT_FOUND, "no site is selected; see: confleet site list");
    return 0;
}

/* Which form, and what of it; read before anything is asked of a server. */
struct form {
    int64_t timeout_ms;
    int least;
    const char *page; /* file of --html, NULL: none */
};

/* Told before the fleet is asked, not after. */
static int page_may_be_written(const char *page, struct err *err)
{
    const char *slash = strrchr(page, '/');
    CLEANUP(free_mem) char *folder =
        slash ? text_printf("%.*s/", (int)(slash - page), page) : text_dup(".");
    if (fs_is_dir(page))
        return err_set(err, FAIL_USAGE, "--html: %s is a folder; name a file", page);
    if (access(folder, W_OK | X_OK) != 0)
        return err_sys(err, FAIL_IO, errno, "--html: %s cannot be written into folder %s", page,
                       folder);
    return 0;
}

static int form_read(const struct cli *cli, struct form *form, struct err *err)
{
    const char *severity = cli_value(cli, "severity");
    *form = (struct form){ GATHER_TIMEOUT_MS, LEAST_SHOWN, cli_value(cli, "html") };
    if (cli_flag(cli, "json") && cli_flag(cli, "csv"))
        return err_set(err, FAIL_USAGE, "--json and --csv: one of the two");
    if (cli_flag(cli, "all"))
        form->least = 0;
    int result = severity ? ready_rank_parse(severity, &form->least, err) : 0;
    if (result == 0 && form->page)
        result = page_may_be_written(form->page, err);
    return result == 0 ? cli_duration(cli, "timeout", &form->timeout_ms, err) : result;
}

static int page_write(const struct cli *cli, const struct readiness *readiness,
                      const struct form *form, struct err *err)
{
    CLEANUP(str_free) struct str page = { 0 };
    readiness_html(readiness, form->least, client_keys(cli->client)->name, &page);
    int result = fs_write(form->page, page.s, page.len, 0644, err);
    return result == 0 ? 0 : err_wrap(err, "--html");
}

static int result_write(struct cli *cli, const struct gathered *gathered,
                        const struct readiness *readiness, const struct form *form, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    int result = form->page ? page_write(cli, readiness, form, err) : 0;
    if (result != 0)
        return result;
    if (cli_flag(cli, "json"))
        json_one(&text, "check", &gathered->head.base);
    else if (cli_flag(cli, "csv"))
        readiness_csv(readiness, form->least, &text);
    else
        readiness_text(readiness, &cli->out, form->least, &text);
    return out_write(&cli->out, &text, err);
}

int cmd_check(struct cli *cli, struct err *err)
{
    CLEANUP(targets_free) struct targets targets = { 0 };
    CLEANUP(gathered_free) struct gathered gathered = { 0 };
    CLEANUP(readiness_free) struct readiness readiness = { 0 };
    struct form form;
    const char *to = cli_value(cli, "to");
    int result = form_read(cli, &form, err);
    if (result == 0)
        result = targets_find(cli, &targets, err);
    if (result == 0)
        result = gather(cli, targets.names, targets.count, to ? to : "", form.timeout_ms, &gathered,
                        err);
    if (result != 0)
        return result;
    readiness_make(gathered.views, gathered.count, to ? to : "", clock_wall_ms(), &readiness);
    result = result_write(cli, &gathered, &readiness, &form, err);
    return result == 0 ? readiness_exit(&readiness) : result;
}
