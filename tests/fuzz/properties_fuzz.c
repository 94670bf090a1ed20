#include "confleet/properties.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct properties properties = { 0 };
    struct err err = { 0 };
    if (properties_parse((const char *)bytes, len, PROPERTIES_LATIN1, &properties, &err) == 0) {
        for (size_t i = 0; i < properties.count; i++) {
            assert(text_is_utf8(properties.items[i].value, strlen(properties.items[i].value)));
            assert(properties_get(&properties, properties.items[i].name));
        }
        properties_free(&properties);
    } else {
        assert(err.text[0] && properties.count == 0);
    }
    if (properties_parse((const char *)bytes, len, PROPERTIES_RAW, &properties, NULL) == 0)
        properties_free(&properties);
    return 0;
}
