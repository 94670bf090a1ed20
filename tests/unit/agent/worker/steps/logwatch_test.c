#include "agent/worker/steps/logwatch.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"

static void add(const char *path, const char *text)
{
    FILE *file = fopen(path, "a");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* Lines as releases write them (facts 3.1, 4.2, 8). */
#define HEAD "2026-11-23 04:18:00,123 INFO [Catalina-utility-1] [confluence.upgrade.AbstractUpgradeManager] "

TEST(a_good_upgrade_is_recognised_from_its_marks)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "log");
    CLEANUP(logwatch_close) struct logwatch watch;
    add(path, HEAD "Upgrade completed successfully\n");           /* of an earlier upgrade */
    logwatch_open(&watch, path, logwatch_size(path));
    CHECK(!logwatch_poll(&watch));
    add(path, HEAD "Starting automatic upgrade of Confluence\n" HEAD "init Confluence is ready to serve\n");
    CHECK(logwatch_poll(&watch));
    CHECK(watch.upgrade_started && watch.ready && !watch.upgraded && !watch.failed);
    add(path, HEAD "Upgrade compl");
    CHECK(logwatch_poll(&watch));
    CHECK(!watch.upgraded);
    add(path, "eted successfully\n");
    CHECK(logwatch_poll(&watch));
    CHECK(watch.upgraded && !watch.failed);
}

TEST(each_way_to_fail_is_recognised_with_its_words)
{
    static const char *const lines[] = {
        ("FATAL [main] Confluence will not start up because the build number in the home directory [7901] "
         "doesn't match the build number in the database [9109]."),
        "ERROR [main] Upgrade task FooTask failed during the UPGRADE phase due to: ERROR: must be owner of table content",
        "ERROR [main] Pre-upgrade validation failed. Check the Confluence application logs for more details.",
        "ERROR [main] License validation failed.",
        "Unrecognized VM option 'MaxPermSize=256m'",
        "java.lang.UnsupportedClassVersionError: com/atlassian/X has been compiled by a more recent version",
        "Upgrading directly from versions of Confluence prior to 6.0.5 is not supported.",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        CLEANUP(logwatch_close) struct logwatch watch;
        logwatch_open(&watch, "/nowhere", 0);
        logwatch_line(&watch, lines[i]);
        CHECK(watch.failed);
        CHECK_STR(watch.failure, lines[i]);
    }
}

TEST(hints_explain_but_do_not_decide)
{
    CLEANUP(logwatch_close) struct logwatch watch;
    logwatch_open(&watch, "/nowhere", 0);
    logwatch_line(&watch, "SEVERE [main] java.net.BindException: Address already in use");
    logwatch_line(&watch, "WARN [main] the finalized build number in the home directory [9116] is newer than the Confluence build number [9109] WARN ");
    CHECK(!watch.failed);
    CHECK_HAS(watch.failure, "BindException");
    logwatch_line(&watch, "FATAL Unable to start up Confluence. Fatal error during startup sequence: x");
    CHECK(watch.failed);
    CHECK_HAS(watch.failure, "Fatal error");
}

TEST(secrets_of_a_line_are_masked_before_anybody_reads_them)
{
    CLEANUP(logwatch_close) struct logwatch watch;
    logwatch_open(&watch, "/nowhere", 0);
    logwatch_line(&watch, "ERROR Database connection failed: jdbc:postgresql://db/c?user=x&password=hunter2&ssl=true");
    CHECK(!strstr(watch.failure, "hunter2") && !strstr(watch.last, "hunter2"));
    CHECK_HAS(watch.failure, "password=*******&ssl=true");
}

TEST(a_log_that_is_turned_over_loses_no_line)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "log"), *old = text_printf("%s.1", path);
    CLEANUP(logwatch_close) struct logwatch watch;
    add(path, "old\n");
    logwatch_open(&watch, path, logwatch_size(path));
    (void)logwatch_poll(&watch);
    add(path, HEAD "Upgrade completed successfully\n");
    CHECK_INT(rename(path, old), 0);
    add(path, "first of the new file\n");
    CHECK(logwatch_poll(&watch));
    CHECK(watch.upgraded);
    CHECK_STR(watch.last, "first of the new file");
}

TEST(a_log_without_line_ends_stays_bounded)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "log"), *much = mem_zero(1, 300001);
    CLEANUP(logwatch_close) struct logwatch watch;
    memset(much, 'x', 300000);
    add(path, much);
    logwatch_open(&watch, path, 0);
    CHECK(logwatch_poll(&watch));
    CHECK(watch.rest.len <= WATCH_LINE_MAX);
}

TEST(a_log_that_is_a_link_is_not_read)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "log"), *other = fs_join(test_dir(), "other");
    CLEANUP(logwatch_close) struct logwatch watch;
    add(other, "ERROR License validation failed\n");
    CHECK_INT(symlink(other, path), 0);
    CHECK_INT(logwatch_size(path), 0);
    logwatch_open(&watch, path, 0);
    CHECK(!logwatch_poll(&watch));
    CHECK(!watch.failed);
}
