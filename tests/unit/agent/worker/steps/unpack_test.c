#include "agent/worker/steps/unpack.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>

struct item { const char *name; mode_t kind, mode; const char *text, *target; bool hard; };
#define FILE_(name, text) { name, AE_IFREG, 0644, text, NULL, false }
#define DIR_(name) { name, AE_IFDIR, 0755, NULL, NULL, false }
#define LINK_(name, target) { name, AE_IFLNK, 0777, NULL, target, false }
#define GOOD DIR_("conf-1/"), FILE_("conf-1/README.txt", "hello"), FILE_("conf-1/bin/run.sh", "#!/bin/sh")

enum form { TAR_GZ, TAR_ZST, ZIP, CPIO };

static char *pack(const struct item *items, enum form form)
{
    char *path = fs_join(test_dir(), "a");
    struct archive *a = archive_write_new();
    CHECK_INT(form == ZIP ? archive_write_set_format_zip(a) : form == CPIO ? archive_write_set_format_cpio(a)
                                                                           : archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
    if (form == TAR_GZ)
        CHECK_INT(archive_write_add_filter_gzip(a), ARCHIVE_OK);
    if (form == TAR_ZST)
        CHECK_INT(archive_write_add_filter_zstd(a), ARCHIVE_OK);
    CHECK_INT(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (const struct item *item = items; item->name; item++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, item->name);
        archive_entry_set_filetype(entry, item->kind);
        archive_entry_set_perm(entry, item->mode);
        archive_entry_set_mtime(entry, 1700000000, 0);
        archive_entry_set_size(entry, item->text ? (la_int64_t)strlen(item->text) : 0);
        if (item->target && item->hard)
            archive_entry_set_hardlink(entry, item->target);
        else if (item->target)
            archive_entry_set_symlink(entry, item->target);
        CHECK_INT(archive_write_header(a, entry), ARCHIVE_OK);
        if (item->text)
            CHECK_INT(archive_write_data(a, item->text, strlen(item->text)), (la_ssize_t)strlen(item->text));
        archive_entry_free(entry);
    }
    CHECK_INT(archive_write_close(a), ARCHIVE_OK);
    CHECK_INT(archive_write_free(a), ARCHIVE_OK);
    return path;
}

static int unpack_items(const struct item *items, enum form form, struct unpack limits, char **ret_into, struct err *err)
{
    CLEANUP(free_mem) char *path = pack(items, form);
    struct unpack_count count;
    *ret_into = text_printf("%s-tree", path);
    limits.artifact = path, limits.into = *ret_into;
    return unpack_archive(&limits, &count, err);
}

static void refused_with(const struct item *items, struct unpack limits, const char *words)
{
    CLEANUP(free_mem) char *into = NULL;
    struct err err = { 0 };
    int rc = unpack_items(items, TAR_GZ, limits, &into, &err);
    if (rc != -FAIL_CORRUPT)
        print_error("wanted a refusal with '%s', got %d %s\n", words, rc, err.text);
    CHECK_INT(rc, -FAIL_CORRUPT);
    CHECK_HAS(err.text, words);
}
#define REFUSED(words, ...) refused_with((const struct item[]){ GOOD, __VA_ARGS__, { 0 } }, (struct unpack){ 0 }, words)

TEST(vendor_archives_of_each_form_lose_their_top_folder)
{
    const struct item items[] = { GOOD, LINK_("conf-1/lib/new", "../bin/run.sh"), { 0 } };
    for (enum form form = TAR_GZ; form <= ZIP; form++) {
        CLEANUP(free_mem) char *into = NULL;
        CLEANUP(str_free) struct str text = { 0 };
        struct err err = { 0 };
        struct stat st;
        (void)umask(077);
        CHECK_OK(unpack_items(items, form, (struct unpack){ 0 }, &into, &err), err);
        CLEANUP(free_mem) char *readme = fs_join(into, "README.txt"), *script = fs_join(into, "lib/new");
        CHECK_OK(fs_read(readme, 100, &text, &err), err);
        CHECK_STR(str_text(&text), "hello");
        CHECK(stat(script, &st) == 0);
        CHECK_INT(st.st_mode & 0777, 0755);
        CHECK(stat(readme, &st) == 0);
        CHECK_INT(st.st_mode & 0777, 0644);
        CHECK_INT(st.st_mtim.tv_sec, 1700000000);
    }
}

TEST(names_that_leave_the_tree_are_refused)
{
    REFUSED("absolute name", FILE_("/etc/evil", "x"));
    REFUSED("'..'", FILE_("conf-1/../../evil", "x"));
    REFUSED("'..'", FILE_("conf-1/a/..", "x"));
    REFUSED("one top folder", FILE_("other/evil", "x"));
    REFUSED("'..'", FILE_("../evil", "x"));
    REFUSED("one top folder", FILE_("evil", "x"));
    REFUSED("control characters", FILE_("conf-1/a\nb", "x"));
    REFUSED("empty part", FILE_("conf-1//a", "x"));
}

TEST(links_that_leave_the_tree_are_refused)
{
    REFUSED("absolute target", LINK_("conf-1/evil", "/etc/passwd"));
    REFUSED("leaves the tree", LINK_("conf-1/evil", "../outside"));
    REFUSED("leaves the tree", LINK_("conf-1/a/evil", "../../outside"));
    REFUSED("goes up in its middle", LINK_("conf-1/a/evil", "b/../../x"));
    REFUSED("below something that is no folder", LINK_("conf-1/dir", "bin"), FILE_("conf-1/dir/evil", "x"));
    REFUSED("hard link", { "conf-1/hard", AE_IFREG, 0644, NULL, "conf-1/README.txt", true });
}

TEST(special_files_and_special_modes_are_refused)
{
    REFUSED("neither file, folder nor link", { "conf-1/pipe", AE_IFIFO, 0644, NULL, NULL, false });
    REFUSED("neither file, folder nor link", { "conf-1/disk", AE_IFBLK, 0644, NULL, NULL, false });
    REFUSED("set-uid", { "conf-1/su", AE_IFREG, 04755, "x", NULL, false });
    REFUSED("set-uid", { "conf-1/shared", AE_IFDIR, 01777, NULL, NULL, false });
}

TEST(a_name_that_comes_twice_is_refused)
{
    REFUSED("comes twice", FILE_("conf-1/README.txt", "other"));
    REFUSED("comes twice", LINK_("conf-1/README.txt", "bin"));
    REFUSED("where a file or link is", DIR_("conf-1/README.txt/"));
}

TEST(caps_on_entries_file_and_total_are_kept)
{
    const struct item items[] = { GOOD, FILE_("conf-1/big", "0123456789012345678901234567890123456789"), { 0 } };
    refused_with(items, (struct unpack){ .entries_max = 3 }, "one more than an archive may have");
    refused_with(items, (struct unpack){ .file_bytes_max = 30 }, "larger than a file may be");
    refused_with(items, (struct unpack){ .total_bytes_max = 45 }, "above the size it may unpack to");
}

TEST(other_formats_and_damage_are_refused)
{
    const struct item items[] = { GOOD, { 0 } };
    CLEANUP(free_mem) char *into = NULL, *cut_into = NULL;
    struct err err = { 0 };
    CHECK_INT(unpack_items(items, CPIO, (struct unpack){ 0 }, &into, &err), -FAIL_CORRUPT);
    CLEANUP(free_mem) char *path = pack(items, TAR_GZ);
    struct stat st;
    CHECK(stat(path, &st) == 0 && truncate(path, st.st_size / 2) == 0);
    cut_into = text_printf("%s-tree", path);
    const struct unpack what = { .artifact = path, .into = cut_into };
    struct unpack_count count;
    err = (struct err){ 0 };
    CHECK_INT(unpack_archive(&what, &count, &err), -FAIL_CORRUPT);
}
