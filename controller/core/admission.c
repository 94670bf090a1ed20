#include "controller/core/admission.h"

#include "confleet/guard.h"

#include <assert.h>
#include <string.h>

#define BIT(n)   (1U << (unsigned)(n))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct frame_rule {
    Confleet__Frame__BodyCase body;
    const char *name;
    unsigned who, standing; /* bits */
    bool before_hello;
};

/* A pending agent may say that it lives and nothing more: its heartbeat keeps the connection, so
 * that it hears at once when a person accepts it. */
static const struct frame_rule frame_rules[] = {
    { CONFLEET__FRAME__BODY_HELLO, "Hello", BIT(WHO_TOKEN) | BIT(WHO_AGENT) | BIT(WHO_OPERATOR),
      BIT(STANDING_PENDING) | BIT(STANDING_ACCEPTED), true },
    { CONFLEET__FRAME__BODY_HEARTBEAT, "Heartbeat",
      BIT(WHO_TOKEN) | BIT(WHO_AGENT) | BIT(WHO_OPERATOR),
      BIT(STANDING_PENDING) | BIT(STANDING_ACCEPTED), false },
    { CONFLEET__FRAME__BODY_ENROL, "Enrol", BIT(WHO_TOKEN), BIT(STANDING_ACCEPTED), false },
    { CONFLEET__FRAME__BODY_ORDER_ACK, "OrderAck", BIT(WHO_AGENT), BIT(STANDING_ACCEPTED), false },
    { CONFLEET__FRAME__BODY_EVENT, "Event", BIT(WHO_AGENT), BIT(STANDING_ACCEPTED), false },
    { CONFLEET__FRAME__BODY_REQUEST, "Request", BIT(WHO_OPERATOR), BIT(STANDING_ACCEPTED), false },
};

struct request_rule {
    Confleet__Request__WhatCase what;
    const char *name;
    Confleet__Role least;
};

#define WHAT(x) CONFLEET__REQUEST__WHAT_##x
static const struct request_rule request_rules[] = {
    { WHAT(PING), "ping", CONFLEET__ROLE__VIEWER },
    { WHAT(AGENT_LIST), "agent list", CONFLEET__ROLE__VIEWER },
    { WHAT(AGENT_SHOW), "agent show", CONFLEET__ROLE__VIEWER },
    { WHAT(AGENT_TOKEN), "agent token", CONFLEET__ROLE__ADMIN },
    { WHAT(AGENT_ACCEPT), "agent accept", CONFLEET__ROLE__ADMIN },
    { WHAT(AGENT_REVOKE), "agent revoke", CONFLEET__ROLE__ADMIN },
    { WHAT(SITE_LIST), "site list", CONFLEET__ROLE__VIEWER },
    { WHAT(SITE_SHOW), "site show", CONFLEET__ROLE__VIEWER },
    { WHAT(SITE_SET), "site set", CONFLEET__ROLE__OPERATOR },
    { WHAT(CHECK), "check", CONFLEET__ROLE__OPERATOR },
    { WHAT(BACKUP_RUN), "backup run", CONFLEET__ROLE__OPERATOR },
    { WHAT(BACKUP_VERIFY), "backup verify", CONFLEET__ROLE__OPERATOR },
    { WHAT(BACKUP_RESTORE), "backup restore", CONFLEET__ROLE__OPERATOR },
    { WHAT(BACKUP_LIST), "backup list", CONFLEET__ROLE__VIEWER },
    { WHAT(RELEASE_LIST), "release list", CONFLEET__ROLE__VIEWER },
    { WHAT(RELEASE_ADD), "release import", CONFLEET__ROLE__OPERATOR },
    { WHAT(CATALOGUE_IMPORT), "release import", CONFLEET__ROLE__OPERATOR },
    { WHAT(APPLY), "apply", CONFLEET__ROLE__OPERATOR },
    { WHAT(ROLLOUT_LIST), "rollout list", CONFLEET__ROLE__VIEWER },
    { WHAT(ROLLOUT_SHOW), "rollout show", CONFLEET__ROLE__VIEWER },
    { WHAT(DECIDE), "decide", CONFLEET__ROLE__OPERATOR },
    { WHAT(LOGS), "logs", CONFLEET__ROLE__VIEWER },
    { WHAT(AUDIT), "audit", CONFLEET__ROLE__VIEWER },
    { WHAT(JOB), "job", CONFLEET__ROLE__VIEWER },
    { WHAT(OPERATOR_TOKEN), "operator token", CONFLEET__ROLE__ADMIN },
    { WHAT(OPERATOR_LIST), "operator list", CONFLEET__ROLE__VIEWER },
    { WHAT(OPERATOR_REVOKE), "operator revoke", CONFLEET__ROLE__ADMIN },
    { WHAT(SERIAL), "signing", CONFLEET__ROLE__OPERATOR },
    { WHAT(HOLD), "hold", CONFLEET__ROLE__OPERATOR },
    { WHAT(HOLD_LIST), "hold list", CONFLEET__ROLE__VIEWER },
    { WHAT(APP_IMPORT), "app import", CONFLEET__ROLE__OPERATOR },
    { WHAT(APP_LIST), "app list", CONFLEET__ROLE__VIEWER },
    { WHAT(WAIVE), "waive", CONFLEET__ROLE__OPERATOR },
    { WHAT(WAIVER_LIST), "waive list", CONFLEET__ROLE__VIEWER },
    { WHAT(CHECK_HISTORY), "check history", CONFLEET__ROLE__VIEWER },
};
#undef WHAT

static const char *const role_names[] = { "none", "viewer", "operator", "approver", "admin" };
static const char *const standing_names[STANDING_COUNT] = { "unknown", "pending", "accepted",
                                                            "held", "revoked" };
static const char *const who_names[WHO_COUNT] = { "nobody", "a token", "an agent", "an operator" };

/* No guards in here: finds a word in a table. */
const char *role_name(Confleet__Role role)
{
    return (unsigned)role < COUNT(role_names) ? role_names[role] : "none";
}

/* No guards in here: finds a name in a table. */
bool role_parse(const char *name, Confleet__Role *ret_role)
{
    for (unsigned i = 1; i < COUNT(role_names); i++) {
        if (strcmp(role_names[i], name) != 0)
            continue;
        *ret_role = (Confleet__Role)i;
        return true;
    }
    return false;
}

const char *standing_name(enum standing standing)
{
    assert((unsigned)standing < STANDING_COUNT);
    return standing_names[standing];
}

/* No guards in here: finds a name in a table. */
bool standing_parse(const char *name, enum standing *ret_standing)
{
    for (unsigned i = 1; i < STANDING_COUNT; i++) {
        if (strcmp(standing_names[i], name) != 0)
            continue;
        *ret_standing = (enum standing)i;
        return true;
    }
    return false;
}

/* No guards in here: words for who is refused already. */
static int standing_refuse(const struct admission_peer *peer, const char *what, struct err *err)
{
    switch (peer->standing) {
    case STANDING_REVOKED:
        return err_set(err, FAIL_DENIED, "%s refused: this key was revoked", what);
    case STANDING_HELD:
        return err_set(err, FAIL_CONFLICT,
                       "%s refused: this agent's state was seen twice, as if its server had been "
                       "cloned; it is held "
                       "until a person revokes it or accepts its fingerprint anew",
                       what);
    case STANDING_PENDING:
        return err_set(err, FAIL_DENIED,
                       "%s refused: this agent waits to be accepted (confleet agent accept)", what);
    default:
        return err_set(err, FAIL_DENIED, "%s refused: this key belongs to nobody here", what);
    }
}

int admission_frame(const struct admission_peer *peer, Confleet__Frame__BodyCase body,
                    struct err *err)
{
    assert((unsigned)peer->who < WHO_COUNT);
    assert((unsigned)peer->standing < STANDING_COUNT);
    for (size_t i = 0; i < COUNT(frame_rules); i++) {
        const struct frame_rule *rule = &frame_rules[i];
        if (rule->body != body) /* No guard: it looks for the row. */
            continue;
        if (GUARD(law10_frame_is_of_its_sender, !(rule->who & BIT(peer->who))))
            return err_set(err, FAIL_DENIED, "%s refused: not for %s to send", rule->name,
                           who_names[peer->who]);
        if (GUARD(law10_frame_is_of_who_was_accepted, !(rule->standing & BIT(peer->standing))))
            return standing_refuse(peer, rule->name, err);
        if (GUARD(law10_hello_is_heard_first, !peer->greeted) &&
            NEEDS(law10_hello_needs_no_hello, !rule->before_hello))
            return err_set(err, FAIL_PROTOCOL,
                           "%s refused: the first message of a connection is Hello", rule->name);
        return 0;
    }
    return err_set(err, FAIL_DENIED, "message %d refused: nobody may send it to a controller",
                   (int)body);
}

int admission_request(const struct admission_peer *peer, Confleet__Request__WhatCase what,
                      struct err *err)
{
    int result = admission_frame(peer, CONFLEET__FRAME__BODY_REQUEST, err);
    if (GUARD(law8_request_is_of_an_operator, result != 0))
        return result;
    for (size_t i = 0; i < COUNT(request_rules); i++) {
        if (request_rules[i].what != what) /* No guard: it looks for the row. */
            continue;
        if (NEEDS(law8_request_has_its_role, peer->role >= request_rules[i].least))
            return 0;
        return err_set(err, FAIL_DENIED, "%s refused: it needs the role %s, you have %s",
                       request_rules[i].name, role_name(request_rules[i].least),
                       role_name(peer->role));
    }
    return err_set(err, FAIL_DENIED, "request %d refused: this controller does not know it",
                   (int)what);
}

/* No guards in here: finds a name in a table. */
const char *admission_request_name(Confleet__Request__WhatCase what)
{
    for (size_t i = 0; i < COUNT(request_rules); i++)
        if (request_rules[i].what == what)
            return request_rules[i].name;
    return "unknown request";
}
