/* html - text on its way into a page: whatever it holds, it is shown and never obeyed.
 *
 * Everything from a server, a file or a person passes html_text(); markup is written by us alone.
 */
#pragma once
#include "confleet/str.h"

/* Escapes & < > " and '; control characters become '?', broken UTF-8 too. Line breaks stay. */
void html_text(struct str *to, const char *text);
/* <tag class="class">text</tag>; class NULL or "": none. tag and class are ours. */
void html_element(struct str *to, const char *tag, const char *class_name, const char *text);
