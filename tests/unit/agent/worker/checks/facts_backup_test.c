/* What the backup folder lies on, as tables of mounts tell it, and what can be measured of it. */
#include "agent/worker/checks/check.h"
#include "agent/worker/checks/facts_backup.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <dirent.h>
#include <sys/stat.h>

static const char mounts[] =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "30 22 0:26 / /run rw,nosuid shared:2 - tmpfs tmpfs rw,size=1k\n"
    "31 22 0:40 / /srv/back\\040ups rw,relatime shared:9 master:2 - nfs4 files:/export/x rw\n"
    "32 22 0:41 / /mnt/two rw - xfs /dev/sdb rw\n"
    "33 32 0:42 / /mnt/two rw - tmpfs over rw\n"
    "broken line\n"
    "34 22 0:43 / /mnt/layer rw - overlay overlay rw\n";

static struct facts_backup looked(const char *dir)
{
    struct facts_backup facts = { .mounts_known = FACT_UNKNOWN };
    facts_backup_mount(&facts, dir, mounts);
    return facts;
}

TEST(the_deepest_mount_that_holds_the_folder_counts_and_of_two_at_one_place_the_later)
{
    static const struct {
        const char *dir, *kind, *source, *at;
        bool memory, layer;
    } cases[] = {
        { "/var/backups", "ext4", "/dev/vda", "/", false, false },
        { "/run/x", "tmpfs", "tmpfs", "/run", true, false },
        { "/run", "tmpfs", "tmpfs", "/run", true, false },
        { "/runner/x", "ext4", "/dev/vda", "/", false, false },
        { "/srv/back ups/a", "nfs4", "files:/export/x", "/srv/back ups", false, false },
        { "/mnt/two/x", "tmpfs", "over", "/mnt/two", true, false },
        { "/mnt/layer", "overlay", "overlay", "/mnt/layer", false, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct facts_backup facts = looked(cases[i].dir);
        CHECK_INT(facts.mounts_known, FACT_YES);
        CHECK_STR(facts.kind, cases[i].kind);
        CHECK_STR(facts.source, cases[i].source);
        CHECK_STR(facts.at, cases[i].at);
        CHECK_INT(facts.memory, cases[i].memory);
        CHECK_INT(facts.layer, cases[i].layer);
    }
}

TEST(a_table_without_the_folder_tells_nothing)
{
    struct facts_backup facts = { .mounts_known = FACT_UNKNOWN };
    facts_backup_mount(&facts, "/var", "31 22 0:40 / /srv rw - nfs files:/x rw\nno - more\n");
    CHECK_INT(facts.mounts_known, FACT_UNKNOWN);
    facts_backup_mount(&facts, "/var", "");
    CHECK_INT(facts.mounts_known, FACT_UNKNOWN);
}

TEST(a_mount_point_above_the_folder_where_nothing_is_mounted_is_found)
{
    static const char fstab[] = "# comment /var/backups\n"
                                "UUID=1 / ext4 defaults 0 1\n"
                                "UUID=2 none swap sw 0 0\n"
                                "files:/export/x /srv/back\\040ups nfs defaults 0 0\n"
                                "UUID=3\t/var/backups/\text4\tnofail 0 2\n"
                                "UUID=4 /var/back ext4 defaults 0 2\n"
                                "UUID=5";
    static const struct {
        const char *dir, *expected;
    } cases[] = {
        { "/var/backups/confleet", "/var/backups (/etc/fstab)" },
        { "/var/backups", "/var/backups (/etc/fstab)" },
        { "/srv/back ups/confleet", "" }, /* it is */
        { "/var/other", "" },
        { "/home", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct facts_backup facts = { .mounts_known = FACT_UNKNOWN };
        facts_backup_expected(&facts, cases[i].dir, mounts, fstab, "/etc/fstab");
        CHECK_STR(facts.expected, cases[i].expected);
    }
}

struct world {
    char *dir, *backup, *home;
    Confleet__WorkerNode node;
    Confleet__WorkerOrder order;
    struct installation site;
    struct gather_source source;
    struct facts_backup facts;
};

static void world_make(struct world *world)
{
    *world = (struct world){ .dir = text_dup(test_dir()) };
    struct err err = { 0 };
    world->backup = fs_join(world->dir, "backup");
    world->home = fs_join(world->dir, "home");
    CHECK_OK(fs_mkdirs(world->backup, 0700, &err), err);
    CHECK_OK(fs_mkdirs(world->home, 0700, &err), err);
    confleet__worker_node__init(&world->node);
    confleet__worker_order__init(&world->order);
    world->node.backup_dir = world->backup;
    world->node.installation = (char *)(uintptr_t) "app-1";
    world->site.home = world->home;
    world->source.node = &world->node;
    world->source.order = &world->order;
    world->source.site = &world->site;
    world->facts.part.known = FACT_YES;
}

static void world_free(struct world *world)
{
    free(world->dir);
    free(world->backup);
    free(world->home);
}

static size_t names(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    while (readdir(dir))
        count++;
    CHECK_INT(closedir(dir), 0);
    return count - 2;
}

TEST(a_real_folder_is_measured_and_left_as_it_was)
{
    struct world world;
    struct stat before, after;
    world_make(&world);
    CHECK_INT(stat(world.backup, &before), 0);
    facts_gather_backup(&world.source, &world.facts);
    CHECK_INT(world.facts.part.known, FACT_YES);
    CHECK_INT(world.facts.mounts_known, FACT_YES);
    CHECK(world.facts.kind[0]);
    CHECK_INT(world.facts.same_device, FACT_YES);
    CHECK_INT(world.facts.room_known, FACT_YES);
    CHECK(world.facts.free_bytes > 0);
    CHECK(!world.facts.has_forecast);
    if (world.facts.free_bytes > 4 * SPEED_BYTES) {
        CHECK_INT(world.facts.speed_known, FACT_YES);
        CHECK(world.facts.written > 0 && world.facts.written <= SPEED_BYTES);
        CHECK(world.facts.wrote_ms < 20000);
    }
    CHECK_INT(names(world.backup), 0);
    CHECK_INT(stat(world.backup, &after), 0);
    CHECK_INT(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    world_free(&world);
}

TEST(a_backup_that_no_check_comes_before_goes_by_the_rule_of_the_check)
{
    struct world world;
    struct err err = { 0 };
    world_make(&world);
    CLEANUP(free_mem) char *proc = fs_join(world.dir, "proc/self"), *table = fs_join(proc, "mountinfo");
    static const char memory[] = "25 1 0:21 / / rw,relatime shared:1 - tmpfs tmpfs rw\n",
                      disk[] = "25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n";
    CHECK_OK(fs_mkdirs(proc, 0700, &err), err);
    CHECK_OK(fs_write(table, memory, sizeof memory - 1, 0600, &err), err);
    CLEANUP(free_mem) char *root = fs_join(world.dir, "proc");
    world.node.pid_root = root;
    CHECK_OK(check_backup_medium(&world.node, &world.site, &err), err); /* so does the home */
    world.site.home = (char *)(uintptr_t) "/proc";
    CHECK_INT(check_backup_medium(&world.node, &world.site, &err), -FAIL_BLOCKED);
    CHECK_HAS(err.text, "lies in memory (tmpfs at /)");
    CHECK_HAS(err.text, "Give backup_dir of agent.yaml a place on a disk");
    CHECK_OK(fs_write(table, disk, sizeof disk - 1, 0600, &err), err);
    err_clear(&err);
    CHECK_OK(check_backup_medium(&world.node, &world.site, &err), err);
    world.site.home = world.home;
    world_free(&world);
}

TEST(right_before_the_stop_nothing_is_written)
{
    struct world world;
    world_make(&world);
    world.order.job = (char *)(uintptr_t) "step";
    world.order.step = (char *)(uintptr_t) "stop";
    facts_gather_backup(&world.source, &world.facts);
    CHECK_INT(world.facts.speed_known, FACT_UNKNOWN);
    CHECK_INT(world.facts.written, 0);
    CHECK_HAS(world.facts.speed_why, "before the stop");
    world_free(&world);
}

TEST(backups_that_are_there_tell_how_many_more_fit)
{
    struct world world;
    struct err err = { 0 };
    world_make(&world);
    CLEANUP(free_mem) char *one = fs_join(world.backup, "app-1/20261101T000000Z-abcdef"),
                           *manifest = fs_join(one, "manifest"), *pack = fs_join(one, "pack"),
                           *partial = fs_join(world.backup, "app-1/20261102T000000Z-abcdef.partial");
    CHECK_OK(fs_mkdirs(one, 0700, &err), err);
    CHECK_OK(fs_mkdirs(partial, 0700, &err), err);
    CHECK_OK(fs_write(manifest, "0123456789", 10, 0600, &err), err);
    CHECK_OK(fs_write(pack, "0123456789", 10, 0600, &err), err);
    world.order.job = (char *)(uintptr_t) "step";
    facts_gather_backup(&world.source, &world.facts);
    CHECK(world.facts.has_forecast);
    CHECK_INT(world.facts.forecast.like, 1);
    CHECK_INT(world.facts.forecast.next_bytes, 20);
    world_free(&world);
}

TEST(a_folder_that_is_not_there_makes_the_part_unknown)
{
    struct world world;
    world_make(&world);
    CHECK_INT(rmdir(world.backup), 0);
    facts_gather_backup(&world.source, &world.facts);
    CHECK_INT(world.facts.part.known, FACT_UNKNOWN);
    CHECK_HAS(world.facts.part.why, "cannot be looked at");
    world_free(&world);
}
