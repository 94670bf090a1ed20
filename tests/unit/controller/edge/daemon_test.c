#include "controller/edge/daemon.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "controller/edge/setup.h"
#include "harness/test.h"
#include <string.h>

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
