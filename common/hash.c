#include "confleet/hash.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

struct hash { EVP_MD_CTX *ctx; EVP_MD *md; };

static void must(int result)
{
    if (result != 1)      /* SHA-256 fails only when OpenSSL itself is broken or memory is out */
        abort();
}

struct hash *hash_new(void)
{
    struct hash *hash = mem_zero(1, sizeof *hash);
    hash->ctx = EVP_MD_CTX_new();
    hash->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!hash->ctx || !hash->md)
        abort();
    must(EVP_DigestInit_ex2(hash->ctx, hash->md, NULL));
    return hash;
}

void hash_free(struct hash **hash)
{
    if (!*hash)
        return;
    EVP_MD_CTX_free((*hash)->ctx);
    EVP_MD_free((*hash)->md);
    free(*hash);
    *hash = NULL;
}

void hash_add(struct hash *hash, const void *bytes, size_t len)
{
    must(EVP_DigestUpdate(hash->ctx, bytes, len));
}

void hash_end(struct hash *hash, uint8_t out[HASH_SIZE])
{
    unsigned int len = 0;
    must(EVP_DigestFinal_ex(hash->ctx, out, &len));
    assert(len == HASH_SIZE);
    must(EVP_DigestInit_ex2(hash->ctx, hash->md, NULL));
}

void hash_sofar_hex(const struct hash *hash, char out[HASH_HEX_MAX])
{
    uint8_t raw[HASH_SIZE];
    unsigned int len = 0;
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    if (!copy)
        abort();
    must(EVP_MD_CTX_copy_ex(copy, hash->ctx));
    must(EVP_DigestFinal_ex(copy, raw, &len));
    assert(len == HASH_SIZE);
    EVP_MD_CTX_free(copy);
    hex_text(raw, sizeof raw, out);
}

void hash_end_hex(struct hash *hash, char out[HASH_HEX_MAX])
{
    uint8_t raw[HASH_SIZE];
    hash_end(hash, raw);
    hex_text(raw, sizeof raw, out);
}

void hash_bytes(const void *bytes, size_t len, uint8_t out[HASH_SIZE])
{
    CLEANUP(hash_free) struct hash *hash = hash_new();
    hash_add(hash, bytes, len);
    hash_end(hash, out);
}

void hash_bytes_hex(const void *bytes, size_t len, char out[HASH_HEX_MAX])
{
    uint8_t raw[HASH_SIZE];
    hash_bytes(bytes, len, raw);
    hex_text(raw, sizeof raw, out);
}

int hash_file_hex(const char *path, char out[HASH_HEX_MAX], uint64_t *ret_size, struct err *err)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", path);
    CLEANUP(hash_free) struct hash *hash = hash_new();
    CLEANUP(free_mem) char *buffer = mem_zero(1, 256 * 1024);
    uint64_t size = 0;
    for (;;) {
        ssize_t got = read(fd, buffer, 256 * 1024);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, FAIL_IO, errno, "read %s", path);
        if (got == 0)
            break;
        hash_add(hash, buffer, (size_t)got);
        size += (uint64_t)got;
    }
    hash_end_hex(hash, out);
    if (ret_size)
        *ret_size = size;
    return 0;
}

void hex_text(const void *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_parse(const char *text, void *out, size_t len)
{
    if (!text || strlen(text) != 2 * len)
        return false;
    for (size_t i = 0; i < 2 * len; i++)
        if (hex_digit(text[i]) < 0)
            return false;
    uint8_t *p = out;
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(hex_digit(text[2 * i]) * 16 + hex_digit(text[2 * i + 1]));
    return true;
}

bool hash_is_hex(const char *text)
{
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

void random_bytes(void *out, size_t len)
{
    assert(len <= INT32_MAX);
    if (RAND_bytes(out, (int)len) != 1)
        abort();
}
