/* Backups that refer to earlier ones, passes that were cut off, homes that do not hold still. */
#include "agent/worker/backup/base.h"
#include "agent/worker/backup/files.h"
#include "agent/worker/backup/restore_files.h"
#include "world.h"
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define NEEDS_SERVER                                                                               \
    if (!cluster_start())                                                                          \
    TEST_SKIP("no PostgreSQL server programs on this host")

static void small_database(void)
{
    cluster_odd_database();
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki WITH (FORCE)");
    cluster_sql("postgres", "postgres", "CREATE DATABASE wiki OWNER conf TEMPLATE template0");
    cluster_sql("conf", "wiki", "CREATE TABLE content (t text); INSERT INTO content VALUES ('1')");
}

/* Until equal times prove that nothing changed. */
static void wait_until_old(void)
{
    for (int64_t end = clock_wall_ms() + 1200; clock_wall_ms() < end;)
        (void)poll(NULL, 0, 20);
}

static void noise(const char *dir, const char *name, size_t len)
{
    CLEANUP(free_mem) char *bytes = mem_zero(len, 1);
    random_bytes(bytes, len);
    tree_bytes(dir, name, bytes, len);
}

static void load(const struct world *w, const char *id, struct manifest *m)
{
    struct err err = { 0 };
    CLEANUP(store_close) struct store store = { .lock = -1 };
    CHECK_OK(store_open(w->backup, "app-1", &store, &err), err);
    CHECK_OK(store_load(&store, id, "", m, NULL, &err), err);
}

static void flip_middle(const char *path)
{
    struct stat st;
    unsigned char byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    CHECK_INT(pread(fd, &byte, 1, st.st_size / 2), 1);
    byte ^= 1;
    CHECK_INT(pwrite(fd, &byte, 1, st.st_size / 2), 1);
    CHECK_INT(close(fd), 0);
}

TEST(a_later_backup_refers_to_what_was_proven_and_chains_stay_short)
{
    NEEDS_SERVER;
    char first[64];
    CLEANUP(world_free) struct world w;
    small_database();
    world_make(&w);
    noise(w.dir, "home/attachments/ver003/big", 2000000);
    wait_until_old();
    CHECK_OK(world_job(&w, backup_job), w.err);
    memcpy(first, w.backup_id, sizeof first);
    size_t anew = 0;
    for (int i = 0; i < CHAIN_MAX + 1; i++) {
        CLEANUP(manifest_free) struct manifest m;
        char name[64];
        manifest_init(&m);
        (void)snprintf(name, sizeof name, "home/attachments/ver003/n%d", i);
        noise(w.dir, name, 1000);
        wait_until_old();
        CHECK_OK(world_job(&w, backup_job), w.err);
        CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
        load(&w, w.backup_id, &m);
        CHECK(base_count(&m) <= CHAIN_MAX);
        if (i == 0) {
            CHECK_STR(m.base, first);
            CHECK(store_bytes(&m) < 200000);
        }
        anew += base_count(&m) == 0;
    }
    CHECK_INT(anew, 1);
}

TEST(a_base_that_is_found_bad_is_named_and_not_built_on_again)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    CLEANUP(manifest_free) struct manifest m;
    small_database();
    world_make(&w);
    noise(w.dir, "home/attachments/ver003/big", 500000);
    wait_until_old();
    CHECK_OK(world_job(&w, backup_job), w.err);
    CLEANUP(free_mem)
    char *pack = text_printf("%s/app-1/%s/home-0001.tar.zst", w.backup, w.backup_id);
    flip_middle(pack);
    CHECK(world_job(&w, backup_job) != 0);
    CHECK_HAS(w.err.text, pack);
    CHECK(w.level < CONFLEET__BACKUP_LEVEL__RESTORED);
    CHECK_OK(world_job(&w, backup_job), w.err);
    manifest_init(&m);
    load(&w, w.backup_id, &m);
    CHECK_INT(base_count(&m), 0);
}

/* ---- a pass that was cut off ---- */

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

static int hot_pass(struct world *w, struct store *store, struct manifest *m,
                    const struct manifest *part, pack_progress *progress, void *ctx,
                    struct err *err)
{
    struct files_spec spec = { .root = { w->install, w->home },
                               .part = part,
                               .pack_limit = 300000,
                               .checkpoint = true,
                               .ending = ".partial" };
    return files_capture(store, m, &spec, progress, ctx, err);
}

static void begin(struct world *w, struct store *store, struct manifest *m)
{
    struct err err = { 0 };
    *store = (struct store){ .lock = -1 };
    manifest_init(m);
    m->kind = "hot";
    m->installation = "app-1";
    m->version = "9.2.13";
    CHECK_OK(store_open(w->backup, "app-1", store, &err), err);
}

static void be_cut_off(struct world *w, uint64_t after)
{
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct store store;
        struct manifest m;
        struct err err = { 0 };
        struct cut cut = { after };
        begin(w, &store, &m);
        if (store_begin(&store, &m, &err) == 0)
            (void)!hot_pass(w, &store, &m, NULL, cut_off, &cut, &err);
        _exit(1);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

static void count_bytes(void *ctx, uint64_t bytes)
{
    *(uint64_t *)ctx += bytes;
}

TEST(a_hot_pass_that_was_cut_off_goes_on_where_it_was)
{
    struct err err = { 0 };
    CLEANUP(world_free) struct world w;
    CLEANUP(store_close) struct store store;
    CLEANUP(manifest_free) struct manifest m, part;
    struct restore_counts counts = { 0 };
    uint64_t read = 0;
    bool found = false;
    world_make(&w);
    for (int i = 0; i < 20; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "home/many/d%d/f%02d", i % 5, i);
        noise(w.dir, name, 100000);
    }
    wait_until_old();
    be_cut_off(&w, 1500000);
    CLEANUP(free_mem)
    char *changed = fs_join(w.home, "many/d0"), *gone = fs_join(w.home, "many/d1/f01");
    CHECK_OK(fs_remove_tree(changed, &err), err);
    CHECK_INT(symlink("d1", changed), 0);
    CHECK_INT(unlink(gone), 0);
    noise(w.dir, "home/many/d2/f02", 90000);
    noise(w.dir, "home/many/d9/new", 5000);
    begin(&w, &store, &m);
    manifest_init(&part);
    CHECK_OK(store_go_on(&store, &m, &part, &found, &err), err);
    CHECK(found);
    CHECK_OK(hot_pass(&w, &store, &m, &part, count_bytes, &read, &err), err);
    CHECK(read < 1500000);
    CHECK_OK(store_keep(&store, &m, ".partial", "", &err), err);
    CLEANUP(manifest_free) struct manifest kept;
    manifest_init(&kept);
    CHECK_OK(store_load(&store, m.id, "", &kept, NULL, &err), err);
    CHECK(kept.stale_count > 0);
    CHECK_OK(store_check(&store, &kept, "", NULL, NULL, &err), err);
    struct restore_from from = { .store = &store, .manifest = &kept, .ending = "" };
    CLEANUP(free_mem) char *into = fs_join(w.dir, "into");
    CHECK_OK(fs_mkdirs(into, 0700, &err), err);
    CHECK_OK(restore_tree(&from, TREE_HOME, into, &counts, &err), err);
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    const char *argv[] = { "/usr/bin/diff", "-r", "--no-dereference", w.home, into, NULL };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 10000 }, &result, &err),
             err);
}

/* ---- a home that does not hold still ---- */

/* Another process, which never asks: grows, shrinks, overwrites in place, replaces, deletes, and
 * changes owner, mode, time. */
static void write_on(const char *home)
{
    unsigned seed = 4;
    for (;;) {
        char name[64], other[64];
        (void)snprintf(name, sizeof name, "attachments/w%d", rand_r(&seed) % 200);
        (void)snprintf(other, sizeof other, "attachments/w%d", rand_r(&seed) % 200);
        CLEANUP(free_mem) char *path = fs_join(home, name), *to = fs_join(home, other);
        struct timespec times[2] = { { rand_r(&seed), 5 }, { rand_r(&seed), 123456789 } };
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
            continue;
        (void)!pwrite(fd, home, strlen(home), rand_r(&seed) % 300000);
        (void)close(fd);
        switch (rand_r(&seed) % 7) {
        case 0:
            (void)!truncate(path, rand_r(&seed) % 5000);
            break;
        case 1:
            (void)rename(path, to);
            break;
        case 2:
            (void)unlink(to);
            break;
        case 3:
            (void)chmod(path, (mode_t)(0400 | (rand_r(&seed) & 0377)));
            break;
        case 4:
            (void)!chown(path, (uid_t)(rand_r(&seed) % 1000), 7);
            break;
        case 5:
            (void)utimensat(AT_FDCWD, path, times, 0);
            break;
        default:
            (void)!link(path, to);
        }
    }
}

/* The oracle does not look at access lists; where there are none, both texts are empty. */
static void access_lists(const char *home, struct str *ret)
{
    struct err err = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    CLEANUP(free_mem)
    char *in = text_printf("cd '%s' && find attachments | LC_ALL=C sort | getfacl -n -", home);
    const char *argv[] = { "/bin/sh", "-c", in, NULL };
    if (access("/usr/bin/getfacl", X_OK) != 0)
        return;
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 10000 }, &result, &err),
             err);
    str_add(ret, str_text(&result.out));
}

static void give_access(const char *home)
{
    struct err err = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    CLEANUP(free_mem) char *dir = fs_join(home, "attachments/ver003");
    const char *argv[] = { "/usr/bin/setfacl", "-R", "-m", "u:7:rx,d:g:9:rwx", dir, NULL };
    if (access(argv[0], X_OK) == 0)
        CHECK_OK(
            proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 10000 }, &result, &err),
            err);
}

TEST(what_is_restored_is_the_tree_at_the_stop_whatever_was_written_meanwhile)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(world_free) struct world w;
    if (geteuid() != 0)
        TEST_SKIP("owners need root");
    cluster_odd_database();
    world_make(&w);
    noise(w.dir, "home/attachments/w0", 3000000);
    give_access(w.home);
    CLEANUP(str_free) struct str before = { 0 }, after = { 0 };
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
        write_on(w.home);
    for (int round = 0; round < 2; round++) { /* the second builds on the first */
        STEP(&w, "backup");
        STEP(&w, "verify");
    }
    CHECK_INT(kill(child, SIGKILL), 0);
    CHECK_INT(waitpid(child, NULL, 0), child);
    world_fingerprint(&w, "stop", false);
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    STEP(&w, "prove-capture");
    CLEANUP(free_mem) char *into = fs_join(w.dir, "into");
    w.order.backup = w.backup_id;
    w.order.into = into;
    CHECK_OK(world_job(&w, restore_job), w.err);
    CLEANUP(free_mem) char *was_home = w.home, *was_install = w.install;
    w.home = fs_join(into, "home");
    w.install = fs_join(into, "install");
    world_fingerprint(&w, "stop", true);
    access_lists(was_home, &before);
    access_lists(w.home, &after);
    CHECK_STR(str_text(&after), str_text(&before));
    CHECK_OK(fs_remove_tree(into, &err), err);
}

/* ---- the real schema ---- */

TEST(the_real_database_of_6_0_1_comes_back_after_it_was_broken)
{
    NEEDS_SERVER;
    const char *sql = test_shared("data/confluence-6.0.1.sql");
    if (!sql)
        TEST_SKIP("no real dump at hand");
    struct err err = { 0 };
    CLEANUP(world_free) struct world w;
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    small_database();
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki WITH (FORCE)");
    cluster_sql("postgres", "postgres",
                "DO $$BEGIN CREATE ROLE confluence LOGIN CREATEDB; EXCEPTION WHEN duplicate_object "
                "THEN END$$; GRANT confluence TO conf");
    cluster_sql("postgres", "postgres", "CREATE DATABASE wiki OWNER confluence");
    CLEANUP(free_mem) char *real = realpath(sql, NULL);
    const char *argv[] = { "/usr/bin/psql",
                           "-q",
                           "-v",
                           "ON_ERROR_STOP=1",
                           "-h",
                           cluster.dir,
                           "-p",
                           cluster.site.port,
                           "-U",
                           "postgres",
                           "-d",
                           "wiki",
                           "-f",
                           real,
                           NULL };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 60000 }, &result, &err),
             err);
    world_make(&w);
    STEP(&w, "backup");
    STEP(&w, "verify");
    world_fingerprint(&w, "stop", false);
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    STEP(&w, "prove-capture");
    w.order.new_build_started = true;
    cluster_sql(
        "postgres", "wiki",
        "DROP TABLE content CASCADE; DELETE FROM bandana; ALTER TABLE spaces ADD COLUMN "
        "broken int; CREATE TABLE new_one (a int); DROP SEQUENCE IF EXISTS seq_journal_entry_id");
    tree_file(w.dir, "home/index/segments", "of the new build");
    UNDO(&w, "capture-database");
    UNDO(&w, "capture-files");
    world_fingerprint(&w, "stop", true);
}
