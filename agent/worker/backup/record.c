#include "record.h"
#include "confleet/cleanup.h"
#include <string.h>

static void changed_add(const struct sums *sums, struct str *note)
{
    size_t count = sums->changed;
    if (count > 0)
        str_addf(note, "%s%zu %s while being read and %s as last read (%.400s%s)",
                 note->len ? "; " : "", count,
                 count == 1 ? "file kept changing" : "files kept changing",
                 count == 1 ? "is" : "are", str_text(&sums->changed_names),
                 count > SUMS_NAMED ? " and more" : "");
}

void record_note(Confleet__BackupRecord *record, const char *note)
{
    if (record->note != protobuf_c_empty_string)
        free(record->note);
    record->note = text_dup(note);
    /* Names in a home may be of any bytes; the wire takes UTF-8 in one line. */
    bool utf8 = text_is_utf8(note, strlen(note));
    for (char *c = record->note; *c; c++)
        if ((unsigned char)*c < ' ' || ((unsigned char)*c >= 0x80 && !utf8))
            *c = *c == '\n' ? ' ' : '?';
}

static bool is_needed(const Confleet__BackupRecord *record, const char *id)
{
    for (size_t i = 0; i < record->n_needs; i++)
        if (strcmp(record->needs[i], id) == 0)
            return true;
    return false;
}

static void needs_add(const struct manifest *manifest, Confleet__BackupRecord *record)
{
    record->needs = mem_zero(manifest->pack_count + 1, sizeof *record->needs);
    for (size_t i = 0; i < manifest->pack_count; i++) {
        const char *from = manifest->packs[i].from;
        if (manifest_id_is_valid(from) && !is_needed(record, from))
            record->needs[record->n_needs++] = text_dup(from);
    }
}

static Confleet__BackupRecord *record_new(void)
{
    Confleet__BackupRecord *record = mem_zero(1, sizeof *record);
    confleet__backup_record__init(record);
    return record;
}

Confleet__BackupRecord *record_make(const struct manifest *manifest, const char *manifest_sha256,
                                    const struct proof *proof)
{
    Confleet__BackupRecord *record = record_new();
    CLEANUP(sums_free) struct sums sums;
    CLEANUP(str_free) struct str note = { 0 };
    manifest_sum(manifest, &sums);
    str_addf(&note, "%.500s%s%.400s", proof->note, sums.outside ? "; not in this backup: " : "",
             str_text(&sums.outside_links));
    changed_add(&sums, &note);
    record->id = text_dup(manifest->id);
    record->installation = text_dup(manifest->installation);
    record->site = text_dup(manifest->site);
    record->level = proof->level;
    record->started_ms = manifest->started_ms;
    record->finished_ms = manifest->finished_ms;
    record->files = sums.names;
    record->bytes = sums.bytes;
    record->stored_bytes = store_bytes(manifest);
    record->tables = manifest->contents.table_count;
    record->rows = contents_rows(&manifest->contents);
    record->manifest_sha256 = text_dup(manifest_sha256);
    record->version = text_dup(manifest->version);
    record->build = manifest->build;
    record->kind = text_dup(manifest->kind);
    record_note(record, str_text(&note));
    needs_add(manifest, record);
    return record;
}

Confleet__BackupRecord *record_read(const struct store *store, const char *id, bool *ret_trouble)
{
    bool trouble;
    CLEANUP(manifest_free) struct manifest manifest;
    struct proof proof = { 0 };
    struct err err = { 0 };
    char sha256[HASH_HEX_MAX];
    manifest_init(&manifest);
    if (!ret_trouble)
        ret_trouble = &trouble;
    *ret_trouble =
        store_read(store, id, "", MANIFEST_WHOLE, &manifest, sha256, &err) == -FAIL_IO;
    if (err.code != 0) {
        Confleet__BackupRecord *record = record_new();
        record->id = text_dup(id);
        record_note(record, err.text);
        return record;
    }
    *ret_trouble = proof_read(store, id, sha256, &proof, &err) == -FAIL_IO;
    if (err.code != 0 || proof.level == CONFLEET__BACKUP_LEVEL__LEVEL_NONE) {
        proof.level = CONFLEET__BACKUP_LEVEL__COMPLETE;
        (void)snprintf(proof.note, sizeof proof.note, "%.400s; verify it again",
                       err.text[0] ? err.text
                                   : "no proof: it was never proven, or the proof was taken away "
                                     "because a part of it was found bad");
    }
    return record_make(&manifest, sha256, &proof);
}
