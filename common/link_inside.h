/* link_inside - what the four files of link share: the context, the key table's answer, common socket options. */
#pragma once
#include "confleet/link.h"
#include "confleet/wire.h"
#include <stdatomic.h>

#define LINK_DOMAIN_MAX 32
#define LINK_DOMAINS_MAX 8
#define LINK_HANDSHAKE_MS 3000
#define LINK_HEARTBEAT_MS 10000
#define LINK_QUEUE_MAX 128           /* frames in each direction of one connection; the outbox is the queue */
#define LINK_LINGER_MS 500
#define LINK_BACKLOG 4096            /* the default of 100 makes a fleet that reconnects wait */
/* The cap counts what is on the wire; CURVE adds 33 bytes to a frame. */
#define LINK_MESSAGE_MAX (WIRE_FRAME_MAX + 64)
/* Handshakes of one key: a burst, and how many come back per minute. An operator's command is a connection each. */
#define LINK_BURST 40
#define LINK_BURST_OPERATOR 240
/* The name under which the key check gives each connection its number. */
#define LINK_TURN "X-Turn"

void *link_context(void);                                    /* NULL before link_start() */
int link_sockets_add(int change);                            /* how many sockets live after the change */

enum link_verdict { LINK_UNKNOWN, LINK_TOO_OFTEN, LINK_KNOWN };
enum link_verdict link_key_judge(const uint8_t curve_public[KEY_SIZE], int64_t now_mono_ms, char ret_id[96]);

/* Counts of one ZAP domain; lives as long as the process. NULL when there are too many domains. */
struct link_domain { char name[LINK_DOMAIN_MAX]; atomic_ullong ok, refused; };
struct link_domain *link_domain_add(const char *name);
struct link_domain *link_domain_find(const void *name, size_t len);

/* Binds the handler before it returns; does nothing when it runs. Ends with the context. */
int link_zap_start(struct err *err) MUST_USE;
void link_zap_join(void);

int link_set(void *socket, int option, int value, struct err *err) MUST_USE;
int link_set_bytes(void *socket, int option, const void *bytes, size_t len, struct err *err) MUST_USE;
/* What both ends have in common; call before bind or connect. */
int link_set_common(void *socket, const char *endpoint, int heartbeat_ms, struct err *err) MUST_USE;
/* A socket without CURVE works just as well, silently: so it is looked at after it was set up. */
int link_check_curve(void *socket, struct err *err) MUST_USE;
