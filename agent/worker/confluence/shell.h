/* shell - values out of the simple shell files of an installation (setenv.sh, user.sh, setjre.sh),
 * read and never run.
 *
 * Understands NAME=value lines with the usual quotes, comments, and the few ways these files name
 * the installation's own folder. Anything cleverer is SHELL_UNKNOWN, never a guess. */
#pragma once
#include "confleet/str.h"

enum shell_found { SHELL_NONE, SHELL_VALUE, SHELL_UNKNOWN };

/* The last assignment of name that is not in a comment. */
enum shell_found shell_variable(const char *text, const char *name, const char *install,
                                struct str *ret);
/* What follows option, such as "-Dconfluence.home=", up to the word's end; two different values are
 * SHELL_UNKNOWN. */
enum shell_found shell_option(const char *text, const char *option, const char *install,
                              struct str *ret);
