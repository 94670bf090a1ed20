#include "judge.h"

static void not_reached(struct facts *facts, enum fail code, const char *text)
{
    facts->database = (struct fact_database){ .site = { .tried = true, .code = (int)code } };
    (void)snprintf(facts->database.site.text, FACT_TEXT, "%s", text);
    facts->tools.server_known = false;
}

TEST(only_postgresql_is_supported)
{
    static const struct {
        enum database_kind kind;
        Confleet__Severity want;
        const char *words;
    } cases[] = {
        { DATABASE_POSTGRESQL, OK, "db:5432/conf" }, { DATABASE_MYSQL, BLOCK, "not supported yet" },
        { DATABASE_ORACLE, BLOCK, "oracle" },        { DATABASE_SQLSERVER, BLOCK, "sqlserver" },
        { DATABASE_HSQLDB, BLOCK, "trials" },        { DATABASE_H2, BLOCK, "h2" },
        { DATABASE_JNDI, BLOCK, "data source" },     { DATABASE_UNKNOWN, UNKNOWN, "no database" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct facts facts = good_facts();
        facts.site.database.kind = cases[i].kind;
        CHECK_HAS(judged("database-kind", &facts, cases[i].want), cases[i].words);
    }
}

TEST(a_database_that_refuses_or_is_silent_blocks)
{
    struct facts facts = good_facts();
    CHECK_HAS(judged("database-reachable", &facts, OK), "15.20");
    not_reached(&facts, FAIL_DENIED, "wrong password");
    CHECK_HAS(judged("database-reachable", &facts, BLOCK), "wrong password");
    not_reached(&facts, FAIL_UNREACHABLE, "connection refused");
    CHECK_HAS(judged("database-reachable", &facts, BLOCK), "connection refused");
    facts.database.site = (struct fact_connect){ .text = "kind mysql was not asked" };
    CHECK_HAS(judged("database-reachable", &facts, UNKNOWN), "mysql");
    facts = good_facts();
    facts.database.admin =
        (struct fact_connect){ .tried = true, .code = FAIL_DENIED, .text = "no entry" };
    CHECK_HAS(judged("database-reachable", &facts, BLOCK), "database_admin");
}

TEST(without_the_database_its_judges_know_nothing)
{
    static const char *const ids[] = { "database-rights", "database-encoding", "client-tools",
                                       "sessions", "safety" };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct facts facts = good_facts();
        not_reached(&facts, FAIL_UNREACHABLE, "connection refused");
        CHECK_HAS(judged(ids[i], &facts, UNKNOWN), "connection refused");
    }
}

TEST(rights_that_are_missing_block)
{
    struct facts facts = good_facts();
    (void)judged("database-rights", &facts, OK);
    facts.database.owns = FACT_NO;
    (void)snprintf(facts.database.owner, sizeof facts.database.owner, "postgres");
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "postgres");
    facts = good_facts();
    facts.database.foreign = 2;
    (void)snprintf(facts.database.foreign_example, FACT_TEXT, "table public.x of other");
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "table public.x of other");
    facts.database.superuser = FACT_YES;
    CHECK_HAS(judged("database-rights", &facts, INFO), "runs with its rights");
    facts = good_facts();
    facts.database.creates = FACT_NO;
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "create tables");
    facts.database.creates = FACT_UNKNOWN;
    (void)snprintf(facts.database.rights_text, FACT_TEXT, "no table confversion");
    CHECK_HAS(judged("database-rights", &facts, UNKNOWN), "confversion");
    facts = good_facts();
    facts.database.foreign_known = FACT_UNKNOWN;
    (void)judged("database-rights", &facts, UNKNOWN);
}

TEST(other_encodings_than_utf8_block)
{
    struct facts facts = good_facts();
    (void)snprintf(facts.database.encoding, sizeof facts.database.encoding, "SQL_ASCII");
    CHECK_HAS(judged("database-encoding", &facts, BLOCK), "SQL_ASCII");
    facts.database.encoding[0] = 0;
    (void)snprintf(facts.database.rights_text, FACT_TEXT, "hidden");
    CHECK_HAS(judged("database-encoding", &facts, UNKNOWN), "hidden");
}

TEST(client_tools_that_were_refused_block)
{
    struct facts facts = good_facts();
    CHECK_HAS(judged("client-tools", &facts, OK), "15.20");
    facts.tools.code = FAIL_UNSUPPORTED;
    (void)snprintf(facts.tools.text, FACT_TEXT, "14.3 is below");
    CHECK_HAS(judged("client-tools", &facts, BLOCK), "14.3 is below");
}

TEST(a_scratch_place_is_found_in_the_wanted_order)
{
    struct facts facts = good_facts();
    CHECK_HAS(judged("scratch", &facts, OK), "the site's own server");
    facts.database.createdb = FACT_NO;
    CHECK_HAS(judged("scratch", &facts, OK), "throw-away cluster");
    (void)snprintf(facts.scratch, sizeof facts.scratch, "server");
    CHECK_HAS(judged("scratch", &facts, BLOCK), "may not create databases");
    facts.database.superuser = FACT_YES;
    (void)judged("scratch", &facts, OK);
    (void)snprintf(facts.scratch, sizeof facts.scratch, "local");
    CHECK_HAS(judged("scratch", &facts, OK), "throw-away cluster");
    facts.tools.initdb = FACT_NO;
    (void)snprintf(facts.tools.initdb_text, FACT_TEXT, "no initdb in /x");
    CHECK_HAS(judged("scratch", &facts, BLOCK), "no initdb in /x");
    facts.tools.initdb = FACT_UNKNOWN;
    (void)judged("scratch", &facts, UNKNOWN);
    facts = good_facts();
    not_reached(&facts, FAIL_UNREACHABLE, "connection refused");
    facts.tools.initdb = FACT_NO;
    (void)judged("scratch", &facts, UNKNOWN);
}

TEST(a_stopped_site_with_sessions_blocks)
{
    struct facts facts = good_facts();
    (void)judged("sessions", &facts, INFO);
    facts.database.own_addresses = 2;
    CHECK_HAS(judged("sessions", &facts, WARN), "second Confluence");
    facts.database.sessions = 0;
    CHECK_HAS(judged("sessions", &facts, WARN), "another one");
    facts.database.sessions = 3;
    facts.site.pid = 0;
    CHECK_HAS(judged("sessions", &facts, BLOCK), "3 sessions");
    facts.database.sessions = 0;
    (void)judged("sessions", &facts, OK);
    facts.database.sessions_visible = FACT_NO;
    (void)judged("sessions", &facts, UNKNOWN);
    facts.database.sessions_visible = FACT_UNKNOWN;
    (void)judged("sessions", &facts, UNKNOWN);
}

TEST(without_clustersafety_a_warning_is_given)
{
    struct facts facts = good_facts();
    (void)judged("safety", &facts, OK);
    facts.database.safety_table = FACT_NO;
    (void)judged("safety", &facts, WARN);
    facts.database.safety_table = FACT_UNKNOWN;
    (void)snprintf(facts.database.safety_text, FACT_TEXT, "denied");
    CHECK_HAS(judged("safety", &facts, UNKNOWN), "denied");
}
