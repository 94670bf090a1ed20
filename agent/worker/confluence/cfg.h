/* cfg - confluence.cfg.xml of a home: set-up state, build number, and those properties that this
 * program needs.
 *
 * Licence texts, keys and every property that is not on the list in cfg.c stay in the file; of the
 * secrets the database password alone is copied out. Facts 1.4. cfg_property_set() changes one span
 * of a text and nothing else. */
#pragma once
#include "confleet/err.h"
#include "confleet/properties.h"
#include "confleet/str.h"
#include <stdint.h>

enum cfg_licence { CFG_LICENCE_NONE, CFG_LICENCE_PRESENT, CFG_LICENCE_VERSION_1 };

struct cfg {
    char setup_step[64], setup_type[64];
    uint32_t build;           /* zero: none written */
    uint32_t finalized_build; /* zero: none written */
    enum cfg_licence licence;
    struct properties properties; /* the known ones; as written, placeholders not expanded */
};

int cfg_parse(const struct str *text, struct cfg *ret, struct err *err) MUST_USE;
int cfg_read(const char *home, struct cfg *ret,
             struct err *err) MUST_USE; /* HOME/confluence.cfg.xml; FAIL_NOT_FOUND */
void cfg_free(struct cfg *cfg);         /* fits CLEANUP() */
const char *cfg_get(const struct cfg *cfg, const char *name); /* "" when absent */
char *cfg_expand(const char *value,
                 const char *home); /* ${confluenceHome}, ${localHome}; owned by the caller */
/* Replaces one property's text, every other byte kept; adds the property at the end when there is
 * none. */
int cfg_property_set(struct str *text, const char *name, const char *value,
                     struct err *err) MUST_USE;
