#include "controller/edge/same_database.h"
#include "work.h"

static void where_is(const char *agent, const char *where, const char *want)
{
    CLEANUP(free_mem) char *got = same_database_where(agent, where);
    CHECK_STR(got, want);
}

TEST(a_local_database_is_that_of_its_own_host)
{
    where_is("wiki1", "db.example:5432/conf", "db.example:5432/conf");
    where_is("wiki1", "localhost:5432/conf", "wiki1/:5432/conf");
    where_is("wiki1", "LOCALHOST:5432/conf", "wiki1/:5432/conf");
    where_is("wiki2", "127.0.0.1:5432/conf", "wiki2/:5432/conf");
    where_is("wiki2", "[::1]:5432/conf", "wiki2/:5432/conf");
    where_is("wiki2", "hsqldb", "");
    where_is("wiki2", "", "");
}

static void survey_say(struct fleet *fleet, const char *first, const char *second)
{
    Confleet__Survey survey = CONFLEET__SURVEY__INIT;
    Confleet__Installation one = CONFLEET__INSTALLATION__INIT, two = CONFLEET__INSTALLATION__INIT;
    Confleet__Installation *both[] = { &one, &two };
    struct err err = { 0 };
    one.id = word("conf-1");
    one.database_where = word(first);
    two.id = word("conf-2");
    two.database_where = word(second);
    survey.installations = both;
    survey.n_installations = 2;
    CHECK_OK(agent_survey_set(fleet->daemon->store, "wiki1", &survey, &err), err);
}

TEST(sites_that_name_one_database_are_told_to_each_other)
{
    struct fleet fleet = { 0 };
    struct err err = { 0 };
    work_open(&fleet);
    survey_say(&fleet, "localhost:5432/conf", "127.0.0.1:5432/conf");
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct same_database same = { 0 };
    char **names = NULL;
    size_t count = 0;
    CHECK_OK(same_database_read(fleet.daemon->store, &pool, &same, &err), err);
    CHECK_INT(same.count, 2);
    same_database_of(&same, &pool, "docs", &names, &count);
    CHECK_INT(count, 1);
    CHECK_STR(names[0], "help");
    /* A plan with such a site is refused before anything is ordered. */
    struct draft d = { 0 };
    draft_make(&d, &fleet, 2);
    const Confleet__Reply *reply = draft_apply(&d, &fleet);
    CHECK_INT(reply->code, FAIL_BLOCKED);
    CHECK_HAS(reply->message, "same database as site");
    str_free(&d.payload);

    survey_say(&fleet, "localhost:5432/conf", "localhost:5432/other");
    same = (struct same_database){ 0 };
    count = 0;
    CHECK_OK(same_database_read(fleet.daemon->store, &pool, &same, &err), err);
    same_database_of(&same, &pool, "docs", &names, &count);
    CHECK_INT(count, 0);
    fleet_close(&fleet);
}
