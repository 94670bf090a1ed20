/* audit_chain - recomputes the controller's chain of audit records from what it shows.
 *
 * hash = SHA-256, as hex, over "seq|at_ms|who|what|detail|prev"; the first record's prev is 64
 * zeros. What this proves: no record that was seen was changed, left out or put in between. It
 * cannot see that the newest ones were cut off; reports name the head for that. */
#pragma once
#include "confleet/err.h"
#include "confleet.pb-c.h"

struct audit_chain {
    uint64_t seq;
    char hash[65];
}; /* all zero: before the first record */
/* FAIL_CORRUPT names the record. */
int audit_chain_add(struct audit_chain *chain, const Confleet__AuditView *record,
                    struct err *err) MUST_USE;
