/* arena_inside - what wire.c alone asks of an arena: was the budget the reason why a decode failed? */
#pragma once
#include <stdbool.h>

struct arena;
bool arena_is_exhausted(const struct arena *arena);
