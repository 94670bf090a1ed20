#include "agent/edge/config.h"
#include "lab.h"

static int load(const char *text, struct config *config, struct yaml_report *report,
                struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "agent.yaml");
    CHECK_OK(fs_write(path, text, strlen(text), 0600, err), *err);
    return config_load(path, config, report, err);
}

TEST(the_example_file_is_read_and_allows_no_installation_to_be_changed)
{
    CLEANUP(config_free) struct config config = { 0 };
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    struct err err = { 0 };
    CHECK_OK(config_load("packaging/agent.yaml", &config, &report, &err), err);
    CHECK_STR(config.state_dir, "/var/lib/confleet-agent");
    CHECK_INT(config.policy.operations.count, 4);
    CHECK_INT(policy_allows(&config.policy, OPERATION_UPGRADE, "/opt/conf", &err), -FAIL_DENIED);
}

TEST(an_empty_file_gives_the_defaults_and_allows_only_to_look)
{
    CLEANUP(config_free) struct config config = { 0 };
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    struct err err = { 0 };
    CHECK_OK(load("reserve: 1G\n", &config, &report, &err), err);
    CHECK_INT(config.reserve_bytes, 1 << 30);
    CHECK_INT(config.policy.signatures, 1);
    CHECK_OK(policy_allows(&config.policy, OPERATION_CHECK, "/opt/conf", &err), err);
    CHECK_INT(policy_allows(&config.policy, OPERATION_BACKUP, "/opt/conf", &err), -FAIL_DENIED);
}

TEST(an_operation_that_does_not_exist_is_an_error_at_its_place)
{
    CLEANUP(config_free) struct config config = { 0 };
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    struct err err = { 0 };
    CHECK_INT(load("policy:\n  operations: [check, upgrad]\n", &config, &report, &err),
              -FAIL_USAGE);
    CHECK_HAS(str_text(&report.text), "agent.yaml:2:23: error: 'upgrad' is no operation");
}

TEST(an_unknown_key_is_an_error)
{
    CLEANUP(config_free) struct config config = { 0 };
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    struct err err = { 0 };
    CHECK_INT(load("polcy:\n  signatures: 1\n", &config, &report, &err), -FAIL_USAGE);
    CHECK_HAS(str_text(&report.text), "polcy");
}

TEST(no_signature_at_all_cannot_be_configured)
{
    CLEANUP(config_free) struct config config = { 0 };
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    struct err err = { 0 };
    CHECK_INT(load("policy:\n  signatures: 0\n", &config, &report, &err), -FAIL_USAGE);
}

TEST(versions_compare_by_their_numbers)
{
    CHECK(policy_version_compare("9.2.13", "9.2.4") > 0);
    CHECK(policy_version_compare("9.2", "9.2.0") == 0);
    CHECK(policy_version_compare("8.5.4", "9") < 0);
    CHECK(policy_version_compare("10.0", "9.9.9") > 0);
}
