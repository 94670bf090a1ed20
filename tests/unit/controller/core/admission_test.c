#include "controller/core/admission.h"
#include "harness/test.h"

static struct admission_peer peer(enum who who, enum standing standing, bool greeted,
                                  Confleet__Role role)
{
    return (struct admission_peer){ who, standing, greeted, role };
}

/* What the table must say, written down a second time in another form: true for the few that are
 * let in. */
static bool expected(const struct admission_peer *p, int body)
{
    bool member = p->who == WHO_TOKEN || p->who == WHO_AGENT || p->who == WHO_OPERATOR;
    bool in_force = p->standing == STANDING_PENDING || p->standing == STANDING_ACCEPTED;
    switch (body) {
    case CONFLEET__FRAME__BODY_HELLO:
        return member && in_force;
    case CONFLEET__FRAME__BODY_HEARTBEAT:
        return member && in_force && p->greeted;
    case CONFLEET__FRAME__BODY_ENROL:
        return p->who == WHO_TOKEN && p->standing == STANDING_ACCEPTED && p->greeted;
    case CONFLEET__FRAME__BODY_ORDER_ACK:
    case CONFLEET__FRAME__BODY_EVENT:
        return p->who == WHO_AGENT && p->standing == STANDING_ACCEPTED && p->greeted;
    case CONFLEET__FRAME__BODY_REQUEST:
        return p->who == WHO_OPERATOR && p->standing == STANDING_ACCEPTED && p->greeted;
    default:
        return false;
    }
}

TEST(every_frame_type_of_every_peer_in_every_state_is_as_written_down)
{
    int admitted = 0;
    for (int body = 0; body < 64; body++)
        for (int who = 0; who < WHO_COUNT; who++)
            for (int standing = 0; standing < STANDING_COUNT; standing++)
                for (int greeted = 0; greeted < 2; greeted++) {
                    struct err err = { 0 };
                    struct admission_peer p = peer((enum who)who, (enum standing)standing, greeted,
                                                   CONFLEET__ROLE__ADMIN);
                    int result = admission_frame(&p, (Confleet__Frame__BodyCase)body, &err);
                    CHECK_INT(result == 0, expected(&p, body));
                    CHECK_INT(result != 0, err.text[0] != '\0');
                    admitted += result == 0;
                }
    CHECK_INT(admitted, 3 * 2 * 2 + 3 * 2 + 1 + 2 + 1);
}

TEST(every_frame_of_the_protocol_was_looked_at)
{
    /* A new kind of frame must be thought about here before it is let in. */
    CHECK_INT(confleet__frame__descriptor.n_fields, 12);
    CHECK_INT(confleet__request__descriptor.n_fields, 3 + 35);
}

/* One letter per request kind: the least role that may ask. */
static char least_role(int what)
{
    for (int role = CONFLEET__ROLE__ROLE_NONE; role <= CONFLEET__ROLE__ADMIN; role++) {
        struct err err = { 0 };
        struct admission_peer p = peer(WHO_OPERATOR, STANDING_ACCEPTED, true, (Confleet__Role)role);
        if (admission_request(&p, (Confleet__Request__WhatCase)what, &err) == 0)
            return "-voA*"[role == CONFLEET__ROLE__ADMIN ? 4 : role];
    }
    return '.';
}

TEST(each_request_needs_the_role_that_was_written_down)
{
    char got[64] = "";
    for (int what = 0; what < 60; what++)
        got[what] = least_role(what);
    /* 10 ping, agent list, show, token, accept, revoke, 16 site list, show, set, check, 20 backup
     * run, verify, list, release list, add, apply, rollout list, show, decide, logs, 30 audit, job,
     * operator token, list, revoke, serial, hold, hold list, waive, waiver list, 40 check history,
     * import into the catalogue, 51 app import, list, 54 backup restore */
    CHECK_STR(got, "..........vvv***vvooo"
                   "ovvoovvovvv*v*oovovvo"
                   ".........ov.o.....");
}

TEST(a_higher_role_may_all_that_a_lower_one_may)
{
    for (int what = 0; what < 64; what++) {
        bool before = false;
        for (int role = CONFLEET__ROLE__ROLE_NONE; role <= CONFLEET__ROLE__ADMIN; role++) {
            struct err err = { 0 };
            struct admission_peer p =
                peer(WHO_OPERATOR, STANDING_ACCEPTED, true, (Confleet__Role)role);
            bool now = admission_request(&p, (Confleet__Request__WhatCase)what, &err) == 0;
            CHECK(now || !before);
            before = now;
        }
    }
}

TEST(no_role_helps_an_agent_or_a_revoked_operator_to_ask)
{
    struct err err = { 0 };
    struct admission_peer agent = peer(WHO_AGENT, STANDING_ACCEPTED, true, CONFLEET__ROLE__ADMIN);
    CHECK_INT(admission_request(&agent, CONFLEET__REQUEST__WHAT_PING, &err), -FAIL_DENIED);
    err_clear(&err);
    struct admission_peer revoked =
        peer(WHO_OPERATOR, STANDING_REVOKED, true, CONFLEET__ROLE__ADMIN);
    CHECK_INT(admission_request(&revoked, CONFLEET__REQUEST__WHAT_PING, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "revoked");
}

TEST(refusals_say_what_would_have_to_be_different)
{
    struct err err = { 0 };
    struct admission_peer viewer =
        peer(WHO_OPERATOR, STANDING_ACCEPTED, true, CONFLEET__ROLE__VIEWER);
    CHECK_INT(admission_request(&viewer, CONFLEET__REQUEST__WHAT_APPLY, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "apply refused: it needs the role operator, you have viewer");
    err_clear(&err);
    struct admission_peer early =
        peer(WHO_AGENT, STANDING_ACCEPTED, false, CONFLEET__ROLE__ROLE_NONE);
    CHECK_INT(admission_frame(&early, CONFLEET__FRAME__BODY_EVENT, &err), -FAIL_PROTOCOL);
    CHECK_HAS(err.text, "Hello");
    err_clear(&err);
    struct admission_peer pending =
        peer(WHO_AGENT, STANDING_PENDING, true, CONFLEET__ROLE__ROLE_NONE);
    CHECK_INT(admission_frame(&pending, CONFLEET__FRAME__BODY_EVENT, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "confleet agent accept");
    err_clear(&err);
    struct admission_peer held = peer(WHO_AGENT, STANDING_HELD, true, CONFLEET__ROLE__ROLE_NONE);
    CHECK_INT(admission_frame(&held, CONFLEET__FRAME__BODY_HELLO, &err), -FAIL_CONFLICT);
    CHECK_HAS(err.text, "cloned");
}

TEST(names_of_roles_and_standings_read_back_as_themselves)
{
    Confleet__Role role = CONFLEET__ROLE__ROLE_NONE;
    for (int i = CONFLEET__ROLE__VIEWER; i <= CONFLEET__ROLE__ADMIN; i++) {
        CHECK(role_parse(role_name((Confleet__Role)i), &role));
        CHECK_INT(role, i);
    }
    CHECK(!role_parse("none", &role));
    CHECK(!role_parse("root", &role));
    CHECK_STR(role_name((Confleet__Role)99), "none");
    enum standing standing = STANDING_UNKNOWN;
    for (int i = STANDING_PENDING; i < STANDING_COUNT; i++) {
        CHECK(standing_parse(standing_name((enum standing)i), &standing));
        CHECK_INT(standing, i);
    }
    CHECK(!standing_parse("unknown", &standing));
    CHECK_STR(admission_request_name(CONFLEET__REQUEST__WHAT_APPLY), "apply");
    CHECK_STR(admission_request_name((Confleet__Request__WhatCase)99), "unknown request");
}
