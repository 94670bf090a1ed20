#include "agent/worker/steps/carry_tree.h"
#include "agent/worker/confluence/jar.h"
#include "agent/worker/steps/inside.h"
#include "agent/worker/steps/site.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LIB "confluence/WEB-INF/lib"
#define JAR_MAX (512ULL << 20)
#define NAMES_MAX 4000
#define DOUBTFUL_MAX 8             /* more than these are the old version's own libraries, not a customer's */
#define DAY_S 86400

static struct inside old_of(const struct carry_trees *trees)
{
    return (struct inside){ trees->old, trees->run_uid };
}

bool carry_refused(const struct carry_trees *trees, int rc, struct err *err)
{
    if (rc != -FAIL_CONFLICT || !trees->refused)
        return false;
    str_addf(trees->refused, "%s\n", err->text);
    err_clear(err);
    return true;
}

struct names { char *items[NAMES_MAX]; size_t count; };

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
}

static bool names_has(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A folder that is not there has no files. */
static int names_read(struct inside in, const char *path, const char *suffix, struct names *ret, struct err *err)
{
    struct err why = { 0 };
    int fd = -1, rc = inside_folder(in, path, &fd, &why);
    if (rc)
        return rc == -FAIL_NOT_FOUND ? 0 : err_set(err, (enum fail)why.code, "%s", why.text);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        rc = err_sys(err, FAIL_IO, errno, "read %s", path);
        (void)close(fd);
        return rc;
    }
    for (const struct dirent *entry = readdir(dir); entry && rc == 0; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name), end = strlen(suffix);
        if (entry->d_name[0] == '.' || len <= end || strcmp(entry->d_name + len - end, suffix) != 0)
            continue;
        if (ret->count == NAMES_MAX)
            rc = err_set(err, FAIL_LIMIT, "%s holds more than %d files", path, NAMES_MAX);
        else
            ret->items[ret->count++] = text_dup(entry->d_name);
    }
    (void)closedir(dir);
    qsort(ret->items, ret->count, sizeof ret->items[0], by_text);
    return rc;
}

/* "mysql-connector-java-5.1.49-bin.jar" and its next version are the same artifact: the name up to "-" and a digit. */
static size_t artifact_len(const char *jar)
{
    for (const char *c = jar; *c; c++)
        if (c > jar && (*c == '-' || *c == '_') && isdigit((unsigned char)c[1]))
            return (size_t)(c - jar);
    const char *dot = strrchr(jar, '.');
    return dot ? (size_t)(dot - jar) : strlen(jar);
}

static bool same_artifact_in(const struct names *names, const char *jar)
{
    size_t len = artifact_len(jar);
    for (size_t i = 0; i < names->count; i++)
        if (artifact_len(names->items[i]) == len && strncmp(names->items[i], jar, len) == 0)
            return true;
    return false;
}

static bool is_driver(const char *jar)
{
    static const char *const starts[] = { "mysql-connector", "ojdbc", "mssql-jdbc", "sqljdbc", "jtds", "postgresql-", "mariadb-java-client", NULL };
    for (const char *const *start = starts; *start; start++)
        if (strncmp(jar, *start, strlen(*start)) == 0)
            return true;
    return false;
}

/* An app of the first kind lies on the class path and must be copied by hand at an upgrade (facts 9.1). */
static bool is_static_app(const char *path)
{
    CLEANUP(str_free) struct str text = { 0 };
    return jar_entry(path, "atlassian-plugin.xml", 1 << 20, &text, NULL) == 0;
}

/* Seconds at which the vendor made the version's own jar; later files were put there by somebody else. Zero: not known. */
static int64_t vendor_time(const struct carry_trees *trees)
{
    CLEANUP(names_free) struct names jars = { .count = 0 };
    if (names_read(old_of(trees), LIB, ".jar", &jars, NULL))
        return 0;
    for (size_t i = 0; i < jars.count; i++) {
        CLEANUP(free_mem) char *path = fs_join(LIB, jars.items[i]);
        CLEANUP(close_fd) int fd = -1;
        struct stat st;
        if (strncmp(jars.items[i], "confluence-", 11) == 0 && isdigit((unsigned char)jars.items[i][11]) &&
            inside_open(old_of(trees), path, JAR_MAX, &fd, &st, NULL) == 0)
            return (int64_t)st.st_mtim.tv_sec;
    }
    return 0;
}

enum whose { WHOSE_VENDOR, WHOSE_CUSTOMER, WHOSE_UNCLEAR };

static enum whose jar_whose(const struct carry_trees *trees, const char *name, const struct names *shipped, bool shipped_known, int64_t vendor_s)
{
    CLEANUP(free_mem) char *path = fs_join(LIB, name);
    CLEANUP(close_fd) int fd = -1;
    struct stat st;
    if (shipped_known)
        return names_has(shipped, name) ? WHOSE_VENDOR : WHOSE_CUSTOMER;
    if (is_driver(name))
        return WHOSE_CUSTOMER;
    if (inside_open(old_of(trees), path, JAR_MAX, &fd, &st, NULL))
        return WHOSE_UNCLEAR;
    CLEANUP(free_mem) char *opened = text_printf("/proc/self/fd/%d", fd);
    if (is_static_app(opened))
        return WHOSE_CUSTOMER;
    return vendor_s && (int64_t)st.st_mtim.tv_sec > vendor_s + DAY_S ? WHOSE_CUSTOMER : WHOSE_UNCLEAR;
}

static bool shipped_jars(struct inside in, struct names *ret)
{
    CLEANUP(str_free) struct str text = { 0 };
    if (inside_read(in, TREE_JARS, 1 << 20, &text, NULL))
        return false;
    for (const char *line = str_text(&text); *line && ret->count < NAMES_MAX;) {
        size_t len = strcspn(line, "\n");
        ret->items[ret->count++] = text_printf("%.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
    return true;
}

/* 1: copied; 0: refused and noted. */
static int jar_copy(const struct carry_trees *trees, const char *name, struct err *err)
{
    CLEANUP(free_mem) char *from = fs_join(LIB, name), *to = text_printf("%s/" LIB "/%s", trees->new, name);
    int rc = inside_copy(old_of(trees), from, to, JAR_MAX, err);
    if (rc == 0 || carry_refused(trees, rc, err))
        return rc == 0;
    return err_wrap(err, "carry %s", name);
}

int carry_jars(const struct carry_trees *trees, struct str *carried, struct str *doubts, struct err *err)
{
    CLEANUP(names_free) struct names mine = { .count = 0 }, ours = { .count = 0 }, theirs = { .count = 0 }, unclear = { .count = 0 };
    CLEANUP(free_mem) char *new_list = fs_join(trees->new, TREE_JARS);
    bool known = shipped_jars(old_of(trees), &theirs);
    int64_t vendor_s = vendor_time(trees);
    if (!shipped_jars((struct inside){ trees->new, trees->run_uid }, &ours))
        return err_set(err, FAIL_NOT_FOUND, "%s is missing", new_list);
    if (names_read(old_of(trees), LIB, ".jar", &mine, err))
        return -err->code;
    for (size_t i = 0; i < mine.count; i++) {
        if (same_artifact_in(&ours, mine.items[i]))
            continue;
        enum whose whose = jar_whose(trees, mine.items[i], &theirs, known, vendor_s);
        if (whose == WHOSE_UNCLEAR)
            unclear.items[unclear.count++] = text_dup(mine.items[i]);
        if (whose != WHOSE_CUSTOMER)
            continue;
        int copied = jar_copy(trees, mine.items[i], err);
        if (copied < 0)
            return copied;
        if (copied)
            str_addf(carried, LIB "/%s\n", mine.items[i]);
    }
    for (size_t i = 0; i < unclear.count; i++) {
        int copied = unclear.count <= DOUBTFUL_MAX ? jar_copy(trees, unclear.items[i], err) : 0;
        if (copied < 0)
            return copied;
        str_addf(doubts, "%s%s\n", unclear.items[i], copied ? " (copied)" : " (left out)");
    }
    return 0;
}

/* ---------------------------------------------------------------- conf: keystores and the like */

static bool conf_is_vendors(const char *name)
{
    static const char *const known[] = { "catalina.policy", "catalina.properties", "context.xml", "jaspic-providers.xml", "jaspic-providers.xsd",
                                         "logging.properties", "server.xml", "server.xsd", "tomcat-users.xml", "tomcat-users.xsd", "web.xml", NULL };
    for (const char *const *one = known; *one; one++)
        if (strcmp(*one, name) == 0)
            return true;
    return false;
}

int carry_conf(const struct carry_trees *trees, struct str *carried, struct err *err)
{
    CLEANUP(names_free) struct names mine = { .count = 0 };
    int rc = names_read(old_of(trees), "conf", "", &mine, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < mine.count; i++) {
        CLEANUP(free_mem) char *from = fs_join("conf", mine.items[i]), *old = fs_join(trees->old, from),
            *to = text_printf("%s/conf/%s", trees->new, mine.items[i]);
        struct stat st;
        if (conf_is_vendors(mine.items[i]) || lstat(old, &st) != 0 || S_ISDIR(st.st_mode))
            continue;
        if (fs_exists(to))               /* shipped under that name, or copied by an earlier run of this step */
            continue;
        rc = inside_copy(old_of(trees), from, to, 16 << 20, err);
        if (carry_refused(trees, rc, err))
            continue;
        if (rc)
            return err_wrap(err, "carry conf/%s", mine.items[i]);
        str_addf(carried, "conf/%s\n", mine.items[i]);
    }
    return 0;
}

/* ---------------------------------------------------------------- what only the installer brought */

/* name: of the entry, in the old tree. */
static int entry_copy(const struct carry_trees *trees, const FTSENT *entry, const char *name, const char *to, struct err *err)
{
    const struct stat *st = entry->fts_statp;
    struct owner owner = { st->st_uid, st->st_gid };
    int rc = 0;
    char target[FS_PATH_MAX];
    switch (entry->fts_info) {
    case FTS_D:
        if (mkdir(to, 0700) != 0)
            return err_sys(err, FAIL_IO, errno, "make %s", to);
        return 0;
    case FTS_F:
        return inside_copy(old_of(trees), name, to, JAR_MAX, err);
    case FTS_SL:
    case FTS_SLNONE:
        rc = inside_link(old_of(trees), name, target, sizeof target, &owner, err);
        if (rc)
            return carry_refused(trees, rc, err) ? 0 : rc;
        if (symlink(target, to) != 0 || lchown(to, owner.uid, owner.gid) != 0)
            return err_sys(err, FAIL_IO, errno, "make link %s", to);
        return 0;
    case FTS_DP: {
        const struct timespec times[2] = { st->st_atim, st->st_mtim };
        if (lchown(to, owner.uid, owner.gid) != 0 || chmod(to, st->st_mode & 0777) != 0 || utimensat(AT_FDCWD, to, times, AT_SYMLINK_NOFOLLOW) != 0)
            return err_sys(err, FAIL_IO, errno, "owner, mode and times of %s", to);
        return 0;
    }
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return err_sys(err, FAIL_IO, entry->fts_errno, "read %s", entry->fts_path);
    default:
        return err_set(err, FAIL_CONFLICT, "%s is neither file, folder nor link", entry->fts_path);
    }
}

static int folder_walk(const struct carry_trees *trees, const char *from, const char *partial, struct err *err)
{
    char *const roots[] = { (char *)(uintptr_t)from, NULL };
    size_t skip = strlen(from);
    int rc = 0;
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    if (!fts)
        return err_sys(err, FAIL_IO, errno, "read %s", from);
    for (FTSENT *entry = fts_read(fts); entry && rc == 0; entry = fts_read(fts)) {
        CLEANUP(free_mem) char *to = text_printf("%s%s", partial, entry->fts_path + skip);
        rc = entry_copy(trees, entry, entry->fts_path + strlen(trees->old) + 1, to, err);
    }
    (void)fts_close(fts);
    return rc;
}

/* A whole folder with links, modes, owners and times, made beside and renamed; nothing when it is there already. */
static int carry_folder(const struct carry_trees *trees, const char *from, const char *to, struct err *err)
{
    CLEANUP(free_mem) char *partial = text_printf("%s.partial", to);
    if (fs_is_dir(to))
        return 0;
    if (fs_remove_tree(partial, err) || folder_walk(trees, from, partial, err) || fs_rename(partial, to, err))
        return err_wrap(err, "copy %s", from);
    return 0;
}

static bool is_real_dir(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int one_file(const struct carry_trees *trees, const char *name, struct str *carried, struct err *err)
{
    CLEANUP(free_mem) char *from = fs_join(trees->old, name), *to = fs_join(trees->new, name);
    if (!fs_exists(from))
        return 0;
    int rc = inside_copy(old_of(trees), name, to, 64 << 20, err);
    if (carry_refused(trees, rc, err))
        return 0;
    if (rc)
        return err_wrap(err, "carry %s", name);
    str_addf(carried, "%s\n", name);
    return 0;
}

int carry_java(const struct carry_trees *trees, struct str *carried, struct err *err)
{
    static const char *const folders[] = { "jre", ".install4j", NULL };
    CLEANUP(free_mem) char *old_jre = fs_join(trees->old, "jre"), *new_jre = fs_join(trees->new, "jre");
    bool had = is_real_dir(old_jre), shipped = is_real_dir(new_jre);
    CLEANUP(free_mem) char *ours = fs_join(trees->new, TREE_FOLDER "/jre-carried");
    shipped = shipped && !fs_exists(ours);
    if (had && !shipped && fs_write(ours, "", 0, 0644, err))
        return -err->code;
    for (const char *const *name = folders; *name; name++) {
        CLEANUP(free_mem) char *from = fs_join(trees->old, *name), *to = fs_join(trees->new, *name);
        if (!is_real_dir(from) || (shipped && strcmp(*name, "jre") == 0))
            continue;
        if (carry_folder(trees, from, to, err))
            return -err->code;
        str_addf(carried, "%s/\n", *name);
    }
    if (had && !shipped && one_file(trees, "bin/setjre.sh", carried, err))
        return -err->code;
    if (had && shipped && one_file(trees, "jre/lib/security/cacerts", carried, err))
        return -err->code;
    return one_file(trees, "uninstall", carried, err);
}
