#include "confleet/err.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append(struct err *err, const char *text)
{
    size_t used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof err->text - used, "%s", text);   /* a cut text is still a text */
}

int err_set(struct err *err, enum fail code, const char *format, ...)
{
    assert(code != FAIL_NONE);
    if (!err)
        return -(int)code;
    assert(err->code == 0);
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    err->code = (int)code;
    err->sys = 0;
    return -(int)code;
}

int err_sys(struct err *err, enum fail code, int errno_value, const char *format, ...)
{
    assert(code != FAIL_NONE);
    if (!err)
        return -(int)code;
    assert(err->code == 0);
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    char reason[128] = "";
    append(err, ": ");
    append(err, strerror_r(errno_value, reason, sizeof reason));
    err->code = (int)code;
    err->sys = errno_value;
    return -(int)code;
}

int err_wrap(struct err *err, const char *format, ...)
{
    if (!err)
        return -(int)FAIL_INTERNAL;
    assert(err->code != 0);
    char text[ERR_TEXT_MAX], old[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    memcpy(old, err->text, sizeof old);
    err->text[0] = '\0';
    append(err, text);
    append(err, ": ");
    append(err, old);
    return -err->code;
}

void err_clear(struct err *err)
{
    if (err)
        *err = (struct err){ 0 };
}

const char *fail_name(int code)
{
    switch (code) {
    case 0:
        return "ok";
#define X(id, number, name)                                                                        \
    case number:                                                                                   \
        return name;
        FAIL_LIST(X)
#undef X
    default:
        return "no-such-code";
    }
}

int fail_exit_status(int code)
{
    switch (code < 0 ? -code : code) {
    case 0:
        return EXIT_DONE;
    case FAIL_BLOCKED:
    case FAIL_DENIED:
    case FAIL_SIGNATURE:
    case FAIL_EXPIRED:
    case FAIL_STALE:
        return EXIT_BLOCKED;
    case FAIL_HELD:
        return EXIT_PERSON;
    case FAIL_TIMEOUT:
        return EXIT_TIMEOUT;
    case FAIL_UNREACHABLE:
        return EXIT_UNREACHABLE;
    default:
        return EXIT_ERROR;
    }
}
