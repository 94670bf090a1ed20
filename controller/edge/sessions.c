#include "controller/edge/sessions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096U

struct sessions {
    struct session *routes[BUCKETS], *names[BUCKETS];
    size_t count;
};

static size_t bucket_of(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 16777619U;
    return hash % BUCKETS;
}

struct sessions *sessions_new(void)
{
    return mem_zero(1, sizeof(struct sessions));
}

static void session_unname(struct sessions *sessions, struct session *session)
{
    if (session->name[0] == '\0')
        return;
    struct session **at = &sessions->names[bucket_of(session->name, strlen(session->name))];
    while (*at && *at != session)
        at = &(*at)->next_name;
    assert(*at);
    *at = session->next_name;
    session->name[0] = '\0';
    session->next_name = NULL;
}

void sessions_drop(struct sessions *sessions, struct session *session)
{
    struct session **at =
        &sessions->routes[bucket_of(session->peer.route, session->peer.route_len)];
    session_unname(sessions, session);
    while (*at && *at != session)
        at = &(*at)->next_route;
    assert(*at);
    *at = session->next_route;
    sessions->count--;
    free(session);
}

void sessions_free(struct sessions **sessions)
{
    if (!*sessions)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while ((*sessions)->routes[i])
            sessions_drop(*sessions, (*sessions)->routes[i]);
    free(*sessions);
    *sessions = NULL;
}

static void sessions_make_room(struct sessions *sessions)
{
    struct session *oldest = NULL;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct session *s = sessions->routes[i]; s; s = s->next_route)
            if (!oldest || s->seen_ms < oldest->seen_ms)
                oldest = s;
    if (oldest)
        sessions_drop(sessions, oldest);
}

struct session *sessions_take(struct sessions *sessions, const struct link_peer *peer,
                              const char *id, int64_t now_ms)
{
    size_t bucket = bucket_of(peer->route, peer->route_len);
    struct session *session = sessions->routes[bucket];
    while (session && (session->peer.route_len != peer->route_len ||
                       memcmp(session->peer.route, peer->route, peer->route_len) != 0))
        session = session->next_route;
    if (session && strcmp(session->id, id) != 0) {
        sessions_drop(sessions, session);
        session = NULL;
    }
    if (!session) {
        if (sessions->count == SESSIONS_MAX)
            sessions_make_room(sessions);
        session = mem_zero(1, sizeof *session);
        (void)snprintf(session->id, sizeof session->id, "%s", id);
        session->peer = *peer;
        session->next_route = sessions->routes[bucket];
        sessions->routes[bucket] = session;
        sessions->count++;
    }
    session->peer.fd = peer->fd;
    session->seen_ms = now_ms;
    return session;
}

void sessions_name(struct sessions *sessions, struct session *session, const char *name)
{
    size_t bucket = bucket_of(name, strlen(name));
    assert(name[0] != '\0');
    session_unname(sessions, session);
    (void)snprintf(session->name, sizeof session->name, "%s", name);
    session->next_name = sessions->names[bucket];
    sessions->names[bucket] = session;
}

struct session *sessions_agent(const struct sessions *sessions, const char *name)
{
    struct session *session = sessions->names[bucket_of(name, strlen(name))];
    while (session && (strcmp(session->name, name) != 0 || !session->greeted))
        session = session->next_name;
    return session;
}

bool sessions_replaced(const struct sessions *sessions, const struct session *session,
                       const char *name)
{
    const struct session *newest = sessions_agent(sessions, name);
    return newest && newest->turn > session->turn && strcmp(newest->id, session->id) == 0;
}

static void sessions_drop_if(struct sessions *sessions,
                             bool (*match)(const struct session *, const void *), const void *arg)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct session *session = sessions->routes[i];
        while (session) {
            struct session *next = session->next_route;
            if (match(session, arg))
                sessions_drop(sessions, session);
            session = next;
        }
    }
}

static bool id_starts(const struct session *session, const void *start)
{
    return strncmp(session->id, start, strlen(start)) == 0;
}

void sessions_drop_id(struct sessions *sessions, const char *id_start)
{
    sessions_drop_if(sessions, id_starts, id_start);
}

static bool is_old(const struct session *session, const void *before)
{
    return session->seen_ms < *(const int64_t *)before;
}

void sessions_expire(struct sessions *sessions, int64_t seen_before_ms)
{
    sessions_drop_if(sessions, is_old, &seen_before_ms);
}

void sessions_clock_set(struct sessions *sessions, int64_t now_ms)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct session *s = sessions->routes[i]; s; s = s->next_route)
            s->seen_ms = s->seen_ms > now_ms ? now_ms : s->seen_ms;
}

size_t sessions_count(const struct sessions *sessions)
{
    return sessions->count;
}
