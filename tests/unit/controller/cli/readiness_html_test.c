#include "readied.h"

static char page[131072];

static const char *made(int least)
{
    CLEANUP(readiness_free) struct readiness readiness = { 0 };
    CLEANUP(str_free) struct str to = { 0 };
    readied(&readiness);
    readiness_html(&readiness, least, EVIL, &to);
    CHECK(to.len < sizeof page);
    (void)snprintf(page, sizeof page, "%s", str_text(&to));
    return page;
}

TEST(no_text_of_a_server_becomes_markup)
{
    sites_clear();
    Confleet__JobSiteView *one = site_made(EVIL), *lost = site_made("lost" EVIL);
    Confleet__Finding *finding =
        found(one, EVIL, EVIL, CONFLEET__SEVERITY__BLOCK, EVIL "\r\n\"' onclick=x\033[1m");
    finding->title = finding->remedy = finding->rule = text_of(EVIL);
    waived(finding, EVIL);
    finding->waived_by = text_of(EVIL);
    lost->state = text_of(EVIL);
    lost->message = lost->agent = text_of(EVIL);
    const char *text = made(0);
    CHECK(strstr(text, "<script") == NULL);
    CHECK(strstr(text, "\"' onclick") == NULL);
    CHECK_HAS(text, "&lt;script&gt;alert(1)&lt;/script&gt;");
    CHECK_HAS(text, "&quot;&#39; onclick=x?[1m");
    CHECK(strchr(text, '\033') == NULL && strchr(text, '\r') == NULL);
    CHECK_HAS(text, "default-src 'none'");
    CHECK(strstr(text, "http://") == NULL && strstr(text, "https://") == NULL);
}

TEST(waived_cells_are_marked_and_say_by_whom)
{
    sites_clear();
    Confleet__JobSiteView *one = site_made("one"), *two = site_made("two");
    waived(found(one, "platform", "heap", CONFLEET__SEVERITY__BLOCK, "512 MB"), "agreed");
    found(two, "platform", "heap", CONFLEET__SEVERITY__OK, "2 GB");
    const char *text = made(2);
    CHECK_HAS(text, "ok<small>1&nbsp;waived</small>");
    CHECK_HAS(text, "waived by anna until Mon 2026-11-23 03:13 UTC: agreed</small>");
    CHECK(strstr(text, "2 GB") == NULL);
    CHECK_HAS(made(0), "2 GB");
}

TEST(every_link_of_the_page_leads_somewhere)
{
    sites_clear();
    for (size_t i = 0; i < 3; i++) {
        Confleet__JobSiteView *site = site_made(i == 0 ? "one" : i == 1 ? "two" : "three");
        found(site, "platform", "heap", CONFLEET__SEVERITY__WARN, "512 MB");
        found(site, "site", "build-numbers", CONFLEET__SEVERITY__BLOCK, "unequal");
        waived(found(site, "path", "artifact", CONFLEET__SEVERITY__UNKNOWN, "x"), "y");
    }
    const char *text = made(2);
    size_t links = 0;
    for (const char *s = strstr(text, "href=\"#"); s; s = strstr(s + 1, "href=\"#")) {
        CLEANUP(free_mem)
        char *id = text_printf("id=\"%.*s\"", (int)strcspn(s + 7, "\""), s + 7);
        CHECK_HAS(text, id);
        links++;
    }
    CHECK(links > 12);
}
