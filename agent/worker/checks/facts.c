#include "agent/worker/checks/facts.h"
#include "confleet/cleanup.h"
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
    const char *scratch = node->scratch && node->scratch[0] ? node->scratch : "auto";
    (void)snprintf(facts->scratch, sizeof facts->scratch, "%.15s", scratch);
    (void)snprintf(facts->service, sizeof facts->service, "%.255s", node->service);
    (void)snprintf(facts->backup_path, sizeof facts->backup_path, "%.511s", node->backup_dir);
    (void)snprintf(facts->hooks_path, sizeof facts->hooks_path, "%.511s", node->hooks_dir);
}

int facts_gather(struct job *job, struct facts *ret, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    CLEANUP(facts_free) struct facts facts = { 0 };
    const char *proc_root = node->pid_root[0] ? node->pid_root : "/proc";
    int result = installation_read(node->install, node->home[0] ? node->home : NULL, proc_root,
                                   &facts.site, err);
    if (result != 0)
        return result;
    gather_order(job_order(job), node, &facts);
    job_progress(job, 1, 4, "asking the database");
    facts_gather_database(node, &facts);
    job_progress(job, 2, 4, "looking at the server");
    facts_gather_server(job, &facts);
    job_progress(job, 3, 4, "adding up the space");
    facts_gather_space(job, &facts);
    *ret = facts;
    facts = (struct facts){ 0 };
    return 0;
}

void facts_free(struct facts *facts)
{
    installation_free(&facts->site);
}
