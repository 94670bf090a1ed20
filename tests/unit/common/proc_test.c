#include "confleet/proc.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <poll.h>
#include <signal.h>

TEST(output_and_status_of_a_child_are_kept)
{
    const char *argv[] = { "/bin/sh", "-c", "echo out; echo err >&2; exit 7", NULL };
    struct proc_spec spec = { .argv = argv, .timeout_ms = 10000 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    struct err err = { 0 };
    CHECK_OK(proc_run(&spec, &result, &err), err);
    CHECK_INT(result.status, 7);
    CHECK_STR(str_text(&result.out), "out\n");
    CHECK_STR(str_text(&result.err), "err\n");
    CHECK_INT(proc_run_ok(&spec, &result, &err), -FAIL_TOOL);
    CHECK_HAS(err.text, "status 7: err");
}

TEST(a_child_sees_no_environment_but_the_given_one)
{
    const char *argv[] = { "/usr/bin/env", NULL };
    const char *env[] = { "ONLY=this", NULL };
    struct proc_spec spec = { .argv = argv, .env = env, .timeout_ms = 10000 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    struct err err = { 0 };
    CHECK_OK(proc_run(&spec, &result, &err), err);
    CHECK_STR(str_text(&result.out), "ONLY=this\n");
}

TEST(a_program_that_is_not_there_is_an_error_with_its_name)
{
    const char *argv[] = { "/no/such/program", NULL };
    struct proc_spec spec = { .argv = argv };
    struct proc_result result = { 0 };
    struct err err = { 0 };
    CHECK_INT(proc_run(&spec, &result, &err), -FAIL_TOOL);
    CHECK_HAS(err.text, "start /no/such/program: No such file");
}

TEST(a_child_that_overstays_is_stopped_with_its_whole_group)
{
    CLEANUP(free_mem) char *pid_file = fs_join(test_dir(), "pid");
    CLEANUP(free_mem) char *script = text_printf("sleep 300 & echo $! > %s; wait", pid_file);
    const char *argv[] = { "/bin/sh", "-c", script, NULL };
    struct proc_spec spec = { .argv = argv, .timeout_ms = 300 };
    struct proc_result result = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    CHECK_INT(proc_run(&spec, &result, &err), -FAIL_TOOL);
    CHECK_HAS(err.text, "did not end within");
    err_clear(&err);
    CHECK_OK(fs_read(pid_file, 100, &text, &err), err);
    pid_t grandchild = (pid_t)strtol(str_text(&text), NULL, 10);
    CHECK(grandchild > 1);
    int64_t end = clock_mono_ms() + 5000;
    while (kill(grandchild, 0) == 0 && clock_mono_ms() < end) {
        CLEANUP(free_mem) char *stat_path = text_printf("/proc/%d/stat", (int)grandchild);
        CLEANUP(str_free) struct str stat = { 0 };
        struct err ignored = { 0 };
        if (fs_read(stat_path, 4096, &stat, &ignored) != 0 || strstr(str_text(&stat), ") Z"))
            return;      /* gone, or dead and waiting for its new parent */
    }
    CHECK(kill(grandchild, 0) != 0);
}

TEST(only_the_newest_output_of_a_talkative_child_is_kept)
{
    const char *argv[] = { "/bin/sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end", NULL };
    struct proc_spec spec = { .argv = argv, .timeout_ms = 20000 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    struct err err = { 0 };
    CHECK_OK(proc_run(&spec, &result, &err), err);
    CHECK(result.out.len <= PROC_OUTPUT_MAX);
    CHECK_STR(str_text(&result.out) + result.out.len - 4, "end\n");
}

TEST(a_child_with_its_own_session_keeps_its_pipes)
{
    struct err err = { 0 };
    struct proc_child child = { 0, -1, -1, -1, -1, false };
    const char *argv[] = { "/bin/cat", NULL };
    CHECK_OK(proc_start(&(struct proc_spec){ .argv = argv, .session = true }, &child, &err), err);
    CHECK_INT(getsid(child.pid), child.pid);
    CHECK_INT(write(child.pipe_in, "x", 1), 1);
    struct pollfd ready = { child.pipe_out, POLLIN, 0 };
    CHECK_INT(poll(&ready, 1, 10000), 1);
    char got = 0;
    CHECK_INT(read(child.pipe_out, &got, 1), 1);
    CHECK_INT(got, 'x');
    (void)close(child.pipe_in);
    child.pipe_in = -1;
    ready = (struct pollfd){ child.pidfd, POLLIN, 0 };
    CHECK_INT(poll(&ready, 1, 10000), 1);
    int status = -1, killed = -1;
    CHECK_OK(proc_reap(&child, &status, &killed, &err), err);
    CHECK_INT(status, 0);
    proc_child_close(&child);
}

TEST(a_child_cannot_fill_the_disk_with_its_output)
{
    CLEANUP(free_mem) char *path = fs_join(test_dir(), "out");
    const char *argv[] = { "/bin/sh", "-c", "exec head -c 3000000 /dev/zero", NULL };
    struct proc_spec spec = { .argv = argv, .timeout_ms = 20000, .out_path = path, .file_max = 65536 };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    CHECK_OK(proc_run(&spec, &result, &err), err);
    CHECK(result.status != 0);
    CHECK_OK(fs_read(path, 1 << 20, &text, &err), err);
    CHECK_INT(text.len, 65536);
}
