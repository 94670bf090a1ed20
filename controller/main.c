/* confleet-controller: makes a controller and runs it. */
#include "confleet/cleanup.h"
#include "confleet/log.h"
#include "confleet/notify.h"
#include "confleet/yaml.h"
#include "controller/edge/daemon.h"
#include "controller/edge/setup.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

static const char usage[] =
    "usage: confleet-controller init --state DIR --control ENDPOINT --bulk ENDPOINT --operator "
    "NAME --join FILE\n"
    "       confleet-controller run --state DIR [--control ENDPOINT] [--bulk ENDPOINT] [--config "
    "FILE] [--port-file FILE]\n"
    "       confleet-controller raise-epoch --state DIR --epoch NUMBER\n"
    "       confleet-controller version | help\n"
    "\n"
    "  init   makes keys, store and artifact folder in DIR, and FILE with which NAME enrols as the "
    "first admin.\n"
    "         ENDPOINT is what agents and operators dial, such as tcp://controller.example:9310\n"
    "  run    serves; ENDPOINTs given here are what is bound, such as tcp://0.0.0.0:9310. Without "
    "them: what init was told,\n"
    "         at all addresses when that was a name\n"
    "  raise-epoch  says that the store in DIR is the one to follow, though it was put back from an "
    "older copy.\n"
    "         NUMBER is the highest epoch that any agent has obeyed, as they say. Running rollouts "
    "are paused\n";

#define EPOCH_MAX (UINT64_C(1) << 62)

struct arguments {
    const char *state, *control, *bulk, *operator_name, *join, *config, *port_file, *epoch;
};

static const struct option options[] = {
    { "state", required_argument, NULL, 's' },     { "control", required_argument, NULL, 'c' },
    { "bulk", required_argument, NULL, 'b' },      { "operator", required_argument, NULL, 'o' },
    { "join", required_argument, NULL, 'j' },      { "config", required_argument, NULL, 'f' },
    { "port-file", required_argument, NULL, 'p' }, { "epoch", required_argument, NULL, 'e' },
    { NULL, 0, NULL, 0 },
};

/* getopt_long takes "--st" for "--state"; a script that relies on it would break with the next
 * option. */
static bool is_whole_option(const char *word)
{
    size_t len = strcspn(word, "=");
    for (const struct option *o = options; o->name; o++)
        if (strlen(o->name) + 2 == len && strncmp(word + 2, o->name, len - 2) == 0)
            return true;
    return false;
}

static bool arguments_read(int argc, char **argv, struct arguments *ret)
{
    int option;
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0 && !is_whole_option(argv[i])) {
            (void)fprintf(stderr, "confleet-controller: unknown option %s\n%s", argv[i], usage);
            return false;
        }
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            ret->state = optarg;
            break;
        case 'c':
            ret->control = optarg;
            break;
        case 'b':
            ret->bulk = optarg;
            break;
        case 'o':
            ret->operator_name = optarg;
            break;
        case 'j':
            ret->join = optarg;
            break;
        case 'f':
            ret->config = optarg;
            break;
        case 'p':
            ret->port_file = optarg;
            break;
        case 'e':
            ret->epoch = optarg;
            break;
        default:
            (void)fputs(usage, stderr);
            return false;
        }
    }
    if (optind < argc || !ret->state) {
        (void)fprintf(stderr, "confleet-controller: %s\n%s",
                      optind < argc ? "too many words" : "--state is missing", usage);
        return false;
    }
    return true;
}

static int fail(const struct err *err)
{
    log_error("controller.failed", "code=%s why=\"%s\"", fail_name(err->code), err->text);
    return fail_exit_status(err->code);
}

static int command_init(const struct arguments *arguments)
{
    struct err err = { 0 };
    struct setup setup = { arguments->state, arguments->control, arguments->bulk,
                           arguments->operator_name, arguments->join };
    if (!setup.control || !setup.bulk || !setup.operator_name || !setup.join_path) {
        (void)fprintf(
            stderr, "confleet-controller: init needs --control, --bulk, --operator and --join\n%s",
            usage);
        return EXIT_ERROR;
    }
    if (setup_run(&setup, &err) != 0)
        return fail(&err);
    /* Whoever enrols is told to compare it with what stands here. */
    struct join join = { 0 };
    char fingerprint[FINGERPRINT_MAX];
    if (join_load(setup.join_path, &join, &err) != 0)
        return fail(&err);
    explicit_bzero(join.token, sizeof join.token);
    keys_fingerprint(join.controller_key, fingerprint);
    (void)printf(
        "controller made in %s\n"
        "  controller key  %s\n"
        "  join file       %s, for admin %s: valid for 24 hours, for one use; keep it secret\n",
        setup.state_dir, fingerprint, setup.join_path, setup.operator_name);
    return EXIT_DONE;
}

static int command_raise_epoch(const struct arguments *arguments)
{
    struct err err = { 0 };
    uint64_t epoch = 0;
    if (!arguments->epoch || !text_parse_u64(arguments->epoch, EPOCH_MAX, &epoch)) {
        (void)fprintf(stderr, "confleet-controller: raise-epoch needs --epoch NUMBER\n%s", usage);
        return EXIT_ERROR;
    }
    if (setup_raise_epoch(arguments->state, epoch, &epoch, &err) != 0)
        return fail(&err);
    (void)printf("the store in %s is the one to follow from epoch %llu on\n"
                 "  rollouts that were running are paused: see what has happened on the sites since "
                 "the copy was made, then resume or abort\n",
                 arguments->state, (unsigned long long)epoch);
    return EXIT_DONE;
}

struct config {
    char *control, *bulk, *notify;
    int64_t heartbeat_ms, order_ms, silence_ms;
    uint64_t peers_max, artifact_max;
};

static const struct yaml_field config_fields[] = {
    { .key = "control",
      .kind = YAML_TEXT,
      .offset = offsetof(struct config, control),
      .help = "what to bind, such as tcp://0.0.0.0:9310" },
    { .key = "bulk",
      .kind = YAML_TEXT,
      .offset = offsetof(struct config, bulk),
      .help = "what to bind, such as tcp://0.0.0.0:9311" },
    { .key = "heartbeat",
      .kind = YAML_DURATION,
      .offset = offsetof(struct config, heartbeat_ms),
      .min = 100,
      .max = 600000,
      .help = "how often peers say that they live, such as 10s" },
    { .key = "order_deadline",
      .kind = YAML_DURATION,
      .offset = offsetof(struct config, order_ms),
      .min = 1000,
      .max = 86400000,
      .help = "an agent that did not take its order by then is silent, such as 10m" },
    { .key = "silence_deadline",
      .kind = YAML_DURATION,
      .offset = offsetof(struct config, silence_ms),
      .min = 1000,
      .max = 86400000,
      .help = "an agent at work that was not heard for so long is silent, such as 10m" },
    { .key = "peers_max",
      .kind = YAML_U64,
      .offset = offsetof(struct config, peers_max),
      .min = 1,
      .max = 20000,
      .help = "connections at once" },
    { .key = "artifact_max",
      .kind = YAML_SIZE,
      .offset = offsetof(struct config, artifact_max),
      .min = 1,
      .max = UINT64_C(1) << 40,
      .help = "size of the largest artifact, such as 8G" },
    { .key = "notify",
      .kind = YAML_TEXT,
      .offset = offsetof(struct config, notify),
      .help = "absolute path of a program that is told what needs a person" },
    { .key = NULL },
};

static int config_read(const char *path, struct config *config, struct err *err)
{
    CLEANUP(yaml_report_free) struct yaml_report report = { 0 };
    int result = yaml_load(path, config_fields, config, &report, NULL, err);
    if (report.errors > 0)
        (void)fputs(str_text(&report.text), stderr);
    return result;
}

/* A service manager that cannot be told must not keep the fleet from its controller. */
static void notify(const char *text)
{
    struct err err = { 0 };
    if (notify_send(text, &err) != 0)
        log_warn("notify.failed", "why=\"%s\"; ignoring", err.text);
}

static int serve(struct daemon *daemon, int signal_fd, struct err *err)
{
    struct signalfd_siginfo info;
    notify("READY=1");
    for (;;) {
        int result = daemon_turn(daemon, signal_fd, 1000, err);
        if (result != 0)
            return result;
        if (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
            notify("STOPPING=1");
            log_info("controller.stop", "signal=%u", info.ssi_signo);
            return 0;
        }
    }
}

static int signals_open(int *ret_fd, struct err *err)
{
    sigset_t set;
    if (sigemptyset(&set) != 0 || sigaddset(&set, SIGINT) != 0 || sigaddset(&set, SIGTERM) != 0 ||
        sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return err_sys(err, FAIL_IO, errno, "block signals");
    *ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *ret_fd >= 0 ? 0 : err_sys(err, FAIL_IO, errno, "signalfd");
}

static int run(const struct arguments *arguments, const struct config *config, struct err *err)
{
    CLEANUP(daemon_close) struct daemon *daemon = NULL;
    CLEANUP(close_fd) int signal_fd = -1;
    struct daemon_options options_run = {
        .state_dir = arguments->state,
        .control = arguments->control ? arguments->control : config->control,
        .bulk = arguments->bulk ? arguments->bulk : config->bulk,
        .port_file = arguments->port_file,
        .peers_max = (int)config->peers_max,
        .heartbeat_ms = (uint32_t)config->heartbeat_ms,
        .order_ms = config->order_ms,
        .silence_ms = config->silence_ms,
        .artifact_bytes_max = config->artifact_max,
        .notify = config->notify,
    };
    int result = signals_open(&signal_fd, err); /* before the I/O threads, which inherit the mask */
    if (result == 0)
        result = link_start(err);
    if (result == 0)
        result = daemon_open(&options_run, &daemon, err);
    return result == 0 ? serve(daemon, signal_fd, err) : result;
}

static int command_run(const struct arguments *arguments)
{
    struct config config = { 0 };
    struct err err = { 0 };
    int result = arguments->config ? config_read(arguments->config, &config, &err) : 0;
    if (result == 0)
        result = run(arguments, &config, &err);
    link_stop();
    yaml_free(config_fields, &config);
    return result == 0 ? EXIT_DONE : fail(&err);
}

int main(int argc, char **argv)
{
    struct arguments arguments = { 0 };
    const char *command = argc > 1 ? argv[1] : "help";
    log_open("confleet-controller", LOG_LEVEL_INFO);
    (void)prctl(PR_SET_DUMPABLE, 0); /* its key is in this memory: no core file, no debugger */
    (void)umask(077); /* the store holds who may do what; nobody else reads it */
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)
        return printf("confleet-controller %s\n", CONFLEET_VERSION) > 0 ? EXIT_DONE : EXIT_ERROR;
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0)
        return printf("%s", usage) > 0 ? EXIT_DONE : EXIT_ERROR;
    bool init = strcmp(command, "init") == 0;
    bool raise = strcmp(command, "raise-epoch") == 0;
    if (!init && !raise && strcmp(command, "run") != 0) {
        (void)fprintf(stderr, "confleet-controller: unknown command %s\n%s", command, usage);
        return EXIT_ERROR;
    }
    if (!arguments_read(argc - 1, argv + 1, &arguments))
        return EXIT_ERROR;
    if (raise)
        return command_raise_epoch(&arguments);
    return init ? command_init(&arguments) : command_run(&arguments);
}
