#include "agent/worker/backup/files.h"
#include "agent/worker/backup/store.h"
#include "agent/worker/backup/twin.h"
#include "world.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

/* The drill's result is the site, by the one oracle of the whole project. */
static void drill_is_the_site(struct world *w, const char *id)
{
    struct err err = { 0 };
    CLEANUP(free_mem) char *into = fs_join(w->dir, "into"), *was_home = w->home,
                           *was_install = w->install;
    world_fingerprint(w, "before", false);
    CHECK_OK(fs_mkdirs(into, 0700, &err), err);
    cluster_sql("postgres", "postgres", "ALTER DATABASE wiki RENAME TO wiki_before");
    drill(w, id, into);
    w->home = fs_join(into, "home");
    w->install = fs_join(into, "install");
    world_fingerprint(w, "before", true);
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki_before");
}

#define NEEDS_PROGRAMS                                                                             \
    if (access("/usr/bin/zstd", X_OK) != 0 || geteuid() != 0)                                      \
    TEST_SKIP("the drill needs root and the program zstd")

static void noise(const struct world *w, const char *name, size_t len)
{
    CLEANUP(free_mem) char *bytes = mem_zero(len, 1);
    random_bytes(bytes, len);
    tree_bytes(w->dir, name, bytes, len);
}

/* Until equal times prove that nothing changed. */
static void wait_until_old(void)
{
    for (int64_t end = clock_wall_ms() + 1200; clock_wall_ms() < end;)
        (void)poll(NULL, 0, 20);
}

static void home_remove(const struct world *w, const char *name)
{
    struct err err = { 0 };
    CLEANUP(free_mem) char *path = fs_join(w->home, name);
    CHECK_OK(fs_remove_tree(path, &err), err);
}

static size_t packs_from(const struct world *w, const char *id)
{
    struct err err = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem) char *path = text_printf("%s/app-1/%s/manifest", w->backup, id);
    size_t count = 0;
    CHECK_OK(fs_read(path, 1 << 24, &text, &err), err);
    for (const char *at = text.s; (at = strstr(at, "\npack ")) != NULL; at++)
        count += strncmp(strstr(at, " from=") + 6, "20", 2) == 0;
    return count;
}

static void set_time(const struct world *w, const char *name, time_t seconds, long ns)
{
    CLEANUP(free_mem) char *path = fs_join(w->home, name);
    struct timespec times[2] = { { seconds, ns }, { seconds, ns } };
    CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* What was a folder in one backup of the chain is a file or a link in the next, and back. */
TEST(the_written_drill_restores_from_a_chain_of_three)
{
    NEEDS_SERVER;
    NEEDS_PROGRAMS;
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    world_make(&w);
    noise(&w, "home/attachments/stays", 300000);
    noise(&w, "home/turns/into/a-link", 1000);
    noise(&w, "home/attachments/newer", 1000); /* stays as the second backup has it */
    noise(&w, "home/becomes", 1000);
    noise(&w, "home/goes/later", 1000);
    noise(&w, "home/early/epoch/file", 1000);
    set_time(&w, "early/epoch/file", -2, 500000000);
    set_time(&w, "early/epoch", 0, 0);
    set_time(&w, "early", -1, 500000000);
    set_time(&w, "attachments", -1000, 1);
    wait_until_old();
    CHECK_OK(world_job(&w, backup_job), w.err);
    home_remove(&w, "goes");
    home_remove(&w, "turns/into");
    home_remove(&w, "becomes");
    CLEANUP(free_mem) char *link = fs_join(w.home, "turns/into");
    CHECK_INT(symlink("../attachments", link), 0);
    noise(&w, "home/a/first/in/the/walk", 1000); /* so that its pack is met before older ones */
    noise(&w, "home/attachments/newer", 1001);
    noise(&w, "home/becomes/a/folder", 1000);
    noise(&w, "home/attachments/second", 200000);
    wait_until_old();
    CHECK_OK(world_job(&w, backup_job), w.err);
    noise(&w, "home/attachments/second", 200001);
    noise(&w, "home/attachments/third", 1000);
    home_remove(&w, "becomes");
    tree_file(w.dir, "home/becomes", "a file again");
    set_time(&w, "attachments", -1000, 1);
    wait_until_old();
    CHECK_OK(world_job(&w, backup_job), w.err);
    CHECK(packs_from(&w, w.backup_id) >= 2);
    drill_is_the_site(&w, w.backup_id);
}

struct cut {
    uint64_t left;
};

static void cut_off(void *ctx, uint64_t bytes)
{
    struct cut *cut = ctx;
    if (bytes >= cut->left)
        _exit(9);
    cut->left -= bytes;
}

/* In a process of its own, which ends in the midst of the home. */
static void backup_cut_off(struct world *w)
{
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct store store = { .lock = -1 };
        struct manifest m;
        struct err err = { 0 };
        struct cut cut = { 1500000 };
        struct files_spec spec = { .root = { w->install, w->home },
                                   .pack_limit = 300000,
                                   .checkpoint = true,
                                   .ending = ".partial" };
        manifest_init(&m);
        m.kind = "hot";
        m.installation = "app-1";
        m.version = "9.2.13";
        m.build = 9109;
        if (store_open(w->backup, "app-1", &store, &err) == 0 &&
            store_begin(&store, &m, &err) == 0)
            (void)!files_capture(&store, &m, &spec, cut_off, &cut, &err);
        _exit(1);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

TEST(the_written_drill_restores_a_backup_that_was_cut_off_and_continued)
{
    NEEDS_SERVER;
    NEEDS_PROGRAMS;
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    world_make(&w);
    for (int i = 0; i < 20; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "home/many/d%d/f%02d", i % 5, i);
        noise(&w, name, 100000);
    }
    wait_until_old();
    backup_cut_off(&w);
    CLEANUP(free_mem) char *changed = fs_join(w.home, "many/d0");
    home_remove(&w, "many/d0");
    CHECK_INT(symlink("d1", changed), 0);
    home_remove(&w, "many/d1/f01");
    noise(&w, "home/many/d2/f02", 90000);
    noise(&w, "home/many/d9/new", 5000);
    CHECK_OK(world_job(&w, backup_job), w.err);
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem) char *path = text_printf("%s/app-1/%s/manifest", w.backup, w.backup_id);
    struct err err = { 0 };
    CHECK_OK(fs_read(path, 1 << 24, &text, &err), err);
    CHECK_HAS(text.s, "\nstale "); /* it was continued */
    drill_is_the_site(&w, w.backup_id);
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
    /* Its dump is taken of the copy and bears the copy's name. */
    w.node.stop_capture = (char *)(uintptr_t) "auto";
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    STEP(&w, "prove-capture");
    CHECK_OK(world_job(&w, twins_expire), w.err);
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
