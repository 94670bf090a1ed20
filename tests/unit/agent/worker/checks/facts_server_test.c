/* What is gathered from this server's files: made trees, spoilt one thing at a time. */
#include "agent/worker/checks/facts.h"
#include "../confluence/tree.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static Confleet__WorkerNode node;
static Confleet__WorkerOrder order;

static void gather(const char *dir, struct facts *ret)
{
    struct err err = { 0 };
    confleet__worker_order__init(&order);
    order.node = &node;
    CLEANUP(job_free) struct job *job = job_new(&order, -1);
    memset(ret, 0, sizeof *ret);
    CHECK_OK(installation_read(tree_path(dir, "app"), NULL, "/proc", &ret->site, &err), err);
    (void)snprintf(ret->backup_path, sizeof ret->backup_path, "%s", node.backup_dir);
    (void)snprintf(ret->hooks_path, sizeof ret->hooks_path, "%s", node.hooks_dir);
    (void)snprintf(ret->service, sizeof ret->service, "%s", node.service);
    facts_gather_server(job, ret);
}

static const char *made(void)
{
    const char *dir = test_dir();
    confleet__worker_node__init(&node);
    tree_site(dir);
    tree_file(dir, "app/bin/stop-confluence.sh", "#!/bin/sh\n");
    CHECK_INT(chmod(tree_path(dir, "app/bin/start-confluence.sh"), 0755), 0);
    CHECK_INT(chmod(tree_path(dir, "app/bin/stop-confluence.sh"), 0755), 0);
    return dir;
}

TEST(scripts_must_be_executable)
{
    const char *dir = made();
    struct facts facts;
    gather(dir, &facts);
    CHECK_INT(facts.start_script, FACT_YES);
    CHECK_INT(facts.stop_script, FACT_YES);
    facts_free(&facts);
    CHECK_INT(chmod(tree_path(dir, "app/bin/stop-confluence.sh"), 0644), 0);
    node.service = (char *)(uintptr_t) "no-such-unit-here";
    gather(dir, &facts);
    CHECK_INT(facts.stop_script, FACT_NO);
    CHECK_INT(facts.service_exists, FACT_NO);
    facts_free(&facts);
}

TEST(a_hook_that_others_may_write_is_found)
{
    const char *dir = made();
    struct facts facts;
    if (geteuid() != 0)
        TEST_SKIP("hooks must belong to root");
    tree_file(dir, "hooks/pre-stop.d/10-lb", "#!/bin/sh\n");
    node.hooks_dir = tree_path(dir, "hooks");
    CLEANUP(free_mem) char *hook = text_dup(tree_path(dir, "hooks/pre-stop.d/10-lb"));
    CLEANUP(free_mem) char *hooks = text_dup(tree_path(dir, "hooks"));
    CLEANUP(free_mem) char *folder = text_dup(tree_path(dir, "hooks/pre-stop.d"));
    node.hooks_dir = hooks;
    gather(dir, &facts);
    CHECK_INT(facts.hooks, 1);
    CHECK_STR(facts.hooks_bad, "");
    facts_free(&facts);
    CHECK_INT(chmod(hook, 0775), 0);
    gather(dir, &facts);
    CHECK_STR(facts.hooks_bad, hook);
    facts_free(&facts);
    CHECK_INT(chmod(hook, 0755), 0);
    CHECK_INT(chown(folder, 65534, 65534), 0);
    gather(dir, &facts);
    CHECK_STR(facts.hooks_bad, folder);
    facts_free(&facts);
}

TEST(a_guard_and_leftovers_of_a_run_are_found)
{
    const char *dir = made();
    struct facts facts;
    struct err err = { 0 };
    gather(dir, &facts);
    CHECK_INT(facts.guarded, FACT_NO);
    CHECK_STR(facts.leftovers, "");
    CLEANUP(free_mem) char *left = text_printf("%s/.confleet-%s/run-7", dir, facts.site.id);
    facts_free(&facts);
    CHECK_OK(fs_mkdirs(left, 0700, &err), err);
    tree_file(dir, "app/bin/.catalina.sh.confleet", "#!/bin/sh\n");
    tree_file(dir, "app/bin/catalina.sh", "#!/bin/sh\n# confleet-start-guard-v1 1.0\nexit 1\n");
    gather(dir, &facts);
    CHECK_INT(facts.guarded, FACT_YES);
    CHECK_HAS(facts.leftovers, "run-7");
    facts_free(&facts);
    node.stage_dir = left;
    gather(dir, &facts);
    CHECK_STR(facts.leftovers, "");
    facts_free(&facts);
}

TEST(a_link_out_of_the_home_is_found)
{
    const char *dir = made();
    struct facts facts;
    tree_file(dir, "elsewhere/x", "");
    CHECK_INT(symlink(tree_path(dir, "elsewhere"), tree_path(dir, "home/logs")), 0);
    CHECK_INT(symlink("confluence.cfg.xml", tree_path(dir, "home/copy")), 0);
    gather(dir, &facts);
    CHECK_INT(facts.outside_known, FACT_YES);
    CHECK_STR(facts.outside, "");
    CHECK_HAS(facts.outside_allowed, "home/logs is ");
    facts_free(&facts);
    CHECK_INT(symlink(tree_path(dir, "elsewhere"), tree_path(dir, "home/attachments")), 0);
    gather(dir, &facts);
    CHECK_HAS(facts.outside, "home/attachments is ");
    facts_free(&facts);
}

TEST(a_backup_folder_inside_the_home_is_seen)
{
    const char *dir = made();
    struct facts facts;
    tree_file(dir, "home/backups/x", "");
    CLEANUP(free_mem) char *path = text_dup(tree_path(dir, "home/backups"));
    node.backup_dir = path;
    gather(dir, &facts);
    CHECK(facts.backup_inside && facts.backup_dir.is_dir);
    facts_free(&facts);
    node.backup_dir = (char *)(uintptr_t) "/nonexistent/x";
    gather(dir, &facts);
    CHECK_INT(facts.backup_dir.exists, FACT_NO);
    facts_free(&facts);
}

TEST(a_taken_port_is_found_while_confluence_is_stopped)
{
    const char *dir = made();
    struct facts facts;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, len), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    CLEANUP(free_mem)
    char *text =
        text_printf("<Server port=\"-1\"><Service><Connector port=\"%u\"/></Service></Server>",
                    (unsigned)ntohs(address.sin_port));
    tree_file(dir, "app/conf/server.xml", text);
    gather(dir, &facts);
    CHECK_INT(facts.port_taken, FACT_NO);
    facts_free(&facts);
    CHECK_INT(listen(fd, 1), 0);
    gather(dir, &facts);
    CHECK_INT(facts.port_taken, FACT_YES);
    CHECK_INT(facts.taken_port, ntohs(address.sin_port));
    facts_free(&facts);
}
