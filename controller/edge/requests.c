#include "controller/edge/requests_inside.h"

#include "confleet/cleanup.h"
#include "confleet/log.h"
#include "confleet/wire.h"
#include "controller/edge/frames.h"
#include <assert.h>
#include <string.h>

#define ANSWERS_KEPT_MS (24LL * 3600 * 1000)

static int ask_ping(struct ask *ask, struct err *err)
{
    (void)err;
    ask->reply->message = field(CONFLEET_VERSION);
    return 0;
}

struct handler {
    Confleet__Request__WhatCase what;
    ask_fn *run;
    bool keep;
}; /* keep: its answer is kept */
#define ROW(what, name, keep)                                                                      \
    {                                                                                              \
        CONFLEET__REQUEST__WHAT_##what, ask_##name, keep                                           \
    }
static const struct handler handlers[] = {
    ROW(PING, ping, false),
    ROW(AGENT_LIST, agent_list, false),
    ROW(AGENT_SHOW, agent_show, false),
    ROW(AGENT_TOKEN, agent_token, false),
    ROW(AGENT_ACCEPT, agent_accept, true),
    ROW(AGENT_REVOKE, agent_revoke, true),
    ROW(SITE_LIST, site_list, false),
    ROW(SITE_SHOW, site_show, false),
    ROW(SITE_SET, site_set, true),
    ROW(CHECK, check, true),
    ROW(BACKUP_RUN, backup_run, true),
    ROW(BACKUP_VERIFY, backup_verify, true),
    ROW(BACKUP_RESTORE, backup_restore, true),
    ROW(BACKUP_LIST, backup_list, false),
    ROW(RELEASE_LIST, release_list, false),
    ROW(RELEASE_ADD, release_add, true),
    ROW(CATALOGUE_IMPORT, catalogue_import, true),
    ROW(APPLY, apply, true),
    ROW(ROLLOUT_LIST, rollout_list, false),
    ROW(ROLLOUT_SHOW, rollout_show, false),
    ROW(DECIDE, decide, true),
    ROW(LOGS, logs, false),
    ROW(AUDIT, audit, false),
    ROW(JOB, job, false),
    ROW(OPERATOR_TOKEN, operator_token, false),
    ROW(OPERATOR_LIST, operator_list, false),
    ROW(OPERATOR_REVOKE, operator_revoke, true),
    ROW(SERIAL, serial, false),
    ROW(HOLD, hold, true),
    ROW(HOLD_LIST, hold_list, false),
    ROW(APP_IMPORT, app_import, true),
    ROW(APP_LIST, app_list, false),
    ROW(WAIVE, waive, true),
    ROW(WAIVER_LIST, waiver_list, false),
    ROW(CHECK_HISTORY, check_history, false),
};
#undef ROW

static const struct handler *handler_of(Confleet__Request__WhatCase what)
{
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (handlers[i].what == what)
            return &handlers[i];
    return NULL;
}

static int answer_keep(struct ask *ask, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    wire_encode(&ask->reply->base, &bytes);
    int result = db_run(ask->store->db, err, "DELETE FROM answers WHERE at_ms<$1", "i",
                        ask->store->now_ms - ANSWERS_KEPT_MS);
    if (result == 0)
        result = db_run(ask->store->db, err,
                        "INSERT INTO answers(peer, request, at_ms, reply) VALUES($1, $2, $3, $4)",
                        "ttib", ask->who, ask->request->id, ask->store->now_ms, bytes.s, bytes.len);
    return result;
}

static int ask_tx(void *arg, struct err *err)
{
    struct ask *ask = arg;
    const struct handler *handler = handler_of(ask->request->what_case);
    if (!handler)
        return err_set(err, FAIL_INTERNAL, "request %d was admitted and has no handler",
                       (int)ask->request->what_case);
    int result = handler->run(ask, err);
    return result == 0 && handler->keep && ask->request->id[0] != '\0' ? answer_keep(ask, err)
                                                                       : result;
}

struct kept {
    struct pool *pool;
    Confleet__Reply *reply;
};

static int kept_row(void *arg, const struct db_row *row, struct err *err)
{
    struct kept *kept = arg;
    CLEANUP(str_free) struct str bytes = { 0 };
    Confleet__Frame *frame = NULL;
    size_t len = 0;
    const void *reply = db_bytes(row, 0, &len);
    /* The decoder knows whole frames: field 21, length-delimited, is a Reply. */
    uint8_t head[16] = { 0xaa, 0x01 };
    size_t used = 2, rest = len;
    for (; rest >= 0x80; rest >>= 7)
        head[used++] = (uint8_t)(rest | 0x80);
    head[used++] = (uint8_t)rest;
    str_add_bytes(&bytes, head, used);
    str_add_bytes(&bytes, reply, len);
    int result = wire_decode_frame(pool_arena(kept->pool), bytes.s, bytes.len, &frame, err);
    if (result == 0)
        kept->reply = frame->reply;
    return result;
}

static int answer_kept(struct ask *ask, bool *ret_found, struct err *err)
{
    struct kept kept = { ask->pool, NULL };
    int result = db_each(ask->store->db, kept_row, &kept, err,
                         "SELECT reply FROM answers WHERE peer=$1 AND request=$2", "tt", ask->who,
                         ask->request->id);
    if (result == 0 && kept.reply) {
        ask->reply = kept.reply;
        *ret_found = true;
    }
    return result;
}

struct refused {
    struct ask *ask;
    const struct err *why;
};

static int refused_tx(void *arg, struct err *err)
{
    struct refused *refused = arg;
    return audit_add(refused->ask->store, refused->ask->who, "request-refused", err, "%s: %s",
                     admission_request_name(refused->ask->request->what_case), refused->why->text);
}

/* Questions may be asked wrongly without a record; what would have changed something may not. */
static int ask_refuse(struct ask *ask, const struct err *why, struct err *err)
{
    struct refused refused = { ask, why };
    const struct handler *handler = handler_of(ask->request->what_case);
    bool record = why->code == FAIL_DENIED || !handler || handler->keep;
    confleet__reply__init(ask->reply);
    ask->reply->code = (uint32_t)why->code;
    ask->reply->message = pool_text(ask->pool, why->text);
    log_info("request.refused", "who=%s what=\"%s\" code=%s why=\"%s\"", ask->who,
             admission_request_name(ask->request->what_case), fail_name(why->code), why->text);
    return record ? store_tx(ask->store, refused_tx, &refused, err) : 0;
}

static void answer_send(struct ask *ask, struct session *session)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__Reply too_long = CONFLEET__REPLY__INIT;
    struct err err = { 0 };
    ask->reply->id = ask->request->id;
    frame.body_case = CONFLEET__FRAME__BODY_REPLY;
    frame.reply = ask->reply;
    int result = daemon_send(ask->daemon, session, &frame, &err);
    if (result == -FAIL_LIMIT) {
        too_long.id = ask->request->id;
        too_long.code = FAIL_LIMIT;
        too_long.message = err.text;
        frame.reply = &too_long;
        struct err second = { 0 };
        result = daemon_send(ask->daemon, session, &frame, &second);
    }
    if (result != 0)
        log_debug("link.unsent", "peer=%s why=\"%s\"; ignoring: the peer asks again", ask->who,
                  err.text);
}

static int ask_after(struct ask *ask, struct err *err)
{
    ask->daemon->keys_changed = ask->daemon->keys_changed || ask->keys_changed;
    if (ask->cut)
        log_info("peer.revoked", "id=%s", ask->cut);
    return ask->welcome ? frames_welcome(ask->daemon, ask->welcome, err) : 0;
}

int requests_on(struct daemon *daemon, struct session *session, const struct peer *peer,
                const Confleet__Request *request, struct pool *pool, struct err *err)
{
    Confleet__Reply reply = CONFLEET__REPLY__INIT;
    struct ask ask = { .daemon = daemon,
                       .store = daemon->store,
                       .pool = pool,
                       .peer = peer,
                       .request = request,
                       .reply = &reply };
    struct err why = { 0 };
    bool found = false;
    int result = 0;
    peer_label(peer, session->id, ask.who);
    if (admission_request(&peer->admission, request->what_case, &why) != 0) {
        result = ask_refuse(&ask, &why, err);
    } else {
        result = answer_kept(&ask, &found, err);
        if (result == 0 && !found) {
            if (store_tx(ask.store, ask_tx, &ask, &why) != 0) {
                ask.keys_changed = false;
                ask.welcome = ask.cut = NULL;
                result = ask_refuse(&ask, &why, err);
            } else {
                result = ask_after(&ask, err);
            }
        }
    }
    if (result == 0)
        answer_send(&ask, session);
    return result;
}
