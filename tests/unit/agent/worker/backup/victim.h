/* victim - a finished hot backup and a capture at the stop that refers to it, to be damaged and
 * made whole again, and a random source that repeats itself by its seed.
 *
 * CONFLEET_FLIPS=N: so many flipped bits and clean runs; CONFLEET_SEED=N: another course of all. */
#pragma once
#include "agent/worker/backup/dump.h"
#include "agent/worker/backup/store.h"
#include "world.h"
#include <fcntl.h>

#define VICTIM_SEED      20261123u
#define VICTIM_FILES_MAX 16

struct victim_file {
    char *path, *bytes;
    const char *id, *name;
    size_t size;
    bool shared; /* a pack of the hot backup, which the capture refers to */
};
struct victim {
    struct world w;
    char hot[64], stop[64];
    struct victim_file file[VICTIM_FILES_MAX];
    size_t count;
    uint64_t total, random;
};

static inline uint64_t victim_setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* splitmix64 */
static inline uint64_t victim_random(uint64_t *state, uint64_t below)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

static inline void victim_free(struct victim *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->file[i].path), free(v->file[i].bytes);
    world_free(&v->w);
}

static inline void victim_add(struct victim *v, const char *id, const char *name)
{
    struct err err = { 0 };
    CLEANUP(free_mem) char *path = text_printf("%s/app-1/%s/%s", v->w.backup, id, name);
    CLEANUP(str_free) struct str text = { 0 };
    if (!fs_exists(path))
        return;
    CHECK(v->count < VICTIM_FILES_MAX);
    CHECK_OK(fs_read(path, 1 << 30, &text, &err), err);
    struct victim_file *f = &v->file[v->count++];
    *f = (struct victim_file){ .path = TAKE(path), .id = id, .name = name, .size = text.len };
    f->bytes = mem_zero(text.len + 1, 1);
    if (text.len > 0)
        memcpy(f->bytes, text.s, text.len);
    f->shared = id == v->hot && strstr(name, ".tar.zst") != NULL;
    v->total += text.len;
}

/* Overwrites in place, whatever stands there: a damaged disk does not rename. */
static inline void victim_put(const struct victim_file *f, const void *bytes, size_t len)
{
    int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, len), len);
    CHECK_INT(close(fd), 0);
}

static inline void victim_heal(const struct victim_file *f)
{
    victim_put(f, f->bytes, f->size);
}

static inline void victim_noise(struct victim *v, const char *name, size_t len)
{
    CLEANUP(free_mem) char *noise = mem_zero(len, 1);
    for (size_t i = 0; i < len; i++)
        noise[i] = (char)victim_random(&v->random, 256);
    tree_bytes(v->w.dir, name, noise, len);
}

static inline void victim_make(struct victim *v)
{
    static const char *const names[] = { "manifest", "install-0001.tar.zst", "home-0001.tar.zst",
                                         DUMP_NAME };
    *v = (struct victim){ .random = victim_setting("CONFLEET_SEED", VICTIM_SEED) };
    cluster_odd_database();
    cluster_sql("conf", "wiki",
                "CREATE TABLE bodies AS SELECT i, (SELECT string_agg(md5((i * 100 + k)::text), '') "
                "FROM generate_series(1, 100) k) AS body FROM generate_series(1, 1600) i");
    world_make(&v->w);
    victim_noise(v, "home/attachments/ver003/4/5", 900000);
    victim_noise(v, "home/attachments/ver003/4/6", 700000);
    victim_noise(v, "home/attachments/ver003/4/7", 40000);
    for (int64_t end = clock_wall_ms() + 1200; clock_wall_ms() < end;)
        (void)poll(NULL, 0, 20); /* until equal times prove something */
    STEP(&v->w, "backup");
    STEP(&v->w, "verify");
    memcpy(v->hot, v->w.backup_id, sizeof v->hot);
    victim_noise(v, "home/attachments/ver003/4/8", 60000);
    STEP(&v->w, "capture-files");
    STEP(&v->w, "capture-database");
    STEP(&v->w, "prove-capture");
    memcpy(v->stop, v->w.backup_id, sizeof v->stop);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        victim_add(v, v->hot, names[i]);
        victim_add(v, v->stop, names[i]);
    }
    CHECK(v->count >= 7);
}

/* Chosen by size: where there are more bytes, there is more damage. */
static inline const struct victim_file *victim_choose(struct victim *v, uint64_t *ret_at)
{
    uint64_t at = victim_random(&v->random, v->total);
    size_t i = 0;
    while (at >= v->file[i].size)
        at -= v->file[i++].size;
    *ret_at = at;
    return &v->file[i];
}

static inline void victim_judge(struct victim *v, const struct victim_file *f, const char *id,
                                const char *what, uint64_t at)
{
    v->w.order.backup = (char *)(uintptr_t)id;
    v->w.level = CONFLEET__BACKUP_LEVEL__LEVEL_NONE;
    int rc = world_job(&v->w, verify_job);
    bool named = strstr(v->w.err.text, f->name) != NULL;
    if (rc == 0 || !named || v->w.level >= CONFLEET__BACKUP_LEVEL__RESTORED)
        print_error("CONFLEET_SEED=%" PRIu64 ": %s %s/%s at %" PRIu64
                    ", verify of %s: level %d: %s\n",
                    victim_setting("CONFLEET_SEED", VICTIM_SEED), what, f->id, f->name, at, id,
                    (int)v->w.level, rc == 0 ? "not found" : v->w.err.text);
    CHECK(rc != 0);
    CHECK(named);
    CHECK(v->w.level < CONFLEET__BACKUP_LEVEL__RESTORED);
}

/* The damage is done: every backup that needs this file must be told bad, and the file named. */
static inline void victim_found(struct victim *v, const struct victim_file *f, const char *what,
                                uint64_t at)
{
    victim_judge(v, f, f->id, what, at);
    if (f->shared)
        victim_judge(v, f, v->stop, what, at);
}

static inline void victim_is_whole(struct victim *v)
{
    for (int i = 0; i < 2; i++) {
        v->w.order.backup = i == 0 ? v->hot : v->stop;
        CHECK_OK(world_job(&v->w, verify_job), v->w.err);
        CHECK_INT(v->w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
    }
}
