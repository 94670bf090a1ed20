#include "agent/worker/steps/hooks.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "harness/test.h"
#include <sys/stat.h>

struct place { char *root, *dir, *out; Confleet__WorkerNode node; Confleet__WorkerOrder order; };

static void place_free(struct place *p)
{
    free(p->root), free(p->dir), free(p->out);
}

static struct place place_new(const char *when)
{
    struct err err = { 0 };
    struct place p = { .root = fs_join(test_dir(), "hooks") };
    p.dir = text_printf("%s/%s.d", p.root, when);
    p.out = text_printf("%s.out", p.root);
    confleet__worker_node__init(&p.node), confleet__worker_order__init(&p.order);
    p.node.hooks_dir = p.root, p.node.site = (char *)(uintptr_t)"wiki", p.node.install = (char *)(uintptr_t)"/opt/wiki";
    CHECK_OK(fs_mkdirs(p.dir, 0755, &err), err);
    return p;
}

static void hook(const struct place *p, const char *name, const char *body, mode_t mode)
{
    CLEANUP(free_mem) char *path = fs_join(p->dir, name), *text = text_printf("#!/bin/sh\n%s\n", body);
    struct err err = { 0 };
    CHECK_OK(fs_write(path, text, strlen(text), mode, &err), err);
    CHECK_INT(chmod(path, mode), 0);
}

static int run(struct place *p, struct err *err)
{
    p->order.node = &p->node;
    CLEANUP(job_free) struct job *job = job_new(&p->order, -1);
    return hooks_run(job, "pre-stop", "upgrade", err);
}

TEST(hooks_run_in_order_of_names_and_know_why)
{
    CLEANUP(place_free) struct place p = place_new("pre-stop");
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem) char *say = text_printf("echo $0 $CONFLEET_HOOK $CONFLEET_REASON $CONFLEET_SITE | sed 's,.*/,,' >> %s", p.out);
    struct err err = { 0 };
    hook(&p, "20-b", say, 0755);
    hook(&p, "10-a", say, 0755);
    hook(&p, "30-not", say, 0644);
    hook(&p, "40-old~", say, 0755);
    CHECK_OK(run(&p, &err), err);
    CHECK_OK(fs_read(p.out, 1000, &text, &err), err);
    CHECK_STR(str_text(&text), "10-a pre-stop upgrade wiki\n20-b pre-stop upgrade wiki\n");
}

TEST(no_hooks_folder_means_no_hooks)
{
    CLEANUP(place_free) struct place p = place_new("post-start");
    struct err err = { 0 };
    CHECK_OK(run(&p, &err), err);
}

TEST(a_failing_hook_ends_the_row_and_says_so)
{
    CLEANUP(place_free) struct place p = place_new("pre-stop");
    CLEANUP(free_mem) char *touch = text_printf("touch %s", p.out);
    struct err err = { 0 };
    hook(&p, "10-bad", "echo no balancer >&2; exit 3", 0755);
    hook(&p, "20-next", touch, 0755);
    CHECK_INT(run(&p, &err), -FAIL_TOOL);
    CHECK_HAS(err.text, "10-bad");
    CHECK_HAS(err.text, "no balancer");
    CHECK(!fs_exists(p.out));
}

TEST(hooks_that_others_could_have_written_are_refused)
{
    CLEANUP(place_free) struct place p = place_new("pre-stop");
    struct err err = { 0 };
    hook(&p, "10-open", "exit 0", 0777);
    CHECK_INT(run(&p, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "chmod go-w");
    hook(&p, "10-open", "exit 0", 0755);
    CHECK_INT(chmod(p.dir, 0777), 0);
    err = (struct err){ 0 };
    CHECK_INT(run(&p, &err), -FAIL_DENIED);
    CHECK_INT(chmod(p.dir, 0755), 0);
    CLEANUP(free_mem) char *path = fs_join(p.dir, "10-open"), *link = fs_join(p.dir, "05-link");
    CHECK_INT(symlink(path, link), 0);
    err = (struct err){ 0 };
    CHECK_INT(run(&p, &err), -FAIL_DENIED);
}
