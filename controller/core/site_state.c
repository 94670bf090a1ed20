#include "controller/core/site_state.h"

#include "confleet/guard.h"

#include <assert.h>
#include <string.h>

struct site_def {
    const char *name;
    bool flight, well, failed;
};
#define X(id, name, flight, well, failed) [SITE_##id] = { name, flight, well, failed },
static const struct site_def site_defs[SITE_STATE_COUNT] = { ROLLOUT_SITE_STATES(X) };
#undef X

/* Entries are state + 1, so that an empty place means "stay". A site that ended can still be heard
 * of again: its server decides what happened to it, also after we gave it up or a person skipped
 * it. A site that waits for its next attempt may be found at work with the last one; how that ends
 * badly is no news, since the next attempt was decided already. Of one whose next
 * attempt came after all is heard how the last one ended, and then of the next. */
#define TO(state) (SITE_##state + 1)
#define FROM_WORK                                                                                  \
    [INPUT_FORWARD] = TO(RUNNING), [INPUT_APPLIED] = TO(SOAKING),                                  \
    [INPUT_COMMITTED] = TO(COMMITTED), [INPUT_UNDOING] = TO(UNDOING)
#define FROM_LIFE                                                                                  \
    FROM_WORK, [INPUT_ROLLED_BACK] = TO(ROLLED_BACK), [INPUT_NOT_READY] = TO(NOT_READY),           \
               [INPUT_REFUSED] = TO(REFUSED), [INPUT_HELD] = TO(HELD)
#define FROM_PERSON [INPUT_RETRY] = TO(QUEUED), [INPUT_SKIP] = TO(SKIPPED)
static const unsigned char site_table[SITE_STATE_COUNT][INPUT_COUNT] = {
    [SITE_QUEUED] = { FROM_WORK, [INPUT_ORDER] = TO(ORDERED), [INPUT_SKIP] = TO(SKIPPED),
                      [INPUT_HELD] = TO(HELD) },
    [SITE_ORDERED] = { FROM_LIFE, [INPUT_ACK] = TO(RUNNING), [INPUT_REFUSE] = TO(REFUSED),
                       [INPUT_LOST] = TO(REFUSED), [INPUT_DEADLINE] = TO(SILENT),
                       [INPUT_BACK] = TO(UNDOING), [INPUT_WITHDRAW] = TO(QUEUED) },
    [SITE_RUNNING] = { FROM_LIFE, [INPUT_LOST] = TO(HELD), [INPUT_DEADLINE] = TO(SILENT),
                       [INPUT_BACK] = TO(UNDOING) },
    [SITE_UNDOING] = { [INPUT_FORWARD] = TO(RUNNING),
                       [INPUT_APPLIED] = TO(SOAKING),
                       [INPUT_ROLLED_BACK] = TO(ROLLED_BACK),
                       [INPUT_HELD] = TO(HELD),
                       [INPUT_NOT_READY] = TO(NOT_READY),
                       [INPUT_LOST] = TO(HELD),
                       [INPUT_REFUSE] = TO(HELD),
                       [INPUT_REFUSED] = TO(REFUSED),
                       [INPUT_COMMITTED] = TO(COMMITTED),
                       [INPUT_DEADLINE] = TO(SILENT) },
    [SITE_SOAKING] = { FROM_LIFE, [INPUT_LOST] = TO(HELD), [INPUT_DEADLINE] = TO(SILENT),
                       [INPUT_BACK] = TO(UNDOING) },
    [SITE_COMMITTED] = { [INPUT_FORWARD] = TO(RUNNING),
                         [INPUT_APPLIED] = TO(SOAKING),
                         [INPUT_UNDOING] = TO(UNDOING),
                         [INPUT_ROLLED_BACK] = TO(ROLLED_BACK),
                         [INPUT_HELD] = TO(HELD),
                         [INPUT_BACK] = TO(UNDOING) },
    [SITE_ROLLED_BACK] = { FROM_WORK, FROM_PERSON, [INPUT_HELD] = TO(HELD) },
    [SITE_NOT_READY] = { FROM_WORK, FROM_PERSON, [INPUT_HELD] = TO(HELD) },
    [SITE_REFUSED] = { FROM_LIFE, FROM_PERSON },
    [SITE_HELD] = { FROM_LIFE, [INPUT_BACK] = TO(UNDOING), [INPUT_SKIP] = TO(SKIPPED) },
    [SITE_SILENT] = { FROM_LIFE, FROM_PERSON, [INPUT_ACK] = TO(RUNNING),
                      [INPUT_REFUSE] = TO(REFUSED), [INPUT_BACK] = TO(UNDOING) },
    [SITE_SKIPPED] = { FROM_WORK },
};
#undef FROM_WORK
#undef FROM_LIFE
#undef FROM_PERSON
#undef TO

bool site_state_after(enum site_state state, enum site_input input, enum site_state *ret_state)
{
    assert((unsigned)state < SITE_STATE_COUNT);
    assert((unsigned)input < INPUT_COUNT);
    unsigned char to = GUARD_CELL(site_table, state, input);
    if (to == 0) /* No guard: the place is empty. */
        return false;
    if ((enum site_state)(to - 1) ==
        state) /* No guard: nothing moves, there is nothing to store. */
        return false;
    *ret_state = (enum site_state)(to - 1);
    return true;
}

const char *site_state_name(enum site_state state)
{
    assert((unsigned)state < SITE_STATE_COUNT);
    return site_defs[state].name;
}

/* No guards in here: finds a name in a table. */
bool site_state_parse(const char *name, enum site_state *ret_state)
{
    for (unsigned i = 0; i < SITE_STATE_COUNT; i++) {
        if (strcmp(site_defs[i].name, name) != 0)
            continue;
        *ret_state = (enum site_state)i;
        return true;
    }
    return false;
}

bool site_state_in_flight(enum site_state state)
{
    assert((unsigned)state < SITE_STATE_COUNT);
    return site_defs[state].flight;
}

bool site_state_well(enum site_state state)
{
    assert((unsigned)state < SITE_STATE_COUNT);
    return site_defs[state].well;
}

bool site_state_failed(enum site_state state)
{
    assert((unsigned)state < SITE_STATE_COUNT);
    return site_defs[state].failed;
}

bool site_state_busy(enum site_state state)
{
    return NEEDS(law7_only_flights_are_busy, site_state_in_flight(state)) &&
           NEEDS(law7_soaking_keeps_no_place, state != SITE_SOAKING);
}

bool site_state_in_doubt(enum site_state state)
{
    return GUARD(law7_silent_keeps_its_place, state == SITE_SILENT) ||
           GUARD(law7_held_keeps_its_place, state == SITE_HELD);
}
