#include "readied.h"

static const char *table(int least)
{
    static char text[16384];
    CLEANUP(readiness_free) struct readiness readiness = { 0 };
    CLEANUP(str_free) struct str to = { 0 };
    readied(&readiness);
    readiness_csv(&readiness, least, &to);
    (void)snprintf(text, sizeof text, "%s", str_text(&to));
    return text;
}

TEST(what_a_spreadsheet_would_run_is_made_text)
{
    static const char *const evil[] = { "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=x", "\n=x" };
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        sites_clear();
        found(site_made("one"), "platform", "heap", CONFLEET__SEVERITY__WARN, evil[i]);
        CHECK_HAS(table(0), "\"Title of it\",\"'");
    }
    sites_clear();
    found(site_made("one"), "platform", "heap", CONFLEET__SEVERITY__WARN, "1=1");
    CHECK_HAS(table(0), "\"Title of it\",\"1=1\",");
}

TEST(quotes_line_breaks_and_control_characters_stay_within_their_cell)
{
    sites_clear();
    found(site_made("one"), "platform", "heap", CONFLEET__SEVERITY__WARN,
          "a \"b\", c\r\nd\033[1m\x7f");
    const char *text = table(0);
    CHECK_HAS(text, "\"a \"\"b\"\", c \nd [1m \",\"Do this.\"");
    CHECK(strchr(text, '\033') == NULL);
    /* Each row ends in CRLF, and there are no others. */
    size_t ends = 0;
    for (const char *s = strstr(text, "\r\n"); s; s = strstr(s + 2, "\r\n"))
        ends++;
    CHECK_INT(ends, 2);
    CHECK(strncmp(text, "site,state,family,check,severity,", 33) == 0);
    CHECK_STR(text + strlen(text) - 11, ",\"9.2.21\"\r\n");
}

TEST(waivers_have_columns_and_silent_sites_a_row)
{
    sites_clear();
    Confleet__JobSiteView *one = site_made("one"), *lost = site_made("lost");
    waived(found(one, "platform", "heap", CONFLEET__SEVERITY__BLOCK, "512 MB"), "=agreed");
    found(one, "platform", "clock", CONFLEET__SEVERITY__OK, "synchronised");
    lost->state = text_of("silent");
    lost->message = text_of("no answer");
    const char *text = table(2);
    CHECK_HAS(text, "\"one\",\"done\",\"platform\",\"heap\",\"block\",");
    CHECK_HAS(text, ",\"anna\",\"'=agreed\",\"2026-11-23T03:13:20Z\",");
    CHECK_HAS(text, "\"lost\",\"silent\",\"\",\"\",\"\",\"\",\"no answer\",");
    CHECK(strstr(text, "synchronised") == NULL);
    CHECK_HAS(table(0), "synchronised");
}
