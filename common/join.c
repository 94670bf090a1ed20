#include "confleet/keys.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/hash.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define JOIN_FILE_MAX 65536
#define JOIN_LINE_MAX 512
#define JOIN_HEAD     "confleet-join-v1"

/* Where the reader is, for errors that a person can act on. */
struct place {
    const char *file;
    int line;
};

enum join_seen {
    SEEN_KIND = 1,
    SEEN_NAME = 2,
    SEEN_CONTROL = 4,
    SEEN_BULK = 8,
    SEEN_KEY = 16,
    SEEN_FLEET = 32,
    SEEN_TOKEN = 64,
    SEEN_EXPIRES = 128
};
#define SEEN_NEEDED (SEEN_KIND | SEEN_NAME | SEEN_CONTROL | SEEN_BULK | SEEN_KEY | SEEN_FLEET)

static int parse_kind(struct join *join, char *value, struct place at, struct err *err)
{
    if (strcmp(value, "agent") != 0 && strcmp(value, "operator") != 0)
        return err_set(err, FAIL_USAGE, "%s:%d: kind is neither \"agent\" nor \"operator\"",
                       at.file, at.line);
    (void)snprintf(join->kind, sizeof join->kind, "%s", value);
    return 0;
}

static int parse_name(struct join *join, char *value, struct place at, struct err *err)
{
    if (!text_is_name(value))
        return err_set(
            err, FAIL_USAGE,
            "%s:%d: '%s' is no name: small letters, digits, '.', '_' and '-', at most 63", at.file,
            at.line, value);
    (void)snprintf(join->name, sizeof join->name, "%s", value);
    return 0;
}

static int parse_endpoint(char *out, size_t out_max, const char *value, struct place at,
                          struct err *err)
{
    if (strncmp(value, "tcp://", 6) != 0 || !strchr(value + 6, ':') || strchr(value, ' ') ||
        strlen(value) >= out_max)
        return err_set(err, FAIL_USAGE,
                       "%s:%d: '%s' is no address like tcp://controller.example.org:9310", at.file,
                       at.line, value);
    (void)snprintf(out, out_max, "%s", value);
    return 0;
}

static int parse_control(struct join *join, char *value, struct place at, struct err *err)
{
    return parse_endpoint(join->control, sizeof join->control, value, at, err);
}

static int parse_bulk(struct join *join, char *value, struct place at, struct err *err)
{
    return parse_endpoint(join->bulk, sizeof join->bulk, value, at, err);
}

/* The value is not repeated in the error: it may be a token on the wrong line. */
static int parse_hex(uint8_t out[KEY_SIZE], const char *what, const char *value, struct place at,
                     struct err *err)
{
    if (!hex_parse(value, out, KEY_SIZE))
        return err_set(err, FAIL_USAGE, "%s:%d: %s is not 64 hex digits", at.file, at.line, what);
    return 0;
}

static int parse_key(struct join *join, char *value, struct place at, struct err *err)
{
    return parse_hex(join->controller_key, "controller-key", value, at, err);
}

static int parse_token(struct join *join, char *value, struct place at, struct err *err)
{
    return parse_hex(join->token, "token", value, at, err);
}

static int parse_fleet(struct join *join, char *value, struct place at, struct err *err)
{
    if (strchr(value, ' ') || strlen(value) >= sizeof join->fleet)
        return err_set(err, FAIL_USAGE,
                       "%s:%d: the fleet's id is one word of at most 63 characters", at.file,
                       at.line);
    (void)snprintf(join->fleet, sizeof join->fleet, "%s", value);
    return 0;
}

static int parse_expires(struct join *join, char *value, struct place at, struct err *err)
{
    uint64_t ms = 0;
    if (!text_parse_u64(value, INT64_MAX, &ms))
        return err_set(err, FAIL_USAGE, "%s:%d: expires is no number of milliseconds since 1970",
                       at.file, at.line);
    join->expires_ms = (int64_t)ms;
    return 0;
}

/* "NAME ROLE HEX": an operator whose signature counts. */
static int parse_trust(struct join *join, char *value, struct place at, struct err *err)
{
    static const char *const roles[] = { "viewer", "operator", "approver", "admin" };
    char *role = strchr(value, ' ');
    char *hex = role ? strchr(role + 1, ' ') : NULL;
    if (!hex)
        return err_set(err, FAIL_USAGE, "%s:%d: expected \"trust NAME ROLE KEY\"", at.file,
                       at.line);
    *role++ = '\0';
    *hex++ = '\0';
    if (join->trust_count == JOIN_TRUST_MAX)
        return err_set(err, FAIL_LIMIT, "%s:%d: more than %d operators", at.file, at.line,
                       JOIN_TRUST_MAX);
    struct join_trust *trust = &join->trust[join->trust_count];
    if (!text_is_name(value))
        return err_set(err, FAIL_USAGE, "%s:%d: '%s' is no operator's name", at.file, at.line,
                       value);
    bool known = false;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        known = known || strcmp(role, roles[i]) == 0;
    if (!known)
        return err_set(err, FAIL_USAGE,
                       "%s:%d: '%s' is no role: viewer, operator, approver or admin", at.file,
                       at.line, role);
    int result = parse_hex(trust->sign_public, "the operator's key", hex, at, err);
    if (result < 0)
        return result;
    (void)snprintf(trust->name, sizeof trust->name, "%s", value);
    (void)snprintf(trust->role, sizeof trust->role, "%s", role);
    join->trust_count++;
    return 0;
}

static const struct join_word {
    const char *word;
    unsigned seen; /* zero: may come more than once */
    int (*parse)(struct join *join, char *value, struct place at, struct err *err);
} join_words[] = {
    { "kind", SEEN_KIND, parse_kind },
    { "name", SEEN_NAME, parse_name },
    { "control", SEEN_CONTROL, parse_control },
    { "bulk", SEEN_BULK, parse_bulk },
    { "controller-key", SEEN_KEY, parse_key },
    { "fleet", SEEN_FLEET, parse_fleet },
    { "token", SEEN_TOKEN, parse_token },
    { "expires", SEEN_EXPIRES, parse_expires },
    { "trust", 0, parse_trust },
};
#define JOIN_WORDS (sizeof join_words / sizeof join_words[0])

static int parse_line(struct join *join, char *line, unsigned *seen, struct place at,
                      struct err *err)
{
    for (const char *c = line; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            return err_set(err, FAIL_USAGE, "%s:%d: a character that is no plain text", at.file,
                           at.line);
    if (*line == '\0' || *line == '#')
        return 0;
    char *value = strchr(line, ' ');
    if (!value || value[1] == '\0' || value[1] == ' ')
        return err_set(err, FAIL_USAGE, "%s:%d: a word without its value", at.file, at.line);
    *value++ = '\0';
    for (size_t i = 0; i < JOIN_WORDS; i++) {
        if (strcmp(line, join_words[i].word) != 0)
            continue;
        if (*seen & join_words[i].seen)
            return err_set(err, FAIL_USAGE, "%s:%d: %s is given twice", at.file, at.line, line);
        *seen |= join_words[i].seen;
        return join_words[i].parse(join, value, at, err);
    }
    return err_set(err, FAIL_USAGE, "%s:%d: '%.32s' is no word of a join file", at.file, at.line,
                   line);
}

static int parse_lines(const char *file, char *text, struct join *join, struct err *err)
{
    unsigned seen = 0;
    struct place at = { file, 1 };
    for (char *line = text, *next; line; line = next, at.line++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (strlen(line) > JOIN_LINE_MAX)
            return err_set(err, FAIL_LIMIT, "%s:%d: a line of more than %d characters", file,
                           at.line, JOIN_LINE_MAX);
        if (at.line == 1) {
            if (strcmp(line, JOIN_HEAD) != 0)
                return err_set(err, FAIL_USAGE,
                               "%s:1: no \"" JOIN_HEAD "\"; this is no join file of ours", file);
            continue;
        }
        int result = parse_line(join, line, &seen, at, err);
        if (result < 0)
            return result;
    }
    for (size_t i = 0; i < JOIN_WORDS; i++)
        if (join_words[i].seen & SEEN_NEEDED & ~seen)
            return err_set(err, FAIL_USAGE, "%s: %s is missing", file, join_words[i].word);
    return 0;
}

int join_parse(const char *name, const char *text, size_t len, struct join *ret, struct err *err)
{
    assert(name && text && ret);
    if (len > JOIN_FILE_MAX)
        return err_set(err, FAIL_LIMIT, "%s: more than %d bytes", name, JOIN_FILE_MAX);
    if (memchr(text, 0, len))
        return err_set(err, FAIL_USAGE, "%s: not a text file", name);
    char *copy = mem_zero(1, len + 1);
    struct join *join = mem_zero(1, sizeof *join);
    memcpy(copy, text, len);
    int result = parse_lines(name, copy, join, err);
    if (result == 0)
        *ret = *join;
    OPENSSL_cleanse(copy, len);
    OPENSSL_cleanse(join, sizeof *join);
    free(copy);
    free(join);
    return result;
}

static bool has_token(const struct join *join)
{
    static const uint8_t none[KEY_SIZE];
    return memcmp(join->token, none, KEY_SIZE) != 0;
}

int join_load(const char *path, struct join *ret, struct err *err)
{
    assert(path && ret);
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return err_sys(err, errno == ENOENT ? FAIL_NOT_FOUND : FAIL_IO, errno, "open %s", path);
    if (fstat(fd, &st) < 0)
        return err_sys(err, FAIL_IO, errno, "look at %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, FAIL_USAGE, "%s is no regular file", path);
    CLEANUP(str_free) struct str text = { 0 };
    int result = fs_read_fd(fd, path, JOIN_FILE_MAX, &text, err);
    if (result < 0)
        return result;
    struct join *join = mem_zero(1, sizeof *join);
    result = join_parse(path, str_text(&text), text.len, join, err);
    if (result == 0 && has_token(join) && (st.st_mode & 077))
        result = err_set(err, FAIL_DENIED,
                         "%s holds a token and has mode %04o: others can read it; ask for a new "
                         "token, or chmod 600 if nobody else could read it",
                         path, (unsigned)(st.st_mode & 07777));
    if (result == 0)
        *ret = *join;
    OPENSSL_cleanse(join, sizeof *join);
    free(join);
    if (text.s)
        OPENSSL_cleanse(text.s, text.len);
    return result;
}

static void add_hex(struct str *text, const char *word, const uint8_t bytes[KEY_SIZE])
{
    char hex[2 * KEY_SIZE + 1];
    hex_text(bytes, KEY_SIZE, hex);
    str_add(text, word);
    str_add(text, " ");
    str_add(text, hex);
    str_add(text, "\n");
    OPENSSL_cleanse(hex, sizeof hex);
}

int join_save(const char *path, const struct join *join, struct err *err)
{
    assert(path && join);
    CLEANUP(str_free) struct str text = { 0 };
    char until[CLOCK_TEXT_MAX];
    str_addf(&text, JOIN_HEAD "\nkind %s\nname %s\ncontrol %s\nbulk %s\n", join->kind, join->name,
             join->control, join->bulk);
    add_hex(&text, "controller-key", join->controller_key);
    str_addf(&text, "fleet %s\n", join->fleet);
    if (join->expires_ms)
        str_addf(&text, "# until %s\nexpires %" PRId64 "\n", clock_text(join->expires_ms, until),
                 join->expires_ms);
    for (size_t i = 0; i < join->trust_count; i++) {
        str_addf(&text, "trust %s %s", join->trust[i].name, join->trust[i].role);
        add_hex(&text, "", join->trust[i].sign_public);
    }
    if (has_token(join))
        add_hex(&text, "token", join->token);
    /* Whoever saves learns here, not on another machine, that a field cannot be read back. */
    struct join *again = mem_zero(1, sizeof *again);
    int result = join_parse(path, str_text(&text), text.len, again, err);
    if (result == 0)
        result = fs_write(path, text.s, text.len, 0600, err);
    OPENSSL_cleanse(again, sizeof *again);
    free(again);
    OPENSSL_cleanse(text.s, text.len);
    return result;
}
