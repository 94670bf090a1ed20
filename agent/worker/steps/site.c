#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *site_proc(const struct job *job)
{
    const char *root = job_node(job)->pid_root;
    return root[0] ? root : "/proc";
}

char *site_stage(const struct job *job, const char *name)
{
    return fs_join(job_node(job)->stage_dir, name);
}

char *site_run(const struct job *job, const char *name)
{
    return fs_join(job_node(job)->run_dir, name);
}

const char *site_home(const struct job *job)
{
    const char *home = job_memo(job, MEMO_HOME);
    return home[0] ? home : job_node(job)->home;
}

int site_read(const struct job *job, struct installation *ret, struct err *err)
{
    const char *home = site_home(job);
    int rc = installation_read(job_node(job)->install, home[0] ? home : NULL, site_proc(job), ret, err);
    if (rc)
        return rc;
    /* The tree belongs to the account that Confluence runs as: who that is was decided in the check, never by the tree again. */
    const char *user = job_memo(job, MEMO_RUN_USER);
    const struct passwd *account = user[0] ? getpwnam(user) : NULL;
    (void)snprintf(ret->run_user, sizeof ret->run_user, "%s", user);
    ret->uid = account ? account->pw_uid : (uid_t)-1;
    ret->gid = account ? account->pw_gid : (gid_t)-1;
    return 0;
}

bool site_process_is_users(const struct job *job, const struct installation *found, pid_t pid)
{
    CLEANUP(free_mem) char *dir = text_printf("%s/%ld", site_proc(job), (long)pid);
    struct stat st;
    return found->uid != (uid_t)-1 && stat(dir, &st) == 0 && st.st_uid == found->uid;
}

int site_user_decide(const struct job *job, const struct installation *found, struct err *err)
{
    struct stat st;
    const struct passwd *account = found->run_user[0] ? getpwnam(found->run_user) : NULL;
    if (!account || account->pw_uid != found->uid)
        return err_set(err, FAIL_BLOCKED, "not ready: run-user: the account '%s' that Confluence runs as does not exist on this server", found->run_user);
    if (account->pw_uid == 0)
        return err_set(err, FAIL_BLOCKED, "not ready: run-user: Confluence runs as root (%s); give it an account of its own", found->run_user);
    if (!found->home || stat(found->home, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "look whom the home %s belongs to", found->home ? found->home : "");
    if (st.st_uid != found->uid)
        return err_set(err, FAIL_BLOCKED,
            "not ready: run-user: the home %s belongs to user id %ld, not to the account %s that Confluence runs as (user id %ld)",
                       found->home, (long)st.st_uid, found->run_user, (long)found->uid);
    if (found->pid && !site_process_is_users(job, found, found->pid))
        return err_set(err, FAIL_BLOCKED, "not ready: run-user: process %ld of Confluence is not one of the account %s; stop it and start it as that account",
                       (long)found->pid, found->run_user);
    return 0;
}

uint32_t site_memo_u32(const struct job *job, const char *key)
{
    uint64_t value = 0;
    return text_parse_u64(job_memo(job, key), UINT32_MAX, &value) ? (uint32_t)value : 0;
}

#define MARK_HEAD "confleet-tree-v1\nrun "

static char *mark_text(const struct job *job)
{
    const char *run = strrchr(job_node(job)->run_dir, '/');
    const Confleet__Release *release = job_order(job)->release;
    return text_printf(MARK_HEAD "%s\nversion %s\nbuild %u\nartifact %s\n", run ? run + 1 : "",
                       release ? release->version : "", release ? release->build : 0,
                       release ? release->artifact_sha256 : "");
}

int tree_mark(const struct job *job, const char *tree, struct err *err)
{
    CLEANUP(free_mem) char *dir = fs_join(tree, TREE_FOLDER), *path = fs_join(dir, "tree"), *text = mark_text(job);
    if (fs_mkdirs(dir, 0755, err) || fs_write(path, text, strlen(text), 0644, err))
        return err_wrap(err, "mark the new tree");
    return 0;
}

int tree_mark_read(const struct job *job, const char *tree, bool *ret_ours, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(tree, TREE_FOLDER "/tree"), *want = mark_text(job);
    CLEANUP(str_free) struct str text = { 0 };
    struct err why = { 0 };
    int rc = fs_read(path, 4096, &text, &why);
    if (rc && rc != -FAIL_NOT_FOUND && rc != -FAIL_LIMIT)
        return err_set(err, (enum fail)why.code, "whether %s is the tree that this run unpacked: %s", tree, why.text);
    *ret_ours = rc == 0 && strcmp(str_text(&text), want) == 0;
    return 0;
}

bool tree_is_ours(const struct job *job, const char *tree)
{
    bool ours = false;
    return tree_mark_read(job, tree, &ours, NULL) == 0 && ours;
}

bool tree_is_of_run(const char *tree, const char *run)
{
    CLEANUP(free_mem) char *path = fs_join(tree, TREE_FOLDER "/tree"), *want = text_printf(MARK_HEAD "%s\n", run);
    CLEANUP(str_free) struct str text = { 0 };
    return fs_read(path, 4096, &text, NULL) == 0 && strncmp(str_text(&text), want, strlen(want)) == 0;
}

int site_stage_leave(const char *stage_dir, struct err *err)
{
    CLEANUP(free_mem) char *dir = text_dup(stage_dir);
    for (int level = 0; level < 2; level++) {
        char *slash = strrchr(dir, '/');
        if (level == 1 && strncmp(slash, "/.confleet-", 11) != 0)
            return 0;
        if (rmdir(dir) != 0 && errno != ENOENT)
            return errno == ENOTEMPTY || errno == EEXIST ? 0 : err_sys(err, FAIL_IO, errno, "remove %s", dir);
        *slash = 0;
    }
    return 0;
}

int tree_check(const struct job *job, const char *tree, struct err *err)
{
    const Confleet__Release *release = job_order(job)->release;
    char version[64], date[16];
    uint32_t build = 0;
    if (!release || !release->version[0])
        return err_set(err, FAIL_USAGE, "the order names no release");
    if (installation_release(tree, version, &build, date, err))
        return err_wrap(err, "read version and build of %s", tree);
    if (strcmp(version, release->version) != 0 || (release->build && build != release->build))
        return err_set(err, FAIL_MISMATCH, "%s is version %s build %u, the signed plan says version %s build %u", tree, version,
                       build, release->version, release->build);
    return 0;
}

int owner_like(const char *old_tree, const char *path, struct owner *ret, struct err *err)
{
    size_t first = strcspn(path, "/");
    CLEANUP(free_mem) char *same = text_printf("%s/%.*s", old_tree, (int)first, path);
    struct stat st;
    if ((first == 0 || lstat(same, &st) != 0 || !S_ISDIR(st.st_mode)) && stat(old_tree, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", old_tree);
    *ret = (struct owner){ st.st_uid, st.st_gid };
    return 0;
}

static int give(const char *path, struct owner owner, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", path);
    if (st.st_uid == owner.uid && st.st_gid == owner.gid)
        return 0;
    if (lchown(path, owner.uid, owner.gid) != 0)
        return err_sys(err, FAIL_IO, errno, "give %s to uid %u", path, (unsigned)owner.uid);
    return 0;
}

int file_replace(const char *path, const void *bytes, size_t len, mode_t mode, struct owner owner, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            return err_set(err, FAIL_CONFLICT, "%s is not a regular file", path);
        mode = st.st_mode & 0777;
        owner = (struct owner){ st.st_uid, st.st_gid };
    }
    if (fs_write(path, bytes, len, mode, err) || give(path, owner, err))
        return -err->code;
    return 0;
}

static int copy_bytes(int in, int out, const char *from, uint64_t size_max, struct err *err)
{
    char chunk[65536];
    uint64_t total = 0;
    for (;;) {
        ssize_t got = read(in, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "read %s", from);
        if (got == 0)
            return 0;
        total += (uint64_t)got;
        if (total > size_max)
            return err_set(err, FAIL_LIMIT, "%s is larger than %llu bytes", from, (unsigned long long)size_max);
        if (fs_write_all(out, chunk, (size_t)got, err))
            return -err->code;
    }
}

int file_copy(const char *from, const char *to, struct owner owner, uint64_t size_max, struct err *err)
{
    struct err local = { 0 };
    if (!err)
        err = &local;
    CLEANUP(close_fd) int in = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (in < 0 || fstat(in, &st) != 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", from);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_CONFLICT, "%s is not a regular file", from);
    return file_copy_fd(in, from, to, owner, size_max, err);
}

int file_copy_fd(int in, const char *from, const char *to, struct owner owner, uint64_t size_max, struct err *err)
{
    struct err local = { 0 };
    struct stat st;
    if (!err)
        err = &local;
    if (fstat(in, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", from);
    CLEANUP(free_mem) char *partial = text_printf("%s.partial", to);
    if (unlink(partial) != 0 && errno != ENOENT)
        return err_sys(err, FAIL_IO, errno, "remove %s", partial);
    CLEANUP(close_fd) int out = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return err_sys(err, FAIL_IO, errno, "create %s", partial);
    const struct timespec times[2] = { st.st_atim, st.st_mtim };
    struct stat made;
    if (copy_bytes(in, out, from, size_max, err))
        return err_wrap(err, "copy to %s", partial);
    if (fstat(out, &made) != 0 || ((made.st_uid != owner.uid || made.st_gid != owner.gid) && fchown(out, owner.uid, owner.gid) != 0) ||
        fchmod(out, st.st_mode & 0777) != 0 || futimens(out, times) != 0)
        return err_sys(err, FAIL_IO, errno, "owner, mode and times of %s", partial);
    if (fs_sync_fd(out, partial, err) || fs_close(&out, partial, err) || fs_rename(partial, to, err))
        return -err->code;
    return 0;
}

void text_mask_secrets(char *text)
{
    static const char *const words[] = { "password", "passwd", "secret", "token", "passphrase" };
    for (char *at = text; *at; at++)
        for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
            size_t len = strlen(words[w]);
            if (strncasecmp(at, words[w], len) != 0)
                continue;
            char *value = at + len;
            value += strspn(value, "\"' ");
            if (*value != '=' && *value != ':')
                continue;
            for (value++; *value == ' ' || *value == '"' || *value == '\''; value++)
                ;
            for (; *value && !isspace((unsigned char)*value) && !strchr("&;,\"'<>)", *value); value++)
                *value = '*';
        }
}
