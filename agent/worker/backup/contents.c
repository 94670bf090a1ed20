#include "contents.h"
#include <stdlib.h>
#include <string.h>

void contents_free(struct contents *contents)
{
    free(contents->settings);
    free(contents->acl);
    free(contents->extensions);
    free(contents->roles);
    free(contents->tables);
    free(contents->sequences);
    free(contents->census);
    *contents = (struct contents){ 0 };
}

uint64_t contents_rows(const struct contents *contents)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < contents->table_count; i++)
        rows += contents->tables[i].rows;
    return rows;
}

/* Both lists are sorted by the server in byte order, so the first difference is the first name that
 * one of them lacks. */
static int compare_tables(const struct contents *backup, const struct contents *copy,
                          struct err *err)
{
    for (size_t i = 0; i < backup->table_count || i < copy->table_count; i++) {
        const struct contents_table *a = i < backup->table_count ? &backup->tables[i] : NULL;
        const struct contents_table *b = i < copy->table_count ? &copy->tables[i] : NULL;
        int order = !a                             ? 1
                    : !b                           ? -1
                    : strcmp(a->schema, b->schema) ? strcmp(a->schema, b->schema)
                                                   : strcmp(a->name, b->name);
        if (order < 0)
            return err_set(err, FAIL_MISMATCH, "table %s.%s is missing in the copy", a->schema,
                           a->name);
        if (order > 0)
            return err_set(err, FAIL_MISMATCH, "table %s.%s is in the copy and not in the backup",
                           b->schema, b->name);
        if (a->rows != b->rows)
            return err_set(err, FAIL_MISMATCH,
                           "table %s.%s: %llu rows in the copy, %llu in the backup", a->schema,
                           a->name, (unsigned long long)b->rows, (unsigned long long)a->rows);
        if (strcmp(a->digest, b->digest) != 0)
            return err_set(err, FAIL_MISMATCH,
                           "table %s.%s: the rows of the copy differ from the backup's", a->schema,
                           a->name);
    }
    return 0;
}

static int compare_sequences(const struct contents *backup, const struct contents *copy,
                             struct err *err)
{
    for (size_t i = 0; i < backup->sequence_count || i < copy->sequence_count; i++) {
        const struct contents_sequence *a =
            i < backup->sequence_count ? &backup->sequences[i] : NULL;
        const struct contents_sequence *b = i < copy->sequence_count ? &copy->sequences[i] : NULL;
        if (!a || !b || strcmp(a->schema, b->schema) != 0 || strcmp(a->name, b->name) != 0)
            return err_set(err, FAIL_MISMATCH, "sequence %s.%s is only in the %s",
                           a ? a->schema : b->schema, a ? a->name : b->name,
                           a ? "backup, or not where it belongs" : "copy");
        if (b->least < a->least || b->most > a->most ||
            (a->least == a->most && a->called != b->called))
            return err_set(err, FAIL_MISMATCH,
                           "sequence %s.%s: stands at %lld in the copy, at %lld in the backup",
                           a->schema, a->name, (long long)b->most, (long long)a->most);
    }
    return 0;
}

static int compare_census(const struct contents *backup, const struct contents *copy,
                          struct err *err)
{
    for (size_t i = 0; i < backup->census_count; i++) {
        const struct contents_census *a = &backup->census[i],
                                     *b = i < copy->census_count ? &copy->census[i] : NULL;
        if (!b || strcmp(a->kind, b->kind) != 0)
            return err_set(err, FAIL_MISMATCH, "%s were not counted in the copy", a->kind);
        if (a->count != b->count)
            return err_set(err, FAIL_MISMATCH, "%llu %s in the copy, %llu in the backup",
                           (unsigned long long)b->count, a->kind, (unsigned long long)a->count);
        if (strcmp(a->digest, b->digest) != 0)
            return err_set(
                err, FAIL_MISMATCH,
                "the %s of the copy differ from the backup's in name, owner, grants or definition",
                a->kind);
    }
    return 0;
}

static int compare_pairs(const char *what, const struct contents_pair *a, size_t a_count,
                         const struct contents_pair *b, size_t b_count, struct err *err)
{
    for (size_t i = 0; i < a_count || i < b_count; i++) {
        if (i < a_count && i < b_count && strcmp(a[i].a, b[i].a) == 0 &&
            strcmp(a[i].b, b[i].b) == 0)
            continue;
        const struct contents_pair *odd = i < a_count ? &a[i] : &b[i];
        return err_set(err, FAIL_MISMATCH, "%s '%s' '%s' is not the same in copy and backup", what,
                       odd->a, odd->b);
    }
    return 0;
}

int contents_compare(const struct contents *backup, const struct contents *copy, struct err *err)
{
    int rc = 0;
    if (strcmp(backup->method, copy->method) != 0)
        return err_set(err, FAIL_UNSUPPORTED,
                       "rows were hashed by '%s' in the backup and by '%s' in the copy",
                       backup->method, copy->method);
    if (strcmp(backup->encoding, copy->encoding) != 0)
        return err_set(err, FAIL_MISMATCH, "encoding %s in the copy, %s in the backup",
                       copy->encoding, backup->encoding);
    rc = compare_tables(backup, copy, err);
    if (rc == 0)
        rc = compare_sequences(backup, copy, err);
    if (rc == 0 && (backup->object_count != copy->object_count ||
                    strcmp(backup->object_digest, copy->object_digest) != 0))
        return err_set(err, FAIL_MISMATCH,
                       "large objects: %llu in the copy, %llu in the backup, or their bytes differ",
                       (unsigned long long)copy->object_count,
                       (unsigned long long)backup->object_count);
    if (rc == 0)
        rc = compare_census(backup, copy, err);
    return rc;
}

int contents_compare_database(const struct contents *backup, const struct contents *copy,
                              struct err *err)
{
    if (strcmp(backup->owner, copy->owner) != 0)
        return err_set(err, FAIL_MISMATCH, "the database belongs to %s, in the backup to %s",
                       copy->owner, backup->owner);
    if (backup->connection_limit != copy->connection_limit)
        return err_set(err, FAIL_MISMATCH,
                       "the database's connection limit is %d, in the backup %d",
                       copy->connection_limit, backup->connection_limit);
    if (backup->has_comment != copy->has_comment || strcmp(backup->comment, copy->comment) != 0)
        return err_set(err, FAIL_MISMATCH, "the database's comment differs from the backup's");
    if (strcmp(backup->collate, copy->collate) != 0 || strcmp(backup->ctype, copy->ctype) != 0)
        return err_set(err, FAIL_MISMATCH, "the database's locale is %s/%s, in the backup %s/%s",
                       copy->collate, copy->ctype, backup->collate, backup->ctype);
    if (strcmp(backup->tablespace, copy->tablespace) != 0)
        return err_set(err, FAIL_MISMATCH, "the database is in tablespace %s, in the backup %s",
                       copy->tablespace, backup->tablespace);
    int rc = compare_pairs("grant on the database", backup->acl, backup->acl_count, copy->acl,
                           copy->acl_count, err);
    if (rc == 0)
        rc = compare_pairs("setting", backup->settings, backup->setting_count, copy->settings,
                           copy->setting_count, err);
    return rc;
}
