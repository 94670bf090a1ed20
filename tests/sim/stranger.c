#include "tests/sim/stranger.h"
#include "tests/sim/laws.h"

#include "controller/core/admission.h"

#define KNOCKS     8
#define NUMBER_MAX 64 /* of a message or a request; those in use are lower */

/* Its own dice: what happens to the others does not depend on who knocks. */
static unsigned roll(uint64_t *dice, unsigned below)
{
    *dice = *dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((*dice >> 33) % below);
}

/* As proto/README.md has it, in words of its own. */
static bool may_say(const struct admission_peer *peer, Confleet__Frame__BodyCase body)
{
    bool hello = body == CONFLEET__FRAME__BODY_HELLO, beat = body == CONFLEET__FRAME__BODY_HEARTBEAT;
    bool known = peer->who == WHO_TOKEN || peer->who == WHO_AGENT || peer->who == WHO_OPERATOR;
    if (!known || (!hello && !peer->greeted))
        return false;
    if (peer->standing == STANDING_PENDING)
        return hello || beat;
    if (peer->standing != STANDING_ACCEPTED)
        return false;
    return hello || beat || (peer->who == WHO_TOKEN && body == CONFLEET__FRAME__BODY_ENROL) ||
           (peer->who == WHO_AGENT &&
            (body == CONFLEET__FRAME__BODY_ORDER_ACK || body == CONFLEET__FRAME__BODY_EVENT)) ||
           (peer->who == WHO_OPERATOR && body == CONFLEET__FRAME__BODY_REQUEST);
}

/* Who only looks changes nothing; who can say who belongs to the fleet can do everything. */
static const Confleet__Request__WhatCase looks[] = {
    CONFLEET__REQUEST__WHAT_PING,          CONFLEET__REQUEST__WHAT_AGENT_LIST,   CONFLEET__REQUEST__WHAT_AGENT_SHOW,
    CONFLEET__REQUEST__WHAT_SITE_LIST,     CONFLEET__REQUEST__WHAT_SITE_SHOW,    CONFLEET__REQUEST__WHAT_BACKUP_LIST,
    CONFLEET__REQUEST__WHAT_ROLLOUT_LIST,  CONFLEET__REQUEST__WHAT_ROLLOUT_SHOW, CONFLEET__REQUEST__WHAT_LOGS,
    CONFLEET__REQUEST__WHAT_AUDIT,         CONFLEET__REQUEST__WHAT_HOLD_LIST,    CONFLEET__REQUEST__WHAT_APP_LIST,
    CONFLEET__REQUEST__WHAT_OPERATOR_LIST, CONFLEET__REQUEST__WHAT_WAIVER_LIST,  CONFLEET__REQUEST__WHAT_CHECK_HISTORY,
    CONFLEET__REQUEST__WHAT_RELEASE_LIST,  CONFLEET__REQUEST__WHAT_JOB,
};
static const Confleet__Request__WhatCase belongs[] = {
    CONFLEET__REQUEST__WHAT_AGENT_TOKEN,    CONFLEET__REQUEST__WHAT_AGENT_ACCEPT,    CONFLEET__REQUEST__WHAT_AGENT_REVOKE,
    CONFLEET__REQUEST__WHAT_OPERATOR_TOKEN, CONFLEET__REQUEST__WHAT_OPERATOR_REVOKE,
};

static bool is_one_of(const Confleet__Request__WhatCase *list, size_t count, Confleet__Request__WhatCase what)
{
    bool is = false;
    for (size_t i = 0; i < count; i++)
        is |= list[i] == what;
    return is;
}

static bool may_be_too_much(const struct admission_peer *peer, Confleet__Request__WhatCase what)
{
    if (is_one_of(belongs, sizeof belongs / sizeof belongs[0], what))
        return peer->role < CONFLEET__ROLE__ADMIN;
    if (is_one_of(looks, sizeof looks / sizeof looks[0], what))
        return peer->role < CONFLEET__ROLE__VIEWER;
    return peer->role < CONFLEET__ROLE__OPERATOR;
}

void stranger_knocks(struct world *world)
{
    uint64_t dice = world->seed * 0x9e3779b97f4a7c15u + (uint64_t)world->now_ms;
    for (int i = 0; i < KNOCKS && !world->broken; i++) {
        struct admission_peer peer = { .who = (enum who)roll(&dice, WHO_COUNT),
                                       .standing = (enum standing)roll(&dice, STANDING_COUNT),
                                       .greeted = roll(&dice, 2),
                                       .role = (Confleet__Role)roll(&dice, 5) };
        Confleet__Frame__BodyCase body = (Confleet__Frame__BodyCase)roll(&dice, NUMBER_MAX);
        struct err err = { 0 };
        if (roll(&dice, 2)) { /* one that would be let in but for its role */
            peer = (struct admission_peer){ WHO_OPERATOR, STANDING_ACCEPTED, true, peer.role };
            body = CONFLEET__FRAME__BODY_REQUEST;
        }
        bool in = admission_frame(&peer, body, &err) == 0;
        if (in != may_say(&peer, body))
            laws_broken(world, 0, "law 10: message %d of peer %d in standing %d %s", (int)body, (int)peer.who,
                        (int)peer.standing, in ? "is let in" : "is refused");
        Confleet__Request__WhatCase what = (Confleet__Request__WhatCase)roll(&dice, NUMBER_MAX);
        err_clear(&err);
        in = admission_request(&peer, what, &err) == 0;
        if (in && (!may_say(&peer, CONFLEET__FRAME__BODY_REQUEST) || may_be_too_much(&peer, what)))
            laws_broken(world, 0, "law 8: request %d of peer %d with role %d is let in", (int)what, (int)peer.who,
                        (int)peer.role);
    }
}
