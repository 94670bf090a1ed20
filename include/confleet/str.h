/* str - a growing text or byte buffer, always ending in a zero byte that len does not count.
 * All zero is the empty buffer. Running out of memory aborts. */
#pragma once
#include "confleet/err.h"
#include <stdarg.h>
#include <stdint.h>

struct str { char *s; size_t len, cap; };

void str_add(struct str *str, const char *text);
void str_add_bytes(struct str *str, const void *bytes, size_t len);
void str_addf(struct str *str, const char *format, ...) FORMAT(2, 3);
void str_vaddf(struct str *str, const char *format, va_list ap) FORMAT(2, 0);
void str_clear(struct str *str);                   /* keeps the memory */
void str_free(struct str *str);
void str_wipe(struct str *str);                    /* frees what held a secret; fits CLEANUP() */
const char *str_text(const struct str *str);       /* "" when nothing was added */

char *text_dup(const char *text);                  /* owned by the caller; NULL gives NULL */
char *text_printf(const char *format, ...) FORMAT(1, 2);
void *mem_zero(size_t count, size_t size);         /* calloc that aborts */
void *mem_grow(void *p, size_t count, size_t size);/* reallocarray that aborts */
bool text_is_name(const char *text);               /* [a-z0-9][a-z0-9._-]{0,62}: names of agents, sites, operators, plans */
bool text_is_utf8(const char *text, size_t len);
bool text_parse_u64(const char *text, uint64_t max, uint64_t *ret_value);   /* whole text, decimal */
const char *text_size(uint64_t bytes, char out[24]);                        /* "4.7 GB" */
const char *text_duration(int64_t ms, char out[24]);                        /* "1m 20s", "850 ms" */
