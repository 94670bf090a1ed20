/* What is told of a backup: from manifest and proof alone, in one line of UTF-8. */
#include "agent/worker/backup/record.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static Confleet__BackupRecord *record_of(struct manifest *m, const char *note)
{
    struct proof proof = { .level = CONFLEET__BACKUP_LEVEL__RESTORED };
    (void)snprintf(proof.note, sizeof proof.note, "%s", note);
    m->root[TREE_INSTALL] = "/opt/c";
    m->root[TREE_HOME] = "/var/c";
    m->kind = "hot";
    m->site = m->installation = m->version = "x";
    return record_make(m, "abc", &proof);
}

static void add(struct manifest *m, enum entry_type type, const char *path, const char *target,
                bool changed)
{
    struct entry entry = { .tree = TREE_HOME, .type = type, .path = path, .target = target,
                           .user = "", .group = "", .xattrs = "", .pack = MANIFEST_NO_PACK };
    entry.changed = changed;
    (void)manifest_add_entry(m, &entry);
}

TEST(files_that_kept_changing_are_counted_and_the_first_named)
{
    CLEANUP(manifest_free) struct manifest m;
    manifest_init(&m);
    add(&m, ENTRY_FILE, "still", "", false);
    add(&m, ENTRY_FILE, "logs/a", "", true);
    Confleet__BackupRecord *record = record_of(&m, "proven");
    CHECK_STR(record->note, "proven; 1 file kept changing while being read and is as last read "
                            "(logs/a)");
    confleet__backup_record__free_unpacked(record, NULL);
    add(&m, ENTRY_FILE, "logs/b", "", true);
    add(&m, ENTRY_FILE, "logs/c", "", true);
    add(&m, ENTRY_FILE, "logs/d", "", true);
    record = record_of(&m, "");
    CHECK_STR(record->note, "4 files kept changing while being read and are as last read (logs/a, "
                            "logs/b, logs/c and more)");
    confleet__backup_record__free_unpacked(record, NULL);
}

TEST(links_that_lead_outside_are_named_and_odd_bytes_go)
{
    CLEANUP(manifest_free) struct manifest m;
    manifest_init(&m);
    add(&m, ENTRY_LINK, "index", "/mnt/i\xff\x1b", false);
    Confleet__BackupRecord *record = record_of(&m, "proven");
    CHECK_STR(record->note, "proven; not in this backup: /var/c/index leads to /mnt/i?? ");
    confleet__backup_record__free_unpacked(record, NULL);
}

TEST(what_a_backup_cannot_be_restored_without_is_named_once)
{
    CLEANUP(manifest_free) struct manifest m;
    manifest_init(&m);
    static const char *const from[] = { "", "20261101T000000Z-abcdef", "20261102T000000Z-abcdef",
                                        "20261101T000000Z-abcdef" };
    for (size_t i = 0; i < 4; i++)
        (void)manifest_add_pack(&m, &(struct manifest_pack){ TREE_HOME, "p", from[i], 1, { 0 } });
    Confleet__BackupRecord *record = record_of(&m, "");
    CHECK_INT(record->n_needs, 2);
    CHECK_STR(record->needs[0], from[1]);
    CHECK_STR(record->needs[1], from[2]);
    CHECK_INT(record->stored_bytes, 1);
    confleet__backup_record__free_unpacked(record, NULL);
}
