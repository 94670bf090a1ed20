/* A first backup of the files of two trees, a second one that refers to it, and the reading back of both,
 * by the code of the worker: "WHAT SECONDS CPU_SECONDS BYTES ENTRIES PEAK_MB" a line. */
#include "agent/worker/backup/files.h"
#include "agent/worker/backup/manifest_spill.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/str.h"
#include <string.h>
#include <time.h>

struct span {
    struct timespec wall, cpu;
};

static void span_begin(struct span *span)
{
    (void)clock_gettime(CLOCK_MONOTONIC, &span->wall);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &span->cpu);
}

static double since(clockid_t clock, const struct timespec *from)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

/* Not what wait() tells: that begins with the size of whoever started us. */
static unsigned long long peak_mb(void)
{
    CLEANUP(str_free) struct str status = { 0 };
    unsigned long long kb = 0;
    struct err ignored = { 0 };
    if (fs_read("/proc/self/status", 65536, &status, &ignored) != 0)
        return 0;
    const char *at = strstr(status.s, "VmHWM:");
    return at && sscanf(at, "VmHWM: %llu", &kb) == 1 ? kb / 1024 : 0;
}

static void tell(const char *what, const struct span *span, uint64_t bytes, size_t entries)
{
    (void)printf("%s %.3f %.3f %llu %zu %llu\n", what, since(CLOCK_MONOTONIC, &span->wall),
                 since(CLOCK_PROCESS_CPUTIME_ID, &span->cpu), (unsigned long long)bytes, entries,
                 peak_mb());
}

static void count(void *bytes, uint64_t more)
{
    *(uint64_t *)bytes += more;
}

/* base: the id of the backup that is referred to, or "". */
static int once(struct store *store, const char *root[TREE_COUNT], unsigned threads,
                char base[MANIFEST_ID_MAX], struct err *err)
{
    CLEANUP(manifest_free) struct manifest m, old;
    struct files_spec spec = { .root = { root[TREE_INSTALL], root[TREE_HOME] },
                               .ending = ".partial",
                               .threads = threads };
    struct span span;
    uint64_t bytes = 0;
    manifest_init(&m);
    manifest_init(&old);
    m.kind = "hot";
    m.installation = "bench";
    span_begin(&span);
    int rc = base[0] ? store_read(store, base, "", MANIFEST_HEAD, &old, NULL, err) : 0;
    if (rc == 0 && base[0])
        spec.base = &old;
    if (rc == 0 && base[0])
        tell("load", &span, 0, 0);
    if (rc == 0)
        rc = store_begin(store, &m, err);
    span_begin(&span);
    CLEANUP(free_mem) char *dir = store_path(store, m.id, ".partial", NULL);
    if (rc == 0)
        rc = manifest_spill_to(&m, dir, err);
    if (rc == 0)
        rc = files_capture(store, &m, &spec, count, &bytes, err);
    tell(base[0] ? "second" : "first", &span, bytes, m.sums.names);
    span_begin(&span);
    if (rc == 0)
        rc = store_keep(store, &m, ".partial", "", err);
    tell("keep", &span, store_bytes(&m), m.sums.names);
    span_begin(&span);
    bytes = 0;
    store->threads = threads;
    if (rc == 0)
        rc = store_check(store, &m, "", count, &bytes, err);
    tell("check", &span, bytes, m.sums.names);
    memcpy(base, m.id, sizeof m.id);
    return rc;
}

int main(int argc, char **argv)
{
    CLEANUP(store_close) struct store store = { .lock = -1 };
    char base[MANIFEST_ID_MAX] = "";
    uint64_t threads = 0;
    struct err err = { 0 };
    if (argc < 5 || argc > 6 || !text_parse_u64(argv[4], 4, &threads))
        return fprintf(stderr, "usage: bench-files BACKUPS INSTALLATION HOME THREADS [BASE]\n") < 0
                   ? 2
                   : 1;
    const char *root[TREE_COUNT] = { argv[2], argv[3] };
    int rc = store_open(argv[1], "bench", &store, &err);
    if (argc == 6)
        (void)snprintf(base, sizeof base, "%s", argv[5]);
    for (int i = argc == 6; rc == 0 && i < 2; i++)
        rc = once(&store, root, (unsigned)threads, base, &err);
    if (rc != 0)
        (void)fprintf(stderr, "%s\n", err.text);
    return rc == 0 ? 0 : 1;
}
