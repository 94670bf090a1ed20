#include "readied.h"

#define BLOCK CONFLEET__SEVERITY__BLOCK
#define WARN  CONFLEET__SEVERITY__WARN
#define OK    CONFLEET__SEVERITY__OK

static const char *shown(int width, int least)
{
    static char text[32768];
    CLEANUP(readiness_free) struct readiness readiness = { 0 };
    CLEANUP(str_free) struct str to = { 0 };
    const struct out out = { .terminal = width > 0, .width = width };
    readied(&readiness);
    readiness_text(&readiness, &out, least, &to);
    (void)snprintf(text, sizeof text, "%s", str_text(&to));
    return text;
}

/* Columns of the widest line above the first empty one: the matrix. */
static size_t matrix_width(const char *text)
{
    size_t most = 0;
    for (const char *s = text; *s && *s != '\n';) {
        size_t len = strcspn(s, "\n");
        CLEANUP(free_mem) char *line = text_printf("%.*s", (int)len, s);
        most = out_columns(line) > most ? out_columns(line) : most;
        s += len + (s[len] == '\n');
    }
    return most;
}

TEST(the_matrix_has_sites_worst_first_and_families_in_their_order)
{
    sites_clear();
    Confleet__JobSiteView *fine = site_made("a-fine"), *bad = site_made("z-bad");
    found(fine, "site", "build-numbers", OK, "all 9109");
    found(fine, "platform", "heap", OK, "2 GB");
    found(bad, "site", "build-numbers", OK, "all 9109");
    found(bad, "platform", "heap", BLOCK, "512 MB\r\nof 1,024 MB\033[1m");
    CHECK_HAS(shown(0, 2), "SITE    STATE  site  platform\nz-bad   block  ok    block 1\n"
                           "a-fine  ready  ok    ok\n");
    CHECK_HAS(shown(0, 2), "  block    heap  Title of it  (1 of 2 sites)\n");
    CHECK_HAS(shown(0, 2), "             512 MB ");
    CHECK_HAS(shown(0, 2), "\n             of 1,024 MB?[1m\n           remedy: Do this.\n");
    CHECK_HAS(shown(0, 2), "2 sites: 1 blocked, 0 to look at, 1 ready; findings: 1 block, 3 ok");
    CHECK(strchr(shown(0, 0), '\r') == NULL && strchr(shown(0, 0), '\033') == NULL);
    CHECK(strstr(shown(0, 2), "build-numbers") == NULL);
    CHECK_HAS(shown(0, 0), "build-numbers");
}

TEST(a_waived_finding_is_marked_and_counts_as_nothing_else)
{
    sites_clear();
    Confleet__JobSiteView *one = site_made("one"), *two = site_made("two");
    waived(found(one, "platform", "heap", BLOCK, "512 MB"), "agreed\nin writing");
    found(two, "platform", "heap", BLOCK, "512 MB");
    const char *text = shown(0, 2);
    CHECK_HAS(text, "two   block  block 1\none   ready  okw\n");
    CHECK_HAS(text, "w some are waived: confleet waive list\n");
    CHECK_HAS(text, "  waived   heap");
    CHECK_HAS(text, "waived by anna until Mon 2026-11-23 03:13 UTC: agreed in writing\n");
    CHECK_HAS(text, "findings: 1 block, 1 waived");
    CHECK_HAS(text, "1 blocked, 0 to look at, 1 ready");
}

TEST(sixty_columns_hold_the_matrix_of_all_families)
{
    static const char *const families[] = { "site",     "path", "licence", "platform",   "database",
                                            "apps",     "custom", "operations", "backup" };
    sites_clear();
    Confleet__JobSiteView *view = site_made("a-site-with-a-very-long-name-and-more-of-it");
    for (size_t i = 0; i < 9; i++)
        for (size_t k = 0; k < 3; k++)
            waived(found(view, families[i], "x", WARN, "y"), "z");
    for (size_t i = 0; i < 9; i++)
        found(view, families[i], "x", i % 2 ? BLOCK : CONFLEET__SEVERITY__UNKNOWN, "y");
    site_made("lost")->state = text_of("silent");
    CHECK(matrix_width(shown(120, 2)) <= 120);
    CHECK_HAS(shown(160, 2), "operations");
    CHECK(matrix_width(shown(80, 2)) <= 80);
    CHECK(matrix_width(shown(60, 2)) <= 60);
    CHECK_HAS(shown(60, 2), "B1");
    CHECK_HAS(shown(60, 2), "B block, W warn, ? unknown\n");
    CHECK(matrix_width(shown(0, 2)) > 60); /* a file has all the room */
}

TEST(what_changed_is_said_and_a_silent_site_is_named)
{
    sites_clear();
    Confleet__JobSiteView *one = site_made("one"), *lost = site_made("lost");
    static Confleet__CheckView checked, *before = &checked;
    static Confleet__Finding *then[2];
    confleet__check_view__init(before);
    Confleet__JobSiteView scratch = CONFLEET__JOB_SITE_VIEW__INIT;
    scratch.findings = then;
    found(&scratch, "platform", "heap", OK, "");
    found(&scratch, "platform", "clock", WARN, "");
    before->findings = then;
    before->n_findings = 2;
    before->at_ms = NOW - 86400000;
    one->before = before;
    found(one, "platform", "heap", WARN, "512 MB");
    lost->state = text_of("silent");
    lost->message = text_of("did not answer\n in time");
    lost->agent = text_of("host-lost");
    const char *text = shown(0, 2);
    CHECK_HAS(text, "warn 1*");
    CHECK_HAS(text, "one (new):");
    CHECK_HAS(text, "  gone     clock (was warn): one\n");
    CHECK_HAS(text, "silent   lost: did not answer  in time (agent host-lost)\n");
    CHECK_HAS(text, ", 1 silent");
    CHECK_HAS(text, "as many as the check of Sun 2026-11-22 02:13 UTC\n");
}
