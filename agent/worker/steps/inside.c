#include "agent/worker/steps/inside.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <string.h>
#include <sys/syscall.h>

/* Opens beneath the tree; ret_tree is the tree as it was then. */
static int beneath(struct inside in, const char *name, int flags, int *ret_fd, struct stat *ret_tree, struct err *err)
{
    const struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
                                  .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    CLEANUP(close_fd) int tree = open(in.tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree < 0 || fstat(tree, ret_tree) != 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", in.tree);
    int fd = (int)syscall(SYS_openat2, tree, name, &how, sizeof how);
    if (fd < 0 && (errno == ELOOP || errno == EXDEV || errno == ENXIO))
        return err_set(err, FAIL_CONFLICT, "%s/%s is, or is reached by, a link or is no regular file; put the file itself there", in.tree, name);
    if (fd < 0)
        return err_sys(err, errno == ENOENT || errno == ENOTDIR ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s/%s", in.tree, name);
    *ret_fd = fd;
    return 0;
}

int inside_open(struct inside in, const char *name, uint64_t size_max, int *ret_fd, struct stat *ret_stat, struct err *err)
{
    CLEANUP(close_fd) int fd = -1;
    struct stat tree, st;
    int rc = beneath(in, name, O_RDONLY | O_NONBLOCK, &fd, &tree, err);
    if (rc)
        return rc;
    if (fstat(fd, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "look at %s/%s", in.tree, name);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_CONFLICT, "%s/%s is not a regular file", in.tree, name);
    if (st.st_uid != 0 && st.st_uid != tree.st_uid && st.st_uid != in.run_uid)
        return err_set(err, FAIL_CONFLICT, "%s/%s belongs to uid %u, which is neither root, the run user nor the owner of the installation; "
                       "give it to one of them", in.tree, name, (unsigned)st.st_uid);
    /* A second name of a file that is root's alone: its first one may lie anywhere. */
    if (st.st_uid == 0 && st.st_nlink > 1 && !(st.st_mode & S_IROTH))
        return err_set(err, FAIL_CONFLICT, "%s/%s is a hard link to a file that only root reads", in.tree, name);
    if ((uint64_t)st.st_size > size_max)
        return err_set(err, FAIL_LIMIT, "%s/%s is larger than %llu bytes", in.tree, name, (unsigned long long)size_max);
    *ret_stat = st;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

int inside_read(struct inside in, const char *name, uint64_t size_max, struct str *ret, struct err *err)
{
    CLEANUP(close_fd) int fd = -1;
    struct stat st;
    int rc = inside_open(in, name, size_max, &fd, &st, err);
    return rc ? rc : fs_read_fd(fd, name, (size_t)size_max, ret, err);
}

int inside_copy(struct inside in, const char *name, const char *to, uint64_t size_max, struct err *err)
{
    CLEANUP(close_fd) int fd = -1;
    struct stat st;
    int rc = inside_open(in, name, size_max, &fd, &st, err);
    return rc ? rc : file_copy_fd(fd, name, to, (struct owner){ st.st_uid, st.st_gid }, size_max, err);
}

int inside_folder(struct inside in, const char *name, int *ret_fd, struct err *err)
{
    struct stat tree;
    return beneath(in, name, O_RDONLY | O_DIRECTORY, ret_fd, &tree, err);
}

/* Whether the link at name, with this text, ends at or below the tree. */
static bool stays(const char *name, const char *text)
{
    long depth = 0;
    for (const char *at = name; *at; at++)
        depth += *at == '/';
    if (text[0] == '/' || !text[0])
        return false;
    for (const char *at = text; *at && depth >= 0;) {
        size_t len = strcspn(at, "/");
        if (len == 2 && at[0] == '.' && at[1] == '.')
            depth--;
        else if (len > 1 || (len == 1 && at[0] != '.'))
            depth++;
        at += len;
        at += strspn(at, "/");
    }
    return depth >= 0;
}

int inside_link(struct inside in, const char *name, char *ret, size_t size, struct owner *ret_owner, struct err *err)
{
    CLEANUP(close_fd) int fd = -1;
    struct stat tree, st;
    int rc = beneath(in, name, O_PATH, &fd, &tree, err);
    if (rc)
        return rc;
    ssize_t len = readlinkat(fd, "", ret, size - 1);
    if (len < 0 || fstat(fd, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "read link %s/%s", in.tree, name);
    ret[len] = 0;
    if (!stays(name, ret))
        return err_set(err, FAIL_CONFLICT, "%s/%s is a link that leads out of the installation", in.tree, name);
    *ret_owner = (struct owner){ st.st_uid, st.st_gid };
    return 0;
}

uid_t inside_uid(const char *user)
{
    const struct passwd *account = user && user[0] ? getpwnam(user) : NULL;
    return account ? account->pw_uid : 0;
}
