#include "confleet/cleanup.h"
#include "controller/edge/same_database.h"
#include "controller/edge/store_apps.h"
#include "controller/edge/store_catalogue.h"
#include "controller/edge/views.h"

#include "controller/edge/store_checks.h"
#include "controller/edge/store_waivers.h"
#include <string.h>

#define CHECK_ORDER_MAX (480 * 1024) /* a frame holds 512 KiB */
#define CHECK_WAIT_MAX_MS (6LL * 3600 * 1000)
#define HISTORY_MAX       (400 * 1024) /* bytes; a frame holds 512 KiB */

/* The one node of a site, or why it cannot be worked on. */
static int site_node(struct ask *ask, const char *site, const struct node **ret,
                     const char **ret_why, struct err *err)
{
    struct site *found = NULL;
    struct node **nodes = NULL;
    size_t count = 0;
    int result = site_find(ask->store, ask->pool, site, &found, err);
    if (result == 0 && !found)
        return err_set(err, FAIL_NOT_FOUND, "no site is called %s (confleet site list)", site);
    if (result == 0)
        result = site_nodes(ask->store, ask->pool, site, &nodes, &count, err);
    if (result != 0)
        return result;
    if (count != 1)
        *ret_why =
            count == 0
                ? "no installation belongs to it (confleet site set SITE --node HOST:INSTALL)"
                : "it has more than one node; clusters are not supported yet";
    else
        *ret = nodes[0];
    return 0;
}

struct job_spec {
    const char *id, *site;
    const struct node *node;
    const char *why;
};

static int job_site_add(struct ask *ask, const struct job_spec *spec, Confleet__Order *order,
                        struct err *err)
{
    struct job_site site = { .site = spec->site,
                             .agent = "",
                             .installation = "",
                             .order_id = "",
                             .state = "failed",
                             .message = spec->why };
    char id[ORDER_ID_MAX];
    if (spec->node) {
        struct order_spec put = { spec->node->agent, "", spec->id, spec->site, order };
        int result = order_put(ask->store, &put, id, err);
        if (result != 0)
            return result;
        site = (struct job_site){ .site = spec->site,
                                  .agent = spec->node->agent,
                                  .installation = spec->node->installation,
                                  .order_id = id,
                                  .state = "ordered",
                                  .message = "" };
    }
    return job_site_put(ask->store, spec->id, &site, err);
}

static int job_show(struct ask *ask, const Confleet__AskJob *what, struct err *err)
{
    struct job *job = NULL;
    int result = job_find(ask->store, ask->pool, what->id, &job, err);
    if (result == 0 && !job)
        return err_set(err, FAIL_NOT_FOUND, "no job is called %s", what->id);
    return result == 0 ? view_job(ask, job, what, &ask->reply->job, err) : result;
}

static int job_reply(struct ask *ask, const char *id, struct err *err)
{
    Confleet__AskJob what = CONFLEET__ASK_JOB__INIT;
    what.id = field(id);
    return job_show(ask, &what, err);
}

int ask_job(struct ask *ask, struct err *err)
{
    return job_show(ask, ask->request->job, err);
}

/* What the order says to every site alike. */
struct check_terms {
    Confleet__Release *target;
    struct store_catalogue own;
    struct same_database same;
    struct store_apps apps;
};

static int site_env(struct ask *ask, const char *site, char **ret, struct err *err)
{
    struct label **labels = NULL;
    size_t count = 0;
    int result = site_labels(ask->store, ask->pool, site, &labels, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (strcmp(labels[i]->key, "env") == 0)
            *ret = field(labels[i]->value);
    return result;
}

/* All of them or none: of some, one would not know what is missing. */
static void apps_give(const struct store_apps *apps, Confleet__OrderCheck *check)
{
    check->apps = apps->list;
    check->n_apps = apps->count;
    if (confleet__order_check__get_packed_size(check) <= CHECK_ORDER_MAX)
        return;
    check->n_apps = 0;
    check->apps_left_out = (uint32_t)apps->count;
}

static int check_site(struct ask *ask, const char *job, const char *site,
                      const struct check_terms *terms, struct err *err)
{
    Confleet__Order order = CONFLEET__ORDER__INIT;
    Confleet__OrderCheck check = CONFLEET__ORDER_CHECK__INIT;
    struct job_spec spec = { .id = job, .site = site };
    int result = site_node(ask, site, &spec.node, &spec.why, err);
    if (result != 0)
        return result;
    check.installation = field(spec.node ? spec.node->installation : "");
    check.site = field(site);
    check.target = terms->target;
    check.catalogue = terms->own.list;
    check.n_catalogue = terms->own.count;
    result = waivers_texts(ask->store, ask->pool, site, &check.waivers, &check.n_waivers, err);
    if (result == 0)
        result = site_env(ask, site, &check.env, err);
    if (result != 0)
        return result;
    same_database_of(&terms->same, ask->pool, site, &check.same_database, &check.n_same_database);
    check.fleet_known = true;
    apps_give(&terms->apps, &check);
    order.what_case = CONFLEET__ORDER__WHAT_CHECK;
    order.check = &check;
    return job_site_add(ask, &spec, &order, err);
}

int ask_check(struct ask *ask, struct err *err)
{
    const Confleet__AskCheck *check = ask->request->check;
    struct check_terms terms = { 0 };
    struct site **sites = NULL;
    size_t count = 0;
    char job[JOB_ID_MAX];
    int64_t wait_ms = check->timeout_ms > 0 && check->timeout_ms < CHECK_WAIT_MAX_MS
                          ? check->timeout_ms
                          : CHECK_WAIT_MAX_MS;
    struct job made = { .kind = "check",
                        .made_by = ask->who,
                        .target = check->target_version,
                        .deadline_ms = ask->store->now_ms + wait_ms };
    int result = release_target(ask, check->target_version, &terms.target, err);
    if (result == 0)
        result = store_catalogue_read(ask->store, ask->pool, &terms.own, err);
    if (result == 0)
        result = same_database_read(ask->store, ask->pool, &terms.same, err);
    if (result == 0)
        result = store_apps_read(ask->store, ask->pool, &terms.apps, err);
    if (result == 0)
        result = job_make(ask->store, &made, job, err);
    if (result == 0 && check->n_sites == 0)
        result = sites_list(ask->store, ask->pool, "", INT64_MAX, &sites, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = check_site(ask, job, sites[i]->name, &terms, err);
    for (size_t i = 0; result == 0 && i < check->n_sites; i++)
        result = check_site(ask, job, check->sites[i], &terms, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "check", err, "job %s for %zu sites, target %s",
                           job, check->n_sites ? check->n_sites : count,
                           terms.target ? terms.target->version : "none");
    return result == 0 ? job_reply(ask, job, err) : result;
}

int ask_check_history(struct ask *ask, struct err *err)
{
    const char *name = ask->request->check_history->name;
    struct site *site = NULL;
    Confleet__CheckView **checks = NULL;
    size_t count = 0, bytes = 0;
    int result = site_find(ask->store, ask->pool, name, &site, err);
    if (result == 0 && !site)
        return err_set(err, FAIL_NOT_FOUND, "no site is called %s (confleet site list)", name);
    if (result == 0)
        result = checks_list(ask->store, ask->pool, name, &checks, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        bytes += confleet__check_view__get_packed_size(checks[i]);
        if (bytes > HISTORY_MAX)
            break;
        pool_push(ask->pool, &ask->reply->checks, &ask->reply->n_checks, checks[i]);
    }
    return result;
}

int ask_backup_run(struct ask *ask, struct err *err)
{
    const Confleet__AskBackup *backup = ask->request->backup_run;
    Confleet__Order order = CONFLEET__ORDER__INIT;
    Confleet__OrderBackup what = CONFLEET__ORDER_BACKUP__INIT;
    char job[JOB_ID_MAX];
    struct job_spec spec = { .id = job, .site = backup->site };
    int result = site_node(ask, backup->site, &spec.node, &spec.why, err);
    if (result == 0)
        result = job_make(ask->store, &(struct job){ .kind = "backup", .made_by = ask->who }, job,
                          err);
    if (result != 0)
        return result;
    what.installation = field(spec.node ? spec.node->installation : "");
    what.site = backup->site;
    what.full_speed = backup->full_speed;
    order.what_case = CONFLEET__ORDER__WHAT_BACKUP;
    order.backup = &what;
    result = job_site_add(ask, &spec, &order, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "backup-run", err, "job %s for site %s%s", job,
                           backup->site, backup->full_speed ? ", at full speed" : "");
    return result == 0 ? job_reply(ask, job, err) : result;
}

static int backup_holder(struct ask *ask, const Confleet__AskBackup *backup, struct node *node,
                         struct err *err)
{
    *node = (struct node){ "", "", backup->site };
    int result = backup_agent(ask->store, ask->pool, backup->site, backup->backup, &node->agent,
                              &node->installation, err);
    if (result == 0 && node->agent[0] == '\0')
        return err_set(err, FAIL_NOT_FOUND, "site %s has no backup %s (confleet backup list)",
                       backup->site, backup->backup);
    return result;
}

/* What is done with a backup that is there goes to the agent that holds it. */
static int backup_use(struct ask *ask, const Confleet__AskBackup *backup,
                      Confleet__Order__WhatCase what, struct err *err)
{
    const char *kind = what == CONFLEET__ORDER__WHAT_RESTORE ? "restore" : "verify";
    Confleet__OrderVerify verify = CONFLEET__ORDER_VERIFY__INIT;
    Confleet__OrderRestore restore = CONFLEET__ORDER_RESTORE__INIT;
    Confleet__Order order = CONFLEET__ORDER__INIT;
    char job[JOB_ID_MAX];
    struct node node;
    struct job_spec spec = { .id = job, .site = backup->site, .node = &node };
    int result = backup_holder(ask, backup, &node, err);
    if (result == 0)
        result = job_make(ask->store, &(struct job){ .kind = kind, .made_by = ask->who }, job, err);
    if (result != 0)
        return result;
    verify.installation = restore.installation = field(node.installation);
    verify.backup = restore.backup = backup->backup;
    verify.site = restore.site = backup->site;
    verify.full_speed = restore.full_speed = backup->full_speed;
    restore.into = backup->into;
    order.what_case = what;
    if (what == CONFLEET__ORDER__WHAT_RESTORE)
        order.restore = &restore;
    else
        order.verify = &verify;
    result = job_site_add(ask, &spec, &order, err);
    CLEANUP(free_mem) char *word = text_printf("backup-%s", kind);
    if (result == 0)
        result = audit_add(ask->store, ask->who, word, err,
                           "job %s for backup %s of site %s%s%s", job, backup->backup, backup->site,
                           backup->into[0] ? " into " : "", backup->into);
    return result == 0 ? job_reply(ask, job, err) : result;
}

int ask_backup_verify(struct ask *ask, struct err *err)
{
    return backup_use(ask, ask->request->backup_verify, CONFLEET__ORDER__WHAT_VERIFY, err);
}

int ask_backup_restore(struct ask *ask, struct err *err)
{
    const Confleet__AskBackup *backup = ask->request->backup_restore;
    if (!text_is_name(backup->into))
        return err_set(err, FAIL_USAGE,
                       "'%s' is no name of one folder: it is made in the server's drill_dir",
                       backup->into);
    return backup_use(ask, backup, CONFLEET__ORDER__WHAT_RESTORE, err);
}

int ask_backup_list(struct ask *ask, struct err *err)
{
    const Confleet__Event **events = NULL;
    size_t count = 0;
    int result = backups_list(ask->store, ask->pool, ask->request->backup_list->name, "", 500,
                              &events, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        pool_push(ask->pool, &ask->reply->backups, &ask->reply->n_backups, events[i]->backup);
    return result;
}
