/* Compares one installation with its release as the check does, as often as asked, and prints how
 * long each time took: "MS FILES DIFFERENCES UNREAD" a line. */
#include "agent/worker/checks/facts_custom.h"
#include "confleet/clock.h"
#include "confleet/str.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int once(const struct gather_source *source, struct facts_custom *facts)
{
    struct timespec from, to;
    *facts = (struct facts_custom){ .part = { .known = FACT_YES } };
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    facts_custom_files(source, 0, facts);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    double took_ms = (double)(to.tv_sec - from.tv_sec) * 1e3 +
                     (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    if (facts->compared != FACT_YES)
        (void)fprintf(stderr, "not compared: %s\n", facts->why);
    else
        (void)printf("%.1f %llu %llu %llu\n", took_ms, (unsigned long long)facts->files,
                     (unsigned long long)facts->differences, (unsigned long long)facts->unread);
    return facts->compared == FACT_YES && fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    Confleet__WorkerNode node = CONFLEET__WORKER_NODE__INIT;
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    struct installation site = { .uid = geteuid() };
    uint64_t runs = 1;
    if (argc < 3 || (argc > 3 && !text_parse_u64(argv[3], 1000, &runs)))
        return fprintf(stderr, "usage: bench-custom INSTALLATION PRISTINE [RUNS]\n") < 0 ? 2 : 1;
    site.install = argv[1];
    order.pristine = argv[2];
    const struct gather_source source = { .node = &node, .order = &order, .site = &site };
    struct facts_custom *facts = mem_zero(1, sizeof *facts);
    int failed = 0;
    for (uint64_t i = 0; i < runs && !failed; i++)
        failed = once(&source, facts);
    free(facts);
    return failed;
}
