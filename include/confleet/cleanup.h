/* cleanup - what a variable owns is given back when it goes out of scope.
 *
 * Declare with an initial value, hand out with TAKE(). Not run by exit(), abort() or longjmp(). */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* "unused" since clang does not count what the destructor does with the variable as a use. */
#define CLEANUP(fn) __attribute__((cleanup(fn), unused))
#define CLEANUP_OF(name, type, fn) /* for libraries whose destructor takes the bare pointer */ \
    static inline void name(type *p) { if (*p) { fn(*p); *p = NULL; } }
#define TAKE(p) __extension__({ __typeof__(p) take_ = (p); (p) = NULL; take_; })
#define TAKE_FD(fd) __extension__({ int take_ = (fd); (fd) = -1; take_; })

static inline void free_mem(void *p) { free(*(void **)p); *(void **)p = NULL; }
/* For reading only: after writing, close by hand and look at the result. */
static inline void close_fd(int *fd) { if (*fd >= 0) { (void)close(*fd); *fd = -1; } }
static inline void close_file(FILE **f) { if (*f) { (void)fclose(*f); *f = NULL; } }
