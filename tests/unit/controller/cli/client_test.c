#include "controller/cli/client.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/link.h"
#include "harness/test.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* A controller in a process of its own, because each process has one ZeroMQ context. What it does
 * with the n-th request is said by the n-th letter of its part: a answers, e answers with an error,
 * o answers the wrong id first, c cuts the connection without a word, r refuses the peer, s says
 * nothing, p answers with a page of a list that goes on behind what was asked for, q with its last
 * page, l with a page that leads to itself. */
struct part {
    const char *requests;
    uint32_t protocol;
    bool unknown_key, swallow_enrol;
};
struct stage {
    pid_t pid;
    char home[128];
    char ids[128];
    struct keys server, operator;
    struct join join;
};

static struct link_server *server;
static int note_fd;

static void frame_send(const struct link_in *in, Confleet__Frame *frame)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&frame->base, &bytes);
    if (link_server_send(server, &in->peer, bytes.s, bytes.len, NULL) != 0)
        _exit(3);
}

static void welcome(const struct link_in *in, const struct part *part)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Welcome body = CONFLEET__WELCOME__INIT;
    body.protocol = part->protocol ? part->protocol : CONFLEET_PROTOCOL;
    body.version = (char *)"9.9";
    body.state = (char *)"accepted";
    frame.body_case = CONFLEET__FRAME__BODY_WELCOME;
    frame.welcome = &body;
    frame_send(in, &frame);
}

static void reply(const struct link_in *in, const char *id, uint32_t code, const char *message)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Reply body = CONFLEET__REPLY__INIT;
    body.id = (char *)id;
    body.code = code;
    body.message = (char *)message;
    frame.body_case = CONFLEET__FRAME__BODY_REPLY;
    frame.reply = &body;
    frame_send(in, &frame);
}

static void refuse(const struct link_in *in)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Refusal body = CONFLEET__REFUSAL__INIT;
    body.code = FAIL_DENIED;
    body.message = (char *)"not with this face";
    frame.body_case = CONFLEET__FRAME__BODY_REFUSAL;
    frame.refusal = &body;
    frame_send(in, &frame);
}

/* Each page has one agent, whose name is where the page began with one more letter. */
static void page(const struct link_in *in, const Confleet__Request *request, char act)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Reply body = CONFLEET__REPLY__INIT;
    Confleet__AgentView agent = CONFLEET__AGENT_VIEW__INIT, *list[] = { &agent };
    char name[64];
    (void)snprintf(name, sizeof name, "%sa", request->after);
    agent.name = name;
    body.id = request->id;
    body.next = act == 'p' ? name : act == 'l' ? (char *)"a" : (char *)"";
    body.n_agents = 1;
    body.agents = list;
    frame.body_case = CONFLEET__FRAME__BODY_REPLY;
    frame.reply = &body;
    frame_send(in, &frame);
}

static void on_request(const struct link_in *in, const Confleet__Request *request, char act)
{
    const char *id = request->id;
    switch (act) {
    case 'p':
    case 'q':
    case 'l':
        page(in, request, act);
        break;
    case 'o':
        reply(in, "another", 0, "");
        reply(in, id, 0, "");
        break;
    case 'e':
        reply(in, id, FAIL_DENIED, "viewers may not do this");
        break;
    case 'c':
        link_server_cut(server, &in->peer);
        break;
    case 'r':
        refuse(in);
        break;
    case 'a':
        reply(in, id, 0, "");
        break;
    default:
        break;
    }
}

static void on_enrol(const struct link_in *in, const Confleet__Enrol *enrol, struct part *part)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Enrolled body = CONFLEET__ENROLLED__INIT;
    if (part->swallow_enrol) {
        part->swallow_enrol = false;
        link_server_cut(server, &in->peer);
        return;
    }
    body.name = enrol->name;
    body.state = (char *)"accepted";
    body.role = CONFLEET__ROLE__ADMIN;
    body.fleet = (char *)"fleet-1";
    frame.body_case = CONFLEET__FRAME__BODY_ENROLLED;
    frame.enrolled = &body;
    frame_send(in, &frame);
}

static void serve(struct part part)
{
    const char *act = part.requests;
    for (;;) {
        struct link_in in = { 0 };
        struct err err = { 0 };
        zmq_pollitem_t item = { .socket = link_server_socket(server), .events = ZMQ_POLLIN };
        if (zmq_poll(&item, 1, 30000) <= 0)
            _exit(4); /* the test is gone */
        if (link_server_recv(server, &in, &err) != 1)
            continue;
        CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
        Confleet__Frame *frame = NULL;
        if (wire_decode_frame(arena, in.bytes, in.len, &frame, &err) != 0)
            _exit(5);
        if (frame->body_case == CONFLEET__FRAME__BODY_HELLO)
            welcome(&in, &part);
        if (frame->body_case == CONFLEET__FRAME__BODY_ENROL)
            on_enrol(&in, frame->enrol, &part);
        if (frame->body_case == CONFLEET__FRAME__BODY_REQUEST) {
            if (dprintf(note_fd, "%.8s ", frame->request->id) < 0)
                _exit(6);
            on_request(&in, frame->request, *act ? *act++ : 's');
        }
        link_in_close(&in);
    }
}

static void child_run(const struct stage *stage, const struct part *part, int endpoint_fd)
{
    struct err err = { 0 };
    sigset_t all;
    struct link_key keys[2] = { { .id = "operator:anna" }, { .id = "token:0123456789abcdef" } };
    struct link_server_options options = { .endpoint = "tcp://127.0.0.1:*",
                                           .keys = &stage->server,
                                           .domain = "control" };
    memcpy(keys[0].curve_public, stage->operator.curve_public, KEY_SIZE);
    if (keys_curve_from_secret(stage->join.token, keys[1].curve_public, &err) != 0)
        _exit(7);
    sigfillset(&all);
    sigdelset(&all, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    if (link_start(&err) != 0)
        _exit(8);
    link_keys_set(part->unknown_key ? NULL : keys, part->unknown_key ? 0 : 2);
    if (link_server_open(&options, &server, &err) != 0 ||
        dprintf(endpoint_fd, "%s", link_server_endpoint(server)) < 0)
        _exit(9);
    (void)close(endpoint_fd);
    serve(*part);
}

static void stage_begin(struct stage *stage, struct part part)
{
    int fds[2], notes[2];
    struct err err = { 0 };
    *stage = (struct stage){ 0 };
    (void)snprintf(stage->home, sizeof stage->home, "%s", test_dir());
    CLEANUP(free_mem) char *key_path = fs_join(stage->home, "operator.key");
    CLEANUP(free_mem) char *controller_path = fs_join(stage->home, "controller");
    CHECK_OK(keys_make("server", &stage->server, &err), err);
    CHECK_OK(keys_make("anna", &stage->operator, & err), err);
    CHECK_OK(keys_save(key_path, &stage->operator, & err), err);
    memset(stage->join.token, 0x42, KEY_SIZE);
    CHECK_INT(pipe(fds), 0);
    CHECK_INT(pipe(notes), 0);
    note_fd = notes[1];
    stage->pid = fork();
    CHECK(stage->pid >= 0);
    if (stage->pid == 0) {
        (void)close(fds[0]);
        child_run(stage, &part, fds[1]);
        _exit(0);
    }
    (void)close(fds[1]);
    (void)close(notes[1]);
    note_fd = notes[0];
    (void)snprintf(stage->join.kind, sizeof stage->join.kind, "operator");
    (void)snprintf(stage->join.name, sizeof stage->join.name, "anna");
    (void)snprintf(stage->join.fleet, sizeof stage->join.fleet, "fleet-1");
    (void)snprintf(stage->join.bulk, sizeof stage->join.bulk, "tcp://127.0.0.1:1");
    memcpy(stage->join.controller_key, stage->server.curve_public, KEY_SIZE);
    CHECK(read(fds[0], stage->join.control, sizeof stage->join.control - 1) > 0);
    (void)close(fds[0]);
    struct join kept = stage->join;
    memset(kept.token, 0, sizeof kept.token);
    CHECK_OK(join_save(controller_path, &kept, &err), err);
}

/* Ends the controller; stage->ids then holds the beginnings of the request ids it has seen. */
static void stage_end(struct stage *stage)
{
    int status = 0;
    (void)kill(stage->pid, SIGTERM);
    CHECK(waitpid(stage->pid, &status, 0) == stage->pid);
    CHECK(WIFSIGNALED(status));
    CHECK(read(note_fd, stage->ids, sizeof stage->ids - 1) >= 0);
    (void)close(note_fd);
}

static int ping(struct stage *stage, int64_t timeout_ms, struct err *err)
{
    CLEANUP(client_close) struct client *client = NULL;
    CLEANUP(answer_free) struct answer answer = { 0 };
    Confleet__Nothing nothing = CONFLEET__NOTHING__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    request.what_case = CONFLEET__REQUEST__WHAT_PING;
    request.ping = &nothing;
    int result = client_open(stage->home, &client, err);
    return result == 0 ? client_call(client, &request, timeout_ms, &answer, err) : result;
}

static int list_agents(struct stage *stage, struct answer *ret, struct err *err)
{
    CLEANUP(client_close) struct client *client = NULL;
    Confleet__Nothing nothing = CONFLEET__NOTHING__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    request.what_case = CONFLEET__REQUEST__WHAT_AGENT_LIST;
    request.ping = &nothing;
    int result = client_open(stage->home, &client, err);
    return result == 0 ? client_call_all(client, &request, 10000, ret, err) : result;
}

TEST(a_list_in_pages_is_one_answer)
{
    struct stage stage;
    struct err err = { 0 };
    CLEANUP(answer_free) struct answer answer = { 0 };
    stage_begin(&stage, (struct part){ .requests = "ppq" });
    CHECK_OK(list_agents(&stage, &answer, &err), err);
    CHECK_INT(answer.reply->n_agents, 3);
    CHECK_STR(answer.reply->agents[0]->name, "a");
    CHECK_STR(answer.reply->agents[2]->name, "aaa");
    CHECK_STR(answer.reply->next, "");
    stage_end(&stage);
}

TEST(pages_that_do_not_end_are_an_error_and_so_is_one_that_fails)
{
    struct stage stage;
    struct err err = { 0 };
    CLEANUP(answer_free) struct answer answer = { 0 };
    stage_begin(&stage, (struct part){ .requests = "pll" });
    CHECK_INT(list_agents(&stage, &answer, &err), -FAIL_PROTOCOL);
    CHECK_HAS(err.text, "do not end");
    stage_end(&stage);
    err_clear(&err);
    stage_begin(&stage, (struct part){ .requests = "ppe" });
    CHECK_INT(list_agents(&stage, &answer, &err), -FAIL_DENIED);
    CHECK(!answer.reply);
    stage_end(&stage);
}

TEST(request_gets_the_reply_with_its_own_id)
{
    struct stage stage;
    struct err err = { 0 };
    stage_begin(&stage, (struct part){ .requests = "o" });
    CHECK_OK(ping(&stage, 10000, &err), err);
    stage_end(&stage);
}

TEST(reply_with_a_code_is_an_error_with_the_controllers_words)
{
    struct stage stage;
    struct err err = { 0 };
    stage_begin(&stage, (struct part){ .requests = "e" });
    CHECK_INT(ping(&stage, 10000, &err), -FAIL_DENIED);
    CHECK_STR(err.text, "viewers may not do this");
    stage_end(&stage);
}

TEST(after_a_cut_connection_the_same_request_is_sent_again_with_its_id)
{
    struct stage stage;
    struct err err = { 0 };
    char first[16], second[16], third[16];
    stage_begin(&stage, (struct part){ .requests = "cca" });
    CHECK_OK(ping(&stage, 20000, &err), err);
    stage_end(&stage);
    CHECK_INT(sscanf(stage.ids, "%15s %15s %15s", first, second, third), 3);
    CHECK_STR(second, first);
    CHECK_STR(third, first);
}

TEST(refusal_and_other_protocols_are_said_in_words)
{
    struct stage stage;
    struct err err = { 0 };
    stage_begin(&stage, (struct part){ .requests = "r" });
    CHECK_INT(ping(&stage, 10000, &err), -FAIL_DENIED);
    CHECK_STR(err.text, "the controller refuses: not with this face");
    stage_end(&stage);
    err_clear(&err);
    stage_begin(&stage, (struct part){ .requests = "a", .protocol = 7 });
    CHECK_INT(ping(&stage, 10000, &err), -FAIL_PROTOCOL);
    CHECK_HAS(err.text, "the controller (version 9.9) speaks protocol 7, this command");
    stage_end(&stage);
}

TEST(unknown_key_is_refused_at_once_and_named_so)
{
    struct stage stage;
    struct err err = { 0 };
    stage_begin(&stage, (struct part){ .unknown_key = true });
    int64_t start_ms = clock_mono_ms();
    CHECK_INT(ping(&stage, 20000, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "refuses this key: it was revoked");
    CHECK(clock_mono_ms() - start_ms < 15000);
    stage_end(&stage);
}

TEST(silent_controller_is_a_timeout_and_no_controller_is_unreachable)
{
    struct stage stage;
    struct err err = { 0 };
    stage_begin(&stage, (struct part){ .requests = "s" });
    CHECK_INT(ping(&stage, 1500, &err), -FAIL_UNREACHABLE);
    CHECK_HAS(err.text, "did not answer in time");
    stage_end(&stage);
    err_clear(&err);
    CHECK_INT(ping(&stage, 1500, &err), -FAIL_UNREACHABLE);
    CHECK_HAS(err.text, "cannot reach the controller at tcp://127.0.0.1:");
    CHECK_INT(fail_exit_status(-FAIL_UNREACHABLE), EXIT_UNREACHABLE);
}

TEST(enrolment_survives_a_lost_answer)
{
    struct stage stage;
    struct err err = { 0 };
    struct enrolled enrolled = { 0 };
    stage_begin(&stage, (struct part){ .swallow_enrol = true });
    CHECK_OK(client_enrol(&stage.join, &stage.operator, 20000, &enrolled, &err), err);
    CHECK_STR(enrolled.name, "anna");
    CHECK_STR(enrolled.state, "accepted");
    CHECK_INT(enrolled.role, CONFLEET__ROLE__ADMIN);
    stage_end(&stage);
}

TEST(account_without_keys_is_told_how_to_enrol)
{
    struct client *client = NULL;
    struct err err = { 0 };
    CHECK_INT(client_open(test_dir(), &client, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "this account is not enrolled");
    CHECK_HAS(err.text, "confleet enrol FILE");
}
