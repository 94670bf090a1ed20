/* inbox - words that a person on this server leaves for the running agent: STATE/inbox, 0700, one
 * small file each.
 *
 * A file NAME.word says "rollback INSTALL" or "resume INSTALL"; the agent answers with NAME.answer
 * ("CODE text") once the word is journalled. Files of other owners are left alone. Nothing of the
 * network comes here. */
#pragma once
#include "agent/edge/orders.h"

#define INBOX_WORD_MAX 4200

int inbox_open(const struct config *config, struct err *err) MUST_USE; /* makes the folder */
int inbox_tick(struct agent *agent, struct err *err) MUST_USE; /* negative: the journal failed */
/* The other side: leaves a word and waits for its answer. FAIL_TIMEOUT when no agent takes it. */
int inbox_ask(const struct config *config, enum run_event word, const char *install,
              int64_t timeout_ms, struct err *err) MUST_USE;
