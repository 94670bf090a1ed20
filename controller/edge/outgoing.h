/* outgoing - what was answered in this turn and has not left yet.
 *
 * Answers, acknowledgements and orders speak of what the store holds, so they wait here until the
 * commit; what cannot be committed is never sent. Nothing here survives: whoever misses an answer
 * asks again, and orders are sent until they are acknowledged. */
#pragma once
#include "confleet/link.h"
#include "confleet/str.h"

struct outgoing;
struct outgoing *outgoing_new(void);
void outgoing_free(struct outgoing **outgoing);
/* Takes the bytes over. id: for the log. */
void outgoing_add(struct outgoing *outgoing, const struct link_peer *peer, const char *id,
                  struct str *bytes);
/* The peer's connection is cut once all before this was sent. */
void outgoing_cut(struct outgoing *outgoing, const struct link_peer *peer);
size_t outgoing_bytes(const struct outgoing *outgoing);
/* After the commit. What a peer does not take is dropped: it asks again, or is sent it again. */
void outgoing_send(struct outgoing *outgoing, struct link_server *server);
