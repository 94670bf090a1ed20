#include "controller/cli/out.h"
#include "confleet/cleanup.h"
#include "controller/cli/views.h"
#include "harness/test.h"

static const char *clean(const char *text)
{
    static char out[256];
    CLEANUP(str_free) struct str str = { 0 };
    out_clean(&str, text);
    (void)snprintf(out, sizeof out, "%s", str_text(&str));
    return out;
}

TEST(foreign_text_is_made_harmless)
{
    CHECK_STR(clean("a\033[31mb\nc\td\x7f"), "a?[31mb c d?");
    CHECK_STR(clean("größer ✓"), "größer ✓");
    CHECK_STR(clean("\xc2\x9b"
                    "31m"),
              "?31m");
    CHECK_STR(clean("x\xff\xfe"), "x??");
}

TEST(table_columns_line_up_with_wide_letters)
{
    static const char *const heads[] = { "A", "LONGER", "C" };
    CLEANUP(table_free) struct table table = { .heads = heads, .columns = 3 };
    CLEANUP(str_free) struct str text = { 0 };
    table_add(&table, "äöü");
    table_add(&table, "");
    table_addf(&table, "%d", 7);
    table_add(&table, "x");
    table_add(&table, "a longer cell");
    table_add(&table, "z");
    table_print(&table, &text);
    CHECK_STR(text.s, "A    LONGER         C\näöü  -              7\nx    a longer cell  z\n");
}

TEST(json_listing_has_its_schema)
{
    CLEANUP(str_free) struct str text = { 0 };
    Confleet__Finding finding = CONFLEET__FINDING__INIT, *list[] = { &finding, &finding };
    finding.id = (char *)"space";
    JSON_LIST(&text, "findings", list, 2);
    CHECK_STR(text.s, "{\"schema\":1,\"findings\":[{\"id\":\"space\"},{\"id\":\"space\"}]}\n");
    str_clear(&text);
    JSON_LIST(&text, "findings", list, 0);
    json_one(&text, "finding", &finding.base);
    CHECK_STR(text.s,
              "{\"schema\":1,\"findings\":[]}\n{\"schema\":1,\"finding\":{\"id\":\"space\"}}\n");
}

TEST(findings_come_worst_first_with_their_remedy)
{
    static const Confleet__Severity severities[] = {
        CONFLEET__SEVERITY__OK, CONFLEET__SEVERITY__UNKNOWN, CONFLEET__SEVERITY__BLOCK,
        CONFLEET__SEVERITY__INFO, CONFLEET__SEVERITY__WARN
    };
    Confleet__Finding findings[5], *list[5];
    CLEANUP(str_free) struct str text = { 0 };
    const struct out plain = { .width = 80 };
    for (size_t i = 0; i < 5; i++) {
        list[i] = &findings[i];
        confleet__finding__init(list[i]);
        findings[i].severity = severities[i];
        findings[i].id = (char *)"id";
        findings[i].title = (char *)"title";
    }
    findings[2].evidence = (char *)"1 GB free";
    findings[2].remedy = (char *)"make room";
    findings[0].remedy = (char *)"nothing to remedy";
    findings_print(&plain, NULL, list, 5, &text);
    CHECK_STR(text.s, "  block    id  title\n           1 GB free\n           remedy: make room\n  "
                      "warn     id  title\n"
                      "  unknown  id  title\n  info     id  title\n  ok       id  title\n");
}

TEST(what_several_sites_share_is_told_once_and_what_differs_of_each)
{
    static const struct {
        const char *site, *id, *title, *evidence, *remedy;
    } said[] = { { "b", "java", "Java is old", "11", "install 17" },
                 { "a", "java", "Java is old", "11", "install 17" },
                 { "c", "space", "no room", "1 GB", "make room" },
                 { "a", "space", "no room", "2 GB", "make room" },
                 { "b", "space", "hardly room", "2 GB", "make room" } };
    Confleet__Finding findings[5];
    struct finding_row rows[5];
    CLEANUP(str_free) struct str text = { 0 };
    const struct out plain = { .width = 80 };
    for (size_t i = 0; i < 5; i++) {
        confleet__finding__init(&findings[i]);
        findings[i].severity = CONFLEET__SEVERITY__WARN;
        findings[i].id = (char *)said[i].id;
        findings[i].title = (char *)said[i].title;
        findings[i].evidence = (char *)said[i].evidence;
        findings[i].remedy = (char *)said[i].remedy;
        rows[i] = (struct finding_row){ said[i].site, &findings[i] };
    }
    finding_rows_sort(rows, 5);
    finding_rows_print(&plain, rows, 5, true, &text);
    CHECK_STR(text.s, "  warn     a, b: java  Java is old\n"
                      "           11\n           remedy: install 17\n"
                      "  warn     b: space  hardly room\n"
                      "           2 GB\n           remedy: make room\n"
                      "  warn     a, c: space  no room\n"
                      "           a: 2 GB\n           c: 1 GB\n           remedy: make room\n");
}

TEST(colour_needs_a_terminal)
{
    struct out out;
    int fds[2];
    CHECK_INT(pipe(fds), 0);
    out_open(&out, fds[1]);
    CHECK(!out.terminal);
    CHECK(!out.color);
    CLEANUP(str_free) struct str text = { 0 };
    out_tone(&text, &out, TONE_BAD, "x");
    CHECK_STR(text.s, "x");
    (void)close(fds[0]);
    (void)close(fds[1]);
}
