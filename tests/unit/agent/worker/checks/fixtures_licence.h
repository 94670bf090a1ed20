/* Fixtures of the family licence. */
#pragma once
#include "fixtures.h"

static int32_t licence_day(const char *text)
{
    int32_t day = 0;
    CHECK(licence_day_parse(text, &day));
    return day;
}
static void licence_at(struct facts *facts, const char *target, const char *date)
{
    (void)snprintf(facts->source->target.date, 16, "%s", date);
    (void)snprintf(facts->target_version, sizeof facts->target_version, "%s", target);
}
static void licence_on(struct facts *facts, const char *today)
{
    facts->at_ms = licence_day(today) * 86400000LL;
}
static void licence_waits(struct facts *facts)
{
    facts->licence.waits = FACT_YES;
    facts->licence.waiting = facts->licence.used;
    facts->licence.waiting.maintenance.day = facts->licence.waiting.expiry.day =
        licence_day("2035-01-01");
}

static void licence_hidden(struct facts *facts)
{
    facts->licence.part.known = FACT_UNKNOWN;
    (void)snprintf(facts->licence.part.why, FACT_TEXT, "Permission denied");
}
static void licence_none(struct facts *facts)
{
    facts->licence.used = (struct licence){ .form = LICENCE_NONE };
}
static void licence_broken(struct facts *facts)
{
    facts->licence.used = (struct licence){ .form = LICENCE_UNREADABLE, .why = "it was cut off" };
}
static void licence_old_form(struct facts *facts)
{
    facts->licence.used = (struct licence){ .form = LICENCE_VERSION_1 };
}
static void licence_old_form_old_target(struct facts *facts)
{
    licence_old_form(facts);
    licence_at(facts, "7.19.4", "2022-11-25");
}
static void licence_new_heals(struct facts *facts)
{
    licence_waits(facts);
    licence_none(facts);
}
static void licence_unverified(struct facts *facts)
{
    facts->licence.used.signature = LICENCE_UNVERIFIED;
}
static void licence_signature_broken(struct facts *facts)
{
    facts->licence.used.signature = LICENCE_SIGNATURE_DAMAGED;
}
static void licence_of_app(struct facts *facts)
{
    facts->licence.used.host = false;
    facts->licence.used.app = true;
}
static void licence_of_jira(struct facts *facts)
{
    facts->licence.used.host = false;
    (void)snprintf(facts->licence.used.product, sizeof facts->licence.used.product, "jira");
}
static void licence_evaluation(struct facts *facts)
{
    facts->licence.used.evaluation = true;
}
static void licence_for_tests(struct facts *facts)
{
    facts->licence.used.test = true;
}
static void maintenance_over(struct facts *facts)
{
    facts->licence.used.maintenance.day = licence_day("2026-05-30");
}
static void maintenance_after_band(struct facts *facts)
{
    facts->licence.used.maintenance.day = licence_day("2026-06-05");
}
static void maintenance_band_before(struct facts *facts)
{
    facts->licence.used.maintenance.day = licence_day("2026-05-31");
}
static void maintenance_band_after(struct facts *facts)
{
    facts->licence.used.maintenance.day = licence_day("2026-06-04");
}
static void maintenance_no_target(struct facts *facts)
{
    facts->has_target = false;
}
static void maintenance_no_date(struct facts *facts)
{
    licence_at(facts, "99.1.1", "");
}
static void maintenance_duration(struct facts *facts)
{
    facts->licence.used.maintenance =
        (struct licence_end){ .when = LICENCE_DURATION, .duration_ms = 10800000 };
}
static void maintenance_unlimited(struct facts *facts)
{
    facts->licence.used.maintenance = (struct licence_end){ .when = LICENCE_UNLIMITED };
}
static void maintenance_absent(struct facts *facts)
{
    facts->licence.used.maintenance = (struct licence_end){ .when = LICENCE_ABSENT };
}
static void subscription_over(struct facts *facts)
{
    licence_on(facts, "2031-01-02");
}
static void subscription_yesterday(struct facts *facts)
{
    licence_on(facts, "2031-01-01");
}
static void subscription_soon(struct facts *facts)
{
    licence_on(facts, "2030-12-01");
}
static void subscription_not_soon(struct facts *facts)
{
    licence_on(facts, "2030-11-30");
}
static void subscription_duration(struct facts *facts)
{
    facts->licence.used.expiry =
        (struct licence_end){ .when = LICENCE_DURATION, .duration_ms = 10800000 };
}
static void subscription_without_end(struct facts *facts)
{
    facts->licence.used.expiry = (struct licence_end){ .when = LICENCE_ABSENT };
}
static void subscription_perpetual(struct facts *facts)
{
    subscription_without_end(facts);
    facts->licence.used.data_center = facts->licence.used.subscription = false;
}
static void subscription_perpetual_past(struct facts *facts)
{
    facts->licence.used.data_center = facts->licence.used.subscription = false;
    licence_on(facts, "2031-06-01");
}
static void subscription_unclear(struct facts *facts)
{
    facts->licence.used.expiry = (struct licence_end){ .when = LICENCE_UNCLEAR };
}
static void server_only(struct facts *facts)
{
    facts->licence.used.data_center = false;
}
static void server_before(struct facts *facts)
{
    server_only(facts);
    licence_at(facts, "8.5.31", "2025-12-01");
}
static void server_at(struct facts *facts)
{
    server_only(facts);
    licence_at(facts, "8.6.0", "2023-10-10");
}
static void server_no_target(struct facts *facts)
{
    server_only(facts);
    facts->has_target = false;
}
static void server_strange_target(struct facts *facts)
{
    server_only(facts);
    licence_at(facts, "next", "");
}
static void users_too_many(struct facts *facts)
{
    facts->licence.users = 501;
}
static void users_uncounted(struct facts *facts)
{
    facts->licence.users_known = FACT_UNKNOWN;
    (void)snprintf(facts->licence.users_why, FACT_TEXT, "no table cwd_user");
}
static void users_unlimited(struct facts *facts)
{
    facts->licence.used.users.when = LICENCE_UNLIMITED;
}
static void users_none(struct facts *facts)
{
    facts->licence.used.users = (struct licence_count){ .when = LICENCE_ABSENT };
}
static void users_zero(struct facts *facts)
{
    facts->licence.used.users.value = 0;
}
static void new_better(struct facts *facts)
{
    licence_waits(facts);
}
static void new_same(struct facts *facts)
{
    licence_waits(facts);
    facts->licence.waits_same = true;
}
static void new_broken(struct facts *facts)
{
    licence_waits(facts);
    facts->licence.waiting =
        (struct licence){ .form = LICENCE_UNREADABLE, .why = "it was cut off" };
}
static void new_empty(struct facts *facts)
{
    licence_waits(facts);
    facts->licence.waiting = (struct licence){ .form = LICENCE_NONE };
}
static void new_of_app(struct facts *facts)
{
    licence_waits(facts);
    facts->licence.waiting.host = false;
}
static void new_fewer(struct facts *facts)
{
    licence_waits(facts);
    facts->licence.waiting.users.value = 10;
}
static void new_sooner(struct facts *facts)
{
    licence_waits(facts);
    facts->licence.waiting.expiry.day = licence_day("2029-01-01");
}
static void new_hidden(struct facts *facts)
{
    facts->licence.waits = FACT_UNKNOWN;
    (void)snprintf(facts->licence.waits_why, FACT_TEXT, "Input/output error");
}

static const struct fixture fixtures_licence[] = {
    { "licence-readable", OK, NULL, "Confluence Data Center, COMMERCIAL, 500 users" },
    { "licence-readable", BLOCK, licence_none, "There is no licence" },
    { "licence-readable", BLOCK, licence_broken, "it was cut off" },
    { "licence-readable", BLOCK, licence_old_form, "which 9.2.21 refuses" },
    { "licence-readable", WARN, licence_old_form_old_target, "not confirmed" },
    { "licence-readable", OK, licence_new_heals, "The new licence that waits here: Confluence" },
    { "licence-readable", UNKNOWN, licence_hidden, "Permission denied" },
    { "licence-signature", OK, NULL, "verifies" },
    { "licence-signature", WARN, licence_signature_broken, "damaged" },
    { "licence-signature", UNKNOWN, licence_unverified, "cannot be verified" },
    { "licence-signature", UNKNOWN, licence_broken, "no licence that can be read" },
    { "licence-signature", UNKNOWN, licence_hidden, "Permission denied" },
    { "licence-kind", OK, NULL, "Data Center itself, COMMERCIAL" },
    { "licence-kind", BLOCK, licence_of_app, "for an app" },
    { "licence-kind", BLOCK, licence_of_jira, "another product (jira)" },
    { "licence-kind", WARN, licence_evaluation, "evaluation" },
    { "licence-kind", WARN, licence_for_tests, "not for production" },
    { "licence-kind", UNKNOWN, licence_old_form, "no licence that can be read" },
    { "licence-maintenance", OK, NULL, "Yes: 9.2.21 was released on 2026-06-02" },
    { "licence-maintenance", OK, maintenance_after_band, "3 days before" },
    { "licence-maintenance", OK, maintenance_unlimited, "never ends" },
    { "licence-maintenance", INFO, maintenance_no_target, "released until then" },
    { "licence-maintenance", WARN, maintenance_band_before, "Perhaps" },
    { "licence-maintenance", WARN, maintenance_band_after, "Perhaps" },
    { "licence-maintenance", BLOCK, maintenance_over,
      "No: 9.2.21 was released on 2026-06-02, 3 days" },
    { "licence-maintenance", UNKNOWN, maintenance_no_date, "release date of 99.1.1 is not known" },
    { "licence-maintenance", UNKNOWN, maintenance_duration, "after the first use" },
    { "licence-maintenance", UNKNOWN, maintenance_absent, "none named" },
    { "licence-subscription", OK, NULL, "It ends on 2030-12-31" },
    { "licence-subscription", OK, subscription_not_soon, "in 31 days" },
    { "licence-subscription", OK, subscription_perpetual, "does not end" },
    { "licence-subscription", WARN, subscription_soon, "in 30 days" },
    { "licence-subscription", WARN, subscription_yesterday, "1 day ago" },
    { "licence-subscription", WARN, subscription_duration, "after the first use" },
    { "licence-subscription", WARN, subscription_without_end, "names no end" },
    { "licence-subscription", WARN, subscription_perpetual_past, "not confirmed" },
    { "licence-subscription", BLOCK, subscription_over, "2 days ago" },
    { "licence-subscription", UNKNOWN, subscription_unclear, "unknown way" },
    { "licence-data-center", OK, NULL, "a Data Center licence" },
    { "licence-data-center", OK, server_before, "older than 8.6" },
    { "licence-data-center", INFO, server_no_target, "before 8.6 only" },
    { "licence-data-center", BLOCK, server_only, "9.2.21 runs with Data Center" },
    { "licence-data-center", BLOCK, server_at, "8.6.0 runs with" },
    { "licence-data-center", UNKNOWN, server_strange_target, "cannot be told" },
    { "licence-users", OK, NULL, "for 500 users, and there are at most 120" },
    { "licence-users", OK, users_unlimited, "any number" },
    { "licence-users", WARN, users_too_many, "501 active accounts" },
    { "licence-users", WARN, users_none, "no valid number" },
    { "licence-users", WARN, users_zero, "no valid number" },
    { "licence-users", UNKNOWN, users_uncounted, "no table cwd_user" },
    { "licence-new", OK, NULL, "None waits here" },
    { "licence-new", OK, new_better, "applied while the site is stopped" },
    { "licence-new", OK, new_same, "in use already" },
    { "licence-new", WARN, new_fewer, "fewer users" },
    { "licence-new", WARN, new_sooner, "ends sooner" },
    { "licence-new", BLOCK, new_broken, "it was cut off" },
    { "licence-new", BLOCK, new_empty, "empty" },
    { "licence-new", BLOCK, new_of_app, "none for Confluence itself" },
    { "licence-new", UNKNOWN, new_hidden, "Input/output error" },
    { NULL, UNKNOWN, NULL, NULL },
};
