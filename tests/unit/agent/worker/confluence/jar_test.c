#include "agent/worker/confluence/jar.h"
#include "tree.h"

TEST(an_entry_is_read_whole)
{
    const char *dir = test_dir();
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    tree_jar(dir, "a.jar", "x/y.txt", "hello");
    CHECK_OK(jar_entry(tree_path(dir, "a.jar"), "x/y.txt", 5, &text, &err), err);
    CHECK_STR(str_text(&text), "hello");
}

TEST(what_is_not_there_too_large_or_no_jar_is_told)
{
    const char *dir = test_dir();
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    tree_jar(dir, "a.jar", "x/y.txt", "hello");
    tree_file(dir, "b.jar", "this is no zip file at all");
    CHECK_INT(jar_entry(tree_path(dir, "a.jar"), "x/z.txt", 5, &text, &err), -FAIL_NOT_FOUND);
    err_clear(&err);
    CHECK_INT(jar_entry(tree_path(dir, "a.jar"), "x/y.txt", 4, &text, &err), -FAIL_LIMIT);
    err_clear(&err);
    CHECK_INT(jar_entry(tree_path(dir, "b.jar"), "x/y.txt", 5, &text, &err), -FAIL_CORRUPT);
    err_clear(&err);
    CHECK_INT(jar_entry(tree_path(dir, "c.jar"), "x/y.txt", 5, &text, &err), -FAIL_NOT_FOUND);
    CHECK_INT(text.len, 0);
}

TEST(a_jar_that_was_cut_off_is_corrupt)
{
    const char *dir = test_dir();
    CLEANUP(str_free) struct str bytes = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    tree_jar(dir, "a.jar", "x/y.txt", "hello hello hello hello hello");
    CHECK_OK(fs_read(tree_path(dir, "a.jar"), 1 << 20, &bytes, &err), err);
    tree_bytes(dir, "half.jar", bytes.s, bytes.len / 2);
    CHECK_INT(jar_entry(tree_path(dir, "half.jar"), "x/y.txt", 100, &text, &err), -FAIL_CORRUPT);
}
