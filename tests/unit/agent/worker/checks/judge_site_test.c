#include "judge.h"

TEST(a_good_site_passes_every_check)
{
    for (const struct check_family *family = check_families; family->name; family++)
        for (const struct check_def *check = family->checks; check->id; check++) {
            struct facts facts = good_facts();
            struct verdict verdict = { .severity = BLOCK };
            check->judge(&facts, &verdict);
            if (verdict.severity != OK && verdict.severity != INFO)
                print_error("%s: %s\n", check->id, verdict.evidence);
            CHECK(verdict.severity == OK || verdict.severity == INFO);
        }
}

TEST(with_nothing_known_no_check_says_ok)
{
    struct facts none = { .site = { .install = (char *)(uintptr_t) "/opt/app", .uid = (uid_t)-1 } };
    /* Its absence is an answer. */
    static const char *const answered[] = { "installer-made" };
    for (const struct check_family *family = check_families; family->name; family++)
        for (const struct check_def *check = family->checks; check->id; check++) {
            struct verdict verdict = { .severity = OK };
            bool skip = false;
            for (size_t i = 0; i < sizeof answered / sizeof *answered; i++)
                skip = skip || strcmp(answered[i], check->id) == 0;
            check->judge(&none, &verdict);
            if (!skip && verdict.severity == OK)
                print_error("%s: %s\n", check->id, verdict.evidence);
            CHECK(skip || verdict.severity != OK);
        }
}

TEST(every_check_that_can_block_has_a_remedy_and_an_id_of_its_own)
{
    for (const struct check_family *family = check_families; family->name; family++)
        for (const struct check_def *check = family->checks; check->id; check++) {
            CHECK(text_is_name(check->id));
            CHECK(check->title[0] != 0);
            CHECK(check_find(check->id) == check);
            CHECK(check->remedy != NULL);
        }
}

TEST(an_unknown_build_is_unknown_and_never_ok)
{
    struct facts facts = good_facts();
    facts.database.build = 0;
    (void)snprintf(facts.database.build_text, FACT_TEXT, "no route");
    CHECK_HAS(judged("build-numbers", &facts, UNKNOWN), "no route");
    facts = good_facts();
    facts.site.app_build = 0;
    CHECK_HAS(judged("build-numbers", &facts, UNKNOWN), "installation");
    facts = good_facts();
    facts.site.home_build = 0;
    CHECK_HAS(judged("build-numbers", &facts, UNKNOWN), "home");
    /* Two that differ are wrong whatever the third may be. */
    facts = good_facts();
    facts.site.app_build = 0;
    facts.site.home_build = 1;
    (void)judged("build-numbers", &facts, BLOCK);
}

TEST(only_a_higher_build_may_follow)
{
    struct facts facts = good_facts();
    (void)judged("version-path", &facts, OK);
    facts.target_build = 9109;
    CHECK_HAS(judged("version-path", &facts, BLOCK), "nothing to upgrade");
    facts.target_build = 9108;
    CHECK_HAS(judged("version-path", &facts, BLOCK), "not an upgrade");
    facts.target_build = 0;
    (void)judged("version-path", &facts, UNKNOWN);
    facts = good_facts();
    facts.site.app_build = 0;
    (void)judged("version-path", &facts, UNKNOWN);
    facts.has_target = false;
    (void)judged("version-path", &facts, INFO);
}

TEST(the_floor_of_8_9_is_kept)
{
    struct facts facts = good_facts();
    (void)snprintf(facts.site.version, sizeof facts.site.version, "6.0.1");
    facts.site.app_build = 7101;
    CHECK_HAS(judged("version-path", &facts, BLOCK), "6.0.5");
    (void)snprintf(facts.target_version, sizeof facts.target_version, "8.9.1");
    (void)judged("version-path", &facts, BLOCK);
    (void)snprintf(facts.target_version, sizeof facts.target_version, "7.19.1");
    (void)judged("version-path", &facts, OK);
    facts.site.app_build = 7103;
    (void)snprintf(facts.target_version, sizeof facts.target_version, "10.2.1");
    (void)judged("version-path", &facts, OK);
}
