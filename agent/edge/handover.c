#include "agent/edge/handover.h"
#include "agent/edge/oneshot.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/licence.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

static int find(const struct config *config, const struct handover *what, char install[PATH_MAX],
                char **ret_path, struct err *err)
{
    char id[NAME_MAX + 16];
    if (!realpath(what->install, install))
        return err_sys(err, FAIL_NOT_FOUND, errno, "installation %s", what->install);
    oneshot_id(install, id, sizeof id);
    *ret_path = config_licence(config, id);
    return 0;
}

/* Asks the worker about the text at path; the verdict of the job is its result's code. */
static int judge(const struct config *config, const struct handover *what, const char *install,
                 const char *path, struct str *out, int *ret_status, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__WorkerResult *result = NULL;
    struct oneshot shot = { .job = "licence",
                            .install = install,
                            .home = "",
                            .backup = "",
                            .version = what->version,
                            .quiet = what->json,
                            .licence_file = path };
    int failed = oneshot_run(config, &shot, arena, &result, err);
    if (failed != 0)
        return failed;
    if (result->code != 0)
        return err_set(err, (enum fail)result->code, "%.900s", result->message);
    oneshot_print(&shot, result, what->json, out);
    *ret_status = oneshot_exit_status(result);
    return 0;
}

static int read_text(const struct handover *what, struct str *ret, struct err *err)
{
    if (strcmp(what->file, "-") == 0)
        return fs_read_fd(STDIN_FILENO, "standard input", LICENCE_TEXT_MAX, ret, err);
    return fs_read(what->file, LICENCE_TEXT_MAX, ret, err);
}

int handover_set(const struct config *config, const struct handover *what, struct str *out,
                 struct err *err)
{
    char install[PATH_MAX];
    CLEANUP(free_mem) char *path = NULL;
    CLEANUP(str_wipe) struct str text = { 0 };
    int status = EXIT_DONE, result = find(config, what, install, &path, err);
    if (result == 0)
        result = read_text(what, &text, err);
    if (result != 0)
        return result;
    CLEANUP(free_mem) char *folder = config_state(config, "licences");
    CLEANUP(free_mem) char *new_path = text_printf("%s.new", path);
    result = fs_mkdirs(folder, 0700, err);
    if (result == 0)
        result = fs_write(new_path, str_text(&text), text.len, 0600, err);
    if (result == 0)
        result = judge(config, what, install, new_path, out, &status, err);
    if (result == 0)
        result = fs_rename(new_path, path, err);
    if (result != 0) {
        struct err ignored = { 0 };
        if (fs_unlink(new_path, &ignored) != 0)
            (void)fprintf(stderr, "%s; ignoring\n", ignored.text);
        return result;
    }
    if (!what->json)
        str_addf(out,
                 "kept on this server; the next upgrade of %s applies it while the site is "
                 "stopped\n",
                 install);
    return EXIT_DONE;
}

int handover_show(const struct config *config, const struct handover *what, struct str *out,
                  struct err *err)
{
    char install[PATH_MAX];
    CLEANUP(free_mem) char *path = NULL;
    int status = EXIT_DONE, result = find(config, what, install, &path, err);
    if (result != 0)
        return result;
    if (!fs_exists(path))
        return err_set(err, FAIL_NOT_FOUND, "no new licence waits for %s", install);
    result = judge(config, what, install, path, out, &status, err);
    return result != 0 ? result : status;
}

int handover_remove(const struct config *config, const struct handover *what, struct str *out,
                    struct err *err)
{
    char install[PATH_MAX];
    CLEANUP(free_mem) char *path = NULL;
    int result = find(config, what, install, &path, err);
    if (result != 0)
        return result;
    if (!fs_exists(path))
        return err_set(err, FAIL_NOT_FOUND, "no new licence waits for %s", install);
    result = fs_unlink(path, err);
    if (result != 0)
        return result;
    str_addf(out, "removed; %s keeps the licence that it has\n", install);
    return EXIT_DONE;
}
