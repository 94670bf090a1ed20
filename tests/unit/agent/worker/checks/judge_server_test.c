#include "judge.h"

TEST(the_run_user_must_exist_and_own_the_home)
{
    struct facts facts = good_facts();
    (void)judged("run-user", &facts, OK);
    facts.user_exists = FACT_NO;
    CHECK_HAS(judged("run-user", &facts, BLOCK), "does not exist");
    facts = good_facts();
    facts.home_uid = 0;
    CHECK_HAS(judged("run-user", &facts, BLOCK), "user id 0");
    facts = good_facts();
    facts.process_uid = 0;
    CHECK_HAS(judged("run-user", &facts, BLOCK), "pid 77");
    facts = good_facts();
    facts.home_uid_known = FACT_UNKNOWN;
    (void)judged("run-user", &facts, UNKNOWN);
    facts = good_facts();
    facts.site.uid = facts.home_uid = facts.process_uid = 0;
    CHECK_HAS(judged("run-user", &facts, BLOCK), "runs as root");
    facts.home_uid = facts.process_uid = 1000;
    CHECK_HAS(judged("run-user", &facts, BLOCK), "runs as root");
}

TEST(too_little_room_blocks)
{
    struct facts facts = good_facts();
    CHECK_HAS(judged("space", &facts, OK), "the backup");
    facts.places[0].free_bytes = 3599;
    CHECK_HAS(judged("space", &facts, BLOCK), "/backup");
    facts = good_facts();
    facts.places[1].free_files = 99;
    CHECK_HAS(judged("space", &facts, BLOCK), "files");
    facts.places[1].files_limited = false;
    (void)judged("space", &facts, OK);
}

TEST(needs_on_one_file_system_are_added_up)
{
    struct facts facts = good_facts();
    facts.places[0].free_bytes = facts.places[1].free_bytes = 4000;
    (void)judged("space", &facts, OK);
    facts.places[1].dev = facts.places[0].dev;
    (void)judged("space", &facts, BLOCK);
}

TEST(sizes_that_are_not_known_are_no_room)
{
    struct facts facts = good_facts();
    facts.database.bytes_known = false;
    CHECK_HAS(judged("space", &facts, UNKNOWN), "the database");
    facts = good_facts();
    facts.places[1].known = FACT_UNKNOWN;
    CHECK_HAS(judged("space", &facts, UNKNOWN), "the new version");
    facts.places[0].free_bytes = 1;
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

TEST(a_service_that_cannot_be_started_blocks)
{
    struct facts facts = good_facts();
    (void)judged("service", &facts, OK);
    facts.stop_script = FACT_NO;
    CHECK_HAS(judged("service", &facts, BLOCK), "stop-confluence.sh");
    facts.start_script = FACT_NO;
    CHECK_HAS(judged("service", &facts, BLOCK), "start-confluence.sh");
    facts.start_script = FACT_UNKNOWN, facts.stop_script = FACT_YES;
    (void)judged("service", &facts, UNKNOWN);
    facts = good_facts();
    (void)snprintf(facts.service, sizeof facts.service, "confluence");
    facts.service_exists = FACT_NO;
    CHECK_HAS(judged("service", &facts, BLOCK), "unit confluence");
    facts.service_exists = FACT_YES;
    CHECK_HAS(judged("service", &facts, OK), "Unit confluence");
    facts.service_exists = FACT_UNKNOWN;
    (void)judged("service", &facts, UNKNOWN);
}

TEST(a_hook_that_others_can_change_blocks)
{
    struct facts facts = good_facts();
    facts.hooks = 1;
    (void)judged("hooks", &facts, OK);
    (void)snprintf(facts.hooks_bad, FACT_TEXT, "/etc/x/pre-stop.d/a");
    CHECK_HAS(judged("hooks", &facts, BLOCK), "/etc/x/pre-stop.d/a");
    facts.hooks_known = FACT_UNKNOWN;
    (void)judged("hooks", &facts, UNKNOWN);
}

TEST(installer_and_java_are_told)
{
    struct facts facts = good_facts();
    (void)judged("installer-made", &facts, OK);
    facts.site.installer_made = true;
    CHECK_HAS(judged("installer-made", &facts, INFO), "keystore");
    (void)judged("java", &facts, INFO);
    facts.site.java[0] = 0;
    (void)judged("java", &facts, UNKNOWN);
}

TEST(a_port_that_somebody_else_has_blocks)
{
    struct facts facts = good_facts();
    (void)judged("ports", &facts, OK);
    facts.site.pid = 0;
    CHECK_HAS(judged("ports", &facts, OK), "free");
    facts.port_taken = FACT_YES, facts.taken_port = 8090;
    CHECK_HAS(judged("ports", &facts, BLOCK), "8090");
    facts.port_taken = FACT_UNKNOWN;
    (void)judged("ports", &facts, UNKNOWN);
    facts.site.http_port = 0;
    (void)judged("ports", &facts, UNKNOWN);
}
