#include "agent/edge/inbox.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name;
    enum run_event event;
} words[] = { { "rollback", EVENT_ROLLBACK_ORDERED }, { "resume", EVENT_RESUME_ORDERED } };

int inbox_open(const struct config *config, struct err *err)
{
    CLEANUP(free_mem) char *dir = config_state(config, "inbox");
    return fs_mkdirs(dir, 0700, err);
}

static bool is_ours(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 022) == 0;
}

/* What the file asks for, done; the journal's failures only go up. */
static int obey(struct agent *agent, const char *path, struct err *ret_why, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    if (fs_read(path, INBOX_WORD_MAX, &text, ret_why) != 0)
        return 0;
    if (text.len && text.s[text.len - 1] == '\n')
        text.s[--text.len] = 0;
    char *space = text.len ? strchr(text.s, ' ') : NULL;
    for (size_t i = 0; space && i < sizeof words / sizeof *words; i++) {
        if (strncmp(text.s, words[i].name, (size_t)(space - text.s)) != 0 ||
            words[i].name[space - text.s])
            continue;
        int result =
            orders_local(agent, words[i].event, space + 1, "a person on this server", ret_why);
        bool judged = result == -FAIL_NOT_FOUND || result == -FAIL_CONFLICT ||
                      result == -FAIL_LIMIT || result == -FAIL_EXPIRED;
        if (result == 0 || judged)
            return 0;
        if (err)
            *err = *ret_why;
        return result;
    }
    (void)err_set(ret_why, FAIL_USAGE, "'%.200s' is no word for this agent", str_text(&text));
    return 0;
}

static int take(struct agent *agent, const char *dir, const char *name, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(dir, name);
    struct err why = { 0 };
    if (!is_ours(path))
        return 0;
    int result = obey(agent, path, &why, err);
    if (result != 0)
        return result;
    CLEANUP(free_mem)
    char *answer = text_printf("%.*s.answer", (int)(strlen(path) - strlen(".word")), path);
    CLEANUP(free_mem) char *text = text_printf("%d %s\n", why.code, why.text);
    if (fs_write(answer, text, strlen(text), 0600, &why) != 0)
        err_clear(&why); /* the asker times out and looks at the status */
    return fs_unlink(path, err);
}

int inbox_tick(struct agent *agent, struct err *err)
{
    CLEANUP(free_mem) char *dir = config_state(agent->config, "inbox");
    DIR *open_dir = opendir(dir);
    int result = 0;
    if (!open_dir)
        return errno == ENOENT ? 0 : err_sys(err, FAIL_IO, errno, "read %s", dir);
    for (struct dirent *entry; result == 0 && (entry = readdir(open_dir)) != NULL;) {
        size_t len = strlen(entry->d_name);
        if (len > 5 && strcmp(entry->d_name + len - 5, ".word") == 0)
            result = take(agent, dir, entry->d_name, err);
    }
    (void)closedir(open_dir);
    return result;
}

static int read_answer(const char *path, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    int result = fs_read(path, 2 * ERR_TEXT_MAX, &text, err);
    if (result != 0)
        return result;
    result = fs_unlink(path, err);
    char *end = NULL;
    long code = strtol(str_text(&text), &end, 10);
    if (result != 0 || code == 0)
        return result;
    end[strcspn(end, "\n")] = 0;
    return err_set(err, (enum fail)code, "%s", *end == ' ' ? end + 1 : end);
}

int inbox_ask(const struct config *config, enum run_event word, const char *install,
              int64_t timeout_ms, struct err *err)
{
    uint8_t random[8];
    char name[2 * sizeof random + 1];
    random_bytes(random, sizeof random);
    hex_text(random, sizeof random, name);
    CLEANUP(free_mem) char *path = text_printf("%s/inbox/%s.word", config->state_dir, name);
    CLEANUP(free_mem) char *answer = text_printf("%s/inbox/%s.answer", config->state_dir, name);
    CLEANUP(free_mem)
    char *text =
        text_printf("%s %s\n", word == EVENT_RESUME_ORDERED ? "resume" : "rollback", install);
    int result = fs_write(path, text, strlen(text), 0600, err);
    if (result != 0)
        return err_wrap(err, "leave a word for the running agent");
    for (int64_t end_ms = clock_mono_ms() + timeout_ms; clock_mono_ms() < end_ms;
         (void)poll(NULL, 0, 100))
        if (fs_exists(answer))
            return read_answer(answer, err);
    if (fs_unlink(path, err) != 0)
        return -FAIL_IO;
    return err_set(err, FAIL_TIMEOUT, "the running agent did not take the word; look at its log");
}
