/* The steps that deal with trees: the new one beside the old one, the guard, the switch, and what is left of them. */
#include "agent/core/runbook.h"
#include "agent/worker/checks/facts_custom.h"
#include "agent/worker/checks/pristine.h"
#include "agent/worker/confluence/serverxml.h"
#include "agent/worker/steps/carry.h"
#include "agent/worker/steps/evidence.h"
#include "agent/worker/steps/guard.h"
#include "agent/worker/steps/http.h"
#include "agent/worker/steps/ready.h"
#include "agent/worker/steps/licence.h"
#include "agent/worker/steps/reserve.h"
#include "agent/worker/steps/site.h"
#include "agent/worker/steps/unpack.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define COMPLETE CONFLEET__PROBE_STATE__PROBE_COMPLETE
#define PARTIAL CONFLEET__PROBE_STATE__PARTIAL
#define ABSENT CONFLEET__PROBE_STATE__ABSENT

/* ---------------------------------------------------------------- check */

static const Confleet__Finding *finding_find(struct job *job, const char *id)
{
    const Confleet__WorkerResult *result = job_result(job);
    for (size_t i = 0; i < result->n_findings; i++)
        if (strcmp(result->findings[i]->id, id) == 0)
            return result->findings[i];
    return NULL;
}

/* Title, reason and remedy of the first few; of those that find no room the name. */
static void refusal_add(const Confleet__Finding *found, struct str *text)
{
    str_add(text, text->len ? "; " : "");
    str_add(text, found->id);
    if (text->len >= 500)
        return;
    str_addf(text, " (%s): %.300s", found->title, found->evidence);
    if (*found->remedy)
        str_addf(text, "%s Remedy: %.200s", text->s[text->len - 1] == '.' ? "" : ".", found->remedy);
}

/* For a person who asks, unknown is an answer. For a switch it is none: which build the site has is what the way back is
 * proven by. */
static int ready_check(struct job *job, struct err *err)
{
    CLEANUP(str_free) struct str ids = { 0 };
    const Confleet__WorkerResult *result = job_result(job);
    const Confleet__Finding *builds = finding_find(job, "build-numbers");
    for (size_t i = 0; i < result->n_findings; i++)
        if (result->findings[i]->severity == CONFLEET__SEVERITY__BLOCK &&
            result->findings[i]->waived_until_ms == 0)
            refusal_add(result->findings[i], &ids);
    if (!builds || builds->severity == CONFLEET__SEVERITY__UNKNOWN)
        return err_set(err, FAIL_BLOCKED, "not ready: %.400s%sbuild-numbers: a build number that cannot be read before the stop is no "
                       "basis for an upgrade. %.400s", str_text(&ids), ids.len ? "; " : "", builds ? builds->evidence : "");
    return job_blocks(job) ? err_set(err, FAIL_BLOCKED, "not ready: %.900s", str_text(&ids)) : 0;
}

bool ready_is_again(const struct job *job)
{
    return strcmp(job_order(job)->step, runbook_steps[STEP_VERIFY].name) == 0;
}

int ready_again(struct job *job, struct err *err)
{
    if (check_job(job, err) || ready_check(job, err))
        return err_wrap(err, "right before the stop");
    return 0;
}

static int check_act(struct job *job, struct err *err)
{
    CLEANUP(installation_free) struct installation found = { 0 };
    if (check_job(job, err))
        return err_wrap(err, "check readiness");
    if (ready_check(job, err))
        return -err->code;
    const char *home = site_home(job);
    if (installation_read(job_node(job)->install, home[0] ? home : NULL, site_proc(job), &found, err))
        return err_wrap(err, "read the installation");
    if (site_user_decide(job, &found, err))
        return -err->code;
    job_memo_set(job, MEMO_HOME, "%s", found.home);
    job_memo_set(job, MEMO_RUN_USER, "%s", found.run_user);
    job_memo_set(job, MEMO_OLD_VERSION, "%s", found.version);
    job_memo_set(job, MEMO_OLD_BUILD, "%u", found.app_build);
    job_memo_set(job, MEMO_HTTP_PORT, "%u", found.http_port);
    job_memo_set(job, MEMO_CONTEXT_PATH, "%s", found.context_path);
    job_memo_set(job, MEMO_WAS_RUNNING, "%d", found.pid != 0);
    return 0;
}

static int check_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    (void)job, (void)err;
    *ret = ABSENT;              /* leaves nothing behind; a readiness seen before a crash is worth nothing after it */
    return 0;
}

/* ---------------------------------------------------------------- unpack */

static void unpack_progress(void *arg, uint64_t done, uint64_t total)
{
    job_progress(arg, done, total, "unpacking");
}

static int digest_check(const struct job *job, struct err *err)
{
    const Confleet__WorkerOrder *order = job_order(job);
    char hex[HASH_HEX_MAX];
    uint64_t size = 0;
    if (!order->release || !hash_is_hex(order->release->artifact_sha256))
        return err_set(err, FAIL_USAGE, "the order names no digest of the artifact");
    if (hash_file_hex(order->artifact, hex, &size, err))
        return err_wrap(err, "read the artifact");
    if (strcmp(hex, order->release->artifact_sha256) != 0)
        return err_set(err, FAIL_MISMATCH, "the artifact's SHA-256 is %s, the signed plan says %s", hex, order->release->artifact_sha256);
    return 0;
}

/* The switch is one rename of two names, which needs one file system. */
static int stage_make(const struct job *job, struct err *err)
{
    const Confleet__WorkerNode *node = job_node(job);
    struct stat stage, install;
    if (fs_mkdirs(node->stage_dir, 0700, err))
        return err_wrap(err, "make the stage folder");
    if (lstat(node->stage_dir, &stage) != 0 || lstat(node->install, &install) != 0)
        return err_sys(err, FAIL_IO, errno, "look at %s and %s", node->stage_dir, node->install);
    if (!S_ISDIR(stage.st_mode) || !S_ISDIR(install.st_mode))
        return err_set(err, FAIL_CONFLICT, "%s and %s must both be real folders, not links", node->stage_dir, node->install);
    if (stage.st_dev != install.st_dev)
        return err_set(err, FAIL_CONFLICT, "the stage folder %s is on another file system than the installation %s; set it "
                       "to a folder on the same one in the agent's policy file", node->stage_dir, node->install);
    return 0;
}

static int shipped_keep(const char *tree, struct err *err)
{
    CLEANUP(str_free) struct str jars = { 0 };
    CLEANUP(free_mem) char *lib = fs_join(tree, "confluence/WEB-INF/lib"), *list = fs_join(tree, TREE_JARS);
    for (const char *const *name = carry_files; *name; name++) {
        CLEANUP(free_mem) char *from = fs_join(tree, *name), *to = text_printf("%s/" TREE_SHIPPED "/%s", tree, *name);
        if (!fs_exists(from))
            continue;
        CLEANUP(free_mem) char *dir = text_dup(to);
        *strrchr(dir, '/') = 0;
        if (fs_mkdirs(dir, 0755, err) || file_copy(from, to, (struct owner){ geteuid(), getegid() }, 16 << 20, err))
            return err_wrap(err, "keep the shipped %s", *name);
    }
    DIR *dir = opendir(lib);
    if (!dir)
        return err_sys(err, FAIL_CORRUPT, errno, "the archive has no confluence/WEB-INF/lib");
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (strstr(entry->d_name, ".jar"))
            str_addf(&jars, "%s\n", entry->d_name);
    if (closedir(dir) != 0)
        return err_sys(err, FAIL_IO, errno, "close %s", lib);
    return fs_write(list, str_text(&jars), jars.len, 0644, err) ? err_wrap(err, "list the shipped jars") : 0;
}

/* Before anything of ours is in the tree: the next upgrade then knows what is the customer's. */
static int list_keep(const char *tree, struct err *err)
{
    CLEANUP(pristine_free) struct pristine shipped = { .count = 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(free_mem) char *path = fs_join(tree, CUSTOM_MANIFEST), *dir = fs_join(tree, TREE_FOLDER);
    if (pristine_of_tree(tree, &shipped, err))
        return err_wrap(err, "list the shipped files");
    pristine_write(&shipped, &text);
    if (fs_mkdirs(dir, 0755, err) || fs_write(path, str_text(&text), text.len, 0644, err))
        return err_wrap(err, "keep the list of the shipped files");
    return 0;
}

static int tree_finish(struct job *job, const char *tree, struct err *err)
{
    static const char *const needed[] = { "bin/catalina.sh", "bin/start-confluence.sh", "bin/stop-confluence.sh", "conf/server.xml",
                                          "confluence/WEB-INF/classes/confluence-init.properties", NULL };
    for (const char *const *name = needed; *name; name++) {
        CLEANUP(free_mem) char *path = fs_join(tree, *name);
        if (!fs_exists(path))
            return err_set(err, FAIL_CORRUPT, "%s is no Confluence archive: it holds no %s", job_order(job)->artifact, *name);
    }
    if (tree_check(job, tree, err))
        return err_wrap(err, "unpacked release");
    if (list_keep(tree, err) || fs_mkdirs(tree, 0755, err) || tree_mark(job, tree, err) || shipped_keep(tree, err) || guard_set(tree, clock_wall_ms(), err))
        return -err->code;
    CLEANUP(close_fd) int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0)
        return err_sys(err, FAIL_IO, errno, "sync %s", tree);
    return 0;
}

static int unpack_act(struct job *job, struct err *err)
{
    CLEANUP(free_mem) char *new_tree = site_stage(job, "new"), *partial = site_stage(job, "new.partial");
    struct unpack_count count = { 0 };
    bool ours = false;
    if (stage_make(job, err) || tree_mark_read(job, new_tree, &ours, err))
        return -err->code;
    if (ours)
        return tree_check(job, new_tree, err);
    if (fs_exists(new_tree))
        return err_set(err, FAIL_CONFLICT, "%s exists and is not this run's; look at it and move it away", new_tree);
    if (digest_check(job, err) || fs_remove_tree(partial, err))
        return -err->code;
    const struct unpack what = { .artifact = job_order(job)->artifact, .into = partial, .old_tree = job_node(job)->install,
                                 .progress = unpack_progress, .arg = job };
    if (unpack_archive(&what, &count, err) || tree_finish(job, partial, err))
        return -err->code;
    if (fs_rename(partial, new_tree, err))
        return err_wrap(err, "name the unpacked tree");
    job_log(job, 6, "unpacked %llu entries, %llu bytes to %s", (unsigned long long)count.entries, (unsigned long long)count.bytes, new_tree);
    return 0;
}

static int unpack_undo(struct job *job, struct err *err)
{
    CLEANUP(free_mem) char *new_tree = site_stage(job, "new"), *partial = site_stage(job, "new.partial");
    bool ours = false;
    if (tree_mark_read(job, new_tree, &ours, err))
        return -err->code;
    if (fs_exists(new_tree) && !ours)
        return err_set(err, FAIL_CONFLICT, "%s is not the tree that this run unpacked; it may be the old version and is left alone", new_tree);
    evidence_keep_tree(job, new_tree);
    if (fs_remove_tree(new_tree, err) || fs_remove_tree(partial, err))
        return -err->code;
    return site_stage_leave(job_node(job)->stage_dir, err);
}

static int unpack_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    CLEANUP(free_mem) char *new_tree = site_stage(job, "new"), *partial = site_stage(job, "new.partial");
    bool ours = false;
    if (tree_mark_read(job, new_tree, &ours, err))
        return -err->code;
    *ret = ours ? tree_check(job, new_tree, NULL) ? PARTIAL : COMPLETE
         : fs_exists(partial) || fs_exists(new_tree) ? PARTIAL : ABSENT;
    return 0;
}

/* ---------------------------------------------------------------- guard and switch */

/* Between the stop and the guard nothing kept a supervisor or a reboot from starting it. */
static int still_stopped(const struct job *job, struct err *err)
{
    const char *install = job_node(job)->install;
    struct http_place place = { 0 };
    struct serverxml server;
    pid_t pid = 0;
    if (installation_pid(install, site_proc(job), &pid, err))
        return err_wrap(err, "look for a running Confluence");
    if (pid)
        return err_set(err, FAIL_CONFLICT, "Confluence was started again after the stop: process %ld runs from %s", (long)pid, install);
    if (http_place(install, NULL, &place, err) || serverxml_read(install, &server, err))
        return err_wrap(err, "find out where Confluence listens");
    bool http = http_port_open(place.host, place.port);
    if (http || http_port_open("127.0.0.1", server.shutdown_port))
        return err_set(err, FAIL_CONFLICT, "Confluence was started again after the stop: port %u of %s answers",
                       http ? place.port : server.shutdown_port, install);
    return 0;
}

static int guard_act(struct job *job, struct err *err)
{
    const char *install = job_node(job)->install;
    struct err why = { 0 };
    uint64_t since = 0;
    if (!text_parse_u64(job_memo(job, MEMO_STOPPED_AT), INT64_MAX, &since))
        since = (uint64_t)clock_wall_ms();
    if (guard_set(install, (int64_t)since, err))
        return -err->code;
    if (still_stopped(job, err) == 0)
        return 0;
    /* A site that runs keeps its start script, whatever becomes of the run. */
    bool ours = false;
    if (tree_mark_read(job, install, &ours, &why) || (!ours && guard_clear(install, &why)))
        job_log(job, 3, "the start guard stays: %s", why.text);
    return -err->code;
}

static int guard_undo(struct job *job, struct err *err)
{
    bool ours = false;
    if (tree_mark_read(job, job_node(job)->install, &ours, err))
        return -err->code;
    if (ours)
        return err_set(err, FAIL_CONFLICT, "%s still holds the new version; its guard stays", job_node(job)->install);
    return guard_clear(job_node(job)->install, err);
}

static int guard_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    return guard_look(job_node(job)->install, ret, err);
}

static int guard_need(const char *tree, struct err *err)
{
    Confleet__ProbeState state = ABSENT;
    if (guard_look(tree, &state, err))
        return -err->code;
    return state == COMPLETE ? 0 : err_set(err, FAIL_CONFLICT, "%s could be started: its start guard is not in place", tree);
}

static int switch_act(struct job *job, struct err *err)
{
    const char *install = job_node(job)->install;
    CLEANUP(free_mem) char *new_tree = site_stage(job, "new");
    pid_t pid = 0;
    bool switched = false, ready = false;
    if (tree_mark_read(job, install, &switched, err) || tree_mark_read(job, new_tree, &ready, err))
        return -err->code;
    if (switched)
        return fs_sync_parent(install, err);
    if (!ready)
        return err_set(err, FAIL_NOT_FOUND, "%s is not the tree that this run unpacked", new_tree);
    if (tree_check(job, new_tree, err) || guard_need(new_tree, err) || guard_need(install, err))
        return -err->code;
    if (installation_pid(install, site_proc(job), &pid, err))
        return err_wrap(err, "look for a running Confluence");
    if (pid)
        return err_set(err, FAIL_BUSY, "process %ld still runs from %s", (long)pid, install);
    return fs_exchange(install, new_tree, err);
}

/* A commit has named the old version by what it is; the way back wants it where the switch had put it. */
static int commit_take_back(struct job *job, const char *other, struct err *err)
{
    CLEANUP(free_mem) char *kept = site_stage(job, "old"), *note = site_stage(job, SITE_KEPT_NOTE);
    bool ours = false;
    if (fs_unlink(note, err) || tree_mark_read(job, kept, &ours, err))
        return -err->code;
    if (fs_exists(other) || !fs_is_dir(kept) || ours)
        return 0;
    return fs_rename(kept, other, err);
}

static int switch_undo(struct job *job, struct err *err)
{
    const char *install = job_node(job)->install;
    CLEANUP(free_mem) char *other = site_stage(job, "new");
    bool ours = false, aside = false;
    if (tree_mark_read(job, install, &ours, err) || tree_mark_read(job, other, &aside, err))
        return -err->code;
    if (!ours) {
        /* Without this the database would be taken back from under whoever has put another version there. */
        if (job_order(job)->new_build_started && !aside)
            return err_set(err, FAIL_CONFLICT, "%s does not hold the version that this run installed, and neither does %s: it was "
                           "replaced since, and going back would take its database away", install, other);
        return fs_sync_parent(install, err);
    }
    if (commit_take_back(job, other, err))
        return err_wrap(err, "take the kept version back");
    if (tree_mark_read(job, other, &aside, err))
        return -err->code;
    if (!fs_is_dir(other) || aside)
        return err_set(err, FAIL_CONFLICT, "the old version is not at %s", other);
    return fs_exchange(install, other, err);
}

static int switch_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    const char *install = job_node(job)->install;
    bool ours = false;
    if (tree_mark_read(job, install, &ours, err))
        return -err->code;
    if (!ours) {
        *ret = ABSENT;
        return 0;
    }
    *ret = COMPLETE;
    return tree_check(job, install, err);
}

/* ---------------------------------------------------------------- configure */

/* Rebuilt at each start; stale ones keep a new version from starting (facts 1.5, 8 row 22). */
static const char *const caches[] = { "plugins-osgi-cache", "plugins-cache", "plugins-temp", "bundled-plugins", NULL };

static int configure_act(struct job *job, struct err *err)
{
    const char *install = job_node(job)->install, *home = job_memo(job, MEMO_HOME);
    bool ours = false;
    if (tree_mark_read(job, install, &ours, err))
        return -err->code;
    if (!ours || !home[0])
        return err_set(err, FAIL_CONFLICT, "%s does not hold the new version, or its home is not known", install);
    if (carry_home_check(install, home, err))
        return err_wrap(err, "configure");
    static const char *const written[] = { "logs", "work", "temp", NULL };
    for (const char *const *name = written; *name; name++) {
        CLEANUP(free_mem) char *path = fs_join(install, *name), *old = text_printf("%s/new", job_node(job)->stage_dir);
        struct owner owner;
        if (fs_mkdirs(path, 0750, err) || owner_like(old, *name, &owner, err))
            return -err->code;
        if (geteuid() == 0 && lchown(path, owner.uid, owner.gid) != 0)
            return err_sys(err, FAIL_IO, errno, "owner of %s", path);
    }
    /* Before the home's first change: the way back puts back only a home that the run has changed. */
    CLEANUP(free_mem) char *note = site_run(job, SITE_HOME_NOTE);
    if (fs_write(note, "", 0, 0600, err))
        return err_wrap(err, "note that the home changes");
    for (const char *const *name = caches; *name; name++) {
        CLEANUP(free_mem) char *path = fs_join(home, *name);
        struct stat st;
        /* A link leads to a place that may serve others: its target is the customer's. */
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && fs_remove_tree(path, err))
            return err_wrap(err, "remove a cache of the old version");
    }
    return licence_apply(job, home, err) ? err_wrap(err, "apply the new licence") : 0;
}

static int configure_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    const char *install = job_node(job)->install, *home = job_memo(job, MEMO_HOME);
    bool ours = false;
    if (tree_mark_read(job, install, &ours, err))
        return -err->code;
    bool ready = ours && home[0] && carry_home_check(install, home, NULL) == 0;
    bool clean = true;
    for (const char *const *name = caches; *name; name++) {
        CLEANUP(free_mem) char *path = fs_join(home, *name);
        clean = clean && !(fs_is_dir(path));
    }
    ready = ready && licence_applied(job, home);
    *ret = ready && clean ? COMPLETE : ready || clean ? PARTIAL : ABSENT;
    return 0;
}

/* ---------------------------------------------------------------- commit */

static int commit_act(struct job *job, struct err *err)
{
    CLEANUP(free_mem) char *other = site_stage(job, "new"), *kept = site_stage(job, "old"), *note = site_stage(job, SITE_KEPT_NOTE);
    bool ours = false, same = false;
    if (tree_mark_read(job, job_node(job)->install, &ours, err) || tree_mark_read(job, other, &same, err))
        return -err->code;
    if (!ours)
        return err_set(err, FAIL_CONFLICT, "%s does not hold the version to keep", job_node(job)->install);
    if (fs_exists(other)) {
        char now[CLOCK_TEXT_MAX];
        CLEANUP(free_mem) char *text = text_printf(
            "old: version %s build %s, replaced by %s, kept since %s.\n"
            "It does not start: bin/catalina.sh is a guard, the real one is bin/.catalina.sh.confleet.\n"
            "Its database and home have moved on; going back needs the backup of the stop as well.\n",
            job_memo(job, MEMO_OLD_VERSION), job_memo(job, MEMO_OLD_BUILD), job_order(job)->release->version,
            clock_text(clock_wall_ms(), now));
        if (same)
            return err_set(err, FAIL_CONFLICT, "%s is the new version too", other);
        if (fs_write(note, text, strlen(text), 0644, err) || fs_remove_tree(kept, err) || fs_rename(other, kept, err))
            return err_wrap(err, "keep the old version");
    }
    if (reserve_release(job, err))
        return err_wrap(err, "release the reserve");
    if (licence_settle(job, job_memo(job, MEMO_HOME), err))
        return err_wrap(err, "remove the new licence, which is in use now");
    return evidence_remove(job, err);
}

static int commit_probe(struct job *job, Confleet__ProbeState *ret, struct err *err)
{
    (void)err;
    CLEANUP(free_mem) char *other = site_stage(job, "new");
    *ret = fs_exists(other) ? ABSENT : PARTIAL;      /* the small rest is done again, it costs nothing */
    return 0;
}

const struct step_impl steps_files[] = {
    { "check", check_act, NULL, check_probe },
    { "unpack", unpack_act, unpack_undo, unpack_probe },
    { "carry", carry_act, NULL, carry_probe },
    { "reserve", reserve_take, reserve_undo, reserve_probe },
    { "guard", guard_act, guard_undo, guard_probe },
    { "switch", switch_act, switch_undo, switch_probe },
    { "configure", configure_act, NULL, configure_probe },
    { "commit", commit_act, NULL, commit_probe },
    { NULL, NULL, NULL, NULL },
};
