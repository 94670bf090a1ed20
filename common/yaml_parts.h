/* yaml_parts - what the three sources of yaml share; nobody else includes it. */
#pragma once
#include "confleet/yaml.h"

/* One scalar's text into the field's value at `to`. A static text of what is wrong goes to `why`
 * (words may be appended), false. */
bool yaml_scalar(const struct yaml_field *field, enum yaml_kind kind, const char *text, void *to,
                 struct str *why);
bool yaml_kind_is_scalar(enum yaml_kind kind);
bool yaml_kind_is_text(enum yaml_kind kind); /* its value is an owned char * */
/* "text"; "did you mean …" is appended when a word of the list is near. */
void yaml_suggest_add(struct str *text, const char *word, const char *const *words);
/* yaml_report_add() with a line of help under the excerpt; help may be NULL. */
void yaml_report_text(struct yaml_report *report, const char *file, const char *source,
                      struct yaml_at at, const char *text, const char *help);
