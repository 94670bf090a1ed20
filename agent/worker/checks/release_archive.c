#include "agent/worker/checks/release_archive.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PART_MAX  255
#define DEPTH_MAX 64

CLEANUP_OF(reader_drop, struct archive *, archive_read_free)

struct walk {
    const char *artifact;
    const struct release_reader *to;
    struct archive *reader;
    char top[PART_MAX + 1];
    uint64_t entries, bytes;
    int64_t until_mono_ms;
};

bool release_path_ok(const char *path)
{
    unsigned depth = 0;
    if (!path[0] || strlen(path) >= FS_PATH_MAX / 2)
        return false;
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return false;
    for (const char *part = path;; part++) {
        size_t len = strcspn(part, "/");
        if (len == 0 || len > PART_MAX || (len == 1 && part[0] == '.') ||
            (len == 2 && part[0] == '.' && part[1] == '.') || ++depth > DEPTH_MAX)
            return false;
        part += len;
        if (!*part)
            return true;
    }
}

static int refuse(const struct walk *walk, const char *name, const char *why, struct err *err)
{
    char shown[160];
    size_t n = 0;
    for (const char *c = name; *c && n < sizeof shown - 1; c++)
        shown[n++] = (unsigned char)*c < ' ' || *c == 127 ? '?' : *c;
    shown[n] = 0;
    return err_set(err, FAIL_CORRUPT, "%s is refused: entry '%s' %s", walk->artifact, shown, why);
}

static int failed(const struct walk *walk, const char *doing, struct err *err)
{
    const char *text = archive_error_string(walk->reader);
    return err_set(err, FAIL_CORRUPT, "%s: %s: %s", walk->artifact, doing,
                   text ? text : "no reason given");
}

/* The name without the one top folder; "" for that folder itself. */
static int strip(struct walk *walk, const char *name, char clean[FS_PATH_MAX], struct err *err)
{
    if (strncmp(name, "./", 2) == 0)
        name += 2;
    if (!name[0] || strcmp(name, ".") == 0) {
        clean[0] = 0;
        return 0;
    }
    size_t len = strlen(name);
    if (len >= FS_PATH_MAX)
        return refuse(walk, name, "has too long a name", err);
    memcpy(clean, name, len + 1);
    if (clean[len - 1] == '/')
        clean[len - 1] = 0;
    if (!release_path_ok(clean))
        return refuse(walk, name, "has an absolute, unclean or too long name", err);
    len = strcspn(clean, "/");
    if (!walk->top[0]) {
        memcpy(walk->top, clean, len);
        walk->top[len] = 0;
    }
    if (strlen(walk->top) != len || memcmp(walk->top, clean, len) != 0)
        return refuse(walk, name, "lies outside the one top folder of a Confluence archive", err);
    const char *rest = clean + len + (clean[len] == '/');
    memmove(clean, rest, strlen(rest) + 1);
    return 0;
}

static int late(const struct walk *walk, struct err *err)
{
    if (!walk->until_mono_ms || clock_mono_ms() < walk->until_mono_ms)
        return 0;
    return err_set(err, FAIL_TIMEOUT, "%s could not be read in time", walk->artifact);
}

static int data_read(struct walk *walk, const char *name, bool wanted, uint64_t *ret_size,
                     struct err *err)
{
    const void *block = NULL;
    size_t len = 0;
    la_int64_t offset = 0;
    uint64_t size = 0;
    for (;;) {
        int rc = archive_read_data_block(walk->reader, &block, &len, &offset);
        if (rc == ARCHIVE_EOF)
            break;
        if (rc != ARCHIVE_OK)
            return failed(walk, name, err);
        if (offset < 0 || (uint64_t)offset != size)
            return refuse(walk, name, "has holes", err);
        size += len;
        walk->bytes += len;
        if (walk->bytes > RELEASE_TOTAL_MAX)
            return refuse(walk, name, "brings the archive above the size it may unpack to", err);
        if (late(walk, err) || (wanted && walk->to->bytes(walk->to->arg, block, len, err)))
            return -err->code;
    }
    *ret_size = size;
    return 0;
}

static int entry_read(struct walk *walk, struct archive_entry *entry, struct err *err)
{
    char clean[FS_PATH_MAX];
    const char *name = archive_entry_pathname(entry);
    mode_t kind = archive_entry_filetype(entry);
    uint64_t size = 0;
    if (++walk->entries > RELEASE_ENTRIES_MAX)
        return refuse(walk, name ? name : "", "is one more than an archive may have", err);
    if (!name)
        return refuse(walk, "", "has no name in UTF-8", err);
    if (archive_entry_hardlink(entry))
        return refuse(walk, name, "is a hard link", err);
    if (kind != AE_IFREG && kind != AE_IFDIR && kind != AE_IFLNK)
        return refuse(walk, name, "is neither file, folder nor link", err);
    if (strip(walk, name, clean, err))
        return -err->code;
    if (kind == AE_IFDIR)
        return 0;
    const char *link = kind == AE_IFLNK ? archive_entry_symlink(entry) : NULL;
    if (!clean[0] || (kind == AE_IFLNK && !link))
        return refuse(walk, name, "is no folder but stands for the tree, or is an empty link", err);
    const struct release_entry told = {
        clean, (kind == AE_IFLNK ? S_IFLNK : S_IFREG) | (archive_entry_perm(entry) & 0777), link
    };
    int wanted = walk->to->begin(walk->to->arg, &told, err);
    if (wanted < 0)
        return wanted;
    if (link)
        return wanted ? walk->to->end(walk->to->arg, strlen(link), err) : 0;
    if (data_read(walk, clean, wanted > 0, &size, err))
        return -err->code;
    return wanted ? walk->to->end(walk->to->arg, size, err) : 0;
}

int release_archive_read(const char *path, const struct release_reader *reader,
                         int64_t until_mono_ms, struct err *err)
{
    struct walk walk = { .artifact = path, .to = reader, .until_mono_ms = until_mono_ms };
    struct stat st;
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_USAGE, "%s is not a regular file", path);
    CLEANUP(reader_drop) struct archive *archive = archive_read_new();
    if (!archive)
        abort();
    walk.reader = archive;
    if (archive_read_support_filter_gzip(archive) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(archive) != ARCHIVE_OK ||
        archive_read_support_format_tar(archive) != ARCHIVE_OK ||
        archive_read_support_format_zip(archive) != ARCHIVE_OK ||
        archive_read_open_fd(archive, fd, 1 << 18) != ARCHIVE_OK)
        return failed(&walk, "open", err);
    for (;;) {
        struct archive_entry *entry = NULL;
        int rc = archive_read_next_header(archive, &entry);
        if (rc == ARCHIVE_EOF)
            break;
        if (rc != ARCHIVE_OK) /* a warning means that something was not understood */
            return failed(&walk, "next entry", err);
        if (late(&walk, err) || entry_read(&walk, entry, err))
            return -err->code;
    }
    return walk.entries ? 0 : err_set(err, FAIL_CORRUPT, "%s holds nothing", path);
}
