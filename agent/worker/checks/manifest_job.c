/* The list of a release's files, made from its archive for a person who keeps it. */
#include "agent/worker/checks/pristine.h"
#include "agent/worker/job.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"

int manifest_job(struct job *job, struct err *err)
{
    CLEANUP(pristine_free) struct pristine shipped = { .count = 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem) char *path = fs_join(job_node(job)->run_dir, "output");
    if (!job_order(job)->artifact[0] || !job_node(job)->run_dir[0])
        return err_set(err, FAIL_USAGE, "the order names no archive, or no folder of this run");
    if (pristine_of_archive(job_order(job)->artifact, 0, &shipped, err))
        return err_wrap(err, "list the files of a release");
    pristine_write(&shipped, &text);
    return fs_write(path, str_text(&text), text.len, 0600, err);
}
