#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/client.h"
#include "controller/cli/commands.h"
#include "controller/cli/releases.h"
#include <inttypes.h>
#include <string.h>

/* One line: what the catalogue says, with what there is of an artifact. */
struct row {
    struct catalogue_wire wire;
    const char *origin;
};
struct view {
    struct catalogue *catalogue;
    struct answer answer;
    struct str warnings;
    struct row *rows;
    Confleet__Release **list; /* of the rows */
    size_t count;
};

static void view_free(struct view *view)
{
    catalogue_free(&view->catalogue);
    answer_free(&view->answer);
    str_free(&view->warnings);
    free(view->rows);
    free(view->list);
}

static const Confleet__Release *find(Confleet__Release *const *list, size_t count,
                                     const char *version)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i]->version, version) == 0)
            return list[i];
    return NULL;
}

static void row_add(struct view *view, const struct catalogue_release *release,
                    const Confleet__Release *artifact, bool imported)
{
    struct row *row = &view->rows[view->count];
    if (release)
        catalogue_wire_fill(&row->wire, release);
    else
        row->wire.release = *artifact;
    if (artifact) {
        row->wire.release.artifact_sha256 = artifact->artifact_sha256;
        row->wire.release.artifact_size = artifact->artifact_size;
        row->wire.release.artifact_name = artifact->artifact_name;
    }
    row->origin = artifact && artifact->artifact_size ? "artifact" : imported ? "imported" : "";
    view->list[view->count++] = &row->wire.release;
}

/* The newest release of a feature version whose support has not ended. */
static bool is_current(const struct view *view, size_t at, const char *today)
{
    const struct catalogue_release *release = catalogue_at(view->catalogue, at),
                                   *next = catalogue_at(view->catalogue, at + 1);
    return release->version.rank == 0 && strncmp(release->eol, today, 10) >= 0 &&
           !(next && version_same_feature(&release->version, &next->version));
}

static bool is_wanted(const struct cli *cli, const struct view *view, size_t at, const char *today,
                      bool own)
{
    const char *feature = cli_value(cli, "feature");
    struct version wanted;
    if (feature)
        return version_parse(feature, &wanted) &&
               version_same_feature(&wanted, &catalogue_at(view->catalogue, at)->version);
    return own || cli_flag(cli, "all") || is_current(view, at, today);
}

static int view_make(struct cli *cli, struct view *view, struct err *err)
{
    char today[CLOCK_TEXT_MAX];
    struct version version;
    const char *feature = cli_value(cli, "feature");
    if (feature && !version_parse(feature, &version))
        return err_set(err, FAIL_USAGE, "--feature '%s' is no feature version such as 9.2",
                       feature);
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_RELEASE_LIST, &view->answer, err);
    if (result != 0)
        return result;
    const Confleet__Reply *reply = view->answer.reply;
    size_t count = 0;
    releases_join(reply, &view->catalogue, &view->warnings);
    out_show(&cli->note, &view->warnings);
    while (catalogue_at(view->catalogue, count))
        count++;
    view->rows = mem_zero(count + reply->n_releases + 1, sizeof *view->rows);
    view->list = mem_zero(count + reply->n_releases + 1, sizeof(void *));
    (void)clock_text(clock_wall_ms(), today);
    for (size_t i = 0; i < count; i++) {
        const struct catalogue_release *release = catalogue_at(view->catalogue, i);
        const Confleet__Release *artifact = find(reply->releases, reply->n_releases, release->text);
        bool imported = find(reply->catalogue, reply->n_catalogue, release->text) != NULL;
        if (is_wanted(cli, view, i, today, artifact || imported))
            row_add(view, release, artifact, imported);
    }
    /* Some that were brought have a name of their own, which is no version. */
    for (size_t i = 0; i < reply->n_releases && !feature; i++)
        if (!version_parse(reply->releases[i]->version, &version))
            row_add(view, NULL, reply->releases[i], false);
    return 0;
}

static void java_text(const Confleet__Release *release, struct str *to)
{
    for (size_t i = 0; i < release->n_java; i++)
        str_addf(to, "%s%u", i ? ", " : "", release->java[i]);
}

static void rows_print(const struct view *view, struct str *text)
{
    static const char *const heads[] = { "VERSION", "BUILD", "DATE",     "SUPPORTED TO", "LTS",
                                         "JAVA",    "FROM",  "ARTIFACT", "HERE AS" };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 9 };
    for (size_t i = 0; i < view->count; i++) {
        const Confleet__Release *release = view->list[i];
        CLEANUP(str_free) struct str java = { 0 };
        char size[24];
        java_text(release, &java);
        table_add(&table, release->version);
        if (release->build)
            table_addf(&table, "%u", release->build);
        else
            table_add(&table, "");
        table_add(&table, release->date);
        table_add(&table, release->eol_date);
        table_add(&table, strcmp(release->lts, "yes") == 0 ? "yes" : "");
        table_add(&table, str_text(&java));
        if (!release->floor_version[0] && release->floor_build)
            table_addf(&table, "build %u", release->floor_build);
        else
            table_add(&table, release->floor_version);
        table_add(&table, release->artifact_size ? text_size(release->artifact_size, size) : "");
        table_add(&table, view->rows[i].origin);
    }
    table_print(&table, text);
}

int cmd_release_list(struct cli *cli, struct err *err)
{
    CLEANUP(view_free) struct view view = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    int result = view_make(cli, &view, err);
    if (result != 0)
        return result;
    if (cli_flag(cli, "json")) {
        JSON_LIST(&text, "releases", view.list, view.count);
        return out_write(&cli->out, &text, err);
    }
    if (view.count > 0)
        rows_print(&view, &text);
    else
        str_add(&text, "no such release is known\n");
    if (!cli_flag(cli, "all") && !cli_value(cli, "feature"))
        str_add(&text, "\nWhat was imported, and the newest of each supported feature version; "
                       "all: --all, one: --feature 9.2\n");
    return out_write(&cli->out, &text, err);
}

static void line_add(struct str *to, const char *label, const char *value)
{
    str_addf(to, "  %-15s ", label);
    out_clean(to, value[0] ? value : "not known");
    str_add(to, "\n");
}

static void show_facts(const Confleet__Release *release, struct str *text)
{
    CLEANUP(str_free) struct str java = { 0 };
    char floor[96];
    java_text(release, &java);
    (void)snprintf(floor, sizeof floor, "%.64s", release->floor_version);
    if (!floor[0] && release->floor_build)
        (void)snprintf(floor, sizeof floor, "build %u", release->floor_build);
    line_add(text, "date", release->date);
    line_add(text, "supported to", release->eol_date);
    line_add(text, "long-term", release->lts);
    line_add(text, "upgrade from", floor);
    line_add(text, "java", str_text(&java));
    for (size_t i = 0; i < release->n_platforms; i++)
        line_add(text, release->platforms[i]->key, release->platforms[i]->value);
    if (release->n_platforms == 0)
        line_add(text, "databases", "");
    line_add(text, "data center",
             strcmp(release->data_center_only, "yes") == 0  ? "only"
             : strcmp(release->data_center_only, "no") == 0 ? "not needed"
                                                            : "");
    if (release->note[0])
        line_add(text, "note", release->note);
    if (release->note_url[0])
        line_add(text, "notes at", release->note_url);
    line_add(text, "source", release->source);
}

int cmd_release_show(struct cli *cli, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    CLEANUP(str_free) struct str text = { 0 }, warnings = { 0 };
    struct catalogue_wire wire;
    char size[24];
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_RELEASE_LIST, &answer, err);
    if (result != 0)
        return result;
    releases_join(answer.reply, &catalogue, &warnings);
    out_show(&cli->note, &warnings);
    const struct catalogue_release *known = catalogue_find(catalogue, cli->args[0]);
    const Confleet__Release *brought =
        find(answer.reply->releases, answer.reply->n_releases, known ? known->text : cli->args[0]);
    if (!known && !brought)
        return err_set(err, FAIL_NOT_FOUND, "no release '%s'; see: confleet release list",
                       cli->args[0]);
    Confleet__Release found = CONFLEET__RELEASE__INIT;
    if (known) {
        catalogue_wire_fill(&wire, known);
        found = wire.release;
    }
    if (brought) {
        found.version = brought->version;
        found.build = brought->build;
        found.artifact_name = brought->artifact_name;
        found.artifact_size = brought->artifact_size;
        found.artifact_sha256 = brought->artifact_sha256;
    }
    if (cli_flag(cli, "json")) {
        json_one(&text, "release", &found.base);
        return out_write(&cli->out, &text, err);
    }
    out_clean(&text, found.version);
    if (found.build)
        str_addf(&text, "\n  %-15s %u\n", "build", found.build);
    else
        str_addf(&text, "\n  %-15s not known\n", "build");
    show_facts(&found, &text);
    line_add(&text, "artifact", found.artifact_size ? found.artifact_name : "none here");
    if (found.artifact_size)
        str_addf(&text, "  %-15s %s (%" PRIu64 " bytes)\n  %-15s %s\n", "size",
                 text_size(found.artifact_size, size), found.artifact_size, "sha256",
                 found.artifact_sha256);
    return out_write(&cli->out, &text, err);
}
