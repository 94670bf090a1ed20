/* carry_tree - whole files that are the customer's or the installer's alone: drivers and other jars, keystores, jre/, .install4j/.
 *
 * Nothing that the new version ships is replaced, but for the certificate store of a Java that came with the installation. */
#pragma once
#include "agent/worker/job.h"
#include "confleet/str.h"
#include <sys/types.h>

struct carry_trees {
    const char *old, *new;
    uid_t run_uid;             /* whose files are carried, beside root's and those of the old tree's owner */
    struct str *refused;       /* why a file was left out, one line each; NULL: a refused file is an error */
};

/* Names of what was copied go to carried, what a person should look at to doubts; one line each. */
int carry_jars(const struct carry_trees *trees, struct str *carried, struct str *doubts, struct err *err) MUST_USE;
int carry_conf(const struct carry_trees *trees, struct str *carried, struct err *err) MUST_USE;
int carry_java(const struct carry_trees *trees, struct str *carried, struct err *err) MUST_USE;
/* Whether rc is a refusal that could be noted; clears err then. */
bool carry_refused(const struct carry_trees *trees, int rc, struct err *err);
