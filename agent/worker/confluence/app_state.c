#include "agent/worker/confluence/app_state.h"
#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct switched {
    char *key;
    bool enabled;
};
struct app_state {
    struct switched *items;
    size_t count;
};

static int order(const void *a, const void *b)
{
    return strcmp(((const struct switched *)a)->key, ((const struct switched *)b)->key);
}

static void add(struct app_state *state, const char *key, bool enabled)
{
    state->items = mem_grow(state->items, state->count + 1, sizeof *state->items);
    state->items[state->count++] = (struct switched){ text_dup(key), enabled };
}

/* <entry><string>KEY</string><boolean>false</boolean></entry>; the value may be an object that
 * holds <enabled>false</enabled>. Keys with a colon are modules of apps. One pass: the map may be
 * made to be searched for long. */
static void collect(const struct xml *xml, struct app_state *state)
{
    const char *key = NULL;
    size_t entry = XML_NONE;
    for (size_t i = 1; i < xml->count; i++) {
        const struct xml_element *at = &xml->elements[i];
        if (at->parent == 0) {
            entry = strcmp(at->name, "entry") == 0 ? i : XML_NONE;
            key = NULL;
        } else if (entry != XML_NONE && at->parent == entry && !key) {
            key = strcmp(at->name, "string") == 0 ? at->text : NULL;
            if (key && strchr(key, ':'))
                entry = XML_NONE;
        } else if (entry != XML_NONE && key &&
                   strcmp(at->name, at->parent == entry ? "boolean" : "enabled") == 0) {
            add(state, key, strcmp(at->text, "true") == 0);
            entry = XML_NONE;
        }
    }
}

int app_state_parse(const char *bytes, size_t len, struct app_state **ret, struct err *err)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    if (len > APP_STATE_MAX)
        return err_set(err, FAIL_LIMIT, "the map of states is larger than 2 MiB");
    int result = xml_parse(bytes, len, &xml, err);
    if (result != 0) {
        (void)err_wrap(err, "the map of states");
        return result;
    }
    struct app_state *state = mem_zero(1, sizeof *state);
    collect(&xml, state);
    if (state->count)
        qsort(state->items, state->count, sizeof *state->items, order);
    *ret = state;
    return 0;
}

void app_state_free(struct app_state **state)
{
    for (size_t i = 0; *state && i < (*state)->count; i++)
        free((*state)->items[i].key);
    if (*state)
        free((*state)->items);
    free_mem(state);
}

bool app_state_of(const struct app_state *state, const char *key, bool *ret_enabled)
{
    struct switched wanted = { (char *)(uintptr_t)key, false };
    const struct switched *found =
        state->count ? bsearch(&wanted, state->items, state->count, sizeof *state->items, order)
                     : NULL;
    if (found)
        *ret_enabled = found->enabled;
    return found != NULL;
}
