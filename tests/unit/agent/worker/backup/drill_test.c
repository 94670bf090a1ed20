#include "world.h"

#define NEEDS_SERVER                                                                               \
    if (!cluster_start())                                                                          \
    TEST_SKIP("no PostgreSQL server programs on this host")

/* The commands of the README, as they stand there. */
static void drill(const struct world *w, const char *id, const char *into)
{
    struct err err = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    CHECK_OK(fs_read("agent/worker/backup/README.md", 1 << 20, &text, &err), err);
    char *begin = strstr(text.s, "```bash\n"), *end = begin ? strstr(begin + 8, "\n```") : NULL;
    CHECK(end != NULL);
    *end = '\0';
    CLEANUP(free_mem)
    char *backup = text_printf("BACKUP=%s/app-1/%s", w->backup, id),
         *to = text_printf("INTO=%s", into);
    CLEANUP(free_mem)
    char *host = text_printf("PGHOST=%s", cluster.dir),
         *port = text_printf("PGPORT=%d", cluster.port);
    const char *env[] = { backup, to, host, port, "PGUSER=postgres", "PATH=/usr/bin:/bin", NULL };
    const char *argv[] = { "/bin/bash", "-c", begin + 8, NULL };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .env = env, .timeout_ms = 60000 },
                         &result, &err),
             err);
}

TEST(the_written_drill_restores_a_capture_without_us)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    if (access("/usr/bin/zstd", X_OK) != 0 || geteuid() != 0)
        TEST_SKIP("the drill needs root and the program zstd");
    cluster_odd_database();
    world_make(&w);
    tree_file(w.dir, "home/removed/later", "in the hot backup only");
    tree_file(w.dir, "home/od\xc3\xa4 \\n%41\n!", "an odd name");
    STEP(&w, "backup");
    struct err err = { 0 };
    CLEANUP(free_mem)
    char *removed = fs_join(w.home, "removed"),
         *into = fs_join(w.dir, "into"), *home = fs_join(into, "home");
    CHECK_OK(fs_remove_tree(removed, &err), err);
    tree_file(w.dir, "home/added", "after the hot backup");
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    world_fingerprint(&w, "before", false);
    CHECK_OK(fs_mkdirs(into, 0700, &err), err);
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki RENAME TO wiki_before");
    drill(&w, w.backup_id, into);
    CLEANUP(free_mem) char *was_home = w.home, *was_install = w.install;
    w.home = home;
    w.install = fs_join(into, "install");
    home = NULL;
    world_fingerprint(&w, "before", true);
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki_before");
}
