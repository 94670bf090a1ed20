#include "agent/worker/confluence/discover.h"
#include "agent/worker/confluence/process.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What is not there or not ours to read is none; these say nothing of what is there. */
static void note_trouble(struct discovery *discovery, int errno_value)
{
    if (errno_value == EMFILE || errno_value == ENFILE || errno_value == ENOMEM || errno_value == EIO)
        discovery->trouble = errno_value;
}

bool discover_is_installation(const char *path)
{
    CLEANUP(free_mem) char *script = fs_join(path, "bin/start-confluence.sh");
    CLEANUP(free_mem) char *webapp = fs_join(path, "confluence/WEB-INF");
    return fs_exists(script) && fs_is_dir(webapp);
}

void discover_add(struct discovery *discovery, const char *path)
{
    CLEANUP(free_mem) char *real = realpath(path, NULL);
    if (!real || strstr(real, "/.confleet-") || !discover_is_installation(real))
        return;
    for (size_t i = 0; i < discovery->count; i++)
        if (strcmp(discovery->paths[i], real) == 0)
            return;
    if (discovery->count == DISCOVER_FOUND_MAX)
        discovery->cut_short = true;
    else
        discovery->paths[discovery->count++] = TAKE(real);
}

static bool is_folder(const char *path, const struct dirent *entry, bool *ret_link)
{
    struct stat st;
    *ret_link = entry->d_type == DT_LNK;
    if (entry->d_type == DT_DIR)
        return true;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return false;
    if (lstat(path, &st) != 0)
        return false;
    *ret_link = S_ISLNK(st.st_mode);
    return *ret_link ? fs_is_dir(path) : S_ISDIR(st.st_mode);
}

static void descend(struct discovery *discovery, const char *folder, int depth)
{
    if (discover_is_installation(folder)) {
        discover_add(discovery, folder);
        return;
    }
    if (depth == DISCOVER_DEPTH_MAX)
        return;
    if (discovery->folders++ >= DISCOVER_FOLDERS_MAX) {
        discovery->cut_short = true;
        return;
    }
    DIR *dir = opendir(folder);
    if (!dir)
        note_trouble(discovery, errno);
    for (struct dirent *entry = NULL; dir && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        CLEANUP(free_mem) char *path = fs_join(folder, entry->d_name);
        bool link = false;
        if (!is_folder(path, entry, &link))
            continue;
        /* A link may be an installation itself ("current"); below it loops could wait. */
        if (link)
            discover_add(discovery, path);
        else
            descend(discovery, path, depth + 1);
    }
    if (dir)
        (void)closedir(dir);
}

void discover_below(struct discovery *discovery, const char *folder)
{
    CLEANUP(free_mem) char *real = realpath(folder, NULL);
    if (real)
        descend(discovery, real, 0);
}

struct running {
    struct discovery *discovery;
    const char *proc_root;
};

static bool look(pid_t pid, void *data)
{
    struct running *running = data;
    CLEANUP(str_free) struct str arguments = { 0 };
    if (process_arguments(running->proc_root, pid, &arguments, NULL) != 0)
        return true;
    const char *base = process_option(&arguments, "-Dcatalina.base=");
    const char *home = process_option(&arguments, "-Dcatalina.home=");
    if (base)
        discover_add(running->discovery, base);
    if (home)
        discover_add(running->discovery, home);
    return true;
}

void discover_running(struct discovery *discovery, const char *proc_root)
{
    struct running running = { discovery, proc_root };
    struct err why = { 0 };
    if (process_each(proc_root, look, &running, &why) != 0) {
        discovery->cut_short = true;
        note_trouble(discovery, why.sys);
    }
}

void discovery_free(struct discovery *discovery)
{
    for (size_t i = 0; i < discovery->count; i++)
        free(discovery->paths[i]);
    *discovery = (struct discovery){ 0 };
}
