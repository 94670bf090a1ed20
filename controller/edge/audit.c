#include "controller/edge/audit.h"

#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct head {
    int64_t seq;
    char hash[65];
};

static int head_row(void *arg, const struct db_row *row, struct err *err)
{
    struct head *head = arg;
    (void)err;
    head->seq = db_i64(row, 0);
    (void)snprintf(head->hash, sizeof head->hash, "%s", db_text(row, 1));
    return 0;
}

static int head_read(struct store *store, struct head *ret, struct err *err)
{
    struct head head = { 0, AUDIT_ZERO };
    int result = db_each(store->db, head_row, &head, err,
                         "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", "");
    if (result == 0)
        *ret = head;
    return result;
}

void audit_hash(int64_t seq, int64_t at_ms, const char *who, const char *what, const char *detail,
                const char *prev, char out[65])
{
    CLEANUP(str_free) struct str text = { 0 };
    str_addf(&text, "%" PRId64 "|%" PRId64 "|%s|%s|%s|%s", seq, at_ms, who, what, detail, prev);
    hash_bytes_hex(text.s, text.len, out);
}

int audit_add(struct store *store, const char *who, const char *what, struct err *err,
              const char *format, ...)
{
    struct head head = { 0 };
    char detail[AUDIT_DETAIL_MAX], hash[65];
    va_list ap;
    assert(who[0] != '\0');
    assert(store->now_ms > 0);
    va_start(ap, format);
    (void)vsnprintf(detail, sizeof detail, format, ap);
    va_end(ap);
    size_t len = strlen(detail);
    while (len > 0 && !text_is_utf8(detail, len)) /* the cut may have hit a character */
        detail[--len] = '\0';
    int result = head_read(store, &head, err);
    if (result != 0)
        return result;
    audit_hash(head.seq + 1, store->now_ms, who, what, detail, head.hash, hash);
    return db_run(store->db, err,
                  "INSERT INTO audit(seq, at_ms, who, what, detail, prev, hash) VALUES($1, $2, $3, "
                  "$4, $5, $6, $7)",
                  "iittttt", head.seq + 1, store->now_ms, who, what, detail, head.hash, hash);
}

struct walk {
    const struct store *store;
    struct head last;
};

static int walk_row(void *arg, const struct db_row *row, struct err *err)
{
    struct walk *walk = arg;
    char hash[65];
    int64_t seq = db_i64(row, 0);
    const char *path = db_path(walk->store->db);
    if (seq != walk->last.seq + 1)
        return err_set(err, FAIL_CORRUPT,
                       "%s: audit record %" PRId64 " is missing: after %" PRId64 " comes %" PRId64,
                       path, walk->last.seq + 1, walk->last.seq, seq);
    if (strcmp(db_text(row, 5), walk->last.hash) != 0)
        return err_set(err, FAIL_CORRUPT,
                       "%s: audit record %" PRId64 " does not follow the one before it", path, seq);
    audit_hash(seq, db_i64(row, 1), db_text(row, 2), db_text(row, 3), db_text(row, 4),
               db_text(row, 5), hash);
    if (strcmp(hash, db_text(row, 6)) != 0)
        return err_set(err, FAIL_CORRUPT,
                       "%s: audit record %" PRId64 " was changed: its hash is not that of its text",
                       path, seq);
    walk->last.seq = seq;
    (void)snprintf(walk->last.hash, sizeof walk->last.hash, "%s", hash);
    return 0;
}

int audit_verify(struct store *store, uint64_t *ret_rows, struct err *err)
{
    struct walk walk = { store, { 0, AUDIT_ZERO } };
    int result =
        db_each(store->db, walk_row, &walk, err,
                "SELECT seq, at_ms, who, what, detail, prev, hash FROM audit ORDER BY seq", "");
    if (result == 0)
        *ret_rows = (uint64_t)walk.last.seq;
    return result;
}

int audit_head(struct store *store, char out[65], struct err *err)
{
    struct head head = { 0 };
    int result = head_read(store, &head, err);
    if (result == 0)
        (void)snprintf(out, 65, "%s", head.hash);
    return result;
}
