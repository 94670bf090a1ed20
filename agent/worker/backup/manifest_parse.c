#include "manifest.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* One line being taken apart. The first thing that is wrong is remembered in why; later calls do
 * nothing. */
struct line {
    struct manifest *manifest;
    char *at; /* what is left of the line */
    const char *why;
};

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

static bool line_has(const struct line *line, const char *key)
{
    size_t len = strlen(key);
    return !line->why && strncmp(line->at, key, len) == 0 && line->at[len] == '=';
}

static const char *take_text(struct line *line, const char *key)
{
    char *value = line_value(line, key);
    if (!value)
        return "";
    char *to = value;
    for (const char *from = value; *from; to++) {
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
    return len == 0 ? "" : pool_bytes(&line->manifest->pool, value, len);
}

static uint64_t take_u64(struct line *line, const char *key, uint64_t max)
{
    uint64_t number = 0;
    char *value = line_value(line, key);
    if (value && !text_parse_u64(value, max, &number))
        line->why = key;
    return number;
}

static int64_t take_i64(struct line *line, const char *key)
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

static void take_hex(struct line *line, const char *key, uint8_t out[HASH_SIZE])
{
    const char *value = line_value(line, key);
    if (value && (!hash_is_hex(value) || !hex_parse(value, out, HASH_SIZE)))
        line->why = key;
}

static bool take_flag(struct line *line, const char *key)
{
    return line_has(line, key) && take_u64(line, key, 1) == 1;
}

static enum tree take_tree(struct line *line, const char *key)
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
    return take_text(line, key);
}

/* A file of ours: no slash, no leading dot. */
static const char *take_name(struct line *line, const char *key)
{
    const char *name = take_text(line, key);
    if (!line->why &&
        (name[0] == '\0' || name[0] == '.' || strchr(name, '/') || strlen(name) > 128))
        line->why = key;
    return name;
}

static void parse_backup(struct line *line)
{
    struct manifest *m = line->manifest;
    const char *id = take_text(line, "id");
    if (!manifest_id_is_valid(id))
        line->why = line->why ? line->why : "id";
    else
        memcpy(m->id, id, strlen(id) + 1);
    m->kind = take_text(line, "kind");
    m->installation = take_text(line, "installation");
    m->site = take_text(line, "site");
    m->version = take_text(line, "version");
    m->build = (uint32_t)take_u64(line, "build", UINT32_MAX);
    m->base = take_text(line, "base");
    if (m->base[0] && !manifest_id_is_valid(m->base))
        line->why = "base";
    m->started_ms = take_i64(line, "started");
    m->finished_ms = take_i64(line, "finished");
}

static void parse_tree(struct line *line)
{
    enum tree tree = take_tree(line, "name");
    line->manifest->root[tree] = take_text(line, "root");
}

static void parse_pack(struct line *line)
{
    struct manifest_pack pack = { .tree = take_tree(line, "tree") };
    pack.name = take_name(line, "name");
    pack.from = take_text(line, "from");
    pack.size = take_u64(line, "size", INT64_MAX);
    take_hex(line, "sha256", pack.sha256);
    if (!line->why && pack.from[0] && !manifest_id_is_valid(pack.from))
        line->why = "from";
    if (!line->why && line->manifest->pack_count == MANIFEST_PACKS_MAX)
        line->why = "number of packs";
    if (!line->why)
        (void)manifest_add_pack(line->manifest, &pack);
}

static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

/* The entry before lies in the same folder or is it; else that is looked for. Order makes this a
 * walk. */
static bool parent_is_known(const struct manifest *m, const struct entry *entry)
{
    if (strcmp(entry->path, ".") == 0)
        return entry->type == ENTRY_DIR;
    const struct entry *last = m->entry_count ? &m->entries[m->entry_count - 1] : NULL;
    size_t len = folder_len(entry->path);
    if (last && last->tree == entry->tree && strcmp(last->path, ".") != 0) {
        bool is_it = last->type == ENTRY_DIR && len > 0 && strlen(last->path) == len;
        if ((is_it || folder_len(last->path) == len) && memcmp(last->path, entry->path, len) == 0)
            return true;
    }
    char parent[MANIFEST_PATH_MAX] = ".";
    if (len > 0) {
        memcpy(parent, entry->path, len);
        parent[len] = '\0';
    }
    const struct entry *found = manifest_find(m, entry->tree, parent);
    return found && found->type == ENTRY_DIR;
}

static void check_place(struct line *line, const struct entry *entry)
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
    } else {
        const struct entry *last = m->entry_count ? &m->entries[m->entry_count - 1] : NULL;
        if (last &&
            (last->tree > entry->tree ||
             (last->tree == entry->tree && manifest_path_compare(last->path, entry->path) >= 0)))
            line->why = "order of path";
        else if (!parent_is_known(m, entry))
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
    if (entry->type == ENTRY_HARD && !entry->stale) {
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

static void parse_entry(struct line *line, enum entry_type type, bool stale)
{
    if (stale)
        type = take_kind(line);
    struct entry entry = {
        .type = type, .stale = stale, .pack = MANIFEST_NO_PACK, .target = "", .xattrs = ""
    };
    entry.tree = take_tree(line, "tree");
    entry.path = take_text(line, "path");
    entry.mode = take_mode(line);
    entry.uid = (uint32_t)take_u64(line, "uid", UINT32_MAX);
    entry.gid = (uint32_t)take_u64(line, "gid", UINT32_MAX);
    const struct manifest *m = line->manifest;
    const struct entry *last = m->entry_count ? &m->entries[m->entry_count - 1] : NULL;
    entry.user = take_owner(line, "user", last ? last->user : "");
    entry.group = take_owner(line, "group", last ? last->group : "");
    if (type == ENTRY_FILE)
        entry.size = take_u64(line, "size", INT64_MAX);
    entry.mtime_ns = take_i64(line, "mtime");
    entry.ctime_ns = take_i64(line, "ctime");
    entry.ino = take_u64(line, "ino", UINT64_MAX);
    if (type == ENTRY_LINK || type == ENTRY_HARD)
        entry.target = take_text(line, "target");
    if (line_has(line, "xattrs"))
        entry.xattrs = take_text(line, "xattrs");
    entry.changed = take_flag(line, "changed");
    entry.fresh = take_flag(line, "fresh");
    if (type == ENTRY_FILE)
        take_hex(line, "sha256", entry.sha256);
    if (line_has(line, "pack")) {
        entry.pack = (uint32_t)take_u64(line, "pack", MANIFEST_PACKS_MAX);
        entry.at = take_u64(line, "at", INT64_MAX);
        entry.skip = take_u64(line, "skip", INT64_MAX);
    }
    check_place(line, &entry);
    check_content(line, &entry);
    if (!line->why &&
        line->manifest->entry_count + line->manifest->stale_count >= MANIFEST_ENTRIES_MAX)
        line->why = "number of entries";
    if (!line->why)
        (void)manifest_add_entry(line->manifest, &entry);
}

static void parse_dump(struct line *line)
{
    struct manifest_dump *dump = &line->manifest->dump;
    if (line->manifest->has_dump) {
        line->why = "second dump";
        return;
    }
    dump->name = take_name(line, "name");
    dump->size = take_u64(line, "size", INT64_MAX);
    dump->content = take_u64(line, "content", INT64_MAX);
    take_hex(line, "sha256", dump->sha256);
    line->manifest->has_dump = true;
}

static void parse_frame(struct line *line)
{
    struct manifest_dump *dump = &line->manifest->dump;
    struct frame frame = { .at = take_u64(line, "at", INT64_MAX) };
    frame.stored = take_u64(line, "stored", 2 * FRAME_CONTENT_MAX);
    frame.content = take_u64(line, "content", FRAME_CONTENT_MAX);
    take_hex(line, "sha256", frame.sha256);
    const struct frame *last =
        dump->frames.count ? &dump->frames.item[dump->frames.count - 1] : NULL;
    uint64_t expected = last ? last->at + last->stored : 0;
    if (!line->why && (!line->manifest->has_dump || frame.at != expected || frame.stored == 0 ||
                       frame.content == 0 || frame.at + frame.stored > dump->size))
        line->why = "at";
    if (!line->why)
        frame_list_add(&dump->frames, &frame);
}

/* Arrays of contents grow by doubling: at counts that are a power of two, and at zero. */
#define GROW(list, count)                                                                          \
    do {                                                                                           \
        if ((count) >= CONTENTS_ITEMS_MAX)                                                         \
            line->why = "number of lines of this kind";                                            \
        else if (((count) & ((count)-1)) == 0)                                                     \
            (list) = mem_grow((list), (count) ? 2 * (count) : 1, sizeof *(list));                  \
    } while (0)

static void parse_database(struct line *line)
{
    struct contents *c = &line->manifest->contents;
    if (c->database)
        line->why = "second database";
    c->server_version = (uint32_t)take_u64(line, "version", 10000000);
    c->system = take_text(line, "system");
    c->method = take_text(line, "method");
    c->database = take_text(line, "name");
    c->owner = take_text(line, "owner");
    c->encoding = take_text(line, "encoding");
    c->collate = take_text(line, "collate");
    c->ctype = take_text(line, "ctype");
    c->provider = take_text(line, "provider");
    c->locale = take_text(line, "locale");
    c->tablespace = take_text(line, "tablespace");
    int64_t limit = take_i64(line, "limit");
    if (!line->why && (limit < INT32_MIN || limit > INT32_MAX))
        line->why = "limit";
    c->connection_limit = (int32_t)limit;
    c->has_comment = line_has(line, "comment");
    c->comment = c->has_comment ? take_text(line, "comment") : "";
}

static void parse_pair(struct line *line, const char *key_a, const char *key_b,
                       struct contents_pair **list, size_t *count)
{
    struct contents_pair pair = { .a = take_text(line, key_a), .b = "" };
    if (key_b)
        pair.b = take_text(line, key_b);
    GROW(*list, *count);
    if (!line->why)
        (*list)[(*count)++] = pair;
}

static void parse_table(struct line *line)
{
    struct contents *c = &line->manifest->contents;
    struct contents_table table = { .schema = take_text(line, "schema") };
    table.name = take_text(line, "name");
    table.rows = take_u64(line, "rows", INT64_MAX);
    table.digest = take_text(line, "digest");
    GROW(c->tables, c->table_count);
    if (!line->why)
        c->tables[c->table_count++] = table;
}

static void parse_sequence(struct line *line)
{
    struct contents *c = &line->manifest->contents;
    struct contents_sequence sequence = { .schema = take_text(line, "schema") };
    sequence.name = take_text(line, "name");
    sequence.least = take_i64(line, "least");
    sequence.most = take_i64(line, "most");
    sequence.called = take_u64(line, "called", 1) == 1;
    GROW(c->sequences, c->sequence_count);
    if (!line->why)
        c->sequences[c->sequence_count++] = sequence;
}

static void parse_objects(struct line *line)
{
    struct contents *c = &line->manifest->contents;
    c->object_count = take_u64(line, "count", INT64_MAX);
    c->object_digest = take_text(line, "digest");
}

static void parse_census(struct line *line)
{
    struct contents *c = &line->manifest->contents;
    struct contents_census census = { .kind = take_text(line, "kind") };
    census.count = take_u64(line, "count", INT64_MAX);
    census.digest = take_text(line, "digest");
    GROW(c->census, c->census_count);
    if (!line->why)
        c->census[c->census_count++] = census;
}

static void parse_word(struct line *line, const char *word)
{
    struct contents *c = &line->manifest->contents;
    for (enum entry_type type = 0; type < ENTRY_TYPES; type++)
        if (strcmp(word, entry_type_name(type)) == 0) {
            parse_entry(line, type, false);
            return;
        }
    if (strcmp(word, "stale") == 0)
        parse_entry(line, ENTRY_FILE, true);
    else if (strcmp(word, "backup") == 0)
        parse_backup(line);
    else if (strcmp(word, "tree") == 0)
        parse_tree(line);
    else if (strcmp(word, "pack") == 0)
        parse_pack(line);
    else if (strcmp(word, "dump") == 0)
        parse_dump(line);
    else if (strcmp(word, "frame") == 0)
        parse_frame(line);
    else if (strcmp(word, "database") == 0)
        parse_database(line);
    else if (strcmp(word, "setting") == 0)
        parse_pair(line, "role", "value", &c->settings, &c->setting_count);
    else if (strcmp(word, "grant") == 0)
        parse_pair(line, "acl", NULL, &c->acl, &c->acl_count);
    else if (strcmp(word, "extension") == 0)
        parse_pair(line, "name", "version", &c->extensions, &c->extension_count);
    else if (strcmp(word, "role") == 0)
        parse_pair(line, "name", "kind", &c->roles, &c->role_count);
    else if (strcmp(word, "table") == 0)
        parse_table(line);
    else if (strcmp(word, "sequence") == 0)
        parse_sequence(line);
    else if (strcmp(word, "objects") == 0)
        parse_objects(line);
    else if (strcmp(word, "census") == 0)
        parse_census(line);
    else
        line->why = "first word";
}

/* The last line vouches for all the others, so it is looked at before any of them. */
static int check_digest(const struct str *text, const char *name, size_t *ret_len, struct err *err)
{
    static const char word[] = "sha256 ";
    const size_t tail =
        sizeof word - 1 + HASH_HEX_MAX; /* the digest's NUL counts for the line's end */
    char hex[HASH_HEX_MAX];
    if (text->len < tail || memchr(text->s, '\0', text->len))
        return err_set(err, FAIL_CORRUPT, "manifest %s is cut short or holds a zero byte", name);
    size_t len = text->len - tail;
    hash_bytes_hex(text->s, len, hex);
    if (strncmp(text->s + len, word, sizeof word - 1) != 0 || text->s[text->len - 1] != '\n' ||
        memcmp(text->s + len + sizeof word - 1, hex, HASH_HEX_MAX - 1) != 0)
        return err_set(err, FAIL_CORRUPT,
                       "manifest %s: its last line is not the SHA-256 of what is before it", name);
    *ret_len = len;
    return 0;
}

static int check_whole(const struct manifest *m, const char *name, struct err *err)
{
    if (m->id[0] == '\0' || (strcmp(m->kind, "hot") != 0 && strcmp(m->kind, "stop") != 0))
        return err_set(err, FAIL_CORRUPT, "manifest %s names no backup", name);
    if (!m->has_dump)
        return m->contents.database || m->contents.table_count
                   ? err_set(err, FAIL_CORRUPT,
                             "manifest %s counts a database that it has no dump of", name)
                   : 0;
    const struct frame_list *frames = &m->dump.frames;
    const struct frame *last = frames->count ? &frames->item[frames->count - 1] : NULL;
    uint64_t content = 0;
    for (size_t i = 0; i < frames->count; i++)
        content += frames->item[i].content;
    if (!m->contents.database || !m->contents.object_digest || !last ||
        last->at + last->stored != m->dump.size || content != m->dump.content)
        return err_set(err, FAIL_CORRUPT, "manifest %s does not account for the whole dump", name);
    return 0;
}

int manifest_parse(struct str *text, const char *name, struct manifest *ret, struct err *err)
{
    static const char first[] = "confleet-backup 1\n";
    CLEANUP(manifest_free) struct manifest m;
    manifest_init(&m);
    size_t len = 0, number = 1;
    int rc = check_digest(text, name, &len, err);
    if (rc != 0)
        return rc;
    if (len < sizeof first - 1 || memcmp(text->s, first, sizeof first - 1) != 0)
        return err_set(err, FAIL_UNSUPPORTED, "manifest %s is of another format than 1", name);
    for (char *at = text->s + sizeof first - 1, *end = text->s + len; at < end;) {
        struct line line = { .manifest = &m };
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            return err_set(err, FAIL_CORRUPT, "manifest %s: its last line has no end", name);
        *stop = '\0';
        number++;
        line.at = strchr(at, ' ');
        if (line.at)
            *line.at++ = '\0';
        else
            line.why = "fields";
        if (!line.why)
            parse_word(&line, at);
        if (!line.why && line.at[0] != '\0')
            line.why = "more than its fields";
        if (line.why)
            return err_set(err, FAIL_CORRUPT, "manifest %s: line %zu: bad %s", name, number,
                           line.why);
        at = stop + 1;
    }
    if ((rc = check_whole(&m, name, err)) != 0)
        return rc;
    *ret = m;
    manifest_init(&m);
    return 0;
}
