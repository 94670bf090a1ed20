#include "confleet/app_catalogue.h"
#include "confleet/cleanup.h"
#include "controller/cli/client.h"
#include "controller/cli/commands.h"

#define SEND_MAX (400 * 1024) /* a frame holds 512 KiB */

int cmd_app_list(struct cli *cli, struct err *err)
{
    static const char *const heads[] = { "APP",         "VERSION", "FROM",   "TO",
                                         "DATA CENTER", "BLOCKS",  "SOURCE", "DATE" };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 8 };
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_APP_LIST, &answer, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < answer.reply->n_apps; i++) {
        const Confleet__AppEntry *entry = answer.reply->apps[i];
        table_add(&table, entry->key);
        table_add(&table, entry->version);
        table_add(&table, entry->from);
        table_add(&table, entry->to);
        table_add(&table, entry->data_center);
        table_add(&table, entry->blocks ? "yes" : "");
        table_add(&table, entry->source);
        table_add(&table, entry->date);
    }
    if (cli_flag(cli, "json"))
        JSON_LIST(&text, "apps", answer.reply->apps, answer.reply->n_apps);
    else if (answer.reply->n_apps == 0)
        str_add(&text, "nothing is known of apps: confleet app import FILE\n");
    else
        table_print(&table, &text);
    return out_write(&cli->out, &text, err);
}

static int import_send(struct cli *cli, const struct app_catalogue *given, struct err *err)
{
    size_t count = app_catalogue_count(given);
    CLEANUP(free_mem) Confleet__AppEntry *wires = mem_zero(count + 1, sizeof *wires);
    CLEANUP(free_mem) Confleet__AppEntry **list = mem_zero(count + 1, sizeof *list);
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    Confleet__AskApps import = CONFLEET__ASK_APPS__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    for (size_t i = 0; i < count; i++) {
        app_entry_wire(app_catalogue_at(given, i), &wires[i]);
        list[i] = &wires[i];
    }
    import.entries = list;
    import.n_entries = count;
    import.replace = cli_flag(cli, "replace");
    if (count > 4000 || confleet__ask_apps__get_packed_size(&import) > SEND_MAX)
        return err_set(err, FAIL_LIMIT,
                       "%s holds %zu versions of apps, more than a controller keeps (4,000 in 240 "
                       "KiB): leave out those of apps that no site has, or of releases that nobody "
                       "goes to",
                       cli->args[0], count);
    request.what_case = CONFLEET__REQUEST__WHAT_APP_IMPORT;
    request.app_import = &import;
    int result = ask(cli, &request, &answer, err);
    if (result != 0)
        return result;
    str_addf(&text, "%zu version%s of apps%s; agents get them with the next check\n", count,
             count == 1 ? "" : "s",
             import.replace ? " in place of all before" : "");
    return out_write(&cli->out, &text, err);
}

int cmd_app_import(struct cli *cli, struct err *err)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *given = NULL;
    int result = app_catalogue_load(cli->args[0], &given, err);
    if (result == 0 && app_catalogue_count(given) == 0 && !cli_flag(cli, "replace"))
        return err_set(err, FAIL_USAGE, "%s names no version of any app", cli->args[0]);
    return result == 0 ? import_send(cli, given, err) : result;
}
