#include "agent/worker/confluence/installation.h"
#include "agent/worker/confluence/process.h"
#include "tree.h"
#include <sys/resource.h>
#include <unistd.h>

/* A made-up /proc with one process; arguments are parted by '|'. */
static const char *with_process(const char *dir, int pid, const char *arguments)
{
    char name[64], bytes[FS_PATH_MAX];
    size_t len = strlen(arguments);
    memcpy(bytes, arguments, len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = bytes[i] == '|' ? '\0' : bytes[i];
    bytes[len] = 0;
    (void)snprintf(name, sizeof name, "proc/%d/cmdline", pid);
    tree_bytes(dir, name, bytes, len ? len + 1 : 0);
    return tree_path(dir, "proc");
}

static pid_t pid_of(const char *dir, const char *proc_root)
{
    struct err err = { 0 };
    pid_t pid = -1;
    CLEANUP(free_mem) char *install = realpath(tree_path(dir, "app"), NULL);
    CHECK_OK(installation_pid(install, proc_root, &pid, &err), err);
    return pid;
}

static const char *arguments_for(const char *dir, const char *before, const char *name,
                                 const char *after)
{
    static char text[FS_PATH_MAX];
    CLEANUP(free_mem) char *real = realpath(dir, NULL);
    (void)snprintf(text, sizeof text, "%s%s/%s%s", before, real, name, after);
    return text;
}

TEST(a_running_tomcat_is_found_by_its_pid_file)
{
    const char *dir = test_dir();
    tree_site(dir);
    tree_file(dir, "app/work/catalina.pid", "4711\n");
    CHECK_INT(
        pid_of(dir, with_process(dir, 4711,
                                 arguments_for(dir, "java|-Dcatalina.base=", "app", "|start"))),
        4711);
}

TEST(a_running_tomcat_is_found_without_a_pid_file)
{
    const char *dir = test_dir();
    tree_site(dir);
    CHECK_INT(
        pid_of(dir, with_process(dir, 4711,
                                 arguments_for(dir, "java|-Dcatalina.home=", "app", "|start"))),
        4711);
}

TEST(a_stale_pid_file_is_none)
{
    const char *dir = test_dir();
    tree_site(dir);
    tree_file(dir, "app/work/catalina.pid", "4711\n");
    CHECK_INT(pid_of(dir, with_process(dir, 99, "init")), 0);
    CHECK_INT(pid_of(dir, with_process(dir, 4711, "sshd: somebody")), 0);
    CHECK_INT(pid_of(dir, with_process(dir, 4711, "")), 0);
    CHECK_INT(pid_of(dir, with_process(dir, 4711,
                                       arguments_for(dir, "java|-Dcatalina.base=", "app2", ""))),
              0);
}

TEST(a_process_of_another_kind_counts_when_the_pid_file_names_it)
{
    const char *dir = test_dir();
    tree_site(dir);
    const char *proc =
        with_process(dir, 4711, arguments_for(dir, "python3|", "app/bin/light.pyz", ""));
    CHECK_INT(pid_of(dir, proc), 0);
    tree_file(dir, "app/work/catalina.pid", "4711");
    CHECK_INT(pid_of(dir, proc), 4711);
}

TEST(a_pid_file_of_setenv_is_followed)
{
    const char *dir = test_dir();
    tree_site(dir);
    tree_file(dir, "app/bin/setenv.sh", "export CATALINA_PID=\"$CATALINA_BASE/temp/c.pid\"\n");
    tree_file(dir, "app/temp/c.pid", "12");
    CHECK_INT(pid_of(dir, with_process(dir, 12, arguments_for(dir, "x|", "app", ""))), 12);
}

TEST(garbage_in_a_pid_file_is_none)
{
    const char *dir = test_dir();
    tree_site(dir);
    const char *proc = with_process(dir, 1, arguments_for(dir, "x|", "app", ""));
    static const char *const garbage[] = { "", "-1", "1x", "99999999999999999999", "0" };
    for (size_t i = 0; i < 5; i++) {
        tree_file(dir, "app/work/catalina.pid", garbage[i]);
        CHECK_INT(pid_of(dir, proc), 0);
    }
}

TEST(a_process_that_cannot_be_looked_at_is_not_taken_for_gone)
{
    const char *dir = test_dir();
    tree_site(dir);
    const char *proc = with_process(dir, 4242, arguments_for(dir, "java|-Dcatalina.base=", "app", "|org.apache.catalina.startup.Bootstrap|start"));
    CLEANUP(free_mem) char *install = realpath(tree_path(dir, "app"), NULL);
    struct rlimit before, one_more;
    struct err err = { 0 };
    pid_t pid = -1;
    int next = dup(2);
    CHECK(next > 0 && close(next) == 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
    one_more = (struct rlimit){ (rlim_t)next + 1, before.rlim_max };     /* the table of processes, and no file beside it */
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &one_more), 0);
    int rc = installation_pid(install, proc, &pid, &err);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(rc, -FAIL_IO);
    CHECK_HAS(err.text, "look whether process 4242 runs from");
    CHECK_INT(pid, -1);
}

TEST(without_a_process_table_the_answer_is_an_error)
{
    const char *dir = test_dir();
    tree_site(dir);
    struct err err = { 0 };
    pid_t pid = 5;
    CHECK_INT(installation_pid(tree_path(dir, "app"), "/nonexistent", &pid, &err), -FAIL_IO);
    CHECK_INT(pid, 5);
}
