/* guard - marks a condition of a core that keeps a law, so that a test can take it away and look whether the law breaks.
 *
 * GUARD is for what strikes when it is true (taken away it is never true), NEEDS for what must be true before something
 * goes on (taken away it always is), GUARD_CELL for a table whose empty places mean "nothing happens" (taken away, a
 * place is empty). Each name is there once and begins with the law. In the programs the macros are their conditions and
 * nothing else; only tests/sim/mutants.c is built with CONFLEET_MUTANTS. A condition on state without one carries its
 * excuse, "No guard: why", or "No guards in here: why" above its function; tests/tidy/guards.py looks for both. */
#pragma once
#ifndef CONFLEET_MUTANTS
#define GUARD(name, condition)         (condition)
#define NEEDS(name, condition)         (condition)
#define GUARD_CELL(table, row, column) ((table)[row][column])
#else
#include <stdbool.h>
struct guard {
    const char *name;
    bool off;
};
struct guard_cell { /* the one that is away; table NULL: none */
    const char *table;
    int row, column;
};
extern struct guard_cell guard_cell_off;
bool guard_cell_is_off(const char *table, int row, int column);
/* All places are found in one section; a pointer has no padding that the linker could add. */
#define GUARD_OFF(id)                                                                              \
    __extension__({                                                                                \
        static struct guard guard_##id = { #id, false };                                           \
        static struct guard *guard_at_##id __attribute__((section("guards"), used)) = &guard_##id; \
        guard_##id.off;                                                                            \
    })
#define GUARD(name, condition) ((condition) && !GUARD_OFF(name))
#define NEEDS(name, condition) ((condition) || GUARD_OFF(name))
#define GUARD_CELL(table, row, column)                                                             \
    (guard_cell_is_off(#table, (int)(row), (int)(column)) ? 0 : (table)[row][column])
#endif
