#include "controller/edge/frames.h"

#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/log.h"
#include "confleet/wire.h"
#include "controller/edge/audit.h"
#include "controller/edge/events.h"
#include "controller/edge/lineage.h"
#include "controller/edge/orders.h"
#include "controller/edge/requests.h"
#include "controller/edge/store_outbox.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define REFUSALS_AUDITED_MAX 20 /* of one connection: a hostile peer must not fill the audit */

/* One frame on its way through. */
struct passage {
    struct daemon *daemon;
    const struct link_in *in;
    struct session *session;
    struct peer peer;
    char label[PEER_ID_MAX];
    const Confleet__Frame *frame;
    struct pool *pool;
    struct agent *agent; /* Hello of an agent */
    bool held;
    char seen_hash[65];         /* what this store holds of the head that the agent has seen */
    const struct err *outdated; /* this store is too old for it */
    Confleet__Enrolled enrolled;
    char fingerprint[FINGERPRINT_MAX];
};

int daemon_send(struct daemon *daemon, struct session *session, Confleet__Frame *frame,
                struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&frame->base, &bytes);
    if (bytes.len > WIRE_FRAME_MAX)
        return err_set(err, FAIL_LIMIT, "an answer of %zu bytes does not fit in a frame",
                       bytes.len);
    outgoing_add(daemon->outgoing, &session->peer, session->id, &bytes);
    return 0;
}

void frames_send(struct daemon *daemon, struct session *session, Confleet__Frame *frame)
{
    struct err err = { 0 };
    if (daemon_send(daemon, session, frame, &err) != 0)
        log_debug("link.unsent", "peer=%s why=\"%s\"; ignoring: it is sent again", session->id,
                  err.text);
}

/* A failed write closes the store for good; everything else is between us and the peer. */
static bool store_failed(struct store *store)
{
    int64_t one = 0;
    struct err err = { 0 };
    return db_get_i64(store->db, &one, NULL, &err, "SELECT 1", "") != 0;
}

struct refusal_job {
    struct passage *passage;
    const struct err *why;
};

static int refusal_tx(void *arg, struct err *err)
{
    struct refusal_job *a = arg;
    return audit_add(a->passage->daemon->store, a->passage->label, "refused", err, "%s",
                     a->why->text);
}

static int passage_refuse(struct passage *p, const struct err *why, struct err *err)
{
    struct refusal_job audit = { p, why };
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Refusal refusal = CONFLEET__REFUSAL__INIT;
    int result = 0;
    log_warn("peer.refused", "peer=%s code=%s why=\"%s\"", p->label, fail_name(why->code),
             why->text);
    if (p->session->refusals++ < REFUSALS_AUDITED_MAX)
        result = store_tx(p->daemon->store, refusal_tx, &audit, err);
    refusal.code = (uint32_t)why->code;
    refusal.message = (char *)(uintptr_t)why->text;
    refusal.retry_after_ms = 10000;
    frame.body_case = CONFLEET__FRAME__BODY_REFUSAL;
    frame.refusal = &refusal;
    frames_send(p->daemon, p->session, &frame);
    p->session->greeted = false;
    if (p->peer.admission.standing == STANDING_REVOKED ||
        p->peer.admission.standing == STANDING_UNKNOWN) {
        outgoing_cut(p->daemon->outgoing, &p->in->peer);
        sessions_drop(p->daemon->sessions, p->session);
        p->session = NULL;
    }
    return result;
}

Confleet__StoreHead *frames_head(struct daemon *daemon, struct lineage_head *head,
                                 Confleet__StoreHead *message)
{
    struct err err = { 0 };
    confleet__store_head__init(message);
    if (lineage_head(daemon->store, head, &err) != 0)
        return NULL;
    message->seq = head->seq;
    message->hash = head->hash;
    return message;
}

static void welcome_send(struct daemon *daemon, struct session *session, const struct peer *peer,
                         uint64_t event_seq, const char *seen_hash)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__StoreHead head_message;
    struct lineage_head head;
    Confleet__Welcome welcome = CONFLEET__WELCOME__INIT;
    welcome.protocol = CONFLEET_PROTOCOL;
    welcome.version = (char *)(uintptr_t)CONFLEET_VERSION;
    welcome.you = (char *)(uintptr_t)peer->name;
    welcome.state = (char *)(uintptr_t)standing_name(peer->admission.standing);
    welcome.role = peer->admission.role;
    welcome.epoch = daemon->store->epoch;
    welcome.fleet = daemon->store->fleet;
    welcome.event_acked = event_seq;
    welcome.now_ms = daemon->store->now_ms;
    welcome.heartbeat_ms = daemon->options.heartbeat_ms;
    welcome.silence_ms = daemon->options.silence_ms;
    if (peer->admission.who == WHO_AGENT) {
        welcome.head = frames_head(daemon, &head, &head_message);
        welcome.seen_hash = (char *)(uintptr_t)seen_hash;
        welcome.adopted_epoch = daemon->store->adopted;
    }
    frame.body_case = CONFLEET__FRAME__BODY_WELCOME;
    frame.welcome = &welcome;
    frames_send(daemon, session, &frame);
}

/* An agent forgets an event when this controller has told that it is in the store. One that is in
 * neither was in a store that an older copy has replaced: it cannot come again, and waiting for it
 * would shut out all that follow. */
static int events_gone(struct passage *p, struct err *err)
{
    struct store *store = p->daemon->store;
    uint64_t held = p->agent->event_seq, gone = p->frame->hello->event_gone;
    if (gone <= held || gone > p->frame->hello->event_seq)
        return 0;
    int result = agent_event_seq_set(store, p->peer.name, gone, err);
    if (result != 0)
        return result;
    p->agent->event_seq = gone;
    log_warn("events.gone", "agent=%s from=%" PRIu64 " to=%" PRIu64, p->peer.name, held + 1, gone);
    return audit_add(store, p->label, "events-gone", err,
                     "reports %" PRIu64 " to %" PRIu64
                     " are missing: this store was put back from a copy that is older",
                     held + 1, gone);
}

static int hello_tx(void *arg, struct err *err)
{
    struct passage *p = arg;
    struct store *store = p->daemon->store;
    struct err why = { 0 };
    int result = agent_find(store, p->pool, p->peer.name, &p->agent, err);
    if (result != 0 || !p->agent)
        return result;
    if (p->agent->outdated[0] != '\0')
        result = lineage_note(store, p->peer.name, "", err);
    if (result == 0)
        result = lineage_hash(store, p->frame->hello, p->seen_hash, err);
    if (result != 0)
        return result;
    bool again = strcmp(p->session->name, p->peer.name) == 0;
    result = agent_hello(store, p->agent, p->frame->hello, again, &why);
    if (result == 0)
        result = events_gone(p, &why);
    if (result != -FAIL_CONFLICT) {
        if (result != 0 && err)
            *err = why;
        return result;
    }
    /* Which of the two is the true one, only a person can tell: neither is served any more. */
    p->held = true;
    result = agent_standing_set(store, p->peer.name, STANDING_HELD, err);
    return result != 0 ? result : audit_add(store, p->label, "agent-held", err, "%s", why.text);
}

static int outdated_tx(void *arg, struct err *err)
{
    const struct passage *p = arg;
    return lineage_note(p->daemon->store, p->peer.name, p->outdated->text, err);
}

static int damaged_tx(void *arg, struct err *err)
{
    const struct passage *p = arg;
    return events_damaged(p->daemon->store, p->pool, p->peer.name, p->frame->hello, err);
}

/* It is not greeted, so that it gets no orders; it says this again as long as it is so. */
static int on_damaged(struct passage *p, struct err *err)
{
    log_warn("peer.damaged", "peer=%s message=\"%s\"", p->label, p->frame->hello->damage);
    if (p->peer.admission.standing != STANDING_ACCEPTED)
        return 0;
    return store_tx(p->daemon->store, damaged_tx, p, err);
}

static int on_hello(struct passage *p, struct err *err)
{
    const Confleet__Hello *hello = p->frame->hello;
    struct err why = { 0 };
    if (hello->protocol != CONFLEET_PROTOCOL) {
        (void)err_set(&why, FAIL_PROTOCOL,
                      "this controller (%s) speaks protocol %d, %s %s speaks protocol %u: install "
                      "the same version on both",
                      CONFLEET_VERSION, CONFLEET_PROTOCOL, hello->program, hello->version,
                      hello->protocol);
        return passage_refuse(p, &why, err);
    }
    if (p->peer.name[0] != '\0' && hello->name[0] != '\0' &&
        strcmp(hello->name, p->peer.name) != 0) {
        (void)err_set(&why, FAIL_MISMATCH,
                      "Hello refused: this key belongs to %s, and the message calls itself %s",
                      p->label, hello->name);
        return passage_refuse(p, &why, err);
    }
    if (p->peer.admission.who == WHO_AGENT && hello->damage[0] != '\0')
        return on_damaged(p, err);
    if (p->peer.admission.who == WHO_AGENT) {
        int result = lineage_judge(p->daemon->store, p->peer.name, hello, &why, err);
        p->outdated = &why;
        if (result == 0 && why.code != 0 && p->peer.admission.standing == STANDING_ACCEPTED)
            result = store_tx(p->daemon->store, outdated_tx, p, err);
        if (result != 0 || why.code != 0)
            return result != 0 ? result : passage_refuse(p, &why, err);
    }
    if (p->peer.admission.who == WHO_AGENT) {
        int result = store_tx(p->daemon->store, hello_tx, p, err);
        if (result != 0)
            return result;
        if (p->held) {
            p->peer.admission.standing = STANDING_HELD;
            result = admission_frame(&p->peer.admission, CONFLEET__FRAME__BODY_HELLO, &why);
            assert(result != 0);
            return passage_refuse(p, &why, err);
        }
        sessions_name(p->daemon->sessions, p->session, p->peer.name);
    }
    p->session->greeted = true;
    memcpy(p->session->seen_hash, p->seen_hash, sizeof p->seen_hash);
    /* Each command of an operator is a connection of its own; agents come seldom. */
    log_line(p->peer.admission.who == WHO_AGENT ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "peer.hello",
             "peer=%s version=%s state=%s", p->label, hello->version,
             standing_name(p->peer.admission.standing));
    welcome_send(p->daemon, p->session, &p->peer, p->agent ? p->agent->event_seq : 0, p->seen_hash);
    if (p->peer.admission.who != WHO_AGENT || p->peer.admission.standing != STANDING_ACCEPTED)
        return 0;
    return orders_send_to(p->daemon, p->peer.name, INT64_MAX, err);
}

static void on_heartbeat(struct passage *p)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Heartbeat heartbeat = CONFLEET__HEARTBEAT__INIT;
    Confleet__StoreHead head_message;
    struct lineage_head head;
    heartbeat.at_ms = p->daemon->store->now_ms;
    heartbeat.epoch = p->daemon->store->epoch;
    if (p->peer.admission.who == WHO_AGENT)
        heartbeat.head = frames_head(p->daemon, &head, &head_message);
    frame.body_case = CONFLEET__FRAME__BODY_HEARTBEAT;
    frame.heartbeat = &heartbeat;
    frames_send(p->daemon, p->session, &frame);
}

static int enrol_tx(void *arg, struct err *err)
{
    struct passage *p = arg;
    struct store *store = p->daemon->store;
    const Confleet__Enrol *enrol = p->frame->enrol;
    struct token *token = NULL;
    int result = token_find(store, p->pool, p->session->id, &token, err);
    if (result == 0)
        result = peer_enrol(store, token, enrol, err);
    if (result != 0)
        return result;
    bool agent = strcmp(token->kind, "agent") == 0;
    keys_fingerprint(enrol->curve_public.data, p->fingerprint);
    p->enrolled.name = pool_text(p->pool, token->name);
    p->enrolled.state = (char *)(uintptr_t)(agent ? "pending" : "accepted");
    p->enrolled.fingerprint = p->fingerprint;
    p->enrolled.role = token->role;
    p->enrolled.fleet = store->fleet;
    return audit_add(store, p->label, "enrolled", err, "%s %s, fingerprint %s, role %s",
                     token->kind, token->name, p->fingerprint, role_name(token->role));
}

static int on_enrol(struct passage *p, struct err *err)
{
    struct err why = { 0 };
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    p->enrolled = (Confleet__Enrolled)CONFLEET__ENROLLED__INIT;
    if (store_tx(p->daemon->store, enrol_tx, p, &why) != 0) {
        if (store_failed(p->daemon->store)) {
            *err = why;
            return -why.code;
        }
        return passage_refuse(p, &why, err);
    }
    log_info("peer.enrolled", "name=%s state=%s fingerprint=%s", p->enrolled.name,
             p->enrolled.state, p->fingerprint);
    p->daemon->keys_changed = true;
    frame.body_case = CONFLEET__FRAME__BODY_ENROLLED;
    frame.enrolled = &p->enrolled;
    frames_send(p->daemon, p->session, &frame);
    return 0;
}

static int ack_tx(void *arg, struct err *err)
{
    struct passage *p = arg;
    return events_order_ack(p->daemon->store, p->pool, p->peer.name, p->frame->order_ack, err);
}

struct event_job {
    struct passage *passage;
    uint64_t acked;
};

static int event_tx(void *arg, struct err *err)
{
    struct event_job *job = arg;
    struct passage *p = job->passage;
    struct err claim = { 0 };
    int result = events_take(p->daemon->store, p->pool, p->peer.name, p->frame->event, &job->acked,
                             &claim, err);
    if (result != 0 || claim.code == 0 || p->session->refusals++ >= REFUSALS_AUDITED_MAX)
        return result;
    return audit_add(p->daemon->store, p->label, "event-refused", err, "%s", claim.text);
}

static int on_event(struct passage *p, struct err *err)
{
    struct event_job job = { p, 0 };
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__EventAck ack = CONFLEET__EVENT_ACK__INIT;
    if (p->frame->event->seq == 0)
        return events_progress(p->daemon->store, p->daemon->progress, p->pool, p->peer.name,
                               p->frame->event, err);
    int result = store_tx(p->daemon->store, event_tx, &job, err);
    if (result != 0)
        return result;
    ack.seq = job.acked;
    frame.body_case = CONFLEET__FRAME__BODY_EVENT_ACK;
    frame.event_ack = &ack;
    frames_send(p->daemon, p->session, &frame);
    return 0;
}

static int on_order_ack(struct passage *p, struct err *err)
{
    return store_tx(p->daemon->store, ack_tx, p, err);
}

static int on_request(struct passage *p, struct err *err)
{
    return requests_on(p->daemon, p->session, &p->peer, p->frame->request, p->pool, err);
}

static int passage_dispatch(struct passage *p, struct err *err)
{
    switch (p->frame->body_case) {
    case CONFLEET__FRAME__BODY_HELLO:
        return on_hello(p, err);
    case CONFLEET__FRAME__BODY_HEARTBEAT:
        on_heartbeat(p);
        return 0;
    case CONFLEET__FRAME__BODY_ENROL:
        return on_enrol(p, err);
    case CONFLEET__FRAME__BODY_ORDER_ACK:
        return on_order_ack(p, err);
    case CONFLEET__FRAME__BODY_EVENT:
        return on_event(p, err);
    case CONFLEET__FRAME__BODY_REQUEST:
        return on_request(p, err);
    default:
        return err_set(err, FAIL_INTERNAL, "frame %d was admitted and has no handler",
                       (int)p->frame->body_case);
    }
}

/* What a dead connection had under way when its agent made a new one; the answer reaches nobody. Or
 * the state of an agent runs twice: then the other one lives, hears this, comes again, and its
 * Hello tells. */
static void passage_replaced(struct passage *p)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Refusal refusal = CONFLEET__REFUSAL__INIT;
    log_info("peer.replaced", "peer=%s; ignoring a frame of an older connection", p->label);
    refusal.code = FAIL_CONFLICT;
    refusal.message = (char *)(uintptr_t) "this agent has made a newer connection since; this one "
                                          "is not served";
    frame.body_case = CONFLEET__FRAME__BODY_REFUSAL;
    frame.refusal = &refusal;
    p->session->greeted = false;
    frames_send(p->daemon, p->session, &frame);
}

int frames_control(struct daemon *daemon, const struct link_in *in, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct passage p = { .daemon = daemon, .in = in, .pool = &pool };
    Confleet__Frame *frame = NULL;
    struct err why = { 0 };
    int result = peer_find(daemon->store, in->id, &p.peer, err);
    if (result != 0)
        return result;
    peer_label(&p.peer, in->id, p.label);
    p.session = sessions_take(daemon->sessions, &in->peer, in->id, daemon->store->now_ms);
    p.session->turn = in->turn;
    if (p.peer.admission.who == WHO_AGENT &&
        sessions_replaced(daemon->sessions, p.session, p.peer.name)) {
        passage_replaced(&p);
        return 0;
    }
    p.peer.admission.greeted = p.session->greeted;
    if (wire_decode_frame(arena, in->bytes, in->len, &frame, &why) != 0)
        return passage_refuse(&p, &why, err);
    p.frame = frame;
    /* Requests are judged where they can be answered by their own id; who may ask at all is judged
     * here. */
    if (admission_frame(&p.peer.admission, frame->body_case, &why) != 0)
        return passage_refuse(&p, &why, err);
    result = passage_dispatch(&p, err);
    if (result == 0 || store_failed(daemon->store))
        return result;
    why = *err;
    err_clear(err);
    return p.session ? passage_refuse(&p, &why, err) : 0;
}

int frames_welcome(struct daemon *daemon, const char *agent, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct session *session = sessions_agent(daemon->sessions, agent);
    struct agent *row = NULL;
    struct peer peer = { 0 };
    if (!session)
        return 0;
    int result = peer_find(daemon->store, session->id, &peer, err);
    if (result == 0)
        result = agent_find(daemon->store, &pool, agent, &row, err);
    if (result != 0 || !row || peer.admission.standing != STANDING_ACCEPTED)
        return result;
    welcome_send(daemon, session, &peer, row->event_seq, session->seen_hash);
    return orders_send_to(daemon, agent, INT64_MAX, err);
}

struct bulk_reply {
    struct daemon *daemon;
    const struct link_in *in;
};

static int bulk_answer(void *arg, const void *bytes, size_t len, struct err *err)
{
    struct bulk_reply *a = arg;
    return link_server_send(a->daemon->bulk, &a->in->peer, bytes, len, err);
}

static int bulk_refuse(struct daemon *daemon, const struct link_in *in, const struct err *why)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__BulkFrame frame = CONFLEET__BULK_FRAME__INIT;
    Confleet__Refusal refusal = CONFLEET__REFUSAL__INIT;
    struct err err = { 0 };
    log_warn("bulk.refused", "peer=%s code=%s why=\"%s\"", in->id, fail_name(why->code), why->text);
    refusal.code = (uint32_t)why->code;
    refusal.message = (char *)(uintptr_t)why->text;
    frame.body_case = CONFLEET__BULK_FRAME__BODY_REFUSAL;
    frame.refusal = &refusal;
    wire_encode(&frame.base, &bytes);
    if (link_server_send(daemon->bulk, &in->peer, bytes.s, bytes.len, &err) != 0)
        log_debug("bulk.unsent", "peer=%s why=\"%s\"; ignoring", in->id, err.text);
    return 0;
}

/* An agent reads releases and nothing else, whatever lies in the folder. */
static int bulk_admit(struct daemon *daemon, const struct peer *peer,
                      const Confleet__BulkFrame *frame, struct err *err)
{
    int64_t known = 0;
    if (peer->admission.standing != STANDING_ACCEPTED)
        return err_set(err, FAIL_DENIED, "artifacts are for accepted peers; this one is %s",
                       standing_name(peer->admission.standing));
    if (peer->admission.who == WHO_OPERATOR)
        return 0;
    if (peer->admission.who != WHO_AGENT || frame->body_case != CONFLEET__BULK_FRAME__BODY_GET)
        return err_set(err, FAIL_DENIED, "this message is not for this peer to send");
    int result = db_get_i64(daemon->store->db, &known, NULL, err,
                            "SELECT count(*) FROM releases WHERE artifact_sha256=$1", "t",
                            frame->get->sha256);
    if (result == 0 && known == 0)
        return err_set(err, FAIL_NOT_FOUND, "no release has an artifact with the digest %s",
                       frame->get->sha256);
    return result;
}

int frames_bulk(struct daemon *daemon, const struct link_in *in, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    struct bulk_reply answer = { daemon, in };
    Confleet__BulkFrame *frame = NULL;
    struct peer peer = { 0 };
    struct err why = { 0 };
    int result = peer_find(daemon->store, in->id, &peer, err);
    if (result != 0)
        return result;
    if (wire_decode_bulk(arena, in->bytes, in->len, &frame, &why) != 0 ||
        bulk_admit(daemon, &peer, frame, &why) != 0) {
        (void)bulk_refuse(daemon, in, &why);
        if (peer.admission.standing == STANDING_REVOKED ||
            peer.admission.standing == STANDING_UNKNOWN)
            link_server_cut(daemon->bulk, &in->peer);
        return 0;
    }
    bool may_put =
        peer.admission.who == WHO_OPERATOR && peer.admission.role >= CONFLEET__ROLE__OPERATOR;
    if (bulk_store_on(daemon->artifacts, in->id, may_put, daemon->options.artifact_bytes_max,
                      in->bytes, in->len, bulk_answer, &answer, &why) != 0)
        log_warn("bulk.failed", "peer=%s why=\"%s\"; ignoring: the peer asks again", in->id,
                 why.text);
    return 0;
}
