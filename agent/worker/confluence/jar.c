#include "agent/worker/confluence/jar.h"
#include "confleet/cleanup.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define JAR_BLOCK (64 * 1024)

static inline void archive_drop(struct archive **archive)
{
    if (*archive)
        (void)archive_read_free(*archive); /* read only: nothing can be lost */
    *archive = NULL;
}

static const char *why(struct archive *archive)
{
    const char *text = archive_error_string(archive);
    return text ? text : "unknown reason";
}

static int read_data(struct archive *archive, const char *path, const char *entry, size_t size_max,
                     struct str *ret_text, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    char block[4096];
    for (;;) {
        la_ssize_t n = archive_read_data(archive, block, sizeof block);
        if (n == 0)
            break;
        if (n < 0)
            return err_set(err, FAIL_CORRUPT, "%s: entry %s: %s", path, entry, why(archive));
        if (text.len + (size_t)n > size_max)
            return err_set(err, FAIL_LIMIT, "%s: entry %s is larger than %zu bytes", path, entry,
                           size_max);
        str_add_bytes(&text, block, (size_t)n);
    }
    str_add_bytes(ret_text, str_text(&text), text.len);
    return 0;
}

int jar_entry(const char *path, const char *entry, size_t size_max, struct str *ret_text,
              struct err *err)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", path);
    CLEANUP(archive_drop) struct archive *archive = archive_read_new();
    if (!archive)
        return err_set(err, FAIL_MEMORY, "no memory for a zip reader");
    if (archive_read_support_format_zip_seekable(archive) != ARCHIVE_OK ||
        archive_read_open_fd(archive, fd, JAR_BLOCK) != ARCHIVE_OK)
        return err_set(err, FAIL_CORRUPT, "%s is no jar: %s", path, why(archive));
    for (int i = 0; i < JAR_ENTRIES_MAX; i++) {
        struct archive_entry *header = NULL;
        int rc = archive_read_next_header(archive, &header);
        if (rc == ARCHIVE_EOF)
            return err_set(err, FAIL_NOT_FOUND, "%s holds no %s", path, entry);
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return err_set(err, FAIL_CORRUPT, "%s is no jar: %s", path, why(archive));
        /* A name that cannot be told in this locale comes as NULL; it is not the one we want. */
        const char *name = archive_entry_pathname(header);
        if (name && strcmp(name, entry) == 0)
            return read_data(archive, path, entry, size_max, ret_text, err);
    }
    return err_set(err, FAIL_LIMIT, "%s holds more than %d entries", path, JAR_ENTRIES_MAX);
}
