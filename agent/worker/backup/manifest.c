#include "manifest_spill.h"
#include "manifest_read.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

static const char *const tree_names[TREE_COUNT] = { "install", "home" };
static const char *const type_names[ENTRY_TYPES] = { "file", "dir",    "link",  "hard",
                                                     "fifo", "socket", "device" };

const char *tree_name(enum tree tree)
{
    assert(tree < TREE_COUNT);
    return tree_names[tree];
}

const char *entry_type_name(enum entry_type type)
{
    assert(type < ENTRY_TYPES);
    return type_names[type];
}

void manifest_init(struct manifest *manifest)
{
    *manifest = (struct manifest){
        .kind = "", .installation = "", .site = "", .version = "", .base = "", .root = { "", "" }
    };
}

void manifest_free(struct manifest *manifest)
{
    free(manifest->packs);
    free(manifest->entries);
    free(manifest->stale);
    frame_list_free(&manifest->dump.frames);
    contents_free(&manifest->contents);
    manifest_file_free(&manifest->file);
    manifest_spill_free(&manifest->spill);
    members_free(manifest);
    sums_free(&manifest->sums);
    pool_free(&manifest->pool);
    manifest_init(manifest);
}

const char *manifest_text(struct manifest *manifest, const char *text)
{
    return text[0] ? pool_text(&manifest->pool, text) : "";
}

static const char *kept_text(struct pool *pool, const char *text)
{
    return text && text[0] ? pool_text(pool, text) : "";
}

/* Nearly always what the entry before has. */
static const char *kept_owner(struct pool *pool, const char *owner, const char *last)
{
    return last && strcmp(owner, last) == 0 ? last : kept_text(pool, owner);
}

struct entry *manifest_add_entry(struct manifest *manifest, const struct entry *entry)
{
    struct pool *pool = manifest->spill && !entry->stale ? manifest_spill_pool(manifest->spill)
                                                         : &manifest->pool;
    const struct entry *last =
        entry->stale
            ? (manifest->stale_count ? &manifest->stale[manifest->stale_count - 1] : NULL)
            : (manifest->entry_count ? &manifest->entries[manifest->entry_count - 1] : NULL);
    struct entry copy = *entry;
    copy.path = kept_text(pool, entry->path);
    copy.user = kept_owner(pool, entry->user ? entry->user : "", last ? last->user : NULL);
    copy.group = kept_owner(pool, entry->group ? entry->group : "", last ? last->group : NULL);
    copy.target = kept_text(pool, entry->target);
    copy.xattrs = kept_text(pool, entry->xattrs);
    copy.line = NULL;
    copy.line_file = NULL;
    return manifest_push_entry(manifest, &copy);
}

struct entry *manifest_push_entry(struct manifest *manifest, const struct entry *entry)
{
    struct entry **list = entry->stale ? &manifest->stale : &manifest->entries;
    size_t *count = entry->stale ? &manifest->stale_count : &manifest->entry_count;
    size_t *cap = entry->stale ? &manifest->stale_cap : &manifest->entry_cap;
    if (*count == *cap) {
        *cap = *cap ? *cap * 2 : 256;
        *list = mem_grow(*list, *cap, sizeof **list);
    }
    (*list)[*count] = *entry;
    return &(*list)[(*count)++];
}

uint32_t manifest_add_pack(struct manifest *manifest, const struct manifest_pack *pack)
{
    if (manifest->pack_count == manifest->pack_cap) {
        manifest->pack_cap = manifest->pack_cap ? manifest->pack_cap * 2 : 16;
        manifest->packs = mem_grow(manifest->packs, manifest->pack_cap, sizeof *manifest->packs);
    }
    manifest->packs[manifest->pack_count] = *pack;
    return (uint32_t)manifest->pack_count++;
}

static int path_rank(unsigned char c)
{
    return c == '\0' ? 0 : c == '/' ? 1 : c + 1;
}

int manifest_path_compare(const char *a, const char *b)
{
    bool a_root = strcmp(a, ".") == 0, b_root = strcmp(b, ".") == 0;
    if (a_root || b_root)
        return (int)b_root - (int)a_root;
    while (*a && *a == *b)
        a++, b++;
    return path_rank((unsigned char)*a) - path_rank((unsigned char)*b);
}

static int entry_compare_key(const struct entry *entry, enum tree tree, const char *path)
{
    if (entry->tree != tree)
        return entry->tree < tree ? -1 : 1;
    return manifest_path_compare(entry->path, path);
}

const struct entry *manifest_find(const struct manifest *manifest, enum tree tree, const char *path)
{
    size_t low = 0, high = manifest->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = entry_compare_key(&manifest->entries[middle], tree, path);
        if (order == 0)
            return &manifest->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool manifest_path_is_safe(const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || len >= MANIFEST_PATH_MAX)
        return false;
    if (strcmp(path, ".") == 0)
        return true;
    for (const char *part = path;;) {
        const char *end = strchr(part, '/');
        size_t n = end ? (size_t)(end - part) : strlen(part);
        if (n == 0 || n > 255 || (n == 1 && part[0] == '.') ||
            (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        if (!end)
            return true;
        part = end + 1;
    }
}

/* 20261123T041800Z-1a2b3c: it becomes the name of a folder. */
bool manifest_id_is_valid(const char *id)
{
    static const char form[] = "00000000T000000Z-xxxxxx";
    if (strlen(id) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++) {
        bool digit = id[i] >= '0' && id[i] <= '9';
        bool fits = form[i] == '0'   ? digit
                    : form[i] == 'x' ? digit || (id[i] >= 'a' && id[i] <= 'f')
                                     : id[i] == form[i];
        if (!fits)
            return false;
    }
    return true;
}
