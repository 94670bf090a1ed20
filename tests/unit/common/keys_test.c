#include "confleet/keys.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "harness/test.h"
#include <glob.h>
#include <sys/stat.h>

static const char *make_file(struct keys *keys, struct err *err)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/agent.key", test_dir());
    CHECK_OK(keys_make("app-01", keys, err), *err);
    CHECK_OK(keys_save(path, keys, err), *err);
    return path;
}

TEST(keys_come_back_from_their_file_as_they_were_made)
{
    struct err err = { 0 };
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    CLEANUP(keys_wipe) struct keys again = { 0 };
    const char *path = make_file(&keys, &err);
    struct stat st;
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    CHECK_OK(keys_load(path, &again, &err), err);
    CHECK_INT(memcmp(&keys, &again, sizeof keys), 0);
    uint8_t public[KEY_SIZE];
    CHECK_OK(keys_curve_from_secret(again.curve_secret, public, &err), err);
    CHECK_INT(memcmp(public, keys.curve_public, KEY_SIZE), 0);
}

TEST(saving_never_replaces_a_key_file_and_leaves_nothing_beside_it)
{
    struct err err = { 0 };
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    CLEANUP(keys_wipe) struct keys other = { 0 };
    CLEANUP(keys_wipe) struct keys again = { 0 };
    const char *path = make_file(&keys, &err);
    CHECK_OK(keys_make("app-02", &other, &err), err);
    CHECK_INT(keys_save(path, &other, &err), -FAIL_EXISTS);
    CHECK_HAS(err.text, "not replaced");
    err_clear(&err);
    CHECK_OK(keys_load(path, &again, &err), err);
    CHECK_STR(again.name, "app-01");
    glob_t found = { 0 };
    CLEANUP(free_mem) char *pattern = text_printf("%s*", path);
    CHECK_INT(glob(pattern, 0, NULL, &found), 0);
    CHECK_INT(found.gl_pathc, 1);
    globfree(&found);
}

TEST(a_key_file_that_others_can_read_is_refused)
{
    struct err err = { 0 };
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    const char *path = make_file(&keys, &err);
    CHECK_INT(chmod(path, 0640), 0);
    struct keys untouched = { .name = "untouched" };
    CHECK_INT(keys_load(path, &untouched, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "mode 0640");
    CHECK_STR(untouched.name, "untouched");
}

static void check_load_fails(const char *text, size_t len, int code, const char *words)
{
    struct err err = { 0 };
    struct keys keys = { 0 };
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "k");
    CHECK_OK(fs_write(path, text, len, 0600, &err), err);
    CHECK_INT(keys_load(path, &keys, &err), -code);
    CHECK_HAS(err.text, words);
}

TEST(damaged_key_files_are_told_by_line_and_never_by_content)
{
    struct err err = { 0 };
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    const char *path = make_file(&keys, &err);
    CHECK_OK(fs_read(path, 4096, &text, &err), err);
    check_load_fails("", 0, FAIL_CORRUPT, "no key file");
    check_load_fails("confleet-key-v2\n", 16, FAIL_CORRUPT, ":1:");
    for (size_t len = 0; len < text.len; len++)
        check_load_fails(text.s, len, FAIL_CORRUPT, "/k");
    CLEANUP(str_free) struct str more = { 0 };
    str_add_bytes(&more, text.s, text.len);
    str_add(&more, "x\n");
    check_load_fails(more.s, more.len, FAIL_CORRUPT, ":7: text after");
    /* One changed digit of a secret. */
    char *secret = strstr(text.s, "curve-secret ") + 20;
    *secret = *secret == '0' ? '1' : '0';
    check_load_fails(text.s, text.len, FAIL_CORRUPT, "do not belong together");
    *secret = 'g';
    check_load_fails(text.s, text.len, FAIL_CORRUPT, ":4: curve-secret is not 64 hex digits");
    *secret = '\0';
    check_load_fails(text.s, text.len, FAIL_CORRUPT, "not a text file");
    CLEANUP(free_mem) char *big = mem_zero(1, 5000);
    memset(big, 'a', 5000);
    check_load_fails(big, 5000, FAIL_LIMIT, "k");
}

TEST(a_key_file_is_a_regular_file_and_its_absence_is_told_apart)
{
    struct err err = { 0 };
    struct keys keys = { 0 };
    const char *dir = test_dir();
    CHECK_INT(keys_load(dir, &keys, &err), -FAIL_DENIED);
    err_clear(&err);
    CLEANUP(free_mem) char *none = fs_join(dir, "none");
    CHECK_INT(keys_load(none, &keys, &err), -FAIL_NOT_FOUND);
    err_clear(&err);
    CLEANUP(free_mem) char *target = fs_join(dir, "target");
    CHECK_OK(keys_make("a", &keys, &err), err);
    CHECK_OK(keys_save(target, &keys, &err), err);
    CHECK_INT(symlink(target, none), 0);
    CHECK_INT(keys_load(none, &keys, &err), -FAIL_IO);
}

TEST(a_name_that_is_none_makes_no_keys)
{
    struct err err = { 0 };
    struct keys keys = { 0 };
    CHECK_INT(keys_make("../x", &keys, &err), -FAIL_USAGE);
    err_clear(&err);
    CHECK_INT(keys_make("", &keys, &err), -FAIL_USAGE);
}

TEST(fingerprint_and_id_are_the_digest_of_the_public_keys)
{
    uint8_t key[KEY_SIZE] = { 0 };
    char fingerprint[FINGERPRINT_MAX], id[KEY_ID_MAX];
    keys_fingerprint(key, fingerprint);
    keys_id(key, id);
    /* SHA-256 of 32 zero bytes, by sha256sum. */
    CHECK_STR(fingerprint, "SHA256:6668-7aad-f862-bd77-6c8f-c18b-8e9f-8e20");
    CHECK_STR(id, "66687aadf862bd77");
}
