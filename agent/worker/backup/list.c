/* The job "backups": what is in the folder of one installation. Reads manifests and proofs, no pack;
 * takes no lock, so that it answers while a backup is being made. */
#include "agent/worker/job.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "record.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>

#define LIST_MAX 1000

CLEANUP_OF(close_dir, DIR *, closedir)

static int newest_first(const void *a, const void *b)
{
    const Confleet__BackupRecord *const *x = a, *const *y = b;
    return strcmp((*y)->id, (*x)->id);
}

/* What is no backup yet, or is a way back whose database is a copy inside its server. */
static Confleet__BackupRecord *unfinished(const char *name)
{
    static const struct {
        const char *ending, *kind, *note;
    } endings[] = {
        { ".partial", "hot",
          "being made, or cut off: the next backup of the same build goes on with it or removes it" },
        { ".files", "stop",
          "captured at a stop; its database is a copy inside its server, or is still to come" },
    };
    size_t len = strcspn(name, ".");
    char id[MANIFEST_ID_MAX];
    (void)snprintf(id, sizeof id, "%.*s", (int)(len < sizeof id ? len : 0), name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (!manifest_id_is_valid(id) || strcmp(name + len, endings[i].ending) != 0)
            continue;
        Confleet__BackupRecord *record = mem_zero(1, sizeof *record);
        confleet__backup_record__init(record);
        record->id = text_dup(id);
        record->kind = text_dup(endings[i].kind);
        record_note(record, endings[i].note);
        return record;
    }
    return NULL;
}

int backups_job(struct job *job, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    Confleet__WorkerResult *result = job_result(job);
    CLEANUP(free_mem) char *dir = fs_join(node->backup_dir, node->installation);
    const struct store store = { .dir = dir, .lock = -1 };
    CLEANUP(close_dir) DIR *folder = opendir(dir);
    if (!folder && errno == ENOENT)
        return 0;
    if (!folder)
        return err_sys(err, FAIL_IO, errno, "list %s", dir);
    for (const struct dirent *one; (one = readdir(folder)) != NULL;) {
        Confleet__BackupRecord *record = manifest_id_is_valid(one->d_name)
                                             ? record_read(&store, one->d_name, NULL)
                                             : unfinished(one->d_name);
        if (!record)
            continue;
        result->listed =
            mem_grow(result->listed, result->n_listed + 1, sizeof *result->listed);
        result->listed[result->n_listed++] = record;
        if (result->n_listed == LIST_MAX)
            return err_set(err, FAIL_LIMIT, "%s holds more than %d backups", dir, LIST_MAX);
    }
    if (result->n_listed > 1)
        qsort(result->listed, result->n_listed, sizeof *result->listed, newest_first);
    return 0;
}
