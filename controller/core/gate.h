/* gate - how many sites may end badly, class by class, before nothing new starts.
 *
 * Limits are counts, never percentages. FAILED is the sum of the four classes after it; silence is
 * counted apart. What a person resumed in spite of is excused and counted no more, until the site
 * does something new. Invariant: a gate is closed exactly when a class has more sites than its
 * limit. */
#pragma once
#include "controller/core/site_state.h"

/* id (numbers are those of the protocol), spelling, words for people */
#define GATE_CLASSES(X)                                                                            \
    X(FAILED, "failed", "did not end well")                                                        \
    X(SILENT, "silent", "were not heard of in time")                                               \
    X(REFUSED, "refused", "refused the order")                                                     \
    X(NOT_READY, "not-ready", "were not ready")                                                    \
    X(ROLLED_BACK, "rolled-back", "were rolled back")                                              \
    X(HELD, "held", "are held for a person")
#define X(id, name, words) GATE_##id,
enum gate_class { GATE_NONE, GATE_CLASSES(X) GATE_CLASS_COUNT };
#undef X

#define GATE_NO_LIMIT UINT32_MAX

struct gate {
    uint32_t max[GATE_CLASS_COUNT];
};
struct gate_counts {
    uint32_t of[GATE_CLASS_COUNT];
};

/* No site may fail or fall silent; the other classes are limited by that. */
struct gate gate_strict(void);
/* Limits nothing. */
struct gate gate_open(void);
/* The class that a state counts in, besides FAILED; GATE_NONE for the others. */
enum gate_class gate_class_of(enum site_state state);
bool gate_counts_in(enum gate_class class, enum site_state state);
void gate_count(struct gate_counts *counts, enum site_state state);
/* The first class beyond its limit, in the order of the list. */
bool gate_closed(const struct gate *gate, const struct gate_counts *counts,
                 enum gate_class *ret_class);
const char *gate_class_name(enum gate_class class);
const char *gate_class_words(enum gate_class class);
