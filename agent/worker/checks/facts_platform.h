/* facts_platform - the server below Confluence: system, memory, Java and its options, owners of
 * files, limits, clock, fonts. */
#pragma once
#include "agent/worker/checks/gather.h"

struct facts_platform {
    struct part part;
    char os[128]; /* of /etc/os-release, "" when it cannot be read */
    char kernel[128];
    uint32_t cpus;
    enum fact memory_known;
    uint64_t memory_total, memory_available;
    uint64_t memory_confluence; /* of the running process, which its stop sets free */
    /* Java */
    char java_home[FACT_TEXT];
    char java_version[64]; /* of its file `release`, never by running it */
    uint32_t java_major;   /* zero: not known, java_why says why */
    char java_why[FACT_TEXT];
    enum fact options_known; /* of bin/setenv.sh */
    char options_why[FACT_TEXT];
    char refused[FACT_TEXT];     /* options that newer Java versions refuse, "" for none */
    uint64_t heap_max, heap_min; /* zero: not found */
    /* home by option and by file */
    enum fact home_file_known;
    char home_file[FACT_TEXT]; /* what confluence-init.properties says, "" for nothing */
    /* owners */
    enum fact owners_known;
    char owners_why[FACT_TEXT];
    uint64_t strangers; /* entries that the run user does not own */
    char stranger[FACT_TEXT];
    uint64_t looked_at;
    /* limits of the running process */
    enum fact limits_known;
    uint64_t files_max, processes_max; /* UINT64_MAX: no limit */
    /* clock */
    enum fact clock_known, clock_synced;
    /* fonts */
    enum fact fonts_known;
    uint64_t fonts;
};
gather_fn facts_gather_platform;
void facts_platform_free(struct facts_platform *facts);
/* "17.0.9" and "1.8.0_202" give 17 and 8; zero: no version. */
uint32_t java_major_of(const char *version);
/* "2g", "1024m", "512000": bytes; zero: no size. */
uint64_t java_size_of(const char *text);
