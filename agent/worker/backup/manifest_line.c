#include "manifest_line.h"
#include <string.h>

static char *line_value(struct line *line, const char *key)
{
    size_t len = strlen(key);
    if (line->why)
        return NULL;
    if (strncmp(line->at, key, len) != 0 || line->at[len] != '=') {
        line->why = key;
        return NULL;
    }
    char *value = line->at + len + 1;
    char *end = strchr(value, ' ');
    line->at = end ? end + 1 : value + strlen(value);
    if (end)
        *end = '\0';
    return value;
}

bool line_has(const struct line *line, const char *key)
{
    size_t len = strlen(key);
    return !line->why && strncmp(line->at, key, len) == 0 && line->at[len] == '=';
}

const char *line_text(struct line *line, const char *key)
{
    char *value = line_value(line, key);
    if (!value)
        return "";
    char *to = value + strcspn(value, "%");
    for (const char *from = to; *from; to++) {
        unsigned char byte = (unsigned char)*from;
        if (byte == '%') {
            if (!hex_parse((char[]){ from[1], from[1] ? from[2] : '\0', '\0' }, &byte, 1) ||
                byte == 0) {
                line->why = key;
                return "";
            }
            from += 2;
        }
        from++;
        *to = (char)byte;
    }
    size_t len = (size_t)(to - value);
    if (len == 0)
        return "";
    if (!line->in_place)
        return pool_bytes(&line->manifest->pool, value, len);
    *to = '\0';
    return value;
}

uint64_t line_u64(struct line *line, const char *key, uint64_t max)
{
    uint64_t number = 0;
    char *value = line_value(line, key);
    if (value && !text_parse_u64(value, max, &number))
        line->why = key;
    return number;
}

int64_t line_i64(struct line *line, const char *key)
{
    uint64_t number = 0;
    char *value = line_value(line, key);
    bool minus = value && value[0] == '-';
    if (value && !text_parse_u64(value + minus, (uint64_t)INT64_MAX + minus, &number))
        line->why = key;
    if (minus && number == 0)
        line->why = key;
    return minus ? (int64_t)(~number + 1) : (int64_t)number;
}

static uint32_t take_mode(struct line *line)
{
    uint32_t mode = 0;
    const char *value = line_value(line, "mode");
    if (!value || strlen(value) != 4)
        line->why = line->why ? line->why : "mode";
    for (size_t i = 0; !line->why && i < 4; i++) {
        if (value[i] < '0' || value[i] > '7')
            line->why = "mode";
        mode = mode * 8 + (uint32_t)(value[i] - '0');
    }
    return line->why ? 0 : mode;
}

/* Lower case alone is ours. */
static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void line_hex(struct line *line, const char *key, uint8_t out[HASH_SIZE])
{
    const char *value = line_value(line, key);
    for (size_t i = 0; value && !line->why && i < HASH_SIZE; i++) {
        int high = hex_value(value[2 * i]), low = high < 0 ? -1 : hex_value(value[2 * i + 1]);
        if (low < 0)
            line->why = key;
        else
            out[i] = (uint8_t)(high * 16 + low);
    }
    if (value && !line->why && value[2 * HASH_SIZE] != '\0')
        line->why = key;
}

static bool take_flag(struct line *line, const char *key)
{
    return line_has(line, key) && line_u64(line, key, 1) == 1;
}

enum tree line_tree(struct line *line, const char *key)
{
    const char *value = line_value(line, key);
    for (enum tree tree = 0; value && tree < TREE_COUNT; tree++)
        if (strcmp(value, tree_name(tree)) == 0)
            return tree;
    line->why = line->why ? line->why : key;
    return TREE_INSTALL;
}

/* Nearly always what the entry before has; a million copies of it would be most of the memory. */
static const char *take_owner(struct line *line, const char *key, const char *last)
{
    size_t key_len = strlen(key), len = strlen(last);
    if (!line->why && strncmp(line->at, key, key_len) == 0 && line->at[key_len] == '=' &&
        strncmp(line->at + key_len + 1, last, len) == 0 && line->at[key_len + 1 + len] == ' ' &&
        !strchr(last, '%')) {
        line->at += key_len + 1 + len + 1;
        return last;
    }
    return line_text(line, key);
}

/* A file of ours: no slash, no leading dot. */
const char *line_name(struct line *line, const char *key)
{
    const char *name = line_text(line, key);
    if (!line->why &&
        (name[0] == '\0' || name[0] == '.' || strchr(name, '/') || strlen(name) > 128))
        line->why = key;
    return name;
}

static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

/* In the order of a walk whatever lies below a folder follows it without a gap: the folder is the
 * entry before, or one of those that the entry before lies in. */
static bool parent_is_known(const struct line_before *before, const struct entry *entry)
{
    if (strcmp(entry->path, ".") == 0)
        return entry->type == ENTRY_DIR;
    if (!before->any || before->tree != entry->tree)
        return false;
    size_t len = folder_len(entry->path);
    const char *path = str_text(&before->path);
    if (len == 0) /* the tree began with its root */
        return true;
    if (before->path.len < len || memcmp(path, entry->path, len) != 0)
        return false;
    return path[len] == '/' || (path[len] == '\0' && before->type == ENTRY_DIR);
}

static void check_place(struct line *line, const struct line_before *before,
                        const struct entry *entry)
{
    const struct manifest *m = line->manifest;
    if (line->why)
        return;
    if (!manifest_path_is_safe(entry->path)) {
        line->why = "path";
    } else if (entry->pack != MANIFEST_NO_PACK &&
               (entry->pack >= m->pack_count || m->packs[entry->pack].tree != entry->tree ||
                entry->at >= m->packs[entry->pack].size || entry->skip >= FRAME_CONTENT_MAX)) {
        line->why = "pack";
    } else if (entry->stale) {
        if (entry->pack == MANIFEST_NO_PACK)
            line->why = "pack";
    } else if (!before) {
        return;
    } else if (before->any && (before->tree > entry->tree ||
                               (before->tree == entry->tree &&
                                manifest_path_compare(str_text(&before->path), entry->path) >= 0))) {
        line->why = "order of path";
    } else if (!parent_is_known(before, entry)) {
        line->why = "folder of path";
    }
}

static void check_content(struct line *line, const struct entry *entry)
{
    if (line->why)
        return;
    bool packed = entry->type == ENTRY_FILE || entry->type == ENTRY_LINK ||
                  entry->type == ENTRY_HARD || entry->type == ENTRY_DIR;
    if (packed != (entry->pack != MANIFEST_NO_PACK))
        line->why = "pack";
    if (entry->type == ENTRY_LINK &&
        (entry->target[0] == '\0' || strlen(entry->target) >= MANIFEST_PATH_MAX))
        line->why = "target";
    if (entry->type == ENTRY_HARD && (!manifest_path_is_safe(entry->target) ||
                                      manifest_path_compare(entry->target, entry->path) >= 0) &&
        !entry->stale)
        line->why = "target";
    if (entry->type == ENTRY_HARD && !entry->stale && !line->in_place) {
        const struct entry *first = manifest_find(line->manifest, entry->tree, entry->target);
        if (!first || first->type != ENTRY_FILE)
            line->why = "target";
    }
    if (strlen(entry->xattrs) > MANIFEST_XATTRS_MAX)
        line->why = "xattrs";
}

/* Of a first reading: a file unless it says otherwise. */
static enum entry_type take_kind(struct line *line)
{
    if (!line_has(line, "kind"))
        return ENTRY_FILE;
    const char *value = line_value(line, "kind");
    for (enum entry_type type = 0; value && type < ENTRY_TYPES; type++)
        if (strcmp(value, entry_type_name(type)) == 0)
            return type;
    line->why = line->why ? line->why : "kind";
    return ENTRY_FILE;
}

void line_entry(struct line *line, enum entry_type type, bool stale, struct line_before *before,
                struct entry *ret)
{
    if (stale)
        type = take_kind(line);
    struct entry entry = {
        .type = type, .stale = stale, .pack = MANIFEST_NO_PACK, .target = "", .xattrs = ""
    };
    entry.tree = line_tree(line, "tree");
    entry.path = line_text(line, "path");
    entry.mode = take_mode(line);
    entry.uid = (uint32_t)line_u64(line, "uid", UINT32_MAX);
    entry.gid = (uint32_t)line_u64(line, "gid", UINT32_MAX);
    entry.user = take_owner(line, "user", before ? before->user : "");
    entry.group = take_owner(line, "group", before ? before->group : "");
    if (type == ENTRY_FILE)
        entry.size = line_u64(line, "size", INT64_MAX);
    entry.mtime_ns = line_i64(line, "mtime");
    entry.ctime_ns = line_i64(line, "ctime");
    entry.ino = line_u64(line, "ino", UINT64_MAX);
    if (type == ENTRY_LINK || type == ENTRY_HARD)
        entry.target = line_text(line, "target");
    if (line_has(line, "xattrs"))
        entry.xattrs = line_text(line, "xattrs");
    entry.changed = take_flag(line, "changed");
    entry.fresh = take_flag(line, "fresh");
    if (type == ENTRY_FILE)
        line_hex(line, "sha256", entry.sha256);
    if (line_has(line, "pack")) {
        entry.pack = (uint32_t)line_u64(line, "pack", MANIFEST_PACKS_MAX);
        entry.at = line_u64(line, "at", INT64_MAX);
        entry.skip = line_u64(line, "skip", INT64_MAX);
    }
    check_place(line, before, &entry);
    check_content(line, &entry);
    *ret = entry;
}

void line_before_init(struct line_before *before)
{
    *before = (struct line_before){ .user = "", .group = "" };
}

void line_before_free(struct line_before *before)
{
    str_free(&before->path);
    str_free(&before->texts[0]);
    str_free(&before->texts[1]);
}

static void keep_owner(struct str *text, const char **before, const char **owner, bool in_place)
{
    if (*owner == *before)
        return;
    if (in_place) {
        str_clear(text);
        str_add(text, *owner);
        *owner = str_text(text);
    }
    *before = *owner;
}

void line_passed(struct line_before *before, struct entry *entry, bool in_place)
{
    before->any = true;
    before->tree = entry->tree;
    before->type = entry->type;
    str_clear(&before->path);
    str_add(&before->path, entry->path);
    keep_owner(&before->texts[0], &before->user, &entry->user, in_place);
    keep_owner(&before->texts[1], &before->group, &entry->group, in_place);
}

enum entry_type line_type(const char *text, size_t word)
{
    for (enum entry_type type = 0; type < ENTRY_TYPES; type++)
        if (strncmp(text, entry_type_name(type), word) == 0 && entry_type_name(type)[word] == '\0')
            return type;
    return ENTRY_TYPES;
}
