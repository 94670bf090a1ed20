#include "confleet/err.h"
#include "harness/test.h"
#include <errno.h>

TEST(text_grows_from_outside_in)
{
    struct err err = { 0 };
    CHECK_INT(err_sys(&err, FAIL_SPACE, ENOSPC, "open pack"), -FAIL_SPACE);
    CHECK_INT(err_wrap(&err, "verify backup %d", 41), -FAIL_SPACE);
    CHECK_STR(err.text, "verify backup 41: open pack: No space left on device");
    CHECK_INT(err.sys, ENOSPC);
}

TEST(a_long_text_is_cut_and_not_overrun)
{
    struct err err = { 0 };
    char big[3000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    CHECK_INT(err_set(&err, FAIL_IO, "%s", big), -FAIL_IO);
    CHECK_INT(err_wrap(&err, "%s", big), -FAIL_IO);
    CHECK_INT(strlen(err.text), ERR_TEXT_MAX - 1);
}

TEST(codes_have_names_and_exit_statuses)
{
    CHECK_STR(fail_name(FAIL_STALE), "stale");
    CHECK_STR(fail_name(9999), "no-such-code");
    CHECK_INT(fail_exit_status(-FAIL_UNREACHABLE), EXIT_UNREACHABLE);
    CHECK_INT(fail_exit_status(FAIL_BLOCKED), EXIT_BLOCKED);
}
