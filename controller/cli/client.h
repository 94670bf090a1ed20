/* client - one operator's connection to the controller: a request goes out, its reply comes back.
 *
 * After a cut connection the same request is sent again with the same id, which the controller
 * answers at most once by effect. Holds the operator's keys; they leave this unit only to sign. */
#pragma once
#include "confleet/err.h"
#include "confleet/keys.h"
#include "confleet/wire.h"

#define CLIENT_TIMEOUT_MS 20000 /* until a reply must be here */

struct client;
struct joined;
struct answer {
    struct arena *arena;
    const Confleet__Reply *reply;
    struct joined *joined; /* of several pages; NULL: of one */
};
void answer_free(struct answer *answer);

/* dir: the folder with operator.key and controller. */
int client_open(const char *dir, struct client **ret, struct err *err) MUST_USE;
void client_close(struct client **client);
const struct keys *client_keys(const struct client *client);
const struct join *client_join(const struct client *client);
/* request->id is set here. A reply with a code is an error with the controller's words. */
int client_call(struct client *client, Confleet__Request *request, int64_t timeout_ms,
                struct answer *ret, struct err *err) MUST_USE;

/* Enrolment: connects with the token's own key. */
struct enrolled {
    char name[64], state[32], fingerprint[64], fleet[64];
    Confleet__Role role;
};
int client_enrol(const struct join *join, const struct keys *keys, int64_t timeout_ms,
                 struct enrolled *ret, struct err *err) MUST_USE;

/* The same; a list that comes in pages is asked for until its end, and is one answer. Between two
 * pages the fleet may move on. */
int client_call_all(struct client *client, Confleet__Request *request, int64_t timeout_ms,
                    struct answer *ret, struct err *err) MUST_USE;
void joined_free(struct joined **joined);

/* For commands: opens the client of this run when it is the first request. */
struct cli;
int ask(struct cli *cli, Confleet__Request *request, struct answer *ret, struct err *err) MUST_USE;
int ask_nothing(struct cli *cli, Confleet__Request__WhatCase what, struct answer *ret,
                struct err *err) MUST_USE;
int ask_name(struct cli *cli, Confleet__Request__WhatCase what, const char *name,
             struct answer *ret, struct err *err) MUST_USE;
int ask_client(struct cli *cli, struct client **ret_borrowed, struct err *err) MUST_USE;
