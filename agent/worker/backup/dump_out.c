/* The way out of a dump: see dump_restore() in dump.h. */
#include "toc.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "dump.h"
#include "load.h"
#include <string.h>

#define RESTORE_IDLE_MS                                                                            \
    (4 * 3600 * 1000) /* an index of a large table is built without reading a byte */
#define REST_MS           (24 * 3600 * 1000) /* all that comes after the rows */
#define TOC_MAX           (64u * 1024 * 1024)
#define TOC_FILE          "restore-toc"
#define LIST_FILE         "restore-list"
#define CONNECTIONS_LEAST 16
#define MEMORY_MB         256 /* to build indexes with, for all jobs together */

struct giving {
    const char *path;
    const struct manifest_dump *dump;
    const struct restore_spec *spec;
    struct frames_reader *reader;
    size_t next;
    const uint8_t *bytes; /* of the frame at hand, not yet used */
    size_t left;
    pack_progress *progress;
    void *ctx;
    const char *programs; /* folder */
    bool lz4;
};

static int give_frame(void *ctx, const uint8_t **ret_bytes, size_t *ret_len, struct err *err)
{
    struct giving *g = ctx;
    if (g->next == g->dump->frames.count) {
        *ret_len = 0;
        return 0;
    }
    const struct frame *want = &g->dump->frames.item[g->next++];
    int rc = frames_expect(g->reader, want, g->next - 1, ret_bytes, err);
    if (rc != 0)
        return rc;
    if (g->progress)
        g->progress(g->ctx, want->content);
    *ret_len = want->content;
    return 0;
}

/* lz4 takes less than half of pglz's time. Not every server was built with it, and a site whose
 * server was told what to use gets that. */
static void look_for_lz4(struct giving *g)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    bool found = false;
    uint64_t one = 0;
    struct err ignored = { 0 };
    static const char any[] = "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' "
                              "AND 'lz4' = ANY (enumvals)";
    static const char unset[] = "SELECT 1 FROM pg_settings WHERE name = "
                                "'default_toast_compression' AND 'lz4' = ANY (enumvals) AND "
                                "source = 'default'";
    g->lz4 = g->spec->server_version >= 140000 &&
             reach_connect(g->spec->reach, g->spec->dbname, &conn, &ignored) == 0 &&
             database_u64(conn, g->spec->fast ? any : unset, &one, &found, &ignored) == 0 && found;
}

static char *options(const struct giving *g)
{
    unsigned jobs = g->spec->threads > 1 ? g->spec->threads : 1;
    return text_printf("-csynchronous_commit=off -cdefault_transaction_read_only=off "
                       "-cmaintenance_work_mem=%uMB%s",
                       MEMORY_MB / jobs, g->lz4 ? " -cdefault_toast_compression=lz4" : "");
}

/* Settled in the log of the server: commits above did not wait for that, and a later one that does
 * takes them along. */
static int make_durable(const struct giving *g, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err why = { 0 };
    int rc = reach_connect(g->spec->reach, g->spec->dbname, &conn, err);
    if (rc == 0)
        rc = database_do(conn, "SET synchronous_commit = on", err);
    if (rc != 0)
        return rc;
    if (database_do(conn, "SELECT pg_catalog.pg_logical_emit_message(true, 'confleet', '')",
                    &why) == 0)
        return 0;
    return database_do(conn, "SELECT pg_catalog.lo_unlink(pg_catalog.lo_create(0))", err);
}

/* ---- one pg_restore, the whole dump through its stdin ---- */

static int restore_stream(struct giving *g, struct err *err)
{
    CLEANUP(database_child_env_free) char **env = NULL;
    CLEANUP(free_mem) char *with = options(g);
    CLEANUP(free_mem)
    char *program = fs_join(g->programs, "pg_restore"),
         *into = text_printf("--dbname=%s", g->spec->dbname);
    struct pump pump = { .give = give_frame, .ctx = g, .timeout_ms = RESTORE_IDLE_MS };
    /* A throw-away copy goes wherever there is room; the real one goes where it was. */
    const char *argv[] = { program,
                           "--exit-on-error",
                           "--no-password",
                           into,
                           g->spec->create ? "--create" : "--no-tablespaces",
                           NULL };
    int rc = reach_env(g->spec->reach, g->spec->dbname, with, &env, err);
    return rc == 0 ? pump_run(argv, env, &pump, err) : rc;
}

/* ---- pg_restore for what is no row, connections of our own for the rows ---- */

enum part { PART_BEFORE, PART_ROWS, PART_AFTER, PART_NOTHING };

static bool is(const struct toc_item *item, const char *what)
{
    return strcmp(item->what, what) == 0;
}

/* Grants come last, as pg_restore does it: they may take from the owner what loading needs. Those
 * on the database itself it brings only where it makes the database. */
static enum part part_of(const struct toc_item *item, bool create)
{
    if (is(item, "DATABASE") || is(item, "DATABASE PROPERTIES") ||
        (item->section == TOC_NONE && strncmp(item->tag, "DATABASE ", 9) == 0))
        return create ? PART_BEFORE : PART_NOTHING;
    if (is(item, "TABLE DATA"))
        return PART_ROWS;
    return item->section == TOC_PRE_DATA ? PART_BEFORE : PART_AFTER;
}

static const char *named(const struct toc *toc, const struct restore_spec *spec)
{
    for (size_t i = 0; i < toc->count && spec->create; i++)
        if (is(&toc->items[i], "DATABASE"))
            return toc->items[i].tag;
    return spec->create ? NULL : spec->dbname;
}

/* Whether the rows are all that has to be read from behind the table of contents, and we may
 * connect as often as that takes. */
static bool can_split(const struct toc *toc, const struct restore_spec *spec)
{
    for (size_t i = 0; i < toc->count; i++) {
        const struct toc_item *item = &toc->items[i];
        const char *limit = strstr(item->definition, " CONNECTION LIMIT = ");
        bool rows = is(item, "TABLE DATA");
        if (item->has_data != rows || (rows && strncmp(item->copy, "COPY ", 5) != 0))
            return false;
        if (limit && is(item, "DATABASE PROPERTIES") && spec->create &&
            strtol(strchr(limit, '=') + 1, NULL, 10) < CONNECTIONS_LEAST)
            return false;
    }
    return named(toc, spec) != NULL;
}

static int read_toc(struct giving *g, struct str *first, struct toc *ret, bool *ret_whole,
                    struct err *err)
{
    struct err why = { 0 };
    for (*ret_whole = false; !*ret_whole && first->len < TOC_MAX;) {
        const uint8_t *bytes = NULL;
        size_t len = 0;
        int rc = give_frame(g, &bytes, &len, err);
        if (rc != 0)
            return rc;
        str_add_bytes(first, bytes, len);
        /* What we do not understand may still be read by a newer pg_restore. */
        if (len == 0 || toc_read((const uint8_t *)first->s, first->len, ret, ret_whole, &why) != 0)
            return 0;
        if (*ret_whole) {
            /* The table of contents ends within this frame, and the rows begin there. */
            g->left = first->len - ret->toc_size;
            g->bytes = bytes + (len - g->left);
        }
    }
    return 0;
}

static char *of_reach(const struct giving *g, const char *file)
{
    return fs_join(g->spec->reach->dir, file);
}

static int restore_part(const struct giving *g, const struct toc *toc, enum part part,
                        struct err *err)
{
    CLEANUP(database_child_env_free) char **env = NULL;
    CLEANUP(str_free) struct str list = { 0 };
    CLEANUP(free_mem) char *first = of_reach(g, TOC_FILE), *file = of_reach(g, LIST_FILE);
    CLEANUP(free_mem) char *with = options(g), *program = fs_join(g->programs, "pg_restore");
    for (size_t i = 0; i < toc->count; i++)
        if (part_of(&toc->items[i], g->spec->create) == part)
            str_addf(&list, "%d;\n", toc->items[i].id);
    if (list.len == 0)
        return 0;
    int rc = fs_write(file, list.s, list.len, 0600, err);
    const char *dbname = part == PART_AFTER ? named(toc, g->spec) : g->spec->dbname;
    if (rc == 0)
        rc = reach_env(g->spec->reach, dbname, with, &env, err);
    if (rc != 0)
        return rc;
    CLEANUP(free_mem)
    char *into = text_printf("--dbname=%s", dbname), *uses = text_printf("--use-list=%s", file),
         *jobs = text_printf("--jobs=%u", g->spec->threads > 1 ? g->spec->threads : 1);
    /* A throw-away copy goes wherever there is room; the real one goes where it was. */
    const char *argv[9] = { program, "--exit-on-error", "--no-password", into, uses };
    size_t count = 5;
    if (!g->spec->create)
        argv[count++] = "--no-tablespaces";
    else if (part != PART_AFTER)
        argv[count++] = "--create";
    if (part == PART_AFTER)
        argv[count++] = jobs;
    argv[count] = first;
    struct pump pump = { .timeout_ms = REST_MS };
    return pump_run(argv, env, &pump, err);
}

/* The next bytes of the content, over the ends of frames. */
static int pull(struct giving *g, uint8_t *out, size_t len, size_t *ret_got, struct err *err)
{
    size_t got = 0;
    while (got < len) {
        if (g->left == 0) {
            int rc = give_frame(g, &g->bytes, &g->left, err);
            if (rc != 0)
                return rc;
            if (g->left == 0)
                break;
        }
        size_t part = g->left < len - got ? g->left : len - got;
        memcpy(out + got, g->bytes, part);
        g->bytes += part;
        g->left -= part;
        got += part;
    }
    *ret_got = got;
    return 0;
}

static int torn(const struct giving *g, struct err *err)
{
    return err_set(err, FAIL_CORRUPT, "%s: its rows are not as pg_dump writes them", g->path);
}

static int pull_int(struct giving *g, unsigned int_size, int *ret, struct err *err)
{
    uint8_t raw[TOC_INT_MAX];
    size_t got = 0;
    int rc = pull(g, raw, int_size + 1, &got, err);
    if (rc != 0)
        return rc;
    return got == int_size + 1 && toc_int(raw, int_size, ret) ? 0 : torn(g, err);
}

static int load_block(struct giving *g, const struct toc *toc, struct load *load, struct err *err)
{
    int left = 0;
    for (;;) {
        int rc = left > 0 ? 0 : pull_int(g, toc->int_size, &left, err);
        if (rc != 0)
            return rc;
        if (left == 0)
            return load_table_end(load, err);
        if (left < 0)
            return torn(g, err);
        if (g->left == 0 && (rc = give_frame(g, &g->bytes, &g->left, err)) != 0)
            return rc;
        if (g->left == 0)
            return torn(g, err);
        size_t part = g->left < (size_t)left ? g->left : (size_t)left;
        if ((rc = load_add(load, g->bytes, part, err)) != 0)
            return rc;
        g->bytes += part;
        g->left -= part;
        left -= (int)part;
    }
}

/* Each table's rows come once, and all of them come. */
static int load_blocks(struct giving *g, const struct toc *toc, struct load *load, struct err *err)
{
    CLEANUP(free_mem) bool *seen = mem_zero(toc->count + 1, sizeof *seen);
    for (;;) {
        uint8_t kind = 0;
        size_t got = 0, i = 0;
        int id = 0;
        int rc = pull(g, &kind, 1, &got, err);
        if (rc != 0 || got == 0) {
            for (i = 0; rc == 0 && i < toc->count; i++)
                if (toc->items[i].has_data && !seen[i])
                    rc = err_set(err, FAIL_CORRUPT, "%s: the rows of table %s are missing", g->path,
                                 toc->items[i].tag);
            return rc;
        }
        if ((rc = pull_int(g, toc->int_size, &id, err)) != 0)
            return rc;
        while (i < toc->count && toc->items[i].id != id)
            i++;
        if (kind != TOC_BLOCK_DATA || i == toc->count || !toc->items[i].has_data || seen[i])
            return torn(g, err);
        seen[i] = true;
        load_table(load, toc->items[i].copy);
        if ((rc = load_block(g, toc, load, err)) != 0)
            return err_wrap(err, "table %s", toc->items[i].tag);
    }
}

static int load_rows(struct giving *g, const struct toc *toc, struct err *err)
{
    CLEANUP(load_free) struct load *load = NULL;
    char encoding[64] = "UTF8";
    struct load_spec spec = {
        .reach = g->spec->reach,
        .dbname = named(toc, g->spec),
        .encoding = encoding,
        .set = { "search_path=", "row_security=off", "xmloption=content", "synchronous_commit=off",
                 "default_transaction_read_only=off", "client_min_messages=warning",
                 g->lz4 ? "default_toast_compression=lz4" : NULL },
        .connections = g->spec->threads
    };
    for (size_t i = 0; i < toc->count; i++)
        if (is(&toc->items[i], "ENCODING"))
            (void)sscanf(toc->items[i].definition, "SET client_encoding = '%63[^']", encoding);
    int rc = load_new(&spec, &load, err);
    if (rc == 0)
        rc = load_blocks(g, toc, load, err);
    if (rc == 0)
        rc = load_finish(load, err);
    return rc;
}

static int restore_split(struct giving *g, const struct toc *toc, const struct str *first,
                         struct err *err)
{
    CLEANUP(free_mem) char *kept = of_reach(g, TOC_FILE), *list = of_reach(g, LIST_FILE);
    struct err ignored = { 0 };
    int rc = fs_write(kept, first->s, toc->toc_size, 0600, err);
    if (rc == 0)
        rc = restore_part(g, toc, PART_BEFORE, err);
    if (rc == 0)
        rc = load_rows(g, toc, err);
    if (rc == 0)
        rc = restore_part(g, toc, PART_AFTER, err);
    /* What stays is 0600 in a 0700 folder; the folder's end removes it. */
    if (fs_unlink(kept, &ignored) != 0 || fs_unlink(list, &ignored) != 0)
        err_clear(&ignored);
    return rc;
}

static int restore(struct giving *g, struct err *err)
{
    CLEANUP(toc_free) struct toc toc = { .count = 0 };
    CLEANUP(str_free) struct str first = { 0 };
    bool whole = false;
    look_for_lz4(g);
    int rc = frames_reader_new(g->path, g->dump->size, false, &g->reader, err);
    if (rc == 0)
        rc = read_toc(g, &first, &toc, &whole, err);
    if (rc != 0)
        return rc;
    if (whole && can_split(&toc, g->spec))
        return restore_split(g, &toc, &first, err);
    if ((rc = frames_seek(g->reader, 0, err)) != 0)
        return rc;
    g->next = 0;
    return restore_stream(g, err);
}

int dump_restore(const char *path, const struct manifest_dump *dump,
                 const struct restore_spec *spec, pack_progress *progress, void *ctx,
                 struct err *err)
{
    CLEANUP(free_mem) char *dir = NULL;
    struct giving giving = {
        .path = path, .dump = dump, .spec = spec, .progress = progress, .ctx = ctx
    };
    int version = 0;
    int rc = database_tools(spec->pg_bin, spec->server_version, &dir, &version, err);
    giving.programs = dir;
    if (rc == 0)
        rc = restore(&giving, err);
    frames_reader_free(&giving.reader);
    if (rc == 0 && spec->create)
        rc = make_durable(&giving, err);
    reach_end(spec->reach);
    return rc == 0 ? 0 : err_wrap(err, "restore %s", path);
}
