/* Emulated agents: the project's own link and wire code, a key each, and an agent's side of the
 * protocol: Hello, a survey, orders acknowledged once, events in order and sent again from the newest
 * that the controller holds. What they report is made up; nothing is done.
 *
 * Standard input:  "enrol", "dial", "drop", "stats", "reset"; its end is theirs.
 * Standard output: "enrolled NAME FINGERPRINT", "dialled FIRST LAST", one line of JSON for "stats". */
#include "bench/fleet.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/hash.h"
#include "confleet/link.h"
#include "confleet/wire.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define FINDINGS   20
#define STEPS      12
#define SWEEP_MS   1000
#define STDIN_MARK UINT64_MAX
/* An answer per peer is what the figures are about, not what a patient peer would bear. */
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 2000

struct agent {
    char name[64], order[320];
    uint8_t token[KEY_SIZE];
    struct keys keys;
    struct link_client *link;
    void *watched[2]; /* sockets whose descriptors epoll knows */
    bool welcome, enrolled;
    struct str *events; /* events[i] is event i + 1, as a frame */
    uint64_t count, sent, acked;
};

static struct {
    struct agent *agents;
    size_t count, steps;
    char endpoint[256];
    uint8_t server_key[KEY_SIZE];
    int epoll;
    bool enrolling;
    double dialled_s, welcomed_s;
    size_t welcomed, orders, events, acked, refused;
    size_t sizes[6]; /* of the newest frame of each kind, in the order of size_names */
    double first_order_s, last_order_s, last_ack_s;
} the;
enum { SIZE_HELLO, SIZE_WELCOME, SIZE_ORDER, SIZE_ACK, SIZE_EVENT, SIZE_EVENT_ACK };
static const char *const size_names[6] = { "hello", "welcome", "order",
                                           "ack",   "event",   "event_ack" };

static char *word(const char *text)
{
    return (char *)(uintptr_t)text;
}

static bool frame_send(struct agent *agent, const Confleet__Frame *frame, size_t *ret_size)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    struct err err = { 0 };
    wire_encode(&frame->base, &bytes);
    *ret_size = bytes.len;
    return link_client_send(agent->link, bytes.s, bytes.len, &err) == 0;
}

/* ------------------------------------------------------------------ events */

static void event_keep(struct agent *agent, Confleet__Event *event)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    event->seq = agent->count + 1;
    event->at_ms = clock_wall_ms();
    frame.body_case = CONFLEET__FRAME__BODY_EVENT;
    frame.event = event;
    if ((agent->count & (agent->count + 1)) == 0)
        agent->events = mem_grow(agent->events, 2 * (size_t)agent->count + 2, sizeof *agent->events);
    agent->events[agent->count] = (struct str){ 0 };
    wire_encode(&frame.base, &agent->events[agent->count++]);
    the.events++;
}

static bool events_flush(struct agent *agent)
{
    struct err err = { 0 };
    bool any = false;
    while (agent->welcome && agent->sent < agent->count) {
        const struct str *bytes = &agent->events[agent->sent];
        if (link_client_send(agent->link, bytes->s, bytes->len, &err) != 0)
            break; /* the sweep comes again */
        agent->sent++;
        any = true;
    }
    return any;
}

static void survey_keep(struct agent *agent)
{
    Confleet__Event event = CONFLEET__EVENT__INIT;
    Confleet__Survey survey = CONFLEET__SURVEY__INIT;
    Confleet__Installation one = CONFLEET__INSTALLATION__INIT, *list[] = { &one };
    char where[128];
    (void)snprintf(where, sizeof where, "db.example:5432/%s", agent->name);
    one.id = word("confluence-0a1b2c3d");
    one.install = word("/opt/atlassian/confluence");
    one.home = word("/var/atlassian/application-data/confluence");
    one.version = word("9.2.13");
    one.app_build = one.home_build = one.database_build = 9109;
    one.run_user = word("confluence");
    one.pid = 4711;
    one.http_port = 8090;
    one.shutdown_port = 8000;
    one.database_kind = word("postgresql");
    one.database_where = where;
    one.server_id = word("B4XY-7QPL-2M8T-9KRC");
    one.state = word("RUNNING");
    one.java = word("/opt/atlassian/confluence/jre (17.0.11)");
    survey.n_installations = 1;
    survey.installations = list;
    survey.host = agent->name;
    survey.os = word("Debian GNU/Linux 12 (bookworm)");
    survey.agent_version = word(CONFLEET_VERSION);
    event.what_case = CONFLEET__EVENT__WHAT_SURVEY;
    event.survey = &survey;
    event_keep(agent, &event);
}

/* An order's terms, which each event about it repeats. */
struct about {
    const char *order, *installation, *site, *plan;
    uint32_t attempt;
};

static Confleet__Event event_about(const struct about *about)
{
    Confleet__Event event = CONFLEET__EVENT__INIT;
    event.order_id = word(about->order);
    event.installation = word(about->installation);
    event.site = word(about->site);
    event.plan_id = word(about->plan);
    event.attempt = about->attempt;
    return event;
}

static void check_keep(struct agent *agent, const struct about *about)
{
    Confleet__Event event = event_about(about);
    Confleet__CheckEvent check = CONFLEET__CHECK_EVENT__INIT;
    Confleet__Finding findings[FINDINGS], *list[FINDINGS];
    for (size_t i = 0; i < FINDINGS; i++) {
        findings[i] = (Confleet__Finding)CONFLEET__FINDING__INIT;
        findings[i].id = word("free-space-for-the-backup");
        findings[i].severity = i == 0 ? CONFLEET__SEVERITY__WARN : CONFLEET__SEVERITY__OK;
        findings[i].title = word("the backup folder has room for the backup and its proof");
        findings[i].evidence = word("/var/backups/confleet: 184.2 GB free, 12.8 GB needed twice");
        findings[i].remedy = word("");
        list[i] = &findings[i];
    }
    check.n_findings = FINDINGS;
    check.findings = list;
    event.what_case = CONFLEET__EVENT__WHAT_CHECK;
    event.check = &check;
    event_keep(agent, &event);
}

static void run_keep(struct agent *agent, const struct about *about, Confleet__RunState state)
{
    Confleet__Event event = event_about(about);
    Confleet__RunEvent run = CONFLEET__RUN_EVENT__INIT;
    run.state = state;
    if (state != CONFLEET__RUN_STATE__RUN_FORWARD) {
        run.outage_ms = 95000;
        run.build = 9116;
        run.version = word("9.2.21");
    }
    event.what_case = CONFLEET__EVENT__WHAT_RUN;
    event.run = &run;
    event_keep(agent, &event);
}

static void step_keep(struct agent *agent, const struct about *about, size_t number)
{
    Confleet__Event event = event_about(about);
    Confleet__StepEvent step = CONFLEET__STEP_EVENT__INIT;
    char name[32];
    (void)snprintf(name, sizeof name, "step-%zu", number);
    step.step = name;
    step.label = word("copying the installation beside the old one");
    step.state = CONFLEET__STEP_STATE__STEP_DONE;
    step.number = (uint32_t)number;
    step.count = STEPS;
    step.took_ms = 1234;
    event.what_case = CONFLEET__EVENT__WHAT_STEP;
    event.step = &step;
    event_keep(agent, &event);
}

static void done_keep(struct agent *agent, const struct about *about)
{
    Confleet__Event event = event_about(about);
    Confleet__DoneEvent done = CONFLEET__DONE_EVENT__INIT;
    event.what_case = CONFLEET__EVENT__WHAT_DONE;
    event.done = &done;
    event_keep(agent, &event);
}

/* ------------------------------------------------------------------ what is heard */

static void upgrade_do(struct agent *agent, const Confleet__Order *order)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__Plan *plan = NULL;
    struct err err = { 0 };
    const Confleet__OrderUpgrade *upgrade = order->upgrade;
    need(upgrade->plan != NULL, "the order's plan");
    need_ok(wire_decode_plan(arena, upgrade->plan->payload.data, upgrade->plan->payload.len, &plan,
                             &err),
            &err);
    struct about about = { order->id, "", upgrade->site, plan->id, upgrade->attempt };
    run_keep(agent, &about, CONFLEET__RUN_STATE__RUN_FORWARD);
    for (size_t i = 1; i <= the.steps; i++)
        step_keep(agent, &about, i);
    run_keep(agent, &about, CONFLEET__RUN_STATE__RUN_APPLIED);
    run_keep(agent, &about, CONFLEET__RUN_STATE__RUN_COMMITTED);
    done_keep(agent, &about);
}

static void on_order(struct agent *agent, const Confleet__Order *order)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__OrderAck ack = CONFLEET__ORDER_ACK__INIT;
    bool again = strcmp(agent->order, order->id) == 0;
    ack.id = order->id;
    frame.body_case = CONFLEET__FRAME__BODY_ORDER_ACK;
    frame.order_ack = &ack;
    (void)frame_send(agent, &frame, &the.sizes[SIZE_ACK]); /* an order that is not acknowledged comes again */
    if (again)
        return;
    (void)snprintf(agent->order, sizeof agent->order, "%s", order->id);
    the.last_order_s = now_s();
    if (the.orders++ == 0)
        the.first_order_s = the.last_order_s;
    if (order->what_case == CONFLEET__ORDER__WHAT_UPGRADE) {
        upgrade_do(agent, order);
        return;
    }
    need(order->what_case == CONFLEET__ORDER__WHAT_CHECK, "an order to check or to upgrade");
    struct about about = { order->id, order->check->installation, order->check->site, "", 0 };
    check_keep(agent, &about);
    the.sizes[SIZE_EVENT] = agent->events[agent->count - 1].len;
    done_keep(agent, &about);
}

static void enrol(struct agent *agent)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Enrol enrol = CONFLEET__ENROL__INIT;
    size_t size = 0;
    enrol.name = agent->name;
    enrol.curve_public = (ProtobufCBinaryData){ KEY_SIZE, agent->keys.curve_public };
    frame.body_case = CONFLEET__FRAME__BODY_ENROL;
    frame.enrol = &enrol;
    need(frame_send(agent, &frame, &size), "send Enrol");
}

static void on_welcome(struct agent *agent, const Confleet__Welcome *welcome)
{
    if (the.enrolling) {
        enrol(agent);
        return;
    }
    if (strcmp(welcome->state, "accepted") != 0)
        return;
    if (!agent->welcome && ++the.welcomed == the.count)
        the.welcomed_s = now_s();
    agent->welcome = true;
    agent->acked = agent->sent = welcome->event_acked;
    if (agent->count == 0)
        survey_keep(agent);
}

static void on_event_ack(struct agent *agent, uint64_t seq)
{
    if (seq > agent->acked) {
        the.acked += (size_t)(seq - agent->acked);
        agent->acked = seq;
        the.last_ack_s = now_s();
    } else {
        agent->sent = seq; /* something was lost on the way: again from there */
    }
}

static void on_frame(struct agent *agent, const Confleet__Frame *frame, size_t size)
{
    switch (frame->body_case) {
    case CONFLEET__FRAME__BODY_ENROLLED:
        agent->enrolled = true;
        (void)printf("enrolled %s %s\n", agent->name, frame->enrolled->fingerprint);
        break;
    case CONFLEET__FRAME__BODY_WELCOME:
        the.sizes[SIZE_WELCOME] = size;
        on_welcome(agent, frame->welcome);
        break;
    case CONFLEET__FRAME__BODY_ORDER:
        the.sizes[SIZE_ORDER] = size;
        on_order(agent, frame->order);
        break;
    case CONFLEET__FRAME__BODY_EVENT_ACK:
        the.sizes[SIZE_EVENT_ACK] = size;
        on_event_ack(agent, frame->event_ack->seq);
        break;
    case CONFLEET__FRAME__BODY_REFUSAL:
        the.refused++;
        (void)fprintf(stderr, "bench-fleet: %s is refused: %s\n", agent->name,
                      frame->refusal->message);
        break;
    default:
        break;
    }
}

static void greet(struct agent *agent)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Hello hello = CONFLEET__HELLO__INIT;
    hello.protocol = CONFLEET_PROTOCOL;
    hello.program = word("confleet-agent");
    hello.version = word(CONFLEET_VERSION);
    hello.name = the.enrolling ? word("") : agent->name;
    hello.boot_id = word("5f0c2a52-8f6b-4a62-9a29-7f3c6f3f2d11");
    hello.start_count = 1;
    hello.event_seq = agent->count;
    frame.body_case = CONFLEET__FRAME__BODY_HELLO;
    frame.hello = &hello;
    agent->welcome = false;
    need(frame_send(agent, &frame, &the.sizes[SIZE_HELLO]), "send Hello");
}

/* ------------------------------------------------------------------ the loop */

static void watch(struct agent *agent, size_t number)
{
    void *sockets[2] = { link_client_socket(agent->link), link_client_monitor(agent->link) };
    for (size_t i = 0; i < 2; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = number };
        int fd = -1;
        size_t len = sizeof fd;
        if (sockets[i] == agent->watched[i] || !sockets[i])
            continue;
        need(zmq_getsockopt(sockets[i], ZMQ_FD, &fd, &len) == 0, "descriptor");
        if (epoll_ctl(the.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            need(epoll_ctl(the.epoll, EPOLL_CTL_MOD, fd, &event) == 0, "epoll");
        agent->watched[i] = sockets[i];
    }
}

static bool hear_one(struct agent *agent)
{
    CLEANUP(arena_free) struct arena *arena = NULL;
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__Frame *frame = NULL;
    struct err err = { 0 };
    int got = link_client_recv(agent->link, &bytes, &err);
    need_ok(got, &err);
    if (got == 0)
        return false;
    arena = arena_new(WIRE_ARENA_MAX);
    need_ok(wire_decode_frame(arena, bytes.s, bytes.len, &frame, &err), &err);
    on_frame(agent, frame, bytes.len);
    return true;
}

/* Sending may take in what the descriptor told of: so it ends only when there was neither. */
static void agent_turn(struct agent *agent, size_t number)
{
    bool is_new = false;
    if (!agent->link)
        return;
    (void)link_client_tick(agent->link, clock_mono_ms(), &is_new);
    if (is_new)
        greet(agent);
    watch(agent, number);
    while (agent->link && (hear_one(agent) || events_flush(agent)))
        ;
    if (the.enrolling && agent->enrolled)
        link_client_close(&agent->link);
}

static void dial(bool enrolling)
{
    the.enrolling = enrolling;
    the.welcomed = 0;
    the.dialled_s = now_s();
    for (size_t i = 0; i < the.count; i++) {
        struct agent *agent = &the.agents[i];
        uint8_t token_public[KEY_SIZE];
        struct err err = { 0 };
        struct link_client_options options = { .endpoint = the.endpoint,
                                               .server_key = the.server_key,
                                               .curve_public = agent->keys.curve_public,
                                               .curve_secret = agent->keys.curve_secret,
                                               .backoff_min_ms = BACKOFF_MIN_MS,
                                               .backoff_max_ms = BACKOFF_MAX_MS };
        if (enrolling) {
            need_ok(keys_curve_from_secret(agent->token, token_public, &err), &err);
            options.curve_public = token_public;
            options.curve_secret = agent->token;
        }
        agent->watched[0] = agent->watched[1] = NULL;
        agent->welcome = false;
        need_ok(link_client_open(&options, &agent->link, &err), &err);
        agent_turn(agent, i); /* a descriptor tells of nothing before a receive has found nothing */
    }
}

static void drop(void)
{
    for (size_t i = 0; i < the.count; i++)
        link_client_close(&the.agents[i].link);
}

static void stats(void)
{
    (void)printf("{\"welcomed\":%zu,\"dialled_s\":%.6f,\"welcomed_s\":%.6f,\"orders\":%zu,"
                 "\"first_order_s\":%.6f,\"last_order_s\":%.6f,\"events\":%zu,\"acked\":%zu,"
                 "\"last_ack_s\":%.6f,\"refused\":%zu,\"sizes\":{",
                 the.welcomed, the.dialled_s, the.welcomed_s, the.orders, the.first_order_s,
                 the.last_order_s, the.events, the.acked, the.last_ack_s, the.refused);
    for (size_t i = 0; i < 6; i++)
        (void)printf("%s\"%s\":%zu", i > 0 ? "," : "", size_names[i], the.sizes[i]);
    (void)printf("}}\n");
}

/* False at the end of standard input. */
static bool obey(void)
{
    char line[64];
    if (!fgets(line, sizeof line, stdin))
        return false;
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "enrol") == 0)
        dial(true);
    else if (strcmp(line, "dial") == 0)
        dial(false);
    else if (strcmp(line, "drop") == 0)
        drop();
    else if (strcmp(line, "reset") == 0)
        the.orders = the.events = the.acked = the.refused = 0;
    else if (strcmp(line, "stats") == 0)
        stats();
    else
        need(false, line);
    return true;
}

static void tokens_read(const char *path)
{
    CLEANUP(close_file) FILE *file = fopen(path, "re");
    char line[256];
    need(file != NULL, path);
    while (fgets(line, sizeof line, file)) {
        struct err err = { 0 };
        char *space = strchr(line, ' ');
        need(space && space - line < 64, "a line of the tokens");
        the.agents = mem_grow(the.agents, the.count + 1, sizeof *the.agents);
        struct agent *agent = &the.agents[the.count++];
        *agent = (struct agent){ 0 };
        memcpy(agent->name, line, (size_t)(space - line));
        space[1 + 2 * KEY_SIZE] = '\0';
        need(hex_parse(space + 1, agent->token, KEY_SIZE), "a token");
        need_ok(keys_make(agent->name, &agent->keys, &err), &err);
    }
}

int fleet_agents(int count, char **words)
{
    struct err err = { 0 };
    struct epoll_event events[256], input = { .events = EPOLLIN, .data.u64 = STDIN_MARK };
    sigset_t all;
    need(count == 4, "agents ENDPOINT CONTROLLER-KEY TOKENS STEPS");
    (void)snprintf(the.endpoint, sizeof the.endpoint, "%s", words[0]);
    need(hex_parse(words[1], the.server_key, KEY_SIZE), "the controller's key");
    the.steps = need_number(words[3]);
    (void)sigfillset(&all);
    need(sigprocmask(SIG_SETMASK, &all, NULL) == 0, "signals");
    need_ok(link_start(&err), &err);
    (void)sigemptyset(&all);
    need(sigprocmask(SIG_SETMASK, &all, NULL) == 0, "signals");
    tokens_read(words[2]);
    the.epoll = epoll_create1(EPOLL_CLOEXEC);
    need(the.epoll >= 0 && epoll_ctl(the.epoll, EPOLL_CTL_ADD, 0, &input) == 0, "epoll");
    (void)printf("ready %zu\n", the.count);
    for (int64_t swept_ms = clock_mono_ms();;) {
        int got = epoll_wait(the.epoll, events, 256, SWEEP_MS);
        for (int i = 0; i < got; i++) {
            if (events[i].data.u64 != STDIN_MARK)
                agent_turn(&the.agents[events[i].data.u64], (size_t)events[i].data.u64);
            else if (!obey())
                _exit(0); /* thousands of sockets need no orderly end */
        }
        if (clock_mono_ms() - swept_ms < SWEEP_MS)
            continue;
        for (size_t i = 0; i < the.count; i++)
            agent_turn(&the.agents[i], i);
        swept_ms = clock_mono_ms();
    }
}
