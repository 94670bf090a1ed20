/* admission - says which frames and which requests are let in, from whom, in which state, with
 * which role.
 *
 * One table per kind of message; what is in no row is refused (default deny), so a message type
 * that is added to the protocol is closed until somebody writes its row. Knows nothing of keys or
 * connections: who the peer is was decided by the key of its connection. Invariant: a peer that is
 * revoked or held is let in by no row. */
#pragma once
#include "confleet.pb-c.h"
#include "confleet/err.h"

enum who { WHO_NOBODY, WHO_TOKEN, WHO_AGENT, WHO_OPERATOR, WHO_COUNT };
enum standing {
    STANDING_UNKNOWN,
    STANDING_PENDING,
    STANDING_ACCEPTED,
    STANDING_HELD, /* two machines showed the same agent's state: a person must look */
    STANDING_REVOKED,
    STANDING_COUNT
};

struct admission_peer {
    enum who who;
    enum standing standing;
    bool greeted;        /* a Hello of our protocol came over this connection */
    Confleet__Role role; /* operators only */
};

/* 0, or -FAIL_DENIED, or -FAIL_PROTOCOL for what comes before Hello; the text says which rule. */
int admission_frame(const struct admission_peer *peer, Confleet__Frame__BodyCase body,
                    struct err *err) MUST_USE;
int admission_request(const struct admission_peer *peer, Confleet__Request__WhatCase what,
                      struct err *err) MUST_USE;
const char *admission_request_name(Confleet__Request__WhatCase what); /* "unknown request" */
const char *role_name(Confleet__Role role);                           /* "none" for no role */
bool role_parse(const char *name, Confleet__Role *ret_role);
const char *standing_name(enum standing standing);
bool standing_parse(const char *name, enum standing *ret_standing);
