/* test - tests that read as sentences, on cmocka. TEST() registers itself; the harness has main().
 *
 * A failing check prints file, line and both values. */
#pragma once
/* cmocka wants these before itself. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void test_register(const char *name, CMUnitTestFunction fn);
/* A fresh empty folder below $TMPDIR, removed at the end of the program; absolute path, owned by the harness. */
const char *test_dir(void);
/* A port of loopback that is free now, below those that the kernel hands out: while a test starts something again at its old
 * port, nobody else's connection gets it meanwhile. */
int test_free_port(void);
/* Returns when nothing listens at tcp://127.0.0.1:PORT any more, after 10 s at most: libzmq closes what listened in a thread of
 * its own, a while after it was told to. */
void test_wait_free(const char *endpoint);
/* Path of a file of ../shared or NULL when it is not at hand; then the test says so and ends by TEST_SKIP(). */
const char *test_shared(const char *name);
#define TEST_SKIP(why) do { print_message("skipped: %s\n", why); skip(); } while (0)

#define TEST(name)                                                                             \
    static void test_##name(void **state);                                                     \
    __attribute__((constructor)) static void register_##name(void) { test_register(#name, test_##name); } \
    static void test_##name(void **state __attribute__((unused)))

#define CHECK(condition) assert_true(condition)
#define CHECK_INT(got, want)                                                                   \
    do {                                                                                       \
        long long got_ = (long long)(got), want_ = (long long)(want);                          \
        if (got_ != want_) {                                                                   \
            print_error("%s: got %lld, want %lld\n", #got, got_, want_);                       \
            fail();                                                                            \
        }                                                                                      \
    } while (0)
#define CHECK_STR(got, want)                                                                   \
    do {                                                                                       \
        const char *got_ = (got), *want_ = (want);                                             \
        if (!got_ || strcmp(got_, want_) != 0) {                                               \
            print_error("%s:\n got  \"%s\"\n want \"%s\"\n", #got, got_ ? got_ : "(null)", want_); \
            fail();                                                                            \
        }                                                                                      \
    } while (0)
#define CHECK_HAS(text, part)                                                                  \
    do {                                                                                       \
        const char *text_ = (text), *part_ = (part);                                           \
        if (!text_ || !strstr(text_, part_)) {                                                 \
            print_error("%s: \"%s\" holds no \"%s\"\n", #text, text_ ? text_ : "(null)", part_); \
            fail();                                                                            \
        }                                                                                      \
    } while (0)
/* A call that returns 0; prints the error's text otherwise. */
#define CHECK_OK(call, err)                                                                    \
    do {                                                                                       \
        int result_ = (call);                                                                  \
        if (result_ != 0) {                                                                    \
            print_error("%s: %d: %s\n", #call, result_, (err).text);                           \
            fail();                                                                            \
        }                                                                                      \
    } while (0)
