#include "controller/core/gate.h"

#include "confleet/guard.h"

#include <assert.h>

struct class_def {
    const char *name, *words;
};
#define X(id, name, words) [GATE_##id] = { name, words },
static const struct class_def class_defs[GATE_CLASS_COUNT] = { GATE_CLASSES(X) };
#undef X

struct gate gate_open(void)
{
    struct gate gate;
    for (unsigned i = 0; i < GATE_CLASS_COUNT; i++)
        gate.max[i] = GATE_NO_LIMIT;
    return gate;
}

struct gate gate_strict(void)
{
    struct gate gate = gate_open();
    gate.max[GATE_FAILED] = gate.max[GATE_SILENT] = 0;
    return gate;
}

/* No guards in here: a table of names. */
enum gate_class gate_class_of(enum site_state state)
{
    switch (state) {
    case SITE_SILENT:
        return GATE_SILENT;
    case SITE_REFUSED:
        return GATE_REFUSED;
    case SITE_NOT_READY:
        return GATE_NOT_READY;
    case SITE_ROLLED_BACK:
        return GATE_ROLLED_BACK;
    case SITE_HELD:
        return GATE_HELD;
    default:
        return GATE_NONE;
    }
}

bool gate_counts_in(enum gate_class class, enum site_state state)
{
    enum gate_class own = gate_class_of(state);
    return NEEDS(law6_gate_counts_only_what_failed, own != GATE_NONE) &&
           (GUARD(law6_gate_counts_each_class, own == class) ||
            (GUARD(law6_gate_counts_all_failures, class == GATE_FAILED) &&
             NEEDS(law6_silence_is_no_failure, own != GATE_SILENT)));
}

void gate_count(struct gate_counts *counts, enum site_state state)
{
    for (unsigned i = GATE_FAILED; i < GATE_CLASS_COUNT; i++)
        counts->of[i] += gate_counts_in((enum gate_class)i, state);
}

bool gate_closed(const struct gate *gate, const struct gate_counts *counts,
                 enum gate_class *ret_class)
{
    for (unsigned i = GATE_FAILED; i < GATE_CLASS_COUNT; i++) {
        if (NEEDS(law6_gate_closes, counts->of[i] <= gate->max[i]))
            continue;
        *ret_class = (enum gate_class)i;
        return true;
    }
    return false;
}

const char *gate_class_name(enum gate_class class)
{
    assert(class > GATE_NONE && (unsigned)class < GATE_CLASS_COUNT);
    return class_defs[class].name;
}

const char *gate_class_words(enum gate_class class)
{
    assert(class > GATE_NONE && (unsigned)class < GATE_CLASS_COUNT);
    return class_defs[class].words;
}
