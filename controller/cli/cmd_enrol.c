#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "controller/cli/client.h"
#include <string.h>

#define ENROL_MS 20000

CLEANUP_OF(join_drop, struct join *, free)

/* The keys are on disk before the token is used: a reply that is lost must not cost the token. A
 * second try with the same token then shows the same keys. */
static int keys_prepare(const char *path, const char *name, struct keys *ret, struct err *err)
{
    if (fs_exists(path)) {
        int result = keys_load(path, ret, err);
        if (result != 0 || strcmp(ret->name, name) == 0)
            return result;
        keys_wipe(ret);
        result = fs_unlink(path, err);
        if (result != 0)
            return result;
    }
    int result = keys_make(name, ret, err);
    return result == 0 ? keys_save(path, ret, err) : result;
}

static int join_read(const char *path, struct join *join, struct err *err)
{
    char when[CLOCK_TEXT_MAX];
    int result = join_load(path, join, err);
    if (result != 0)
        return result;
    if (strcmp(join->kind, "operator") != 0)
        return err_set(err, FAIL_USAGE,
                       "%s is for an %s: use it on that server with: confleet-agent enrol %s", path,
                       join->kind, path);
    if (join->expires_ms != 0 && join->expires_ms < clock_wall_ms())
        return err_set(err, FAIL_EXPIRED, "%s: its token expired at %s; ask for a new one", path,
                       clock_text(join->expires_ms, when));
    return 0;
}

static int tell(struct cli *cli, const char *dir, const struct keys *keys, const struct join *join,
                const struct enrolled *enrolled, struct err *err)
{
    char own[FINGERPRINT_MAX], theirs[FINGERPRINT_MAX], id[KEY_ID_MAX];
    CLEANUP(str_free) struct str text = { 0 };
    keys_fingerprint(keys->curve_public, own);
    keys_fingerprint(join->controller_key, theirs);
    keys_id(keys->sign_public, id);
    str_add(&text, "enrolled as ");
    out_clean(&text, enrolled->name);
    str_addf(&text, " (%s, ", role_word(enrolled->role));
    out_clean(&text, enrolled->state);
    str_addf(
        &text,
        ") with the controller at %s\n  this key        %s\n  signs as        %s\n  controller key "
        " %s\n"
        "  kept in         %s\nCompare both fingerprints with the admin who made the join file.\n",
        join->control, own, id, theirs, dir);
    return out_write(&cli->out, &text, err);
}

int cmd_enrol(struct cli *cli, struct err *err)
{
    const char *dir = NULL;
    CLEANUP(keys_wipe) struct keys keys = { 0 };
    CLEANUP(join_drop) struct join *join = mem_zero(1, sizeof *join);
    struct enrolled enrolled = { 0 };
    int result = cli_home(cli, &dir, err);
    if (result == 0)
        result = join_read(cli->args[0], join, err);
    if (result == 0)
        result = fs_mkdirs(dir, 0700, err);
    if (result != 0)
        return result;
    CLEANUP(free_mem) char *key_path = fs_join(dir, "operator.key");
    CLEANUP(free_mem) char *new_path = fs_join(dir, "operator.key.new");
    CLEANUP(free_mem) char *controller_path = fs_join(dir, "controller");
    if (fs_exists(key_path))
        return err_set(
            err, FAIL_EXISTS,
            "%s exists: this account is enrolled already; give another --home, or remove it "
            "after its key was revoked",
            key_path);
    result = keys_prepare(new_path, join->name, &keys, err);
    if (result == 0)
        result = client_enrol(join, &keys, ENROL_MS, &enrolled, err);
    explicit_bzero(join->token, sizeof join->token);
    if (result == 0)
        result = join_save(controller_path, join, err);
    if (result == 0)
        result = fs_rename(new_path, key_path, err);
    return result == 0 ? tell(cli, dir, &keys, join, &enrolled, err) : err_wrap(err, "enrol");
}
