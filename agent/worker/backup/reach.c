#include "reach.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "contents.h"
#include <string.h>

int reach_connect(const struct reach *reach, const char *dbname_or_null, PGconn **ret,
                  struct err *err)
{
    return database_connect(reach->database, dbname_or_null, reach->admin,
                            reach->admin_passfile[0] ? reach->admin_passfile : NULL,
                            CONTENTS_LIMIT_S, ret, err);
}

static inline void conninfo_drop(PQconninfoOption **options)
{
    if (*options)
        PQconninfoFree(*options);
    *options = NULL;
}

static bool is_for_child(const PQconninfoOption *option)
{
    static const char *const not_these[] = { "password", "service",  "dbname",
                                             "options",  "passfile", "application_name" };
    for (size_t i = 0; i < sizeof not_these / sizeof *not_these; i++)
        if (strcmp(option->keyword, not_these[i]) == 0)
            return false;
    return option->val && option->val[0] && option->envvar;
}

/* The site's own place with what the admin's text replaces; a later variable of the same name would
 * not win, so names are looked for. */
static int add_admin(const struct reach *reach, char **env, size_t *count, size_t cap,
                     struct err *err)
{
    char *message = NULL;
    CLEANUP(conninfo_drop) PQconninfoOption *parsed = PQconninfoParse(reach->admin, &message);
    PQfreemem(message); /* quotes the text, so it is not told */
    if (!parsed)
        return err_set(err, FAIL_USAGE,
                       "database_admin is not a libpq connection text (keyword=value …)");
    for (const PQconninfoOption *option = parsed; option->keyword; option++) {
        if (!is_for_child(option))
            continue;
        size_t len = strlen(option->envvar), at = 0;
        while (at < *count && (strncmp(env[at], option->envvar, len) != 0 || env[at][len] != '='))
            at++;
        if (at + 1 >= cap)
            return err_set(err, FAIL_LIMIT, "database_admin has too many keywords");
        free(env[at]);
        env[at] = text_printf("%s=%s", option->envvar, option->val);
        if (at == *count)
            (*count)++;
    }
    return 0;
}

int reach_env(const struct reach *reach, const char *dbname_or_null, const char *options,
              char ***ret, struct err *err)
{
    enum { ENV_MAX = 64 };
    CLEANUP(free_mem) char *passfile = NULL;
    bool admin = reach->admin[0] != '\0';
    if (admin && reach->admin_passfile[0])
        passfile = text_dup(reach->admin_passfile);
    if (!admin && reach->database->password) {
        int rc = database_passfile(reach->database, reach->dir, &passfile, err);
        if (rc != 0)
            return rc;
    }
    CLEANUP(database_child_env_free)
    char **env = database_child_env(reach->database, dbname_or_null, passfile);
    size_t count = 0;
    while (env[count])
        count++;
    env = mem_grow(env, ENV_MAX, sizeof *env);
    memset(env + count, 0, (ENV_MAX - count) * sizeof *env);
    if (!passfile)
        env[count++] = text_dup("PGPASSFILE=/nonexistent/confleet-no-passfile");
    if (options)
        env[count++] = text_printf("PGOPTIONS=%s", options);
    int rc = admin ? add_admin(reach, env, &count, ENV_MAX, err) : 0;
    if (rc != 0)
        return rc;
    *ret = TAKE(env);
    return 0;
}

void reach_end(const struct reach *reach)
{
    if (reach->admin[0] || !reach->database->password)
        return;
    CLEANUP(free_mem) char *path = fs_join(reach->dir, "pgpass");
    struct err ignored = { 0 };
    if (fs_unlink(path, &ignored) != 0)
        return; /* it stays 0600 in a 0700 folder; the run's end removes that */
}
