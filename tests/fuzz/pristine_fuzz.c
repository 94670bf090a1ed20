#include "agent/worker/checks/pristine.h"
#include "agent/worker/confluence/redact_text.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CLEANUP(pristine_free) struct pristine list = { .count = 0 }, again = { .count = 0 };
    CLEANUP(str_free) struct str text = { 0 }, shown = { 0 };
    CLEANUP(free_mem) char *copy = text_printf("%.*s", (int)len, (const char *)bytes);
    struct err err = { 0 };
    if (pristine_parse("it", (const char *)bytes, len, &list, &err) == 0) {
        pristine_write(&list, &text);
        assert(pristine_parse("again", str_text(&text), text.len, &again, NULL) == 0);
        assert(again.count == list.count);
        for (size_t i = 0; i < list.count; i++)
            assert(pristine_find(&again, list.files[i].path) == &again.files[i]);
    } else {
        assert(err.text[0] && list.count == 0);
    }
    redact_text(copy, &shown);
    return 0;
}
