#include "controller/edge/setup.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/keys.h"
#include "controller/edge/audit.h"
#include "controller/edge/store_peers.h"
#include "harness/test.h"
#include <sys/stat.h>

static struct setup setup_in(const char *dir, const char *join)
{
    return (struct setup){ text_printf("%s/state", dir), "tcp://controller.example:9310",
                           "tcp://controller.example:9311", "anna",
                           text_printf("%s/%s", dir, join) };
}

static void setup_free(struct setup *setup)
{
    free((char *)(uintptr_t)setup->state_dir);
    free((char *)(uintptr_t)setup->join_path);
}

static void tokens_in(const struct setup *setup, int64_t *ret_count)
{
    CLEANUP(free_mem) char *path = fs_join(setup->state_dir, STATE_STORE);
    CLEANUP(store_close) struct store *store = NULL;
    struct err err = { 0 };
    CHECK_OK(store_open(path, NULL, &store, &err), err);
    CHECK_OK(db_get_i64(store->db, ret_count, NULL, &err, "SELECT count(*) FROM tokens", ""), err);
}

TEST(a_new_controller_has_keys_store_artifacts_and_a_join_file_for_its_first_admin)
{
    CLEANUP(setup_free) struct setup setup = setup_in(test_dir(), "anna.join");
    CLEANUP(free_mem) char *key = fs_join(setup.state_dir, STATE_KEY);
    CLEANUP(free_mem) char *artifacts = fs_join(setup.state_dir, STATE_ARTIFACTS);
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    struct join join = { 0 };
    struct err err = { 0 };
    struct stat st;
    CHECK_OK(setup_run(&setup, &err), err);
    CHECK_OK(keys_load(key, &keys, &err), err);
    CHECK_OK(join_load(setup.join_path, &join, &err), err);
    CHECK_STR(join.kind, "operator");
    CHECK_STR(join.name, "anna");
    CHECK_STR(join.control, setup.control);
    CHECK_STR(join.bulk, setup.bulk);
    CHECK_INT(memcmp(join.controller_key, keys.curve_public, KEY_SIZE), 0);
    CHECK(fs_is_dir(artifacts));
    CHECK_INT(stat(setup.state_dir, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0700);
    CHECK_INT(stat(setup.join_path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
}

TEST(a_lost_join_file_is_replaced_by_a_new_token_and_the_old_one_dies)
{
    CLEANUP(setup_free) struct setup setup = setup_in(test_dir(), "anna.join");
    struct join first = { 0 }, second = { 0 };
    struct err err = { 0 };
    int64_t tokens = 0;
    CHECK_OK(setup_run(&setup, &err), err);
    CHECK_OK(join_load(setup.join_path, &first, &err), err);
    CHECK_INT(setup_run(&setup, &err), -FAIL_EXISTS);
    CHECK_HAS(err.text, "never replaced");
    err_clear(&err);
    CHECK_OK(fs_unlink(setup.join_path, &err), err);
    CHECK_OK(setup_run(&setup, &err), err);
    CHECK_OK(join_load(setup.join_path, &second, &err), err);
    CHECK(memcmp(first.token, second.token, KEY_SIZE) != 0);
    CHECK_INT(memcmp(first.controller_key, second.controller_key, KEY_SIZE), 0);
    CHECK_STR(first.fleet, second.fleet);
    tokens_in(&setup, &tokens);
    CHECK_INT(tokens, 1);
}

TEST(a_controller_with_an_admin_gives_no_token_away)
{
    CLEANUP(setup_free) struct setup setup = setup_in(test_dir(), "anna.join");
    CLEANUP(free_mem) char *path = fs_join(setup.state_dir, STATE_STORE);
    CLEANUP(store_close) struct store *store = NULL;
    struct err err = { 0 };
    CHECK_OK(setup_run(&setup, &err), err);
    CHECK_OK(fs_unlink(setup.join_path, &err), err);
    CHECK_OK(store_open(path, NULL, &store, &err), err);
    CHECK_OK(db_run(store->db, &err,
                    "INSERT INTO operators(name, curve_public, sign_public, key_id, role, state, "
                    "created_ms)"
                    " VALUES('anna', 'aa', 'bb', 'cc', 4, 'accepted', 1)",
                    ""),
             err);
    store_close(&store);
    CHECK_INT(setup_run(&setup, &err), -FAIL_EXISTS);
    CHECK_HAS(err.text, "has an admin already");
    CHECK(!fs_exists(setup.join_path));
}

TEST(words_that_cannot_be_right_are_refused_before_anything_is_made)
{
    CLEANUP(setup_free) struct setup setup = setup_in(test_dir(), "anna.join");
    struct err err = { 0 };
    setup.operator_name = "Anna Smith";
    CHECK_INT(setup_run(&setup, &err), -FAIL_USAGE);
    err_clear(&err);
    setup.operator_name = "anna";
    setup.bulk = "controller.example:9311";
    CHECK_INT(setup_run(&setup, &err), -FAIL_USAGE);
    CHECK_HAS(err.text, "controller.example:9311");
    CHECK(!fs_exists(setup.state_dir));
}
