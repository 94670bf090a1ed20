/* Join files come from people, by mail and by copy and paste. */
#include "confleet/keys.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct join join;
    struct err err = { 0 };
    int result = join_parse("join", (const char *)data, size, &join, &err);
    if (result < 0 && (err.code != -result || strncmp(err.text, "join:", 5) != 0))
        abort();
    if (result == 0 &&
        (join.trust_count > JOIN_TRUST_MAX || !memchr(join.name, 0, sizeof join.name) ||
         !memchr(join.control, 0, sizeof join.control) || !text_is_name(join.name)))
        abort();
    return 0;
}
