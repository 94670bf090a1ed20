#include "confleet/bulk.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include "controller/cli/client.h"
#include "controller/cli/commands.h"
#include "controller/cli/releases.h"
#include <string.h>

#define PUT_SILENCE_MS (10 * 60 * 1000)

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
    if (!cli_value(cli, "version") || !cli_value(cli, "build"))
        return err_set(err, FAIL_USAGE, "--artifact needs --version V and --build N");
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

static int artifact_import(struct cli *cli, struct err *err)
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

/* ------------------------------------------------------------------ facts of releases */

/* What the shipped catalogue says as well is not sent: it would only take room with every check. */
static bool says_more(struct catalogue *shipped, const struct catalogue_release *release)
{
    const struct catalogue_release *found = catalogue_find(shipped, release->text);
    if (!found)
        return true;
    struct catalogue_release before = *found;
    catalogue_put(shipped, release);
    found = catalogue_find(shipped, release->text);
    return memcmp(&before, found, sizeof before) != 0;
}

static int facts_send(struct cli *cli, const struct catalogue *given, struct err *err)
{
    CLEANUP(catalogue_free) struct catalogue *shipped = NULL;
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str warnings = { 0 }, text = { 0 };
    Confleet__AskCatalogue import = CONFLEET__ASK_CATALOGUE__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    const Confleet__Reply nothing = CONFLEET__REPLY__INIT;
    size_t count = 0;
    while (catalogue_at(given, count))
        count++;
    CLEANUP(free_mem) struct catalogue_wire *wires = mem_zero(count + 1, sizeof *wires);
    CLEANUP(free_mem) Confleet__Release **list = mem_zero(count + 1, sizeof(void *));
    releases_join(&nothing, &shipped, &warnings);
    out_show(&cli->note, &warnings);
    for (size_t i = 0; i < count; i++) {
        const struct catalogue_release *release = catalogue_at(given, i);
        if (!says_more(shipped, release))
            continue;
        catalogue_wire_fill(&wires[import.n_releases], release);
        list[import.n_releases] = &wires[import.n_releases].release;
        str_addf(&text, "%s%s", import.n_releases ? ", " : "", release->text);
        import.n_releases++;
    }
    if (import.n_releases > 1000)
        return err_set(err, FAIL_LIMIT, "%zu entries at once; at most 400 can be kept",
                       import.n_releases);
    import.releases = list;
    request.what_case = CONFLEET__REQUEST__WHAT_CATALOGUE_IMPORT;
    request.catalogue_import = &import;
    int result = import.n_releases > 0 ? ask(cli, &request, &answer, err) : 0;
    if (result != 0)
        return result;
    CLEANUP(str_free) struct str say = { 0 };
    str_addf(&say, "imported %zu release%s%s%s\n", import.n_releases,
             import.n_releases == 1 ? "" : "s", text.len ? ": " : "", str_text(&text));
    if (count > import.n_releases)
        str_addf(&say, "%zu say nothing beyond the shipped catalogue\n", count - import.n_releases);
    return out_write(&cli->out, &say, err);
}

int cmd_release_import(struct cli *cli, struct err *err)
{
    CLEANUP(catalogue_free) struct catalogue *given = NULL;
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    bool artifact = cli_value(cli, "artifact") != NULL;
    if (!artifact && cli->arg_count == 0)
        return err_set(err, FAIL_USAGE,
                       "give a FILE of releases, or --artifact FILE --version V --build N");
    if (!artifact &&
        (cli_value(cli, "version") || cli_value(cli, "build") || cli_value(cli, "date")))
        return err_set(err, FAIL_USAGE, "--version, --build and --date belong to --artifact");
    int result = 0;
    if (cli->arg_count > 0)
        result = releases_read(cli->args[0], &given, &report, err);
    out_show(&cli->note, &report.text);
    if (result == 0 && given)
        result = facts_send(cli, given, err);
    return result == 0 && artifact ? artifact_import(cli, err) : result;
}
