#include "controller/edge/daemon.h"

#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "confleet/log.h"
#include "controller/edge/audit.h"
#include "controller/edge/frames.h"
#include "controller/edge/orders.h"
#include "controller/edge/setup.h"
#include "controller/edge/store_jobs.h"
#include "controller/edge/store_outbox.h"
#include "controller/edge/store_plans.h"
#include "controller/edge/store_rollouts.h"
#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* One commit holds at most so much; then the other socket and the clock get their turn. Operators
 * come first, and with a share that leaves the agents theirs. */
#define FRAMES_A_TURN          256
#define OPERATOR_FRAMES_A_TURN 64
#define TURN_MS                100
#define OPERATOR_TURN_MS       50
#define OUTGOING_BYTES_MAX     ((size_t)8 * 1024 * 1024)
#define TICK_MS                1000
#define SWEEP_MS               60000
#define DOOR_RECORDS_MAX                                                                           \
    20 /* refused handshakes, then once a minute: strangers must not fill log and audit */
#define JUMP_MS              5000
#define SILENCE_DEFAULT_MS   (10LL * 60 * 1000)
#define ARTIFACT_DEFAULT_MAX (8ULL << 30)

static int keys_publish(struct daemon *daemon, struct err *err)
{
    CLEANUP(free_mem) struct link_key *keys = NULL;
    size_t count = 0;
    int result = peers_keys(daemon->store, &keys, &count, err);
    if (result != 0)
        return result;
    link_keys_set(keys, count);
    daemon->keys_changed = false;
    return 0;
}

bool daemon_online(const struct daemon *daemon, const char *agent)
{
    const struct session *session = sessions_agent(daemon->sessions, agent);
    return session && daemon->store->now_ms - session->seen_ms < 3LL * daemon->options.heartbeat_ms;
}

int64_t daemon_seen_ms(const struct daemon *daemon, const char *agent, int64_t stored_ms)
{
    const struct session *session = sessions_agent(daemon->sessions, agent);
    return session && session->seen_ms > stored_ms ? session->seen_ms : stored_ms;
}

static void options_default(struct daemon_options *options)
{
    if (options->peers_max == 0)
        options->peers_max = 1024;
    if (options->heartbeat_ms == 0)
        options->heartbeat_ms = 10000;
    if (options->order_ms == 0)
        options->order_ms = SILENCE_DEFAULT_MS;
    if (options->silence_ms == 0)
        options->silence_ms = SILENCE_DEFAULT_MS;
    if (options->artifact_bytes_max == 0)
        options->artifact_bytes_max = ARTIFACT_DEFAULT_MAX;
}

static int start_tx(void *arg, struct err *err)
{
    struct daemon *daemon = arg;
    int result = store_epoch_raise(daemon->store, err);
    /* Nothing is known of what is under way: all that waits is sent again. */
    if (result == 0)
        result =
            db_run(daemon->store->db, err, "UPDATE orders SET sent_ms=0 WHERE state='pending'", "");
    if (result == 0)
        result = audit_add(daemon->store, "controller", "start", err, "version %s, epoch %" PRIu64,
                           CONFLEET_VERSION, daemon->store->epoch);
    return result;
}

static int daemon_state(struct daemon *daemon, struct err *err)
{
    CLEANUP(free_mem) char *key = fs_join(daemon->options.state_dir, STATE_KEY);
    CLEANUP(free_mem) char *path = fs_join(daemon->options.state_dir, STATE_STORE);
    daemon->artifacts_dir = fs_join(daemon->options.state_dir, STATE_ARTIFACTS);
    if (!fs_exists(path))
        return err_set(err, FAIL_NOT_FOUND,
                       "%s does not exist; make a controller first: confleet-controller init",
                       path);
    int result = keys_load(key, &daemon->keys, err);
    if (result == 0)
        result = store_open(path, NULL, &daemon->store, err);
    if (result != 0)
        return result;
    daemon->store->now_ms = daemon->started_ms = clock_wall_ms();
    result = messenger_open(daemon->store, daemon->options.notify, &daemon->messenger, err);
    if (result == 0)
        result = bulk_store_open(daemon->artifacts_dir, &daemon->artifacts, err);
    return result == 0 ? keys_publish(daemon, err) : result;
}

/* What peers dial is mostly a name; what can be bound is an address of this machine. A name stands
 * for all of them. */
static char *endpoint_bound(const char *dialled)
{
    char host[256] = "";
    struct in_addr address;
    const char *start = strstr(dialled, "://"), *colon = strrchr(dialled, ':');
    size_t len = start && colon > start + 2 ? (size_t)(colon - start - 3) : 0;
    if (len == 0 || len >= sizeof host)
        return text_dup(dialled);
    memcpy(host, start + 3, len);
    if (host[0] == '[' || strcmp(host, "*") == 0 || inet_pton(AF_INET, host, &address) == 1)
        return text_dup(dialled);
    return text_printf("tcp://0.0.0.0%s", colon);
}

struct socket_spec {
    const char *given, *meta;
    struct link_server **server;
};

static int socket_open(struct daemon *daemon, const struct socket_spec *spec, struct err *err)
{
    CLEANUP(free_mem) char *kept = NULL;
    int result = store_meta_get(daemon->store, spec->meta, &kept, err);
    if (result != 0)
        return result;
    if (!spec->given && !kept)
        return err_set(err, FAIL_NOT_FOUND, "no %s endpoint: give --%s", spec->meta, spec->meta);
    CLEANUP(free_mem) char *bound = spec->given ? text_dup(spec->given) : endpoint_bound(kept);
    struct link_server_options options = {
        .endpoint = bound,
        .keys = &daemon->keys,
        .domain = spec->meta,
        .peers_max = daemon->options.peers_max,
        .heartbeat_ms = daemon->options.heartbeat_ms,
    };
    result = link_server_open(&options, spec->server, err);
    return result == 0
               ? 0
               : err_wrap(
                     err,
                     "%s endpoint %s (what to bind is given with --%s, such as tcp://0.0.0.0:9310)",
                     spec->meta, bound, spec->meta);
}

static int ports_write(const struct daemon *daemon, struct err *err)
{
    CLEANUP(str_free) struct str text = { 0 };
    if (!daemon->options.port_file)
        return 0;
    str_addf(&text, "control %s\nbulk %s\n", link_server_endpoint(daemon->control),
             link_server_endpoint(daemon->bulk));
    return fs_write(daemon->options.port_file, text.s, text.len, 0644, err);
}

int daemon_open(const struct daemon_options *options, struct daemon **ret, struct err *err)
{
    CLEANUP(daemon_close) struct daemon *daemon = mem_zero(1, sizeof *daemon);
    daemon->options = *options;
    options_default(&daemon->options);
    daemon->intake = intake_new();
    daemon->outgoing = outgoing_new();
    daemon->sessions = sessions_new();
    daemon->progress = progress_new();
    struct socket_spec control = { options->control, "control", &daemon->control };
    struct socket_spec bulk = { options->bulk, "bulk", &daemon->bulk };
    int result = daemon_state(daemon, err);
    if (result == 0)
        result = socket_open(daemon, &control, err);
    if (result == 0)
        result = socket_open(daemon, &bulk, err);
    /* Only one that can be reached takes the place of the one before. */
    if (result == 0)
        result = store_tx(daemon->store, start_tx, daemon, err);
    if (result == 0)
        result = ports_write(daemon, err);
    if (result != 0)
        return result;
    daemon->doormen[0] = (struct doorman){ .name = "control", .server = daemon->control };
    daemon->doormen[1] = (struct doorman){ .name = "bulk", .server = daemon->bulk };
    log_info("controller.ready", "control=%s bulk=%s fleet=%s epoch=%" PRIu64,
             link_server_endpoint(daemon->control), link_server_endpoint(daemon->bulk),
             daemon->store->fleet, daemon->store->epoch);
    *ret = TAKE(daemon);
    return 0;
}

void daemon_close(struct daemon **daemon)
{
    struct daemon *d = *daemon;
    if (!d)
        return;
    intake_free(&d->intake);
    outgoing_free(&d->outgoing);
    link_server_close(&d->bulk);
    link_server_close(&d->control);
    bulk_store_close(&d->artifacts);
    sessions_free(&d->sessions);
    progress_free(&d->progress);
    messenger_close(&d->messenger);
    store_close(&d->store);
    keys_wipe(&d->keys);
    free(d->artifacts_dir);
    free(d);
    *daemon = NULL;
}

static int rollout_tick(struct daemon *daemon, const char *id, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct rollout_event event = { .kind = ROLLOUT_TICK, .now_ms = daemon->store->now_ms };
    struct rollout_case *c = NULL;
    int result = rollout_load(daemon->store, &pool, id, &c, err);
    if (result != 0 || !c)
        return result;
    int64_t silence_ms = c->plan->silence_ms > 0 ? c->plan->silence_ms : daemon->options.silence_ms;
    c->core.limits = (struct rollout_limits){ daemon->options.order_ms, silence_ms };
    for (size_t i = 0; i < c->core.site_count; i++) {
        struct rollout_site *site = &c->core.sites[i];
        int64_t heard_ms = daemon_seen_ms(daemon, c->rows[i].agent, daemon->started_ms);
        /* Of before the clock was set back: kept, or it would count again once that hour is reached. */
        if (site->ordered_ms > event.now_ms) {
            site->ordered_ms = site->heard_ms = daemon->started_ms;
            c->rows[i].changed = true;
        }
        site->heard_ms = heard_ms > site->heard_ms ? heard_ms : site->heard_ms;
        /* An order that could not be sent while we were down has not been waited for. */
        if (site->ordered_ms != 0 && site->ordered_ms < daemon->started_ms)
            site->ordered_ms = daemon->started_ms;
    }
    return rollout_feed(daemon->store, c, &event, "controller", err);
}

static int tick_tx(void *arg, struct err *err)
{
    CLEANUP(pool_free) struct pool pool = { 0 };
    struct daemon *daemon = arg;
    const char **ids = NULL;
    size_t count = 0;
    int64_t since_ms = daemon->store->now_ms - daemon->options.order_ms;
    int result = rollouts_running(daemon->store, &pool, &ids, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = rollout_tick(daemon, ids[i], err);
    if (result == 0 && since_ms > daemon->started_ms)
        result = jobs_expire(daemon->store, since_ms, err);
    if (result == 0)
        result = jobs_overdue(daemon->store, err);
    return result;
}

static int sweep_tx(void *arg, struct err *err)
{
    struct daemon *daemon = arg;
    int64_t removed = 0;
    int result = tokens_expire(daemon->store, &removed, err);
    daemon->keys_changed = daemon->keys_changed || removed > 0;
    return result;
}

/* A wall clock that was set must not make the whole fleet silent: deadlines are counted from the
 * jump again. */
static void clock_watch(struct daemon *daemon, int64_t mono_ms)
{
    int64_t offset_ms = daemon->store->now_ms - mono_ms, jump_ms = offset_ms - daemon->offset_ms;
    daemon->offset_ms = offset_ms;
    if (daemon->ticked_ms == 0 || (jump_ms < JUMP_MS && jump_ms > -JUMP_MS))
        return;
    log_warn("clock.jump", "ms=%" PRId64 "; deadlines are counted from now", jump_ms);
    daemon->started_ms = daemon->store->now_ms;
    sessions_clock_set(daemon->sessions, daemon->store->now_ms);
}

struct doors {
    struct daemon *daemon;
    const char *name;
    uint64_t refused, broken;
};

static int doors_tx(void *arg, struct err *err)
{
    const struct doors *doors = arg;
    return audit_add(doors->daemon->store, "controller", "handshakes-refused", err,
                     "%s socket: %" PRIu64 " with an unknown key or too often, %" PRIu64
                     " without encryption by CURVE",
                     doors->name, doors->refused, doors->broken);
}

static int doors_tick(struct daemon *daemon, struct doorman *man, int64_t now_ms, struct err *err)
{
    struct link_stats now = link_server_stats(man->server);
    struct doors doors = { daemon, man->name, now.handshakes_refused - man->told.handshakes_refused,
                           now.handshakes_broken - man->told.handshakes_broken };
    if ((doors.refused == 0 && doors.broken == 0) ||
        (man->records >= DOOR_RECORDS_MAX && now_ms - man->told_ms < SWEEP_MS))
        return 0;
    man->told = now;
    man->told_ms = now_ms;
    man->records++;
    log_warn("handshake.refused", "socket=%s refused=%" PRIu64 " broken=%" PRIu64, man->name,
             doors.refused, doors.broken);
    return store_tx(daemon->store, doors_tx, &doors, err);
}

static int daemon_tick(struct daemon *daemon, struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    int result = 0;
    bool more = false; /* is due again at the next tick */
    if (now_ms - daemon->ticked_ms < TICK_MS)
        return 0;
    clock_watch(daemon, now_ms);
    daemon->ticked_ms = now_ms;
    result = store_tx(daemon->store, tick_tx, daemon, err);
    if (result == 0)
        result = orders_send(daemon, daemon->store->now_ms - ORDER_RESEND_MS, &more, err);
    if (result == 0)
        result = messenger_turn(daemon->messenger, now_ms, err);
    if (result == 0 && now_ms - daemon->swept_ms >= SWEEP_MS) {
        daemon->swept_ms = now_ms;
        result = store_tx(daemon->store, sweep_tx, daemon, err);
        sessions_expire(daemon->sessions,
                        daemon->store->now_ms - 10LL * daemon->options.heartbeat_ms);
    }
    for (size_t i = 0; result == 0 && i < sizeof daemon->doormen / sizeof daemon->doormen[0]; i++)
        result = doors_tick(daemon, &daemon->doormen[i], now_ms, err);
    return result;
}

struct share {
    enum intake_line line;
    int frames;
    int64_t ms;
};

static int line_handle(struct daemon *daemon, const struct share *share, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + share->ms;
    for (int n = 0; n < share->frames; n++) {
        if (n > 0 &&
            (clock_mono_ms() >= until_ms || outgoing_bytes(daemon->outgoing) >= OUTGOING_BYTES_MAX))
            return 0;
        CLEANUP(waiting_free) struct waiting *item = intake_next(daemon->intake, share->line);
        if (!item)
            return 0;
        daemon->store->now_ms = clock_wall_ms();
        int result = frames_control(daemon, &item->in, err);
        if (result != 0)
            return result;
    }
    return 0;
}

static int turn_batch(void *arg, struct err *err)
{
    static const struct share operators = { INTAKE_OPERATORS, OPERATOR_FRAMES_A_TURN,
                                            OPERATOR_TURN_MS },
                              others = { INTAKE_OTHERS, FRAMES_A_TURN, TURN_MS };
    struct daemon *daemon = arg;
    int result = line_handle(daemon, &operators, err);
    if (result == 0)
        result = line_handle(daemon, &others, err);
    if (result != 0 || !daemon->store->orders_new)
        return result;
    daemon->store->orders_new = false;
    bool more = false;
    result = orders_send(daemon, 1, &more, err);
    daemon->store->orders_new = daemon->store->orders_new || more;
    return result;
}

/* After each commit. A new key is let in before its owner hears that it may come. */
static int turn_end(struct daemon *daemon, struct err *err)
{
    int result = daemon->keys_changed ? keys_publish(daemon, err) : 0;
    if (result == 0)
        outgoing_send(daemon->outgoing, daemon->control);
    plans_trim(daemon->store);
    return result;
}

static bool has_work(const struct daemon *daemon)
{
    return intake_count(daemon->intake) > 0 || daemon->store->orders_new;
}

static int control_turn(struct daemon *daemon, struct err *err)
{
    int result = intake_fill(daemon->intake, daemon->control, err);
    if (result != 0 || !has_work(daemon))
        return result;
    daemon->store->now_ms = clock_wall_ms();
    result = store_batch(daemon->store, turn_batch, daemon, err);
    return result == 0 ? turn_end(daemon, err) : result;
}

static int bulk_turn(struct daemon *daemon, struct err *err)
{
    for (int n = 0; n < FRAMES_A_TURN; n++) {
        struct link_in in;
        int got = link_server_recv(daemon->bulk, &in, err);
        if (got <= 0)
            return got;
        daemon->store->now_ms = clock_wall_ms();
        int result = frames_bulk(daemon, &in, err);
        link_in_close(&in);
        if (result != 0)
            return result;
    }
    return 0;
}

int daemon_turn(struct daemon *daemon, int signal_fd, int64_t wait_ms, struct err *err)
{
    zmq_pollitem_t items[] = {
        { link_server_socket(daemon->control), 0, ZMQ_POLLIN, 0 },
        { link_server_socket(daemon->bulk), 0, ZMQ_POLLIN, 0 },
        { NULL, signal_fd, ZMQ_POLLIN, 0 },
    };
    int64_t next_ms = daemon->ticked_ms + TICK_MS - clock_mono_ms();
    wait_ms = has_work(daemon) ? 0 : next_ms < wait_ms ? next_ms : wait_ms;
    if (zmq_poll(items, signal_fd >= 0 ? 3 : 2, wait_ms > 0 ? (long)wait_ms : 0) < 0 &&
        errno != EINTR)
        return err_sys(err, FAIL_IO, errno, "poll");
    int result = control_turn(daemon, err);
    if (result == 0)
        result = bulk_turn(daemon, err);
    daemon->store->now_ms = clock_wall_ms();
    if (result == 0)
        result = daemon_tick(daemon, err);
    return result == 0 ? turn_end(daemon, err) : result;
}
