#include "agent/worker/steps/unpack.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_MAX_LEN 255
#define DEPTH_MAX 64

CLEANUP_OF(reader_drop, struct archive *, archive_read_free)

struct run {
    const struct unpack *what;
    struct archive *reader;
    int root_fd;
    char top[NAME_MAX_LEN + 1];
    uint64_t size;                      /* of the artifact */
    struct unpack_count count;
};

static int refuse(const struct run *run, const char *name, const char *why, struct err *err)
{
    char shown[160];
    size_t n = 0;
    for (const char *c = name; *c && n < sizeof shown - 1; c++)
        shown[n++] = (unsigned char)*c < ' ' || *c == 127 ? '?' : *c;
    shown[n] = 0;
    return err_set(err, FAIL_CORRUPT, "%s is refused: entry '%s' %s", run->what->artifact, shown, why);
}

static int reader_failed(const struct run *run, const char *doing, struct err *err)
{
    const char *text = archive_error_string(run->reader);
    return err_set(err, FAIL_CORRUPT, "%s: %s: %s", run->what->artifact, doing, text ? text : "no reason given");
}

static int name_check(const struct run *run, const char *name, struct err *err)
{
    unsigned depth = 0;
    if (!name || !name[0] || strlen(name) >= FS_PATH_MAX / 2)
        return refuse(run, name ? name : "", "has no usable name", err);
    if (name[0] == '/')
        return refuse(run, name, "has an absolute name", err);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return refuse(run, name, "has control characters in its name", err);
    for (const char *part = name; *part;) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
            return refuse(run, name, "has an empty part, '.' or '..' in its name", err);
        if (len > NAME_MAX_LEN || ++depth > DEPTH_MAX)
            return refuse(run, name, "has too long or too deep a name", err);
        part += len;
        if (*part == '/')
            part++;
    }
    return 0;
}

/* The name without the one top folder; "" for that folder itself. */
static int name_strip(struct run *run, const char *name, const char **ret, struct err *err)
{
    if (strncmp(name, "./", 2) == 0)
        name += 2;
    if (!name[0] || strcmp(name, ".") == 0) {
        *ret = "";
        return 0;
    }
    int rc = name_check(run, name, err);
    if (rc)
        return rc;
    size_t len = strcspn(name, "/");
    if (!run->top[0])
        memcpy(run->top, name, len), run->top[len] = 0;
    if (strlen(run->top) != len || memcmp(run->top, name, len) != 0)
        return refuse(run, name, "lies outside the one top folder of a Confluence archive", err);
    const char *rest = name + len;
    *ret = *rest ? rest + 1 : rest;
    return 0;
}

/* A link may go up only at its start and only within the tree: names after that start are links or folders of the tree itself. */
static int link_check(const struct run *run, const char *name, const char *target, struct err *err)
{
    size_t depth = 0;
    for (const char *c = name; *c; c++)
        depth += *c == '/';
    if (!target || !target[0] || target[0] == '/' || strlen(target) >= FS_PATH_MAX / 2)
        return refuse(run, name, "is a link with an empty or absolute target", err);
    while (strncmp(target, "../", 3) == 0 || strcmp(target, "..") == 0) {
        if (depth-- == 0)
            return refuse(run, name, "is a link that leaves the tree", err);
        target += target[2] ? 3 : 2;
    }
    for (const char *part = target; *part;) {
        size_t len = strcspn(part, "/");
        if (len == 2 && part[0] == '.' && part[1] == '.')
            return refuse(run, name, "is a link whose target goes up in its middle", err);
        part += len;
        part += strspn(part, "/");
    }
    return 0;
}

static int kind_check(const struct run *run, struct archive_entry *entry, const char *name, struct err *err)
{
    mode_t kind = archive_entry_filetype(entry);
    if (archive_entry_hardlink(entry))
        return refuse(run, name, "is a hard link", err);
    if (kind != AE_IFREG && kind != AE_IFDIR && kind != AE_IFLNK)
        return refuse(run, name, "is neither file, folder nor link", err);
    if (kind != AE_IFLNK && (archive_entry_perm(entry) & 07000))
        return refuse(run, name, "is set-uid, set-gid or sticky", err);
    return 0;
}

/* Opens the folder that holds name, making missing ones; never through a link. */
static int parent_open(struct run *run, const char *name, const struct owner *owner, int *ret_fd, const char **ret_leaf, struct err *err)
{
    CLEANUP(close_fd) int dir = fcntl(run->root_fd, F_DUPFD_CLOEXEC, 3);
    if (dir < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", run->what->into);
    for (const char *slash = strchr(name, '/'); slash && slash[1]; slash = strchr(name, '/')) {
        char part[NAME_MAX_LEN + 1];
        memcpy(part, name, (size_t)(slash - name));
        part[slash - name] = 0;
        if (mkdirat(dir, part, 0755) == 0) {
            if (owner && fchownat(dir, part, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
                return err_sys(err, FAIL_IO, errno, "owner of %s", part);
            if (fchmodat(dir, part, 0755, 0) != 0)
                return err_sys(err, FAIL_IO, errno, "mode of %s", part);
        } else if (errno != EEXIST) {
            return err_sys(err, errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno, "make folder %s in %s", part, run->what->into);
        }
        int next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return refuse(run, name, "lies below something that is no folder", err);
        close_fd(&dir);
        dir = next;
        name = slash + 1;
    }
    *ret_leaf = name;
    *ret_fd = TAKE_FD(dir);
    return 0;
}

static int write_part(int fd, const void *bytes, size_t len, const char *name, struct err *err)
{
    for (const char *at = bytes; len > 0;) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_sys(err, errno == ENOSPC || errno == EDQUOT ? FAIL_SPACE : FAIL_IO, errno, "write %s", name);
        at += put, len -= (size_t)put;
    }
    return 0;
}

static int data_copy(struct run *run, struct archive_entry *entry, const char *name, int fd, struct err *err)
{
    char chunk[65536];
    uint64_t file_max = run->what->file_bytes_max ? run->what->file_bytes_max : UNPACK_FILE_MAX;
    uint64_t total_max = run->what->total_bytes_max ? run->what->total_bytes_max : UNPACK_TOTAL_MAX;
    uint64_t written = 0;
    for (;;) {
        la_ssize_t got = archive_read_data(run->reader, chunk, sizeof chunk);
        if (got < 0)
            return reader_failed(run, name, err);
        if (got == 0)
            break;
        written += (uint64_t)got;
        run->count.bytes += (uint64_t)got;
        if (written > file_max)
            return refuse(run, name, "is larger than a file may be", err);
        if (run->count.bytes > total_max)
            return refuse(run, name, "brings the archive above the size it may unpack to", err);
        if (write_part(fd, chunk, (size_t)got, name, err))
            return -err->code;
        if (run->what->progress)
            run->what->progress(run->what->arg, (uint64_t)archive_filter_bytes(run->reader, -1), run->size);
    }
    if (archive_entry_size_is_set(entry) && (uint64_t)archive_entry_size(entry) != written)
        return refuse(run, name, "has another size than its header says", err);
    return 0;
}

/* Zip archives made on Windows know no modes; scripts and programs must run all the same. */
static mode_t mode_of(struct archive_entry *entry, const char *name)
{
    mode_t mode = archive_entry_perm(entry) & 0755;
    size_t len = strlen(name);
    if ((strncmp(name, "bin/", 4) == 0 && len > 3 && strcmp(name + len - 3, ".sh") == 0) || strncmp(name, "jre/bin/", 8) == 0)
        mode |= 0755;
    return mode | 0600;
}

static int file_make(struct run *run, struct archive_entry *entry, const char *name, int dir, const char *leaf,
                     const struct owner *owner, struct err *err)
{
    CLEANUP(close_fd) int fd = openat(dir, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return refuse(run, name, "comes twice", err);
    if (fd < 0)
        return err_sys(err, errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno, "create %s", name);
    if (data_copy(run, entry, name, fd, err))
        return -err->code;
    if (owner && fchown(fd, owner->uid, owner->gid) != 0)
        return err_sys(err, FAIL_IO, errno, "owner of %s", name);
    if (fchmod(fd, mode_of(entry, name)) != 0)
        return err_sys(err, FAIL_IO, errno, "mode of %s", name);
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry) } };
    if (archive_entry_mtime_is_set(entry) && futimens(fd, times) != 0)
        return err_sys(err, FAIL_IO, errno, "time of %s", name);
    return fs_close(&fd, name, err);
}

static int folder_make(struct run *run, const char *name, int dir, const char *leaf, const struct owner *owner, struct err *err)
{
    struct stat st;
    if (mkdirat(dir, leaf, 0755) != 0 && errno != EEXIST)
        return err_sys(err, errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno, "make folder %s", name);
    if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        return refuse(run, name, "is a folder where a file or link is", err);
    if (owner && fchownat(dir, leaf, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, FAIL_IO, errno, "owner of %s", name);
    if (fchmodat(dir, leaf, 0755, 0) != 0)
        return err_sys(err, FAIL_IO, errno, "mode of %s", name);
    return 0;
}

static int link_make(struct run *run, struct archive_entry *entry, const char *name, int dir, const char *leaf,
                     const struct owner *owner, struct err *err)
{
    const char *target = archive_entry_symlink(entry);
    int rc = link_check(run, name, target, err);
    if (rc)
        return rc;
    if (symlinkat(target, dir, leaf) != 0)
        return errno == EEXIST ? refuse(run, name, "comes twice", err) : err_sys(err, FAIL_IO, errno, "make link %s", name);
    if (owner && fchownat(dir, leaf, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, FAIL_IO, errno, "owner of %s", name);
    return 0;
}

static int entry_make(struct run *run, struct archive_entry *entry, struct err *err)
{
    const char *name = archive_entry_pathname(entry), *rest = "", *leaf = NULL;
    char clean[FS_PATH_MAX];
    struct owner owner = { 0, 0 };
    if (++run->count.entries > (run->what->entries_max ? run->what->entries_max : UNPACK_ENTRIES_MAX))
        return refuse(run, name ? name : "", "is one more than an archive may have", err);
    if (!name)
        return refuse(run, "", "has no name in UTF-8", err);
    if (kind_check(run, entry, name, err) || name_strip(run, name, &rest, err))
        return -err->code;
    if (!rest[0])
        return archive_entry_filetype(entry) == AE_IFDIR ? 0 : refuse(run, name, "is no folder but stands for the tree", err);
    (void)snprintf(clean, sizeof clean, "%s", rest);       /* name_check() has bounded it */
    size_t len = strlen(clean);
    if (clean[len - 1] == '/')
        clean[len - 1] = 0;
    if (run->what->old_tree && owner_like(run->what->old_tree, clean, &owner, err))
        return -err->code;
    const struct owner *give = run->what->old_tree && geteuid() == 0 ? &owner : NULL;
    CLEANUP(close_fd) int dir = -1;
    if (parent_open(run, clean, give, &dir, &leaf, err))
        return -err->code;
    if (archive_entry_filetype(entry) == AE_IFDIR)
        return folder_make(run, clean, dir, leaf, give, err);
    if (archive_entry_filetype(entry) == AE_IFLNK)
        return link_make(run, entry, clean, dir, leaf, give, err);
    return file_make(run, entry, clean, dir, leaf, give, err);
}

static int reader_open(struct run *run, int fd, struct err *err)
{
    run->reader = archive_read_new();
    if (!run->reader)
        abort();
    if (archive_read_support_filter_gzip(run->reader) != ARCHIVE_OK || archive_read_support_filter_zstd(run->reader) != ARCHIVE_OK ||
        archive_read_support_format_tar(run->reader) != ARCHIVE_OK || archive_read_support_format_zip(run->reader) != ARCHIVE_OK)
        return reader_failed(run, "prepare", err);
    return archive_read_open_fd(run->reader, fd, 1 << 18) == ARCHIVE_OK ? 0 : reader_failed(run, "open", err);
}

static int entries_make(struct run *run, struct err *err)
{
    for (;;) {
        struct archive_entry *entry = NULL;
        int rc = archive_read_next_header(run->reader, &entry);
        if (rc == ARCHIVE_EOF)
            break;
        if (rc != ARCHIVE_OK)           /* a warning means that something was not understood: not good enough */
            return reader_failed(run, "next entry", err);
        if (entry_make(run, entry, err))
            return -err->code;
    }
    if (archive_read_close(run->reader) != ARCHIVE_OK)
        return reader_failed(run, "end", err);
    return run->count.entries ? 0 : err_set(err, FAIL_CORRUPT, "%s holds nothing", run->what->artifact);
}

int unpack_archive(const struct unpack *unpack, struct unpack_count *ret, struct err *err)
{
    struct run run = { .what = unpack, .root_fd = -1 };
    struct stat st;
    CLEANUP(close_fd) int fd = open(unpack->artifact, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_sys(err, FAIL_IO, errno, "open %s", unpack->artifact);
    run.size = (uint64_t)st.st_size;
    struct owner owner;
    if (mkdir(unpack->into, 0755) != 0 || chmod(unpack->into, 0755) != 0)
        return err_sys(err, FAIL_IO, errno, "make %s", unpack->into);
    if (unpack->old_tree && owner_like(unpack->old_tree, "", &owner, err))
        return -err->code;
    if (unpack->old_tree && geteuid() == 0 && lchown(unpack->into, owner.uid, owner.gid) != 0)
        return err_sys(err, FAIL_IO, errno, "owner of %s", unpack->into);
    CLEANUP(close_fd) int root = open(unpack->into, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", unpack->into);
    run.root_fd = root;
    int rc = reader_open(&run, fd, err);
    if (rc == 0)
        rc = entries_make(&run, err);
    reader_drop(&run.reader);
    if (rc)
        return rc;
    if (syncfs(root) != 0)
        return err_sys(err, FAIL_IO, errno, "sync %s", unpack->into);
    *ret = run.count;
    return 0;
}
