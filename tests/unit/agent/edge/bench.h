/* bench - what an agent judges signed texts by, for tests: its controller file, policy, journal and
 * survey. */
#pragma once
#include "trusted.h"

/* One agent "server1" of "fleet1" that trusts ann and bob, one installation, and a plan that fits
 * it. */
struct bench {
    struct lab lab;
    struct signers signers;
    struct trust trust;
    Confleet__Survey survey;
    Confleet__Installation installation, *list[1];
    struct signed_text text;
    struct arena *arena;
    struct trusted_plan trusted;
};
UNUSED static void bench_open(struct bench *bench, void (*change)(Confleet__Plan *plan))
{
    *bench = (struct bench){ .lab = { .change = change, .soak_ms = 1000 } };
    lab_open(&bench->lab);
    signers_make(&bench->signers, 2);
    confleet__survey__init(&bench->survey);
    confleet__installation__init(&bench->installation);
    bench->installation.id = lend("conf-12345678");
    bench->installation.install = lend("/opt/conf");
    bench->installation.app_build = 9012;
    bench->list[0] = &bench->installation;
    bench->survey.installations = bench->list;
    bench->survey.n_installations = 1;
    struct policy *policy = &bench->lab.config.policy;
    char **operations = mem_zero(2, sizeof *operations),
         **installations = mem_zero(1, sizeof *installations);
    operations[0] = text_dup("upgrade");
    operations[1] = text_dup("rollback");
    installations[0] = text_dup("/opt/conf");
    policy->operations = (struct yaml_list){ .items = operations, .count = 2 };
    policy->installations = (struct yaml_list){ .items = installations, .count = 1 };
    bench->trust =
        (struct trust){ &bench->signers.controller, policy, bench->lab.journal, &bench->survey };
    bench->arena = arena_new(WIRE_ARENA_MAX);
}

UNUSED static void bench_close(struct bench *bench)
{
    arena_free(&bench->arena);
    lab_close(&bench->lab);
}
