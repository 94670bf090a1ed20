#include "agent/edge/uplink.h"
#include "agent/edge/fetch.h"
#include "agent/edge/orders.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/log.h"
#include <assert.h>
#include <string.h>

#define FRAMES_PER_TICK 256

struct uplink {
    const struct keys *keys;
    const struct join *controller;
    struct journal *journal;
    struct agent *agent;
    struct link_client *control;
    struct fetch *fetch;
    struct session session;
    uint32_t connection;        /* of this process, counted */
    enum link_state state_said; /* what the log was told last */
    bool resumed;               /* tasks of the journal were begun again */
    struct str deferred[UPLINK_DEFERRED_MAX];
    size_t deferred_count;
    int64_t due_mono_ms;
};

int uplink_open(const struct keys *keys, const struct join *controller, struct journal *journal,
                struct uplink **ret, struct err *err)
{
    CLEANUP(uplink_close) struct uplink *uplink = mem_zero(1, sizeof *uplink);
    struct link_client_options options = { .endpoint = controller->control,
                                           .server_key = controller->controller_key,
                                           .curve_public = keys->curve_public,
                                           .curve_secret = keys->curve_secret };
    uplink->keys = keys;
    uplink->controller = controller;
    uplink->journal = journal;
    int result = link_client_open(&options, &uplink->control, err);
    if (result != 0)
        return err_wrap(err, "connect to the controller at %s", controller->control);
    *ret = TAKE(uplink);
    return 0;
}

void uplink_close(struct uplink **pointer)
{
    struct uplink *uplink = *pointer;
    if (!uplink)
        return;
    fetch_close(&uplink->fetch);
    link_client_close(&uplink->control);
    for (size_t i = 0; i < UPLINK_DEFERRED_MAX; i++)
        str_free(&uplink->deferred[i]);
    free(uplink);
    *pointer = NULL;
}

void uplink_agent_set(struct uplink *uplink, struct agent *agent)
{
    uplink->agent = agent;
    agent->linked = true;
}

static bool send_bytes(struct uplink *uplink, const void *bytes, size_t len)
{
    struct err err = { 0 };
    int result = link_client_send(uplink->control, bytes, len, &err);
    if (result != 0 && result != -FAIL_BUSY && result != -FAIL_UNREACHABLE)
        log_warn("link.send", "message=\"%s\"; ignoring", err.text);
    return result == 0;
}

static bool send_frame(struct uplink *uplink, const Confleet__Frame *frame)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&frame->base, &bytes);
    return send_bytes(uplink, bytes.s, bytes.len);
}

void uplink_say(void *arg, const void *frame, size_t len)
{
    struct uplink *uplink = arg;
    if (uplink->session.state == SESSION_OPEN)
        (void)!send_bytes(uplink, frame, len); /* progress may be lost */
}

void uplink_hello(struct journal *journal, const struct uplink_damage *damage, const char *name,
                  uint32_t connection, struct str *ret_frame)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Hello hello = CONFLEET__HELLO__INIT;
    CLEANUP(str_free) struct str boot = { 0 };
    Confleet__StoreHead seen = CONFLEET__STORE_HEAD__INIT;
    struct journal_head head = { 0, "" };
    struct err why = { 0 };
    if (journal && journal_store_head(journal, &head, &why) != 0)
        log_warn("hello.short", "why=\"%s\"; ignoring", why.text);
    seen.seq = head.seq;
    seen.hash = head.hash;
    hello.seen = head.seq ? &seen : NULL;
    if (journal && journal_event_gone(journal, &hello.event_gone, &why) != 0)
        log_warn("hello.short", "why=\"%s\"; ignoring", why.text);
    if (fs_read("/proc/sys/kernel/random/boot_id", 64, &boot, NULL) != 0)
        str_add(&boot, "unknown");
    boot.s[strcspn(boot.s, "\n")] = 0;
    hello.protocol = CONFLEET_PROTOCOL;
    hello.program = (char *)(uintptr_t) "confleet-agent";
    hello.version = (char *)(uintptr_t)CONFLEET_VERSION;
    hello.name = (char *)(uintptr_t)name;
    hello.epoch_seen = journal ? journal_epoch(journal) : 0;
    hello.boot_id = boot.s;
    hello.start_count = journal ? journal_start_count(journal) : 0;
    hello.connection = connection;
    hello.event_seq = journal ? journal_event_seq(journal) : 0;
    if (damage) {
        hello.damage = (char *)(uintptr_t)damage->why;
        hello.damaged_runs = damage->runs;
        hello.n_damaged_runs = damage->count;
    }
    frame.body_case = CONFLEET__FRAME__BODY_HELLO;
    frame.hello = &hello;
    wire_encode(&frame.base, ret_frame);
}

static int say_next(struct uplink *uplink, struct err *err);

static int ack_order(struct uplink *uplink, const Confleet__Order *order, struct err *err)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__OrderAck ack = CONFLEET__ORDER_ACK__INIT;
    struct order_answer answer = { 0 };
    int result = orders_take(uplink->agent, order, &answer, err);
    if (result != 0)
        return result;
    ack.id = order->id;
    ack.code = (uint32_t)answer.code;
    ack.message = answer.message;
    frame.body_case = CONFLEET__FRAME__BODY_ORDER_ACK;
    frame.order_ack = &ack;
    /* What was reported of a site that an order was refused for comes first: it says how the site
     * stands, so that the refusal is not taken for its state. */
    int said = answer.code != 0;
    for (int i = 0; said == 1 && i < FRAMES_PER_TICK; i++)
        said = say_next(uplink, err);
    if (said < 0)
        return said;
    (void)!send_frame(
        uplink,
        &frame); /* an acknowledgement that is lost is given again when the order comes again */
    return 0;
}

static void defer(struct uplink *uplink, const Confleet__Order *order)
{
    if (uplink->deferred_count == UPLINK_DEFERRED_MAX) {
        log_warn("order.dropped", "order=%s; ignoring: too many wait for the first survey",
                 order->id);
        return;
    }
    struct str *bytes = &uplink->deferred[uplink->deferred_count++];
    str_clear(bytes);
    wire_encode(&order->base, bytes);
}

static int deferred_take(struct uplink *uplink, struct err *err)
{
    int result = 0;
    if (!orders_ready(uplink->agent))
        return 0;
    if (!uplink->resumed)
        result = orders_resume(uplink->agent, err);
    uplink->resumed = true;
    for (size_t i = 0; i < uplink->deferred_count && result == 0; i++) {
        CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
        Confleet__Order *order = NULL;
        if (wire_decode_order(arena, uplink->deferred[i].s, uplink->deferred[i].len, &order, err) ==
            0)
            result = ack_order(uplink, order, err);
        else
            err_clear(err);
    }
    uplink->deferred_count = 0;
    return result;
}

static void refuse_controller(struct uplink *uplink, const char *why)
{
    log_error("controller.refused", "message=\"%s\"", why);
    session_down(&uplink->session);
    link_client_restart(uplink->control);
}

static void clock_told(struct uplink *uplink, enum session_say answered, int64_t controller_ms)
{
    if (controller_ms == 0) { /* one that tells no time has heard of us all the same */
        if (answered == SAY_HELLO)
            uplink->agent->answered_mono_ms = uplink->session.hello_ms;
        return;
    }
    session_told(&uplink->session, answered, controller_ms, clock_mono_ms());
    uplink->agent->controller_clock_known =
        session_clock(&uplink->session, 0, &uplink->agent->controller_clock_ms);
    uplink->agent->answered_mono_ms = uplink->session.answered_ms;
}

/* A head of a store that we follow; heads of one store only grow. */
static int head_seen(struct uplink *uplink, const Confleet__StoreHead *shown, bool other_store,
                     struct err *err)
{
    struct journal_head head = { 0, "" };
    int result = journal_store_head(uplink->journal, &head, err);
    if (result != 0 || (!other_store && (!shown || shown->seq <= head.seq)))
        return result;
    head.seq = shown ? shown->seq : 0;
    (void)snprintf(head.hash, sizeof head.hash, "%s", shown ? shown->hash : "");
    return journal_store_head_set(uplink->journal, &head, err);
}

/* Does the controller's store hold what was seen of it? */
static int is_other_store(struct uplink *uplink, const Confleet__Welcome *welcome, bool *ret,
                          struct err *err)
{
    struct journal_head head = { 0, "" };
    int result = journal_store_head(uplink->journal, &head, err);
    if (result == 0)
        *ret = head.seq != 0 && strcmp(welcome->seen_hash, head.hash) != 0;
    return result;
}

static int on_welcome(struct uplink *uplink, const Confleet__Welcome *welcome, struct err *err)
{
    char why[256] = "";
    bool other_store = false;
    int result = is_other_store(uplink, welcome, &other_store, err);
    if (result != 0)
        return result;
    if (welcome->protocol != CONFLEET_PROTOCOL)
        (void)snprintf(why, sizeof why, "the controller speaks protocol %u, this agent %d",
                       welcome->protocol, CONFLEET_PROTOCOL);
    else if (uplink->controller->fleet[0] && strcmp(welcome->fleet, uplink->controller->fleet) != 0)
        (void)snprintf(why, sizeof why, "the controller belongs to fleet %s, this agent to %s",
                       welcome->fleet, uplink->controller->fleet);
    else if (welcome->epoch < journal_epoch(uplink->journal))
        (void)snprintf(
            why, sizeof why, "the controller has epoch %llu, epoch %llu has spoken already",
            (unsigned long long)welcome->epoch, (unsigned long long)journal_epoch(uplink->journal));
    else if (other_store && welcome->adopted_epoch <= journal_epoch(uplink->journal))
        (void)snprintf(why, sizeof why,
                       "the controller's store is older than this agent has seen; no order of it "
                       "is taken (confleet-controller raise-epoch --epoch %llu makes it the one to "
                       "follow)",
                       (unsigned long long)journal_epoch(uplink->journal));
    if (*why) {
        refuse_controller(uplink, why);
        return 0;
    }
    bool accepted = strcmp(welcome->state, "accepted") == 0;
    clock_told(uplink, SAY_HELLO, welcome->now_ms);
    log_info("controller.welcome", "you=%s state=%s epoch=%llu", welcome->you, welcome->state,
             (unsigned long long)welcome->epoch);
    session_welcome(&uplink->session, accepted, welcome->event_acked, welcome->heartbeat_ms,
                    clock_mono_ms());
    uplink->agent->silence_ms = welcome->silence_ms;
    if (accepted)
        result = head_seen(uplink, welcome->head, other_store, err);
    if (result == 0 && welcome->epoch > journal_epoch(uplink->journal))
        result = journal_epoch_set(uplink->journal, welcome->epoch, err);
    return result == 0 && accepted ? journal_event_acked(uplink->journal, welcome->event_acked, err)
                                   : result;
}

static int on_ack(struct uplink *uplink, uint64_t seq, struct err *err)
{
    uint64_t before = uplink->session.acked;
    session_ack(&uplink->session, seq, clock_mono_ms());
    return uplink->session.acked > before ? journal_event_acked(uplink->journal, seq, err) : 0;
}

static int on_frame(struct uplink *uplink, const Confleet__Frame *frame, struct err *err)
{
    switch (frame->body_case) {
    case CONFLEET__FRAME__BODY_WELCOME:
        return on_welcome(uplink, frame->welcome, err);
    case CONFLEET__FRAME__BODY_REFUSAL:
        refuse_controller(uplink, frame->refusal->message);
        return 0;
    case CONFLEET__FRAME__BODY_HEARTBEAT:
        clock_told(uplink, SAY_HEARTBEAT, frame->heartbeat->at_ms);
        return uplink->session.state == SESSION_OPEN
                   ? head_seen(uplink, frame->heartbeat->head, false, err)
                   : 0;
    case CONFLEET__FRAME__BODY_EVENT_ACK:
        return uplink->session.state == SESSION_OPEN ? on_ack(uplink, frame->event_ack->seq, err)
                                                     : 0;
    case CONFLEET__FRAME__BODY_ORDER:
        if (uplink->session.state != SESSION_OPEN)
            break;
        if (head_seen(uplink, frame->order->head, false, err) != 0)
            return -FAIL_DATABASE;
        if (orders_ready(uplink->agent) && uplink->resumed)
            return ack_order(uplink, frame->order, err);
        defer(uplink, frame->order);
        return 0;
    default:
        break;
    }
    log_warn("link.unexpected", "frame=%d; ignoring: not in turn", (int)frame->body_case);
    return 0;
}

static int receive(struct uplink *uplink, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    for (int i = 0; i < FRAMES_PER_TICK; i++) {
        CLEANUP(arena_free) struct arena *arena = NULL;
        Confleet__Frame *frame = NULL;
        struct err why = { 0 };
        int got = link_client_recv(uplink->control, &bytes, &why);
        if (got < 0)
            log_warn("link.receive", "message=\"%s\"; ignoring", why.text);
        if (got <= 0)
            return 0;
        arena = arena_new(WIRE_ARENA_MAX);
        if (wire_decode_frame(arena, bytes.s, bytes.len, &frame, &why) != 0) {
            log_warn("link.bad-frame", "message=\"%s\"; ignoring", why.text);
            continue;
        }
        int result = on_frame(uplink, frame, err);
        if (result != 0)
            return result;
    }
    return 0;
}

struct sending {
    struct uplink *uplink;
    uint64_t last;
};

static int send_event(void *arg, uint64_t seq, const void *bytes, size_t len, struct err *err)
{
    struct sending *sending = arg;
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Event *event = NULL;
    int result = wire_decode_event(arena, bytes, len, &event, err);
    if (result != 0)
        return err_wrap(err, "event %llu of the outbox", (unsigned long long)seq);
    frame.body_case = CONFLEET__FRAME__BODY_EVENT;
    frame.event = event;
    if (!send_frame(sending->uplink, &frame))
        return 1;
    sending->last = seq;
    return 0;
}

/* 1: something was said; 0: nothing to say, or the queue is full; negative: the journal. */
static int say_next(struct uplink *uplink, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Heartbeat beat = CONFLEET__HEARTBEAT__INIT;
    int64_t now_ms = clock_mono_ms();
    struct session_order order =
        session_next(&uplink->session, journal_event_seq(uplink->journal), now_ms);
    struct sending sending = { uplink, order.after };
    int result = 0;
    switch (order.say) {
    case SAY_NOTHING:
        return 0;
    case SAY_HELLO:
        uplink_hello(uplink->journal, NULL, uplink->controller->name, uplink->connection, &bytes);
        if (!send_bytes(uplink, bytes.s, bytes.len))
            return 0;
        break;
    case SAY_HEARTBEAT:
        beat.at_ms = clock_wall_ms();
        beat.epoch = journal_epoch(uplink->journal);
        frame.body_case = CONFLEET__FRAME__BODY_HEARTBEAT;
        frame.heartbeat = &beat;
        if (!send_frame(uplink, &frame))
            return 0;
        break;
    case SAY_EVENTS:
        result = journal_events(uplink->journal, order.after, (uint32_t)order.count, send_event,
                                &sending, err);
        if (result < 0 || sending.last == order.after)
            return result < 0 ? result : 0;
        break;
    }
    session_said(&uplink->session, order.say, sending.last, now_ms);
    return 1;
}

static void log_state(struct uplink *uplink)
{
    enum link_state state = link_client_state(uplink->control);
    enum link_state known =
        state == LINK_WAITING ? LINK_CONNECTING : state; /* trying again is no news */
    if (known == uplink->state_said)
        return;
    uplink->state_said = known;
    if (state == LINK_UP)
        log_info("link.up", "controller=%s", uplink->controller->control);
    else
        log_warn("link.down", "controller=%s message=\"%s\"", uplink->controller->control,
                 link_client_why(uplink->control));
}

static int fetch_drive(struct uplink *uplink, struct err *err)
{
    struct run *run = agent_fetching(uplink->agent);
    if (uplink->fetch && (!run || run != fetch_run(uplink->fetch)))
        fetch_close(&uplink->fetch);
    if (!run)
        return 0;
    struct err why = { 0 };
    if (!uplink->fetch && fetch_open(uplink->keys, uplink->controller, uplink->agent->config, run,
                                     &uplink->fetch, &why) != 0)
        return run_fetched(run, why.code, why.text, err);
    int result = fetch_tick(uplink->fetch, clock_mono_ms(), &why);
    if (result == 0)
        return 0;
    fetch_close(&uplink->fetch);
    return run_fetched(run, result < 0 ? why.code : 0, why.text, err);
}

int uplink_tick(struct uplink *uplink, struct err *err)
{
    bool new_connection = false;
    int64_t now_ms = clock_mono_ms();
    int64_t wait_ms = link_client_tick(uplink->control, now_ms, &new_connection);
    uplink->due_mono_ms = now_ms + (wait_ms < 1000 ? wait_ms : 1000);
    log_state(uplink);
    if (new_connection) {
        uplink->connection++;
        session_up(&uplink->session, now_ms);
    } else if (link_client_state(uplink->control) != LINK_UP)
        session_down(&uplink->session);
    int result = receive(uplink, err);
    if (result == 0)
        result = deferred_take(uplink, err);
    if (result == 0)
        result = fetch_drive(uplink, err);
    while (result == 0 && (result = say_next(uplink, err)) == 1)
        result = 0;
    return result;
}

size_t uplink_poll(const struct uplink *uplink, zmq_pollitem_t items[UPLINK_POLL_MAX])
{
    size_t count = 0;
    items[count++] = (zmq_pollitem_t){ link_client_socket(uplink->control), 0, ZMQ_POLLIN, 0 };
    items[count++] = (zmq_pollitem_t){ link_client_monitor(uplink->control), 0, ZMQ_POLLIN, 0 };
    return uplink->fetch ? count + fetch_poll(uplink->fetch, items + count) : count;
}

int64_t uplink_due_ms(const struct uplink *uplink)
{
    int64_t due_ms = session_due_ms(&uplink->session);
    if (uplink->fetch && fetch_due_ms(uplink->fetch) < due_ms)
        due_ms = fetch_due_ms(uplink->fetch);
    return due_ms < uplink->due_mono_ms ? due_ms : uplink->due_mono_ms;
}
