/* Plan files come from people, and libfyaml has no history of security fixes: whatever the bytes, a
 * report or a plan. */
#include "controller/cli/planfile.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses the buffer of a quoted scalar that breaks off. One loss per wrong file is
 * no harm in programs that read one and end or start; leaks of our own are seen by the unit tests,
 * where nothing is suppressed. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct planfile file = { 0 };
    struct yaml_report report = { 0 };
    struct err err = { 0 };
    char *text = mem_zero(size + 1, 1);
    if (size > 0)
        memcpy(text, data, size);
    int result = planfile_load_text("plan", text, &file, &report, &err);
    if ((result == 0) != (report.errors == 0) || (result == 0 && file.stages.count == 0))
        abort();
    /* Nothing of the file steers a terminal. */
    for (const char *s = str_text(&report.text); *s; s++) {
        if ((unsigned char)*s < 0x20 && *s != '\n' && *s != '\t')
            abort();
    }
    planfile_free(&file);
    yaml_report_free(&report);
    free(text);
    return 0;
}
