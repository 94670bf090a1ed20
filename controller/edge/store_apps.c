#include "controller/edge/store_apps.h"
#include "confleet/app_catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/wire.h"

static char *lend(const char *text)
{
    return (char *)(uintptr_t)text;
}

static int app_row(void *arg, const struct db_row *row, struct err *err)
{
    struct app_catalogue *catalogue = arg;
    Confleet__AppEntry entry = CONFLEET__APP_ENTRY__INIT;
    const char *why = NULL;
    entry.key = lend(db_text(row, 0));
    entry.version = lend(db_text(row, 1));
    entry.from = lend(db_text(row, 2));
    entry.to = lend(db_text(row, 3));
    entry.name = lend(db_text(row, 4));
    entry.data_center = lend(db_text(row, 5));
    entry.blocks = db_i64(row, 6) != 0;
    entry.source = lend(db_text(row, 7));
    entry.date = lend(db_text(row, 8));
    if (!app_catalogue_put_wire(catalogue, &entry, &why))
        return err_set(err, FAIL_CORRUPT, "the store's entry of app %.100s is none: %s", entry.key,
                       why);
    return 0;
}

static int apps_all(struct store *store, struct app_catalogue **ret, struct err *err)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = app_catalogue_new();
    int result = db_each(store->db, app_row, catalogue, err,
                         "SELECT key, version, low, high, name, data_center, blocks, source, day "
                         "FROM apps",
                         "");
    if (result == 0)
        *ret = TAKE(catalogue);
    return result;
}

static int entry_put(struct store *store, const struct app_entry *entry, const char *who,
                     struct err *err)
{
    return db_run(store->db, err,
                  "INSERT INTO apps(key, version, low, high, name, data_center, blocks, source, "
                  "day, made_by, at_ms) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
                  " ON CONFLICT(key, version, low, high) DO UPDATE SET name=excluded.name,"
                  " data_center=excluded.data_center, blocks=excluded.blocks,"
                  " source=excluded.source, day=excluded.day, made_by=excluded.made_by,"
                  " at_ms=excluded.at_ms",
                  "ttttttittti", entry->key, entry->version, entry->from, entry->to, entry->name,
                  entry->data_center, (int64_t)entry->blocks, entry->source, entry->date, who,
                  store->now_ms);
}

static int apps_bound(struct store *store, struct err *err)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = NULL;
    const struct app_entry *entry = NULL;
    size_t bytes = 0, count = 0;
    int result = apps_all(store, &catalogue, err);
    if (result != 0)
        return result;
    for (; (entry = app_catalogue_at(catalogue, count)) != NULL; count++) {
        Confleet__AppEntry wire;
        app_entry_wire(entry, &wire);
        bytes += confleet__app_entry__get_packed_size(&wire) + 4;
    }
    if (count > STORE_APPS_MAX || bytes > STORE_APPS_BYTES_MAX)
        return err_set(err, FAIL_LIMIT,
                       "that would come to %zu versions of apps in %zu bytes; at most %d in %d "
                       "bytes are kept: leave out those of apps that no site has, or of releases "
                       "that nobody goes to",
                       count, bytes, STORE_APPS_MAX, STORE_APPS_BYTES_MAX);
    return 0;
}

int store_apps_put(struct store *store, const Confleet__AskApps *import, const char *who,
                   struct err *err)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *given = app_catalogue_new();
    const char *why = NULL;
    const struct app_entry *entry = NULL;
    int result = 0;
    for (size_t i = 0; i < import->n_entries; i++)
        if (!app_catalogue_put_wire(given, import->entries[i], &why))
            return err_set(err, FAIL_USAGE, "app %.100s, version %.60s: %s",
                           import->entries[i]->key, import->entries[i]->version, why);
    if (import->replace)
        result = db_run(store->db, err, "DELETE FROM apps", "");
    for (size_t i = 0; result == 0 && (entry = app_catalogue_at(given, i)) != NULL; i++)
        result = entry_put(store, entry, who, err);
    return result == 0 ? apps_bound(store, err) : result;
}

int store_apps_read(struct store *store, struct pool *pool, struct store_apps *ret, struct err *err)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = NULL;
    struct store_apps found = { 0 };
    const struct app_entry *entry = NULL;
    int result = apps_all(store, &catalogue, err);
    if (result != 0)
        return result;
    for (size_t i = 0; (entry = app_catalogue_at(catalogue, i)) != NULL; i++) {
        Confleet__AppEntry *wire = pool_alloc(pool, sizeof *wire);
        app_entry_wire(pool_copy(pool, entry, sizeof *entry), wire);
        pool_push(pool, &found.list, &found.count, wire);
    }
    *ret = found;
    return 0;
}
