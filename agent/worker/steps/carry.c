#include "agent/worker/steps/carry.h"
#include "agent/worker/confluence/redact_text.h"
#include "agent/worker/confluence/serverxml.h"
#include "agent/worker/steps/carry_tree.h"
#include "agent/worker/steps/carry_xml.h"
#include "agent/worker/steps/inside.h"
#include "agent/worker/steps/setenv.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include "confleet/properties.h"
#include <errno.h>
#include <string.h>

#define TEXT_MAX (4 << 20)
#define CLASSES "confluence/WEB-INF/classes/"
#define INIT CLASSES "confluence-init.properties"

const char *const carry_files[] = {
    "bin/setenv.sh", "bin/user.sh", "bin/setjre.sh", "conf/server.xml", "conf/web.xml", "conf/context.xml", "conf/catalina.properties",
    "conf/logging.properties", "conf/tomcat-users.xml", "confluence/WEB-INF/web.xml", INIT, CLASSES "seraph-config.xml",
    CLASSES "seraph-paths.xml", CLASSES "crowd.properties", CLASSES "log4j.properties", CLASSES "log4j2.xml", CLASSES "velocity.properties",
    CLASSES "mime.types", CLASSES "atlassian-user.xml", CLASSES "osuser.xml", "confluence/robots.txt", NULL
};
/* These have a rule of their own; of the others a text merge is tried where the old shipped text is known. */
static const char *const ruled[] = { "bin/setenv.sh", "bin/user.sh", "bin/setjre.sh", "conf/server.xml", INIT, NULL };
/* Where a difference decides who can log in. */
static const char *const weighty[] = { "conf/web.xml", "confluence/WEB-INF/web.xml", CLASSES "seraph-config.xml", CLASSES "crowd.properties", NULL };

struct carry {
    struct job *job;
    struct carry_trees trees;
    const char *home, *version;     /* of the old one */
    bool trial;                     /* on copies: owners do not matter */
    struct str carried, dropped, unmerged, weighty, doubts, refused;
};

static void carry_free(struct carry *c)
{
    str_free(&c->carried), str_free(&c->dropped), str_free(&c->unmerged), str_free(&c->weighty), str_free(&c->doubts), str_free(&c->refused);
}

static bool is_in(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* Three texts of one file; missing ones are NULL in s. */
struct three { struct str old, shipped, fresh; bool has_old, has_shipped, has_fresh; };

static void three_free(struct three *t)
{
    str_free(&t->old), str_free(&t->shipped), str_free(&t->fresh);
}

static int read_maybe(struct inside in, const char *name, struct str *ret, bool *ret_has, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(in.tree, name);
    *ret_has = fs_exists(path);
    return *ret_has ? inside_read(in, name, TEXT_MAX, ret, err) : 0;
}

static int three_read(const struct carry *c, const char *name, struct three *t, struct err *err)
{
    const struct inside old = { c->trees.old, c->trees.run_uid }, fresh = { c->trees.new, c->trees.run_uid };
    CLEANUP(free_mem) char *shipped = fs_join(TREE_SHIPPED, name);
    if (read_maybe(old, name, &t->old, &t->has_old, err) || read_maybe(old, shipped, &t->shipped, &t->has_shipped, err) ||
        read_maybe(fresh, shipped, &t->fresh, &t->has_fresh, err))
        return err_wrap(err, "carry %s", name);
    return 0;
}

static int put(const struct carry *c, const char *name, const struct str *text, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(c->trees.new, name);
    struct owner owner;
    if (c->trial)
        return fs_write(path, str_text(text), text->len, 0600, err) ? err_wrap(err, "write %s", name) : 0;
    if (owner_like(c->trees.old, name, &owner, err) || file_replace(path, str_text(text), text->len, 0644, owner, err))
        return err_wrap(err, "write %s", name);
    return 0;
}

static void note_lines(struct str *out, const char *name, const struct str *lines)
{
    for (const char *line = str_text(lines); *line;) {
        size_t len = strcspn(line, "\n");
        str_addf(out, "%s: %.*s\n", name, (int)len, line);
        line += len + (line[len] == '\n');
    }
}

/* ---------------------------------------------------------------- files with a rule */

static int carry_setenv(struct carry *c, struct err *err)
{
    CLEANUP(three_free) struct three t = { 0 };
    CLEANUP(setenv_report_free) struct setenv_report report = { 0 };
    CLEANUP(str_free) struct str merged = { 0 };
    if (three_read(c, "bin/setenv.sh", &t, err))
        return -err->code;
    if (!t.has_old || !t.has_fresh)
        return 0;
    if (setenv_merge(str_text(&t.old), t.has_shipped ? str_text(&t.shipped) : NULL, str_text(&t.fresh), c->version, &merged,
                     &report, err) ||
        put(c, "bin/setenv.sh", &merged, err))
        return err_wrap(err, "carry Java options");
    note_lines(&c->carried, "bin/setenv.sh", &report.carried);
    note_lines(&c->dropped, "bin/setenv.sh", &report.dropped);
    note_lines(&c->weighty, "bin/setenv.sh", &report.left);
    return 0;
}

/* The value of CONF_USER="…"; NULL when there is none. Not owned. */
static const char *user_span(const char *text, size_t *ret_len)
{
    const char *at = text;
    for (; (at = strstr(at, "CONF_USER=\"")) != NULL; at++)
        if (at == text || at[-1] == '\n' || at[-1] == ' ') {
            at += strlen("CONF_USER=\"");
            *ret_len = strcspn(at, "\"\n");
            return at[*ret_len] == '"' ? at : NULL;
        }
    return NULL;
}

static int carry_user(struct carry *c, struct err *err)
{
    CLEANUP(three_free) struct three t = { 0 };
    size_t old_len = 0, new_len = 0;
    if (three_read(c, "bin/user.sh", &t, err))
        return -err->code;
    const char *old = user_span(str_text(&t.old), &old_len), *fresh = user_span(str_text(&t.fresh), &new_len);
    if (!old || !fresh || (old_len == new_len && memcmp(old, fresh, old_len) == 0)) {
        if (old && old_len && !fresh)
            return err_set(err, FAIL_CONFLICT, "bin/user.sh of the new version has no CONF_USER to carry the run user to");
        return t.has_fresh ? put(c, "bin/user.sh", &t.fresh, err) : 0;
    }
    CLEANUP(str_free) struct str merged = { 0 };
    str_addf(&merged, "%.*s%.*s%s", (int)(fresh - str_text(&t.fresh)), str_text(&t.fresh), (int)old_len, old, fresh + new_len);
    str_addf(&c->carried, "bin/user.sh: CONF_USER\n");
    return put(c, "bin/user.sh", &merged, err);
}

static int carry_server(struct carry *c, struct err *err)
{
    CLEANUP(three_free) struct three t = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report report = { 0 };
    struct serverxml result;
    if (three_read(c, "conf/server.xml", &t, err))
        return -err->code;
    if (!t.has_old || !t.has_fresh)
        return err_set(err, FAIL_NOT_FOUND, "conf/server.xml is missing in the %s version", t.has_old ? "new" : "old");
    if (serverxml_merge(&t.old, t.has_shipped ? &t.shipped : NULL, &t.fresh, &report, err) || serverxml_parse(&t.fresh, &result, err) ||
        put(c, "conf/server.xml", &t.fresh, err))
        return err_wrap(err, "carry conf/server.xml");
    note_lines(&c->carried, "conf/server.xml", &report.carried);
    note_lines(&c->weighty, "conf/server.xml", &report.left);
    return 0;
}

/* Is this line a live "confluence.home = …"? Then where its value starts, else NULL. */
static const char *home_line(const char *line)
{
    line += strspn(line, " \t\f");
    if (strncmp(line, "confluence.home", 15) != 0)
        return NULL;
    line += 15;
    const char *value = line + strspn(line, " \t=:");
    return value == line ? NULL : value;
}

static int carry_init(struct carry *c, struct err *err)
{
    CLEANUP(three_free) struct three t = { 0 };
    CLEANUP(str_free) struct str merged = { 0 };
    if (three_read(c, INIT, &t, err))
        return -err->code;
    for (const char *line = str_text(&t.fresh); *line;) {
        size_t len = strcspn(line, "\n");
        if (!home_line(line))
            str_addf(&merged, "%.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
    str_add(&merged, "confluence.home=");
    for (const char *at = c->home; *at; at++)
        str_addf(&merged, "%s%c", *at == '\\' || (at == c->home && *at == ' ') ? "\\" : "", *at);
    str_add(&merged, "\n");
    str_add(&c->carried, INIT ": confluence.home\n");
    return put(c, INIT, &merged, err);
}

/* ---------------------------------------------------------------- files without one */

/* diff3 opens by name: it gets what was read, in our own tree, never a name in the old one. */
static int text_merge(struct carry *c, const char *name, const struct three *t, struct err *err)
{
    CLEANUP(free_mem) char *mine = fs_join(c->trees.new, TREE_FOLDER "/merge-mine"), *base = fs_join(c->trees.new, TREE_FOLDER "/merge-base");
    CLEANUP(free_mem) char *ours = text_printf("%s/" TREE_SHIPPED "/%s", c->trees.new, name);
    const char *const argv[] = { "/usr/bin/diff3", "-m", mine, base, ours, NULL };
    const struct proc_spec spec = { .argv = argv, .timeout_ms = 30000 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    if (fs_write(mine, str_text(&t->old), t->old.len, 0600, err) || fs_write(base, str_text(&t->shipped), t->shipped.len, 0600, err) ||
        proc_run(&spec, &result, err) || fs_unlink(mine, err) || fs_unlink(base, err))
        return err_wrap(err, "merge %s", name);
    if (result.status == 1)
        return err_set(err, FAIL_CONFLICT, "%s was changed here and, in the same place, by the new version; merge it by hand into the old "
                       "installation's file, or put the shipped one back, and try again", name);
    if (result.status != 0 || result.out.len >= PROC_OUTPUT_MAX)
        return err_set(err, FAIL_TOOL, "merge %s: diff3 ended with status %d", name, result.status);
    str_addf(&c->carried, "%s: merged\n", name);
    return put(c, name, &result.out, err);
}

static bool same(const struct str *a, const struct str *b)
{
    return a->len == b->len && memcmp(str_text(a), str_text(b), a->len) == 0;
}

/* Without the old shipped text: what can be told apart by its meaning. 1 when the file had such a rule. */
static int meaning_merge(struct carry *c, const char *name, struct three *t, struct err *err)
{
    CLEANUP(carry_xml_report_free) struct carry_xml_report report = { 0 };
    struct err unread = { 0 };
    size_t len = strlen(name);
    bool seraph = strcmp(name, CLASSES "seraph-config.xml") == 0;
    if (!t->has_fresh || (!seraph && (len < 7 || strcmp(name + len - 7, "web.xml") != 0)))
        return 0;
    /* A file that is no plain XML is left to a person. */
    if (seraph ? carry_seraph_merge(&t->old, &t->fresh, &report, &unread) : carry_web_merge(&t->old, &t->fresh, &report, &unread))
        return 0;
    note_lines(&c->carried, name, &report.carried);
    note_lines(&c->weighty, name, &report.left);
    return put(c, name, &t->fresh, err) ? -err->code : 1;
}

static int carry_text(struct carry *c, const char *name, struct err *err)
{
    CLEANUP(three_free) struct three t = { 0 };
    int rc = three_read(c, name, &t, err);
    if (rc)
        return carry_refused(&c->trees, rc, err) ? 0 : rc;
    if (!t.has_old || (t.has_fresh && same(&t.old, &t.fresh)) || (t.has_shipped && same(&t.old, &t.shipped)))
        return 0;
    if (t.has_shipped && t.has_fresh && same(&t.shipped, &t.fresh)) {
        str_addf(&c->carried, "%s\n", name);
        return put(c, name, &t.old, err);
    }
    if (t.has_shipped && t.has_fresh)
        return text_merge(c, name, &t, err);
    int done = meaning_merge(c, name, &t, err);
    if (done)
        return done > 0 ? 0 : done;
    str_addf(is_in(weighty, name) ? &c->weighty : &c->unmerged, "%s\n", name);
    return 0;
}

/* ---------------------------------------------------------------- the whole */

int carry_home_check(const char *tree, const char *home, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    int rc = installation_read(tree, NULL, "/proc", &found, err);
    if (rc)
        return rc;
    CLEANUP(free_mem) char *real = realpath(home, NULL);
    if (!found.home || !real || strcmp(found.home, real) != 0)
        return err_set(err, FAIL_MISMATCH, "%s says its home is '%s', it must be '%s'", tree, found.home ? found.home : "", home);
    return 0;
}

static void tell(struct carry *c)
{
    if (c->carried.len)
        job_finding(c->job, "carried", CONFLEET__SEVERITY__INFO, "carried over to the new version", NULL, "%s", str_text(&c->carried));
    if (c->dropped.len)
        job_finding(c->job, "carry-java-options", CONFLEET__SEVERITY__WARN, "Java options left out because newer Java versions refuse them",
                    "replace them by what the new Java offers, if they are still wanted", "%s", str_text(&c->dropped));
    if (c->weighty.len)
        job_finding(c->job, "carry-unmerged", CONFLEET__SEVERITY__WARN, "files that may hold changes of this site and were not carried over",
                    "compare them with the new version's; put changes in before the next step if they are needed", "%s", str_text(&c->weighty));
    if (c->unmerged.len)
        job_finding(c->job, "carry-differs", CONFLEET__SEVERITY__INFO, "files that differ from the new version's and were not carried over",
                    "compare them when something is missed", "%s", str_text(&c->unmerged));
    if (c->refused.len)
        job_finding(c->job, "carry-refused", CONFLEET__SEVERITY__WARN, "files of the old installation that are not safe to read were left out",
                    "put the file itself there, owned by root or the run user, and try again", "%s", str_text(&c->refused));
    if (c->doubts.len)
        job_finding(c->job, "carry-jars", CONFLEET__SEVERITY__WARN, "libraries that the new version does not ship, and nobody knows whose they are",
                    "remove or add them in WEB-INF/lib of the new version", "%s", str_text(&c->doubts));
}

static int carry_all(struct carry *c, struct err *err)
{
    if (carry_setenv(c, err) || carry_user(c, err) || carry_server(c, err) || carry_init(c, err))
        return -err->code;
    for (const char *const *name = carry_files; *name; name++)
        if (!is_in(ruled, *name) && carry_text(c, *name, err))
            return -err->code;
    if (carry_jars(&c->trees, &c->carried, &c->doubts, err) || carry_conf(&c->trees, &c->carried, err) || carry_java(&c->trees, &c->carried, err))
        return -err->code;
    if (carry_home_check(c->trees.new, c->home, err))
        return err_wrap(err, "what was carried over");
    return 0;
}

void carry_told_free(struct carry_told *told)
{
    str_free(&told->carried), str_free(&told->dropped), str_free(&told->left), str_free(&told->differs), str_free(&told->stops), str_free(&told->unread);
}

/* A file that this account may not read says nothing about the step, which is done by root. */
static void try_one(struct carry_told *told, const char *name, int rc, const struct err *err)
{
    bool unread = rc && (err->sys == EACCES || err->sys == EPERM);
    CLEANUP(str_free) struct str shown = { 0 };
    if (!rc)
        return;
    redact_text(err->text, &shown);
    str_addf(unread ? &told->unread : &told->stops, "%s: %s\n", name, str_text(&shown));
}

void carry_try(const struct carry_trial *trial, struct carry_told *ret)
{
    static const struct { const char *name; int (*act)(struct carry *c, struct err *err); } ways[] = {
        { "bin/setenv.sh", carry_setenv }, { "bin/user.sh", carry_user }, { "conf/server.xml", carry_server }, { INIT, carry_init }
    };
    CLEANUP(carry_free) struct carry c = { .trees = { .old = trial->old, .new = trial->fresh, .run_uid = trial->run_uid },
                                           .home = trial->home_or_null, .version = trial->version, .trial = true };
    c.trees.refused = &c.refused;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct err err = { 0 };
        if (trial->home_or_null || ways[i].act != carry_init)
            try_one(ret, ways[i].name, ways[i].act(&c, &err), &err);
    }
    for (const char *const *name = carry_files; *name; name++) {
        struct err err = { 0 };
        if (!is_in(ruled, *name))
            try_one(ret, *name, carry_text(&c, *name, &err), &err);
    }
    str_add(&ret->carried, str_text(&c.carried));
    str_add(&ret->dropped, str_text(&c.dropped));
    str_add(&ret->left, str_text(&c.weighty));
    str_add(&ret->left, str_text(&c.refused));
    str_add(&ret->differs, str_text(&c.unmerged));
}

int carry_act(struct job *job, struct err *err)
{
    CLEANUP(free_mem) char *new_tree = site_stage(job, "new");
    CLEANUP(carry_free) struct carry c = { .job = job, .trees = { .old = job_node(job)->install, .new = new_tree }, .home = site_home(job),
                                          .version = job_memo(job, MEMO_OLD_VERSION) };
    c.trees.run_uid = inside_uid(job_memo(job, MEMO_RUN_USER));
    c.trees.refused = &c.refused;
    bool fresh = false, old = false;
    if (tree_mark_read(job, new_tree, &fresh, err) || tree_mark_read(job, c.trees.old, &old, err))
        return -err->code;
    if (!fresh || old)
        return err_set(err, FAIL_CONFLICT, "%s is not the tree that this run unpacked", new_tree);
    if (!c.home[0])
        return err_set(err, FAIL_NOT_FOUND, "the home of %s is not known", c.trees.old);
    int rc = carry_all(&c, err);
    if (rc == 0)
        tell(&c);
    return rc;
}

int carry_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    CLEANUP(free_mem) char *new_tree = site_stage(job, "new");
    bool ours = false;
    if (tree_mark_read(job, new_tree, &ours, err))
        return -err->code;
    /* Whether all was carried cannot be seen from outside; doing it again costs seconds and starts from the shipped files. */
    *ret = ours ? CONFLEET__PROBE_STATE__PARTIAL : CONFLEET__PROBE_STATE__ABSENT;
    return 0;
}
