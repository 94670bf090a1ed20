#include "agent/worker/backup/manifest_line.h"
#include "agent/worker/backup/manifest_spill.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"

#define FILE_FIELDS                                                                                \
    " mode=0640 uid=1 gid=2 user=confluence group=confluence size=3 mtime=-1 ctime=5 ino=9 "       \
    "sha256="                                                                                      \
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad pack=0 at=0 skip=0\n"
#define DIR_FIELDS " mode=0750 uid=1 gid=2 user= group= mtime=1 ctime=1 ino=1 pack=0 at=0 skip=0\n"
#define HEAD                                                                                       \
    "confleet-backup 1\nbackup id=20261123T041800Z-1a2b3c kind=hot installation=conf-1 site=wiki " \
    "version=6.0.1 build=7103 base= "                                                              \
    "started=1 finished=2\ntree name=install root=/opt/c\ntree name=home root=/var/c\n"            \
    "pack tree=home name=home-0001.tar.zst from= size=100 sha256="                                 \
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"

static void seal(const char *lines, struct str *text)
{
    char hex[HASH_HEX_MAX];
    str_add(text, lines);
    hash_bytes_hex(text->s, text->len, hex);
    str_addf(text, "sha256 %s\n", hex);
}

/* Lines that a parser sees only behind a right digest. */
static int parse(const char *lines, struct manifest *ret, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    seal(lines, &text);
    return manifest_parse(&text, "test", ret, err);
}

/* The same by who leaves names in their file. */
static int open_lines(const char *lines, struct manifest *ret, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "manifest");
    char whole[HASH_HEX_MAX], sha256[HASH_HEX_MAX];
    seal(lines, &text);
    hash_bytes_hex(text.s, text.len, whole);
    CHECK_OK(fs_write(path, text.s, text.len, 0600, err), *err);
    int rc = manifest_open(path, MANIFEST_WHOLE, ret, sha256, err);
    if (rc == 0)
        CHECK_STR(sha256, whole);
    return rc;
}

static void refused(const char *lines, const char *why)
{
    struct err err = { 0 };
    CLEANUP(manifest_free) struct manifest m;
    manifest_init(&m);
    CHECK_INT(parse(lines, &m, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, why);
    CHECK_INT(m.entry_count, 0);
    err_clear(&err);
    CHECK_INT(open_lines(lines, &m, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, why);
    CHECK(!m.file);
}

/* By way of its names one by one, and by way of a copy of its lines. */
static void check_file(const char *lines)
{
    struct err err = { 0 };
    CLEANUP(manifest_free) struct manifest m;
    CLEANUP(entry_cursor_free) struct entry_cursor *cursor = NULL;
    CLEANUP(str_free) struct str names = { 0 }, text = { 0 }, saved = { 0 };
    CLEANUP(free_mem) char *copy = fs_join(test_dir(), "copy");
    char sha256[HASH_HEX_MAX], hex[HASH_HEX_MAX];
    manifest_init(&m);
    CHECK_OK(open_lines(lines, &m, &err), err);
    CHECK_INT(m.sums.changed, 1);
    CHECK_OK(entry_cursor_new(&m, &cursor, &err), err);
    size_t count = 0;
    for (const struct entry *at; (at = entry_cursor_at(cursor)) != NULL; count++) {
        struct entry plain = *at;
        plain.line = NULL;
        line_write_entry(&names, &plain);
        line_write_entry(&names, at);
        CHECK_OK(entry_cursor_next(cursor, &err), err);
    }
    CHECK_INT(count, m.sums.names);
    for (size_t at = 0; at < names.len;) { /* each twice, and both are lines of the text */
        size_t len = strcspn(names.s + at, "\n") + 1;
        CHECK(memcmp(names.s + at, names.s + at + len, len) == 0);
        CLEANUP(free_mem) char *line = text_printf("%.*s", (int)len, names.s + at);
        CHECK_HAS(lines, line);
        at += 2 * len;
    }
    seal(lines, &text);
    CHECK_OK(manifest_save(&m, copy, sha256, &err), err);
    CHECK_OK(fs_read(copy, 1 << 20, &saved, &err), err);
    CHECK_STR(saved.s, text.s);
    hash_bytes_hex(saved.s, saved.len, hex);
    CHECK_STR(sha256, hex);
}

TEST(what_is_written_is_read_and_written_again_the_same)
{
    static const char lines[] =
        HEAD "dir tree=home path=." DIR_FIELDS "file tree=home path=a%20b%0a%25" FILE_FIELDS
             "hard tree=home path=c mode=0640 uid=1 gid=2 user= group= mtime=1 ctime=1 ino=9 "
             "target=a%20b%0a%25 pack=0 at=0 skip=7\n"
             "fifo tree=home path=d mode=0640 uid=1 gid=2 user= group= mtime=1 ctime=1 ino=9 "
             "xattrs=user.a:YQ==%20user.b: changed=1 fresh=1\n"
             "stale tree=home path=c" FILE_FIELDS
             "dump name=database.dump.zst size=10 content=20 "
             "sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
             "frame at=0 stored=10 content=20 "
             "sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
             "database version=150020 system=7 method=hash64 name=conf owner=conf encoding=UTF8 "
             "collate=C ctype=C provider=c locale= tablespace=pg_default limit=-1 comment=\n"
             "setting role= value=work_mem=4MB\ngrant acl=PUBLIC:CONNECT\nextension name=plpgsql "
             "version=1.0\nrole name=conf kind=\n"
             "table schema=public name=content rows=4 digest=-12\nsequence schema=public name=s "
             "least=-9223372036854775808 most=9223372036854775807 called=1\n"
             "objects count=0 digest=0\ncensus kind=views count=1 digest=abc\n";
    struct err err = { 0 };
    CLEANUP(manifest_free) struct manifest m;
    CLEANUP(str_free) struct str out = { 0 };
    manifest_init(&m);
    CHECK_OK(parse(lines, &m, &err), err);
    check_file(lines);
    CHECK_STR(m.entries[1].path, "a b\n%");
    CHECK_INT(m.entries[1].mtime_ns, -1);
    CHECK_INT(m.stale_count, 1);
    CHECK_INT(m.contents.sequences[0].least, INT64_MIN);
    CHECK(m.contents.has_comment);
    manifest_write(&m, &out);
    out.s[out.len - 72] = '\0'; /* without the digest's line */
    CHECK_STR(out.s, lines);
}

TEST(a_manifest_that_lies_is_refused)
{
    refused("confleet-backup 1\n", "names no backup");
    refused(HEAD "dir tree=home path=.." DIR_FIELDS, "path");
    refused(HEAD "dir tree=home path=." DIR_FIELDS "file tree=home path=../x" FILE_FIELDS, "path");
    refused(HEAD "dir tree=home path=." DIR_FIELDS "file tree=home path=/etc/passwd" FILE_FIELDS,
            "path");
    refused(HEAD "dir tree=home path=." DIR_FIELDS "file tree=home path=a/./x" FILE_FIELDS, "path");
    refused(HEAD "dir tree=home path=." DIR_FIELDS "file tree=home path=a%00b" FILE_FIELDS, "path");
    refused(HEAD "dir tree=home path=." DIR_FIELDS "file tree=home path=a/x" FILE_FIELDS,
            "folder of path");
    refused(HEAD "dir tree=home path=." DIR_FIELDS "file tree=home path=b" FILE_FIELDS
                 "file tree=home path=a" FILE_FIELDS,
            "order of path");
    refused(HEAD "dir tree=home path=." DIR_FIELDS "file tree=home path=b" FILE_FIELDS
                 "file tree=home path=b" FILE_FIELDS,
            "order of path");
    refused(HEAD "dir tree=home path=." DIR_FIELDS
                 "link tree=home path=l mode=0777 uid=1 gid=2 user= group= mtime=1 ctime=1 ino=1 "
                 "target=/etc pack=0 at=0 skip=0\n"
                 "file tree=home path=l/passwd" FILE_FIELDS,
            "folder of path");
    refused(HEAD "dir tree=home path=." DIR_FIELDS
                 "hard tree=home path=h mode=0640 uid=1 gid=2 user= group= mtime=1 ctime=1 ino=9 "
                 "target=../../etc/passwd pack=0 at=0 skip=7\n",
            "target");
    refused(HEAD "dir tree=install path=." DIR_FIELDS, "pack");
    refused(HEAD "pack tree=home name=../x from= size=1 "
                 "sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
            "name");
    refused(HEAD "pack tree=home name=x from=../y size=1 "
                 "sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
            "from");
    refused(HEAD "frame at=0 stored=1 content=1 "
                 "sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
            "at");
    refused(HEAD "wait\n", "fields");
    refused(HEAD "wait a=b\n", "first word");
    refused(HEAD "role name=x kind= more=y\n", "more than its fields");
    refused(HEAD "sequence schema=a name=b least=9223372036854775808 most=1 called=1\n", "least");
    refused(HEAD "table schema=a name=b rows=1 digest=1\n", "no dump");
    refused(HEAD "dump name=d size=10 content=20 "
                 "sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
            "whole dump");
}

/* Who reads line after line must have the packs before the names, and the names together. */
TEST(lines_in_another_order_are_refused_where_names_stay_in_the_file)
{
    static const char stale[] = "stale tree=home path=c" FILE_FIELDS,
                      root[] = "dir tree=home path=." DIR_FIELDS,
                      file[] = "file tree=home path=a" FILE_FIELDS,
                      pack[] = "pack tree=home name=y from= size=1 sha256="
                               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
                      objects[] = "objects count=0 digest=0\n";
    const char *const orders[][4] = {
        { root, stale, file }, { root, pack, file }, { root, objects, file }, { root, objects, stale }
    };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        CLEANUP(manifest_free) struct manifest m;
        CLEANUP(str_free) struct str text = { 0 };
        struct err err = { 0 };
        manifest_init(&m);
        str_add(&text, HEAD);
        for (size_t k = 0; orders[i][k]; k++)
            str_add(&text, orders[i][k]);
        CHECK_INT(open_lines(text.s, &m, &err), -FAIL_CORRUPT);
        CHECK_HAS(err.text, "order of lines");
    }
}

TEST(only_the_head_is_looked_at_when_no_more_is_wanted)
{
    static const char lines[] = HEAD "dir tree=home path=." DIR_FIELDS "file tree=home path=../x"
        FILE_FIELDS;
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "manifest");
    CLEANUP(manifest_free) struct manifest m;
    CLEANUP(entry_cursor_free) struct entry_cursor *cursor = NULL;
    struct err err = { 0 };
    manifest_init(&m);
    seal(lines, &text);
    CHECK_OK(fs_write(path, text.s, text.len, 0600, &err), err);
    CHECK_OK(manifest_open(path, MANIFEST_HEAD, &m, NULL, &err), err);
    CHECK_INT(m.pack_count, 1);
    CHECK_OK(entry_cursor_new(&m, &cursor, &err), err);
    CHECK_STR(entry_cursor_at(cursor)->path, ".");
    CHECK_INT(entry_cursor_next(cursor, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, "bad path");
    CHECK(!entry_cursor_at(cursor));
}

/* Names that are known at once, and names that wait for their pack, in all mixtures. */
TEST(names_that_go_to_a_file_come_back_in_their_order)
{
    for (unsigned seed = 0; seed < 40; seed++) {
        CLEANUP(manifest_free) struct manifest held, spilt;
        CLEANUP(str_free) struct str text = { 0 }, saved = { 0 };
        CLEANUP(free_mem) char *path = fs_join(test_dir(), "manifest");
        char sha256[HASH_HEX_MAX];
        struct err err = { 0 };
        unsigned dice = seed, waiting = 0;
        manifest_init(&held);
        manifest_init(&spilt);
        held.kind = spilt.kind = "hot";
        struct manifest_pack pack = { .tree = TREE_HOME, .name = "home-0001.tar.zst", .from = "" };
        pack.size = 100000;
        (void)manifest_add_pack(&held, &pack);
        (void)manifest_add_pack(&spilt, &pack);
        CHECK_OK(manifest_spill_to(&spilt, test_dir(), &err), err);
        for (unsigned i = 0; i < 200; i++) {
            char name[80];
            dice = dice * 1664525u + 1013904223u;
            bool waits = (dice >> 16) % 3 == 0;
            (void)snprintf(name, sizeof name, "%04u %.*s", i, (int)((dice >> 20) % 60),
                           "a name that is long enough to make lines of many lengths .....");
            struct entry entry = { .type = ENTRY_FILE, .tree = TREE_HOME, .path = name,
                                   .user = i % 50 ? "wiki" : "root", .group = "", .target = "",
                                   .xattrs = "", .at = i, .size = i };
            (void)manifest_add_entry(&held, &entry);
            CHECK_OK(manifest_put(&spilt, &entry, waits, &err), err);
            memset(name, 'x', sizeof name - 1);
            waiting += waits;
            if ((dice >> 8) % 40 == 0)
                CHECK_OK(manifest_settle(&spilt, &err), err);
        }
        CHECK_OK(manifest_settle(&spilt, &err), err);
        CHECK_INT(spilt.entry_count, 0);
        CHECK_INT(spilt.sums.names, 200);
        CHECK_INT(spilt.members[0].count, waiting);
        manifest_write(&held, &text);
        CHECK_OK(manifest_save(&spilt, path, sha256, &err), err);
        CHECK_OK(fs_read(path, 1 << 20, &saved, &err), err);
        CHECK_STR(saved.s, text.s);
    }
}

TEST(a_digest_that_does_not_fit_is_refused_before_anything_is_read)
{
    struct err err = { 0 };
    CLEANUP(manifest_free) struct manifest m;
    CLEANUP(str_free) struct str text = { 0 };
    manifest_init(&m);
    str_add(&text,
            HEAD "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
    CHECK_INT(manifest_parse(&text, "test", &m, &err), -FAIL_CORRUPT);
    CHECK_HAS(err.text, "last line");
    err_clear(&err);
    str_clear(&text);
    str_add(&text, "sha256 ");
    CHECK_INT(manifest_parse(&text, "test", &m, &err), -FAIL_CORRUPT);
}

TEST(paths_are_ordered_as_a_walk_meets_them)
{
    CHECK(manifest_path_compare(".", "a") < 0);
    CHECK(manifest_path_compare("a", "a/b") < 0);
    CHECK(manifest_path_compare("a/b", "a!") < 0);
    CHECK(manifest_path_compare("a/b/c", "a/b\x01") < 0);
    CHECK_INT(manifest_path_compare("a/b", "a/b"), 0);
    CHECK(manifest_id_is_valid("20261123T041800Z-1a2b3c"));
    CHECK(!manifest_id_is_valid("20261123T041800Z-1a2b3C"));
    CHECK(!manifest_id_is_valid("../20261123T041800Z-1a2"));
}
