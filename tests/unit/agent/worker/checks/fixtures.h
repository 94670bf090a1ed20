/* fixtures - for each check one state of the world per severity that it can find.
 *
 * A family's fixtures stand in fixtures_FAMILY.h as `static const struct fixture
 * fixtures_FAMILY[]`, ended by a NULL id. set() spoils good_facts() (judge.h), where every check is
 * ok or info. check_test.c walks the table of checks: each id needs an ok (info for those that only
 * tell), a failing (warn or block; info for those that only tell) and an unknown fixture, and no
 * set() serves two severities of one check. */
#pragma once
#include "judge.h"

struct fixture {
    const char *id;
    Confleet__Severity severity;
    void (*set)(struct facts *facts); /* NULL: the good facts as they are */
    const char *says;                 /* a part of the evidence */
};
