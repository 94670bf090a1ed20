/* intake - frames that were received and wait for their turn, those of operators in a line of
 * their own.
 *
 * A ROUTER hands out one frame of each peer in turn: behind a thousand busy agents a person would
 * wait for a thousand commits, once for his Hello and once for his question. So frames are taken in
 * ahead, which costs little, and handled from two lines. Within a line, and so for each peer, the
 * order is that of arrival. Bounded: what does not fit waits at the socket. */
#pragma once
#include "confleet/link.h"

#define INTAKE_FRAMES_MAX 4096
#define INTAKE_BYTES_MAX  ((size_t)32 * 1024 * 1024)

enum intake_line { INTAKE_OPERATORS, INTAKE_OTHERS, INTAKE_LINES };

/* One frame; in its own memory, since a message of libzmq must not be moved. */
struct waiting {
    struct waiting *next;
    struct link_in in;
};

struct intake;
struct intake *intake_new(void);
void intake_free(struct intake **intake);
/* Takes in what waits at the socket, as far as there is room. */
int intake_fill(struct intake *intake, struct link_server *server, struct err *err) MUST_USE;
/* The oldest frame of the line, given back with waiting_free(); NULL: none waits. */
struct waiting *intake_next(struct intake *intake, enum intake_line line);
void waiting_free(struct waiting **waiting);
size_t intake_count(const struct intake *intake);
