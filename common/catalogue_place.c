/* Where the shipped catalogue lies, seen from the running program. */
#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/str.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Takes the last name off a path. */
static void path_rise(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
}

static char *beside(const char *program, const char *relative)
{
    CLEANUP(free_mem) char *folder = text_dup(program);
    path_rise(folder);
    for (; strncmp(relative, "../", 3) == 0; relative += 3)
        path_rise(folder);
    return text_printf("%s/%s", folder, relative);
}

/* Both of an installation's folders for programs, and the build's own, which has the same shape as
 * the usual installation. */
char *catalogue_shipped(void)
{
    static const char *const places[] = { CONFLEET_CATALOGUE_FROM_BIN, CONFLEET_CATALOGUE_FROM_SBIN,
                                          "../share/confleet/confluence-releases.csv",
                                          "../../share/confleet/confluence-releases.csv" };
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return text_dup("/usr/share/confleet/confluence-releases.csv");
    self[len] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *path = beside(self, places[i]);
        if (fs_exists(path))
            return path;
        free(path);
    }
    return beside(self, places[0]);
}
