#include "controller/edge/daemon.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "controller/edge/setup.h"
#include "harness/test.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Makes a controller that is dialled at these, and opens it without saying what to bind. */
static int open_dialled_at(const char *control, const char *bulk, struct daemon **ret,
                           struct err *err)
{
    CLEANUP(free_mem)
    char *state = fs_join(test_dir(), "state"), *join = fs_join(test_dir(), "anna.join");
    struct setup setup = { state, control, bulk, "anna", join };
    struct daemon_options options = { .state_dir = state };
    CHECK_OK(link_start(err), *err);
    CHECK_OK(setup_run(&setup, err), *err);
    return daemon_open(&options, ret, err);
}

TEST(a_controller_that_is_dialled_by_name_listens_at_all_addresses)
{
    unsigned port = (unsigned)test_free_port(), other = (unsigned)test_free_port();
    CLEANUP(free_mem)
    char *control = text_printf("tcp://localhost:%u", port),
         *bulk = text_printf("tcp://127.0.0.1:%u", other);
    CLEANUP(free_mem) char *all = text_printf("tcp://0.0.0.0:%u", port);
    CLEANUP(daemon_close) struct daemon *daemon = NULL;
    struct err err = { 0 };
    CHECK_OK(open_dialled_at(control, bulk, &daemon, &err), err);
    CHECK_STR(link_server_endpoint(daemon->control), all);
    CHECK_STR(link_server_endpoint(daemon->bulk), bulk);
    daemon_close(&daemon);
    link_stop();
}

static uint64_t epoch_kept(const char *state)
{
    CLEANUP(store_close) struct store *store = NULL;
    CLEANUP(free_mem) char *path = fs_join(state, STATE_STORE);
    struct err err = { 0 };
    CHECK_OK(store_open(path, NULL, &store, &err), err);
    return store->epoch;
}

TEST(a_controller_whose_port_is_taken_leaves_the_epoch_as_it_is)
{
    CLEANUP(free_mem)
    char *dir = fs_join(test_dir(), "state"), *join = fs_join(test_dir(), "anna.join");
    struct setup setup = { dir, "tcp://127.0.0.1:9310", "tcp://127.0.0.1:9311", "anna", join };
    struct daemon_options options = { .state_dir = dir, .control = "tcp://127.0.0.1:*" };
    struct daemon *daemon = NULL;
    struct err err = { 0 };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    CLEANUP(close_fd) int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(taken, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_INT(listen(taken, 1), 0);
    CHECK_INT(getsockname(taken, (struct sockaddr *)&at, &len), 0);
    CLEANUP(free_mem) char *bulk = text_printf("tcp://127.0.0.1:%u", ntohs(at.sin_port));
    options.bulk = bulk;
    CHECK_OK(link_start(&err), err);
    CHECK_OK(setup_run(&setup, &err), err);
    uint64_t epoch = epoch_kept(dir);
    CHECK_INT(daemon_open(&options, &daemon, &err), -FAIL_BUSY);
    CHECK_HAS(err.text, bulk);
    err_clear(&err);
    CHECK(!daemon);
    CHECK_INT(epoch_kept(dir), epoch);
    close_fd(&taken);
    options.bulk = "tcp://127.0.0.1:*";
    CHECK_OK(daemon_open(&options, &daemon, &err), err);
    CHECK_INT(daemon->store->epoch, epoch + 1);
    daemon_close(&daemon);
    link_stop();
}

TEST(an_address_that_is_not_of_this_machine_is_refused_with_the_option_that_helps)
{
    struct daemon *daemon = NULL;
    struct err err = { 0 };
    CHECK_INT(open_dialled_at("tcp://192.0.2.7:9310", "tcp://192.0.2.7:9311", &daemon, &err),
              -FAIL_IO);
    CHECK(!daemon);
    CHECK_HAS(err.text, "tcp://192.0.2.7:9310");
    CHECK_HAS(err.text, "--control");
    link_stop();
}
