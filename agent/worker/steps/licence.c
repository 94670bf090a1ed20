#include "agent/worker/steps/licence.h"
#include "agent/worker/checks/facts_licence.h"
#include "agent/worker/confluence/cfg.h"
#include "agent/worker/confluence/xml_edit.h"
#include "agent/worker/steps/inside.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CFG         "confluence.cfg.xml"
#define CFG_PARTIAL "confluence.cfg.xml.confleet"
#define PATH        "confluence-configuration/properties/property"

static struct inside home_of(struct job *job, const char *home)
{
    return (struct inside){ .tree = home, .run_uid = inside_uid(job_memo(job, MEMO_RUN_USER)) };
}

/* false: none waits, or none that may be used. */
static int read_waiting(struct job *job, struct str *ret, bool *ret_fits, struct err *err)
{
    const char *path = job_node(job)->licence_file;
    struct licence licence = { 0 };
    *ret_fits = false;
    if (!path[0] || !fs_exists(path))
        return 0;
    if (fs_read(path, LICENCE_TEXT_MAX, ret, err))
        return -err->code;
    licence_decode(str_text(ret), ret->len, &licence_keys_vendor, &licence);
    *ret_fits = facts_licence_fits(&licence);
    return 0;
}

/* Of a property that is there twice the last one counts. */
static bool cfg_holds(const struct str *text, const struct str *licence)
{
    CLEANUP(xml_free) struct xml xml = { 0 };
    bool holds = false;
    if (xml_parse_str(text, &xml, NULL) != 0)
        return false;
    for (const struct xml_element *element = NULL;
         (element = xml_next(&xml, PATH, element)) != NULL;) {
        const char *name = xml_value(element, "name");
        if (name && strcmp(name, LICENCE_PROPERTY) == 0)
            holds =
                licence_same(element->text, strlen(element->text), str_text(licence), licence->len);
    }
    return holds;
}

/* In the folder of an account with fewer rights: by its descriptor, and never through a link. */
static int cfg_replace(const char *home, const struct str *text, const struct stat *like,
                       struct err *err)
{
    CLEANUP(close_fd) int dir = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(err, FAIL_IO, errno, "open %s", home);
    if (unlinkat(dir, CFG_PARTIAL, 0) != 0 && errno != ENOENT)
        return err_sys(err, FAIL_IO, errno, "remove %s/" CFG_PARTIAL, home);
    CLEANUP(close_fd)
    int fd = openat(dir, CFG_PARTIAL, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, FAIL_IO, errno, "make %s/" CFG_PARTIAL, home);
    struct stat made;
    if (fs_write_all(fd, text->s, text->len, err) != 0)
        return err_wrap(err, "%s/" CFG_PARTIAL, home);
    if (fstat(fd, &made) != 0 ||
        ((made.st_uid != like->st_uid || made.st_gid != like->st_gid) &&
         fchown(fd, like->st_uid, like->st_gid) != 0) ||
        fchmod(fd, like->st_mode & 0777) != 0)
        return err_sys(err, FAIL_IO, errno, "owner and mode of %s/" CFG_PARTIAL, home);
    if (fs_sync_fd(fd, CFG_PARTIAL, err) != 0 || fs_close(&fd, CFG_PARTIAL, err) != 0)
        return -err->code;
    if (renameat(dir, CFG_PARTIAL, dir, CFG) != 0)
        return err_sys(err, FAIL_IO, errno, "rename %s/" CFG_PARTIAL, home);
    return fs_sync_fd(dir, home, err);
}

static int read_cfg(struct job *job, const char *home, struct str *ret, struct stat *ret_stat,
                    struct err *err)
{
    CLEANUP(close_fd) int fd = -1;
    int result = inside_open(home_of(job, home), CFG, XML_SIZE_MAX, &fd, ret_stat, err);
    return result ? result : fs_read_fd(fd, CFG, XML_SIZE_MAX, ret, err);
}

int licence_apply(struct job *job, const char *home, struct err *err)
{
    CLEANUP(str_wipe) struct str licence = { 0 };
    CLEANUP(str_wipe) struct str plain = { 0 };
    CLEANUP(str_wipe) struct str cfg = { 0 };
    struct stat st;
    bool fits = false;
    if (read_waiting(job, &licence, &fits, err))
        return -err->code;
    if (!fits) {
        if (licence.len > 0)
            job_log(job, 4, "the new licence that waits is not applied: it is none for Confluence");
        return 0;
    }
    if (read_cfg(job, home, &cfg, &st, err))
        return -err->code;
    if (cfg_holds(&cfg, &licence))
        return 0;
    licence_strip(str_text(&licence), licence.len, &plain);
    if (cfg_property_set(&cfg, LICENCE_PROPERTY, str_text(&plain), err))
        return err_wrap(err, "%s/" CFG, home);
    if (cfg_replace(home, &cfg, &st, err))
        return -err->code;
    job_log(job, 6, "the new licence was put into %s/" CFG, home);
    return 0;
}

bool licence_applied(struct job *job, const char *home)
{
    CLEANUP(str_wipe) struct str licence = { 0 };
    CLEANUP(str_wipe) struct str cfg = { 0 };
    struct err err = { 0 };
    struct stat st;
    bool fits = false;
    if (read_waiting(job, &licence, &fits, &err))
        return false;
    return !fits || (read_cfg(job, home, &cfg, &st, &err) == 0 && cfg_holds(&cfg, &licence));
}

int licence_settle(struct job *job, const char *home, struct err *err)
{
    CLEANUP(str_wipe) struct str licence = { 0 };
    CLEANUP(str_wipe) struct str cfg = { 0 };
    struct stat st;
    bool fits = false;
    if (read_waiting(job, &licence, &fits, err))
        return -err->code;
    if (!fits)
        return 0;
    if (read_cfg(job, home, &cfg, &st, err))
        return -err->code;
    /* Another one was handed over since: it waits for the next upgrade. */
    return cfg_holds(&cfg, &licence) ? fs_unlink(job_node(job)->licence_file, err) : 0;
}
