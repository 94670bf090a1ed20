#include "confleet/keys.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <sys/stat.h>

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define GOOD                                                                                       \
    "confleet-join-v1\nkind agent\nname app-01\ncontrol tcp://c.example.org:9310\nbulk "           \
    "tcp://c.example.org:9311\n"                                                                   \
    "controller-key " HEX "\nfleet f1\n"

static void check_parses(const char *text, struct join *join)
{
    struct err err = { 0 };
    CHECK_OK(join_parse("j", text, strlen(text), join, &err), err);
}

static void check_refused(const char *text, int code, const char *words)
{
    struct err err = { 0 };
    struct join join = { .name = "untouched" };
    CHECK_INT(join_parse("j", text, strlen(text), &join, &err), -code);
    CHECK_HAS(err.text, words);
    CHECK_STR(join.name, "untouched");
    CHECK(!strstr(err.text, "0011223344"));
}

TEST(a_join_file_is_saved_private_and_read_back)
{
    struct err err = { 0 };
    static struct join join, again;
    check_parses(GOOD "expires 1795407480000\ntoken " HEX "\ntrust ada approver " HEX
                      "\ntrust bob admin " HEX "\n",
                 &join);
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "join");
    CHECK_OK(join_save(path, &join, &err), err);
    struct stat st;
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    CHECK_OK(join_load(path, &again, &err), err);
    CHECK_INT(memcmp(&join, &again, sizeof join), 0);
    CHECK_STR(again.kind, "agent");
    CHECK_STR(again.control, "tcp://c.example.org:9310");
    CHECK_INT(again.expires_ms, 1795407480000);
    CHECK_INT(again.trust_count, 2);
    CHECK_STR(again.trust[1].role, "admin");
    CHECK_INT(again.token[1], 0x11);
}

TEST(without_its_token_the_file_names_whom_to_call_and_whom_to_trust)
{
    struct err err = { 0 };
    static struct join join, again;
    check_parses(GOOD "trust ada approver " HEX, &join); /* no newline at the end */
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "controller");
    CLEANUP(str_free) struct str text = { 0 };
    CHECK_OK(join_save(path, &join, &err), err);
    CHECK_OK(fs_read(path, 65536, &text, &err), err);
    CHECK(!strstr(text.s, "token"));
    CHECK(!strstr(text.s, "expires"));
    CHECK_INT(chmod(path, 0644), 0);
    CHECK_OK(join_load(path, &again, &err), err);
    CHECK_INT(again.trust_count, 1);
}

TEST(a_join_file_whose_token_others_can_read_is_refused)
{
    struct err err = { 0 };
    static struct join join;
    check_parses(GOOD "token " HEX "\n", &join);
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "join");
    CHECK_OK(join_save(path, &join, &err), err);
    CHECK_INT(chmod(path, 0604), 0);
    CHECK_INT(join_load(path, &join, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "mode 0604");
    err_clear(&err);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(join_load(path, &join, &err), -FAIL_NOT_FOUND);
    err_clear(&err);
    CHECK_INT(join_load(test_dir(), &join, &err), -FAIL_USAGE);
}

TEST(errors_name_the_line_and_never_repeat_a_secret)
{
    check_refused("", FAIL_USAGE, "j:1: no \"confleet-join-v1\"");
    check_refused("confleet-join-v1\r\n", FAIL_USAGE, "j:1:");
    check_refused(GOOD "token 0011223344\n", FAIL_USAGE, "j:8: token is not 64 hex digits");
    check_refused(GOOD "tokem " HEX "\n", FAIL_USAGE, "j:8: 'tokem' is no word");
    check_refused(GOOD "fleet f2\n", FAIL_USAGE, "j:8: fleet is given twice");
    check_refused(GOOD "token\n", FAIL_USAGE, "j:8: a word without its value");
    check_refused(GOOD "token  " HEX "\n", FAIL_USAGE, "j:8: a word without its value");
    check_refused(GOOD "\ttoken " HEX "\n", FAIL_USAGE, "j:8: a character that is no plain text");
    check_refused(GOOD "expires soon\n", FAIL_USAGE, "j:8: expires");
    check_refused(GOOD "expires 99999999999999999999\n", FAIL_USAGE, "j:8: expires");
    check_refused(GOOD "trust ada\n", FAIL_USAGE, "j:8: expected");
    check_refused(GOOD "trust ada king " HEX "\n", FAIL_USAGE, "'king' is no role");
    check_refused(GOOD "trust A/b admin " HEX "\n", FAIL_USAGE, "no operator's name");
    check_refused(GOOD "trust ada admin 0011\n", FAIL_USAGE, "j:8: the operator's key");
    check_refused("confleet-join-v1\nkind king\n", FAIL_USAGE, "j:2: kind");
    check_refused("confleet-join-v1\nname ../x\n", FAIL_USAGE, "j:2: '../x' is no name");
    check_refused("confleet-join-v1\ncontrol ipc:///tmp/x\n", FAIL_USAGE,
                  "j:2: 'ipc:///tmp/x' is no address");
    check_refused("confleet-join-v1\n# a remark\n\nkind agent\n", FAIL_USAGE, "j: name is missing");
}

TEST(sizes_and_counts_are_limited)
{
    CLEANUP(str_free) struct str text = { 0 };
    str_add(&text, GOOD);
    for (int i = 0; i <= JOIN_TRUST_MAX; i++)
        str_addf(&text, "trust o%d admin " HEX "\n", i);
    check_refused(text.s, FAIL_LIMIT, "j:72: more than 64 operators");
    str_clear(&text);
    str_add(&text, "confleet-join-v1\n#");
    for (int i = 0; i < 600; i++)
        str_add(&text, "x");
    check_refused(text.s, FAIL_LIMIT, "j:2: a line of more than 512");
    for (int i = 0; i < 70 * 1000; i++)
        str_add(&text, "\n");
    check_refused(text.s, FAIL_LIMIT, "more than 65536 bytes");
    struct err err = { 0 };
    static struct join join;
    CHECK_INT(join_parse("j", "confleet-join-v1\n\0", 18, &join, &err), -FAIL_USAGE);
    CHECK_HAS(err.text, "not a text file");
}

TEST(what_could_not_be_read_back_is_not_saved)
{
    struct err err = { 0 };
    static struct join join;
    check_parses(GOOD, &join);
    (void)snprintf(join.fleet, sizeof join.fleet, "two words");
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "join");
    CHECK_INT(join_save(path, &join, &err), -FAIL_USAGE);
    CHECK(!fs_exists(path));
}
