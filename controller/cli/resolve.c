#include "controller/cli/resolve.h"
#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "controller/cli/resolve_inside.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define WORDS_MAX     256                      /* of a suggestion */
#define PLAN_SIZE_MAX (WIRE_FRAME_MAX - 65536) /* approvals travel in the same frame */

void plan_free(Confleet__Plan **plan)
{
    if (*plan)
        confleet__plan__free_unpacked(*plan, NULL);
    *plan = NULL;
}

size_t plan_site_count(const Confleet__Plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->n_stages; i++)
        count += plan->stages[i]->n_sites;
    return count;
}

static const char *label_find(const Confleet__SiteView *site, const char *key, size_t key_len)
{
    if (key_len == strlen("site") && memcmp(key, "site", key_len) == 0)
        return site->name;
    for (size_t i = 0; i < site->n_labels; i++) {
        if (strlen(site->labels[i]->key) == key_len &&
            memcmp(site->labels[i]->key, key, key_len) == 0)
            return site->labels[i]->value;
    }
    return NULL;
}

bool site_has_label(const Confleet__SiteView *site, const char *key, size_t key_len,
                    const char *value)
{
    const char *label = label_find(site, key, key_len);
    return label && strcmp(label, value) == 0;
}

void resolve_complain(const struct resolve_in *in, struct yaml_report *report, struct yaml_at at,
                      const char *format, ...)
{
    CLEANUP(str_free) struct str text = { 0 };
    va_list ap;
    va_start(ap, format);
    str_vaddf(&text, format, ap);
    va_end(ap);
    planfile_complain(in->file, report, at, "%s", str_text(&text));
}

const Confleet__SiteView *resolve_site(const struct resolve_in *in, const char *name)
{
    for (size_t i = 0; i < in->site_count; i++) {
        if (strcmp(in->sites[i]->name, name) == 0)
            return in->sites[i];
    }
    return NULL;
}

struct yaml_at at_or(struct yaml_at at, struct yaml_at otherwise)
{
    return at.line > 0 ? at : otherwise;
}

size_t stage_before(const struct planfile *file, size_t i)
{
    const char *needed = planfile_stage(file, i)->needs.stage;
    for (size_t n = 0; needed && n < i; n++) {
        if (strcmp(planfile_stage(file, n)->name, needed) == 0)
            return n;
    }
    return i > 0 ? i - 1 : 0;
}

static bool stage_selects(const struct plan_stage *stage, const Confleet__SiteView *site)
{
    const struct yaml_pair *pairs = stage->select.items;
    for (size_t i = 0; i < stage->select.count; i++) {
        if (!site_has_label(site, pairs[i].key, strlen(pairs[i].key), pairs[i].value))
            return false;
    }
    return stage->select.count > 0;
}

/* False when the file's own check has complained about an empty value. */
static bool stage_can_select(const struct plan_stage *stage)
{
    const struct yaml_pair *pairs = stage->select.items;
    for (size_t i = 0; i < stage->select.count; i++) {
        if (!pairs[i].value[0])
            return false;
    }
    return stage->select.count > 0;
}

static const Confleet__Release *release_find(const struct resolve_in *in,
                                             struct yaml_report *report)
{
    const char *words[WORDS_MAX + 1] = { NULL };
    for (size_t i = 0; i < in->release_count; i++) {
        if (strcmp(in->releases[i]->version, in->file->release) == 0)
            return in->releases[i];
        if (i < WORDS_MAX)
            words[i] = in->releases[i]->version;
    }
    const char *meant = yaml_suggest(in->file->release, words);
    yaml_report_add(report, in->file->file, in->file->source, in->file->release_at,
                    "release: the controller has no release \"%s\"; bring it with: confleet release "
                    "import --artifact FILE%s%s%s",
                    in->file->release, meant ? "; or did you mean \"" : "", meant ? meant : "",
                    meant ? "\"?" : "");
    return NULL;
}

static const Confleet__AgentView *agent_find(const struct resolve_in *in, const char *name)
{
    for (size_t i = 0; i < in->agent_count; i++) {
        if (strcmp(in->agents[i]->name, name) == 0)
            return in->agents[i];
    }
    return NULL;
}

enum fitness { FITS, FITS_ALREADY, FITS_NOT };

/* Why the site's only node cannot take the release. */
static enum fitness node_judge(const struct resolve_in *in, const Confleet__InstallationView *node,
                               const Confleet__Release *release, struct str *why)
{
    const Confleet__Installation *one = node->installation;
    const Confleet__AgentView *agent = agent_find(in, node->agent);
    if (!agent || strcmp(agent->state, "accepted") != 0)
        str_addf(why, "its agent %s is %s", node->agent, agent ? agent->state : "not known");
    else if (!one || !one->id[0] || !one->install[0])
        str_addf(why, "agent %s does not report its installation", node->agent);
    else if (one->clustered)
        str_add(why, "it is a node of a cluster, which this version does not upgrade");
    else if (one->app_build == 0)
        str_addf(why, "its build number is unknown; see: confleet agent show %s", node->agent);
    else if (one->app_build < release->build)
        return FITS;
    if (why->len > 0)
        return FITS_NOT;
    if (one->app_build == release->build) {
        str_addf(why, "it is on build %u already", one->app_build);
        return FITS_ALREADY;
    }
    str_addf(why, "it is on build %u, newer than %s (build %u)", one->app_build, release->version,
             release->build);
    return FITS_NOT;
}

static enum fitness site_judge(const struct resolve_in *in, const Confleet__SiteView *site,
                               const Confleet__Release *release, struct str *why)
{
    if (site->n_nodes == 1)
        return node_judge(in, site->nodes[0], release, why);
    if (site->n_nodes == 0)
        str_addf(why, "it has no node: confleet site set %s --node HOST:INSTALL", site->name);
    else
        str_addf(why, "it has %zu nodes; this version upgrades sites of one node", site->n_nodes);
    return FITS_NOT;
}

/* ------------------------------------------------------------------ building the message; every
 * text is its own */

char *own(const char *text)
{
    return text_dup(text ? text : "");
}

static void excluded_add(Confleet__Plan *plan, const char *site, const char *reason)
{
    Confleet__PlanExcluded *excluded = mem_zero(1, sizeof *excluded);
    confleet__plan_excluded__init(excluded);
    excluded->site = own(site);
    excluded->reason = own(reason);
    plan->excluded = mem_grow(plan->excluded, plan->n_excluded + 1, sizeof(void *));
    plan->excluded[plan->n_excluded++] = excluded;
}

static Confleet__PlanSite *site_make(const Confleet__SiteView *view)
{
    Confleet__PlanSite *site = mem_zero(1, sizeof *site);
    Confleet__PlanNode *node = mem_zero(1, sizeof *node);
    const char *env = label_find(view, "env", 3);
    confleet__plan_site__init(site);
    confleet__plan_node__init(node);
    node->agent = own(view->nodes[0]->agent);
    node->installation = own(view->nodes[0]->installation->id);
    site->name = own(view->name);
    site->env = own(env);
    site->n_nodes = 1;
    site->nodes = mem_zero(1, sizeof(void *));
    site->nodes[0] = node;
    site->from_version = own(view->nodes[0]->installation->version);
    site->from_build = view->nodes[0]->installation->app_build;
    site->covered_by = own(view->covered_by);
    return site;
}

static Confleet__PlanStage *stage_make(const struct plan_stage *from)
{
    Confleet__PlanStage *stage = mem_zero(1, sizeof *stage);
    confleet__plan_stage__init(stage);
    stage->name = own(from->name);
    stage->soak_ms = from->soak_ms;
    stage->n_batch = from->batch_count;
    stage->batch = mem_zero(from->batch_count, sizeof *stage->batch);
    memcpy(stage->batch, from->batches, from->batch_count * sizeof *stage->batch);
    stage->needs_stage = own(from->needs.stage);
    stage->needs_approvals = (uint32_t)from->needs.approvals;
    stage->needs_covered = from->needs.covered;
    return stage;
}

static void stage_site_add(Confleet__PlanStage *stage, const Confleet__SiteView *view)
{
    stage->sites = mem_grow(stage->sites, stage->n_sites + 1, sizeof(void *));
    stage->sites[stage->n_sites++] = site_make(view);
}

/* What the catalogue says of it, so that it is signed with the plan. */
static void release_known(const struct resolve_in *in, Confleet__Release *release)
{
    const struct catalogue_release *known = catalogue_find(in->catalogue, release->version);
    struct catalogue_wire wire;
    if (!known)
        return;
    catalogue_wire_fill(&wire, known);
    const Confleet__Release *from = &wire.release;
    if (!release->date[0]) {
        free(release->date);
        release->date = own(from->date);
    }
    release->floor_version = own(from->floor_version);
    release->floor_build = from->floor_build;
    release->data_center_only = own(from->data_center_only);
    release->lts = own(from->lts);
    release->eol_date = own(from->eol_date);
    release->note = own(from->note);
    release->note_url = own(from->note_url);
    release->source = own(from->source);
    release->n_java = from->n_java;
    release->java = mem_zero(from->n_java + 1, sizeof *release->java);
    memcpy(release->java, from->java, from->n_java * sizeof *release->java);
    release->platforms = mem_zero(from->n_platforms + 1, sizeof(void *));
    for (size_t i = 0; i < from->n_platforms; i++) {
        Confleet__KeyValue *pair = mem_zero(1, sizeof *pair);
        confleet__key_value__init(pair);
        pair->key = own(from->platforms[i]->key);
        pair->value = own(from->platforms[i]->value);
        release->platforms[release->n_platforms++] = pair;
    }
}

static Confleet__Plan *plan_make(const struct resolve_in *in, const Confleet__Release *release)
{
    Confleet__Plan *plan = mem_zero(1, sizeof *plan);
    confleet__plan__init(plan);
    plan->format = 1;
    plan->fleet = own(in->fleet);
    plan->id = text_printf("%.40s-%" PRIu64, in->file->name, in->serial);
    plan->name = own(in->file->name);
    plan->serial = in->serial;
    plan->created_ms = in->now_ms;
    plan->release = mem_zero(1, sizeof *plan->release);
    confleet__release__init(plan->release);
    plan->release->version = own(release->version);
    plan->release->build = release->build;
    plan->release->date = own(release->date);
    plan->release->artifact_sha256 = own(release->artifact_sha256);
    plan->release->artifact_size = release->artifact_size;
    plan->release->artifact_name = own(release->artifact_name);
    release_known(in, plan->release);
    char *const *notes = in->file->notes_read.items;
    plan->notes_read = mem_zero(in->file->notes_read.count + 1, sizeof(char *));
    for (size_t i = 0; i < in->file->notes_read.count; i++)
        plan->notes_read[plan->n_notes_read++] = own(notes[i]);
    plan->backup_level = planfile_level(in->file);
    plan->on_failure = own(planfile_failures[in->file->on_failure]);
    plan->signed_by = own(in->operator);
    return plan;
}

/* ------------------------------------------------------------------ who goes where */

struct tally {
    size_t selected, in, already;
}; /* of one stage */

static void select_text(const struct plan_stage *stage, struct str *text)
{
    const struct yaml_pair *pairs = stage->select.items;
    for (size_t i = 0; i < stage->select.count; i++)
        str_addf(text, "%s%s=%s", i > 0 ? ", " : "", pairs[i].key, pairs[i].value);
}

/* The value that was probably meant, of the first key whose value no site has. */
static const char *value_meant(const struct resolve_in *in, const struct plan_stage *stage)
{
    const struct yaml_pair *pairs = stage->select.items;
    for (size_t p = 0; p < stage->select.count; p++) {
        const char *words[WORDS_MAX + 1] = { NULL };
        size_t count = 0;
        bool hit = false;
        for (size_t i = 0; i < in->site_count && count < WORDS_MAX; i++) {
            const char *value = label_find(in->sites[i], pairs[p].key, strlen(pairs[p].key));
            if (value)
                words[count++] = value;
            hit = hit || (value && strcmp(value, pairs[p].value) == 0);
        }
        if (!hit)
            return yaml_suggest(pairs[p].value, words);
    }
    return NULL;
}

static void stage_empty(const struct resolve_in *in, const struct plan_stage *stage,
                        struct yaml_report *report)
{
    CLEANUP(str_free) struct str text = { 0 };
    const char *meant = value_meant(in, stage);
    select_text(stage, &text);
    yaml_report_add(report, in->file->file, in->file->source, stage->select_at,
                    "stage \"%s\" selects no site: none has %s%s%s%s", stage->name, str_text(&text),
                    meant ? "; did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
}

static void site_place(const struct resolve_in *in, const Confleet__SiteView *site,
                       const Confleet__Release *release, Confleet__Plan *plan,
                       struct tally *tallies, struct yaml_report *report)
{
    const struct plan_stage *taken = NULL;
    size_t at = 0;
    CLEANUP(str_free) struct str why = { 0 };
    for (size_t i = 0; i < in->file->stages.count; i++) {
        const struct plan_stage *stage = planfile_stage(in->file, i);
        if (!stage_selects(stage, site))
            continue;
        tallies[i].selected++;
        if (taken)
            yaml_report_add(report, in->file->file, in->file->source, stage->select_at,
                            "site \"%s\" is selected by stage \"%s\" and by stage \"%s\"; a site "
                            "belongs to one stage",
                            site->name, taken->name, stage->name);
        at = taken ? at : i;
        taken = taken ? taken : stage;
    }
    if (!taken) {
        excluded_add(plan, site->name, "no stage selects it");
        return;
    }
    enum fitness fitness = site_judge(in, site, release, &why);
    tallies[at].already += fitness == FITS_ALREADY;
    tallies[at].in += fitness == FITS;
    if (fitness == FITS)
        stage_site_add(plan->stages[at], site);
    else
        excluded_add(plan, site->name, str_text(&why));
}

/* A stage that needs another is only worth its word when that one has sites to prove the release
 * on, or has done so. */
static void needs_judge(const struct resolve_in *in, const struct tally *tallies,
                        struct yaml_report *report)
{
    for (size_t i = 0; i < in->file->stages.count; i++) {
        const struct plan_stage *stage = planfile_stage(in->file, i);
        for (size_t n = 0; stage->needs.stage && tallies[i].in > 0 && n < i; n++) {
            const struct tally *needed = &tallies[n];
            if (strcmp(planfile_stage(in->file, n)->name, stage->needs.stage) != 0 ||
                needed->in + needed->already > 0)
                continue;
            yaml_report_add(report, in->file->file, in->file->source, stage->needs.stage_at,
                            "needs: stage \"%s\" has no site that can be upgraded first; confleet "
                            "site list shows why",
                            stage->needs.stage);
        }
    }
}

/* Stages without a site are left out, and nobody needs them any more: their sites are on the
 * release already. */
static void stages_tidy(Confleet__Plan *plan)
{
    size_t kept = 0;
    for (size_t i = 0; i < plan->n_stages; i++) {
        Confleet__PlanStage *stage = plan->stages[i];
        if (stage->n_sites > 0) {
            plan->stages[kept++] = stage;
            continue;
        }
        for (size_t k = i + 1; k < plan->n_stages; k++) {
            if (strcmp(plan->stages[k]->needs_stage, stage->name) == 0)
                plan->stages[k]->needs_stage[0] = '\0';
        }
        confleet__plan_stage__free_unpacked(stage, NULL);
    }
    plan->n_stages = kept;
}

int plan_resolve(const struct resolve_in *in, Confleet__Plan **ret, struct yaml_report *report,
                 struct err *err)
{
    struct tally tallies[PLAN_STAGES_MAX] = { 0 };
    CLEANUP(plan_free) Confleet__Plan *plan = NULL;
    size_t stages = in->file->stages.count;
    int before = report->errors;
    assert(in->file->whole);
    assert(stages <= PLAN_STAGES_MAX);
    const Confleet__Release none = CONFLEET__RELEASE__INIT, *release = release_find(in, report);
    plan = plan_make(in, release ? release : &none);
    plan->stages = mem_zero(stages + 1, sizeof(void *));
    for (size_t i = 0; i < stages; i++)
        plan->stages[plan->n_stages++] = stage_make(planfile_stage(in->file, i));
    for (size_t i = 0; i < in->site_count; i++)
        site_place(in, in->sites[i], release ? release : &none, plan, tallies, report);
    for (size_t i = 0; i < stages; i++) {
        if (tallies[i].selected == 0 && stage_can_select(planfile_stage(in->file, i)))
            stage_empty(in, planfile_stage(in->file, i), report);
    }
    if (report->errors == before)
        needs_judge(in, tallies, report);
    resolve_times(in, plan, report);
    resolve_rules(in, plan, report);
    stages_tidy(plan);
    if (report->errors > 0)
        return err_set(err, FAIL_USAGE, "%s: %d error%s", in->file->file, report->errors,
                       report->errors == 1 ? "" : "s");
    size_t size = confleet__plan__get_packed_size(plan);
    if (size > PLAN_SIZE_MAX)
        return err_set(err, FAIL_LIMIT,
                       "%s: the plan comes to %zu bytes and at most %d can be sent; write fewer "
                       "windows of single sites, or two plans",
                       in->file->file, size, PLAN_SIZE_MAX);
    *ret = TAKE(plan);
    return 0;
}
