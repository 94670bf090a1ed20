/* Jars come from strangers: whatever the bytes, an error, or an app with a key whose texts are
 * whole and hold no control characters. The bytes are tried as descriptor and manifest, too. */
#include "agent/worker/confluence/app_jar.h"
#include "agent/worker/confluence/app_state.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
    assert(memchr(text, 0, size) != NULL);
    for (; *text; text++)
        assert((unsigned char)*text >= ' ' && *text != 127);
}

static void check_app(const struct app *app)
{
    check_text(app->key, sizeof app->key);
    check_text(app->name, sizeof app->name);
    check_text(app->version, sizeof app->version);
    check_text(app->vendor, sizeof app->vendor);
    assert(app->generation <= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct app app = { .key = "" };
    struct app_state *states = NULL;
    bool enabled = false;
    const char *bytes = (const char *)data;
    if (app_jar_read_bytes(data, size, &app, NULL) == 0) {
        assert(app.key[0]);
        check_app(&app);
    }
    app = (struct app){ .key = "" };
    if (app_descriptor_parse(bytes, size, &app, NULL) == 0)
        check_app(&app);
    app_manifest_parse(bytes, size, &app);
    check_app(&app);
    if (app_state_parse(bytes, size, &states, NULL) == 0)
        (void)app_state_of(states, "a", &enabled);
    app_state_free(&states);
    return 0;
}
