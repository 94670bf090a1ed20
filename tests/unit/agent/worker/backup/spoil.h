/* spoil - a world with what a way back tends to forget, and what a failed start of a new build
 * makes of it. */
#pragma once
#include "world.h"
#include <sys/mount.h>

#define NEEDS_SERVER                                                                               \
    if (!cluster_start())                                                                          \
    TEST_SKIP("no PostgreSQL server programs on this host")

/* What a failed start of a new build leaves: a changed home and a changed database. */
static inline void damage(struct world *w)
{
    struct err err = { 0 };
    tree_file(w->dir, "home/confluence.cfg.xml", "half writ");
    tree_file(w->dir, "home/logs/atlassian-confluence.log", "it failed");
    tree_file(w->dir, "home/attachments/ver003/1/2/3", "Another thing"); /* the same size */
    tree_file(w->dir, "home/index/segments", "other");
    tree_file(w->dir, "home/plugins-cache/a/b", "new");
    CLEANUP(free_mem)
    char *gone = fs_join(w->home, "attachments/ver003/gone"), *link_path = fs_join(w->home, "link");
    CLEANUP(free_mem)
    char *mode = fs_join(w->home, "mode"), *was_dir = fs_join(w->home, "was-dir"),
         *was_file = fs_join(w->home, "was-file");
    CLEANUP(free_mem) char *hard = fs_join(w->home, "hard");
    CHECK_INT(unlink(gone), 0);
    CHECK_INT(unlink(link_path), 0);
    CHECK_INT(symlink("elsewhere", link_path), 0);
    CHECK_INT(chmod(mode, 0777), 0);
    CHECK_OK(fs_remove_tree(was_dir, &err), err);
    tree_file(w->dir, "home/was-dir", "a file now");
    CHECK_INT(unlink(was_file), 0);
    tree_file(w->dir, "home/was-file/deep/er", "a folder now");
    CHECK_INT(unlink(hard), 0);
    tree_file(w->dir, "home/hard", "an attachment");
    cluster_sql("postgres", "wiki",
                "UPDATE content SET t = 'broken' WHERE id = 7; DROP VIEW v; ALTER TABLE content "
                "ADD COLUMN more int; DROP TABLE theirs; "
                "SELECT nextval('s'); SELECT lo_unlink(4712); CREATE TABLE half (a int); UPDATE "
                "confversion SET buildnumber = 9999; REVOKE ALL ON DATABASE wiki FROM other");
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki SET work_mem = '9MB'");
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki CONNECTION LIMIT 7");
    cluster_sql("postgres", "postgres", "COMMENT ON DATABASE wiki IS NULL");
}

static inline void furnish(struct world *w)
{
    cluster_odd_database();
    world_make(w);
    tree_file(w->dir, "home/attachments/ver003/gone", "will be missed");
    tree_file(w->dir, "home/mode", "mode");
    tree_file(w->dir, "home/was-dir/x", "x");
    tree_file(w->dir, "home/was-file", "y");
    CLEANUP(free_mem)
    char *from = fs_join(w->home, "attachments/ver003/1/2/3"), *to = fs_join(w->home, "hard"),
         *link_path = fs_join(w->home, "link");
    CHECK_INT(link(from, to), 0);
    CHECK_INT(symlink("attachments", link_path), 0);
    if (geteuid() == 0)
        CHECK_INT(lchown(from, 12345, 54321), 0);
}

/* The way back while the backup folder can only be read; false where nothing can be mounted. What
 * failed is told after the folder is as before. */
static inline bool undo_from_read_only(struct world *w)
{
    static const char *const steps[] = { "capture-database", "capture-files" };
    struct err why = { 0 };
    if (mount(w->backup, w->backup, NULL, MS_BIND, NULL) != 0)
        return false;
    int ro = mount(NULL, w->backup, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), rc = 0;
    for (size_t i = 0; rc == 0 && i < 2; i++)
        rc = world_step(w, steps[i], CONFLEET__WORKER_PHASE__UNDO);
    why = w->err;
    CHECK_INT(umount(w->backup), 0);
    CHECK_INT(ro, 0);
    CHECK_OK(rc, why);
    return true;
}
