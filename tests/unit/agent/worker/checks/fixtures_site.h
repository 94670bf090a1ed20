/* Fixtures of the family site. */
#pragma once
#include "fixtures.h"

static void setup_begun(struct facts *facts)
{
    (void)snprintf(facts->site.setup_step, sizeof facts->site.setup_step, "setupdbchoice-start");
}
static void setup_without_file(struct facts *facts)
{
    facts->site.has_config = false;
}
static void setup_without_home(struct facts *facts)
{
    facts->site.home = NULL;
}
static void setup_hidden(struct facts *facts)
{
    facts->site.has_config = false;
    facts->site.config_hidden = true;
}
static void setup_home_hidden(struct facts *facts)
{
    facts->site.home = NULL;
    facts->site.home_hidden = true;
}
static void builds_differ(struct facts *facts)
{
    facts->database.build = 9108;
}
static void builds_newer_app(struct facts *facts)
{
    facts->site.app_build = 9116;
}
static void builds_older_app(struct facts *facts)
{
    facts->site.app_build = 8000;
}
static void builds_not_all(struct facts *facts)
{
    facts->database.build = 0;
    (void)snprintf(facts->database.build_text, FACT_TEXT, "no route");
}
static void home_within(struct facts *facts)
{
    facts->site.home_inside = true;
}
static void home_missing(struct facts *facts)
{
    facts->site.home = NULL;
}
static void files_elsewhere(struct facts *facts)
{
    facts->site.attachments = (char *)(uintptr_t) "/mnt/attachments";
}
static void files_linked(struct facts *facts)
{
    (void)snprintf(facts->outside, FACT_TEXT, "/var/home/attachments is /mnt/a");
}
static void files_linked_and_allowed(struct facts *facts)
{
    (void)snprintf(facts->outside_allowed, FACT_TEXT, "/var/home/index is /mnt/i");
}
static void files_unseen(struct facts *facts)
{
    facts->outside_known = FACT_UNKNOWN;
}
static void node_of_many(struct facts *facts)
{
    facts->site.clustered = true;
}
static void node_unknown(struct facts *facts)
{
    facts->site.has_config = false;
}
static void run_guarded(struct facts *facts)
{
    facts->guarded = FACT_YES;
}
static void run_left(struct facts *facts)
{
    (void)snprintf(facts->leftovers, FACT_TEXT, "/opt/.confleet-app/1");
}
static void run_unseen(struct facts *facts)
{
    facts->guarded = FACT_UNKNOWN;
}
static void made_by_installer(struct facts *facts)
{
    facts->site.installer_made = true;
}
static void made_hidden(struct facts *facts)
{
    facts->site.folder_hidden = true;
}

static void site_home_absent(struct facts *facts)
{
    facts->site.home_absent = true;
}

static const struct fixture fixtures_site[] = {
    { "setup-complete", OK, NULL, "/var/home" },
    { "setup-complete", BLOCK, setup_begun, "setupdbchoice-start" },
    { "setup-complete", BLOCK, setup_without_file, "confluence.cfg.xml" },
    { "setup-complete", BLOCK, setup_without_home, "no home" },
    { "setup-complete", UNKNOWN, setup_hidden, "may not be read" },
    { "setup-complete", UNKNOWN, setup_home_hidden, "not known" },
    { "build-numbers", OK, NULL, "9109" },
    { "build-numbers", BLOCK, builds_differ, "9108" },
    { "build-numbers", BLOCK, builds_newer_app, "next start would upgrade" },
    { "build-numbers", BLOCK, builds_older_app, "older version" },
    { "build-numbers", UNKNOWN, builds_not_all, "no route" },
    { "home-inside", UNKNOWN, site_home_absent, "is not there" },
    { "home-inside", OK, NULL, "/var/home" },
    { "home-inside", BLOCK, home_within, "destroy" },
    { "home-inside", UNKNOWN, home_missing, "not known" },
    { "files-outside", OK, NULL, "/var/home" },
    { "files-outside", BLOCK, files_elsewhere, "/mnt/attachments" },
    { "files-outside", BLOCK, files_linked, "/mnt/a" },
    { "files-outside", INFO, files_linked_and_allowed, "/mnt/i. What is there is in no backup" },
    { "files-outside", UNKNOWN, files_unseen, "cannot" },
    { "one-node", OK, NULL, "single node" },
    { "one-node", BLOCK, node_of_many, "cluster" },
    { "one-node", UNKNOWN, node_unknown, "not known" },
    { "other-run", OK, NULL, "Nothing" },
    { "other-run", BLOCK, run_guarded, "start guard" },
    { "other-run", INFO, run_left, "/opt/.confleet-app/1" },
    { "other-run", UNKNOWN, run_unseen, "cannot be read" },
    { "installer-made", OK, NULL, "archive" },
    { "installer-made", INFO, made_by_installer, "keystore" },
    { "installer-made", UNKNOWN, made_hidden, "may not be looked into" },
    { NULL, OK, NULL, NULL },
};
