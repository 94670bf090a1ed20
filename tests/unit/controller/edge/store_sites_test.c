#include "work.h"

static const Confleet__Reply *cover(struct fleet *fleet, const char *test_site, const char *site)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskSiteSet set = CONFLEET__ASK_SITE_SET__INIT;
    set.name = word(test_site);
    set.covers = word(site);
    request.what_case = CONFLEET__REQUEST__WHAT_SITE_SET;
    request.site_set = &set;
    return end_ask(&fleet->anna, &request);
}

static const Confleet__SiteView *shown(struct fleet *fleet, const char *name)
{
    const Confleet__Reply *reply =
        good(ask_nothing(&fleet->anna, CONFLEET__REQUEST__WHAT_SITE_LIST));
    for (size_t i = 0; i < reply->n_sites; i++)
        if (strcmp(reply->sites[i]->name, name) == 0)
            return reply->sites[i];
    fail();
    return NULL;
}

TEST(a_test_site_stands_for_many_and_each_site_has_one)
{
    struct fleet fleet = { 0 };
    work_open(&fleet);
    good(ask_site_set(&fleet.anna, "sandbox", NULL, NULL, "test"));
    good(cover(&fleet, "sandbox", "docs"));
    good(cover(&fleet, "sandbox", "help"));
    const Confleet__SiteView *view = shown(&fleet, "sandbox");
    CHECK_INT(view->n_covers, 2);
    CHECK_STR(view->covers[0], "docs");
    CHECK_STR(view->covers[1], "help");
    CHECK_STR(shown(&fleet, "docs")->covered_by, "sandbox");
    CHECK_STR(shown(&fleet, "help")->covered_by, "sandbox");
    /* Another test site takes one over. */
    good(ask_site_set(&fleet.anna, "lab", NULL, NULL, "test"));
    good(cover(&fleet, "lab", "help"));
    CHECK_STR(shown(&fleet, "help")->covered_by, "lab");
    CHECK_INT(shown(&fleet, "sandbox")->n_covers, 1);
    CHECK_INT(cover(&fleet, "lab", "lab")->code, FAIL_USAGE);
    CHECK_INT(cover(&fleet, "lab", "nowhere")->code, FAIL_NOT_FOUND);
    fleet_close(&fleet);
}
