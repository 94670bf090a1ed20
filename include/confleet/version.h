/* version - the number of a Confluence release, as people and files write it.
 *
 * Old forms are read too: 2.1.5a, 3.2.1_01, 1.0.3a, 5.5-OD-31-009, 8.0.0-m014, 10.0.0-rc1. Order is
 * that of releases: numbers first, a letter or _NN after the plain number, a milestone, beta or rc
 * before it. A version is not a build: which of two databases is newer is told by build numbers
 * alone (facts/confluence 6). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERSION_NUMBERS 4
struct version {
    uint32_t numbers[VERSION_NUMBERS]; /* missing ones are zero */
    size_t count;                      /* written ones, at least two */
    int rank; /* -1: before the plain number (m, beta, rc); 0: plain; 1: after it (a, _01, od) */
    char suffix[24]; /* as written, lower case, without its mark; "" for none */
    uint32_t suffix_number;
};
bool version_parse(const char *text, struct version *ret); /* false: no version; *ret untouched */
int version_compare(const struct version *a,
                    const struct version *b); /* below, equal, above zero */
bool version_same_feature(const struct version *a, const struct version *b); /* first two numbers */
bool version_at_least(const struct version *version, uint32_t major, uint32_t minor);
