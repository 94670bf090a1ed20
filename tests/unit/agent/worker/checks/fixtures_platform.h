/* Fixtures of the family platform. */
#pragma once
#include "fixtures.h"

static void srv_no_user(struct facts *facts)
{
    facts->user_exists = FACT_NO;
}
static void srv_home_of_root(struct facts *facts)
{
    facts->home_uid = 0;
}
static void srv_process_of_root(struct facts *facts)
{
    facts->process_uid = 0;
}
static void srv_as_root(struct facts *facts)
{
    facts->site.uid = 0;
    facts->home_uid = facts->process_uid = 1000;
}
static void srv_home_unseen(struct facts *facts)
{
    facts->home_uid_known = FACT_UNKNOWN;
}
static void srv_ports_stopped(struct facts *facts)
{
    facts->site.pid = 0;
}
static void srv_port_taken(struct facts *facts)
{
    facts->site.pid = 0;
    facts->port_taken = FACT_YES;
    facts->taken_port = 8090;
}
static void srv_port_unknown(struct facts *facts)
{
    facts->site.pid = 0;
    facts->port_taken = FACT_UNKNOWN;
}
static void srv_processes_hidden(struct facts *facts)
{
    facts->site.pid = 0;
    facts->site.processes_hidden = true;
}
static void srv_no_port(struct facts *facts)
{
    facts->site.http_port = 0;
}
static void srv_no_stop(struct facts *facts)
{
    facts->stop_script = FACT_NO;
}
static void srv_no_start(struct facts *facts)
{
    facts->start_script = FACT_NO;
}
static void srv_no_unit(struct facts *facts)
{
    (void)snprintf(facts->service, sizeof facts->service, "confluence");
    facts->service_exists = FACT_NO;
}
static void srv_scripts_unseen(struct facts *facts)
{
    facts->start_script = FACT_UNKNOWN;
}
static void srv_bad_hook(struct facts *facts)
{
    (void)snprintf(facts->hooks_bad, FACT_TEXT, "/etc/x/pre-stop.d/a");
}
static void srv_hooks_unseen(struct facts *facts)
{
    facts->hooks_known = FACT_UNKNOWN;
}
static void srv_full(struct facts *facts)
{
    facts->places[0].free_bytes = 3599;
}
static void srv_few_inodes(struct facts *facts)
{
    facts->places[1].free_files = 99;
}
static void srv_size_unknown(struct facts *facts)
{
    facts->database.bytes_known = false;
}
static void srv_place_unknown(struct facts *facts)
{
    facts->places[1].known = FACT_UNKNOWN;
}
static void srv_late(struct facts *facts)
{
    facts->platform.part.known = FACT_UNKNOWN;
    (void)snprintf(facts->platform.part.why, FACT_TEXT, "not found out within 20 s");
}
static void srv_old_java(struct facts *facts)
{
    (void)snprintf(facts->platform.java_version, 64, "11.0.2");
    facts->platform.java_major = 11;
}
static void srv_new_java(struct facts *facts)
{
    (void)snprintf(facts->platform.java_version, 64, "21.0.2");
    facts->platform.java_major = 21;
}
static void srv_no_target(struct facts *facts)
{
    facts->has_target = false;
}
static void srv_installers_java(struct facts *facts)
{
    (void)snprintf(facts->platform.java_version, 64, "11.0.2");
    facts->platform.java_major = 11;
    facts->site.installer_made = true;
    (void)snprintf(facts->platform.java_home, FACT_TEXT, "/opt/app/jre");
}
static void srv_java_not_listed(struct facts *facts)
{
    facts->source->target.java_count = 0;
}
static void srv_java_unknown(struct facts *facts)
{
    facts->platform.java_major = 0;
    (void)snprintf(facts->platform.java_why, FACT_TEXT, "no file");
}
static void srv_no_java(struct facts *facts)
{
    facts->site.java[0] = 0;
}
static void srv_refused(struct facts *facts)
{
    (void)snprintf(facts->platform.refused, FACT_TEXT, "-XX:MaxPermSize");
}
static void srv_options_unseen(struct facts *facts)
{
    facts->platform.options_known = FACT_UNKNOWN;
    (void)snprintf(facts->platform.options_why, FACT_TEXT, "denied");
}
static void srv_small_heap(struct facts *facts)
{
    facts->platform.heap_max = 512ULL << 20;
    facts->platform.heap_min = 0;
}
static void srv_heap_upside_down(struct facts *facts)
{
    facts->platform.heap_min = 4ULL << 30;
}
static void srv_huge_heap(struct facts *facts)
{
    facts->platform.heap_max = 15ULL << 30;
}
static void srv_no_heap(struct facts *facts)
{
    facts->platform.heap_max = 0;
}
static void srv_no_os(struct facts *facts)
{
    facts->platform.os[0] = 0;
}
static void srv_memory_freed(struct facts *facts)
{
    facts->platform.memory_available = 1ULL << 30;
    facts->platform.memory_confluence = 2ULL << 30;
}
static void srv_little_memory(struct facts *facts)
{
    facts->platform.memory_available = 1ULL << 30;
}
static void srv_memory_unknown(struct facts *facts)
{
    facts->platform.memory_known = FACT_UNKNOWN;
}
static void srv_strangers(struct facts *facts)
{
    facts->platform.strangers = 2;
    (void)snprintf(facts->platform.stranger, FACT_TEXT, "/var/home/index of user id 0");
}
static void srv_owners_unseen(struct facts *facts)
{
    facts->platform.owners_known = FACT_UNKNOWN;
    (void)snprintf(facts->platform.owners_why, FACT_TEXT, "denied");
}
static void srv_no_limits(struct facts *facts)
{
    facts->platform.files_max = UINT64_MAX;
}
static void srv_low_limits(struct facts *facts)
{
    facts->platform.files_max = 1024;
}
static void srv_limits_stopped(struct facts *facts)
{
    facts->platform.limits_known = FACT_UNKNOWN;
    facts->site.pid = 0;
}
static void srv_limits_unseen(struct facts *facts)
{
    facts->platform.limits_known = FACT_UNKNOWN;
}
static void srv_clock_free(struct facts *facts)
{
    facts->platform.clock_synced = FACT_NO;
}
static void srv_clock_unknown(struct facts *facts)
{
    facts->platform.clock_known = FACT_UNKNOWN;
}
static void srv_no_fonts(struct facts *facts)
{
    facts->platform.fonts = 0;
}
static void srv_fonts_unseen(struct facts *facts)
{
    facts->platform.fonts = 0;
    facts->platform.fonts_known = FACT_UNKNOWN;
}
static void srv_by_option(struct facts *facts)
{
    facts->site.home_by_option = true;
}
static void srv_two_homes(struct facts *facts)
{
    facts->site.home_by_option = true;
    (void)snprintf(facts->platform.home_file, FACT_TEXT, "/old/home");
}
static void srv_home_script(struct facts *facts)
{
    facts->site.home_hidden = true;
}

static void srv_setenv_closed(struct facts *facts)
{
    facts->site.pid = 0; /* a process would show its options */
    facts->site.setenv_hidden = true;
}

static void srv_user_closed(struct facts *facts)
{
    facts->site.user_hidden = true;
}

static void srv_home_given(struct facts *facts)
{
    facts->site.home_given = true;
}

static void srv_options_unread(struct facts *facts)
{
    facts->platform.options_known = FACT_UNKNOWN;
}

static const struct fixture fixtures_platform[] = {
    { "run-user", OK, NULL, "confluence owns" },
    { "run-user", BLOCK, srv_no_user, "does not exist" },
    { "run-user", BLOCK, srv_home_of_root, "user id 0" },
    { "run-user", BLOCK, srv_process_of_root, "pid 77" },
    { "run-user", BLOCK, srv_as_root, "runs as root" },
    { "run-user", UNKNOWN, srv_user_closed, "bin/user.sh" },
    { "run-user", UNKNOWN, srv_home_unseen, "not known" },
    { "ports", OK, NULL, "8090" },
    { "ports", OK, srv_ports_stopped, "free" },
    { "ports", BLOCK, srv_port_taken, "8090" },
    { "ports", UNKNOWN, srv_port_unknown, "could not" },
    { "ports", UNKNOWN, srv_processes_hidden, "does not see" },
    { "ports", UNKNOWN, srv_no_port, "tells no port" },
    { "service", OK, NULL, "own scripts" },
    { "service", BLOCK, srv_no_stop, "stop-confluence.sh" },
    { "service", BLOCK, srv_no_start, "start-confluence.sh" },
    { "service", BLOCK, srv_no_unit, "unit confluence" },
    { "service", UNKNOWN, srv_scripts_unseen, "cannot be looked at" },
    { "hooks", OK, NULL, "no hooks" },
    { "hooks", BLOCK, srv_bad_hook, "/etc/x/pre-stop.d/a" },
    { "hooks", UNKNOWN, srv_hooks_unseen, "cannot be looked at" },
    { "space", OK, NULL, "the backup" },
    { "space", BLOCK, srv_full, "/backup" },
    { "space", BLOCK, srv_few_inodes, "files" },
    { "space", UNKNOWN, srv_size_unknown, "the database" },
    { "space", UNKNOWN, srv_place_unknown, "the new version" },
    { "java", UNKNOWN, srv_late, "within 20 s" },
    { "java", OK, NULL, "17.0.9" },
    { "java", BLOCK, srv_old_java, "needs 17" },
    { "java", WARN, srv_new_java, "builds" },
    { "java", INFO, srv_no_target, "No release" },
    { "java", INFO, srv_installers_java, "brings its own" },
    { "java", UNKNOWN, srv_java_not_listed, "not in the catalogue" },
    { "java", UNKNOWN, srv_java_unknown, "no file" },
    { "java", UNKNOWN, srv_no_java, "not known" },
    { "java-options", UNKNOWN, srv_late, "within 20 s" },
    { "java-options", OK, NULL, "holds none" },
    { "java-options", WARN, srv_refused, "MaxPermSize" },
    { "java-options", UNKNOWN, srv_options_unseen, "denied" },
    { "heap", UNKNOWN, srv_options_unread, "was not read" },
    { "heap", UNKNOWN, srv_late, "within 20 s" },
    { "heap", OK, NULL, "2.1 GB" },
    { "heap", WARN, srv_small_heap, "shipped with" },
    { "heap", WARN, srv_heap_upside_down, "does not start" },
    { "heap", WARN, srv_huge_heap, "little is left" },
    { "heap", UNKNOWN, srv_no_heap, "no -Xmx" },
    { "system", UNKNOWN, srv_late, "within 20 s" },
    { "system", INFO, NULL, "Debian" },
    { "system", UNKNOWN, srv_no_os, "does not tell" },
    { "memory", UNKNOWN, srv_late, "within 20 s" },
    { "memory", OK, NULL, "are available" },
    { "memory", OK, srv_memory_freed, "once Confluence is stopped" },
    { "memory", WARN, srv_little_memory, "wants 2 GB" },
    { "memory", UNKNOWN, srv_memory_unknown, "meminfo" },
    { "owners", UNKNOWN, srv_late, "within 20 s" },
    { "owners", OK, NULL, "40 entries" },
    { "owners", WARN, srv_strangers, "/var/home/index" },
    { "owners", UNKNOWN, srv_owners_unseen, "denied" },
    { "limits", UNKNOWN, srv_late, "within 20 s" },
    { "limits", OK, NULL, "16384" },
    { "limits", OK, srv_no_limits, "any number" },
    { "limits", WARN, srv_low_limits, "1024" },
    { "limits", UNKNOWN, srv_limits_stopped, "stopped" },
    { "limits", UNKNOWN, srv_limits_unseen, "cannot be read" },
    { "clock", UNKNOWN, srv_late, "within 20 s" },
    { "clock", OK, NULL, "is synchronised" },
    { "clock", WARN, srv_clock_free, "not synchronised" },
    { "clock", UNKNOWN, srv_clock_unknown, "does not tell" },
    { "fonts", UNKNOWN, srv_late, "within 20 s" },
    { "fonts", OK, NULL, "9 fonts" },
    { "fonts", WARN, srv_no_fonts, "No font" },
    { "fonts", UNKNOWN, srv_fonts_unseen, "cannot be looked at" },
    { "home-source", UNKNOWN, srv_late, "within 20 s" },
    { "home-source", OK, NULL, "/var/home" },
    { "home-source", INFO, srv_by_option, "carries it over" },
    { "home-source", WARN, srv_two_homes, "/old/home" },
    { "home-source", INFO, srv_home_given, "/var/home was named" },
    { "home-source", UNKNOWN, srv_setenv_closed, "could name another" },
    { "home-source", UNKNOWN, srv_home_script, "without running" },
    { NULL, OK, NULL, NULL },
};
