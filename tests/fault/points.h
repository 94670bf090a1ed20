/* points - where a process is in its work, told by a library that is preloaded, and where it is to
 * stop.
 *
 * One file, mapped by agent, worker, controller and their clients, and by the test that gives
 * orders (tests/harness/points.py holds the same layout). A process that reaches the point that was
 * ordered stops itself by SIGSTOP, and the test kills it from outside. Moments are counted, never
 * timed: a tick is a commit of a journal, a change of a file, a statement to PostgreSQL, a child.
 */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define POINT_MAX 128

struct points {
    char wanted[POINT_MAX]; /* the point to stop at; empty: none */
    uint32_t nth;           /* at its n-th coming from now on; 1 is the next */
    _Atomic uint32_t seen;  /* how often it came since it was ordered */
    uint32_t tick;          /* stop at this tick, whatever it is; 0: none */
    _Atomic uint32_t ticks;
    _Atomic int32_t stopped; /* the process that stopped itself; 0: none */
    char where[POINT_MAX];   /* the point it reached */
    char step[32];           /* the agent's last event in its journal */
    uint32_t undoing;
    int32_t reserved;
    _Atomic int64_t skew_ms; /* what the agent's clock is ahead by */
};
_Static_assert(offsetof(struct points, skew_ms) == 320,
               "tests/harness/points.py knows this layout");
