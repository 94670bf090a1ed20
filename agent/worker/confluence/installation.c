#include "agent/worker/confluence/installation.h"
#include "agent/worker/confluence/cfg.h"
#include "agent/worker/confluence/process.h"
#include "agent/worker/confluence/serverxml.h"
#include "agent/worker/confluence/shell.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SCRIPT_MAX      (1024 * 1024)
#define POM_OF_WEBAPP   "META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties"
#define INIT_PROPERTIES "confluence/WEB-INF/classes/confluence-init.properties"

static void note(struct installation *installation, const char *format, ...) FORMAT(2, 3);
static void note(struct installation *installation, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    str_vaddf(&installation->notes, format, ap);
    va_end(ap);
    str_add(&installation->notes, "\n");
}

void installation_id(const char *real_path, char out[INSTALLATION_ID_MAX])
{
    char hex[HASH_HEX_MAX], name[INSTALLATION_ID_MAX - 10];
    hash_bytes_hex(real_path, strlen(real_path), hex);
    const char *base = strrchr(real_path, '/');
    base = base ? base + 1 : real_path;
    size_t used = 0;
    /* An id goes into names of folders and over the wire: lower-case letters, digits, dot, dash
     * alone. */
    for (; *base && used + 1 < sizeof name - 1; base++) {
        char c = *base >= 'A' && *base <= 'Z' ? (char)(*base - 'A' + 'a') : *base;
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
        if (plain && (used > 0 || (c != '.' && c != '-' && c != '_')))
            name[used++] = c;
        if (used == 50)
            break;
    }
    name[used] = 0;
    (void)snprintf(out, INSTALLATION_ID_MAX, "%s-%.8s", used ? name : "confluence", hex);
}

/* Absent is as good as empty; true: it is there, and what it says is not known. */
static bool read_script(const char *install, const char *name, struct str *ret)
{
    CLEANUP(free_mem) char *path = fs_join(install, name);
    int result = fs_read(path, SCRIPT_MAX, ret, NULL);
    if (result != 0)
        str_clear(ret);
    return result != 0 && result != -FAIL_NOT_FOUND;
}

/* ------------------------------------------------------------------ home */

static char *home_from_file(const char *install, struct err *err)
{
    static const enum properties_bytes forms[] = { PROPERTIES_LATIN1, PROPERTIES_RAW };
    CLEANUP(free_mem) char *path = fs_join(install, INIT_PROPERTIES);
    char *first = NULL;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(properties_free) struct properties properties = { 0 };
        err_clear(err);
        if (properties_read(path, forms[i], &properties, err) != 0)
            continue;
        const char *home = properties_get(&properties, "confluence.home");
        if (!home || !*home)
            continue;
        if (fs_is_dir(home)) {
            free(first);
            return text_dup(home);
        }
        first = first ? first : text_dup(home);
    }
    return first;
}

/* The option of a running process is what it really uses; setenv.sh comes before the file, as
 * Java's option does (facts 1.1). */
static char *find_home(struct installation *installation, const char *proc_root)
{
    CLEANUP(str_free) struct str text = { 0 };
    if (installation->pid > 0 &&
        process_arguments(proc_root, installation->pid, &text, NULL) == 0) {
        const char *home = process_option(&text, "-Dconfluence.home=");
        installation->home_by_option = home && *home;
        if (installation->home_by_option)
            return text_dup(home);
    }
    CLEANUP(str_free) struct str home = { 0 };
    str_clear(&text);
    installation->setenv_hidden = read_script(installation->install, "bin/setenv.sh", &text);
    if (installation->setenv_hidden)
        note(installation, "bin/setenv.sh cannot be read; it could name another home");
    enum shell_found found =
        shell_option(str_text(&text), "-Dconfluence.home=", installation->install, &home);
    if (found == SHELL_VALUE && home.len > 0) {
        installation->home_by_option = true;
        return text_dup(home.s);
    }
    if (found == SHELL_UNKNOWN && installation->pid == 0) {
        installation->home_by_option = true;
        installation->home_hidden = true;
        note(
            installation,
            "bin/setenv.sh sets -Dconfluence.home in a way that cannot be read without running it");
        return NULL;
    }
    struct err err = { 0 };
    char *named = home_from_file(installation->install, &err);
    installation->home_hidden = !named && err.code != 0 && err.code != FAIL_NOT_FOUND;
    if (installation->home_hidden)
        note(installation, "%s", err.text);
    return named;
}

static void take_home(struct installation *installation, char *found)
{
    if (!found) {
        if (!installation->home_hidden)
            note(installation,
                 "no home: neither %s nor -Dconfluence.home in bin/setenv.sh names one",
                 INIT_PROPERTIES);
        return;
    }
    installation->home = realpath(found, NULL);
    if (!installation->home) {
        installation->home_absent = true;
        note(installation, "the home %s cannot be opened: %s", found, strerror(errno));
        installation->home = text_dup(found);
    }
    size_t len = strlen(installation->install);
    installation->home_inside = strncmp(installation->home, installation->install, len) == 0 &&
                                (installation->home[len] == 0 || installation->home[len] == '/');
}

/* ------------------------------------------------------------------ confluence.cfg.xml */

static void read_database(struct installation *installation, const struct cfg *cfg)
{
    struct database *database = &installation->database;
    struct err err = { 0 };
    const char *url = cfg_get(cfg, "hibernate.connection.url"),
               *source = cfg_get(cfg, "hibernate.connection.datasource");
    CLEANUP(free_mem) char *expanded = cfg_expand(url, installation->home);
    if (!*url && *source) {
        database->kind = DATABASE_JNDI;
        note(installation,
             "the database is a data source of Tomcat (%s); its URL is not in confluence.cfg.xml",
             source);
        return;
    }
    if (!*url) {
        note(installation, "confluence.cfg.xml names no database");
        return;
    }
    if (database_parse_url(expanded, database, &err) != 0) {
        note(installation, "%s", err.text);
        return;
    }
    const char *user = cfg_get(cfg, "hibernate.connection.username");
    const char *password = properties_get(&cfg->properties, "hibernate.connection.password");
    if (!database->user[0])
        (void)snprintf(database->user, sizeof database->user, "%s", user);
    if (*cfg_get(cfg, "jdbc.password.decrypter.classname")) {
        (void)snprintf(database->password_note, sizeof database->password_note,
                       "it is encrypted (jdbc.password.decrypter.classname is set)");
        note(installation,
             "the database password in confluence.cfg.xml is encrypted and cannot be used");
    } else if (!database->password && password) {
        database->password = text_dup(password);
    } else if (!database->password) {
        (void)snprintf(database->password_note, sizeof database->password_note,
                       "confluence.cfg.xml holds none");
    }
}

static bool is_clustered(const struct installation *installation, const struct cfg *cfg)
{
    if (strcmp(cfg_get(cfg, "confluence.cluster"), "true") == 0 ||
        strcmp(cfg->setup_type, "cluster") == 0)
        return true;
    /* Single nodes have a shared-home folder inside their home (facts 1.4); one elsewhere is meant
     * for other nodes. */
    static const char *const names[] = { "confluence.cluster.home", "shared-home" };
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(free_mem) char *path = cfg_expand(cfg_get(cfg, names[i]), installation->home);
        size_t len = strlen(installation->home);
        if (path[0] == '/' &&
            (strncmp(path, installation->home, len) != 0 || (path[len] != '/' && path[len] != 0)))
            return true;
    }
    return false;
}

/* A real path is compared, so that a link in the home that leads elsewhere is seen too. */
static char *outside_home(const char *home, const char *value)
{
    CLEANUP(free_mem) char *path = cfg_expand(value, home);
    CLEANUP(free_mem) char *real = realpath(path, NULL);
    const char *place = real ? real : path;
    size_t len = strlen(home);
    bool inside = strncmp(place, home, len) == 0 && (place[len] == '/' || place[len] == 0);
    return place[0] == '/' && !inside ? text_dup(place) : NULL;
}

static void read_cfg(struct installation *installation, char *ret_path_property, size_t size)
{
    CLEANUP(cfg_free) struct cfg cfg = { 0 };
    struct err err = { 0 };
    if (!installation->home)
        return;
    if (cfg_read(installation->home, &cfg, &err) != 0) {
        installation->config_hidden = err.sys == EACCES;
        (void)snprintf(installation->config_why, sizeof installation->config_why, "%.511s",
                       err.text);
        note(installation, "%s", err.text);
        return;
    }
    installation->has_config = true;
    installation->home_build = cfg.build;
    (void)snprintf(installation->setup_step, sizeof installation->setup_step, "%.31s",
                   cfg.setup_step);
    (void)snprintf(installation->server_id, sizeof installation->server_id, "%.31s",
                   cfg_get(&cfg, "confluence.setup.server.id"));
    installation->clustered = is_clustered(installation, &cfg);
    installation->attachments = outside_home(installation->home, cfg_get(&cfg, "attachments.dir"));
    (void)snprintf(ret_path_property, size, "%s", cfg_get(&cfg, "confluence.webapp.context.path"));
    if (cfg.build == 0)
        note(installation, "confluence.cfg.xml holds no build number");
    if (cfg.finalized_build != 0 && cfg.finalized_build != cfg.build)
        note(installation,
             "confluence.cfg.xml holds a finalized build %u beside build %u: a rolling upgrade was "
             "not finished",
             cfg.finalized_build, cfg.build);
    if (cfg.licence == CFG_LICENCE_VERSION_1)
        note(installation,
             "the licence is of the old form (version 1), which newer versions refuse");
    read_database(installation, &cfg);
}

/* ------------------------------------------------------------------ Tomcat, user, Java */

static void read_server(struct installation *installation, const char *path_property)
{
    struct serverxml server = { 0 };
    struct err err = { 0 };
    if (serverxml_read(installation->install, &server, &err) != 0) {
        note(installation, "%s", err.text);
        return;
    }
    installation->http_port = server.http_port;
    installation->shutdown_port = server.shutdown_port;
    (void)snprintf(installation->http_address, sizeof installation->http_address, "%s",
                   server.address);
    const char *path = strstr(server.context_path, "${") ? path_property : server.context_path;
    (void)snprintf(installation->context_path, sizeof installation->context_path, "%s",
                   strcmp(path, "/") == 0 ? "" : path);
    if (installation->http_port == 0)
        note(installation, "conf/server.xml has no connector with a port");
}

static void read_user(struct installation *installation)
{
    CLEANUP(str_free) struct str text = { 0 };
    CLEANUP(str_free) struct str user = { 0 };
    struct stat st = { 0 };
    struct passwd *account = NULL;
    installation->uid = (uid_t)-1;
    installation->gid = (gid_t)-1;
    installation->user_hidden = read_script(installation->install, "bin/user.sh", &text);
    if (installation->user_hidden) {
        note(installation, "bin/user.sh cannot be read, so the account is not known");
        return;
    }
    enum shell_found found =
        shell_variable(str_text(&text), "CONF_USER", installation->install, &user);
    if (found == SHELL_UNKNOWN)
        note(installation,
             "bin/user.sh sets CONF_USER in a way that cannot be read without running it");
    if (found == SHELL_VALUE && user.len > 0) {
        (void)snprintf(installation->run_user, sizeof installation->run_user, "%.63s", user.s);
        account = getpwnam(user.s);
        if (!account)
            note(installation, "bin/user.sh names the user %s, who does not exist on this server",
                 installation->run_user);
    } else if (installation->home && stat(installation->home, &st) == 0) {
        account = getpwuid(st.st_uid);
        installation->uid = st.st_uid;
        installation->gid = st.st_gid;
        (void)snprintf(installation->run_user, sizeof installation->run_user, "%.63s",
                       account ? account->pw_name : "");
        if (!account)
            note(installation, "the home belongs to user id %u, who has no name on this server",
                 (unsigned)st.st_uid);
    }
    if (account) {
        installation->uid = account->pw_uid;
        installation->gid = account->pw_gid;
    }
}

static bool take_java(struct installation *installation, const char *folder, const char *name)
{
    CLEANUP(free_mem) char *path = fs_join(folder, name);
    if (strlen(path) >= sizeof installation->java || access(path, X_OK) != 0)
        return false;
    (void)snprintf(installation->java, sizeof installation->java, "%s", path);
    return true;
}

/* The scripts' own order: what runs, JRE_HOME of setjre.sh (installer), JRE_HOME and JAVA_HOME of
 * setenv.sh, then the path. */
static void read_java(struct installation *installation, const char *proc_root)
{
    static const struct {
        const char *script, *variable;
    } places[] = {
        { "bin/setjre.sh", "JRE_HOME" },
        { "bin/setenv.sh", "JRE_HOME" },
        { "bin/setenv.sh", "JAVA_HOME" },
    };
    char exe[512];
    CLEANUP(free_mem) char *link = text_printf("%s/%d/exe", proc_root, (int)installation->pid);
    ssize_t len = installation->pid > 0 ? readlink(link, exe, sizeof exe - 1) : -1;
    if (len > 5 && strncmp(exe + len - 5, "/java", 5) == 0) {
        exe[len] = 0;
        (void)snprintf(installation->java, sizeof installation->java, "%s", exe);
        return;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        CLEANUP(str_free) struct str text = { 0 };
        CLEANUP(str_free) struct str value = { 0 };
        (void)read_script(installation->install, places[i].script, &text);
        if (shell_variable(str_text(&text), places[i].variable, installation->install, &value) ==
                SHELL_VALUE &&
            value.len > 0 && take_java(installation, value.s, "bin/java"))
            return;
    }
    if (!take_java(installation, installation->install, "jre/bin/java") &&
        !take_java(installation, "/usr/bin", "java"))
        note(installation, "no Java found: neither in setenv.sh nor in jre/ nor in /usr/bin");
}

/* ------------------------------------------------------------------ the whole */

/* Facts 1.6: the web application alone, in somebody's own Tomcat or WebLogic. */
static bool is_web_application(const char *folder)
{
    CLEANUP(free_mem)
    char *init = fs_join(folder, "WEB-INF/classes/confluence-init.properties");
    CLEANUP(free_mem) char *pom = fs_join(folder, POM_OF_WEBAPP);
    return fs_exists(init) || fs_exists(pom);
}

static int must_be_installation(const char *install, struct err *err)
{
    static const char *const needed[] = { "bin/start-confluence.sh", "confluence/WEB-INF" };
    CLEANUP(free_mem) char *inside = fs_join(install, "confluence");
    struct stat st = { 0 };
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(free_mem) char *path = fs_join(install, needed[i]);
        if (lstat(path, &st) == 0)
            continue;
        if (errno != ENOENT && errno != ENOTDIR)
            return err_sys(err, FAIL_IO, errno,
                           "whether %s is an installation of Confluence cannot be seen: %s",
                           install, path);
        if (i == 0 && (is_web_application(install) || is_web_application(inside)))
            return err_set(err, FAIL_UNSUPPORTED,
                           "%s is the web application alone (EAR-WAR edition): it has no %s. It is "
                           "served by a Tomcat or another server that Confleet does not know, and "
                           "must be moved to the standalone distribution by hand",
                           install, needed[i]);
        return err_set(err, FAIL_NOT_FOUND, "%s is no installation of Confluence: it has no %s",
                       install, needed[i]);
    }
    return 0;
}

/* /proc mounted with hidepid shows an account its own processes alone. */
static bool hides_processes(const char *proc_root)
{
    CLEANUP(str_free) struct str text = { 0 };
    return strcmp(proc_root, "/proc") == 0 && fs_read("/proc/1/cmdline", 1 << 20, &text, NULL) != 0;
}

int installation_read(const char *install, const char *home_or_null, const char *proc_root,
                      struct installation *ret, struct err *err)
{
    CLEANUP(installation_free) struct installation installation = { 0 };
    struct err why = { 0 };
    installation.install = realpath(install, NULL);
    if (!installation.install)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", install);
    int result = must_be_installation(installation.install, err);
    if (result != 0)
        return result;
    installation_id(installation.install, installation.id);
    if (installation_release(installation.install, installation.version, &installation.app_build,
                             installation.build_date, &why) != 0)
        note(&installation, "%s", why.text);
    else if (installation.app_build == 0)
        note(&installation, "no jar of the installation tells its build number");
    err_clear(&why);
    int looked = installation_pid(installation.install, proc_root, &installation.pid, &why);
    if (looked != 0)
        note(&installation, "whether it runs is not known: %s", why.text);
    installation.processes_hidden =
        installation.pid == 0 && (looked != 0 || hides_processes(proc_root));
    CLEANUP(free_mem)
    char *home = home_or_null && *home_or_null ? text_dup(home_or_null)
                                               : find_home(&installation, proc_root);
    installation.home_given = home_or_null && *home_or_null;
    take_home(&installation, home);
    char path_property[128] = "";
    read_cfg(&installation, path_property, sizeof path_property);
    read_server(&installation, path_property);
    read_user(&installation);
    read_java(&installation, proc_root);
    CLEANUP(free_mem) char *installer = fs_join(installation.install, ".install4j");
    CLEANUP(free_mem) char *jre = fs_join(installation.install, "jre");
    struct stat st = { 0 };
    installation.folder_hidden = lstat(installer, &st) != 0 && errno != ENOENT;
    installation.installer_made = fs_exists(installer) || fs_is_dir(jre);
    *ret = installation;
    installation = (struct installation){ 0 };
    return 0;
}

void installation_free(struct installation *installation)
{
    free(installation->install);
    free(installation->home);
    free(installation->attachments);
    database_free(&installation->database);
    str_free(&installation->notes);
    *installation = (struct installation){ 0 };
}
