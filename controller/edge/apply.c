#include "controller/edge/apply.h"
#include "controller/edge/same_database.h"

#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include "controller/edge/store_decisions.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PLAN_FORMAT         1
#define PLAN_CLOCK_SLACK_MS (5LL * 60 * 1000)

int signed_check(struct ask *ask, const Confleet__SignedText *text, const char *context,
                 const struct operator** ret_signer, struct err *err)
{
    struct operator** operators = NULL;
    const struct operator* signer = NULL;
    uint8_t key[KEY_SIZE];
    size_t count = 0;
    if (!text || text->n_signatures == 0)
        return err_set(err, FAIL_SIGNATURE, "it is not signed");
    const Confleet__Signature *signature = text->signatures[0];
    int result = operators_list(ask->store, ask->pool, &operators, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (strcmp(operators[i]->key_id, signature->key_id) == 0)
            signer = operators[i];
    if (result != 0)
        return result;
    if (!signer)
        return err_set(err, FAIL_SIGNATURE,
                       "it is signed with the key %s, which belongs to no operator here",
                       signature->key_id);
    if (signer->standing != STANDING_ACCEPTED)
        return err_set(err, FAIL_SIGNATURE, "it is signed by %s, whose key was revoked",
                       signer->name);
    if (signer->role < CONFLEET__ROLE__OPERATOR)
        return err_set(err, FAIL_DENIED,
                       "it is signed by %s, who has the role %s: signing needs operator",
                       signer->name, role_name(signer->role));
    if (!hex_parse(signer->sign_public, key, sizeof key))
        return err_set(err, FAIL_CORRUPT, "the key of operator %s in the store is no key",
                       signer->name);
    result = sign_check(key, context, text->payload.data, text->payload.len, signature->value.data,
                        signature->value.len, err);
    if (result == 0)
        *ret_signer = signer;
    return result;
}

struct terms {
    uint32_t format;
    const char *fleet;
    uint64_t serial;
    int64_t created_ms, expires_ms;
    bool may_be_over;
};

static int terms_check(struct ask *ask, const struct terms *terms, struct err *err)
{
    char at[CLOCK_TEXT_MAX];
    uint64_t highest = 0;
    int64_t now_ms = ask->store->now_ms;
    if (terms->format != PLAN_FORMAT)
        return err_set(err, FAIL_UNSUPPORTED, "it has the format %u, this controller knows %d",
                       terms->format, PLAN_FORMAT);
    if (strcmp(terms->fleet, ask->store->fleet) != 0)
        return err_set(err, FAIL_MISMATCH, "it is for the fleet %s, this is %s", terms->fleet,
                       ask->store->fleet);
    int result = store_serial(ask->store, &highest, err);
    if (result != 0)
        return result;
    if (terms->serial <= highest)
        return err_set(err, FAIL_STALE,
                       "its serial is %" PRIu64 ", and %" PRIu64
                       " was taken in already: sign it anew",
                       terms->serial, highest);
    if (terms->serial > highest + 1000)
        return err_set(err, FAIL_LIMIT, "its serial %" PRIu64 " leaps ahead of %" PRIu64,
                       terms->serial, highest);
    if (terms->expires_ms <= now_ms && !terms->may_be_over)
        return err_set(err, FAIL_EXPIRED, "it expired at %s", clock_text(terms->expires_ms, at));
    if (terms->created_ms > now_ms + PLAN_CLOCK_SLACK_MS)
        return err_set(err, FAIL_STALE,
                       "it was signed at %s, which is still to come here: a clock is wrong",
                       clock_text(terms->created_ms, at));
    return 0;
}

static int release_row(void *arg, const struct db_row *row, struct err *err)
{
    const Confleet__Release **wanted = arg;
    const Confleet__Release *release = *wanted;
    *wanted = NULL; /* found */
    if (strcmp(db_text(row, 1), release->artifact_sha256) != 0 ||
        db_i64(row, 2) != (int64_t)release->artifact_size ||
        db_i64(row, 0) != (int64_t)release->build)
        return err_set(
            err, FAIL_MISMATCH,
            "release %s of the plan differs from that of the catalogue: artifact %s of %" PRId64
            " bytes, build %" PRId64,
            release->version, db_text(row, 1), db_i64(row, 2), db_i64(row, 0));
    return 0;
}

static int release_check(struct ask *ask, const Confleet__Release *release, struct err *err)
{
    const Confleet__Release *wanted = release;
    if (!release || release->version[0] == '\0' || release->artifact_sha256[0] == '\0' ||
        release->artifact_size == 0)
        return err_set(err, FAIL_USAGE, "the plan names no release with an artifact");
    int result =
        db_each(ask->store->db, release_row, &wanted, err,
                "SELECT build, artifact_sha256, artifact_size FROM releases WHERE version=$1", "t",
                release->version);
    if (result == 0 && wanted)
        return err_set(err, FAIL_NOT_FOUND,
                       "release %s is not known here (confleet release import)", release->version);
    return result;
}

int site_is_free(struct ask *ask, const char *name, const char *besides, struct err *err)
{
    CLEANUP(free_mem) char *rollout = NULL;
    int result = db_get_text(
        ask->store->db, &rollout, err,
        "SELECT r.id FROM rollout_sites s JOIN rollouts r ON r.id=s.rollout WHERE s.site=$1 AND"
        " (r.state='running' OR s.state='held') AND r.id<>$2 LIMIT 1",
        "tt", name, besides);
    if (result == 0 && rollout)
        return err_set(err, FAIL_BUSY,
                       "site %s is still in rollout %s (confleet rollout status %s)", name, rollout,
                       rollout);
    return result;
}

static int label_check(struct ask *ask, const Confleet__PlanSite *site, struct err *err)
{
    struct label **labels = NULL;
    const char *env = "";
    size_t count = 0;
    int result = site_labels(ask->store, ask->pool, site->name, &labels, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (strcmp(labels[i]->key, "env") == 0)
            env = labels[i]->value;
    if (result == 0 && strcmp(env, site->env) != 0)
        return err_set(
            err, FAIL_STALE,
            "site %s: env is '%s' in the inventory, '%s' in the plan: make the plan anew",
            site->name, env, site->env);
    return result;
}

static int node_check(struct ask *ask, const Confleet__PlanSite *site, struct err *err)
{
    const Confleet__Installation *installation = NULL;
    struct node **nodes = NULL;
    struct agent *agent = NULL;
    size_t count = 0;
    int result = site_nodes(ask->store, ask->pool, site->name, &nodes, &count, err);
    if (result != 0)
        return result;
    if (count != 1 || site->n_nodes != 1)
        return err_set(
            err, FAIL_BLOCKED,
            "site %s has %zu nodes, %zu in the plan; this version upgrades sites with exactly one",
            site->name, count, site->n_nodes);
    const Confleet__PlanNode *node = site->nodes[0];
    if (strcmp(node->agent, nodes[0]->agent) != 0 ||
        strcmp(node->installation, nodes[0]->installation) != 0)
        return err_set(err, FAIL_STALE,
                       "site %s is %s:%s in the inventory, %s:%s in the plan: make the plan anew",
                       site->name, nodes[0]->agent, nodes[0]->installation, node->agent,
                       node->installation);
    result = agent_find(ask->store, ask->pool, node->agent, &agent, err);
    if (result == 0 && (!agent || agent->standing != STANDING_ACCEPTED))
        return err_set(err, FAIL_DENIED, "site %s: its agent %s is %s", site->name, node->agent,
                       agent ? standing_name(agent->standing) : "not known");
    if (result == 0)
        result = installation_find(ask->store, ask->pool, node->agent, node->installation,
                                   &installation, err);
    if (result == 0 && !installation)
        return err_set(err, FAIL_NOT_FOUND,
                       "site %s: agent %s does not report its installation %s any more", site->name,
                       node->agent, node->installation);
    if (result == 0 && (strcmp(installation->version, site->from_version) != 0 ||
                        installation->app_build != site->from_build))
        return err_set(
            err, FAIL_STALE,
            "site %s is at version %s build %u, the plan was made for %s build %u: make it anew",
            site->name, installation->version, installation->app_build, site->from_version,
            site->from_build);
    return result;
}

static int plan_site_check(struct ask *ask, const Confleet__PlanSite *site, struct err *err)
{
    struct site *known = NULL;
    int result = site_find(ask->store, ask->pool, site->name, &known, err);
    if (result == 0 && !known)
        return err_set(err, FAIL_NOT_FOUND, "no site is called %s (confleet site list)",
                       site->name);
    if (result == 0)
        result = site_is_free(ask, site->name, "", err);
    if (result == 0)
        result = label_check(ask, site, err);
    return result == 0 ? node_check(ask, site, err) : result;
}

static int windows_check(const char *what, const char *name, Confleet__PlanWindow *const *windows,
                         size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (windows[i]->to_ms <= windows[i]->from_ms)
            return err_set(err, FAIL_USAGE, "%s %s: a window ends before it begins", what, name);
    return 0;
}

static bool stage_has_site(const Confleet__PlanStage *stage, const char *site)
{
    for (size_t i = 0; i < stage->n_sites; i++)
        if (strcmp(stage->sites[i]->name, site) == 0)
            return true;
    return false;
}

/* Covered means: a test site of its own was kept on this very artifact, by an earlier rollout or by
 * an earlier stage of this one. The engine waits for it; what could never come is refused here. */
static int coverage_check(struct ask *ask, const Confleet__Plan *plan, size_t at,
                          const Confleet__PlanSite *site, struct err *err)
{
    const char *known = "";
    bool kept = false, before = false;
    if (site->covered_by[0] == '\0')
        return err_set(err, FAIL_BLOCKED,
                       "site %s: stage %s needs a test site that covers it, and none does "
                       "(confleet site set TEST --covers %s)",
                       site->name, plan->stages[at]->name, site->name);
    int result = site_covered_by(ask->store, ask->pool, site->name, &known, err);
    if (result == 0 && strcmp(known, site->covered_by) != 0)
        return err_set(err, FAIL_STALE,
                       "site %s is covered by '%s' in the inventory, by '%s' in the plan: make the "
                       "plan anew",
                       site->name, known, site->covered_by);
    for (size_t i = 0; i < at; i++)
        before |= stage_has_site(plan->stages[i], site->covered_by);
    if (result == 0 && !before)
        result =
            coverage_kept(ask->store, site->covered_by, plan->release->artifact_sha256, &kept, err);
    if (result == 0 && !before && !kept)
        return err_set(err, FAIL_BLOCKED,
                       "site %s: its test site %s was never kept on release %s and is in no "
                       "earlier stage of this plan",
                       site->name, site->covered_by, plan->release->version);
    return result;
}

static int stage_check(struct ask *ask, const Confleet__Plan *plan, size_t at, struct err *err)
{
    const Confleet__PlanStage *stage = plan->stages[at];
    bool before = stage->needs_stage[0] == '\0';
    for (size_t i = 0; i < at; i++)
        before |= strcmp(plan->stages[i]->name, stage->needs_stage) == 0;
    if (stage->n_sites == 0)
        return err_set(err, FAIL_USAGE, "stage %s has no site", stage->name);
    if (stage->n_batch > ROLLOUT_BATCH_MAX)
        return err_set(err, FAIL_LIMIT, "stage %s: more than %d batches", stage->name,
                       ROLLOUT_BATCH_MAX);
    if (!before)
        return err_set(err, FAIL_USAGE, "stage %s needs stage %s, which does not come before it",
                       stage->name, stage->needs_stage);
    for (size_t i = 0; i < at; i++)
        if (strcmp(plan->stages[i]->name, stage->name) == 0)
            return err_set(err, FAIL_USAGE, "two stages are called %s", stage->name);
    int result = windows_check("stage", stage->name, stage->windows, stage->n_windows, err);
    for (size_t i = 0; result == 0 && i < stage->n_sites; i++) {
        const Confleet__PlanSite *site = stage->sites[i];
        result = windows_check("site", site->name, site->windows, site->n_windows, err);
        if (result == 0 && stage->needs_covered)
            result = coverage_check(ask, plan, at, site, err);
    }
    return result;
}

static int name_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int plan_names_check(struct ask *ask, const Confleet__Plan *plan, struct err *err)
{
    size_t count = 0, seen = 1;
    for (size_t s = 0; s < plan->n_stages; s++)
        count += plan->stages[s]->n_sites;
    const char **names = pool_alloc(ask->pool, (count + 1) * sizeof *names);
    count = 0;
    for (size_t s = 0; s < plan->n_stages; s++)
        for (size_t i = 0; i < plan->stages[s]->n_sites; i++)
            names[count++] = plan->stages[s]->sites[i]->name;
    qsort((void *)names, count, sizeof *names, name_order);
    for (size_t i = 1; i <= count; i++) {
        if (i < count && strcmp(names[i], names[i - 1]) == 0) {
            seen++;
            continue;
        }
        if (seen > 1)
            return err_set(err, FAIL_USAGE, "site %s is in the plan %zu times", names[i - 1], seen);
        seen = 1;
    }
    return 0;
}

/* Two Confluences on one database destroy it, whichever of them is upgraded. */
static int plan_databases_check(struct ask *ask, const Confleet__Plan *plan, struct err *err)
{
    struct same_database same = { 0 };
    int result = same_database_read(ask->store, ask->pool, &same, err);
    for (size_t s = 0; result == 0 && s < plan->n_stages; s++)
        for (size_t i = 0; result == 0 && i < plan->stages[s]->n_sites; i++) {
            const char *name = plan->stages[s]->sites[i]->name;
            char **others = NULL;
            size_t count = 0;
            same_database_of(&same, ask->pool, name, &others, &count);
            if (count > 0)
                result = err_set(err, FAIL_BLOCKED,
                                 "site %s names the same database as site %s: stop one of them and "
                                 "give it a database of its own, before any of them is upgraded",
                                 name, others[0]);
        }
    return result;
}

static int plan_form_check(const Confleet__Plan *plan, struct err *err)
{
    if (!text_is_name(plan->id) || !text_is_name(plan->name))
        return err_set(err, FAIL_USAGE, "the plan's id or name is no name");
    if (plan->n_stages == 0)
        return err_set(err, FAIL_USAGE, "the plan has no stage");
    if (plan->backup_level < CONFLEET__BACKUP_LEVEL__RESTORED)
        return err_set(err, FAIL_DENIED,
                       "the plan asks for less than a backup that was restored once: no site goes "
                       "down for it");
    if (strcmp(plan->on_failure, "rollback") != 0 && strcmp(plan->on_failure, "hold") != 0)
        return err_set(err, FAIL_USAGE, "on_failure is '%s', not rollback or hold",
                       plan->on_failure);
    return 0;
}

static int plan_is_new(struct ask *ask, const char *id, struct err *err)
{
    int64_t count = 0;
    int result = db_get_i64(ask->store->db, &count, NULL, err,
                            "SELECT count(*) FROM rollouts WHERE id=$1", "t", id);
    if (result == 0 && count > 0)
        return err_set(err, FAIL_EXISTS, "rollout %s exists already", id);
    return result;
}

int plan_check(struct ask *ask, const Confleet__SignedText *text, const Confleet__Plan **ret_plan,
               const struct operator** ret_signer, struct err *err)
{
    Confleet__Plan *plan = NULL;
    const struct operator* signer = NULL;
    int result = signed_check(ask, text, SIGN_CONTEXT_PLAN, &signer, err);
    if (result == 0)
        result = wire_decode_plan(pool_arena(ask->pool), text->payload.data, text->payload.len,
                                  &plan, err);
    if (result != 0)
        return result;
    struct terms terms = { plan->format, plan->fleet, plan->serial, plan->created_ms,
                           plan->expires_ms, false };
    result = terms_check(ask, &terms, err);
    if (result == 0)
        result = plan_form_check(plan, err);
    if (result == 0)
        result = plan_is_new(ask, plan->id, err);
    if (result == 0)
        result = release_check(ask, plan->release, err);
    if (result == 0)
        result = plan_names_check(ask, plan, err);
    if (result == 0)
        result = plan_databases_check(ask, plan, err);
    for (size_t s = 0; result == 0 && s < plan->n_stages; s++) {
        result = stage_check(ask, plan, s, err);
        for (size_t i = 0; result == 0 && i < plan->stages[s]->n_sites; i++)
            result = plan_site_check(ask, plan->stages[s]->sites[i], err);
    }
    if (result != 0)
        return result;
    *ret_plan = plan;
    *ret_signer = signer;
    return 0;
}

static int decision_read(struct ask *ask, const Confleet__SignedText *text,
                         Confleet__Decision **ret, const struct operator** ret_signer,
                         struct err *err)
{
    int result = signed_check(ask, text, SIGN_CONTEXT_DECISION, ret_signer, err);
    return result == 0 ? wire_decode_decision(pool_arena(ask->pool), text->payload.data,
                                              text->payload.len, ret, err)
                       : result;
}

int decision_check(struct ask *ask, const Confleet__SignedText *text,
                   const struct rollout_case *rollout, const Confleet__Decision **ret,
                   const struct operator** ret_signer, struct err *err)
{
    Confleet__Decision *decision = NULL;
    const struct operator* signer = NULL;
    int result = decision_read(ask, text, &decision, &signer, err);
    if (result != 0)
        return result;
    struct terms terms = { decision->format, decision->fleet, decision->serial,
                           decision->created_ms, decision->expires_ms, false };
    result = terms_check(ask, &terms, err);
    if (result == 0 && strcmp(decision->plan_sha256, rollout->plan_sha256) != 0)
        return err_set(err, FAIL_MISMATCH,
                       "the decision is about another plan than that of rollout %s", rollout->id);
    if (result == 0) {
        *ret = decision;
        *ret_signer = signer;
    }
    return result;
}

int waive_check(struct ask *ask, const Confleet__SignedText *text, const Confleet__Decision **ret,
                const struct operator** ret_signer, struct err *err)
{
    Confleet__Decision *decision = NULL;
    const struct operator* signer = NULL;
    int result = decision_read(ask, text, &decision, &signer, err);
    if (result != 0)
        return result;
    struct terms terms = { decision->format,     decision->fleet,      decision->serial,
                           decision->created_ms, decision->expires_ms, true };
    if (strcmp(decision->kind, "waive") != 0)
        return err_set(err, FAIL_USAGE, "it is a '%s', not a 'waive'", decision->kind);
    if (signer->role != CONFLEET__ROLE__OPERATOR && signer->role != CONFLEET__ROLE__ADMIN)
        return err_set(err, FAIL_DENIED, "%s has the role %s: waive needs operator or admin",
                       signer->name, role_name(signer->role));
    result = terms_check(ask, &terms, err);
    if (result == 0) {
        *ret = decision;
        *ret_signer = signer;
    }
    return result;
}
