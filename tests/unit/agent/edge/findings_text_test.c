#include "agent/edge/findings_text.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static Confleet__Finding made(const char *family, const char *id, Confleet__Severity severity,
                              const char *evidence)
{
    Confleet__Finding finding = CONFLEET__FINDING__INIT;
    finding.family = (char *)(uintptr_t)family;
    finding.id = (char *)(uintptr_t)id;
    finding.severity = severity;
    finding.title = (char *)(uintptr_t) "Title";
    finding.evidence = (char *)(uintptr_t)evidence;
    return finding;
}

static size_t longest(const char *text)
{
    size_t most = 0;
    while (*text) {
        size_t len = strcspn(text, "\n");
        most = len > most ? len : most;
        text += len + (text[len] == '\n');
    }
    return most;
}

TEST(findings_stand_by_family_and_are_counted)
{
    Confleet__Finding a = made("site", "one", CONFLEET__SEVERITY__OK, "All is well.");
    Confleet__Finding b = made("site", "two", CONFLEET__SEVERITY__BLOCK, "Broken.");
    Confleet__Finding c = made("path", "three", CONFLEET__SEVERITY__UNKNOWN, "Not read.");
    b.remedy = (char *)(uintptr_t) "Mend it.";
    b.rule = (char *)(uintptr_t) "It must be whole.";
    Confleet__Finding *const all[] = { &a, &b, &c };
    CLEANUP(str_free) struct str out = { 0 };
    findings_text(&out, all, 3, 100);
    CHECK_STR(str_text(&out), "site\n"
                              "  ok       one                   All is well.\n"
                              "  BLOCK    two                   Title\n"
                              "           Broken.\n"
                              "           to do: Mend it.\n"
                              "           rule: It must be whole.\n"
                              "\n"
                              "path\n"
                              "  unknown  three                 Title\n"
                              "           Not read.\n"
                              "\n"
                              "3 checks: 1 block, 0 warn, 1 unknown, 0 info, 1 ok\n");
}

TEST(long_evidence_is_wrapped_and_a_customers_bytes_do_not_drive_the_terminal)
{
    Confleet__Finding a = made("site", "one", CONFLEET__SEVERITY__WARN,
                               "many words that go on and on until the line of forty columns is "
                               "full\nand a second line \x1b[2Jwith \xc2\x9bodd bytes");
    Confleet__Finding *const all[] = { &a };
    CLEANUP(str_free) struct str out = { 0 };
    findings_text(&out, all, 1, 40);
    CHECK(strchr(str_text(&out), 0x1b) == NULL);
    CHECK(strstr(str_text(&out), "\xc2\x9b") == NULL);
    CHECK_HAS(str_text(&out), "and a second line");
    const char *evidence = strstr(str_text(&out), "many");
    CHECK(evidence != NULL);
    CHECK(longest(strchr(str_text(&out), '\n') + 1) <= 52); /* the count's line is not wrapped */
    CHECK(longest(evidence) <= 52);
}
