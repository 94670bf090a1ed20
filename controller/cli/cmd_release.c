#include "controller/cli/commands.h"
#include "confleet/bulk.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include "controller/cli/client.h"
#include <inttypes.h>
#include <string.h>

#define PUT_SILENCE_MS (10 * 60 * 1000)

int cmd_release_list(struct cli *cli, struct err *err)
{
    static const char *const heads[] = {
        "VERSION", "BUILD", "DATE", "SIZE", "ARTIFACT", "SHA-256"
    };
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 6 };
    char size[24];
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_RELEASE_LIST, &answer, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < answer.reply->n_releases; i++) {
        const Confleet__Release *release = answer.reply->releases[i];
        table_add(&table, release->version);
        table_addf(&table, "%u", release->build);
        table_add(&table, release->date);
        table_add(&table, text_size(release->artifact_size, size));
        table_add(&table, release->artifact_name);
        table_addf(&table, "%.16s…", release->artifact_sha256);
    }
    if (cli_flag(cli, "json"))
        JSON_LIST(&text, "releases", answer.reply->releases, answer.reply->n_releases);
    else if (answer.reply->n_releases == 0)
        str_add(&text,
                "no releases: confleet release import --artifact FILE --version V --build N\n");
    else
        table_print(&table, &text);
    return out_write(&cli->out, &text, err);
}

int cmd_release_show(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    const Confleet__Release *found = NULL;
    char size[24];
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_RELEASE_LIST, &answer, err);
    if (result != 0)
        return result;
    for (size_t i = 0; i < answer.reply->n_releases; i++)
        found = strcmp(answer.reply->releases[i]->version, cli->args[0]) == 0
                    ? answer.reply->releases[i]
                    : found;
    if (!found)
        return err_set(err, FAIL_NOT_FOUND, "no release '%s'; see: confleet release list",
                       cli->args[0]);
    if (cli_flag(cli, "json")) {
        json_one(&text, "release", &found->base);
        return out_write(&cli->out, &text, err);
    }
    out_clean(&text, found->version);
    str_addf(&text, "\n  build     %u\n  date      %s\n  artifact  ", found->build,
             found->date[0] ? found->date : "-");
    out_clean(&text, found->artifact_name);
    str_addf(&text, "\n  size      %s (%" PRIu64 " bytes)\n  sha256    %s\n",
             text_size(found->artifact_size, size), found->artifact_size, found->artifact_sha256);
    return out_write(&cli->out, &text, err);
}

static bool date_is_valid(const char *date)
{
    static const char form[] = "dddd-dd-dd";
    if (strlen(date) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++) {
        bool digit = date[i] >= '0' && date[i] <= '9';
        if (form[i] == 'd' ? !digit : date[i] != '-')
            return false;
    }
    return strncmp(date + 5, "00", 2) > 0 && strncmp(date + 5, "12", 2) <= 0 &&
           strncmp(date + 8, "00", 2) > 0 && strncmp(date + 8, "31", 2) <= 0;
}

static int release_fill(struct cli *cli, Confleet__Release *release, char sha256[HASH_HEX_MAX],
                        struct err *err)
{
    const char *path = cli_value(cli, "artifact"), *date = cli_value(cli, "date"),
               *slash = strrchr(path, '/');
    uint64_t build = 0;
    int result = cli_number(cli, "build", UINT32_MAX, &build, err);
    if (result != 0)
        return result;
    if (build == 0)
        return err_set(err, FAIL_USAGE, "--build must be the release's build number, above zero");
    if (date && !date_is_valid(date))
        return err_set(err, FAIL_USAGE, "--date '%s' is no date: write yyyy-mm-dd", date);
    release->version = (char *)cli_value(cli, "version");
    if (!release->version[0] || strlen(release->version) > 63)
        return err_set(err, FAIL_USAGE, "--version '%s' is no version", release->version);
    release->build = (uint32_t)build;
    release->date = (char *)(date ? date : "");
    release->artifact_name = (char *)(slash ? slash + 1 : path);
    result = hash_file_hex(path, sha256, &release->artifact_size, err);
    release->artifact_sha256 = sha256;
    return result;
}

struct bar {
    const struct out *note;
    int64_t shown_ms, start_ms;
};

static void bar_show(void *arg, uint64_t done, uint64_t total)
{
    struct bar *bar = arg;
    int64_t now_ms = clock_mono_ms();
    char have[24], all[24], rate[24];
    CLEANUP(str_free) struct str line = { 0 };
    if (!bar->note->terminal || total == 0 || (now_ms - bar->shown_ms < 100 && done < total))
        return;
    bar->shown_ms = now_ms;
    uint64_t per_s = now_ms > bar->start_ms ? done * 1000 / (uint64_t)(now_ms - bar->start_ms) : 0;
    int filled = (int)((double)done * 30.0 / (double)total);
    str_addf(&line, "\rsending [%.*s%*s] %s of %s, %s/s\033[K%s", filled,
             "##############################", 30 - filled, "", text_size(done, have),
             text_size(total, all), text_size(per_s, rate), done == total ? "\n" : "");
    out_show(bar->note, &line); /* progress is for eyes only */
}

static int artifact_send(struct cli *cli, const Confleet__Release *release, struct err *err)
{
    struct client *client = NULL;
    struct bar bar = { &cli->note, 0, clock_mono_ms() };
    int result = ask_client(cli, &client, err);
    if (result != 0)
        return result;
    const struct keys *keys = client_keys(client);
    struct link_client_options link = { .endpoint = client_join(client)->bulk,
                                        .server_key = client_join(client)->controller_key,
                                        .curve_public = keys->curve_public,
                                        .curve_secret = keys->curve_secret };
    return bulk_put(&link, cli_value(cli, "artifact"), release->artifact_sha256,
                    release->artifact_size, bar_show, &bar, PUT_SILENCE_MS, err);
}

int cmd_release_import(struct cli *cli, struct err *err)
{
    Confleet__Release release = CONFLEET__RELEASE__INIT;
    Confleet__AskRelease add = CONFLEET__ASK_RELEASE__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    char sha256[HASH_HEX_MAX] = "", size[24];
    int result = release_fill(cli, &release, sha256, err);
    /* The control socket is asked first: it says in words when this key may not, before gigabytes
     * are sent. */
    if (result == 0)
        result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_PING, &answer, err);
    answer_free(&answer);
    if (result == 0)
        result = artifact_send(cli, &release, err);
    if (result != 0)
        return err_wrap(err, "import %s", cli_value(cli, "artifact"));
    add.release = &release;
    request.what_case = CONFLEET__REQUEST__WHAT_RELEASE_ADD;
    request.release_add = &add;
    result = ask(cli, &request, &answer, err);
    if (result != 0)
        return result;
    str_addf(&text, "release %s (build %u): %s, sha256 %s\n", release.version, release.build,
             text_size(release.artifact_size, size), sha256);
    return out_write(&cli->out, &text, err);
}
