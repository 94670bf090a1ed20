#include "agent/worker/confluence/database.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CLEANUP(free_mem) char *url = mem_zero(len + 1, 1);
    CLEANUP(database_free) struct database database = { 0 };
    char where[600];
    memcpy(url, bytes, len);
    if (database_parse_url(url, &database, NULL) != 0)
        return 0;
    assert(database.kind != DATABASE_UNKNOWN);
    (void)database_where(&database, where, sizeof where);
    if (database.kind == DATABASE_POSTGRESQL) {
        assert(database.host[0] && database.port[0]);
        assert(atoi(database.port) > 0);
        char **env = database_child_env(&database, NULL, "/x");
        database_child_env_free(&env);
    }
    return 0;
}
