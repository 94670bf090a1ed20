#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include "harness/test.h"

/* Encodes and decodes again: what a receiver gets. */
static Confleet__Survey *survey_through(struct arena *arena, const Confleet__Survey *survey)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    struct err err = { 0 };
    Confleet__Survey *got = NULL;
    wire_encode(&survey->base, &bytes);
    CHECK_OK(wire_decode_survey(arena, bytes.s, bytes.len, &got, &err), err);
    return got;
}

static void check_text(const char *sent, const char *want)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__Installation one = CONFLEET__INSTALLATION__INIT, *list[] = { &one };
    Confleet__Survey survey = CONFLEET__SURVEY__INIT;
    CLEANUP(free_mem) char *text = text_dup(sent);
    one.home = text;
    one.notes = &text;
    one.n_notes = 1;
    survey.installations = list;
    survey.n_installations = 1;
    Confleet__Survey *got = survey_through(arena, &survey);
    CHECK_STR(got->installations[0]->home, want);
    CHECK_STR(got->installations[0]->notes[0], want);
    CHECK_STR(text, sent); /* the sender's own is untouched */
}

TEST(text_that_is_no_utf8_arrives_with_marks_in_place_of_its_bad_bytes)
{
    check_text("/srv/caf\xe9/\xff", "/srv/caf?/?");
    check_text("/srv/café/日本/\U0001F600", "/srv/café/日本/\U0001F600");
    check_text("\xe6\x97", "??");      /* cut in the middle */
    check_text("\xed\xa0\x80", "???"); /* half of a surrogate pair */
    check_text("\xc0\x80", "??");      /* a zero byte, spelt too long */
    check_text("two\nlines\t\033[1m", "two\nlines\t\033[1m");
}

TEST(text_that_is_too_long_is_cut_at_a_character_and_says_so)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    CLEANUP(str_free) struct str text = { 0 };
    Confleet__Survey survey = CONFLEET__SURVEY__INIT;
    while (text.len < 10000)
        str_add(&text, "日");
    survey.os = text.s;
    Confleet__Survey *got = survey_through(arena, &survey);
    CHECK(strlen(got->os) <= 4096 && strlen(got->os) > 4090);
    CHECK_STR(got->os + strlen(got->os) - 6, "日...");
    str_clear(&text);
    while (text.len < 100)
        str_add(&text, "日");
    survey.os = NULL;
    survey.agent_version = text.s;
    got = survey_through(arena, &survey);
    CHECK_INT(strlen(got->agent_version), 63);
}

TEST(names_lose_their_control_characters_and_lists_their_tail)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    static Confleet__Installation one;
    static Confleet__Installation *list[1500];
    Confleet__Survey survey = CONFLEET__SURVEY__INIT;
    confleet__installation__init(&one);
    one.id = (char[]){ "a\nb\033c" };
    for (size_t i = 0; i < 1500; i++)
        list[i] = &one;
    survey.installations = list;
    survey.n_installations = 1500;
    Confleet__Survey *got = survey_through(arena, &survey);
    CHECK_INT(got->n_installations, 1024);
    CHECK_STR(got->installations[1023]->id, "a?b?c");
    CHECK_INT(survey.n_installations, 1500);
}

TEST(what_cannot_be_mended_is_left_for_the_receiver_to_refuse)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    CLEANUP(str_free) struct str bytes = { 0 };
    struct err err = { 0 };
    Confleet__Decision decision = CONFLEET__DECISION__INIT, *got = NULL;
    decision.plan_sha256 = (char[]){ "not a digest" };
    wire_encode(&decision.base, &bytes);
    CHECK_INT(wire_decode_decision(arena, bytes.s, bytes.len, &got, &err), -FAIL_PROTOCOL);
    CHECK_HAS(err.text, "plan_sha256");
}

TEST(a_mended_message_has_its_true_length_on_a_pipe)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    CLEANUP(str_free) struct str buffer = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    const uint8_t *bytes = NULL;
    size_t len = 0;
    while (text.len < 20000)
        str_add(&text, "x");
    Confleet__LogEvent line = CONFLEET__LOG_EVENT__INIT;
    Confleet__WorkerReply reply = CONFLEET__WORKER_REPLY__INIT, *got = NULL;
    line.text = text.s;
    reply.body_case = CONFLEET__WORKER_REPLY__BODY_LOG;
    reply.log = &line;
    wire_pipe_add(&buffer, &reply.base);
    wire_pipe_add(&buffer, &reply.base);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(wire_pipe_take(&buffer, &bytes, &len, &err), 1);
        CHECK_OK(wire_decode_worker_reply(arena, bytes, len, &got, &err), err);
        CHECK_INT(strlen(got->log->text), 8192);
        wire_pipe_drop(&buffer, len);
    }
    CHECK_INT(buffer.len, 0);
}
