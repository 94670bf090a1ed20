#include "agent/edge/fetch.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/log.h"
#include <string.h>

#define STALL_MS 20000 /* nothing came for so long: ask again */

struct fetch {
    struct run *run;
    struct link_client *link;
    struct bulk_fetch *bulk;
    int64_t due_mono_ms, heard_mono_ms, end_mono_ms;
};

int fetch_open(const struct keys *keys, const struct join *controller, const struct config *config,
               struct run *run, struct fetch **ret, struct err *err)
{
    CLEANUP(fetch_close) struct fetch *fetch = mem_zero(1, sizeof *fetch);
    CLEANUP(free_mem) char *folder = config_state(config, "artifacts");
    const Confleet__Release *release = run_release(run);
    struct link_client_options options = { .endpoint = controller->bulk,
                                           .server_key = controller->controller_key,
                                           .curve_public = keys->curve_public,
                                           .curve_secret = keys->curve_secret };
    fetch->run = run;
    fetch->heard_mono_ms = clock_mono_ms();
    fetch->end_mono_ms = fetch->heard_mono_ms + (int64_t)runbook_steps[STEP_FETCH].limit_s * 1000;
    int result = bulk_fetch_open(folder, release->artifact_sha256, release->artifact_size,
                                 &fetch->bulk, err);
    if (result == 0)
        result = link_client_open(&options, &fetch->link, err);
    if (result != 0)
        return err_wrap(err, "fetch the artifact of %s", release->version);
    log_info("fetch.begin", "run=%s sha256=%s have=%llu size=%llu", run_id(run),
             release->artifact_sha256, (unsigned long long)bulk_fetch_done(fetch->bulk),
             (unsigned long long)release->artifact_size);
    *ret = TAKE(fetch);
    return 0;
}

void fetch_close(struct fetch **pointer)
{
    struct fetch *fetch = *pointer;
    if (!fetch)
        return;
    link_client_close(&fetch->link);
    bulk_fetch_close(&fetch->bulk);
    free(fetch);
    *pointer = NULL;
}

struct run *fetch_run(const struct fetch *fetch)
{
    return fetch->run;
}
int64_t fetch_due_ms(const struct fetch *fetch)
{
    return fetch->due_mono_ms;
}

static int ask(struct fetch *fetch, struct err *err)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    int result = bulk_fetch_ask(fetch->bulk, &bytes, err);
    if (result != 0 || bytes.len == 0)
        return result;
    struct err why = { 0 };
    /* What the queue does not take is asked again after a stall. */
    if (link_client_send(fetch->link, bytes.s, bytes.len, &why) != 0)
        log_debug("fetch.ask", "message=\"%s\"; ignoring", why.text);
    return 0;
}

static int take_frames(struct fetch *fetch, struct err *err)
{
    CLEANUP(str_free) struct str in = { 0 }, out = { 0 };
    struct err why = { 0 };
    for (int i = 0; i < BULK_CREDIT && link_client_recv(fetch->link, &in, &why) == 1; i++) {
        fetch->heard_mono_ms = clock_mono_ms();
        str_clear(&out);
        int result = bulk_fetch_on(fetch->bulk, in.s, in.len, &out, err);
        if (result != 0)
            return result;
        if (out.len && link_client_send(fetch->link, out.s, out.len, &why) != 0)
            err_clear(&why);
    }
    return 0;
}

int fetch_tick(struct fetch *fetch, int64_t now_mono_ms, struct err *err)
{
    bool new_connection = false;
    int64_t wait_ms = link_client_tick(fetch->link, now_mono_ms, &new_connection);
    fetch->due_mono_ms = now_mono_ms + (wait_ms < 1000 ? wait_ms : 1000);
    if (now_mono_ms > fetch->end_mono_ms)
        return err_set(err, FAIL_TIMEOUT, "the artifact did not come within its time limit: %s",
                       link_client_why(fetch->link));
    bool stalled =
        link_client_state(fetch->link) == LINK_UP && now_mono_ms - fetch->heard_mono_ms >= STALL_MS;
    if (new_connection || stalled) {
        fetch->heard_mono_ms = now_mono_ms;
        int result = ask(fetch, err);
        if (result != 0)
            return result;
    }
    int result = take_frames(fetch, err);
    uint64_t size = run_release(fetch->run)->artifact_size;
    const char *waiting =
        link_client_state(fetch->link) == LINK_UP ? "" : "waiting for the controller";
    if (result == 0)
        run_fetching(fetch->run, bulk_fetch_done(fetch->bulk), size, waiting);
    return result;
}

size_t fetch_poll(const struct fetch *fetch, zmq_pollitem_t items[2])
{
    items[0] = (zmq_pollitem_t){ link_client_socket(fetch->link), 0, ZMQ_POLLIN, 0 };
    items[1] = (zmq_pollitem_t){ link_client_monitor(fetch->link), 0, ZMQ_POLLIN, 0 };
    return 2;
}
