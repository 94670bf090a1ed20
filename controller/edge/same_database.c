#include "controller/edge/same_database.h"
#include "confleet/cleanup.h"
#include "confleet/db.h"
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 20 /* told of one site */

static bool is_own_host(const char *host, size_t len)
{
    static const char *const own[] = { "localhost", "localhost.localdomain", "::1", "[::1]" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strlen(own[i]) == len && strncasecmp(own[i], host, len) == 0)
            return true;
    return len > 4 && strncmp(host, "127.", 4) == 0;
}

char *same_database_where(const char *agent, const char *where)
{
    const char *slash = strrchr(where, '/');
    if (!slash)
        return text_dup(""); /* a kind of database that is told without its place */
    const char *colon = slash;
    while (colon > where && *colon != ':')
        colon--;
    size_t host = (size_t)(colon - where);
    if (host == 0 || is_own_host(where, host))
        return text_printf("%s/%s", agent, colon);
    return text_dup(where);
}

struct reading {
    struct pool *pool;
    struct same_database *same;
};

static int node_row(void *arg, const struct db_row *row, struct err *err)
{
    struct reading *reading = arg;
    CLEANUP(pool_free) struct pool pool = { 0 };
    const Confleet__Survey *survey = NULL;
    size_t len = 0;
    const uint8_t *bytes = db_bytes(row, 3, &len);
    if (len == 0)
        return 0;
    int result = pool_survey(&pool, bytes, len, &survey, err);
    for (size_t i = 0; result == 0 && survey && i < survey->n_installations; i++) {
        const Confleet__Installation *found = survey->installations[i];
        if (strcmp(found->id, db_text(row, 2)) != 0)
            continue;
        CLEANUP(free_mem) char *where = same_database_where(db_text(row, 1), found->database_where);
        if (!where[0])
            continue;
        struct same_database_row *item = pool_alloc(reading->pool, sizeof *item);
        item->site = pool_text(reading->pool, db_text(row, 0));
        item->where = pool_text(reading->pool, where);
        pool_push(reading->pool, &reading->same->rows, &reading->same->count, item);
    }
    return result;
}

static int by_where(const void *a, const void *b)
{
    const struct same_database_row *left = *(struct same_database_row *const *)a,
                                   *right = *(struct same_database_row *const *)b;
    int order = strcmp(left->where, right->where);
    return order ? order : strcmp(left->site, right->site);
}

int same_database_read(struct store *store, struct pool *pool, struct same_database *ret,
                       struct err *err)
{
    struct same_database same = { 0 };
    struct reading reading = { pool, &same };
    int result = db_each(store->db, node_row, &reading, err,
                         "SELECT n.site, n.agent, n.installation, a.survey FROM nodes n JOIN "
                         "agents a ON a.name=n.agent",
                         "");
    if (result != 0)
        return result;
    if (same.count > 1)
        qsort((void *)same.rows, same.count, sizeof(void *), by_where);
    *ret = same;
    return 0;
}

void same_database_of(const struct same_database *same, struct pool *pool, const char *site,
                      char ***ret, size_t *ret_count)
{
    for (size_t i = 0; i < same->count; i++) {
        if (strcmp(same->rows[i]->site, site) != 0)
            continue;
        size_t from = i;
        while (from > 0 && strcmp(same->rows[from - 1]->where, same->rows[i]->where) == 0)
            from--;
        for (; from < same->count && strcmp(same->rows[from]->where, same->rows[i]->where) == 0;
             from++)
            if (strcmp(same->rows[from]->site, site) != 0 && *ret_count < NAMES_MAX)
                pool_push(pool, ret, ret_count, pool_text(pool, same->rows[from]->site));
    }
}
