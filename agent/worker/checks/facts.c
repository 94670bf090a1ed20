#include "agent/worker/checks/facts.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include <stddef.h>
#include <string.h>

static void gather_order(const Confleet__WorkerOrder *order, const Confleet__WorkerNode *node,
                         struct facts *facts)
{
    const Confleet__Release *release = order->release;
    if (release && (release->version[0] || release->build)) {
        facts->has_target = true;
        (void)snprintf(facts->target_version, sizeof facts->target_version, "%.63s",
                       release->version);
        facts->target_build = release->build;
    }
    if (order->artifact && order->artifact[0]) {
        facts->has_artifact = true;
        (void)snprintf(facts->artifact, sizeof facts->artifact, "%s", order->artifact);
        facts->artifact_want = release ? release->artifact_size : 0;
    }
    facts->env = site_env_of(order->env);
    const char *scratch = node->scratch && node->scratch[0] ? node->scratch : "auto";
    (void)snprintf(facts->scratch, sizeof facts->scratch, "%.15s", scratch);
    (void)snprintf(facts->service, sizeof facts->service, "%.255s", node->service);
    (void)snprintf(facts->backup_path, sizeof facts->backup_path, "%.511s", node->backup_dir);
    facts->backup_rate = node->backup_rate;
    (void)snprintf(facts->hooks_path, sizeof facts->hooks_path, "%.511s", node->hooks_dir);
}

/* clang-format off */
static const struct gatherer gatherers[] = {
    { "the licence", offsetof(struct facts, licence), sizeof(struct facts_licence), 20000,
      facts_gather_licence },
    { "the server", offsetof(struct facts, platform), sizeof(struct facts_platform), 20000,
      facts_gather_platform },
    { "the database's inside", offsetof(struct facts, schema), sizeof(struct facts_schema), 60000,
      facts_gather_schema },
    { "the apps", offsetof(struct facts, apps), sizeof(struct facts_apps), 120000,
      facts_gather_apps },
    { "the customisations", offsetof(struct facts, custom), sizeof(struct facts_custom), 300000,
      facts_gather_custom },
    { "what runs around the site", offsetof(struct facts, operations), sizeof(struct facts_operations), 20000,
      facts_gather_operations },
    { "traces of earlier upgrades", offsetof(struct facts, history), sizeof(struct facts_history), 30000,
      facts_gather_history },
    { "the backup folder", offsetof(struct facts, backup), sizeof(struct facts_backup), 30000,
      facts_gather_backup },
    { NULL, 0, 0, 0, NULL },
};
/* clang-format on */

/* What the operators wrote comes before what was shipped, and what the order says of its own
 * release before both. */
static void gather_catalogue(struct job *job, struct facts *facts, struct gather_source *source)
{
    const Confleet__WorkerOrder *order = job_order(job);
    const char *path = job_node(job)->catalogue_file;
    const struct catalogue_release *found = NULL;
    struct err err = { 0 };
    if (!path[0])
        (void)snprintf(facts->catalogue_text, FACT_TEXT, "no file of releases was given");
    else if (catalogue_load(path, &facts->catalogue, &err) != 0)
        (void)snprintf(facts->catalogue_text, FACT_TEXT, "%.500s", err.text);
    if (!facts->catalogue)
        facts->catalogue = catalogue_new();
    for (size_t i = 0; i < order->n_catalogue; i++)
        catalogue_put_wire(facts->catalogue, order->catalogue[i]);
    source->catalogue = facts->catalogue;
    if ((found = catalogue_find(facts->catalogue, facts->site.version)) != NULL)
        source->installed = *found;
    if (!facts->has_target)
        return;
    if ((found = catalogue_find(facts->catalogue, facts->target_version)) != NULL)
        facts->catalogued = *found;
    catalogue_put_wire(facts->catalogue, order->release);
    if ((found = catalogue_find(facts->catalogue, facts->target_version)) != NULL)
        source->target = *found;
    (void)snprintf(source->target.text, sizeof source->target.text, "%s", facts->target_version);
    if (facts->target_build == 0)
        facts->target_build = source->target.build;
    source->target.build = facts->target_build;
}

static void gather_parts(struct job *job, struct facts *facts)
{
    struct gather_source *source = mem_zero(1, sizeof *source);
    source->node = job_node(job);
    source->order = job_order(job);
    source->site = &facts->site;
    gather_catalogue(job, facts, source);
    facts->source = source;
    facts->stuck = !gather_all(gatherers, source, facts);
}

int facts_gather(struct job *job, struct facts *ret, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    struct facts facts = { .at_ms = clock_wall_ms() };
    const char *proc_root = node->pid_root[0] ? node->pid_root : "/proc";
    int result = installation_read(node->install, node->home[0] ? node->home : NULL, proc_root,
                                   &facts.site, err);
    if (result != 0) {
        facts_free(&facts);
        return result;
    }
    gather_order(job_order(job), node, &facts);
    job_progress(job, 1, 5, "asking the database");
    facts_gather_database(node, &facts);
    job_progress(job, 2, 5, "looking at the server");
    facts_gather_server(job, &facts);
    job_progress(job, 3, 5, "adding up the space");
    facts_gather_space(job, &facts);
    *ret = facts; /* its final place: the parts' gatherers hold on to it */
    job_progress(job, 4, 5, "licence, apps, customisations, server");
    gather_parts(job, ret);
    return 0;
}

void facts_free(struct facts *facts)
{
    facts_licence_free(&facts->licence);
    facts_platform_free(&facts->platform);
    facts_schema_free(&facts->schema);
    facts_apps_free(&facts->apps);
    facts_custom_free(&facts->custom);
    facts_operations_free(&facts->operations);
    facts_history_free(&facts->history);
    if (facts->stuck)
        return;
    catalogue_free(&facts->catalogue);
    free_mem(&facts->source);
    installation_free(&facts->site);
}
