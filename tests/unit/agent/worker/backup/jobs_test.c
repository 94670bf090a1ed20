#include "agent/worker/backup/store.h"
#include "world.h"
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define NEEDS_SERVER                                                                               \
    if (!cluster_start())                                                                          \
    TEST_SKIP("no PostgreSQL server programs on this host")

static size_t folders(const struct world *w, const char *ending)
{
    struct err err = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    CLEANUP(free_mem) char *dir = fs_join(w->backup, "app-1"), *name = text_printf("*%s", ending);
    const char *argv[] = { "/usr/bin/find", dir,  "-mindepth", "1", "-maxdepth", "1", "-type", "d",
                           "-name",         name, "-printf",   "x", NULL };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .timeout_ms = 10000 }, &result, &err),
             err);
    return result.out.len;
}

TEST(a_backup_on_request_is_made_proven_and_told)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    world_make(&w);
    CHECK_OK(world_job(&w, backup_job), w.err);
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
    CHECK(w.rows > 5000 && w.files > 10);
    CHECK_HAS(w.note, "own server");
    w.order.backup = w.backup_id;
    w.level = 0;
    CHECK_OK(world_job(&w, verify_job), w.err);
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
    w.order.level = CONFLEET__BACKUP_LEVEL__STARTED;
    CHECK_INT(world_job(&w, verify_job), -FAIL_UNSUPPORTED);
    CHECK_HAS(w.err.text, "not available");
}

TEST(where_no_restore_can_be_tried_the_level_says_so_and_the_order_decides)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    cluster_sql("postgres", "postgres", "ALTER ROLE conf NOCREATEDB");
    world_make(&w);
    w.node.database_admin = (char *)(uintptr_t) "";
    w.node.scratch = (char *)(uintptr_t) "server";
    CHECK_INT(world_job(&w, backup_job), -FAIL_DENIED);
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RE_READ);
    CHECK_HAS(w.note, "CREATEDB");
    w.order.level = CONFLEET__BACKUP_LEVEL__RE_READ;
    w.order.backup = w.backup_id;
    CHECK_OK(world_job(&w, verify_job), w.err);
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RE_READ);
    cluster_sql("postgres", "postgres", "ALTER ROLE conf CREATEDB");
}

static void fake_tools(struct world *w, const char *dump)
{
    CLEANUP(free_mem)
    char *script = text_printf(
        "#!/bin/sh\ncase \"$1\" in --version) echo \"pg_dump (PostgreSQL) 15.20\";; *) %s;; esac\n",
        dump);
    tree_file(w->dir, "bin/pg_dump", script);
    tree_file(w->dir, "bin/pg_restore", "#!/bin/sh\necho 'pg_restore (PostgreSQL) 15.20'\n");
    CLEANUP(free_mem)
    char *a = fs_join(w->dir, "bin/pg_dump"),
         *b = fs_join(w->dir, "bin/pg_restore");
    CHECK_INT(chmod(a, 0755), 0);
    CHECK_INT(chmod(b, 0755), 0);
    w->node.pg_bin = fs_join(w->dir, "bin");
}

TEST(a_dump_that_fails_leaves_no_backup)
{
    NEEDS_SERVER;
    static const struct {
        const char *script, *says;
    } cases[] = {
        { "printf PGDMP; head -c 9000000 /dev/zero; kill -9 $$", "killed by signal 9" },
        { "printf PGDMP; head -c 100000 /dev/zero; echo 'disk on fire' >&2; exit 3",
          "disk on fire" },
        { "exit 0", "wrote no dump" },
    };
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    world_make(&w);
    for (size_t i = 0; i < 3; i++) {
        fake_tools(&w, cases[i].script);
        CHECK_INT(world_job(&w, backup_job), -FAIL_TOOL);
        CHECK_HAS(w.err.text, cases[i].says);
        CHECK_HAS(w.err.text, ".partial");
        CHECK_INT(folders(&w, "*"), 0);
        free(w.node.pg_bin);
    }
    w.node.pg_bin = (char *)(uintptr_t) "";
}

TEST(a_full_disk_leaves_no_backup)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    CLEANUP(free_mem) char *noise = mem_zero(1, 3000000);
    struct rlimit before, small = { 1000000, 0 };
    cluster_odd_database();
    world_make(&w);
    random_bytes(noise, 3000000);
    tree_bytes(w.dir, "home/noise", noise, 3000000);
    /* A write that the system refuses, as at the end of a disk. */
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = world_job(&w, backup_job);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK(rc != 0);
    CHECK_HAS(w.err.text, "home-0001.tar.zst");
    CHECK_INT(folders(&w, "*"), 0);
    CHECK_OK(world_job(&w, backup_job), w.err);
}

TEST(a_restore_goes_into_an_empty_folder_only_and_is_whole)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    world_make(&w);
    CHECK_OK(world_job(&w, backup_job), w.err);
    w.order.backup = w.backup_id;
    w.order.into = w.home;
    CHECK_INT(world_job(&w, restore_job), -FAIL_EXISTS);
    CLEANUP(free_mem)
    char *into = fs_join(w.dir, "into"),
         *dump = fs_join(into, "database.dump"), *home = fs_join(into, "home");
    w.order.into = into;
    CHECK_OK(world_job(&w, restore_job), w.err);
    struct err err = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = (const char *const[]){ "/usr/bin/diff", "-r",
                                                                             w.home, home, NULL },
                                              .timeout_ms = 10000 },
                         &result, &err),
             err);
    CHECK_OK(
        proc_run_ok(&(struct proc_spec){ .argv = (const char *const[]){ CLUSTER_BIN "/pg_restore",
                                                                        "--list", dump, NULL },
                                         .timeout_ms = 10000 },
                    &result, &err),
        err);
    w.order.into = (char *)(uintptr_t) "";
    w.order.backup = (char *)(uintptr_t) "../../etc";
    w.order.into = home;
    CHECK(world_job(&w, restore_job) != 0);
}

static void refused(struct world *w, const char *into, const char *says)
{
    w->order.into = (char *)(uintptr_t)into;
    CHECK_INT(world_job(w, restore_job), -FAIL_DENIED);
    CHECK_HAS(w->err.text, says);
    CHECK_HAS(w->err.text, "outside of it");
}

TEST(a_restore_does_not_go_into_the_site_or_its_backups)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    world_make(&w);
    CHECK_OK(world_job(&w, backup_job), w.err);
    w.order.backup = w.backup_id;
    CLEANUP(free_mem)
    char *home = fs_join(w.home, "drill"), *app = fs_join(w.install, "a/b"),
         *backup = fs_join(w.backup, "drill"), *beside = fs_join(w.dir, "home-drill");
    CLEANUP(free_mem)
    char *own = text_printf("%s/app-1/%s/x", w.backup, w.backup_id),
         *sly = fs_join(w.dir, "sly"), *through = fs_join(sly, "drill");
    CHECK_INT(symlink(w.home, sly), 0);
    refused(&w, home, "the site's home");
    refused(&w, through, "the site's home");
    refused(&w, app, "the installation");
    refused(&w, backup, "the backup folder");
    refused(&w, own, "the backup itself");
    CHECK(!fs_exists(home) && !fs_exists(app) && !fs_exists(backup) && !fs_exists(own));
    w.node.home = w.node.install = (char *)(uintptr_t) ""; /* the manifest knows them, too */
    refused(&w, home, "the site's home");
    refused(&w, app, "the installation");
    w.order.into = beside;
    CHECK_OK(world_job(&w, restore_job), w.err);
}

TEST(a_restore_that_was_cut_off_is_marked_and_named)
{
    NEEDS_SERVER;
    CLEANUP(world_free) struct world w;
    CLEANUP(free_mem) char *noise = mem_zero(1, 3000000);
    struct err err = { 0 };
    struct rlimit before, small = { 1000000, 0 };
    cluster_odd_database();
    world_make(&w);
    random_bytes(noise, 3000000);
    tree_bytes(w.dir, "home/noise", noise, 3000000);
    CHECK_OK(world_job(&w, backup_job), w.err);
    CLEANUP(free_mem)
    char *into = fs_join(w.dir, "into"), *note = fs_join(into, "confleet-restore.incomplete");
    w.order.backup = w.backup_id;
    w.order.into = into;
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = world_job(&w, restore_job);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK(rc != 0);
    CHECK_HAS(w.err.text, "remove the folder");
    CHECK(fs_exists(note));
    CHECK_INT(world_job(&w, restore_job), -FAIL_EXISTS);
    CHECK_HAS(w.err.text, w.backup_id);
    CHECK_HAS(w.err.text, "was cut off here");
    CHECK_OK(fs_remove_tree(into, &err), err);
    CHECK_OK(world_job(&w, restore_job), w.err);
    CHECK(!fs_exists(note));
}

/* Changes a manifest as a forger would, with a right digest. */
static void forge(const struct world *w, const char *from, const char *to)
{
    struct err err = { 0 };
    CLEANUP(str_free) struct str text = { 0 }, out = { 0 };
    CLEANUP(free_mem) char *path = text_printf("%s/app-1/%s/manifest", w->backup, w->backup_id);
    char hex[HASH_HEX_MAX];
    CHECK_OK(fs_read(path, 1 << 24, &text, &err), err);
    char *at = strstr(text.s, from), *end = strstr(text.s, "\nsha256 ");
    CHECK(at && end && at < end);
    str_add_bytes(&out, text.s, (size_t)(at - text.s));
    str_add(&out, to);
    str_add_bytes(&out, at + strlen(from), (size_t)(end + 1 - at) - strlen(from));
    hash_bytes_hex(out.s, out.len, hex);
    str_addf(&out, "sha256 %s\n", hex);
    CHECK_OK(fs_write(path, out.s, out.len, 0600, &err), err);
}

TEST(a_forged_backup_is_refused_before_a_byte_is_written)
{
    NEEDS_SERVER;
    static const struct {
        const char *from, *to;
    } forgeries[] = {
        { "path=attachments/ver003/1/2/3 ", "path=../../../tmp/x " },
        { "path=index/segments mode=0644", "path=index/segments mode=4755" },
        { "file tree=home path=index/segments", "device tree=home path=index/segments" },
        { "path=index/segments mode=0644 uid=0", "path=index/segments mode=0644 uid=1" },
        { "home-0001.tar.zst from= ", "home-0001.tar.zst from=20200101T000000Z-abcdef " },
        { "size=6 ", "size=99999999999999 " },
    };
    struct err err = { 0 };
    CLEANUP(world_free) struct world w;
    if (geteuid() != 0)
        TEST_SKIP("the forgeries name root's files");
    cluster_odd_database();
    world_make(&w);
    CHECK_OK(world_job(&w, backup_job), w.err);
    CLEANUP(free_mem)
    char *into = fs_join(w.dir, "into"),
         *path = text_printf("%s/app-1/%s/manifest", w.backup, w.backup_id);
    CLEANUP(str_free) struct str text = { 0 };
    CHECK_OK(fs_read(path, 1 << 24, &text, &err), err);
    w.order.backup = w.backup_id;
    w.order.into = into;
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        forge(&w, forgeries[i].from, forgeries[i].to);
        int rc = world_job(&w, restore_job);
        if (rc == 0)
            print_error("forgery %zu was taken\n", i);
        CHECK(rc != 0);
        CHECK(!fs_exists(into));
        CHECK_OK(fs_write(path, text.s, text.len, 0600, &err), err);
    }
    CHECK_OK(world_job(&w, restore_job), w.err);
}

TEST(a_file_of_a_proven_backup_that_gives_rights_is_restored_without_them)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    struct stat st;
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    world_make(&w);
    tree_file(w.dir, "home/odd/su", "#!/bin/sh");
    tree_file(w.dir, "home/odd/sg", "#!/bin/sh");
    CLEANUP(free_mem) char *su = fs_join(w.home, "odd/su"), *sg = fs_join(w.home, "odd/sg");
    CHECK_INT(chmod(su, 04755), 0);
    CHECK_INT(chmod(sg, 02750), 0);
    /* cap_setuid=ep: what it may do for whoever runs it is more than a set-uid file of his own. */
    static const uint8_t capability[20] = { 1, 0, 0, 2, 0x80 };
    tree_file(w.dir, "home/odd/cap", "#!/bin/sh");
    CLEANUP(free_mem) char *cap = fs_join(w.home, "odd/cap");
    int able = setxattr(cap, "security.capability", capability, sizeof capability, 0);
    (void)setxattr(cap, "user.a", "b", 1, 0); /* not on every file system */
    ssize_t kept = getxattr(cap, "user.a", NULL, 0);
    CHECK_OK(world_job(&w, backup_job), w.err);
    CLEANUP(free_mem)
    char *into = fs_join(w.dir, "into"), *out = fs_join(into, "home/odd/su"),
         *out_sg = fs_join(into, "home/odd/sg"),
         *out_cap = fs_join(into, "home/odd/cap"),
         *proof = text_printf("%s/app-1/%s/proof", w.backup, w.backup_id);
    w.order.backup = w.backup_id;
    w.order.into = into;
    CHECK_OK(world_job(&w, restore_job), w.err);
    CHECK_HAS(w.note, able == 0 ? "3 files restored without their set-uid or set-gid bits and "
                                  "capabilities: odd/cap, odd/sg, odd/su"
                                : "2 files restored without");
    CHECK_INT(getxattr(out_cap, "security.capability", NULL, 0), -1);
    CHECK_INT(getxattr(out_cap, "user.a", NULL, 0), kept);
    CHECK_INT(stat(out, &st), 0);
    CHECK_INT(st.st_mode & 07777, 0755);
    CHECK_INT(stat(out_sg, &st), 0);
    CHECK_INT(st.st_mode & 07777, 0750);
    CHECK_OK(fs_remove_tree(into, &err), err);
    CHECK_INT(unlink(proof), 0);
    CHECK_INT(world_job(&w, restore_job), -FAIL_DENIED);
    CHECK_HAS(w.err.text, "confleet-agent verify");
    CHECK(!fs_exists(into));
    CHECK_OK(world_job(&w, verify_job), w.err);
    CHECK_OK(world_job(&w, restore_job), w.err);
}

TEST(two_backups_of_one_installation_do_not_run_at_once)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(world_free) struct world w;
    CLEANUP(store_close) struct store store = { .lock = -1 };
    cluster_odd_database();
    world_make(&w);
    CHECK_OK(store_open(w.backup, "app-1", &store, &err), err);
    CHECK_INT(world_job(&w, backup_job), -FAIL_BUSY);
    CHECK_HAS(w.err.text, "are in use");
    store_close(&store);
    CLEANUP(free_mem) char *lock = fs_join(w.backup, "app-1/lock");
    CHECK_INT(unlink(lock), 0);
    CHECK_INT(mkdir(lock, 0700), 0); /* what no one holds is not in use */
    CHECK(world_job(&w, backup_job) != 0);
    CHECK(strstr(w.err.text, "in use") == NULL);
    CHECK_HAS(w.err.text, lock);
}
