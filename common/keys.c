#include "confleet/keys.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_FILE_MAX  4096
#define KEY_FILE_HEAD "confleet-key-v1"
CLEANUP_OF(pkey_drop, EVP_PKEY *, EVP_PKEY_free)

static void wipe_str(struct str *text)
{
    if (text->s)
        OPENSSL_cleanse(text->s, text->cap);
    str_free(text);
}

static int sign_pair(struct keys *keys, struct err *err)
{
    CLEANUP(pkey_drop) EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    size_t secret_len = KEY_SIZE, public_len = KEY_SIZE;
    if (!pair || EVP_PKEY_get_raw_private_key(pair, keys->sign_secret, &secret_len) != 1 ||
        EVP_PKEY_get_raw_public_key(pair, keys->sign_public, &public_len) != 1)
        return err_set(err, FAIL_INTERNAL, "OpenSSL made no Ed25519 key");
    assert(secret_len == KEY_SIZE && public_len == KEY_SIZE);
    return 0;
}

int keys_make(const char *name, struct keys *ret, struct err *err)
{
    assert(name && ret);
    if (!text_is_name(name))
        return err_set(err, FAIL_USAGE,
                       "'%s' is no name: small letters, digits, '.', '_' and '-', at most 63",
                       name);
    if (sodium_init() < 0)
        return err_set(err, FAIL_INTERNAL, "libsodium cannot be started");
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    (void)snprintf(keys.name, sizeof keys.name, "%s", name);
    if (crypto_box_keypair(keys.curve_public, keys.curve_secret) != 0)
        return err_set(err, FAIL_INTERNAL, "libsodium made no CURVE key");
    int result = sign_pair(&keys, err);
    if (result < 0)
        return result;
    *ret = keys;
    return 0;
}

void keys_wipe(struct keys *keys)
{
    OPENSSL_cleanse(keys, sizeof *keys);
}

int keys_curve_from_secret(const uint8_t secret[KEY_SIZE], uint8_t ret_public[KEY_SIZE],
                           struct err *err)
{
    uint8_t public[KEY_SIZE];
    if (sodium_init() < 0 || crypto_scalarmult_base(public, secret) != 0)
        return err_set(err, FAIL_INTERNAL, "libsodium cannot compute the public key");
    memcpy(ret_public, public, KEY_SIZE);
    return 0;
}

void keys_fingerprint(const uint8_t curve_public[KEY_SIZE], char out[FINGERPRINT_MAX])
{
    uint8_t digest[HASH_SIZE];
    char group[5];
    hash_bytes(curve_public, KEY_SIZE, digest);
    size_t used = (size_t)snprintf(out, FINGERPRINT_MAX, "SHA256:");
    for (size_t i = 0; i < 16; i += 2) {
        hex_text(digest + i, 2, group);
        used += (size_t)snprintf(out + used, FINGERPRINT_MAX - used, "%s%s", i ? "-" : "", group);
    }
    assert(used < FINGERPRINT_MAX);
}

void keys_id(const uint8_t sign_public[KEY_SIZE], char out[KEY_ID_MAX])
{
    uint8_t digest[HASH_SIZE];
    hash_bytes(sign_public, KEY_SIZE, digest);
    hex_text(digest, (KEY_ID_MAX - 1) / 2, out);
}

/* The file's lines in order; the secrets last, so that a person who looks at it sees the name
 * first. */
struct key_line {
    const char *word;
    uint8_t *bytes;
};
#define KEY_LINES 4

static void key_lines(struct keys *keys, struct key_line out[KEY_LINES])
{
    out[0] = (struct key_line){ "curve-public", keys->curve_public };
    out[1] = (struct key_line){ "curve-secret", keys->curve_secret };
    out[2] = (struct key_line){ "sign-public", keys->sign_public };
    out[3] = (struct key_line){ "sign-secret", keys->sign_secret };
}

/* Hands out the text of the next line "word value"; ends it in place. */
static int take_line(const char *path, char **at, int line, const char *word, char **ret_value,
                     struct err *err)
{
    char *end = strchr(*at, '\n');
    size_t len = strlen(word);
    if (!end || strncmp(*at, word, len) != 0 || (*at)[len] != ' ')
        return err_set(err, FAIL_CORRUPT,
                       "%s:%d: expected \"%s\" and its value; this is no whole key file", path,
                       line, word);
    *end = '\0';
    *ret_value = *at + len + 1;
    *at = end + 1;
    return 0;
}

static int keys_parse(const char *path, char *text, struct keys *keys, struct err *err)
{
    struct key_line lines[KEY_LINES];
    char *at = text, *value = NULL;
    key_lines(keys, lines);
    size_t head = strlen(KEY_FILE_HEAD);
    if (strncmp(at, KEY_FILE_HEAD "\n", head + 1) != 0)
        return err_set(err, FAIL_CORRUPT,
                       "%s:1: no \"" KEY_FILE_HEAD "\"; this is no key file of ours", path);
    at += head + 1;
    int result = take_line(path, &at, 2, "name", &value, err);
    if (result < 0)
        return result;
    if (!text_is_name(value))
        return err_set(err, FAIL_CORRUPT, "%s:2: the name is not one that Confleet gives", path);
    (void)snprintf(keys->name, sizeof keys->name, "%s", value);
    for (int i = 0; i < KEY_LINES; i++) {
        result = take_line(path, &at, i + 3, lines[i].word, &value, err);
        if (result < 0)
            return result;
        if (!hex_parse(value, lines[i].bytes, KEY_SIZE))
            return err_set(err, FAIL_CORRUPT, "%s:%d: %s is not 64 hex digits", path, i + 3,
                           lines[i].word);
    }
    if (*at)
        return err_set(err, FAIL_CORRUPT, "%s:%d: text after the last key", path, KEY_LINES + 3);
    return 0;
}

/* A file whose halves do not belong together would be refused by every peer without a word why. */
static int keys_agree(const char *path, const struct keys *keys, struct err *err)
{
    uint8_t public[KEY_SIZE];
    int result = keys_curve_from_secret(keys->curve_secret, public, err);
    if (result < 0)
        return result;
    CLEANUP(pkey_drop)
    EVP_PKEY *pair =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, keys->sign_secret, KEY_SIZE);
    uint8_t sign_public[KEY_SIZE];
    size_t len = KEY_SIZE;
    if (!pair || EVP_PKEY_get_raw_public_key(pair, sign_public, &len) != 1)
        return err_set(err, FAIL_CORRUPT, "%s: the signing key cannot be read", path);
    if (memcmp(public, keys->curve_public, KEY_SIZE) != 0 ||
        memcmp(sign_public, keys->sign_public, KEY_SIZE) != 0)
        return err_set(err, FAIL_CORRUPT, "%s: public and secret key do not belong together", path);
    return 0;
}

int keys_load(const char *path, struct keys *ret, struct err *err)
{
    assert(path && ret);
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open key file %s",
                       path);
    if (fstat(fd, &st) < 0)
        return err_sys(err, FAIL_IO, errno, "look at key file %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_DENIED, "key file %s is no regular file", path);
    if (st.st_mode & 077)
        return err_set(err, FAIL_DENIED,
                       "key file %s has mode %04o: others can reach it; make new keys, or chmod "
                       "600 if nobody else could read it",
                       path, (unsigned)(st.st_mode & 07777));
    CLEANUP(wipe_str) struct str text = { 0 };
    int result = fs_read_fd(fd, path, KEY_FILE_MAX, &text, err);
    if (result < 0)
        return result;
    if (text.len == 0 || strlen(text.s) != text.len)
        return err_set(err, FAIL_CORRUPT, "%s: not a text file; this is no key file of ours", path);
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    result = keys_parse(path, text.s, &keys, err);
    if (result == 0)
        result = keys_agree(path, &keys, err);
    if (result == 0)
        *ret = keys;
    return result;
}

/* A name of its own first, then link(): unlike rename() it never replaces a key file that is
 * already there. */
static int write_new(const char *path, const struct str *text, struct err *err)
{
    uint8_t random[8];
    char suffix[2 * sizeof random + 1];
    random_bytes(random, sizeof random);
    hex_text(random, sizeof random, suffix);
    CLEANUP(free_mem) char *partial = text_printf("%s.partial-%s", path, suffix);
    CLEANUP(close_fd)
    int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "create %s", partial);
    int result = fs_write_all(fd, text->s, text->len, err);
    if (result == 0)
        result = fs_sync_fd(fd, partial, err);
    if (result == 0)
        result = fs_close(&fd, partial, err);
    if (result == 0 && link(partial, path) < 0)
        result = errno == EEXIST
                     ? err_set(err, FAIL_EXISTS, "%s is there already and is not replaced", path)
                     : err_sys(err, FAIL_IO, errno, "name key file %s", path);
    if (unlink(partial) < 0 && result == 0)
        result = err_sys(err, FAIL_IO, errno, "remove %s", partial);
    return result == 0 ? fs_sync_parent(path, err) : result;
}

int keys_save(const char *path, const struct keys *keys, struct err *err)
{
    assert(path && keys);
    CLEANUP(keys_wipe) struct keys copy = *keys;
    CLEANUP(wipe_str) struct str text = { 0 };
    struct key_line lines[KEY_LINES];
    char hex[2 * KEY_SIZE + 1];
    key_lines(&copy, lines);
    /* Grown once: no copy of a secret is left behind by a reallocation. */
    text.s = mem_zero(1, KEY_FILE_MAX);
    text.cap = KEY_FILE_MAX;
    str_addf(&text, KEY_FILE_HEAD "\nname %s\n", copy.name);
    for (int i = 0; i < KEY_LINES; i++) {
        hex_text(lines[i].bytes, KEY_SIZE, hex);
        str_add(&text, lines[i].word);
        str_add(&text, " ");
        str_add(&text, hex);
        str_add(&text, "\n");
    }
    OPENSSL_cleanse(hex, sizeof hex);
    return write_new(path, &text, err);
}
