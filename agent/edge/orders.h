/* orders - an order of the controller becomes a run or a task, once, by way of the journal; or it
 * is refused in words.
 *
 * The acknowledgement is given only after the journal holds the order. The same id gives the same
 * answer again and no second effect. */
#pragma once
#include "agent/edge/agent.h"

struct order_answer {
    int code;
    char message[ERR_TEXT_MAX];
}; /* code zero: accepted */

/* Negative: the journal failed and the agent must stop; nothing is to be acknowledged then. */
int orders_take(struct agent *agent, const Confleet__Order *order, struct order_answer *ret,
                struct err *err) MUST_USE;
/* Orders wait for the first survey: without it nothing can be said about an installation. */
bool orders_ready(const struct agent *agent);
/* After the first survey of a start: tasks whose orders are in the journal and not done are begun
 * again. */
int orders_resume(struct agent *agent, struct err *err) MUST_USE;

/* A person on this server. word: EVENT_ROLLBACK_ORDERED or EVENT_RESUME_ORDERED; install: path or
 * id of the installation. */
int orders_local(struct agent *agent, enum run_event word, const char *install, const char *why,
                 struct err *err) MUST_USE;
