/* bulk - moves one artifact by its SHA-256, in chunks with credit, on a socket of its own; resumable, digest checked.
 *
 * The receiver writes DIR/SHA256.partial, hashes while it streams, and renames to DIR/SHA256 only when size and digest
 * are right. A cut transfer goes on from the partial file's end (its bytes are hashed again). Never reads or writes any
 * other name: the digest, 64 hex digits, is the only name on the wire. */
#pragma once
#include "confleet/link.h"
#include "confleet/str.h"

#define BULK_CREDIT 16                       /* chunks in flight */

/* Serving side (controller): answers one frame; frames to send are appended as answers by calling send(). */
typedef int bulk_send_fn(void *arg, const void *bytes, size_t len, struct err *err);
struct bulk_store;                           /* a folder of artifacts */
int bulk_store_open(const char *dir, struct bulk_store **ret, struct err *err) MUST_USE;
void bulk_store_close(struct bulk_store **store);
/* may_put: the peer is an operator whose role allows it. size_max bounds a put. What is refused is answered to the peer with
 * its words and returned as well, for the owner's log; no failure here is a reason to stop serving. */
int bulk_store_on(struct bulk_store *store, const char *peer_id, bool may_put, uint64_t size_max, const void *bytes, size_t len,
                  bulk_send_fn *send, void *arg, struct err *err) MUST_USE;

/* Fetching side (agent): one artifact at a time, driven by its owner's loop. An artifact that is there already is read, and
 * then bulk_fetch_ask() and bulk_fetch_on() answer 1. After a failure: close; what was received stays
 * for the next try, unless it was whole and wrong (FAIL_MISMATCH). */
struct bulk_fetch;
int bulk_fetch_open(const char *dir, const char *sha256, uint64_t size, struct bulk_fetch **ret, struct err *err) MUST_USE;
void bulk_fetch_close(struct bulk_fetch **fetch);
/* first frame, after each new connection, after a stall */
int bulk_fetch_ask(struct bulk_fetch *fetch, struct str *ret_bytes, struct err *err) MUST_USE;
/* 1: complete, file is in place; 0: go on; *ret_bytes holds a frame to send unless empty. */
int bulk_fetch_on(struct bulk_fetch *fetch, const void *bytes, size_t len, struct str *ret_bytes, struct err *err) MUST_USE;
uint64_t bulk_fetch_done(const struct bulk_fetch *fetch);

/* Sending side (operator's command): blocking, with progress(done, total), which may be NULL. Runs its own link client, and
 * goes on over new connections until nothing went forward for timeout_ms. FAIL_DENIED at once when the key is refused. */
int bulk_put(const struct link_client_options *link, const char *path, const char *sha256, uint64_t size,
             void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg, int64_t timeout_ms, struct err *err) MUST_USE;
