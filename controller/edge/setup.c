#include "controller/edge/setup.h"

#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include "controller/edge/audit.h"
#include "controller/edge/lineage.h"
#include "controller/edge/store_peers.h"
#include <inttypes.h>
#include <string.h>

static int endpoint_check(const char *endpoint, struct err *err)
{
    struct join join;
    if (strncmp(endpoint, "tcp://", 6) != 0 || strlen(endpoint) >= sizeof join.control)
        return err_set(err, FAIL_USAGE, "'%s' is no endpoint such as tcp://controller.example:9310",
                       endpoint);
    return 0;
}

static int keys_of_state(const char *state_dir, struct keys *ret, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(state_dir, STATE_KEY);
    if (fs_exists(path))
        return keys_load(path, ret, err);
    int result = keys_make("controller", ret, err);
    return result == 0 ? keys_save(path, ret, err) : result;
}

static int store_of_state(const char *state_dir, struct store **ret, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(state_dir, STATE_STORE);
    uint8_t random[6];
    char fleet[32] = "fleet-";
    if (fs_exists(path))
        return store_open(path, NULL, ret, err);
    random_bytes(random, sizeof random);
    hex_text(random, sizeof random, fleet + strlen(fleet));
    return store_open(path, fleet, ret, err);
}

struct first {
    struct store *store;
    const struct setup *setup;
    uint8_t token[KEY_SIZE];
    int64_t expires_ms;
};

static int first_tx(void *arg, struct err *err)
{
    struct first *first = arg;
    struct store *store = first->store;
    int64_t admins = 0;
    struct token_spec spec = { "operator", first->setup->operator_name, "init",
                               CONFLEET__ROLE__ADMIN, first->expires_ms };
    int result = db_get_i64(store->db, &admins, NULL, err,
                            "SELECT count(*) FROM operators WHERE state='accepted' AND role=$1",
                            "i", (int64_t)CONFLEET__ROLE__ADMIN);
    if (result == 0 && admins > 0)
        return err_set(err, FAIL_EXISTS,
                       "%s has an admin already, who can enrol others (confleet operator token)",
                       first->setup->state_dir);
    /* A token that was made before and is not used yet must not stay valid beside the new one. */
    if (result == 0)
        result =
            db_run(store->db, err, "DELETE FROM tokens WHERE kind='operator' AND used_ms=0", "");
    if (result == 0)
        result = store_meta_set(store, "control", first->setup->control, err);
    if (result == 0)
        result = store_meta_set(store, "bulk", first->setup->bulk, err);
    if (result == 0)
        result = token_make(store, &spec, first->token, err);
    if (result == 0)
        result = audit_add(store, "controller", "init", err,
                           "fleet %s, control %s, bulk %s, token for admin %s", store->fleet,
                           first->setup->control, first->setup->bulk, first->setup->operator_name);
    return result;
}

static int join_write(const struct first *first, const struct keys *keys, struct err *err)
{
    const struct setup *setup = first->setup;
    struct join join = { .kind = "operator", .expires_ms = first->expires_ms };
    (void)snprintf(join.name, sizeof join.name, "%s", setup->operator_name);
    (void)snprintf(join.fleet, sizeof join.fleet, "%s", first->store->fleet);
    (void)snprintf(join.control, sizeof join.control, "%s", setup->control);
    (void)snprintf(join.bulk, sizeof join.bulk, "%s", setup->bulk);
    memcpy(join.controller_key, keys->curve_public, KEY_SIZE);
    memcpy(join.token, first->token, KEY_SIZE);
    return join_save(setup->join_path, &join, err);
}

int setup_run(const struct setup *setup, struct err *err)
{
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    CLEANUP(store_close) struct store *store = NULL;
    CLEANUP(free_mem) char *artifacts = fs_join(setup->state_dir, STATE_ARTIFACTS);
    int result = endpoint_check(setup->control, err);
    if (result == 0)
        result = endpoint_check(setup->bulk, err);
    if (result == 0 && !text_is_name(setup->operator_name))
        return err_set(err, FAIL_USAGE,
                       "'%s' is no name: small letters, digits, dot, dash, underscore",
                       setup->operator_name);
    if (result == 0 && fs_exists(setup->join_path))
        return err_set(err, FAIL_EXISTS, "%s exists already; a join file is never replaced",
                       setup->join_path);
    if (result == 0)
        result = fs_mkdirs(setup->state_dir, 0700, err);
    if (result == 0)
        result = fs_mkdirs(artifacts, 0700, err);
    if (result == 0)
        result = keys_of_state(setup->state_dir, &keys, err);
    if (result == 0)
        result = store_of_state(setup->state_dir, &store, err);
    if (result != 0)
        return result;
    store->now_ms = clock_wall_ms();
    struct first first = { store, setup, { 0 }, store->now_ms + SETUP_TOKEN_MS };
    result = store_tx(store, first_tx, &first, err);
    return result == 0 ? join_write(&first, &keys, err) : result;
}

struct raise {
    struct store *store;
    uint64_t epoch;
};

static int raise_tx(void *arg, struct err *err)
{
    const struct raise *raise = arg;
    return lineage_adopt(raise->store, raise->epoch, err);
}

int setup_raise_epoch(const char *state_dir, uint64_t epoch, uint64_t *ret_epoch, struct err *err)
{
    CLEANUP(store_close) struct store *store = NULL;
    CLEANUP(free_mem) char *path = fs_join(state_dir, STATE_STORE);
    if (!fs_exists(path))
        return err_set(err, FAIL_NOT_FOUND, "%s does not exist: there is no controller in %s", path,
                       state_dir);
    int result = store_open(path, NULL, &store, err);
    if (result != 0)
        return err_wrap(err, "raise the epoch (no controller may run on the store meanwhile)");
    struct raise raise = { store, epoch };
    store->now_ms = clock_wall_ms();
    result = store_tx(store, raise_tx, &raise, err);
    if (result == 0)
        *ret_epoch = store->epoch;
    return result;
}
