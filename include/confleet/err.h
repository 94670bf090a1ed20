/* err - one error on its way from where it happened to where a person reads it.
 *
 * A function that can fail because of the world returns 0 or -FAIL_X and fills *err, which may be NULL. The
 * text grows outside-in by err_wrap(): "verify backup 41: open pack: No space left on device". Nothing here
 * allocates. Numbers of the list go over the wire, into stores and into JSON: they never change. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define FAIL_LIST(X)                                                                              \
    X(INTERNAL, 1, "internal")       /* a bug of ours that was caught */                          \
    X(USAGE, 2, "usage")             /* words of a command, key of a file, value out of range */  \
    X(IO, 3, "io")                   /* a system call failed; sys holds errno */                  \
    X(SPACE, 4, "space")             /* not enough room */                                        \
    X(CORRUPT, 5, "corrupt")         /* bytes are not what was written */                         \
    X(NOT_FOUND, 6, "not-found")                                                                  \
    X(EXISTS, 7, "exists")                                                                        \
    X(DENIED, 8, "denied")           /* role, state or local policy does not allow it */          \
    X(SIGNATURE, 9, "signature")     /* missing, wrong, or by a key that is not trusted */        \
    X(EXPIRED, 10, "expired")                                                                     \
    X(STALE, 11, "stale")            /* older serial or epoch than one already seen */            \
    X(TIMEOUT, 12, "timeout")                                                                     \
    X(UNREACHABLE, 13, "unreachable")                                                             \
    X(PROTOCOL, 14, "protocol")      /* peer speaks another version, or not in turn */            \
    X(LIMIT, 15, "limit")            /* a named maximum was passed */                             \
    X(DATABASE, 16, "database")      /* PostgreSQL or SQLite said no */                           \
    X(TOOL, 17, "tool")              /* a child process failed */                                 \
    X(BLOCKED, 18, "blocked")        /* a readiness check blocks */                               \
    X(HELD, 19, "held")              /* waits for a person */                                     \
    X(BUSY, 20, "busy")                                                                           \
    X(UNSUPPORTED, 21, "unsupported")                                                             \
    X(CONFLICT, 22, "conflict")      /* two changes of the same place */                          \
    X(UNHEALTHY, 23, "unhealthy")    /* Confluence does not answer as it should */                \
    X(MISMATCH, 24, "mismatch")      /* digest, size, count or name differs from the expected */  \
    X(CANCELLED, 25, "cancelled")                                                                 \
    X(MEMORY, 26, "memory")          /* a budget for untrusted input is used up */

#define X(id, number, name) FAIL_##id = (number),
enum fail { FAIL_NONE = 0, FAIL_LIST(X) };
#undef X

/* Exit statuses of every program (design: what an operator types). */
enum exit_status {
    EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_PENDING = 2, EXIT_BLOCKED = 3, EXIT_PERSON = 4,
    EXIT_ROLLED_BACK = 5, EXIT_INCONSISTENT = 6, EXIT_TIMEOUT = 7, EXIT_UNREACHABLE = 8
};

#define ERR_TEXT_MAX 1024
struct err { int code; int sys; char text[ERR_TEXT_MAX]; };   /* all zero: no error */

#define MUST_USE __attribute__((warn_unused_result))
#define FORMAT(at, first) __attribute__((format(printf, at, first)))

/* Both return -code, so that "return err_set(…)" is the whole failing line. Setting a set error is a bug. */
int err_set(struct err *err, enum fail code, const char *format, ...) FORMAT(3, 4);
int err_sys(struct err *err, enum fail code, int errno_value, const char *format, ...) FORMAT(4, 5);
/* Puts "text: " in front; returns -code of the error, for "return err_wrap(…)". */
int err_wrap(struct err *err, const char *format, ...) FORMAT(2, 3);
void err_clear(struct err *err);
const char *fail_name(int code);             /* "no-such-code" for numbers not in the list */
int fail_exit_status(int code);              /* enum exit_status for a FAIL_ code */
