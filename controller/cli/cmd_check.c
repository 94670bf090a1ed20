#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "controller/cli/jobs.h"
#include "controller/cli/resolve.h"
#include "controller/cli/views.h"
#include <string.h>

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

static int verdict(const Confleet__JobView *job)
{
    int worst = 0;
    bool failed = false;
    for (size_t i = 0; i < job->n_sites; i++) {
        failed = failed || !job_state_is_good(job->sites[i]->state);
        for (size_t f = 0; f < job->sites[i]->n_findings; f++) {
            int rank = severity_rank(job->sites[i]->findings[f]->severity);
            worst = rank > worst ? rank : worst;
        }
    }
    if (worst == severity_rank(CONFLEET__SEVERITY__BLOCK))
        return EXIT_BLOCKED;
    if (failed)
        return EXIT_ERROR;
    return worst >= severity_rank(CONFLEET__SEVERITY__UNKNOWN) ? EXIT_PENDING : EXIT_DONE;
}

static void findings_text(struct cli *cli, const Confleet__JobView *job, struct str *text)
{
    size_t total = 0, counts[5] = { 0 };
    bool all = cli_flag(cli, "all");
    for (size_t i = 0; i < job->n_sites; i++)
        total += job->sites[i]->n_findings;
    CLEANUP(free_mem) struct finding_row *rows = mem_zero(total + 1, sizeof *rows);
    total = 0;
    for (size_t i = 0; i < job->n_sites; i++) {
        const Confleet__JobSiteView *site = job->sites[i];
        for (size_t f = 0; f < site->n_findings; f++) {
            int rank = severity_rank(site->findings[f]->severity);
            counts[rank]++;
            if (rank > 0 || all)
                rows[total++] = (struct finding_row){ site->site, site->findings[f] };
        }
        if (job_state_is_good(site->state))
            continue;
        out_tone(text, &cli->out, TONE_BAD, site->site);
        str_add(text, ": the check itself did not end well: ");
        out_clean(text, site->state);
        str_add(text, site->message[0] ? ": " : "");
        out_clean(text, site->message);
        str_add(text, "\n");
    }
    finding_rows_sort(rows, total);
    finding_rows_print(&cli->out, rows, total, job->n_sites > 1, text);
    str_addf(text, "%zu site%s: %zu block, %zu warn, %zu unknown, %zu info, %zu ok%s\n",
             job->n_sites, job->n_sites == 1 ? "" : "s", counts[4], counts[3], counts[2], counts[1],
             counts[0], counts[0] > 0 && !all ? " (--all shows them)" : "");
}

int cmd_check(struct cli *cli, struct err *err)
{
    Confleet__AskCheck check = CONFLEET__ASK_CHECK__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(targets_free) struct targets targets = { 0 };
    CLEANUP(answer_free) struct answer first = { 0 };
    CLEANUP(answer_free) struct answer last = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    int64_t timeout_ms = 0;
    const char *to = cli_value(cli, "to");
    int result = cli_duration(cli, "timeout", &timeout_ms, err);
    if (result == 0)
        result = targets_find(cli, &targets, err);
    if (result != 0)
        return result;
    check.n_sites = targets.count;
    check.sites = (char **)(void *)targets.names;
    check.target_version = (char *)(to ? to : "");
    request.what_case = CONFLEET__REQUEST__WHAT_CHECK;
    request.check = &check;
    result = ask(cli, &request, &first, err);
    if (result == 0)
        result = job_wait(cli, &first, timeout_ms, &last, err);
    if (result != 0)
        return result;
    if (cli_flag(cli, "json"))
        json_one(&text, "check", &last.reply->job->base);
    else
        findings_text(cli, last.reply->job, &text);
    result = out_write(&cli->out, &text, err);
    return result == 0 ? verdict(last.reply->job) : result;
}
