#include "agent/worker/steps/evidence.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The newest EVIDENCE_MAX bytes from offset on; a log that cannot be had is only missing from the evidence. */
static void keep_file(struct job *job, const char *path, uint64_t offset, const char *name)
{
    CLEANUP(free_mem) char *dir = site_run(job, "evidence"), *to = fs_join(dir, name);
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    struct err err = { 0 };
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    uint64_t size = (uint64_t)st.st_size;
    if (offset > size)
        offset = 0;
    if (size - offset > EVIDENCE_MAX)
        offset = size - EVIDENCE_MAX;
    if (lseek(fd, (off_t)offset, SEEK_SET) < 0 || fs_read_fd(fd, path, EVIDENCE_MAX + (1 << 20), &text, &err) ||
        fs_mkdirs(dir, 0700, &err) || fs_write(to, str_text(&text), text.len, 0600, &err))
        job_log(job, 4, "evidence %s was not kept: %s; ignoring", path, err.text);
}

void evidence_keep_tree(struct job *job, const char *tree)
{
    CLEANUP(free_mem) char *logs = fs_join(tree, "logs");
    if (!tree_is_ours(job, tree))
        return;
    DIR *dir = opendir(logs);
    if (!dir)
        return;
    unsigned kept = 0;
    for (const struct dirent *entry = readdir(dir); entry && kept < 16; entry = readdir(dir)) {
        CLEANUP(free_mem) char *path = fs_join(logs, entry->d_name);
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "README.txt") == 0)
            continue;
        keep_file(job, path, 0, entry->d_name);
        kept++;
    }
    (void)closedir(dir);
}

void evidence_keep_home(struct job *job)
{
    const char *home = site_home(job);
    uint64_t offset = 0;
    if (!home[0] || !text_parse_u64(job_memo(job, MEMO_LOG_OFFSET), INT64_MAX, &offset))
        return;
    CLEANUP(free_mem) char *path = fs_join(home, "logs/atlassian-confluence.log");
    keep_file(job, path, offset, "atlassian-confluence.log");
}

int evidence_remove(struct job *job, struct err *err)
{
    CLEANUP(free_mem) char *dir = site_run(job, "evidence");
    return fs_remove_tree(dir, err) ? err_wrap(err, "remove evidence") : 0;
}
