/* releases - the catalogue as an operator sees it: what was shipped with this command, what
 * operators imported, what has an artifact; and files that can be imported.
 *
 * Shipped facts come last: an operator's word replaces them field by field. */
#pragma once
#include "confleet.pb-c.h"
#include "confleet/catalogue.h"
#include "confleet/str.h"
#include "confleet/yaml.h"

/* reply: of a release list. Without the shipped file there is only the rest, and warnings gets a
 * line that says so. */
void releases_join(const Confleet__Reply *reply, struct catalogue **ret, struct str *warnings);
/* A file of releases: CSV as shipped when its name ends in .csv, else an operator's YAML.
 * FAIL_USAGE when the report holds what is wrong with the YAML; FAIL_CORRUPT names the place in the
 * CSV. */
int releases_read(const char *path, struct catalogue **ret, struct yaml_report *report,
                  struct err *err) MUST_USE;
int releases_read_text(const char *name, const char *text, struct catalogue **ret,
                       struct yaml_report *report, struct err *err) MUST_USE; /* YAML */
