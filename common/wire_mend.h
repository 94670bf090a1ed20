/* wire_mend - makes of a message of ours what a receiver will take: text of the world (file names, output of programs) need
 * not be UTF-8 and has any length, and a report that is refused for it would be lost.
 *
 * Bytes that are no UTF-8 and control characters in names become '?', text is cut to its limit, lists to their count.
 * Digests, keys, enum values and missing fields are left alone: there is nothing true to put in their place. */
#pragma once
#include <protobuf-c/protobuf-c.h>

/* Changes the message in place: only for a copy that nobody else looks at. */
void wire_mend(ProtobufCMessage *message);
