#include "confleet/fs.h"
#include "confleet/cleanup.h"
#include "harness/test.h"
#include <sys/stat.h>
#include <unistd.h>

TEST(a_written_file_is_whole_and_has_its_mode)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "f");
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    struct stat st;
    CHECK_OK(fs_write(path, "one", 3, 0600, &err), err);
    CHECK_OK(fs_write(path, "two!", 4, 0600, &err), err);
    CHECK_OK(fs_read(path, 100, &text, &err), err);
    CHECK_STR(str_text(&text), "two!");
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
}

TEST(a_file_above_its_cap_is_refused)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "f");
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    CHECK_OK(fs_write(path, "12345", 5, 0600, &err), err);
    CHECK_INT(fs_read(path, 4, &text, &err), -FAIL_LIMIT);
    CHECK_HAS(err.text, path);
}

TEST(removing_a_tree_does_not_follow_links_out_of_it)
{
    const char *dir = test_dir();
    CLEANUP(free_mem) char *tree = fs_join(dir, "tree/a/b");
    CLEANUP(free_mem) char *keep = fs_join(dir, "keep");
    CLEANUP(free_mem) char *link = fs_join(dir, "tree/link");
    CLEANUP(free_mem) char *top = fs_join(dir, "tree");
    struct err err = { 0 };
    CHECK_OK(fs_mkdirs(tree, 0700, &err), err);
    CHECK_OK(fs_mkdirs(keep, 0700, &err), err);
    CHECK_INT(symlink(keep, link), 0);
    CHECK_OK(fs_remove_tree(top, &err), err);
    CHECK(!fs_exists(top));
    CHECK(fs_is_dir(keep));
    CHECK_OK(fs_remove_tree(top, &err), err);
}

TEST(two_folders_change_names_in_one_act)
{
    const char *dir = test_dir();
    CLEANUP(free_mem) char *a = fs_join(dir, "a"), *b = fs_join(dir, "b"), *in_a = fs_join(dir, "a/x"), *in_b = fs_join(dir, "b/x");
    struct err err = { 0 };
    CHECK_OK(fs_mkdirs(in_a, 0700, &err), err);
    CHECK_OK(fs_mkdirs(b, 0700, &err), err);
    CHECK_OK(fs_exchange(a, b, &err), err);
    CHECK(fs_is_dir(in_b));
    CHECK(!fs_exists(in_a));
    free(b);
    b = fs_join(dir, "none");
    CHECK_INT(fs_exchange(a, b, &err), -FAIL_NOT_FOUND);
}

TEST(a_lock_is_held_by_one)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "lock");
    CLEANUP(close_fd) int one = -1;
    int two = -1;
    struct err err = { 0 };
    CHECK_OK(fs_lock(path, &one, &err), err);
    CHECK_INT(fs_lock(path, &two, &err), -FAIL_BUSY);
    err_clear(&err);
    CHECK_INT(fs_lock_to_read(path, &two, &err), -FAIL_BUSY);
    err_clear(&err);
    CHECK_INT(two, -1);
    close_fd(&one);
    CHECK_OK(fs_lock_to_read(path, &one, &err), err);
    CHECK_INT(fs_lock(path, &two, &err), -FAIL_BUSY);
    err_clear(&err);
    CLEANUP(close_fd) int dir = -1;
    CHECK_OK(fs_lock_to_read(test_dir(), &dir, &err), err);
    CHECK_INT(fs_lock_to_read("/no/such/file", &two, &err), -FAIL_NOT_FOUND);
}
