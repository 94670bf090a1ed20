#include "confleet/json.h"
#include "confleet.pb-c.h"
#include "confleet/cleanup.h"
#include "harness/test.h"
#include <jansson.h>

static const char *text_of(const ProtobufCMessage *message, bool full)
{
    static char text[16384];
    CLEANUP(str_free) struct str out = { 0 };
    json_message(&out, message, full);
    json_error_t error;
    json_t *back = json_loads(str_text(&out), JSON_REJECT_DUPLICATES, &error);
    if (!back)
        print_error("%s: %s\n", str_text(&out), error.text);
    CHECK(back != NULL);
    json_decref(back);
    (void)snprintf(text, sizeof text, "%s", str_text(&out));
    return text;
}

static const char *quoted(const char *text)
{
    static char out[256];
    CLEANUP(str_free) struct str str = { 0 };
    json_text(&str, text);
    (void)snprintf(out, sizeof out, "%s", str_text(&str));
    return out;
}

TEST(empty_message_is_an_empty_object)
{
    /* A message that gets no new fields with each new thing that is told of a site. */
    Confleet__KeyValue pair = CONFLEET__KEY_VALUE__INIT;
    Confleet__Finding finding = CONFLEET__FINDING__INIT;
    CHECK_STR(text_of(&pair.base, false), "{}");
    CHECK_STR(text_of(&pair.base, true), "{\"key\":\"\",\"value\":\"\"}");
    CHECK_STR(text_of(&finding.base, false), "{}");
    CHECK_HAS(text_of(&finding.base, true), "\"severity\":\"SEVERITY_NONE\"");
}

TEST(names_are_lower_camel_numbers_keep_all_digits_enums_have_names)
{
    Confleet__BackupRecord backup = CONFLEET__BACKUP_RECORD__INIT;
    backup.level = CONFLEET__BACKUP_LEVEL__RESTORED;
    backup.stored_bytes = 18446744073709551615ULL;
    backup.started_ms = -1;
    backup.build = 7;
    CHECK_STR(text_of(&backup.base, false),
              "{\"level\":\"RESTORED\",\"startedMs\":\"-1\",\"storedBytes\":"
              "\"18446744073709551615\",\"build\":7}");
}

TEST(unknown_enum_value_is_shown_as_number)
{
    Confleet__Finding finding = CONFLEET__FINDING__INIT;
    finding.severity = (Confleet__Severity)99;
    CHECK_STR(text_of(&finding.base, false), "{\"severity\":99}");
}

TEST(nested_and_repeated_messages_follow)
{
    Confleet__KeyValue label = CONFLEET__KEY_VALUE__INIT, *labels[] = { &label, &label };
    Confleet__SiteView site = CONFLEET__SITE_VIEW__INIT;
    label.key = (char[]){ "env" };
    label.value = (char[]){ "test" };
    site.n_labels = 2;
    site.labels = labels;
    site.online = 1;
    CHECK_STR(text_of(&site.base, false), "{\"labels\":[{\"key\":\"env\",\"value\":\"test\"},{"
                                          "\"key\":\"env\",\"value\":\"test\"}],\"online\":true}");
    Confleet__PlanStage stage = CONFLEET__PLAN_STAGE__INIT;
    uint32_t batch[] = { 1, 3, 0 };
    stage.n_batch = 3;
    stage.batch = batch;
    CHECK_STR(text_of(&stage.base, false), "{\"batch\":[1,3,0]}");
    CHECK_HAS(text_of(&stage.base, true), "\"gate\":null");
}

TEST(bytes_are_lower_case_hex)
{
    Confleet__Signature signature = CONFLEET__SIGNATURE__INIT;
    uint8_t bytes[] = { 0x00, 0xAB, 0xff };
    signature.value = (ProtobufCBinaryData){ 3, bytes };
    CHECK_STR(text_of(&signature.base, false), "{\"value\":\"00abff\"}");
}

TEST(only_the_chosen_member_of_a_oneof_is_shown)
{
    Confleet__DoneEvent done = CONFLEET__DONE_EVENT__INIT;
    Confleet__Event event = CONFLEET__EVENT__INIT;
    event.what_case = CONFLEET__EVENT__WHAT_DONE;
    event.done = &done;
    event.seq = 1;
    CHECK_STR(text_of(&event.base, false), "{\"seq\":\"1\",\"done\":{}}");
    event.what_case = CONFLEET__EVENT__WHAT__NOT_SET;
    CHECK_STR(text_of(&event.base, false), "{\"seq\":\"1\"}");
}

TEST(text_is_escaped_and_always_valid)
{
    CHECK_STR(quoted("a\"b\\c\n\t\x01\x7f"), "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\"");
    CHECK_STR(quoted("grün ✓"), "\"grün ✓\"");
    CHECK_STR(quoted("x\xff\x80"), "\"x\\ufffd\\ufffd\"");
}
