/* What is known of apps: import and list. */
#include "controller/edge/requests_inside.h"
#include "controller/edge/store_apps.h"

int ask_app_list(struct ask *ask, struct err *err)
{
    struct store_apps apps = { 0 };
    int result = store_apps_read(ask->store, ask->pool, &apps, err);
    ask->reply->apps = apps.list;
    ask->reply->n_apps = apps.count;
    return result;
}

int ask_app_import(struct ask *ask, struct err *err)
{
    const Confleet__AskApps *import = ask->request->app_import;
    if (import->n_entries == 0 && !import->replace)
        return err_set(err, FAIL_USAGE, "nothing was given to be imported");
    int result = store_apps_put(ask->store, import, ask->who, err);
    if (result == 0)
        result = audit_add(ask->store, ask->who, "apps", err, "%zu versions of apps%s, first %s %s",
                           import->n_entries, import->replace ? " in place of all before" : "",
                           import->n_entries ? import->entries[0]->key : "none",
                           import->n_entries ? import->entries[0]->version : "");
    return result;
}
