#include "agent/worker/confluence/serverxml.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

static const char shipped[] =
    "<?xml version=\"1.0\"?>\n<Server port=\"8000\" shutdown=\"SHUTDOWN\">\n  <Service "
    "name=\"S\">\n"
    "    <Connector port=\"8090\" maxThreads=\"48\"\n               acceptCount=\"10\"/>\n    "
    "<Engine name=\"E\">\n      <Host name=\"h\">\n"
    "        <Context path=\"\" docBase=\"../confluence\">\n          <Manager pathname=\"\"/>\n   "
    "     </Context>\n"
    "      </Host>\n    </Engine>\n  </Service>\n</Server>\n";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CLEANUP(str_free) struct str old = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str again = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report report = { 0 };
    CLEANUP(serverxml_report_free) struct serverxml_report second = { 0 };
    struct serverxml server = { 0 };
    str_add_bytes(&old, bytes, len);
    str_add(&text, shipped);
    (void)!serverxml_parse(&old, &server, NULL);
    if (serverxml_merge(&old, NULL, &text, &report, NULL) != 0) {
        assert(strcmp(text.s, shipped) == 0);
        return 0;
    }
    assert(serverxml_parse(&text, &server, NULL) == 0);
    str_add(&again, text.s);
    assert(serverxml_merge(&old, NULL, &again, &second, NULL) == 0);
    assert(serverxml_parse(&again, &server, NULL) == 0);
    return 0;
}
