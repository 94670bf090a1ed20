#include "agent/worker/confluence/cfg.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    CLEANUP(cfg_free) struct cfg again = { 0 };
    str_add_bytes(&text, bytes, len);
    if (cfg_parse(&text, &cfg, NULL) != 0)
        return 0;
    /* A value that went in must come out, and nothing else may have moved. */
    static const char value[] = "a<b>&\"c' \xc3\xa9";
    if (cfg_property_set(&text, "hibernate.connection.url", value, NULL) != 0)
        return 0;
    assert(cfg_parse(&text, &again, NULL) == 0);
    assert(strcmp(cfg_get(&again, "hibernate.connection.url"), value) == 0);
    assert(again.build == cfg.build);
    assert(strcmp(again.setup_step, cfg.setup_step) == 0);
    return 0;
}
