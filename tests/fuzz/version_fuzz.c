/* Versions come from files of strangers. Whatever three texts are, their order is one. */
#include "confleet/version.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct version found[3];
    size_t count = 0;
    char text[200];
    if (size >= sizeof text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    for (char *at = text; at && count < 3;) {
        char *end = strchr(at, '\n');
        if (end)
            *end++ = '\0';
        if (version_parse(at, &found[count])) {
            assert(found[count].count >= 2 && found[count].count <= VERSION_NUMBERS);
            assert(version_compare(&found[count], &found[count]) == 0);
            count++;
        }
        at = end;
    }
    if (count >= 2)
        assert(version_compare(&found[0], &found[1]) == -version_compare(&found[1], &found[0]));
    if (count == 3 && version_compare(&found[0], &found[1]) <= 0 &&
        version_compare(&found[1], &found[2]) <= 0)
        assert(version_compare(&found[0], &found[2]) <= 0);
    return 0;
}
