#include "controller/edge/outgoing.h"

#include "confleet/cleanup.h"
#include "confleet/log.h"
#include <stdlib.h>

struct leaving {
    struct leaving *next;
    struct link_peer peer;
    char id[sizeof((struct link_in *)0)->id];
    struct str bytes;
    bool cut;
};

struct outgoing {
    struct leaving *first, **end;
    size_t bytes;
};

struct outgoing *outgoing_new(void)
{
    struct outgoing *outgoing = mem_zero(1, sizeof *outgoing);
    outgoing->end = &outgoing->first;
    return outgoing;
}

static struct leaving *take_first(struct outgoing *outgoing)
{
    struct leaving *item = outgoing->first;
    if (!item)
        return NULL;
    outgoing->first = item->next;
    if (!outgoing->first)
        outgoing->end = &outgoing->first;
    outgoing->bytes -= item->bytes.len;
    return item;
}

static void leaving_free(struct leaving **item)
{
    if (!*item)
        return;
    str_free(&(*item)->bytes);
    free(*item);
    *item = NULL;
}

void outgoing_free(struct outgoing **outgoing)
{
    if (!*outgoing)
        return;
    for (;;) {
        CLEANUP(leaving_free) struct leaving *item = take_first(*outgoing);
        if (!item)
            break;
    }
    free(*outgoing);
    *outgoing = NULL;
}

static struct leaving *add(struct outgoing *outgoing, const struct link_peer *peer)
{
    struct leaving *item = mem_zero(1, sizeof *item);
    item->peer = *peer;
    *outgoing->end = item;
    outgoing->end = &item->next;
    return item;
}

void outgoing_add(struct outgoing *outgoing, const struct link_peer *peer, const char *id,
                  struct str *bytes)
{
    struct leaving *item = add(outgoing, peer);
    (void)snprintf(item->id, sizeof item->id, "%s", id);
    item->bytes = *bytes;
    *bytes = (struct str){ 0 };
    outgoing->bytes += item->bytes.len;
}

void outgoing_cut(struct outgoing *outgoing, const struct link_peer *peer)
{
    add(outgoing, peer)->cut = true;
}

size_t outgoing_bytes(const struct outgoing *outgoing)
{
    return outgoing->bytes;
}

void outgoing_send(struct outgoing *outgoing, struct link_server *server)
{
    for (;;) {
        CLEANUP(leaving_free) struct leaving *item = take_first(outgoing);
        struct err err = { 0 };
        if (!item)
            return;
        if (item->cut)
            link_server_cut(server, &item->peer);
        else if (link_server_send(server, &item->peer, item->bytes.s, item->bytes.len, &err) != 0)
            log_debug("link.unsent", "peer=%s why=\"%s\"; ignoring: it is sent or asked for again",
                      item->id, err.text);
    }
}
