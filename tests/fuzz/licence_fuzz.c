#include "confleet/licence.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct licence licence;
    licence_decode((const char *)bytes, len, &licence_keys_vendor, &licence);
    assert(licence.form != LICENCE_UNREADABLE || licence.why[0]);
    assert(memchr(licence.why, 0, sizeof licence.why));
    const struct licence_question question = { .target = "9.2.21",
                                               .target_date = "2026-06-02",
                                               .today = 20500 };
    for (int aspect = 0; aspect < LICENCE_ASPECT_COUNT; aspect++) {
        struct licence_answer answer = { 0 };
        licence_judge(&licence, &question, (enum licence_aspect)aspect, &answer);
        assert(answer.text[0] && answer.severity >= CONFLEET__SEVERITY__OK);
        /* What was not read is never in order. */
        assert(licence.form == LICENCE_VERSION_2 || answer.severity != CONFLEET__SEVERITY__OK);
    }
    char text[256];
    licence_describe(&licence, text, sizeof text);
    struct licence_end end;
    CLEANUP(str_free) struct str part = { 0 };
    str_add_bytes(&part, bytes, len);
    licence_end_parse(str_text(&part), &end);
    (void)licence_end_text(&end, (char[48]){ 0 });
    return 0;
}
