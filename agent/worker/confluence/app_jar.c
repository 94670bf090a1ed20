#include "agent/worker/confluence/app_jar.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Each header lies somewhere else in the file: a large block would be read for each. */
#define JAR_BLOCK       4096
#define DESCRIPTOR_NAME "atlassian-plugin.xml"
#define MANIFEST_NAME   "META-INF/MANIFEST.MF"

static inline void archive_drop(struct archive **archive)
{
    if (*archive)
        (void)archive_read_free(*archive); /* read only: nothing can be lost */
    *archive = NULL;
}

static int no_zip(struct archive *archive, struct err *err)
{
    const char *text = archive_error_string(archive);
    return err_set(err, FAIL_CORRUPT, "no whole jar: %.200s", text ? text : "unknown reason");
}

struct taken {
    bool found;
    struct str text;
};
static inline void taken_free(struct taken *taken)
{
    str_free(&taken->text);
}

static int entry_take(struct archive *archive, struct archive_entry *entry, const char *name,
                      struct taken *taken, struct err *err)
{
    char block[8192];
    if (taken->found)
        return err_set(err, FAIL_CORRUPT, "the jar holds %s twice", name);
    taken->found = true;
    if (archive_entry_is_data_encrypted(entry) || archive_entry_is_metadata_encrypted(entry))
        return err_set(err, FAIL_UNSUPPORTED, "%s is encrypted", name);
    for (;;) {
        la_ssize_t n = archive_read_data(archive, block, sizeof block);
        if (n == 0)
            return 0;
        if (n < 0)
            return no_zip(archive, err);
        if (taken->text.len + (size_t)n > APP_DESCRIPTOR_MAX)
            return err_set(err, FAIL_LIMIT, "%s is larger than 1 MiB", name);
        str_add_bytes(&taken->text, block, (size_t)n);
    }
}

static int jar_scan(struct archive *archive, struct taken *descriptor, struct taken *manifest,
                    struct err *err)
{
    for (int i = 0; i < APP_JAR_ENTRIES_MAX; i++) {
        struct archive_entry *entry = NULL;
        int result = 0, rc = archive_read_next_header(archive, &entry);
        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return no_zip(archive, err);
        /* A name that cannot be told in this locale comes as NULL; it is not the one we want. */
        const char *name = archive_entry_pathname(entry);
        if (name && strcmp(name, DESCRIPTOR_NAME) == 0)
            result = entry_take(archive, entry, DESCRIPTOR_NAME, descriptor, err);
        else if (name && strcasecmp(name, MANIFEST_NAME) == 0 && !manifest->found)
            result = entry_take(archive, entry, MANIFEST_NAME, manifest, err);
        if (result != 0)
            return result;
    }
    return err_set(err, FAIL_LIMIT, "the jar holds more than %d entries", APP_JAR_ENTRIES_MAX);
}

static int jar_judge(const struct taken *descriptor, const struct taken *manifest, struct app *ret,
                     struct err *err)
{
    struct app app = { .key = "" };
    if (descriptor->found) {
        int result =
            app_descriptor_parse(str_text(&descriptor->text), descriptor->text.len, &app, err);
        if (result != 0)
            return result;
    }
    if (manifest->found)
        app_manifest_parse(str_text(&manifest->text), manifest->text.len, &app);
    if (!app.key[0])
        return descriptor->found
                   ? err_set(err, FAIL_CORRUPT, "the descriptor does not say the app's key")
                   : err_set(err, FAIL_NOT_FOUND,
                             "no app: neither %s nor a header Atlassian-Plugin-Key",
                             DESCRIPTOR_NAME);
    *ret = app;
    return 0;
}

static int archive_judge(struct archive *archive, struct app *ret, struct err *err)
{
    CLEANUP(taken_free) struct taken descriptor = { 0 };
    CLEANUP(taken_free) struct taken manifest = { 0 };
    int result = jar_scan(archive, &descriptor, &manifest, err);
    return result == 0 ? jar_judge(&descriptor, &manifest, ret, err) : result;
}

int app_jar_read(const char *path, struct app *ret, struct err *err)
{
    struct stat st;
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open");
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, FAIL_CORRUPT, "no file");
    CLEANUP(archive_drop) struct archive *archive = archive_read_new();
    if (!archive)
        return err_set(err, FAIL_MEMORY, "no memory for a zip reader");
    if (archive_read_support_format_zip_seekable(archive) != ARCHIVE_OK ||
        archive_read_open_fd(archive, fd, JAR_BLOCK) != ARCHIVE_OK)
        return no_zip(archive, err);
    return archive_judge(archive, ret, err);
}

int app_jar_read_bytes(const void *bytes, size_t len, struct app *ret, struct err *err)
{
    CLEANUP(archive_drop) struct archive *archive = archive_read_new();
    if (!archive)
        return err_set(err, FAIL_MEMORY, "no memory for a zip reader");
    if (len == 0)
        return err_set(err, FAIL_CORRUPT, "no whole jar: it is empty");
    if (archive_read_support_format_zip_seekable(archive) != ARCHIVE_OK ||
        archive_read_open_memory(archive, bytes, len) != ARCHIVE_OK)
        return no_zip(archive, err);
    return archive_judge(archive, ret, err);
}
