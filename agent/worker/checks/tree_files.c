#include "agent/worker/checks/tree_files.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/str.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DEPTH_MAX   64
#define THREADS_MAX 4
#define CHUNK       8                 /* files that a thread takes at once */
#define LARGE       (4ULL << 20)      /* these come first, so that none is left for the end */
#define BUFFER      (256u * 1024)

struct walk {
    struct tree *tree;
    tree_enter_fn *enter;
    const void *arg;
    dev_t dev;
    char path[FS_PATH_MAX];
};

void tree_free(struct tree *tree)
{
    pool_free(&tree->pool);
    free(tree->files);
    if (tree->open)
        (void)close(tree->root_fd);
    *tree = (struct tree){ .count = 0 };
}

static int file_add(struct walk *walk, const struct stat *st, int failed, struct err *err)
{
    struct tree *tree = walk->tree;
    if (tree->count == TREE_FILES_MAX)
        return err_set(err, FAIL_LIMIT, "more than %d files in the installation", TREE_FILES_MAX);
    if (tree->count == tree->room) {
        tree->room = tree->room ? tree->room * 2 : 1024;
        tree->files = mem_grow(tree->files, tree->room, sizeof *tree->files);
    }
    tree->files[tree->count++] = (struct tree_file){
        .path = pool_text(&tree->pool, walk->path),
        .size = (uint64_t)st->st_size,
        .mtime_s = (int64_t)st->st_mtim.tv_sec,
        .mode = (uint32_t)st->st_mode & (S_IFMT | 0777),
        .failed = failed,
    };
    return 0;
}

static int folder_walk(struct walk *walk, int fd, size_t len, unsigned depth, struct err *err);

static int entry_walk(struct walk *walk, int dir, const char *name, size_t len, unsigned depth,
                      struct err *err)
{
    struct stat st = { .st_mode = S_IFREG };
    int used = snprintf(walk->path + len, sizeof walk->path - len, "%s%s", len ? "/" : "", name);
    if (used < 0 || (size_t)used >= sizeof walk->path - len)
        return err_set(err, FAIL_LIMIT, "%s has too long a path", name);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : file_add(walk, &st, errno, err);
    bool into = S_ISDIR(st.st_mode) && st.st_dev == walk->dev && depth < DEPTH_MAX &&
                (!walk->enter || walk->enter(walk->arg, walk->path));
    if (!into)
        return file_add(walk, &st, 0, err);
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : file_add(walk, &st, errno, err);
    return folder_walk(walk, fd, len + (size_t)used, depth + 1, err);
}

/* Takes fd. */
static int folder_walk(struct walk *walk, int fd, size_t len, unsigned depth, struct err *err)
{
    int rc = 0;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        (void)close(fd);
        return err_sys(err, FAIL_IO, errno, "read a folder");
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry || rc)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = entry_walk(walk, dirfd(dir), entry->d_name, len, depth, err);
    }
    if (rc == 0 && errno)
        rc = err_sys(err, FAIL_IO, errno, "read folder %.*s", (int)len, walk->path);
    (void)closedir(dir);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

int tree_walk(const char *root, tree_enter_fn *enter, const void *arg, struct tree *ret,
              struct err *err)
{
    CLEANUP(tree_free) struct tree tree = { .count = 0 };
    struct walk *walk = mem_zero(1, sizeof *walk);
    struct stat st;
    int rc = 0;
    tree.root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tree.open = tree.root_fd >= 0;
    int fd = tree.open ? openat(tree.root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    *walk = (struct walk){ .tree = &tree, .enter = enter, .arg = arg };
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", root);
        close_fd(&fd);
    } else {
        walk->dev = st.st_dev;
        rc = folder_walk(walk, fd, 0, 0, err);
    }
    free(walk);
    if (rc)
        return rc;
    if (tree.count)
        qsort(tree.files, tree.count, sizeof *tree.files, by_path);
    *ret = tree;
    tree = (struct tree){ .count = 0 };
    return 0;
}

/* ---------------------------------------------------------------- hashing */

struct hashing {
    struct tree *tree;
    size_t *order; /* indexes of the wanted files */
    size_t count;
    atomic_size_t next;
    int64_t until_mono_ms;
};

static int file_read(const struct tree *tree, struct tree_file *file, struct hash *hash,
                     char *buffer)
{
    const struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC,
                                  .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                             RESOLVE_NO_MAGICLINKS };
    struct stat st;
    uint64_t size = 0;
    CLEANUP(close_fd) int fd =
        (int)syscall(SYS_openat2, tree->root_fd, file->path, &how, sizeof how);
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return ESTALE;
    for (;;) {
        ssize_t got = read(fd, buffer, BUFFER);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        if (got == 0)
            break;
        size += (uint64_t)got;
        if (size > file->size) /* it grows while it is read */
            return ESTALE;
        hash_add(hash, buffer, (size_t)got);
    }
    hash_end(hash, file->sha256);
    return size == file->size ? 0 : ESTALE;
}

static int link_read(const struct tree *tree, struct tree_file *file)
{
    char text[FS_PATH_MAX];
    ssize_t len = readlinkat(tree->root_fd, file->path, text, sizeof text);
    if (len < 0)
        return errno;
    file->size = (uint64_t)len;
    hash_bytes(text, (size_t)len, file->sha256);
    return 0;
}

static void *hashing_run(void *arg)
{
    struct hashing *hashing = arg;
    CLEANUP(hash_free) struct hash *hash = hash_new();
    CLEANUP(free_mem) char *buffer = mem_zero(1, BUFFER);
    for (;;) {
        size_t from = atomic_fetch_add(&hashing->next, CHUNK);
        if (from >= hashing->count ||
            (hashing->until_mono_ms && clock_mono_ms() > hashing->until_mono_ms))
            return NULL;
        for (size_t i = from; i < from + CHUNK && i < hashing->count; i++) {
            struct tree_file *file = &hashing->tree->files[hashing->order[i]];
            if (S_ISLNK(file->mode)) {
                file->failed = link_read(hashing->tree, file);
            } else {
                file->failed = file_read(hashing->tree, file, hash, buffer);
                if (file->failed) {
                    uint8_t half[HASH_SIZE];
                    hash_end(hash, half);
                }
            }
            file->hashed = file->failed == 0;
        }
    }
}

static unsigned cores(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > THREADS_MAX ? THREADS_MAX : (unsigned)count;
}

void tree_hash(struct tree *tree, int64_t until_mono_ms)
{
    struct hashing hashing = { .tree = tree, .until_mono_ms = until_mono_ms };
    pthread_t threads[THREADS_MAX];
    unsigned started = 0;
    CLEANUP(free_mem) size_t *order = mem_zero(tree->count + 1, sizeof *order);
    hashing.order = order;
    for (int large = 1; large >= 0; large--)
        for (size_t i = 0; i < tree->count; i++) {
            const struct tree_file *file = &tree->files[i];
            if (file->wanted && !file->failed && (S_ISREG(file->mode) || S_ISLNK(file->mode)) &&
                (file->size >= LARGE) == (large == 1))
                order[hashing.count++] = i;
        }
    for (unsigned n = 1; n < cores() && hashing.count > (size_t)n * CHUNK; n++)
        if (pthread_create(&threads[started], NULL, hashing_run, &hashing) == 0)
            started++;
    (void)hashing_run(&hashing);
    for (unsigned n = 0; n < started; n++)
        (void)pthread_join(threads[n], NULL);
}
