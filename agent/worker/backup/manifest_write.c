#include "manifest_line.h"
#include "manifest_read.h"
#include "manifest_spill.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define SPILL_SIZE (1024u * 1024)

/* A line for each of a million files: printf would be most of the work. */
static bool is_plain(unsigned char c, bool utf8)
{
    return c > 0x20 && c != 0x7f && c != '%' && (c < 0x80 || utf8);
}

static void add_escaped(struct str *out, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 0;
    while (is_plain((unsigned char)text[len], false))
        len++;
    str_add_bytes(out, text, len);
    text += len;
    if (*text == '\0')
        return;
    len = strlen(text);
    bool utf8 = text_is_utf8(text, len);
    for (size_t i = 0; i < len;) {
        size_t plain = 0;
        while (i + plain < len && is_plain((unsigned char)text[i + plain], utf8))
            plain++;
        str_add_bytes(out, text + i, plain);
        i += plain;
        if (i == len)
            break;
        unsigned char c = (unsigned char)text[i++];
        char escape[] = { '%', digits[c >> 4], digits[c & 15] };
        str_add_bytes(out, escape, sizeof escape);
    }
}

static void add_key(struct str *out, const char *key)
{
    str_add_bytes(out, " ", 1);
    str_add(out, key);
    str_add_bytes(out, "=", 1);
}

static void add_field(struct str *out, const char *key, const char *value)
{
    add_key(out, key);
    add_escaped(out, value);
}

static void add_number(struct str *out, const char *key, uint64_t number, bool minus)
{
    char text[24], *at = text + sizeof text;
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    if (minus)
        *--at = '-';
    add_key(out, key);
    str_add_bytes(out, at, (size_t)(text + sizeof text - at));
}

static void add_u64(struct str *out, const char *key, uint64_t number)
{
    add_number(out, key, number, false);
}

static void add_i64(struct str *out, const char *key, int64_t number)
{
    add_number(out, key, number < 0 ? ~(uint64_t)number + 1 : (uint64_t)number, number < 0);
}

static void add_mode(struct str *out, uint32_t mode)
{
    char text[4];
    for (int i = 3; i >= 0; i--, mode >>= 3)
        text[i] = (char)('0' + (mode & 7));
    add_key(out, "mode");
    str_add_bytes(out, text, sizeof text);
}

static void add_hex(struct str *out, const char *key, const uint8_t sha256[HASH_SIZE])
{
    char hex[HASH_HEX_MAX];
    hex_text(sha256, HASH_SIZE, hex);
    add_key(out, key);
    str_add_bytes(out, hex, sizeof hex - 1);
}

static void add_place(struct str *out, const struct entry *entry)
{
    if (entry->pack != MANIFEST_NO_PACK) {
        add_u64(out, "pack", entry->pack);
        add_u64(out, "at", entry->at);
        add_u64(out, "skip", entry->skip);
    }
    str_add_bytes(out, "\n", 1);
}

void line_write_entry(struct str *out, const struct entry *entry)
{
    if (entry->line) {
        str_add_bytes(out, entry->line, entry->line_len);
        add_place(out, entry);
        return;
    }
    str_add(out, entry->stale ? "stale" : entry_type_name(entry->type));
    if (entry->stale && entry->type != ENTRY_FILE)
        add_field(out, "kind", entry_type_name(entry->type));
    add_field(out, "tree", tree_name(entry->tree));
    add_field(out, "path", entry->path);
    add_mode(out, entry->mode);
    add_u64(out, "uid", entry->uid);
    add_u64(out, "gid", entry->gid);
    add_field(out, "user", entry->user);
    add_field(out, "group", entry->group);
    if (entry->type == ENTRY_FILE)
        add_u64(out, "size", entry->size);
    add_i64(out, "mtime", entry->mtime_ns);
    add_i64(out, "ctime", entry->ctime_ns);
    add_u64(out, "ino", entry->ino);
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
    add_place(out, entry);
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

void line_write_head(struct str *out, const struct manifest *m)
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
        str_addf(out, "tree name=%s", tree_name((enum tree)tree));
        add_field(out, "root", m->root[tree]);
        str_add(out, "\n");
    }
    for (size_t i = 0; i < m->pack_count; i++) {
        str_addf(out, "pack tree=%s", tree_name(m->packs[i].tree));
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

/* Text on its way: all of it at once, or to a file as it comes. */
struct sink {
    struct str text;
    int fd; /* -1: the text stays */
    struct hash *hash;
};

static int sink_spill(struct sink *sink, size_t least, struct err *err)
{
    if (sink->fd < 0 || sink->text.len < least)
        return 0;
    hash_add(sink->hash, sink->text.s, sink->text.len);
    int rc = fs_write_all(sink->fd, sink->text.s, sink->text.len, err);
    str_clear(&sink->text);
    return rc;
}

static int take_lines(void *ctx, const char *bytes, size_t len, struct err *err)
{
    struct sink *sink = ctx;
    str_add_bytes(&sink->text, bytes, len);
    return sink_spill(sink, SPILL_SIZE, err);
}

static int write_all(struct sink *sink, const struct manifest *m, struct err *err)
{
    int rc = 0;
    line_write_head(&sink->text, m);
    if (m->file)
        rc = manifest_file_copy(m->file, take_lines, sink, err);
    if (m->spill)
        rc = manifest_spill_copy(m->spill, take_lines, sink, err);
    for (size_t i = 0; rc == 0 && i < m->entry_count; i++) {
        line_write_entry(&sink->text, &m->entries[i]);
        rc = sink_spill(sink, SPILL_SIZE, err);
    }
    for (size_t i = 0; rc == 0 && i < m->stale_count; i++) {
        line_write_entry(&sink->text, &m->stale[i]);
        rc = sink_spill(sink, SPILL_SIZE, err);
    }
    if (m->has_dump) {
        write_dump(&sink->text, &m->dump);
        write_contents(&sink->text, &m->contents);
    }
    return rc == 0 ? sink_spill(sink, 1, err) : rc;
}

void manifest_write(const struct manifest *manifest, struct str *ret_text)
{
    char hex[HASH_HEX_MAX];
    size_t from = ret_text->len;
    struct sink sink = { .text = *ret_text, .fd = -1 };
    struct err never = { 0 };
    int rc = write_all(&sink, manifest, &never);
    assert(rc == 0);
    *ret_text = sink.text;
    hash_bytes_hex(ret_text->s + from, ret_text->len - from, hex);
    str_addf(ret_text, "sha256 %s\n", hex);
}

static int save_to(int *fd, const char *path, const struct manifest *manifest,
                   char ret_sha256[HASH_HEX_MAX], struct err *err)
{
    CLEANUP(hash_free) struct hash *hash = hash_new();
    char hex[HASH_HEX_MAX], last[HASH_HEX_MAX + sizeof "sha256 \n"];
    struct sink sink = { .fd = *fd, .hash = hash };
    int rc = write_all(&sink, manifest, err);
    str_free(&sink.text);
    hash_sofar_hex(hash, hex);
    (void)snprintf(last, sizeof last, "sha256 %s\n", hex);
    hash_add(hash, last, strlen(last));
    hash_end_hex(hash, ret_sha256);
    if (rc == 0)
        rc = fs_write_all(*fd, last, strlen(last), err);
    if (rc == 0)
        rc = fs_sync_fd(*fd, path, err);
    return rc == 0 ? fs_close(fd, path, err) : rc;
}

int manifest_save(const struct manifest *manifest, const char *path,
                  char ret_sha256_or_null[HASH_HEX_MAX], struct err *err)
{
    char sha256[HASH_HEX_MAX];
    CLEANUP(free_mem) char *partial = text_printf("%s.partial", path);
    int rc = fs_unlink(partial, err);
    if (rc != 0)
        return rc;
    CLEANUP(close_fd)
    int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(err, errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno, "create %s", partial);
    if ((rc = save_to(&fd, partial, manifest, sha256, err)) == 0)
        rc = fs_rename(partial, path, err);
    if (rc != 0)
        (void)unlink(partial); /* the first error is the one to tell */
    if (rc == 0 && ret_sha256_or_null)
        memcpy(ret_sha256_or_null, sha256, sizeof sha256);
    return rc == 0 ? 0 : err_wrap(err, "write %s", path);
}
