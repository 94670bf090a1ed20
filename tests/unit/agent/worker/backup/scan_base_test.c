/* What a walk finds must not depend on whether it knows an earlier one. */
#include "agent/worker/backup/files.h"
#include "agent/worker/backup/scan.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/proc.h"
#include "harness/test.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS  80
#define CHANGES 6

struct seen {
    struct manifest *manifest;
    size_t reached; /* names that the visitor got without a descriptor */
    size_t met, missed; /* of the base */
};

static int visit(void *ctx, int dirfd, const char *name, struct entry *entry,
                 const struct entry *old, struct err *err)
{
    struct seen *seen = ctx;
    (void)err;
    CHECK((dirfd < 0) == !name);
    CHECK(!old || strcmp(old->path, entry->path) == 0);
    CHECK(dirfd >= 0 || old);
    seen->met += old != NULL;
    seen->reached += dirfd < 0;
    (void)manifest_add_entry(seen->manifest, entry);
    return 0;
}

/* Like files_capture() for what its base does not vouch for. */
static int visit_reaching(void *ctx, int dirfd, const char *name, struct entry *entry,
                          const struct entry *old, struct err *err)
{
    struct stat st;
    if (dirfd < 0)
        return SCAN_REACH;
    CHECK_INT(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_INT(st.st_ino, entry->ino);
    return visit(ctx, dirfd, name, entry, old, err);
}

/* Each name of the base is met or missed, and what is missed is not there. */
static int missed(void *ctx, const struct entry *old, struct err *err)
{
    struct seen *seen = ctx;
    (void)err;
    CHECK(seen->manifest->entry_count == 0 ||
          manifest_path_compare(
              seen->manifest->entries[seen->manifest->entry_count - 1].path, old->path) < 0);
    seen->missed++;
    return 0;
}

static size_t walk(const char *root, const struct manifest *base, scan_fn *how, struct manifest *ret)
{
    CLEANUP(free_mem) char *left_out = fs_join(root, "left-out");
    const char *skip[] = { left_out, NULL };
    struct scan_spec spec = { .tree = TREE_HOME, .root = root, .skip = skip,
                              .missed = missed };
    CLEANUP(entry_cursor_free) struct entry_cursor *cursor = NULL;
    struct seen seen = { .manifest = ret };
    struct err err = { 0 };
    manifest_init(ret);
    if (base)
        CHECK_OK(entry_cursor_new(base, &cursor, &err), err);
    spec.base = cursor;
    CHECK_OK(scan_tree(&spec, how, &seen, &err), err);
    CHECK_INT(seen.met + seen.missed, base ? base->entry_count : 0);
    for (size_t i = 0; base && i < base->entry_count; i++)
        seen.met -= manifest_find(ret, TREE_HOME, base->entries[i].path) != NULL;
    CHECK_INT(seen.met, 0);
    return seen.reached;
}

static void check_equal(const struct manifest *a, const struct manifest *b, unsigned round)
{
    for (size_t i = 0; i < a->entry_count && i < b->entry_count; i++) {
        const struct entry *x = &a->entries[i], *y = &b->entries[i];
        if (strcmp(x->path, y->path) != 0 || !files_same(x, y) || strcmp(x->user, y->user) != 0 ||
            strcmp(x->group, y->group) != 0)
            fail_msg("round %u: %s and %s differ", round, x->path, y->path);
    }
    CHECK_INT(a->entry_count, b->entry_count);
}

/* Until the file system's clock has gone on, so that what changes now gets another time. */
static void tick(const char *dir)
{
    CLEANUP(free_mem) char *path = text_printf("%s.clock", dir);
    struct stat first, now;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, "x", 1), 1);
    CHECK_INT(fstat(fd, &first), 0);
    for (int i = 0; i < 10000000; i++) {
        CHECK_INT(pwrite(fd, "x", 1, 0), 1);
        CHECK_INT(fstat(fd, &now), 0);
        if (now.st_ctim.tv_sec != first.st_ctim.tv_sec ||
            now.st_ctim.tv_nsec / 20000000 != first.st_ctim.tv_nsec / 20000000)
            break;
    }
    CHECK_INT(close(fd), 0);
}


static unsigned dice(unsigned *state, unsigned sides)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % sides;
}

static const struct entry *pick_entry(const struct manifest *m, unsigned *state)
{
    return m->entry_count < 2 ? NULL
                              : &m->entries[1 + dice(state, (unsigned)m->entry_count - 1)];
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd < 0)
        return; /* a folder or link of that name: another time */
    CHECK_INT(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    CHECK_INT(close(fd), 0);
}

/* What cannot be done on what was picked is left: another time. */
static void try(int rc)
{
    (void)rc;
}

/* One thing that happens in a home. */
static void change(const char *root, const struct manifest *m, unsigned *state)
{
    const struct entry *one = pick_entry(m, state), *two = pick_entry(m, state);
    struct err ignored = { 0 };
    if (!one || !two)
        return;
    CLEANUP(free_mem) char *a = fs_join(root, one->path), *b = fs_join(root, two->path);
    CLEANUP(free_mem) char *in_a = text_printf("%s/n%u", a, dice(state, 50));
    CLEANUP(free_mem) char *beside = text_printf("%s!%u", a, dice(state, 3));
    const struct timespec old[2] = { { 1000000000, 5 }, { 1000000000, 5 } };
    struct stat st;
    bool folder = lstat(a, &st) == 0 && S_ISDIR(st.st_mode);
    switch (dice(state, 13)) {
    case 0:
        put(folder ? in_a : a, "other text");
        break;
    case 1:
        try(mkdir(folder ? in_a : beside, 0750));
        break;
    case 2:
        try(fs_remove_tree(a, &ignored));
        break;
    case 3:
        try(rename(a, folder ? beside : b));
        break;
    case 4:
        try(rename(a, b));
        break;
    case 5:
        try(chmod(a, 0700 + dice(state, 8)));
        break;
    case 6:
        try(setxattr(a, "user.colour", state, sizeof *state, 0));
        break;
    case 7:
        try(link(a, beside));
        break;
    case 8:
        try(symlink(two->path, folder ? in_a : beside));
        break;
    case 9: /* times put back, as rsync and tar do */
        put(folder ? in_a : a, "text set back");
        try(utimensat(AT_FDCWD, a, old, AT_SYMLINK_NOFOLLOW));
        break;
    case 10: /* a folder becomes a link that leads to its like */
        if (folder && rename(a, beside) == 0)
            try(symlink(beside, a));
        break;
    case 11:
        if (folder)
            try(mkfifo(in_a, 0600));
        break;
    default: /* one that stood is exchanged for another of the same name */
        if (!folder && unlink(a) == 0)
            put(a, "other text");
        break;
    }
}

static void make(const char *root)
{
    struct err err = { 0 };
    for (int i = 0; i < 40; i++) {
        CLEANUP(free_mem)
        char *dir = text_printf("%s/a%d/b%d/c%d/d/e%d", root, i % 3, i % 7, i % 13, i % 2);
        CLEANUP(free_mem) char *file = text_printf("%s/f%d", dir, i);
        CHECK_OK(fs_mkdirs(dir, 0755, &err), err);
        put(file, "text");
    }
    CLEANUP(free_mem) char *out = fs_join(root, "left-out/sub");
    CHECK_OK(fs_mkdirs(out, 0755, &err), err);
}

/* A test cannot wait for a second in each round: times are told apart by tick() instead. */
static void age(struct manifest *m)
{
    for (size_t i = 0; i < m->entry_count; i++)
        m->entries[i].fresh = false;
}

static void compare_rounds(scan_fn *how, unsigned seed)
{
    CLEANUP(free_mem) char *root = fs_join(test_dir(), "home");
    size_t reached = 0;
    unsigned state = seed;
    struct err err = { 0 };
    CHECK_OK(fs_mkdirs(root, 0755, &err), err);
    make(root);
    for (unsigned round = 0; round < ROUNDS; round++) {
        CLEANUP(manifest_free) struct manifest base, with, without;
        (void)walk(root, NULL, visit, &base);
        age(&base);
        tick(root);
        for (unsigned n = dice(&state, CHANGES); n > 0; n--)
            change(root, &base, &state);
        reached += walk(root, &base, how, &with);
        (void)walk(root, NULL, visit, &without);
        check_equal(&without, &with, round);
        if (without.entry_count < 20)
            make(root);
    }
    CHECK((reached > 0) == (how == visit)); /* else all folders were listed, and nothing was tried */
}

TEST(a_walk_with_a_base_finds_what_one_without_finds)
{
    compare_rounds(visit, 1);
}

TEST(a_visitor_that_wants_all_names_gets_them_by_their_folders)
{
    compare_rounds(visit_reaching, 2);
}

TEST(a_folder_that_changed_right_before_it_was_read_is_listed_again)
{
    CLEANUP(free_mem) char *root = fs_join(test_dir(), "home");
    CLEANUP(manifest_free) struct manifest base, with;
    struct err err = { 0 };
    CHECK_OK(fs_mkdirs(root, 0755, &err), err);
    make(root);
    (void)walk(root, NULL, visit, &base);
    for (size_t i = 1; i < base.entry_count; i++)
        CHECK(base.entries[i].fresh);
    CHECK_INT(walk(root, &base, visit, &with), 0);
}

