/* Whose a scratch database or folder is, by its name. */
#include "agent/worker/backup/scratch_local.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

static const char *name_of(const char *installation, const char *dbname, char out[64])
{
    struct database database = { .kind = DATABASE_POSTGRESQL };
    (void)snprintf(database.name, sizeof database.name, "%s", dbname);
    struct reach reach = { .database = &database, .admin = "", .admin_passfile = "", .dir = "" };
    struct scratch_spec spec = { .kind = "auto", .reach = &reach, .installation = installation };
    scratch_name(&spec, out);
    return out;
}

TEST(each_installation_and_database_has_a_name_of_its_own)
{
    char one[64], two[64];
    CHECK_STR(name_of("app-1", "wiki", one), name_of("app-1", "wiki", two));
    CHECK(strncmp(one, "confleet_scratch_", 17) == 0);
    CHECK(strcmp(one, name_of("app-2", "wiki", two)) != 0);
    CHECK(strcmp(one, name_of("app-1", "other", two)) != 0);
}

enum { SAME = 10, OTHER, UNABLE };

/* In a child that sees another name, or another machine-id, than this host. */
static int on_another_host(const char *name, const char *machine, const char *here)
{
    char there[64];
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWUTS | CLONE_NEWNS) != 0 ||
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            (name && sethostname(name, strlen(name)) != 0) ||
            (machine && mount(machine, "/etc/machine-id", NULL, MS_BIND, NULL) != 0))
            _exit(UNABLE);
        _exit(strcmp(here, name_of("app-1", "wiki", there)) == 0 ? SAME : OTHER);
    }
    int status = 0;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(two_hosts_that_share_a_server_or_a_folder_never_share_a_name)
{
    char here[64];
    struct err err = { 0 };
    (void)name_of("app-1", "wiki", here);
    int same = on_another_host(NULL, NULL, here);
    if (same == UNABLE)
        TEST_SKIP("no namespaces of its own for this test");
    CHECK_INT(same, SAME);
    CLEANUP(free_mem) char *machine = fs_join(test_dir(), "machine-id");
    CHECK_OK(fs_write(machine, "0123456789abcdef0123456789abcdef\n", 33, 0644, &err), err);
    CHECK_INT(on_another_host("quite-another", NULL, here), OTHER);
    if (access("/etc/machine-id", F_OK) == 0)
        CHECK_INT(on_another_host(NULL, machine, here), OTHER);
}
