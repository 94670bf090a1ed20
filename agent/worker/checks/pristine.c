#include "agent/worker/checks/pristine.h"
#include "agent/worker/checks/release_archive.h"
#include "agent/worker/checks/tree_files.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER "confleet pristine 1\n"

void pristine_free(struct pristine *pristine)
{
    pool_free(&pristine->pool);
    free(pristine->files);
    *pristine = (struct pristine){ { NULL }, NULL, 0, 0 };
}

static struct pristine_file *file_add(struct pristine *to, const char *path, uint32_t mode)
{
    if (to->count == to->room) {
        to->room = to->room ? to->room * 2 : 1024;
        to->files = mem_grow(to->files, to->room, sizeof *to->files);
    }
    struct pristine_file *file = &to->files[to->count++];
    *file = (struct pristine_file){ .path = pool_text(&to->pool, path), .mode = mode };
    return file;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct pristine_file *)a)->path, ((const struct pristine_file *)b)->path);
}

static int finish(const char *name, struct pristine *done, struct pristine *ret, struct err *err)
{
    if (done->count)
        qsort(done->files, done->count, sizeof *done->files, by_path);
    for (size_t i = 1; i < done->count; i++)
        if (strcmp(done->files[i - 1].path, done->files[i].path) == 0)
            return err_set(err, FAIL_CORRUPT, "%s names %s twice", name, done->files[i].path);
    if (!done->count)
        return err_set(err, FAIL_CORRUPT, "%s names no file", name);
    *ret = *done;
    *done = (struct pristine){ { NULL }, NULL, 0, 0 };
    return 0;
}

/* ---------------------------------------------------------------- an archive */

struct making {
    struct pristine made;
    struct hash *hash;
};

static void making_free(struct making *making)
{
    pristine_free(&making->made);
    hash_free(&making->hash);
}

static int making_begin(void *arg, const struct release_entry *entry, struct err *err)
{
    struct making *making = arg;
    (void)err;
    (void)file_add(&making->made, entry->path, entry->mode);
    if (entry->link)
        hash_add(making->hash, entry->link, strlen(entry->link));
    return 1;
}

static int making_bytes(void *arg, const void *bytes, size_t len, struct err *err)
{
    (void)err;
    hash_add(((struct making *)arg)->hash, bytes, len);
    return 0;
}

static int making_end(void *arg, uint64_t size, struct err *err)
{
    struct making *making = arg;
    struct pristine_file *file = &making->made.files[making->made.count - 1];
    (void)err;
    file->size = size;
    hash_end(making->hash, file->sha256);
    return 0;
}

int pristine_of_archive(const char *path, int64_t until_mono_ms, struct pristine *ret,
                        struct err *err)
{
    CLEANUP(making_free) struct making making = { .hash = hash_new() };
    const struct release_reader reader = { &making, making_begin, making_bytes, making_end };
    int rc = release_archive_read(path, &reader, until_mono_ms, err);
    return rc ? rc : finish(path, &making.made, ret, err);
}

/* ---------------------------------------------------------------- a tree */

int pristine_of_tree(const char *root, struct pristine *ret, struct err *err)
{
    CLEANUP(tree_free) struct tree tree = { .count = 0 };
    CLEANUP(pristine_free) struct pristine made = { .count = 0 };
    int rc = tree_walk(root, NULL, NULL, &tree, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < tree.count; i++)
        tree.files[i].wanted = true;
    tree_hash(&tree, 0);
    for (size_t i = 0; i < tree.count; i++) {
        const struct tree_file *from = &tree.files[i];
        if (from->failed || !from->hashed || !release_path_ok(from->path))
            return err_set(err, FAIL_IO, "%s/%s could not be read: %s", root, from->path,
                           from->failed ? strerror(from->failed) : "no file");
        struct pristine_file *to = file_add(&made, from->path, from->mode);
        to->size = from->size;
        memcpy(to->sha256, from->sha256, HASH_SIZE);
    }
    return finish(root, &made, ret, err);
}

/* ---------------------------------------------------------------- the text form */

void pristine_write(const struct pristine *pristine, struct str *out)
{
    str_add(out, HEADER);
    for (size_t i = 0; i < pristine->count; i++) {
        char hex[HASH_HEX_MAX];
        const struct pristine_file *file = &pristine->files[i];
        hex_text(file->sha256, HASH_SIZE, hex);
        str_addf(out, "%s %llu %o %s\n", hex, (unsigned long long)file->size, file->mode,
                 file->path);
    }
    str_addf(out, "end %zu\n", pristine->count);
}

/* Cuts the word at *at off; NULL when there is none. */
static char *word_take(char **at)
{
    char *word = *at, *blank = strchr(word, ' ');
    if (!blank || blank == word)
        return NULL;
    *blank = 0;
    *at = blank + 1;
    return word;
}

static bool line_parse(char *line, struct pristine *to)
{
    uint8_t sha256[HASH_SIZE];
    uint64_t size = 0;
    char *rest = line, *hex = word_take(&rest), *bytes = hex ? word_take(&rest) : NULL;
    char *mode = bytes ? word_take(&rest) : NULL, *end = NULL;
    if (!mode || strlen(mode) > 7 || strspn(mode, "01234567") != strlen(mode) ||
        !hash_is_hex(hex) || !hex_parse(hex, sha256, HASH_SIZE) ||
        !text_parse_u64(bytes, INT64_MAX, &size) || !release_path_ok(rest))
        return false;
    unsigned long bits = strtoul(mode, &end, 8);
    if ((bits & ~0777UL) != S_IFREG && (bits & ~0777UL) != S_IFLNK)
        return false;
    struct pristine_file *file = file_add(to, rest, (uint32_t)bits);
    file->size = size;
    memcpy(file->sha256, sha256, HASH_SIZE);
    return true;
}

int pristine_parse(const char *name, const char *text, size_t len, struct pristine *ret,
                   struct err *err)
{
    CLEANUP(pristine_free) struct pristine made = { .count = 0 };
    size_t number = 1, start = strlen(HEADER);
    uint64_t count = 0;
    char line[FS_PATH_MAX + 128];
    if (len < start || memcmp(text, HEADER, start) != 0)
        return err_set(err, FAIL_CORRUPT, "%s is no list of a release's files", name);
    for (const char *at = text + start; at < text + len; number++) {
        const char *stop = memchr(at, '\n', (size_t)(text + len - at));
        size_t size = stop ? (size_t)(stop - at) : 0;
        if (!stop || size >= sizeof line || memchr(at, 0, size))
            return err_set(err, FAIL_CORRUPT, "%s, line %zu: cut off or too long", name,
                           number + 1);
        memcpy(line, at, size);
        line[size] = 0;
        at = stop + 1;
        if (strncmp(line, "end ", 4) == 0) {
            if (!text_parse_u64(line + 4, PRISTINE_FILES_MAX, &count) || count != made.count ||
                at != text + len)
                break;
            return finish(name, &made, ret, err);
        }
        if (made.count >= PRISTINE_FILES_MAX || !line_parse(line, &made))
            return err_set(err, FAIL_CORRUPT,
                           "%s, line %zu: not 'SHA-256 size mode path', or too many", name,
                           number + 1);
    }
    return err_set(err, FAIL_CORRUPT, "%s does not end with the number of its lines: it was cut",
                   name);
}

bool pristine_is_manifest(const char *path)
{
    char head[sizeof HEADER - 1];
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && read(fd, head, sizeof head) == (ssize_t)sizeof head &&
           memcmp(head, HEADER, sizeof head) == 0;
}

int pristine_load(const char *path, struct pristine *ret, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", path);
    int rc = fs_read_fd(fd, path, PRISTINE_TEXT_MAX, &text, err);
    return rc ? rc : pristine_parse(path, str_text(&text), text.len, ret, err);
}

/* ---------------------------------------------------------------- questions */

/* The first file whose path is not below text. */
static size_t lower(const struct pristine *pristine, const char *text, size_t len)
{
    size_t from = 0, to = pristine->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (strncmp(pristine->files[middle].path, text, len) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

const struct pristine_file *pristine_find(const struct pristine *pristine, const char *path)
{
    size_t at = lower(pristine, path, strlen(path) + 1);
    return at < pristine->count && strcmp(pristine->files[at].path, path) == 0
               ? &pristine->files[at]
               : NULL;
}

bool pristine_has_folder(const struct pristine *pristine, const char *folder, size_t len)
{
    /* Names below the folder sort behind those that begin with its name and a lesser letter. */
    char with[FS_PATH_MAX];
    if (len + 1 >= sizeof with)
        return false;
    memcpy(with, folder, len);
    with[len] = '/';
    size_t at = lower(pristine, with, len + 1);
    return at < pristine->count && strncmp(pristine->files[at].path, with, len + 1) == 0;
}
