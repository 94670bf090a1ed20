/* json - protobuf messages and small objects as JSON text. Writing only; reading is jansson's.
 *
 * Rules: lowerCamel names, 64-bit integers as text, enums by name, bytes as lower-case hex, empty and zero fields left out unless
 * `full`. Only view messages are printed, never wire messages that may hold secrets. */
#pragma once
#include "confleet/str.h"
#include <protobuf-c/protobuf-c.h>

void json_message(struct str *out, const ProtobufCMessage *message, bool full);
void json_text(struct str *out, const char *text);       /* quoted and escaped */
