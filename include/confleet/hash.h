/* hash - SHA-256 by OpenSSL, streaming or at once, and its hex form. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

#define HASH_SIZE 32
#define HASH_HEX_MAX 65
struct hash;                                             /* one running digest */

struct hash *hash_new(void);
void hash_free(struct hash **hash);
void hash_add(struct hash *hash, const void *bytes, size_t len);
void hash_end(struct hash *hash, uint8_t out[HASH_SIZE]);            /* and starts anew */
void hash_sofar_hex(const struct hash *hash, char out[HASH_HEX_MAX]);  /* and goes on */
void hash_end_hex(struct hash *hash, char out[HASH_HEX_MAX]);
void hash_bytes(const void *bytes, size_t len, uint8_t out[HASH_SIZE]);
void hash_bytes_hex(const void *bytes, size_t len, char out[HASH_HEX_MAX]);
int hash_file_hex(const char *path, char out[HASH_HEX_MAX], uint64_t *ret_size, struct err *err) MUST_USE;
void hex_text(const void *bytes, size_t len, char *out);             /* 2 * len + 1 bytes */
bool hex_parse(const char *text, void *out, size_t len);             /* exactly len bytes, lower or upper case */
bool hash_is_hex(const char *text);                                  /* 64 lower-case hex digits */
void random_bytes(void *out, size_t len);                            /* aborts when the system has none */
