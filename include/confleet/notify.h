/* notify - tells the service manager how this process is: one datagram to the socket named by
 * NOTIFY_SOCKET.
 *
 * systemd's protocol without its library. Where no service manager asks, nothing is sent and that
 * is success. */
#pragma once
#include "confleet/err.h"

/* text: "READY=1", "STOPPING=1". FAIL_IO when somebody asked and could not be told. */
int notify_send(const char *text, struct err *err) MUST_USE;
