/* A file of apps comes from operators: whatever the bytes, an error with its place, or a catalogue
 * that can be asked, written and read again as it was. */
#include "confleet/app_catalogue.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = NULL;
    CLEANUP(app_catalogue_free) struct app_catalogue *again = NULL;
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    if (app_catalogue_parse("a", (const char *)data, size, &catalogue, &err) != 0) {
        assert(strncmp(err.text, "a:", 2) == 0);
        return 0;
    }
    const struct app_entry *entry = NULL;
    for (size_t i = 0; (entry = app_catalogue_at(catalogue, i)) != NULL; i++) {
        struct app_answer answer;
        app_catalogue_ask(catalogue,
                          &(struct app_question){ entry->key, entry->version, entry->from, "9.0" },
                          &answer);
        assert(answer.known_key);
    }
    app_catalogue_text(catalogue, &text);
    assert(app_catalogue_parse("b", str_text(&text), text.len, &again, NULL) == 0);
    assert(app_catalogue_count(again) == app_catalogue_count(catalogue));
    for (size_t i = 0; i < app_catalogue_count(again); i++)
        assert(strcmp(app_catalogue_at(again, i)->version,
                      app_catalogue_at(catalogue, i)->version) == 0);
    return 0;
}
