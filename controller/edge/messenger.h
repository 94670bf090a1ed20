/* messenger - runs the program of the key "notify" for each notice, one at a time, never by a
 * shell.
 *
 * The program gets words as environment variables (CONFLEET_EVENT, _ROLLOUT, _STAGE, _SITE,
 * _MESSAGE, _AT) and the same as one line of JSON on its standard input. It has MESSENGER_TIME_MS;
 * what it says and how it ends is logged and changes nothing else. Never waits: messenger_turn()
 * starts, looks and goes on. Invariant: a notice is marked as told when its program has ended or
 * could not be started, so each is told at least once, and twice only when the controller was
 * killed in between. */
#pragma once
#include "controller/edge/store.h"

#define MESSENGER_TIME_MS 30000

struct messenger;
/* program NULL: none, and nothing is kept for it. Otherwise an absolute path that may be executed.
 */
int messenger_open(struct store *store, const char *program, struct messenger **ret,
                   struct err *err) MUST_USE;
void messenger_close(struct messenger **messenger);
/* Negative only when the store failed. */
int messenger_turn(struct messenger *messenger, int64_t mono_ms, struct err *err) MUST_USE;
