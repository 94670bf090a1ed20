/* app_descriptor - what an app says of itself in atlassian-plugin.xml and META-INF/MANIFEST.MF.
 *
 * Parses texts only; app_jar gets them out of a jar. A document type declaration is not read, so no
 * entity is ever expanded. What is left as a maven placeholder, ${…}, counts as not said. Texts
 * come without control characters. */
#pragma once
#include "confleet/err.h"
#include <stddef.h>

#define APP_DESCRIPTOR_MAX ((size_t)1 << 20)

enum app_says { APP_SAYS_NOTHING, APP_SAYS_NO, APP_SAYS_YES };
struct app { /* texts are "" where the jar does not say */
    char key[256], name[128], version[64], vendor[128];
    unsigned generation; /* plugins-version: 1, 2 or 3; zero: none was read */
    enum app_says data_center, licensing;
    bool off; /* shipped switched off, state="disabled" */
};
/* FAIL_CORRUPT: no XML, or no descriptor of an app; FAIL_UNSUPPORTED: a document type declaration;
 * FAIL_LIMIT. */
int app_descriptor_parse(const char *bytes, size_t len, struct app *ret, struct err *err) MUST_USE;
/* Headers fill what the descriptor did not say. An app without a descriptor says its key there,
 * else key stays "". Never fails: what cannot be read is not said. */
void app_manifest_parse(const char *bytes, size_t len, struct app *app);
