#include "scratch_local.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define INITDB_MS (5 * 60 * 1000)
#define START_MS  (60 * 1000)
#define STOP_MS   (10 * 1000)
/* A restored copy with its indexes, its log and what sorting them takes. */
#define ROOM_FACTOR 3
#define ROOM_LEAST  (256ULL * 1024 * 1024)

struct who {
    uid_t uid;
    gid_t gid;
    char name[256];
};

/* PostgreSQL refuses to run as root, and code of a customer's dump runs in the server: as an
 * account of its own at best, as the one of the site's own server only when there is no other. */
static int choose_user(const struct scratch_spec *spec, struct who *ret, struct err *err)
{
    const char *const names[] = { "confleet-scratch",
                                  strcmp(spec->run_user, "nobody") != 0 ? "nobody" : "",
                                  "postgres" };
    if (geteuid() != 0) {
        *ret = (struct who){ .uid = geteuid(), .gid = getegid() };
        return 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char buffer[4096];
        struct passwd pw, *found = NULL;
        if (!names[i][0] || getpwnam_r(names[i], &pw, buffer, sizeof buffer, &found) != 0 ||
            !found || found->pw_uid == 0)
            continue;
        *ret = (struct who){ .uid = found->pw_uid, .gid = found->pw_gid };
        (void)snprintf(ret->name, sizeof ret->name, "%s", names[i]);
        return 0;
    }
    return err_set(err, FAIL_NOT_FOUND,
                   "no unprivileged user to run a throw-away server as: no user confleet-scratch "
                   "on this host");
}

static int choose_programs(const struct scratch_spec *spec, uint32_t server_version, char **ret_dir,
                           struct err *err)
{
    uint32_t major = server_version / 10000;
    CLEANUP(free_mem) char *debian = text_printf("/usr/lib/postgresql/%u/bin", major);
    const char *const dirs[] = { spec->pg_bin, debian };
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(free_mem)
        char *initdb = fs_join(dirs[i], "initdb"), *server = fs_join(dirs[i], "postgres");
        char word[64];
        CLEANUP(proc_result_free) struct proc_result result = { 0 };
        struct err ignored = { 0 };
        if (!dirs[i][0] || access(initdb, X_OK) != 0 || access(server, X_OK) != 0)
            continue;
        (void)snprintf(word, sizeof word, ") %u.", major);
        struct proc_spec version = { .argv = (const char *const[]){ server, "--version", NULL },
                                     .timeout_ms = STOP_MS };
        if (proc_run_ok(&version, &result, &ignored) != 0 || !strstr(str_text(&result.out), word))
            continue;
        *ret_dir = text_dup(dirs[i]);
        return 0;
    }
    return err_set(err, FAIL_NOT_FOUND,
                   "no server programs of PostgreSQL %u on this host: install postgresql-%u (its "
                   "service need not run)",
                   major, major);
}

static bool can_reach(const char *dir, const struct who *who)
{
    struct proc_spec spec = { .argv = (const char *const[]){ "/usr/bin/test", "-x", dir, NULL },
                              .timeout_ms = STOP_MS,
                              .as_user = true,
                              .uid = who->uid,
                              .gid = who->gid };
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    struct err ignored = { 0 };
    return geteuid() != 0 || (proc_run(&spec, &result, &ignored) == 0 && result.status == 0);
}

/* A server that a crash left running: only one whose command line names this very folder. */
static void stop_leftover(const char *dir)
{
    CLEANUP(free_mem) char *path = fs_join(dir, "data/postmaster.pid");
    CLEANUP(str_free) struct str text = { 0 }, line = { 0 };
    struct err ignored = { 0 };
    uint64_t pid = 0;
    if (fs_read(path, 4096, &text, &ignored) != 0)
        return;
    text.s[strcspn(text.s, "\n")] = '\0';
    if (!text_parse_u64(text.s, INT32_MAX, &pid) || pid < 2)
        return;
    CLEANUP(free_mem) char *proc = text_printf("/proc/%llu/cmdline", (unsigned long long)pid);
    if (fs_read(proc, 65536, &line, &ignored) != 0 || !memmem(line.s, line.len, dir, strlen(dir)))
        return;
    (void)kill((pid_t)pid, SIGQUIT);
    for (int64_t end = clock_mono_ms() + STOP_MS;
         kill((pid_t)pid, 0) == 0 && clock_mono_ms() < end;)
        (void)poll(NULL, 0, 20);
}

static int remove_leftover(const char *dir, const struct who *who, struct err *err)
{
    struct stat st;
    if (lstat(dir, &st) != 0)
        return 0;
    /* The name can be guessed and the place may be open to all: what is there is removed only when
     * it can be ours. */
    if (!S_ISDIR(st.st_mode) || (st.st_uid != who->uid && st.st_uid != geteuid()))
        return err_set(err, FAIL_CONFLICT, "%s stands in the way and is not ours", dir);
    stop_leftover(dir);
    return fs_remove_tree(dir, err);
}

static int make_dir(const char *path, const struct who *who, struct err *err)
{
    if (mkdir(path, 0700) != 0)
        return err_sys(err, errno == ENOSPC ? FAIL_SPACE : FAIL_IO, errno, "make %s", path);
    if (geteuid() == 0 && lchown(path, who->uid, who->gid) != 0)
        return err_sys(err, FAIL_IO, errno, "give %s to its user", path);
    return 0;
}

static int choose_place(const struct scratch_spec *spec, struct scratch *s, const struct who *who,
                        struct err *err)
{
    uint64_t need = spec->bytes * ROOM_FACTOR + ROOM_LEAST, have = 0, most = 0;
    for (size_t i = 0; i < sizeof spec->places / sizeof *spec->places && spec->places[i]; i++) {
        CLEANUP(free_mem) char *dir = fs_join(spec->places[i], s->name);
        struct err ignored = { 0 };
        int rc = remove_leftover(dir, who, err);
        if (rc != 0)
            return rc;
        if (s->dir || !can_reach(spec->places[i], who) ||
            fs_space(spec->places[i], &have, &(uint64_t){ 0 }, &ignored) != 0)
            continue;
        most = have > most ? have : most;
        if (have >= need)
            s->dir = TAKE(dir);
    }
    if (!s->dir) {
        char want[24], got[24];
        return err_set(
            err, FAIL_SPACE,
            "a throw-away server needs %s; the folders that its user can reach have %s at most",
            text_size(need, want), text_size(most, got));
    }
    return make_dir(s->dir, who, err);
}

static int initdb(const char *programs, const char *data, const struct who *who,
                  const struct contents *contents, struct err *err)
{
    CLEANUP(free_mem) char *program = fs_join(programs, "initdb"), *user = NULL;
    CLEANUP(proc_result_free) struct proc_result result = { 0 };
    for (size_t i = 0; i < contents->role_count; i++)
        if (strcmp(contents->roles[i].b, "bootstrap") == 0 && !user)
            user = text_printf("--username=%s", contents->roles[i].a);
    if (!user)
        user = text_dup("--username=postgres");
    const char *argv[] = { program,      "--pgdata",     data,
                           user,         "--auth=trust", "--encoding=UTF8",
                           "--locale=C", "--no-sync",    "--no-instructions",
                           NULL };
    struct proc_spec spec = { .argv = argv,
                              .timeout_ms = INITDB_MS,
                              .as_user = geteuid() == 0,
                              .uid = who->uid,
                              .gid = who->gid,
                              .user = who->name[0] ? who->name : NULL };
    return proc_run_ok(&spec, &result, err);
}

static int start(const char *programs, const char *data, struct scratch *s, const struct who *who,
                 struct err *err)
{
    CLEANUP(free_mem) char *program = fs_join(programs, "postgres"), *log = fs_join(s->dir, "log");
    const char *argv[] = { program,
                           "-D",
                           data,
                           "-k",
                           s->socket_dir,
                           "-c",
                           "listen_addresses=",
                           "-c",
                           "fsync=off",
                           "-c",
                           "full_page_writes=off",
                           "-c",
                           "synchronous_commit=off",
                           "-c",
                           "autovacuum=off",
                           "-c",
                           "wal_level=minimal",
                           "-c",
                           "max_wal_senders=0",
                           "-c",
                           "max_wal_size=4GB",
                           "-c",
                           "session_preload_libraries=",
                           "-c",
                           "shared_preload_libraries=",
                           "-c",
                           "logging_collector=off",
                           NULL };
    struct proc_spec spec = { .argv = argv,
                              .as_user = geteuid() == 0,
                              .uid = who->uid,
                              .gid = who->gid,
                              .out_path = log,
                              .user = who->name[0] ? who->name : NULL };
    return proc_start(&spec, &s->postmaster, err);
}

static int wait_ready(struct scratch *s, struct err *err)
{
    for (int64_t end = clock_mono_ms() + START_MS;;) {
        CLEANUP(database_close) PGconn *conn = NULL;
        struct err why = { 0 };
        struct pollfd one = { s->postmaster.pidfd, POLLIN, 0 };
        if (reach_connect(&s->server, "postgres", &conn, &why) == 0)
            return 0;
        if (poll(&one, 1, 50) > 0)
            return err_set(err, FAIL_TOOL, "the throw-away server in %s ended at once", s->dir);
        if (clock_mono_ms() > end)
            return err_set(err, FAIL_TIMEOUT, "the throw-away server in %s: %.400s", s->dir,
                           why.text);
    }
}

static void describe(struct scratch *s, const struct contents *contents)
{
    s->database = (struct database){ .kind = DATABASE_POSTGRESQL, .port = "5432" };
    (void)snprintf(s->database.host, sizeof s->database.host, "%s", s->socket_dir);
    (void)snprintf(s->database.name, sizeof s->database.name, "%s", s->name);
    (void)snprintf(s->database.user, sizeof s->database.user, "postgres");
    for (size_t i = contents->role_count; i-- > 0;)
        if (strcmp(contents->roles[i].b, "bootstrap") == 0)
            (void)snprintf(s->database.user, sizeof s->database.user, "%s", contents->roles[i].a);
    s->server = (struct reach){
        .database = &s->database, .admin = "", .admin_passfile = "", .dir = s->dir
    };
}

int scratch_local_start(const struct scratch_spec *spec, struct scratch *s,
                        const struct contents *contents, struct err *err)
{
    CLEANUP(free_mem) char *programs = NULL, *data = NULL;
    struct who who = { 0 };
    char socket_dir[] = "/tmp/confleet-XXXXXX"; /* a socket's path may not be long, and this
                                                   server's folder may be deep */
    int rc = choose_user(spec, &who, err);
    if (rc == 0)
        rc = choose_programs(spec, contents->server_version, &programs, err);
    if (rc == 0)
        rc = choose_place(spec, s, &who, err);
    if (rc != 0)
        return rc;
    if (!mkdtemp(socket_dir))
        return err_sys(err, FAIL_IO, errno, "make a folder for a socket");
    s->socket_dir = text_dup(socket_dir);
    if (geteuid() == 0 && lchown(socket_dir, who.uid, who.gid) != 0)
        return err_sys(err, FAIL_IO, errno, "give %s to its user", socket_dir);
    describe(s, contents);
    s->as_postgres = strcmp(who.name, "postgres") == 0;
    data = fs_join(s->dir, "data");
    rc = initdb(programs, data, &who, contents, err);
    if (rc == 0)
        rc = start(programs, data, s, &who, err);
    if (rc == 0)
        rc = wait_ready(s, err);
    return rc == 0 ? 0 : err_wrap(err, "throw-away server");
}

int scratch_local_stop(struct scratch *s, struct err *err)
{
    int status = 0, sig = 0, rc = 0;
    if (s->postmaster.pid > 0) {
        struct pollfd one = { s->postmaster.pidfd, POLLIN, 0 };
        proc_kill(&s->postmaster, SIGQUIT);
        if (poll(&one, 1, STOP_MS) <= 0)
            proc_kill(&s->postmaster, SIGKILL);
        (void)poll(&one, 1, STOP_MS);
        rc = proc_reap(&s->postmaster, &status, &sig, err);
    }
    if (rc == 0 && s->socket_dir)
        rc = fs_remove_tree(s->socket_dir, err);
    if (rc == 0 && s->dir)
        rc = fs_remove_tree(s->dir, err);
    return rc;
}
