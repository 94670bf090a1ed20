#include "controller/cli/cli.h"
#include "harness/licence.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <fcntl.h>

/* The command as it is typed; what it prints is in ret. */
static int show(const char *licence, const char *option, const char *value, struct str *ret)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "licence");
    CLEANUP(free_mem) char *out = fs_join(test_dir(), "out");
    struct err err = { 0 };
    CHECK_OK(fs_write(path, licence, strlen(licence), 0600, &err), err);
    char words[6][200] = { "confleet", "licence", "show" };
    char *argv[7] = { words[0], words[1], words[2], words[3], NULL };
    int argc = 4;
    (void)snprintf(words[3], sizeof words[3], "%.190s", path);
    (void)snprintf(words[4], sizeof words[4], "%s", option);
    (void)snprintf(words[5], sizeof words[5], "%s", value);
    if (*option)
        argv[argc++] = words[4];
    if (*value)
        argv[argc++] = words[5];
    CHECK(fflush(stdout) == 0);
    int saved = dup(STDOUT_FILENO), fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(saved >= 0 && fd >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
    int status = cli_main(argc, argv);
    CHECK(fflush(stdout) == 0 && dup2(saved, STDOUT_FILENO) == STDOUT_FILENO);
    CHECK(close(saved) == 0 && close(fd) == 0);
    str_clear(ret);
    CHECK_OK(fs_read(out, 65536, ret, &err), err);
    return status;
}

TEST(a_licence_is_judged_without_a_controller_and_its_text_is_not_shown)
{
    struct licence_maker maker;
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str out = { 0 };
    licence_maker_open(&maker);
    licence_make(&maker, LICENCE_GOOD, &text);
    CHECK_INT(show(text.s, "", "", &out), EXIT_PENDING); /* a test key is not the vendor's */
    CHECK_HAS(out.s, "Confluence Data Center, COMMERCIAL, 500 users, maintenance until 2030-12-31");
    CHECK_HAS(out.s, "cannot be verified");
    CHECK(!strstr(out.s, "anary") && !strstr(out.s, "1234567"));
    char part[24];
    (void)snprintf(part, sizeof part, "%.20s", text.s + 40);
    CHECK(!strstr(out.s, part));
    CHECK_INT(show(text.s, "--json", "", &out), EXIT_PENDING);
    CHECK_HAS(out.s, "\"schema\":1");
    CHECK_HAS(out.s, "\"maintenance\":\"2030-12-31\"");
    CHECK(!strstr(out.s, "anary") && !strstr(out.s, part));
    licence_maker_close(&maker);
}

TEST(what_blocks_ends_with_its_own_status)
{
    struct licence_maker maker;
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str out = { 0 };
    licence_maker_open(&maker);
    licence_make(&maker, "plugins.*.active=true\n", &text);
    CHECK_INT(show(text.s, "", "", &out), EXIT_BLOCKED);
    CHECK_HAS(out.s, "for an app, not for Confluence");
    CHECK_INT(show("no licence", "", "", &out), EXIT_BLOCKED);
    CHECK_HAS(out.s, "cannot be read");
    CHECK_INT(show("no licence", "--to", "latest", &out), EXIT_ERROR);
    CHECK_STR(str_text(&out), "");
    licence_maker_close(&maker);
}
