/* audit - the record of every decision, each row chained to the one before.
 *
 * hash = hex SHA-256 of "seq|at_ms|who|what|detail|prev"; prev is the hash of the row before, 64
 * zeros for the first. An edited, deleted or exchanged row breaks the chain. Cutting off the newest
 * rows does not: whoever wants to see that keeps the head (reports print it) elsewhere. Invariant:
 * written in the transaction of what it records. */
#pragma once
#include "controller/edge/store.h"

#define AUDIT_DETAIL_MAX 2048
#define AUDIT_ZERO       "0000000000000000000000000000000000000000000000000000000000000000"

/* who: "operator:anna", "agent:wiki1", "controller". Longer details are cut. */
int audit_add(struct store *store, const char *who, const char *what, struct err *err,
              const char *format, ...) FORMAT(5, 6) MUST_USE;
/* The hash that belongs to a row's text. */
void audit_hash(int64_t seq, int64_t at_ms, const char *who, const char *what, const char *detail,
                const char *prev, char out[65]);
/* Walks the whole chain; FAIL_CORRUPT names the first row that does not fit. */
int audit_verify(struct store *store, uint64_t *ret_rows, struct err *err) MUST_USE;
int audit_head(struct store *store, char out[65], struct err *err) MUST_USE;
