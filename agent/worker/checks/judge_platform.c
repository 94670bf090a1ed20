/* The server: account, ports, service, Java, room. */
#include "agent/worker/checks/check.h"

#include "confleet/str.h"
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

#define MIB          (1024ULL * 1024)
#define MEMORY_LEAST (2048 * MIB) /* Confluence's own start-up check (facts 3.3) */
#define HEAP_LEAST   (1024 * MIB) /* what new versions are shipped with (facts 1.2) */
#define FILES_LEAST  4096

static judge_fn judge_java, judge_system, judge_memory, judge_java_options, judge_heap,
    judge_owners, judge_limits, judge_clock, judge_fonts, judge_home_source;

static bool missing(const struct facts *facts, struct verdict *ret)
{
    const struct part *part = &facts->platform.part;
    if (part->known == FACT_YES)
        return false;
    verdict_set(ret, UNKNOWN, "%s", part->why[0] ? part->why : "not looked at");
    return true;
}

static void judge_system(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    if (missing(facts, ret))
        return;
    if (!server->os[0])
        verdict_set(ret, UNKNOWN, "%s; /etc/os-release does not tell the distribution.",
                    server->kernel);
    else
        verdict_set(ret, INFO, "%s, %s, %u processors.", server->os, server->kernel, server->cpus);
}

static void judge_memory(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    char available[24], total[24], freed[24];
    if (missing(facts, ret))
        return;
    if (server->memory_known != FACT_YES) {
        verdict_set(ret, UNKNOWN, "/proc/meminfo does not tell.");
        return;
    }
    text_size(server->memory_available, available);
    text_size(server->memory_total, total);
    text_size(server->memory_confluence, freed);
    bool enough = server->memory_available + server->memory_confluence >= MEMORY_LEAST;
    verdict_set(ret, enough ? OK : WARN,
                "%s of %s are available%s%s%s. Confluence's start-up check wants 2 GB free.",
                available, total, server->memory_confluence ? ", and " : "",
                server->memory_confluence ? freed : "",
                server->memory_confluence ? " more once Confluence is stopped" : "");
}

/* The catalogue names the versions that the vendor builds with; a newer one may do as well. */
static void judge_java(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    const struct catalogue_release *target = facts->source ? &facts->source->target : NULL;
    uint32_t least = 0;
    bool listed = false;
    char wanted[64] = "";
    if (missing(facts, ret))
        return;
    if (!facts->site.java[0] || server->java_major == 0) {
        verdict_set(ret, UNKNOWN, "%s%sThe version of Java is not known: %s.", facts->site.java,
                    facts->site.java[0] ? ". " : "",
                    server->java_why[0] ? server->java_why : "no Java was found");
        return;
    }
    for (size_t i = 0; target && i < target->java_count; i++) {
        size_t used = strlen(wanted);
        (void)snprintf(wanted + used, sizeof wanted - used, "%s%u", used ? " or " : "",
                       target->java[i]);
        least = least == 0 || target->java[i] < least ? target->java[i] : least;
        listed = listed || target->java[i] == server->java_major;
    }
    if (!facts->has_target)
        verdict_set(ret, INFO, "Java %s (%s). No release was named.", server->java_version,
                    server->java_home);
    else if (least == 0)
        verdict_set(ret, UNKNOWN, "Java %s (%s). Which Java %s needs is not in the catalogue.",
                    server->java_version, server->java_home, facts->target_version);
    else if (listed)
        verdict_set(ret, OK, "Java %s (%s); the vendor builds %s with %s.", server->java_version,
                    server->java_home, facts->target_version, wanted);
    else if (server->java_major > least)
        verdict_set(ret, WARN, "Java %s (%s); the vendor builds %s with %s.", server->java_version,
                    server->java_home, facts->target_version, wanted);
    else if (facts->site.installer_made && strstr(server->java_home, facts->site.install))
        verdict_set(ret, INFO,
                    "Java %s of the installer (%s); %s needs %s and brings its own with its "
                    "installer. From an archive it does not.",
                    server->java_version, server->java_home, facts->target_version, wanted);
    else
        verdict_set(ret, BLOCK, "Java %s (%s); %s needs %s.", server->java_version,
                    server->java_home, facts->target_version, wanted);
}

static void judge_java_options(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    if (missing(facts, ret))
        return;
    if (server->options_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "bin/setenv.sh was not read: %s.", server->options_why);
    else if (server->refused[0])
        verdict_set(ret, WARN,
                    "bin/setenv.sh holds options that newer Java refuses: %s. The upgrade leaves "
                    "them out.",
                    server->refused);
    else
        verdict_set(ret, OK, "bin/setenv.sh holds none that newer Java is known to refuse.");
}

static void judge_heap(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    char heap[24], least[24], total[24];
    if (missing(facts, ret))
        return;
    text_size(server->heap_max, heap);
    text_size(server->heap_min, least);
    text_size(server->memory_total, total);
    if (server->options_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "bin/setenv.sh was not read: %s.", server->options_why);
    else if (server->heap_max == 0)
        verdict_set(ret, UNKNOWN, "bin/setenv.sh sets no -Xmx that can be read.");
    else if (server->heap_min > server->heap_max)
        verdict_set(ret, WARN, "-Xms is %s, above -Xmx with %s: Java does not start so.", least,
                    heap);
    else if (server->heap_max < HEAP_LEAST)
        verdict_set(ret, WARN, "-Xmx is %s; new versions are shipped with 1 GB.", heap);
    else if (server->memory_known == FACT_YES && server->heap_max > server->memory_total / 5 * 4)
        verdict_set(ret, WARN, "-Xmx is %s, and this server has %s: little is left for the rest.",
                    heap, total);
    else
        verdict_set(ret, OK, "-Xmx is %s.", heap);
}

static void judge_owners(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    if (missing(facts, ret))
        return;
    if (server->strangers > 0)
        verdict_set(ret, WARN,
                    "%llu files or folders that Confluence writes to are not %s's, such as %s.",
                    (unsigned long long)server->strangers, facts->site.run_user, server->stranger);
    else if (server->owners_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "Not all could be looked at: %s.", server->owners_why);
    else
        verdict_set(ret, OK,
                    "%s owns the upper levels of the home, work, logs and temp (%llu entries).",
                    facts->site.run_user, (unsigned long long)server->looked_at);
}

static void judge_limits(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    if (missing(facts, ret))
        return;
    if (server->limits_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "%s",
                    facts->site.pid ? "The limits of the process cannot be read."
                                    : "Confluence is stopped; its limits are those of "
                                      "whoever starts it.");
    else if (server->files_max < FILES_LEAST)
        verdict_set(ret, WARN, "Confluence may open %llu files at once.",
                    (unsigned long long)server->files_max);
    else if (server->files_max == UINT64_MAX)
        verdict_set(ret, OK, "Confluence may open any number of files.");
    else
        verdict_set(ret, OK, "Confluence may open %llu files at once.",
                    (unsigned long long)server->files_max);
}

static void judge_clock(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    if (missing(facts, ret))
        return;
    if (server->clock_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "The kernel does not tell whether the clock is synchronised.");
    else if (server->clock_synced != FACT_YES)
        verdict_set(ret, WARN,
                    "The kernel's clock is not synchronised with any time server. "
                    "Windows, approvals and records depend on it.");
    else
        verdict_set(ret, OK, "The kernel's clock is synchronised.");
}

static void judge_fonts(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    if (missing(facts, ret))
        return;
    if (server->fonts == 0 && server->fonts_known == FACT_YES)
        verdict_set(ret, WARN, "No font is installed; Java 11 and later need one.");
    else if (server->fonts == 0)
        verdict_set(ret, UNKNOWN, "The folders of fonts cannot be looked at.");
    else
        verdict_set(ret, OK, "%llu fonts.", (unsigned long long)server->fonts);
}

static void judge_home_source(const struct facts *facts, struct verdict *ret)
{
    const struct facts_platform *server = &facts->platform;
    const char *home = facts->site.home ? facts->site.home : "";
    if (missing(facts, ret))
        return;
    if (facts->site.home_given)
        verdict_set(ret, INFO, "%s was named for this check; what Confluence itself would use was "
                    "not looked for.", home);
    else if (!home[0] && !facts->site.home_hidden)
        verdict_set(ret, UNKNOWN, "Nothing names a home.");
    else if (facts->site.home_hidden)
        verdict_set(ret, UNKNOWN,
                    "Which home is used cannot be told without running a script or reading what "
                    "this account may not read. %.1000s",
                    str_text(&facts->site.notes));
    else if (facts->site.setenv_hidden && facts->site.pid == 0)
        verdict_set(ret, UNKNOWN, "%s is taken; bin/setenv.sh cannot be read and could name another.",
                    home);
    else if (!facts->site.home_by_option)
        verdict_set(ret, OK, "confluence-init.properties names %s.", home);
    else if (server->home_file_known == FACT_YES && server->home_file[0] &&
             strcmp(server->home_file, home) != 0)
        verdict_set(ret, WARN,
                    "-Dconfluence.home names %s, confluence-init.properties names %s. The option "
                    "counts, and is lost when bin/setenv.sh is replaced.",
                    home, server->home_file);
    else
        verdict_set(ret, INFO, "-Dconfluence.home names %s; the upgrade carries it over.", home);
}

/* clang-format off */
const struct check_def checks_platform[] = {
    { "run-user", "Account that Confluence runs as",
      "Create the account, or give it the home: chown -R USER HOME.",
      judge_run_user, NEED_FILES | NEED_PROCESSES, NULL },
    { "ports", "Ports of Confluence",
      "Find the program with: ss -ltnp. It may be a Confluence that was started from a copy.",
      judge_ports, NEED_FILES | NEED_PROCESSES, NULL },
    { "service", "Start and stop of Confluence",
      "Make bin/start-confluence.sh and bin/stop-confluence.sh executable, or name the right "
      "unit under services.",
      judge_service, NEED_FILES, NULL },
    { "hooks", "Owner of local hooks",
      "chown root: FILE; chmod go-w FILE, for the hook and its folder.",
      judge_hooks, NEED_FILES, NULL },
    { "java", "Java",
      "Install the Java that the release needs and set JAVA_HOME in bin/setenv.sh.",
      judge_java, NEED_FILES | NEED_CATALOGUE,
      "Each release runs on certain versions of Java." },
    { "java-options", "Options of Java that newer versions refuse",
      "Take them out of bin/setenv.sh, and look for what takes their place.",
      judge_java_options, NEED_FILES,
      "An old setenv.sh must not be copied over a new one." },
    { "heap", "Memory for Java",
      "Set -Xms and -Xmx in bin/setenv.sh.",
      judge_heap, NEED_FILES, NULL },
    { "system", "Operating system",
      "",
      judge_system, NEED_FILES,
      "Compare with the release's supported platforms." },
    { "memory", "Free memory",
      "Give the server more memory, or stop what else runs here during the upgrade.",
      judge_memory, NEED_PROCESSES,
      "Confluence's own start-up check wants 2048 MB free." },
    { "owners", "Owner of the files that Confluence writes to",
      "chown -R USER, for the home and for work, logs and temp of the installation.",
      judge_owners, NEED_FILES,
      "The account that runs Confluence must be able to write to its home." },
    { "limits", "Limits of the process",
      "Raise LimitNOFILE of the unit, or nofile in /etc/security/limits.d, to 4096 or more.",
      judge_limits, NEED_PROCESSES, NULL },
    { "clock", "Time synchronisation",
      "Set up chrony or systemd-timesyncd.",
      judge_clock, NEED_PROCESSES, NULL },
    { "fonts", "Fonts for Java",
      "apt-get install fontconfig fonts-dejavu-core, or the like.",
      judge_fonts, NEED_FILES, NULL },
    { "home-source", "Where the home is named",
      "Name the same folder in confluence-init.properties.",
      judge_home_source, NEED_FILES, NULL },
    { "space", "Room for the new version, the backup and the way back",
      "Free space, or move backup_dir to a larger file system.",
      judge_space, NEED_FILES | NEED_DATABASE, NULL },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
/* clang-format on */
