/* What the upgrade's merge would make of this site's files, tried on copies by the very code that
 * the upgrade runs. */
#include "agent/worker/checks/facts_custom.h"
#include "agent/worker/checks/release_archive.h"
#include "agent/worker/confluence/redact_text.h"
#include "agent/worker/steps/carry.h"
#include "agent/worker/steps/inside.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include <string.h>

#define FILE_MAX_BYTES (4u << 20) /* as the step "carry" has it */
#define DIFF_TIMEOUT_MS 20000

/* ---------------------------------------------------------------- the new version's files */

struct taking {
    const char *fresh;
    const char *name; /* of carry_files, while one is read */
    struct str text;
    size_t found;
};

static int taking_begin(void *arg, const struct release_entry *entry, struct err *err)
{
    struct taking *taking = arg;
    (void)err;
    taking->name = NULL;
    for (const char *const *name = carry_files; *name && !entry->link; name++)
        if (strcmp(*name, entry->path) == 0)
            taking->name = *name;
    str_clear(&taking->text);
    return taking->name != NULL;
}

static int taking_bytes(void *arg, const void *bytes, size_t len, struct err *err)
{
    struct taking *taking = arg;
    if (taking->text.len + len > FILE_MAX_BYTES)
        return err_set(err, FAIL_LIMIT, "%s of the new version is larger than %u bytes",
                       taking->name, FILE_MAX_BYTES);
    str_add_bytes(&taking->text, bytes, len);
    return 0;
}

static int text_put(const char *root, const char *name, const struct str *text, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(root, name), *dir = text_dup(path);
    *strrchr(dir, '/') = 0;
    int rc = fs_mkdirs(dir, 0700, err);
    return rc ? rc : fs_write(path, str_text(text), text->len, 0600, err);
}

static int taking_end(void *arg, uint64_t size, struct err *err)
{
    struct taking *taking = arg;
    CLEANUP(free_mem) char *shipped = fs_join(TREE_SHIPPED, taking->name);
    (void)size;
    taking->found++;
    int rc = text_put(taking->fresh, taking->name, &taking->text, err);
    return rc ? rc : text_put(taking->fresh, shipped, &taking->text, err);
}

static int fresh_take(const char *archive, const char *fresh, int64_t until_mono_ms,
                      struct err *err)
{
    struct taking taking = { .fresh = fresh };
    const struct release_reader reader = { &taking, taking_begin, taking_bytes, taking_end };
    int rc = release_archive_read(archive, &reader, until_mono_ms, err);
    str_free(&taking.text);
    if (rc == 0 && !taking.found)
        rc = err_set(err, FAIL_CORRUPT, "%s is no Confluence archive: it holds no configuration",
                     archive);
    return rc;
}

/* ---------------------------------------------------------------- the diff */

struct diffing {
    const char *root; /* folder of this trial */
    struct str out;
};

/* Only texts without their secrets reach a file that another program reads. */
static int diff_run(struct diffing *diffing, const char *name, const struct str *from,
                    const struct str *to, const char *from_label, const char *to_label,
                    struct err *err)
{
    CLEANUP(str_free) struct str a = { 0 }, b = { 0 };
    CLEANUP(free_mem) char *a_path = fs_join(diffing->root, "a"), *b_path = fs_join(diffing->root, "b");
    CLEANUP(free_mem) char *a_name = text_printf("%s/%s", from_label, name),
                           *b_name = text_printf("%s/%s", to_label, name);
    const char *const argv[] = { "/usr/bin/diff", "-u",   "--text", "--label", a_name, "--label",
                                 b_name,          a_path, b_path,   NULL };
    const struct proc_spec spec = { .argv = argv, .timeout_ms = DIFF_TIMEOUT_MS };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    redact_text(str_text(from), &a);
    redact_text(str_text(to), &b);
    if (strcmp(str_text(&a), str_text(&b)) == 0) {
        str_addf(&diffing->out, "# %s: differs in values alone that are hidden here\n", name);
        return 0;
    }
    if (fs_write(a_path, str_text(&a), a.len, 0600, err) ||
        fs_write(b_path, str_text(&b), b.len, 0600, err) || proc_run(&spec, &result, err))
        return err_wrap(err, "compare %s", name);
    if (result.status != 1 || result.out.len >= PROC_OUTPUT_MAX)
        return err_set(err, FAIL_TOOL, "compare %s: diff ended with status %d, or said too much",
                       name, result.status);
    str_add(&diffing->out, str_text(&result.out));
    return 0;
}

static bool text_get(const char *root, const char *name, struct str *ret)
{
    CLEANUP(free_mem) char *path = fs_join(root, name);
    return fs_read(path, FILE_MAX_BYTES, ret, NULL) == 0;
}

/* Whether the lines of a report name this file at their beginning. */
static bool names_file(const struct str *report, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = str_text(report); *line;) {
        if (strncmp(line, name, len) == 0 && (line[len] == ':' || line[len] == '\n'))
            return true;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return false;
}

static int file_diff(struct diffing *diffing, const struct carry_trial *trial,
                     const struct carry_told *told, const char *name, struct custom_merge *ret,
                     struct err *err)
{
    CLEANUP(str_free) struct str shipped = { 0 }, merged = { 0 }, old = { 0 };
    CLEANUP(free_mem) char *shipped_name = fs_join(TREE_SHIPPED, name);
    const struct inside in = { trial->old, trial->run_uid };
    bool has = text_get(trial->fresh, shipped_name, &shipped);
    bool has_merged = text_get(trial->fresh, name, &merged);
    bool stopped = names_file(&told->stops, name);
    bool left = names_file(&told->left, name) || names_file(&told->differs, name);
    struct err unread = { 0 };
    if (has_merged && (!has || strcmp(str_text(&shipped), str_text(&merged)) != 0)) {
        ret->files++;
        if (diff_run(diffing, name, &shipped, &merged, "shipped-new", "after-merge", err))
            return -err->code;
    }
    if ((stopped || left) && inside_read(in, name, FILE_MAX_BYTES, &old, &unread) == 0 &&
        strcmp(str_text(&old), str_text(&shipped)) != 0) {
        str_addf(&diffing->out, "# %s: %s\n", name,
                 stopped ? "CONFLICT, the upgrade would stop here; the new version against yours"
                         : "not all was carried over; the new version against yours");
        return diff_run(diffing, name, &shipped, &old, "shipped-new", "yours", err);
    }
    return 0;
}

/* ---------------------------------------------------------------- the whole */

static uint64_t text_set(char to[CUSTOM_TEXT], const struct str *from)
{
    uint64_t lines = 0;
    size_t len = from->len;
    for (const char *c = str_text(from); *c; c++)
        lines += *c == '\n';
    while (len && str_text(from)[len - 1] == '\n')
        len--;
    if (len >= CUSTOM_TEXT - 8)
        for (len = CUSTOM_TEXT - 8; len && str_text(from)[len] != '\n'; len--)
            ;
    (void)snprintf(to, CUSTOM_TEXT, "%.*s%s", (int)len, str_text(from),
                   len + 1 < from->len ? "\n..." : "");
    return lines;
}

static void output_head(const struct gather_source *source, const struct carry_trial *trial,
                        const struct carry_told *told, struct str *out)
{
    CLEANUP(free_mem) char *known = fs_join(trial->old, TREE_SHIPPED);
    str_addf(out, "# What an upgrade from %s to %s would make of this site's files.\n",
             source->site->version, source->target.text[0] ? source->target.text : "this archive");
    str_addf(out, "# %s\n",
             fs_is_dir(known) ? "Three ways: the old version's own files are kept here."
                              : "The old version's own files are not kept here: known settings are "
                                "carried over by a rule for each file.");
    const struct {
        const char *title;
        const struct str *text;
    } parts[] = { { "Needs a person before the upgrade", &told->stops },
                  { "Not carried over, may be this site's", &told->left },
                  { "Differs, and is not carried over", &told->differs },
                  { "Left out, since newer Java versions refuse it", &told->dropped } };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].text->len)
            str_addf(out, "# %s:\n", parts[i].title);
        for (const char *line = str_text(parts[i].text); *line;) {
            size_t len = strcspn(line, "\n");
            str_addf(out, "#   %.*s\n", (int)len, line);
            line += len + (line[len] == '\n');
        }
    }
}

static int trial_run(const struct gather_source *source, const struct carry_trial *trial,
                     const char *root, struct custom_merge *ret, struct err *err)
{
    CLEANUP(carry_told_free) struct carry_told told = { .carried = { 0 } };
    struct diffing diffing = { .root = root };
    int rc = 0;
    carry_try(trial, &told);
    output_head(source, trial, &told, &diffing.out);
    for (const char *const *name = carry_files; *name && rc == 0; name++)
        rc = file_diff(&diffing, trial, &told, *name, ret, err);
    ret->conflicts = text_set(ret->conflict_text, &told.stops);
    ret->dropped = text_set(ret->dropped_text, &told.dropped);
    ret->left = text_set(ret->left_text, &told.left);
    (void)text_set(ret->carried_text, &told.carried);
    if (rc == 0 && told.unread.len)
        rc = err_set(err, FAIL_DENIED, "not readable for this account: %.400s",
                     str_text(&told.unread));
    if (source->order->want_diff) {
        CLEANUP(free_mem) char *path = fs_join(source->node->run_dir, "output");
        struct err unsaid = { 0 };
        if (fs_write(path, str_text(&diffing.out), diffing.out.len, 0600, &unsaid) && rc == 0)
            rc = err_set(err, FAIL_IO, "%s", unsaid.text);
    }
    str_free(&diffing.out);
    return rc;
}

static const char *archive_find(const struct gather_source *source, char room[FACT_TEXT])
{
    custom_artifact(source, source->target.text, room);
    if (!room[0] && source->order->artifact[0] && strlen(source->order->artifact) < FACT_TEXT &&
        fs_exists(source->order->artifact))
        (void)snprintf(room, FACT_TEXT, "%s", source->order->artifact);
    return room;
}

void facts_custom_merge(const struct gather_source *source, int64_t until_mono_ms,
                        struct custom_merge *ret)
{
    const struct installation *site = source->site;
    char archive[FACT_TEXT];
    struct err err = { 0 }, ignored = { 0 };
    if (!archive_find(source, archive)[0]) {
        if (source->target.text[0])
            (void)snprintf(ret->why, FACT_TEXT,
                           "the archive of %.60s is not on this server yet, so the merge could not "
                           "be tried",
                           source->target.text);
        else
            (void)snprintf(ret->why, FACT_TEXT, "no release to upgrade to was named");
        return;
    }
    if (!source->node->run_dir[0]) {
        (void)snprintf(ret->why, FACT_TEXT, "there is no folder to try the merge in");
        return;
    }
    CLEANUP(free_mem) char *root = fs_join(source->node->run_dir, "merge"),
                           *fresh = fs_join(root, "new");
    const struct carry_trial trial = { .old = site->install,
                                       .fresh = fresh,
                                       .version = site->version,
                                       .home_or_null = site->home,
                                       .run_uid = site->uid == (uid_t)-1 ? 0 : site->uid };
    int rc = fs_remove_tree(root, &err);
    if (rc == 0)
        rc = fs_mkdirs(fresh, 0700, &err);
    if (rc == 0)
        rc = fresh_take(archive, fresh, until_mono_ms, &err);
    if (rc == 0)
        rc = trial_run(source, &trial, root, ret, &err);
    if (rc == 0)
        ret->known = FACT_YES;
    else
        (void)snprintf(ret->why, FACT_TEXT, "%.511s", err.text);
    /* It holds the site's passwords. */
    if (fs_remove_tree(root, &ignored) != 0 && ret->known == FACT_YES) {
        ret->known = FACT_UNKNOWN;
        (void)snprintf(ret->why, FACT_TEXT, "remove %.100s by hand: %.300s", root, ignored.text);
    }
}
