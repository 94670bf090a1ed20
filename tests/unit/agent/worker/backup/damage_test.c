/* A corpus of damage, made by a seed: nothing that is wrong with a backup may pass as proven,
 * nothing that is right may be refused. */
#include "victim.h"

#define NEEDS_SERVER                                                                               \
    if (!cluster_start())                                                                          \
    TEST_SKIP("no PostgreSQL server programs on this host")

static void flip(const struct victim_file *f, uint64_t at, uint64_t bit)
{
    unsigned char byte = (unsigned char)f->bytes[at];
    int fd = open(f->path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    byte ^= (unsigned char)(bit < 8 ? 1u << bit : 0u);
    CHECK_INT(pwrite(fd, &byte, 1, (off_t)at), 1);
    CHECK_INT(close(fd), 0);
}

static void flips(struct victim *v, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = 0;
        const struct victim_file *f = victim_choose(v, &at);
        if (i < v->count) { /* the small ones, too */
            f = &v->file[i];
            at = victim_random(&v->random, f->size);
        }
        flip(f, at, victim_random(&v->random, 8));
        victim_found(v, f, "a flipped bit of", at);
        flip(f, at, 8);
    }
}

static void cuts(struct victim *v, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = 0;
        const struct victim_file *f = victim_choose(v, &at);
        if (i < 2 * v->count) { /* each to nothing, and each by its last byte */
            f = &v->file[i / 2];
            at = i % 2 ? f->size - 1 : 0;
        }
        CHECK_INT(truncate(f->path, (off_t)at), 0);
        victim_found(v, f, "cut off:", at);
        victim_heal(f);
    }
}

static void swaps(struct victim *v, uint64_t count)
{
    CLEANUP(free_mem) char *bytes = mem_zero(v->total, 1);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t a = 0;
        const struct victim_file *f = victim_choose(v, &a);
        size_t len = (size_t)1 << victim_random(&v->random, 13);
        if (f->size < 2 * len)
            continue;
        a = victim_random(&v->random, f->size / len);
        uint64_t b = victim_random(&v->random, f->size / len);
        const char *one = f->bytes + a * len, *two = f->bytes + b * len;
        if (memcmp(one, two, len) == 0)
            continue;
        memcpy(bytes, f->bytes, f->size);
        memcpy(bytes + a * len, two, len);
        memcpy(bytes + b * len, one, len);
        victim_put(f, bytes, f->size);
        victim_found(v, f, "chunks swapped in", a * len);
        victim_heal(f);
    }
}

/* Whole zstd frames: each is right in itself. */
static void swap_frames(struct victim *v)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct victim_file *f = &v->file[i];
        size_t at[64], count = 0;
        for (size_t k = 0; k + 4 < f->size && count < 63; k++)
            if (memcmp(f->bytes + k, "\x28\xb5\x2f\xfd", 4) == 0)
                at[count++] = k;
        at[count] = f->size;
        if (count < 2)
            continue;
        CLEANUP(free_mem) char *bytes = mem_zero(f->size, 1);
        size_t first = at[1] - at[0], second = at[2] - at[1];
        memcpy(bytes, f->bytes, f->size);
        memcpy(bytes + at[0], f->bytes + at[1], second);
        memcpy(bytes + at[0] + second, f->bytes + at[0], first);
        victim_put(f, bytes, f->size);
        victim_found(v, f, "frames swapped in", 0);
        victim_heal(f);
    }
}

static void drops(struct victim *v)
{
    for (size_t i = 0; i < v->count; i++) {
        CHECK_INT(unlink(v->file[i].path), 0);
        victim_found(v, &v->file[i], "dropped:", 0);
        victim_heal(&v->file[i]);
    }
}

/* A file of the same name from another backup of the same site, and from another site. */
static void strangers(struct victim *v)
{
    for (size_t i = 0; i < v->count; i++)
        for (size_t k = 0; k < v->count; k++) {
            const struct victim_file *f = &v->file[i], *other = &v->file[k];
            if (f == other || strcmp(f->name, other->name) != 0 ||
                (f->size == other->size && memcmp(f->bytes, other->bytes, f->size) == 0))
                continue;
            victim_put(f, other->bytes, other->size);
            victim_found(v, f, "another backup's:", 0);
            victim_heal(f);
        }
    CLEANUP(world_free) struct world other;
    world_make(&other);
    other.node.installation = (char *)(uintptr_t) "app-2";
    tree_file(other.dir, "home/attachments/ver003/9/9", "of another site");
    CHECK_OK(world_job(&other, backup_job), other.err);
    for (size_t i = 0; i < v->count; i++) {
        struct err err = { 0 };
        CLEANUP(str_free) struct str text = { 0 };
        CLEANUP(free_mem)
        char *path = text_printf("%s/app-2/%s/%s", other.backup, other.backup_id, v->file[i].name);
        CHECK_OK(fs_read(path, 1 << 30, &text, &err), err);
        victim_put(&v->file[i], text.s, text.len);
        victim_found(v, &v->file[i], "another site's:", 0);
        victim_heal(&v->file[i]);
    }
}

TEST(whatever_is_done_to_the_bytes_of_a_backup_is_found_with_the_file_named)
{
    NEEDS_SERVER;
    CLEANUP(victim_free) struct victim v;
    victim_make(&v);
    victim_is_whole(&v);
    flips(&v, victim_setting("CONFLEET_FLIPS", 100));
    cuts(&v, 100);
    swaps(&v, 30);
    swap_frames(&v);
    drops(&v);
    strangers(&v);
    victim_is_whole(&v);
}

/* ---- a manifest that vouches for what is wrong: only the restore can tell ---- */

struct lie {
    struct store store;
    struct manifest m;
};

static void lie_free(struct lie *lie)
{
    store_close(&lie->store);
    manifest_free(&lie->m);
}

static void lie_load(struct lie *lie, const struct world *w)
{
    struct err err = { 0 };
    lie->store = (struct store){ .lock = -1 };
    manifest_init(&lie->m);
    CHECK_OK(store_open(w->backup, "app-1", &lie->store, &err), err);
    CHECK_OK(store_load(&lie->store, w->backup_id, "", &lie->m, NULL, &err), err);
}

static void lie_tell(struct lie *lie)
{
    struct err err = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem) char *path = store_path(&lie->store, lie->m.id, "", "manifest");
    manifest_write(&lie->m, &text);
    CHECK_OK(fs_write(path, text.s, text.len, 0600, &err), err);
    store_close(&lie->store);
}

static void lie_found(struct world *w, const char *says)
{
    w->order.backup = w->backup_id;
    w->level = CONFLEET__BACKUP_LEVEL__LEVEL_NONE;
    CHECK(world_job(w, verify_job) != 0);
    CHECK_HAS(w->err.text, DUMP_NAME);
    CHECK_HAS(w->err.text, says);
    CHECK(w->level < CONFLEET__BACKUP_LEVEL__RESTORED);
}

/* The dump of another database under this manifest, every digest right. */
static void lie_with_dump_of(struct world *w, const char *dbname)
{
    struct err err = { 0 };
    CLEANUP(lie_free) struct lie lie;
    CLEANUP(store_close) struct store aside = { .lock = -1 };
    CLEANUP(manifest_free) struct manifest other;
    CLEANUP(str_free) struct str bytes = { 0 };
    struct database database = cluster.site;
    struct reach reach = {
        .database = &database, .admin = cluster.admin, .admin_passfile = "", .dir = w->run
    };
    struct dump_spec spec = { .reach = &reach, .pg_bin = "", .ending = ".partial", .still = true };
    (void)snprintf(database.name, sizeof database.name, "%s", dbname);
    manifest_init(&other);
    CHECK_OK(store_open(test_dir(), "aside", &aside, &err), err);
    CHECK_OK(store_begin(&aside, &other, &err), err);
    CHECK_OK(dump_make(&aside, &other, &spec, NULL, NULL, NULL, &err), err);
    lie_load(&lie, w);
    CLEANUP(free_mem)
    char *from = store_path(&aside, other.id, ".partial", DUMP_NAME),
         *to = store_path(&lie.store, lie.m.id, "", DUMP_NAME);
    CHECK_OK(fs_read(from, 1 << 30, &bytes, &err), err);
    CHECK_OK(fs_write(to, bytes.s, bytes.len, 0600, &err), err);
    struct manifest_dump kept = lie.m.dump;
    lie.m.dump = other.dump;
    lie.m.dump.name = kept.name;
    other.dump = kept;
    lie_tell(&lie);
}

static int take_frame(struct frames_writer *out, const uint8_t *content, size_t len, bool first)
{
    struct err err = { 0 };
    CLEANUP(free_mem) uint8_t *copy = mem_zero(len, 1);
    memcpy(copy, content, len);
    if (first)
        copy[6] = 99; /* minor version of the archive, after "PGDMP" and the major one */
    CHECK_OK(frames_add(out, copy, len, &err), err);
    return frames_cut(out, &err);
}

/* As a pg_dump would have written it that this server's pg_restore does not know. */
static void lie_with_newer_client(struct world *w)
{
    struct err err = { 0 };
    CLEANUP(lie_free) struct lie lie;
    CLEANUP(frames_reader_free) struct frames_reader *in = NULL;
    CLEANUP(frames_writer_free) struct frames_writer *out = NULL;
    lie_load(&lie, w);
    CLEANUP(free_mem)
    char *path = store_path(&lie.store, lie.m.id, "", DUMP_NAME), *aside = fs_join(w->run, "dump");
    struct manifest_dump *dump = &lie.m.dump;
    const uint8_t *content = NULL;
    struct frame frame;
    CHECK_OK(frames_reader_new(path, dump->size, false, &in, &err), err);
    CLEANUP(close_fd) int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK_OK(frames_writer_new(fd, aside, true, &out, &err), err);
    for (bool first = true; frames_next(in, &content, &frame, &err) == 1; first = false)
        CHECK_INT(take_frame(out, content, frame.content, first), 0);
    frame_list_free(&dump->frames);
    CHECK_OK(frames_finish(out, &dump->size, dump->sha256, &dump->frames, &err), err);
    CHECK_INT(rename(aside, path), 0);
    lie_tell(&lie);
}

static void clients_are(struct world *w, const char *version)
{
    static const char *const names[] = { "bin/pg_dump", "bin/pg_restore" };
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(free_mem)
        char *script = text_printf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", names[i] + 4, version),
             *path = fs_join(w->dir, names[i]);
        tree_file(w->dir, names[i], script);
        CHECK_INT(chmod(path, 0755), 0);
    }
}

static void wrong_clients(struct world *w)
{
    static const char *const versions[] = { "14.22", "15.5", "none" };
    CLEANUP(free_mem) char *bin = fs_join(w->dir, "bin");
    w->order.backup = w->backup_id;
    w->node.pg_bin = bin;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        clients_are(w, versions[i]);
        w->level = CONFLEET__BACKUP_LEVEL__LEVEL_NONE;
        CHECK(world_job(w, verify_job) != 0);
        CHECK_HAS(w->err.text, bin);
        CHECK(w->level < CONFLEET__BACKUP_LEVEL__RESTORED);
        CHECK(world_job(w, backup_job) != 0);
        CHECK_HAS(w->err.text, bin);
    }
    w->node.pg_bin = (char *)(uintptr_t) "";
}

TEST(a_dump_that_is_not_this_databases_is_found_by_restoring_it)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    cluster_sql("postgres", "postgres", "DROP DATABASE IF EXISTS nothing");
    cluster_sql("postgres", "postgres", "CREATE DATABASE nothing OWNER conf TEMPLATE template0");
    world_make(&w);
    CHECK_OK(world_job(&w, backup_job), w.err);
    wrong_clients(&w);
    CLEANUP(free_mem) char *kept = fs_join(w.dir, "kept");
    CLEANUP(free_mem) char *backup = text_printf("%s/app-1/%s", w.backup, w.backup_id);
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    const char *keep[] = { "/bin/cp", "-a", backup, kept, NULL };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = keep, .timeout_ms = 10000 }, &result, &err),
             err);
    lie_with_dump_of(&w, "nothing");
    lie_found(&w, "what");
    cluster_sql("conf", "wiki", "UPDATE content SET t = 'page one' WHERE id = 1");
    lie_with_dump_of(&w, "wiki"); /* of another moment */
    lie_found(&w, "public.content");
    lie_with_newer_client(&w);
    lie_found(&w, "unsupported version");
    CHECK_OK(fs_remove_tree(backup, &err), err);
    CHECK_INT(rename(kept, backup), 0);
    CHECK_OK(world_job(&w, verify_job), w.err);
}

/* ---- packs that were made to do harm: every digest right, the members are not ---- */

/* The archive that a shell makes in an empty folder takes the place of the home's pack. */
static void lie_with_pack(struct world *w, const char *script)
{
    struct err err = { 0 };
    CLEANUP(lie_free) struct lie lie;
    CLEANUP(str_free) struct str bytes = { 0 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    lie_load(&lie, w);
    struct manifest_pack *pack = NULL;
    for (size_t i = 0; i < lie.m.pack_count; i++)
        if (lie.m.packs[i].tree == TREE_HOME)
            pack = &lie.m.packs[i];
    CHECK(pack != NULL);
    CLEANUP(free_mem) char *path = store_path(&lie.store, lie.m.id, "", pack->name);
    CLEANUP(free_mem) char *to = text_printf("PACK=%s", path), *dir = text_dup(test_dir());
    CLEANUP(free_mem) char *in = text_printf("cd '%s' && rm -f \"$PACK\" && %s", dir, script);
    const char *env[] = { to, "PATH=/usr/bin:/bin", NULL };
    const char *argv[] = { "/bin/sh", "-ec", in, NULL };
    CHECK_OK(proc_run_ok(&(struct proc_spec){ .argv = argv, .env = env, .timeout_ms = 30000 },
                         &result, &err),
             err);
    CHECK_OK(fs_read(path, 1 << 30, &bytes, &err), err);
    pack->size = bytes.len > 0 ? bytes.len : 1;
    for (size_t i = 0; i < lie.m.entry_count; i++)
        if (lie.m.entries[i].pack == (uint32_t)(pack - lie.m.packs))
            lie.m.entries[i].at = lie.m.entries[i].skip = 0;
    hash_bytes(bytes.s, bytes.len, pack->sha256);
    lie_tell(&lie);
}

TEST(a_hostile_pack_is_refused_before_a_byte_is_written)
{
    NEEDS_SERVER;
    static const char through[] = "ln -s ../../.. index; tar -cf t index; rm index; mkdir index; "
                                  "echo x > index/out; tar -rf t index/out; "
                                  "zstd -q t -o \"$PACK\"";
    static const char *const scripts[] = {
        /* a path that climbs, an absolute one, a link out and a file through it */
        "echo x > f; tar -P --zstd --transform='s,^f,../../../out,' -cf \"$PACK\" f",
        "echo x > f; tar -P --zstd --transform=\"s,^f,$PWD/out,\" -cf \"$PACK\" f",
        "ln -s / index; tar --zstd -cf \"$PACK\" index; ",
        through,
        "echo x > f; ln f g; tar -P --zstd --transform='s,^f,/etc/passwd,' -cf \"$PACK\" f g",
        "mknod index c 1 3; tar --zstd -cf \"$PACK\" index",
        "cp /bin/true index; chmod 6755 index; tar --zstd -cf \"$PACK\" index",
        /* a gigabyte in a few bytes, as one frame and as a member */
        "head -c 1073741824 /dev/zero | zstd -q -o \"$PACK\"",
        "truncate -s 1G index; tar -S --zstd -cf \"$PACK\" index",
        "head -c 100000 /dev/urandom > \"$PACK\"",
        ": > \"$PACK\"",
    };
    struct err err = { 0 };
    CLEANUP(world_free) struct world w;
    CLEANUP(str_free) struct str manifest = { 0 }, pack = { 0 };
    if (geteuid() != 0 || access("/usr/bin/zstd", X_OK) != 0)
        TEST_SKIP("needs root and the program zstd");
    cluster_odd_database();
    world_make(&w);
    CHECK_OK(world_job(&w, backup_job), w.err);
    CLEANUP(free_mem)
    char *into = fs_join(w.dir, "into"), *out = fs_join(w.dir, "out"),
         *names = text_printf("%s/app-1/%s/manifest", w.backup, w.backup_id),
         *home = text_printf("%s/app-1/%s/home-0001.tar.zst", w.backup, w.backup_id);
    CHECK_OK(fs_read(names, 1 << 24, &manifest, &err), err);
    CHECK_OK(fs_read(home, 1 << 24, &pack, &err), err);
    w.order.backup = w.backup_id;
    w.order.into = into;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        lie_with_pack(&w, scripts[i]);
        int rc = world_job(&w, restore_job);
        if (rc == 0)
            print_error("hostile pack %zu was taken\n", i);
        CHECK(rc != 0);
        CHECK_HAS(w.err.text, "home-0001.tar.zst");
        CHECK(!fs_exists(into) && !fs_exists(out));
        CHECK(world_job(&w, verify_job) != 0);
        CHECK_OK(fs_write(names, manifest.s, manifest.len, 0600, &err), err);
        CHECK_OK(fs_write(home, pack.s, pack.len, 0600, &err), err);
    }
    CHECK_OK(world_job(&w, restore_job), w.err);
}

static void change_tree(struct world *w, uint64_t *random)
{
    for (int k = 0; k < 10; k++) {
        char name[64], bytes[3000];
        (void)snprintf(name, sizeof name, "home/attachments/f%d", (int)victim_random(random, 40));
        CLEANUP(free_mem) char *path = fs_join(w->dir, name);
        memset(bytes, (int)victim_random(random, 256), sizeof bytes);
        if (victim_random(random, 4) == 0)
            (void)unlink(path);
        else
            tree_bytes(w->dir, name, bytes, (size_t)victim_random(random, sizeof bytes));
    }
}

/* All but the restore, which every fourth run has. */
static void read_back(struct world *w)
{
    struct err err = { 0 };
    CLEANUP(lie_free) struct lie lie;
    STEP(w, "backup");
    (void)snprintf(w->backup_id, sizeof w->backup_id, "%s", world_memo(w, MEMO_HOT_BACKUP));
    lie_load(&lie, w);
    CHECK_OK(store_check(&lie.store, &lie.m, "", NULL, NULL, &err), err);
    CHECK_OK(store_check_bases(&lie.store, &lie.m, NULL, NULL, &err), err);
}

TEST(what_is_right_is_never_refused)
{
    NEEDS_SERVER;
    struct err err = { 0 };
    uint64_t random = victim_setting("CONFLEET_SEED", VICTIM_SEED);
    uint64_t runs = victim_setting("CONFLEET_FLIPS", 20);
    CLEANUP(world_free) struct world w;
    cluster_odd_database();
    cluster_sql("postgres", "postgres", "DROP DATABASE wiki WITH (FORCE)");
    cluster_sql("postgres", "postgres", "CREATE DATABASE wiki OWNER conf TEMPLATE template0");
    cluster_sql("conf", "wiki", "CREATE TABLE content (t text); INSERT INTO content VALUES ('1')");
    world_make(&w);
    for (uint64_t i = 0; i < runs; i++) {
        change_tree(&w, &random);
        cluster_sql("conf", "wiki", "INSERT INTO content VALUES (random())");
        if (i % 4 != 3) {
            read_back(&w);
            continue;
        }
        w.level = CONFLEET__BACKUP_LEVEL__LEVEL_NONE;
        CHECK_OK(world_job(&w, backup_job), w.err);
        CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
        if (i % 20 == 19)
            CHECK_OK(fs_remove_tree(w.backup, &err), err);
    }
}
