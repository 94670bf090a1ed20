#include "agent/edge/apps.h"
#include "confleet/app_catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/log.h"
#include <string.h>

int apps_keep(const struct config *config, const Confleet__OrderCheck *check, struct err *err)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = app_catalogue_new();
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str before = { 0 };
    const char *why = NULL;
    if (check->apps_left_out)
        log_warn("apps.left-out", "count=%u why=\"the order had no room for them\"",
                 check->apps_left_out);
    if (check->n_apps == 0 || check->apps_left_out)
        return fs_unlink(config->apps, err);
    for (size_t i = 0; i < check->n_apps; i++)
        if (!app_catalogue_put_wire(catalogue, check->apps[i], &why))
            log_warn("apps.refused", "app=%.100s why=\"%s\"", check->apps[i]->key, why);
    app_catalogue_text(catalogue, &text);
    if (fs_read(config->apps, APP_FILE_MAX, &before, NULL) == 0 && before.len == text.len &&
        memcmp(str_text(&before), str_text(&text), text.len) == 0)
        return 0;
    return fs_write(config->apps, str_text(&text), text.len, 0600, err);
}
