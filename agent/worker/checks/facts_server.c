/* What this server's files tell: account, folders, scripts, hooks, leftovers. */
#include "agent/worker/checks/facts.h"
#include "agent/worker/steps/guard.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HOOKS_MAX     1000
#define PORT_LIMIT_MS 1000

static enum fact exists(const char *path, struct stat *ret)
{
    if (stat(path, ret) == 0)
        return FACT_YES;
    return errno == ENOENT || errno == ENOTDIR ? FACT_NO : FACT_UNKNOWN;
}

static void look_at(const char *path, struct fact_path *ret, uint64_t *ret_bytes)
{
    struct stat st = { 0 };
    struct statvfs fs = { 0 };
    ret->exists = exists(path, &st);
    if (ret->exists != FACT_YES)
        return;
    ret->is_dir = S_ISDIR(st.st_mode);
    ret->mode = (unsigned)st.st_mode & 07777;
    ret->uid = st.st_uid;
    ret->writable = access(path, W_OK | (ret->is_dir ? X_OK : 0)) == 0;
    ret->read_only = statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0;
    if (ret_bytes)
        *ret_bytes = (uint64_t)st.st_size;
}

static bool is_inside(const char *path, const char *folder)
{
    size_t len = folder ? strlen(folder) : 0;
    return len > 0 && strncmp(path, folder, len) == 0 && (path[len] == 0 || path[len] == '/');
}

static void gather_user(const char *proc_root, struct facts *facts)
{
    const struct installation *site = &facts->site;
    struct stat st = { 0 };
    if (site->run_user[0])
        facts->user_exists = site->uid == (uid_t)-1 ? FACT_NO : FACT_YES;
    else if (site->uid != (uid_t)-1)
        facts->user_exists = FACT_NO; /* the home's owner has no name here */
    if (site->home && stat(site->home, &st) == 0) {
        facts->home_uid = st.st_uid;
        facts->home_uid_known = FACT_YES;
    }
    CLEANUP(free_mem) char *process = text_printf("%s/%d", proc_root, (int)site->pid);
    if (site->pid > 0 && strcmp(proc_root, "/proc") == 0 && stat(process, &st) == 0) {
        facts->process_uid = st.st_uid;
        facts->process_uid_known = FACT_YES;
    }
}

static enum fact is_program(const char *install, const char *name)
{
    CLEANUP(free_mem) char *path = fs_join(install, name);
    struct stat st = { 0 };
    enum fact found = exists(path, &st);
    return found == FACT_YES && (st.st_mode & 0111) == 0 ? FACT_NO : found;
}

static void gather_service(struct facts *facts)
{
    static const char *const places[] = { "/etc/systemd/system", "/run/systemd/system",
                                          "/usr/local/lib/systemd/system", "/lib/systemd/system",
                                          "/usr/lib/systemd/system" };
    facts->start_script = is_program(facts->site.install, "bin/start-confluence.sh");
    facts->stop_script = is_program(facts->site.install, "bin/stop-confluence.sh");
    if (!facts->service[0])
        return;
    facts->service_exists = FACT_NO;
    bool suffixed = strchr(facts->service, '.') != NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        CLEANUP(free_mem)
        char *path = text_printf("%s/%s%s", places[i], facts->service, suffixed ? "" : ".service");
        if (!strchr(facts->service, '/') && fs_exists(path))
            facts->service_exists = FACT_YES;
    }
}

/* A link is as good as its target; whoever can write to the folder can put another hook there. */
static bool others_can_change(const char *path)
{
    struct stat st = { 0 };
    return stat(path, &st) != 0 || st.st_uid != 0 || (st.st_mode & 022) != 0;
}

static void gather_hooks_of(struct facts *facts, const char *name)
{
    CLEANUP(free_mem) char *folder = fs_join(facts->hooks_path, name);
    DIR *dir = opendir(folder);
    if (!dir) {
        if (errno != ENOENT)
            facts->hooks_known = FACT_UNKNOWN;
        return;
    }
    bool any = false;
    for (struct dirent *entry = NULL; facts->hooks < HOOKS_MAX && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        CLEANUP(free_mem) char *path = fs_join(folder, entry->d_name);
        any = true;
        facts->hooks++;
        if (!facts->hooks_bad[0] && others_can_change(path))
            (void)snprintf(facts->hooks_bad, sizeof facts->hooks_bad, "%.511s", path);
    }
    (void)closedir(dir);
    const char *const above[] = { folder, facts->hooks_path };
    for (size_t i = 0; i < 2; i++)
        if (any && !facts->hooks_bad[0] && others_can_change(above[i]))
            (void)snprintf(facts->hooks_bad, sizeof facts->hooks_bad, "%.511s", above[i]);
}

static void gather_hooks(struct facts *facts)
{
    facts->hooks_known = FACT_YES;
    if (!facts->hooks_path[0])
        return;
    gather_hooks_of(facts, "pre-stop.d");
    gather_hooks_of(facts, "post-start.d");
}

/* Folders that are rebuilt or that nobody needs back may lie elsewhere. */
static bool may_be_elsewhere(const char *name)
{
    static const char *const names[] = { "logs",
                                         "temp",
                                         "backups",
                                         "restore",
                                         "export",
                                         "index",
                                         "thumbnails",
                                         "plugins-cache",
                                         "plugins-osgi-cache",
                                         "plugins-temp",
                                         "bundled-plugins",
                                         "webresource-temp",
                                         NULL };
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void gather_links(struct facts *facts)
{
    const char *home = facts->site.home;
    DIR *dir = home ? opendir(home) : NULL;
    if (!dir)
        return;
    facts->outside_known = FACT_YES;
    for (struct dirent *entry = NULL; (entry = readdir(dir)) != NULL;) {
        struct stat st = { 0 };
        CLEANUP(free_mem) char *path = fs_join(home, entry->d_name);
        if (entry->d_name[0] == '.' || lstat(path, &st) != 0 || !S_ISLNK(st.st_mode))
            continue;
        CLEANUP(free_mem) char *real = realpath(path, NULL);
        char *text = may_be_elsewhere(entry->d_name) ? facts->outside_allowed : facts->outside;
        if (!text[0] && real && !is_inside(real, home))
            (void)snprintf(text, FACT_TEXT, "%.200s is %.280s", path, real);
    }
    (void)closedir(dir);
}

static enum fact answers(const char *address, uint32_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || to.sin_addr.s_addr == htonl(INADDR_ANY))
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return FACT_UNKNOWN;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return FACT_YES;
    if (errno == ECONNREFUSED)
        return FACT_NO;
    struct pollfd item = { .fd = fd, .events = POLLOUT };
    int failure = 0;
    socklen_t len = sizeof failure;
    if (errno != EINPROGRESS || poll(&item, 1, PORT_LIMIT_MS) != 1 ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0)
        return FACT_UNKNOWN;
    return failure == 0 ? FACT_YES : failure == ECONNREFUSED ? FACT_NO : FACT_UNKNOWN;
}

static void gather_ports(struct facts *facts)
{
    const struct installation *site = &facts->site;
    const uint32_t ports[] = { site->http_port, site->shutdown_port };
    if (site->pid > 0 || !site->http_port)
        return;
    facts->port_taken = FACT_NO;
    for (size_t i = 0; i < 2 && facts->port_taken != FACT_YES; i++) {
        enum fact found = ports[i] ? answers(i == 0 ? site->http_address : "", ports[i]) : FACT_NO;
        if (found != FACT_NO) {
            facts->port_taken = found;
            facts->taken_port = ports[i];
        }
    }
}

/* Every run has its folder beside the installation: .confleet-INSTALLATION/RUN. This run's own is
 * no leftover. */
static void gather_leftovers(const Confleet__WorkerNode *node, struct facts *facts)
{
    const char *slash = strrchr(facts->site.install, '/'), *own = strrchr(node->stage_dir, '/');
    CLEANUP(free_mem)
    char *folder = text_printf("%.*s/.confleet-%s", (int)(slash - facts->site.install),
                               facts->site.install, facts->site.id);
    DIR *dir = opendir(folder);
    for (struct dirent *entry = NULL; dir && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' || (own && strcmp(own + 1, entry->d_name) == 0))
            continue;
        size_t used = strlen(facts->leftovers);
        (void)snprintf(facts->leftovers + used, sizeof facts->leftovers - used, "%s%s/%s",
                       used ? ", " : "", folder, entry->d_name);
    }
    if (dir)
        (void)closedir(dir);
    Confleet__ProbeState guard = CONFLEET__PROBE_STATE__PROBE_NONE;
    if (guard_look(facts->site.install, &guard, NULL) == 0)
        facts->guarded = guard == CONFLEET__PROBE_STATE__ABSENT ? FACT_NO : FACT_YES;
}

void facts_gather_server(struct job *job, struct facts *facts)
{
    const Confleet__WorkerNode *node = job_node(job);
    gather_user(node->pid_root[0] ? node->pid_root : "/proc", facts);
    if (facts->backup_path[0]) {
        look_at(facts->backup_path, &facts->backup_dir, NULL);
        CLEANUP(free_mem) char *real = realpath(facts->backup_path, NULL);
        const char *path = real ? real : facts->backup_path;
        facts->backup_inside =
            is_inside(path, facts->site.home) || is_inside(path, facts->site.install);
    }
    if (facts->has_artifact)
        look_at(facts->artifact, &facts->artifact_path, &facts->artifact_bytes);
    gather_links(facts);
    gather_ports(facts);
    gather_service(facts);
    gather_hooks(facts);
    gather_leftovers(node, facts);
}
