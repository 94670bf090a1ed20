/* The job "expire": what ended runs have left on this server, and backups beyond their time.
 *
 * Which runs those are is the agent's word, from its journal; it has noted before that nobody goes back behind them. Everything
 * here can be cut off and is simply done again. */
#include "agent/worker/backup/expire.h"
#include "agent/worker/backup/twin.h"
#include "agent/worker/job.h"
#include "agent/worker/steps/reserve.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <string.h>

static int reserves_remove(const Confleet__WorkerNode *node, const char *stage, const char *run, struct err *err)
{
    CLEANUP(free_mem) char *beside_home = text_dup(node->home);
    char *slash = strrchr(beside_home, '/');
    if (slash)
        *slash = 0;
    const char *const dirs[] = { node->backup_dir, stage, beside_home };
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        CLEANUP(free_mem) char *path = reserve_path(dirs[i], run);
        if (dirs[i][0] && fs_unlink(path, err))
            return err_wrap(err, "remove a reserve");
    }
    return 0;
}

/* The old tree goes only where a commit has put it, a new one only when this run has unpacked it. */
static int trees_remove(struct job *job, const char *stage, const char *run, struct err *err)
{
    CLEANUP(free_mem) char *kept = fs_join(stage, "old"), *note = fs_join(stage, SITE_KEPT_NOTE);
    CLEANUP(free_mem) char *fresh = fs_join(stage, "new"), *partial = fs_join(stage, "new.partial");
    if (fs_exists(note) && (fs_remove_tree(kept, err) || fs_unlink(note, err)))
        return err_wrap(err, "remove the old version");
    if (fs_remove_tree(partial, err) || (tree_is_of_run(fresh, run) && fs_remove_tree(fresh, err)))
        return err_wrap(err, "remove what was unpacked");
    if (fs_exists(fresh) || fs_exists(kept))
        job_log(job, 4, "%s holds a tree that run %s did not unpack; it is left alone", stage, run);
    return site_stage_leave(stage, err);
}

static int run_expire(struct job *job, const char *run, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    if (!run[0] || run[0] == '.' || strchr(run, '/') || !node->run_dir[0] || !node->stage_dir[0])
        return err_set(err, FAIL_USAGE, "'%s' is no id of a run, or the order does not say where runs are", run);
    CLEANUP(free_mem) char *stage = fs_join(node->stage_dir, run), *own = fs_join(node->run_dir, run);
    if (reserves_remove(node, stage, run, err) || trees_remove(job, stage, run, err) || fs_remove_tree(own, err))
        return err_wrap(err, "expire run %s", run);
    job_log(job, 6, "run %s has expired: what it kept for its way back is removed", run);
    return 0;
}

int expire_job(struct job *job, struct err *err)
{
    const Confleet__WorkerOrder *order = job_order(job);
    for (size_t i = 0; i < order->n_expire_runs; i++)
        if (run_expire(job, order->expire_runs[i], err))
            return -err->code;
    if (backups_expire(job, err))
        return err_wrap(err, "expire backups");
    return twins_expire(job, err) ? err_wrap(err, "expire copies of databases") : 0;
}
