#include "tar.h"
#include "confleet/str.h"
#include "xattrs.h"
#include <string.h>
#include <sys/stat.h>

#define NS_PER_S 1000000000LL

int tar_locale_new(locale_t *ret, struct err *err)
{
    *ret = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return *ret ? 0 : err_set(err, FAIL_UNSUPPORTED, "this system has no locale C.UTF-8");
}

void tar_locale_free(locale_t *locale)
{
    if (*locale)
        freelocale(*locale);
    *locale = (locale_t)0;
}

/* Floor, so that times before 1970 keep their nanoseconds positive. */
static time_t seconds(int64_t ns)
{
    return (time_t)(ns / NS_PER_S - (ns % NS_PER_S < 0));
}

static long nanoseconds(int64_t ns)
{
    return (long)(ns - (int64_t)seconds(ns) * NS_PER_S);
}

static unsigned file_type(enum entry_type type)
{
    return type == ENTRY_DIR ? AE_IFDIR : type == ENTRY_LINK ? AE_IFLNK : AE_IFREG;
}

static int add_xattr(void *ctx, const char *name, const void *value, size_t len, struct err *err)
{
    (void)err;
    archive_entry_xattr_add_entry(ctx, name, value, len);
    return 0;
}

int tar_entry_fill(const struct entry *entry, struct archive_entry *to, struct err *err)
{
    archive_entry_clear(to);
    archive_entry_set_pathname(to, entry->path);
    archive_entry_set_filetype(to, file_type(entry->type));
    archive_entry_set_perm(to, entry->mode);
    archive_entry_set_uid(to, entry->uid);
    archive_entry_set_gid(to, entry->gid);
    if (entry->user[0])
        archive_entry_set_uname(to, entry->user);
    if (entry->group[0])
        archive_entry_set_gname(to, entry->group);
    archive_entry_set_mtime(to, seconds(entry->mtime_ns), nanoseconds(entry->mtime_ns));
    if (entry->type == ENTRY_LINK)
        archive_entry_set_symlink(to, entry->target);
    if (entry->type == ENTRY_HARD)
        archive_entry_set_hardlink(to, entry->target);
    else
        archive_entry_set_size(to, entry->type == ENTRY_FILE ? (la_int64_t)entry->size : 0);
    return entry->type == ENTRY_HARD ? 0 : xattrs_each(entry->xattrs, add_xattr, to, err);
}

static bool same_name(const char *ours, const char *theirs)
{
    if (!theirs)
        return false;
    size_t len = strlen(ours);
    /* Folders come back with a slash at the end. */
    return strncmp(ours, theirs, len) == 0 &&
           (theirs[len] == '\0' || (theirs[len] == '/' && theirs[len + 1] == '\0'));
}

struct attributes {
    struct archive_entry *member;
    char *before;
    int count;
    bool same;
};

static int find_xattr(void *ctx, const char *name, const void *value, size_t len, struct err *err)
{
    struct attributes *a = ctx;
    const char *theirs = NULL;
    const void *held = NULL;
    size_t held_len = 0;
    bool found = false;
    (void)err;
    (void)archive_entry_xattr_reset(a->member);
    while (!found && archive_entry_xattr_next(a->member, &theirs, &held, &held_len) == ARCHIVE_OK)
        found = theirs && strcmp(theirs, name) == 0 && held_len == len &&
                (len == 0 || memcmp(held, value, len) == 0);
    a->same = a->same && found && (!a->before || strcmp(a->before, name) < 0);
    a->count++;
    free(a->before);
    a->before = text_dup(name);
    return 0;
}

/* Each name is written twice, in the two forms that readers know, and both come back. Since ours
 * are in strict order, as many as there should be are all that there are. */
static bool same_xattrs(const struct entry *entry, struct archive_entry *member)
{
    struct attributes a = { .member = member, .same = true };
    struct err ignored = { 0 };
    int rc = xattrs_each(entry->xattrs, find_xattr, &a, &ignored);
    int theirs = archive_entry_xattr_count(member);
    free(a.before);
    return rc == 0 && a.same && (theirs == 2 * a.count || theirs == a.count);
}

int tar_entry_compare(const struct entry *entry, struct archive_entry *member, const char *pack,
                      struct err *err)
{
    const char *what = NULL;
    const char *name = archive_entry_pathname(member);
    if (!same_name(entry->path, name))
        return err_set(err, FAIL_CORRUPT, "%s: holds '%s' where the manifest has '%s'", pack,
                       name ? name : "(no name)", entry->path);
    if (entry->type == ENTRY_HARD) {
        const char *link = archive_entry_hardlink(member);
        what = link && strcmp(link, entry->target) == 0 ? NULL : "link";
    } else if (archive_entry_hardlink(member) ||
               archive_entry_filetype(member) != file_type(entry->type)) {
        what = "type";
    } else if (entry->type == ENTRY_LINK) {
        const char *link = archive_entry_symlink(member);
        what = link && strcmp(link, entry->target) == 0 ? NULL : "target";
    } else if (entry->type == ENTRY_FILE && (!archive_entry_size_is_set(member) ||
                                             (uint64_t)archive_entry_size(member) != entry->size)) {
        what = "size";
    }
    if (!what && archive_entry_perm(member) != entry->mode)
        what = "mode";
    if (!what &&
        (archive_entry_uid(member) != entry->uid || archive_entry_gid(member) != entry->gid))
        what = "owner";
    if (!what && (archive_entry_mtime(member) != seconds(entry->mtime_ns) ||
                  archive_entry_mtime_nsec(member) != nanoseconds(entry->mtime_ns)))
        what = "time";
    if (!what && entry->type != ENTRY_HARD && !same_xattrs(entry, member))
        what = "attributes";
    if (what)
        return err_set(err, FAIL_CORRUPT, "%s: %s: %s differs from the manifest's", pack,
                       entry->path, what);
    return 0;
}
