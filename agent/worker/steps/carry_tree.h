/* carry_tree - whole files that are the customer's or the installer's alone: drivers and other jars, keystores, jre/, .install4j/.
 *
 * Nothing that the new version ships is replaced, but for the certificate store of a Java that came with the installation. */
#pragma once
#include "agent/worker/job.h"
#include "confleet/str.h"

struct carry_trees { const char *old, *new; };

/* Names of what was copied go to carried, what a person should look at to doubts; one line each. */
int carry_jars(const struct carry_trees *trees, struct str *carried, struct str *doubts, struct err *err) MUST_USE;
int carry_conf(const struct carry_trees *trees, struct str *carried, struct err *err) MUST_USE;
int carry_java(const struct carry_trees *trees, struct str *carried, struct err *err) MUST_USE;
/* A whole folder with links, modes, owners and times, made beside and renamed; nothing when it is there already. */
int carry_folder(const char *from, const char *to, struct err *err) MUST_USE;
