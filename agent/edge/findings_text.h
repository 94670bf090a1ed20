/* findings_text - findings for a person at a terminal: by family, wrapped, with a count at the end.
 *
 * Evidence holds bytes of a customer's files: control characters never reach the terminal. */
#pragma once
#include "confleet/str.h"
#include "confleet/wire.h"

/* width: columns of the terminal; 40 at the least. */
void findings_text(struct str *out, Confleet__Finding *const *findings, size_t count, int width);
/* One text without control characters. */
void findings_plain(struct str *out, const char *text);
/* Of standard output; 100 when it is no terminal. */
int findings_width(void);
