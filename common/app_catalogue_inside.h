/* app_catalogue_inside - what the catalogue of apps and its file share; nobody else includes this.
 */
#pragma once
#include "confleet/app_catalogue.h"

/* Takes the place of the same app, version and range. NULL: done; else what is wrong with it. */
const char *app_catalogue_put(struct app_catalogue *catalogue,
                              const struct app_entry *entry) MUST_USE;
