#include "agent/worker/checks/facts_history.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <sys/stat.h>

static struct facts_history looked(const char *home)
{
    struct installation site = { .home = (char *)(uintptr_t)home };
    struct gather_source source = { .site = &site };
    struct facts_history facts = { .part = { .known = FACT_YES } };
    facts_gather_history(&source, &facts);
    return facts;
}

static void put(const char *home, const char *name, const char *text)
{
    CLEANUP(free_mem) char *path = text_printf("%s/%s", home, name);
    struct err err = { 0 };
    CHECK_OK(fs_write(path, text, strlen(text), 0600, &err), err);
}

TEST(a_home_without_traces_is_known_to_have_none)
{
    struct facts_history facts = looked(test_dir());
    CHECK_INT(facts.recovery_known, FACT_YES);
    CHECK_STR(facts.recovery, "");
    CHECK_INT(facts.finalized_build, 0);
    /* Its database is of no known kind, and nobody may say that it holds no lock. */
    CHECK_INT(facts.lock_known, FACT_UNKNOWN);
    CHECK_HAS(facts.lock_text, "is not known");
}

TEST(the_recovery_file_of_the_highest_target_is_found)
{
    const char *home = test_dir();
    CLEANUP(free_mem) char *dir = text_printf("%s/recovery", home);
    CHECK_INT(mkdir(dir, 0700), 0);
    put(home, "recovery/upgradeRecoveryFile-9000-9109-before.xml.gz", "");
    put(home, "recovery/upgradeRecoveryFile-9109-9116-before-2.xml.gz", "");
    put(home, "recovery/upgradeRecoveryFile-99999999999999-1-before.xml.gz", "");
    put(home, "recovery/upgradeRecoveryFile-9109-", "");
    put(home, "recovery/upgradeRecoveryFile-x-y-before", "");
    put(home, "recovery/other", "");
    put(home, "confluence.cfg.xml",
        "<confluence-configuration><setupStep>complete</setupStep><buildNumber>9109</buildNumber>"
        "<properties><property name=\"finalizedBuildNumber\">9100</property></properties>"
        "</confluence-configuration>");
    struct facts_history facts = looked(home);
    CHECK_STR(facts.recovery, "upgradeRecoveryFile-9109-9116-before-2.xml.gz");
    CHECK_INT(facts.recovery_from, 9109);
    CHECK_INT(facts.recovery_to, 9116);
    CHECK_INT(facts.finalized_build, 9100);
}

TEST(what_cannot_be_listed_is_unknown_with_the_reason)
{
    const char *home = test_dir();
    put(home, "recovery", "a file where a folder should be");
    struct facts_history facts = looked(home);
    CHECK_INT(facts.recovery_known, FACT_UNKNOWN);
    CHECK_HAS(facts.recovery_text, "/recovery: Not a directory");
    facts = looked(NULL);
    CHECK_INT(facts.part.known, FACT_UNKNOWN);
    CHECK_HAS(facts.part.why, "home is not known");
}
