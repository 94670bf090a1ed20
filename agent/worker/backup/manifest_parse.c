#include "manifest_line.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

static void parse_backup(struct line *line)
{
    struct manifest *m = line->manifest;
    const char *id = line_text(line, "id");
    if (!manifest_id_is_valid(id))
        line->why = line->why ? line->why : "id";
    else
        memcpy(m->id, id, strlen(id) + 1);
    m->kind = line_text(line, "kind");
    m->installation = line_text(line, "installation");
    m->site = line_text(line, "site");
    m->version = line_text(line, "version");
    m->build = (uint32_t)line_u64(line, "build", UINT32_MAX);
    m->base = line_text(line, "base");
    if (m->base[0] && !manifest_id_is_valid(m->base))
        line->why = "base";
    m->started_ms = line_i64(line, "started");
    m->finished_ms = line_i64(line, "finished");
}

static void parse_tree(struct line *line)
{
    enum tree tree = line_tree(line, "name");
    line->manifest->root[tree] = line_text(line, "root");
}

static void parse_pack(struct line *line)
{
    struct manifest_pack pack = { .tree = line_tree(line, "tree") };
    pack.name = line_name(line, "name");
    pack.from = line_text(line, "from");
    pack.size = line_u64(line, "size", INT64_MAX);
    line_hex(line, "sha256", pack.sha256);
    if (!line->why && pack.from[0] && !manifest_id_is_valid(pack.from))
        line->why = "from";
    if (!line->why && line->manifest->pack_count == MANIFEST_PACKS_MAX)
        line->why = "number of packs";
    if (!line->why)
        (void)manifest_add_pack(line->manifest, &pack);
}

static void parse_dump(struct line *line)
{
    struct manifest_dump *dump = &line->manifest->dump;
    if (line->manifest->has_dump) {
        line->why = "second dump";
        return;
    }
    dump->name = line_name(line, "name");
    dump->size = line_u64(line, "size", INT64_MAX);
    dump->content = line_u64(line, "content", INT64_MAX);
    line_hex(line, "sha256", dump->sha256);
    line->manifest->has_dump = true;
}

static void parse_frame(struct line *line)
{
    struct manifest_dump *dump = &line->manifest->dump;
    struct frame frame = { .at = line_u64(line, "at", INT64_MAX) };
    frame.stored = line_u64(line, "stored", 2 * FRAME_CONTENT_MAX);
    frame.content = line_u64(line, "content", FRAME_CONTENT_MAX);
    line_hex(line, "sha256", frame.sha256);
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
    c->server_version = (uint32_t)line_u64(line, "version", 10000000);
    c->system = line_text(line, "system");
    c->method = line_text(line, "method");
    c->database = line_text(line, "name");
    c->owner = line_text(line, "owner");
    c->encoding = line_text(line, "encoding");
    c->collate = line_text(line, "collate");
    c->ctype = line_text(line, "ctype");
    c->provider = line_text(line, "provider");
    c->locale = line_text(line, "locale");
    c->tablespace = line_text(line, "tablespace");
    int64_t limit = line_i64(line, "limit");
    if (!line->why && (limit < INT32_MIN || limit > INT32_MAX))
        line->why = "limit";
    c->connection_limit = (int32_t)limit;
    c->has_comment = line_has(line, "comment");
    c->comment = c->has_comment ? line_text(line, "comment") : "";
}

static void parse_pair(struct line *line, const char *key_a, const char *key_b,
                       struct contents_pair **list, size_t *count)
{
    struct contents_pair pair = { .a = line_text(line, key_a), .b = "" };
    if (key_b)
        pair.b = line_text(line, key_b);
    GROW(*list, *count);
    if (!line->why)
        (*list)[(*count)++] = pair;
}

static void parse_table(struct line *line)
{
    struct contents *c = &line->manifest->contents;
    struct contents_table table = { .schema = line_text(line, "schema") };
    table.name = line_text(line, "name");
    table.rows = line_u64(line, "rows", INT64_MAX);
    table.digest = line_text(line, "digest");
    GROW(c->tables, c->table_count);
    if (!line->why)
        c->tables[c->table_count++] = table;
}

static void parse_sequence(struct line *line)
{
    struct contents *c = &line->manifest->contents;
    struct contents_sequence sequence = { .schema = line_text(line, "schema") };
    sequence.name = line_text(line, "name");
    sequence.least = line_i64(line, "least");
    sequence.most = line_i64(line, "most");
    sequence.called = line_u64(line, "called", 1) == 1;
    GROW(c->sequences, c->sequence_count);
    if (!line->why)
        c->sequences[c->sequence_count++] = sequence;
}

static void parse_objects(struct line *line)
{
    struct contents *c = &line->manifest->contents;
    c->object_count = line_u64(line, "count", INT64_MAX);
    c->object_digest = line_text(line, "digest");
}

static void parse_census(struct line *line)
{
    struct contents *c = &line->manifest->contents;
    struct contents_census census = { .kind = line_text(line, "kind") };
    census.count = line_u64(line, "count", INT64_MAX);
    census.digest = line_text(line, "digest");
    GROW(c->census, c->census_count);
    if (!line->why)
        c->census[c->census_count++] = census;
}

void line_word(struct line *line, const char *word)
{
    struct contents *c = &line->manifest->contents;
    if (strcmp(word, "backup") == 0)
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

static void parse_entry(struct line *line, enum entry_type type, bool stale,
                        struct line_before *before)
{
    struct manifest *m = line->manifest;
    struct entry entry;
    line_entry(line, type, stale, before, &entry);
    if (!line->why && m->entry_count + m->stale_count >= MANIFEST_ENTRIES_MAX)
        line->why = "number of entries";
    if (line->why)
        return;
    if (!stale)
        line_passed(before, &entry, false);
    (void)manifest_push_entry(m, &entry);
}

static void parse_line(struct line *line, const char *word, struct line_before *before)
{
    bool stale = strcmp(word, "stale") == 0;
    enum entry_type type = stale ? ENTRY_FILE : line_type(word, strlen(word));
    if (type < ENTRY_TYPES)
        parse_entry(line, type, stale, before);
    else
        line_word(line, word);
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

int line_check_whole(const struct manifest *m, const char *name, struct err *err)
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
    CLEANUP(line_before_free) struct line_before before;
    CLEANUP(manifest_free) struct manifest m;
    manifest_init(&m);
    line_before_init(&before);
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
            parse_line(&line, at, &before);
        if (!line.why && line.at[0] != '\0')
            line.why = "more than its fields";
        if (line.why)
            return err_set(err, FAIL_CORRUPT, "manifest %s: line %zu: bad %s", name, number,
                           line.why);
        at = stop + 1;
    }
    if ((rc = line_check_whole(&m, name, err)) != 0)
        return rc;
    *ret = m;
    manifest_init(&m);
    return 0;
}
