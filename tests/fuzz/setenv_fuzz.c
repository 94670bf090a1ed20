/* bin/setenv.sh is a customer's script that is read and never run: whatever it holds, it is merged
 * or refused, and what is told of it shows no value of a setting that is not known. */
#include "agent/worker/confluence/shell.h"
#include "agent/worker/steps/setenv.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

#define FRESH                                                                                      \
    "CATALINA_OPTS=\"-Xms1024m -Xmx1024m ${CATALINA_OPTS}\"\nCATALINA_OPTS=\"-XX:+UseG1GC "        \
    "${CATALINA_OPTS}\"\nexport CATALINA_OPTS\n"
#define SECRET "hunter2CANARY"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(str_free) struct str old = { 0 }, text = { 0 }, value = { 0 };
    CLEANUP(setenv_report_free) struct setenv_report report = { 0 };
    str_add_bytes(&old, data, size);
    (void)shell_option(str_text(&old), "-Dconfluence.home=", "/opt/app", &value);
    str_clear(&value);
    (void)shell_variable(str_text(&old), "CONF_USER", "/opt/app", &value);
    str_add(&old, "\nCATALINA_OPTS=\"-Dmine=" SECRET " ${CATALINA_OPTS}\"\n");
    if (setenv_merge(str_text(&old), NULL, FRESH, "9.2.0", &text, &report, NULL) != 0)
        return 0;
    assert(strstr(str_text(&text), "CATALINA_OPTS"));
    /* With a quote or a comment that is left open our line is another one. */
    if (strcspn(str_text(&old), "'\"\\`$#") >= size && !memchr(data, 0, size))
        assert(!strstr(str_text(&report.carried), SECRET) &&
               strstr(str_text(&report.carried), "-Dmine="));
    return 0;
}
