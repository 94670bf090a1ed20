/* checks_table - the table of readiness checks as the README shows it, from the table that the
 * program uses. */
#include "agent/worker/checks/check.h"
#include <stdio.h>

static void needs_print(unsigned needs)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = { { NEED_FILES, "files" },
                  { NEED_PROCESSES, "processes" },
                  { NEED_DATABASE, "database" },
                  { NEED_HTTP, "HTTP" },
                  { NEED_CATALOGUE, "catalogue" } };
    const char *comma = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (needs & names[i].bit) {
            (void)printf("%s%s", comma, names[i].name);
            comma = ", ";
        }
}

int main(void)
{
    (void)puts("| family | check | what it looks at | needs |\n|---|---|---|---|");
    for (const struct check_family *family = check_families; family->name; family++)
        for (const struct check_def *check = family->checks; check->id; check++) {
            (void)printf("| %s | `%s` | %s | ", family->name, check->id, check->title);
            needs_print(check->needs);
            (void)puts(" |");
        }
    return 0;
}
