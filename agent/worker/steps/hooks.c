#include "agent/worker/steps/hooks.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int trust_check(const char *path, bool is_dir, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", path);
    if (is_dir ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
        return err_set(err, FAIL_DENIED, "hook %s is not a %s of its own", path, is_dir ? "folder" : "file");
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
        return err_set(err, FAIL_DENIED, "hook %s must belong to root and be writable by nobody else (chown root, chmod go-w)", path);
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && entry->d_name[len - 1] != '~';
}

static int hook_run(struct job *job, const char *path, const char *when, const char *why, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    CLEANUP(free_mem) char *hook = text_printf("CONFLEET_HOOK=%s", when), *reason = text_printf("CONFLEET_REASON=%s", why);
    CLEANUP(free_mem) char *site = text_printf("CONFLEET_SITE=%s", node->site), *tree = text_printf("CONFLEET_INSTALL=%s", node->install);
    CLEANUP(free_mem) char *version = text_printf("CONFLEET_VERSION=%s", job_order(job)->release ? job_order(job)->release->version : "");
    const char *const argv[] = { path, NULL };
    const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/",
                                hook, reason, site, tree, version, NULL };
    const struct proc_spec spec = { .argv = argv, .env = env, .timeout_ms = HOOK_LIMIT_MS };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    if (access(path, X_OK) != 0) {
        job_log(job, 4, "hook %s is not executable; ignoring", path);
        return 0;
    }
    if (trust_check(path, false, err) || proc_run_ok(&spec, &result, err))
        return err_wrap(err, "hook %s", path);
    job_log(job, 6, "hook %s done", path);
    return 0;
}

int hooks_run(struct job *job, const char *when, const char *why, struct err *err)
{
    const char *root = job_node(job)->hooks_dir;
    if (!root[0])
        return 0;
    CLEANUP(free_mem) char *dir = text_printf("%s/%s.d", root, when);
    if (!fs_exists(dir))
        return 0;
    if (trust_check(root, true, err) || trust_check(dir, true, err))
        return -err->code;
    struct dirent **names = NULL;
    int count = scandir(dir, &names, no_dots, by_name), rc = 0;
    if (count < 0)
        return err_sys(err, FAIL_IO, errno, "read %s", dir);
    if (count > HOOKS_MAX)
        rc = err_set(err, FAIL_LIMIT, "%s holds %d hooks, at most %d are run", dir, count, HOOKS_MAX);
    for (int i = 0; i < count; i++) {
        CLEANUP(free_mem) char *path = fs_join(dir, names[i]->d_name);
        if (rc == 0)
            rc = hook_run(job, path, when, why, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

void hooks_run_noted(struct job *job, const char *when, const char *why)
{
    struct err err = { 0 };
    if (hooks_run(job, when, why, &err))
        job_finding(job, "hooks", CONFLEET__SEVERITY__WARN, "a local hook failed", "look at the hook; the site itself is not affected",
                    "%s", err.text);
}
