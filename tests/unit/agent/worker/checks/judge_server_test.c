#include "judge.h"

TEST(needs_on_one_file_system_are_added_up)
{
    struct facts facts = good_facts();
    facts.places[0].free_bytes = facts.places[1].free_bytes = 4000;
    (void)judged("space", &facts, OK);
    facts.places[1].dev = facts.places[0].dev;
    (void)judged("space", &facts, BLOCK);
}

TEST(room_on_a_database_server_that_cannot_be_seen_is_unknown_unless_something_blocks)
{
    struct facts facts = good_facts();
    facts.database.room_known = FACT_UNKNOWN;
    facts.database.bytes = 5000000;
    facts.database.wal_bytes = 1000000;
    (void)snprintf(facts.database.room_text, FACT_TEXT,
                   "the server's folder /d is not on this host");
    const char *evidence = judged("space", &facts, UNKNOWN);
    CHECK_HAS(evidence, "the backup: ");
    CHECK_HAS(evidence, "Whether the database server has 6.0 MB for the way back");
    CHECK_HAS(evidence, "/d is not on this host");
    facts.places[0].free_bytes = 1;
    (void)judged("space", &facts, BLOCK);
}

TEST(an_artifact_of_another_size_blocks)
{
    struct facts facts = good_facts();
    (void)judged("artifact", &facts, OK);
    facts.artifact_bytes = 99;
    CHECK_HAS(judged("artifact", &facts, BLOCK), "99 bytes");
    facts.artifact_bytes = 0;
    CHECK_HAS(judged("artifact", &facts, BLOCK), "empty");
    facts.artifact_path.exists = FACT_NO;
    CHECK_HAS(judged("artifact", &facts, BLOCK), "does not exist");
    facts.artifact_path.exists = FACT_UNKNOWN;
    (void)judged("artifact", &facts, UNKNOWN);
    facts.has_artifact = false;
    (void)judged("artifact", &facts, INFO);
}
