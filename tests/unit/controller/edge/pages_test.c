/* Lists that grow with the fleet come in pages: each fits in a frame, together they are the whole
 * list, each row once. */
#include "work.h"

static const Confleet__Reply *ask_page(struct end *end, Confleet__Request__WhatCase what,
                                       const char *after, uint32_t limit)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__Nothing nothing = CONFLEET__NOTHING__INIT;
    request.what_case = what;
    request.ping = &nothing;
    request.after = word(after);
    request.limit = limit;
    return good(end_ask(end, &request));
}

static const Confleet__Reply *ask_job_page(struct end *end, const char *id, const char *after,
                                           uint32_t limit, bool brief)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskJob job = CONFLEET__ASK_JOB__INIT;
    job.id = word(id);
    job.brief = brief;
    request.what_case = CONFLEET__REQUEST__WHAT_JOB;
    request.job = &job;
    request.after = word(after);
    request.limit = limit;
    return good(end_ask(end, &request));
}

TEST(a_list_of_sites_goes_on_where_a_page_ended)
{
    struct fleet fleet = { 0 };
    char next[64];
    work_open(&fleet);
    good(ask_site_set(&fleet.anna, "aaa", NULL, NULL, "test"));
    const Confleet__Reply *reply =
        ask_page(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_LIST, "", 2);
    CHECK_INT(reply->n_sites, 2);
    CHECK_STR(reply->sites[0]->name, "aaa");
    CHECK_STR(reply->sites[1]->name, "docs");
    (void)snprintf(next, sizeof next, "%s", reply->next);
    CHECK_STR(next, "docs");
    /* A site that comes meanwhile before the place is not missed for ever, and doubles nothing. */
    good(ask_site_set(&fleet.anna, "bbb", NULL, NULL, "test"));
    reply = ask_page(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_LIST, next, 2);
    CHECK_INT(reply->n_sites, 1);
    CHECK(strcmp(reply->sites[0]->name, "docs") > 0);
    CHECK_STR(reply->next, "");
    CHECK_INT(ask_page(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_LIST, "zzz", 0)->n_sites, 0);
    CHECK_INT(ask_page(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_LIST, "", 0)->n_sites, 4);
    fleet_close(&fleet);
}

TEST(a_list_of_agents_and_one_of_rollouts_end_with_the_last_page)
{
    struct fleet fleet = { 0 };
    work_open(&fleet);
    const Confleet__Reply *reply =
        ask_page(&fleet.anna, CONFLEET__REQUEST__WHAT_AGENT_LIST, "", 1);
    CHECK_INT(reply->n_agents, 1);
    CHECK_STR(reply->next, "");
    CHECK_INT(ask_page(&fleet.anna, CONFLEET__REQUEST__WHAT_AGENT_LIST, "wiki1", 1)->n_agents, 0);
    reply = ask_page(&fleet.anna, CONFLEET__REQUEST__WHAT_ROLLOUT_LIST, "", 1);
    CHECK_INT(reply->n_rollouts, 0);
    CHECK_STR(reply->next, "");
    CHECK_INT(ask_page(&fleet.anna, CONFLEET__REQUEST__WHAT_ROLLOUT_LIST, "gone", 1)->n_rollouts,
              0);
    fleet_close(&fleet);
}

TEST(the_fleet_may_be_larger_than_what_a_frame_holds)
{
    struct fleet fleet = { 0 };
    char after[64] = "", name[64], last[64] = "";
    size_t seen = 0, pages = 0;
    work_open(&fleet);
    for (int i = 0; i < 600; i++) {
        (void)snprintf(name, sizeof name, "site-%03d", i);
        good(ask_site_set(&fleet.anna, name, NULL, NULL, "test"));
    }
    do {
        const Confleet__Reply *reply =
            ask_page(&fleet.anna, CONFLEET__REQUEST__WHAT_SITE_LIST, after, 0);
        CHECK(reply->n_sites > 0);
        for (size_t i = 0; i < reply->n_sites; i++) {
            CHECK(strcmp(last, reply->sites[i]->name) < 0);
            (void)snprintf(last, sizeof last, "%s", reply->sites[i]->name);
        }
        seen += reply->n_sites;
        pages++;
        (void)snprintf(after, sizeof after, "%s", reply->next);
    } while (after[0] != '\0');
    CHECK_INT(seen, 602);
    CHECK(pages > 1);
    fleet_close(&fleet);
}

TEST(a_job_has_the_state_of_all_its_sites_on_each_page)
{
    struct fleet fleet = { 0 };
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskCheck check = CONFLEET__ASK_CHECK__INIT;
    char id[64];
    work_open(&fleet);
    good(ask_site_set(&fleet.anna, "aaa", NULL, NULL, "test"));
    request.what_case = CONFLEET__REQUEST__WHAT_CHECK;
    request.check = &check;
    (void)snprintf(id, sizeof id, "%s", good(end_ask(&fleet.anna, &request))->job->id);
    /* Of two orders of one moment, either may come first. */
    const Confleet__Order *order = hear_order(&fleet.agent);
    if (strcmp(order->check->site, "docs") != 0)
        order = hear_order(&fleet.agent);
    CHECK_STR(order->check->site, "docs");
    say_order_ack(&fleet.agent, order->id, 0, "");
    struct about about = { 2, order->id, "docs", NULL };
    CHECK_INT(say_check(&fleet.agent, about, CONFLEET__SEVERITY__WARN), 2);
    const Confleet__Reply *reply = ask_job_page(&fleet.anna, id, "", 1, false);
    CHECK_STR(reply->job->state, "running"); /* though the site on this page has failed at once */
    CHECK_INT(reply->job->n_sites, 1);
    CHECK_STR(reply->job->sites[0]->state, "failed");
    CHECK_STR(reply->next, "aaa");
    reply = ask_job_page(&fleet.anna, id, "aaa", 0, true);
    CHECK_INT(reply->job->n_sites, 2);
    CHECK_STR(reply->job->sites[0]->site, "docs");
    CHECK_INT(reply->job->sites[0]->n_findings, 0);
    CHECK_STR(reply->next, "");
    CHECK(ask_job_page(&fleet.anna, id, "aaa", 1, false)->job->sites[0]->n_findings > 0);
    fleet_close(&fleet);
}
