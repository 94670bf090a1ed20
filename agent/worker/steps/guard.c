#include "agent/worker/steps/guard.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define GUARD_MARK "# confleet-start-guard-v1"
#define SCRIPT_MAX (1024 * 1024)

struct places { char *bin, *script, *aside; bool has_script, has_aside, guarded; };

static void places_free(struct places *p)
{
    free(p->bin), free(p->script), free(p->aside);
}

static int places_find(const char *tree, struct places *p, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    p->bin = fs_join(tree, "bin");
    p->script = fs_join(p->bin, "catalina.sh");
    p->aside = fs_join(p->bin, ".catalina.sh.confleet");
    p->has_aside = fs_exists(p->aside);
    p->has_script = fs_exists(p->script);
    if (!p->has_script)
        return 0;
    if (fs_read(p->script, SCRIPT_MAX, &text, err))
        return err_wrap(err, "read the start script");
    p->guarded = strstr(str_text(&text), GUARD_MARK) != NULL;
    return 0;
}

static char *guard_text(const struct stat *bin, int64_t since_ms)
{
    char since[CLOCK_TEXT_MAX];
    /* The folder's own time is kept here: on the way back nothing shall tell that we were there. */
    return text_printf("#!/bin/sh\n" GUARD_MARK " %lld.%09ld\n"
                       "cat >&2 <<'END'\n"
                       "Confleet is upgrading this Confluence since %s.\n"
                       "Do not start or stop it by hand: its files or its database may be half changed.\n"
                       "It is started again when the upgrade, or the way back, has got that far.\n"
                       "\"confleet-agent status\" on this server says more.\n"
                       "END\n"
                       "exit 1\n", (long long)bin->st_mtim.tv_sec, bin->st_mtim.tv_nsec, clock_text(since_ms, since));
}

static int guard_write(const struct places *p, const struct stat *bin, int64_t since_ms, struct err *err)
{
    struct stat real;
    CLEANUP(free_mem) char *text = guard_text(bin, since_ms);
    if (lstat(p->aside, &real) != 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", p->aside);
    if (fs_write(p->script, text, strlen(text), 0755, err))
        return -err->code;
    if (lchown(p->script, real.st_uid, real.st_gid) != 0)
        return err_sys(err, FAIL_IO, errno, "owner of %s", p->script);
    return 0;
}

/* Without the guard nobody would know the folder's time any more. What does not come back is left for guard_clear(). */
static void guard_take_back(const struct places *p, const struct stat *bin)
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, bin->st_mtim };
    int rc = fs_rename(p->aside, p->script, NULL);      /* it may be there, and not be synced */
    if (rc == 0 || (fs_exists(p->script) && !fs_exists(p->aside)))
        (void)!utimensat(AT_FDCWD, p->bin, times, 0);
}

int guard_set(const char *tree, int64_t since_ms, struct err *err)
{
    CLEANUP(places_free) struct places p = { 0 };
    struct err local = { 0 };
    struct stat bin;
    if (!err)
        err = &local;
    if (places_find(tree, &p, err))
        return -err->code;
    if (stat(p.bin, &bin) != 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", p.bin);
    if (p.has_aside && p.guarded)
        return fs_sync_dir(p.bin, err);
    if (p.has_aside && p.has_script)
        return err_set(err, FAIL_CONFLICT, "%s and %s are both real scripts; somebody put one there during the upgrade",
                       p.script, p.aside);
    if (!p.has_aside && (!p.has_script || p.guarded))
        return err_set(err, FAIL_CORRUPT, "%s has no start script of its own", p.bin);
    if ((!p.has_aside && fs_rename(p.script, p.aside, err)) || guard_write(&p, &bin, since_ms, err)) {
        if (!p.has_aside)
            guard_take_back(&p, &bin);
        return err_wrap(err, "set the start guard");
    }
    return 0;
}

static bool guard_time(const char *script, struct timespec *ret)
{
    CLEANUP(str_free) struct str text = { 0 };
    long long seconds = 0;
    long nanos = 0;
    if (fs_read(script, SCRIPT_MAX, &text, NULL))
        return false;
    const char *mark = strstr(str_text(&text), GUARD_MARK " ");
    if (!mark || sscanf(mark + sizeof GUARD_MARK, "%lld.%ld", &seconds, &nanos) != 2 || nanos < 0 || nanos > 999999999)
        return false;
    *ret = (struct timespec){ .tv_sec = seconds, .tv_nsec = nanos };
    return true;
}

int guard_clear(const char *tree, struct err *err)
{
    CLEANUP(places_free) struct places p = { 0 };
    struct err local = { 0 };
    if (!err)
        err = &local;
    if (places_find(tree, &p, err))
        return -err->code;
    if (!p.has_aside && p.has_script && !p.guarded)
        return fs_sync_dir(p.bin, err);
    if (!p.has_aside)
        return err_set(err, FAIL_CORRUPT, "the start script of %s is gone: %s does not exist", tree, p.aside);
    if (p.has_script && !p.guarded)
        return err_set(err, FAIL_CONFLICT, "%s and %s are both real scripts; somebody put one there during the upgrade",
                       p.script, p.aside);
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { 0 } };
    bool timed = p.has_script && guard_time(p.script, &times[1]);
    if (fs_rename(p.aside, p.script, err))
        return err_wrap(err, "take the start guard away");
    if (timed && utimensat(AT_FDCWD, p.bin, times, 0) != 0)
        return err_sys(err, FAIL_IO, errno, "time of %s", p.bin);
    return 0;
}

int guard_look(const char *tree, Confleet__ProbeState *ret, struct err *err)
{
    CLEANUP(places_free) struct places p = { 0 };
    int rc = places_find(tree, &p, err);
    if (rc)
        return rc;
    *ret = p.has_aside && p.guarded ? CONFLEET__PROBE_STATE__PROBE_COMPLETE
         : p.has_aside || p.guarded ? CONFLEET__PROBE_STATE__PARTIAL : CONFLEET__PROBE_STATE__ABSENT;
    return 0;
}
