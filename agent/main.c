/* confleet-agent: words of the command line, nothing else. */
#include "agent/core/runbook.h"
#include "agent/edge/daemon.h"
#include "agent/edge/enrol.h"
#include "agent/edge/findings_text.h"
#include "agent/edge/handover.h"
#include "agent/edge/inbox.h"
#include "agent/edge/oneshot.h"
#include "agent/edge/status.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/log.h"
#include "confleet/version.h"
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define CONFIG_DEFAULT   "/etc/confleet/agent.yaml"
#define ENROL_TIMEOUT_MS 60000
#define WORD_TIMEOUT_MS  15000

struct args {
    const char *config, *install, *home, *version, *pristine, *artifact, *apps, *into;
    const char *wrong; /* what could not be taken */
    bool json, help, diff, full_speed;
    int count;
    char **rest;
};

static const char usage[] =
    "usage: confleet-agent COMMAND [--config FILE]\n"
    "  run                            serve this server's Confluence installations\n"
    "  enrol JOINFILE                 make this agent known to a controller\n"
    "  status [--json]                runs, their steps, and what waits for a person\n"
    "  check INSTALL | --install DIR [--home DIR] [--to VERSION] [--apps FILE] [--json]\n"
    "                                 readiness; with --install no configuration is needed; "
    "changes nothing\n"
    "        [--pristine FILE]          the installed version's archive, or the list of its files\n"
    "        [--artifact FILE] [--diff] the new version's; what the upgrade makes of changed files\n"
    "  manifest ARCHIVE               list the files of a release, for check --pristine\n"
    "  backup INSTALL [--json]        back up and prove it by restoring\n"
    "  backups INSTALL [--json]       what is in the backup folder, and how far it was proven\n"
    "  verify INSTALL BACKUP [--json] read a backup again and restore its dump\n"
    "  restore INSTALL BACKUP --into DIR [--json]\n"
    "                                 write it into an empty folder; the site is not touched\n"
    "        [--full-speed]             these three: without the rate of backup_rate, all cores\n"
    "  rollback INSTALL               bring the old version back\n"
    "  resume INSTALL                 let a held run try again\n"
    "  licence set INSTALL FILE|-     keep a new licence here until the next upgrade applies it\n"
    "  licence show INSTALL [--to VERSION] [--json], licence remove INSTALL\n"
    "                                 what waits, judged; take it back\n"
    "  help, version                  this text; which version this is\n"
    "exit status: 0 done, 1 error, 2 work pending, 3 blocked, 4 needs a person, 5 rolled back\n";

static int complain(const struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    findings_plain(&text, err->text); /* it may hold names of a customer's files */
    (void)fprintf(stderr, "confleet-agent: %s\n", str_text(&text));
    return fail_exit_status(err->code);
}

static int bad_usage(const char *why)
{
    (void)fprintf(stderr, "confleet-agent: %s\n%s", why, usage);
    return EXIT_ERROR;
}

/* The value of an option: behind its "=", or the next word. */
static const char *value_take(const char *word, size_t name_len, int argc, char **argv, int *at)
{
    if (word[name_len] == '=')
        return word + name_len + 1;
    return *at + 1 < argc ? argv[++*at] : NULL;
}

/* Options are taken by their whole names alone: what a script abbreviates today could mean another
 * one after an update. The words that are none are moved together at argv's beginning. */
static bool args_parse(int argc, char **argv, struct args *args)
{
    *args = (struct args){ .config = CONFIG_DEFAULT, .home = "", .version = "", .rest = argv };
    const struct {
        const char *name;
        const char **value;
        bool *flag;
    } options[] = { { "--config", &args->config, NULL }, { "--install", &args->install, NULL },
                    { "--home", &args->home, NULL },     { "--to", &args->version, NULL },
                    { "--json", NULL, &args->json },     { "--help", NULL, &args->help },
                    { "--pristine", &args->pristine, NULL },
                    { "--artifact", &args->artifact, NULL },
                    { "--apps", &args->apps, NULL },
                    { "--into", &args->into, NULL },
                    { "--diff", NULL, &args->diff },
                    { "--full-speed", NULL, &args->full_speed } };
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        size_t len = strcspn(word, "="), i = 0;
        if (word[0] != '-' || !word[1]) { /* a lone dash is standard input */
            args->rest[args->count++] = argv[at];
            continue;
        }
        while (i < sizeof options / sizeof *options &&
               (strlen(options[i].name) != len || strncmp(options[i].name, word, len) != 0))
            i++;
        args->wrong = word;
        if (i == sizeof options / sizeof *options || (options[i].flag && word[len]))
            return false;
        if (options[i].flag)
            *options[i].flag = true;
        else if (!(*options[i].value = value_take(word, len, argc, argv, &at)))
            return false;
    }
    return true;
}

static int load(const struct args *args, struct config *config, struct err *err)
{
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    int result = config_load(args->config, config, &report, err);
    if (report.errors)
        (void)fputs(str_text(&report.text), stderr);
    return result;
}

static int command_run(const struct args *args, struct config *config)
{
    struct err err = { 0 };
    (void)args;
    log_open("confleet-agent", LOG_LEVEL_INFO);
    if (daemon_run(config, &err) == 0)
        return EXIT_DONE;
    log_error("agent.failed", "code=%s message=\"%s\"", fail_name(err.code), err.text);
    return fail_exit_status(err.code);
}

static int command_enrol(const struct args *args, struct config *config)
{
    struct err err = { 0 };
    struct enrolled answer = { 0 };
    if (enrol(config, args->rest[0], ENROL_TIMEOUT_MS, &answer, &err) != 0)
        return complain(&err);
    (void)printf("enrolled as %s in fleet %s (%s)\nfingerprint  %s\n", answer.name, answer.fleet,
                 answer.state, answer.fingerprint);
    if (strcmp(answer.state, "pending") == 0)
        (void)printf("On the controller's side, after comparing the fingerprint:\n  confleet agent "
                     "accept %s --fingerprint %s\n",
                     answer.name, answer.fingerprint);
    return EXIT_DONE;
}

static int command_status(const struct args *args, struct config *config)
{
    struct err err = { 0 };
    CLEANUP(status_free) struct status status = { { 0 }, 0, 0, 0 };
    if (status_read(config, args->json, &status, &err) != 0)
        return complain(&err);
    (void)fputs(str_text(&status.text), stdout);
    return status.held ? EXIT_PERSON : status.in_flight ? EXIT_PENDING : EXIT_DONE;
}

static int oneshot(const char *job, const struct args *args, const struct config *config)
{
    struct err err = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    CLEANUP(str_free) struct str out = { 0 };
    Confleet__WorkerResult *result = NULL;
    /* The worker has a folder of its own. */
    CLEANUP(free_mem) char *apps = args->apps ? realpath(args->apps, NULL) : NULL;
    char cwd[PATH_MAX] = "";
    CLEANUP(free_mem)
    char *into = args->into && args->into[0] != '/' && getcwd(cwd, sizeof cwd)
                     ? fs_join(cwd, args->into)
                     : text_dup(args->into ? args->into : "");
    struct oneshot shot = { job,           args->install ? args->install : args->rest[0],
                            args->home,    args->count > 1 ? args->rest[1] : "",
                            args->version, args->install != NULL,
                            args->json,    NULL,
                            args->pristine, args->artifact,
                            args->diff,    args->full_speed, into, apps };
    struct version version;
    int failed = 0;
    if (*args->version && !version_parse(args->version, &version))
        failed = err_set(&err, FAIL_USAGE, "'%s' is no version of Confluence", args->version);
    if (failed == 0 && args->apps && !apps)
        failed = err_sys(&err, FAIL_NOT_FOUND, errno, "open %s", args->apps);
    if (failed == 0)
        failed = oneshot_run(config, &shot, arena, &result, &err);
    if (failed != 0 && args->json)
        oneshot_failed(&err, &out);
    if (failed != 0) {
        (void)fputs(str_text(&out), stdout);
        return complain(&err);
    }
    if (!args->diff || result->code)
        oneshot_print(&shot, result, args->json, &out);
    (void)fputs(str_text(&out), stdout);
    /* Whoever asks for the text wants no verdict. */
    if (args->diff && !result->code)
        return EXIT_DONE;
    return strcmp(job, "check") == 0 ? oneshot_check_status(result) : oneshot_exit_status(result);
}

static int command_check(const struct args *args, struct config *config)
{
    if (args->diff && args->json)
        return bad_usage("--diff is a text, it does not go with --json");
    if (args->diff && !args->artifact)
        return bad_usage("--diff needs --artifact FILE, the new version's archive");
    return oneshot("check", args, config);
}
static int command_manifest(const struct args *args, struct config *config)
{
    struct err err = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__WorkerResult *result = NULL;
    struct oneshot shot = { .job = "manifest", .install = "", .home = "", .backup = "",
                            .version = "",     .bare = true,  .artifact = args->rest[0] };
    if (oneshot_run(config, &shot, arena, &result, &err) != 0)
        return complain(&err);
    if (result->code)
        (void)fprintf(stderr, "confleet-agent: %s\n", result->message);
    return oneshot_exit_status(result);
}
static int command_backup(const struct args *args, struct config *config)
{
    return oneshot("backup", args, config);
}
static int command_backups(const struct args *args, struct config *config)
{
    return oneshot("backups", args, config);
}
static int command_verify(const struct args *args, struct config *config)
{
    return oneshot("verify", args, config);
}
static int command_restore(const struct args *args, struct config *config)
{
    if (!args->into)
        return bad_usage("restore needs --into DIR, an empty folder or one that is not there yet");
    return oneshot("restore", args, config);
}

static int outcome_status(int outcome)
{
    (void)printf("%s\n", outcome_name((enum outcome)outcome));
    return outcome == OUTCOME_HELD          ? EXIT_PERSON
           : outcome == OUTCOME_ROLLED_BACK ? EXIT_ROLLED_BACK
           : outcome == OUTCOME_NONE        ? EXIT_PENDING
                                            : EXIT_DONE;
}

static int word(const struct args *args, const struct config *config, enum run_event event)
{
    struct err err = { 0 };
    int outcome = OUTCOME_NONE;
    log_open("confleet-agent", LOG_LEVEL_INFO);
    int result = daemon_word(config, (int)event, args->rest[0], &outcome, &err);
    if (result == 0)
        return event == EVENT_ROLLBACK_ORDERED && outcome == OUTCOME_ROLLED_BACK
                   ? (outcome_status(outcome), EXIT_DONE)
                   : outcome_status(outcome);
    if (result != -FAIL_BUSY)
        return complain(&err);
    err_clear(&err);
    if (inbox_ask(config, event, args->rest[0], WORD_TIMEOUT_MS, &err) != 0)
        return complain(&err);
    (void)printf("the running agent has taken it; watch it with: confleet-agent status\n");
    return EXIT_PENDING;
}

static int command_rollback(const struct args *args, struct config *config)
{
    return word(args, config, EVENT_ROLLBACK_ORDERED);
}
static int command_resume(const struct args *args, struct config *config)
{
    return word(args, config, EVENT_RESUME_ORDERED);
}

static int command_licence(const struct args *args, struct config *config)
{
    static const struct {
        const char *name;
        int words;
        int (*fn)(const struct config *config, const struct handover *what, struct str *out,
                  struct err *err);
    } verbs[] = { { "set", 3, handover_set },
                  { "show", 2, handover_show },
                  { "remove", 2, handover_remove } };
    struct err err = { 0 };
    CLEANUP(str_free) struct str out = { 0 };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (args->count == 0 || strcmp(verbs[i].name, args->rest[0]) != 0)
            continue;
        if (args->count != verbs[i].words)
            return bad_usage("wrong number of words");
        const struct handover what = { args->rest[1], args->count > 2 ? args->rest[2] : "",
                                       args->version, args->json };
        int status = verbs[i].fn(config, &what, &out, &err);
        (void)fputs(str_text(&out), stdout);
        return status < 0 ? complain(&err) : status;
    }
    return bad_usage("licence set, show or remove?");
}

static const struct command {
    const char *name;
    int words;
    int (*fn)(const struct args *args, struct config *config);
} commands[] = {
    { "run", 0, command_run },           { "enrol", 1, command_enrol },
    { "status", 0, command_status },     { "check", 1, command_check },
    { "backup", 1, command_backup },     { "backups", 1, command_backups },
    { "verify", 2, command_verify },     { "restore", 2, command_restore },
    { "rollback", 1, command_rollback }, { "resume", 1, command_resume },
    { "licence", -1, command_licence },
    { "manifest", 1, command_manifest },
};

static int command_call(const struct command *command, const struct args *args)
{
    struct err err = { 0 };
    CLEANUP(config_free) struct config config = { 0 };
    bool by_path = command->fn == command_check && args->install;
    bool bare = by_path || command->fn == command_manifest;
    if (command->words >= 0 && args->count != (by_path ? 0 : command->words))
        return bad_usage("wrong number of words");
    if (bare)
        config_bare(&config);
    else if (load(args, &config, &err) != 0)
        return complain(&err);
    return command->fn(args, &config);
}

int main(int argc, char **argv)
{
    struct args args;
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    (void)prctl(PR_SET_DUMPABLE, 0); /* keys are in this memory */
    (void)umask(077);                /* and nothing it keeps is for others to read */
    if (argc < 2)
        return bad_usage("which command?");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
        return fputs(usage, stdout) < 0;
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)
        return printf("confleet-agent %s\n", CONFLEET_VERSION) < 0;
    if (!args_parse(argc - 2, argv + 2, &args)) {
        CLEANUP(free_mem)
        char *why = text_printf("'%s' is no option, or its value is missing", args.wrong);
        return bad_usage(why);
    }
    if (args.help)
        return fputs(usage, stdout) < 0;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return command_call(&commands[i], &args);
    return bad_usage("no such command");
}
