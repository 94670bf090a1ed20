#include "manifest.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <inttypes.h>
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
    pool_free(&manifest->pool);
    manifest_init(manifest);
}

const char *manifest_text(struct manifest *manifest, const char *text)
{
    return text[0] ? pool_text(&manifest->pool, text) : "";
}

struct entry *manifest_add_entry(struct manifest *manifest, const struct entry *entry)
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

/* ---- writing ---- */

static void add_escaped(struct str *out, const char *text)
{
    size_t len = strlen(text);
    bool utf8 = text_is_utf8(text, len);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= 0x20 || c == 0x7f || c == '%' || (c >= 0x80 && !utf8))
            str_addf(out, "%%%02x", c);
        else
            str_add_bytes(out, &text[i], 1);
    }
}

static void add_field(struct str *out, const char *key, const char *value)
{
    str_addf(out, " %s=", key);
    add_escaped(out, value);
}

static void add_hex(struct str *out, const char *key, const uint8_t sha256[HASH_SIZE])
{
    char hex[HASH_HEX_MAX];
    hex_text(sha256, HASH_SIZE, hex);
    str_addf(out, " %s=%s", key, hex);
}

static void write_entry(struct str *out, const struct entry *entry)
{
    str_addf(out, "%s", entry->stale ? "stale" : entry_type_name(entry->type));
    if (entry->stale && entry->type != ENTRY_FILE)
        str_addf(out, " kind=%s", entry_type_name(entry->type));
    str_addf(out, " tree=%s", tree_name(entry->tree));
    add_field(out, "path", entry->path);
    str_addf(out, " mode=%04o uid=%u gid=%u", entry->mode, entry->uid, entry->gid);
    add_field(out, "user", entry->user);
    add_field(out, "group", entry->group);
    if (entry->type == ENTRY_FILE)
        str_addf(out, " size=%" PRIu64, entry->size);
    str_addf(out, " mtime=%" PRId64 " ctime=%" PRId64 " ino=%" PRIu64, entry->mtime_ns,
             entry->ctime_ns, entry->ino);
    if (entry->type == ENTRY_LINK || entry->type == ENTRY_HARD)
        add_field(out, "target", entry->target);
    if (entry->xattrs[0])
        add_field(out, "xattrs", entry->xattrs);
    if (entry->changed)
        str_add(out, " changed=1");
    if (entry->fresh)
        str_add(out, " fresh=1");
    if (entry->type == ENTRY_FILE)
        add_hex(out, "sha256", entry->sha256);
    if (entry->pack != MANIFEST_NO_PACK)
        str_addf(out, " pack=%u at=%" PRIu64 " skip=%" PRIu64, entry->pack, entry->at, entry->skip);
    str_add(out, "\n");
}

static void write_pair(struct str *out, const char *word, const char *key,
                       const struct contents_pair *pair, const char *key_b)
{
    str_add(out, word);
    add_field(out, key, pair->a);
    if (key_b)
        add_field(out, key_b, pair->b);
    str_add(out, "\n");
}

static void write_database(struct str *out, const struct contents *c)
{
    str_addf(out, "database version=%u", c->server_version);
    add_field(out, "system", c->system);
    add_field(out, "method", c->method);
    add_field(out, "name", c->database);
    add_field(out, "owner", c->owner);
    add_field(out, "encoding", c->encoding);
    add_field(out, "collate", c->collate);
    add_field(out, "ctype", c->ctype);
    add_field(out, "provider", c->provider);
    add_field(out, "locale", c->locale);
    add_field(out, "tablespace", c->tablespace);
    str_addf(out, " limit=%d", c->connection_limit);
    if (c->has_comment)
        add_field(out, "comment", c->comment);
    str_add(out, "\n");
    for (size_t i = 0; i < c->setting_count; i++)
        write_pair(out, "setting", "role", &c->settings[i], "value");
    for (size_t i = 0; i < c->acl_count; i++)
        write_pair(out, "grant", "acl", &c->acl[i], NULL);
    for (size_t i = 0; i < c->extension_count; i++)
        write_pair(out, "extension", "name", &c->extensions[i], "version");
    for (size_t i = 0; i < c->role_count; i++)
        write_pair(out, "role", "name", &c->roles[i], "kind");
}

static void write_contents(struct str *out, const struct contents *c)
{
    write_database(out, c);
    for (size_t i = 0; i < c->table_count; i++) {
        str_add(out, "table");
        add_field(out, "schema", c->tables[i].schema);
        add_field(out, "name", c->tables[i].name);
        str_addf(out, " rows=%" PRIu64, c->tables[i].rows);
        add_field(out, "digest", c->tables[i].digest);
        str_add(out, "\n");
    }
    for (size_t i = 0; i < c->sequence_count; i++) {
        str_add(out, "sequence");
        add_field(out, "schema", c->sequences[i].schema);
        add_field(out, "name", c->sequences[i].name);
        str_addf(out, " least=%" PRId64 " most=%" PRId64 " called=%d\n", c->sequences[i].least,
                 c->sequences[i].most, c->sequences[i].called);
    }
    str_addf(out, "objects count=%" PRIu64, c->object_count);
    add_field(out, "digest", c->object_digest);
    str_add(out, "\n");
    for (size_t i = 0; i < c->census_count; i++) {
        str_add(out, "census");
        add_field(out, "kind", c->census[i].kind);
        str_addf(out, " count=%" PRIu64, c->census[i].count);
        add_field(out, "digest", c->census[i].digest);
        str_add(out, "\n");
    }
}

static void write_head(struct str *out, const struct manifest *m)
{
    str_addf(out, "confleet-backup %d\nbackup", MANIFEST_FORMAT);
    add_field(out, "id", m->id);
    add_field(out, "kind", m->kind);
    add_field(out, "installation", m->installation);
    add_field(out, "site", m->site);
    add_field(out, "version", m->version);
    str_addf(out, " build=%u", m->build);
    add_field(out, "base", m->base);
    str_addf(out, " started=%" PRId64 " finished=%" PRId64 "\n", m->started_ms, m->finished_ms);
    for (int tree = 0; tree < TREE_COUNT; tree++) {
        str_addf(out, "tree name=%s", tree_names[tree]);
        add_field(out, "root", m->root[tree]);
        str_add(out, "\n");
    }
    for (size_t i = 0; i < m->pack_count; i++) {
        str_addf(out, "pack tree=%s", tree_names[m->packs[i].tree]);
        add_field(out, "name", m->packs[i].name);
        add_field(out, "from", m->packs[i].from);
        str_addf(out, " size=%" PRIu64, m->packs[i].size);
        add_hex(out, "sha256", m->packs[i].sha256);
        str_add(out, "\n");
    }
}

static void write_dump(struct str *out, const struct manifest_dump *dump)
{
    str_add(out, "dump");
    add_field(out, "name", dump->name);
    str_addf(out, " size=%" PRIu64 " content=%" PRIu64, dump->size, dump->content);
    add_hex(out, "sha256", dump->sha256);
    str_add(out, "\n");
    for (size_t i = 0; i < dump->frames.count; i++) {
        const struct frame *frame = &dump->frames.item[i];
        str_addf(out, "frame at=%" PRIu64 " stored=%" PRIu64 " content=%" PRIu64, frame->at,
                 frame->stored, frame->content);
        add_hex(out, "sha256", frame->sha256);
        str_add(out, "\n");
    }
}

void manifest_write(const struct manifest *manifest, struct str *ret_text)
{
    char hex[HASH_HEX_MAX];
    size_t from = ret_text->len;
    write_head(ret_text, manifest);
    for (size_t i = 0; i < manifest->entry_count; i++)
        write_entry(ret_text, &manifest->entries[i]);
    for (size_t i = 0; i < manifest->stale_count; i++)
        write_entry(ret_text, &manifest->stale[i]);
    if (manifest->has_dump) {
        write_dump(ret_text, &manifest->dump);
        write_contents(ret_text, &manifest->contents);
    }
    hash_bytes_hex(ret_text->s + from, ret_text->len - from, hex);
    str_addf(ret_text, "sha256 %s\n", hex);
}
