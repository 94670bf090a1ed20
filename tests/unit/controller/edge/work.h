/* work - an agent with one installation, a site, a release: what tests of jobs and rollouts begin
 * with. */
#pragma once
#include "fleet.h"

#define ARTIFACT "the bytes of a release"

static inline void end_say_event(struct end *end, Confleet__Event *event)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    frame.body_case = CONFLEET__FRAME__BODY_EVENT;
    frame.event = event;
    end_say(end, &frame);
}

/* Says it and waits for the acknowledgement; answers what is acknowledged. */
static inline uint64_t event_acked(struct end *end, Confleet__Event *event)
{
    end_say_event(end, event);
    return end_hear(end, CONFLEET__FRAME__BODY_EVENT_ACK)->event_ack->seq;
}

static inline uint64_t say_survey(struct end *end, uint64_t seq, const char *const *ids,
                                  size_t count)
{
    Confleet__Event event = CONFLEET__EVENT__INIT;
    Confleet__Survey survey = CONFLEET__SURVEY__INIT;
    Confleet__Installation items[4], *list[4];
    for (size_t i = 0; i < count; i++) {
        items[i] = (Confleet__Installation)CONFLEET__INSTALLATION__INIT;
        items[i].id = word(ids[i]);
        items[i].install = word("/opt/confluence");
        items[i].version = word("9.2.1");
        items[i].app_build = 9012;
        list[i] = &items[i];
    }
    survey.n_installations = count;
    survey.installations = list;
    survey.host = word("wiki1.example");
    survey.os = word("Debian 12");
    survey.agent_version = word("0.1.0");
    event.seq = seq;
    event.what_case = CONFLEET__EVENT__WHAT_SURVEY;
    event.survey = &survey;
    return event_acked(end, &event);
}

/* And waits until it was taken. */
static inline void say_order_ack(struct end *end, const char *id, uint32_t code,
                                 const char *message)
{
    Confleet__Frame frame = CONFLEET__FRAME__INIT;
    Confleet__OrderAck ack = CONFLEET__ORDER_ACK__INIT;
    ack.id = word(id);
    ack.code = code;
    ack.message = word(message);
    frame.body_case = CONFLEET__FRAME__BODY_ORDER_ACK;
    frame.order_ack = &ack;
    end_say(end, &frame);
    end_settle(end);
}

struct about {
    uint64_t seq;
    const char *order, *site, *plan;
};

static inline Confleet__Event event_about(struct about about)
{
    Confleet__Event event = CONFLEET__EVENT__INIT;
    event.seq = about.seq;
    event.at_ms = clock_wall_ms();
    event.order_id = word(about.order ? about.order : "");
    event.site = word(about.site ? about.site : "");
    event.plan_id = word(about.plan ? about.plan : "");
    event.attempt = 1;
    return event;
}

static inline uint64_t say_run(struct end *end, struct about about, Confleet__RunState state,
                               const char *reason)
{
    Confleet__Event event = event_about(about);
    Confleet__RunEvent run = CONFLEET__RUN_EVENT__INIT;
    run.state = state;
    run.reason = word(reason);
    run.outage_ms = 4200;
    run.version = word("9.2.3");
    run.build = 9013;
    event.what_case = CONFLEET__EVENT__WHAT_RUN;
    event.run = &run;
    return event_acked(end, &event);
}

static inline uint64_t say_step_down(struct end *end, struct about about, const char *step,
                                     Confleet__StepState state, bool down)
{
    Confleet__Event event = event_about(about);
    Confleet__StepEvent what = CONFLEET__STEP_EVENT__INIT;
    what.step = word(step);
    what.state = state;
    what.number = 3;
    what.count = 21;
    what.label = word("doing it");
    what.down = down;
    event.what_case = CONFLEET__EVENT__WHAT_STEP;
    event.step = &what;
    return event_acked(end, &event);
}

static inline uint64_t say_step(struct end *end, struct about about, const char *step,
                                Confleet__StepState state)
{
    return say_step_down(end, about, step, state, false);
}

static inline uint64_t say_done(struct end *end, struct about about, uint32_t code,
                                const char *message)
{
    Confleet__Event event = event_about(about);
    Confleet__DoneEvent done = CONFLEET__DONE_EVENT__INIT;
    done.code = code;
    done.message = word(message);
    event.what_case = CONFLEET__EVENT__WHAT_DONE;
    event.done = &done;
    return event_acked(end, &event);
}

static inline uint64_t say_finding(struct end *end, struct about about, Confleet__Finding *finding)
{
    Confleet__Event event = event_about(about);
    Confleet__CheckEvent check = CONFLEET__CHECK_EVENT__INIT;
    check.n_findings = 1;
    check.findings = &finding;
    event.what_case = CONFLEET__EVENT__WHAT_CHECK;
    event.check = &check;
    return event_acked(end, &event);
}

static inline uint64_t say_check(struct end *end, struct about about, Confleet__Severity severity)
{
    Confleet__Finding finding = CONFLEET__FINDING__INIT;
    finding.id = word("space");
    finding.family = word("platform");
    finding.severity = severity;
    finding.title = word("too little room");
    finding.evidence = word("1 GB free, 4 GB needed");
    return say_finding(end, about, &finding);
}

static inline uint64_t say_level(struct end *end, struct about about, const char *id,
                                 Confleet__BackupLevel level)
{
    Confleet__Event event = event_about(about);
    Confleet__BackupRecord backup = CONFLEET__BACKUP_RECORD__INIT;
    backup.id = word(id);
    backup.installation = word("conf-1");
    backup.level = level;
    backup.kind = word("hot");
    event.installation = word("conf-1");
    event.what_case = CONFLEET__EVENT__WHAT_BACKUP;
    event.backup = &backup;
    return event_acked(end, &event);
}

static inline uint64_t say_backup(struct end *end, struct about about, const char *id)
{
    return say_level(end, about, id, CONFLEET__BACKUP_LEVEL__RESTORED);
}

static inline const Confleet__Reply *ask_site_set(struct end *end, const char *name,
                                                  const char *agent, const char *installation,
                                                  const char *env)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskSiteSet set = CONFLEET__ASK_SITE_SET__INIT;
    Confleet__PlanNode node = CONFLEET__PLAN_NODE__INIT;
    Confleet__KeyValue label = CONFLEET__KEY_VALUE__INIT, *labels[] = { &label };
    set.name = word(name);
    node.agent = word(agent ? agent : "");
    node.installation = word(installation ? installation : "");
    set.node = agent ? &node : NULL;
    label.key = word("env");
    label.value = word(env ? env : "");
    set.n_labels = env ? 1 : 0;
    set.labels = labels;
    request.what_case = CONFLEET__REQUEST__WHAT_SITE_SET;
    request.site_set = &set;
    return end_ask(end, &request);
}

static inline void release_of_tests(Confleet__Release *release, char sha256[HASH_HEX_MAX])
{
    confleet__release__init(release);
    hash_bytes_hex(ARTIFACT, strlen(ARTIFACT), sha256);
    release->version = word("9.2.3");
    release->build = 9013;
    release->artifact_sha256 = sha256;
    release->artifact_size = strlen(ARTIFACT);
    release->artifact_name = word("confluence-9.2.3.tar.gz");
}

static inline const Confleet__Reply *ask_release_add(struct fleet *fleet)
{
    static char sha256[HASH_HEX_MAX];
    struct err err = { 0 };
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskRelease ask = CONFLEET__ASK_RELEASE__INIT;
    Confleet__Release release;
    release_of_tests(&release, sha256);
    CLEANUP(free_mem) char *path = text_printf("%s/artifacts/%s", fleet->state_dir, sha256);
    CHECK_OK(fs_write(path, ARTIFACT, strlen(ARTIFACT), 0600, &err), err);
    ask.release = &release;
    request.what_case = CONFLEET__REQUEST__WHAT_RELEASE_ADD;
    request.release_add = &ask;
    return end_ask(&fleet->anna, &request);
}

static inline void agent_join(struct fleet *fleet, struct end *agent, const char *name)
{
    char fingerprint[FINGERPRINT_MAX];
    const Confleet__Reply *reply =
        good(ask_token(&fleet->anna, true, name, 0, CONFLEET__ROLE__ROLE_NONE));
    fleet_enrol(fleet, reply->token->token.data, name, &agent->keys, false);
    keys_fingerprint(agent->keys.curve_public, fingerprint);
    good(ask_accept(&fleet->anna, name, fingerprint));
    end_open(fleet, agent);
    CHECK_STR(end_greet(agent, 1, 0)->state, "accepted");
}

/* Agent wiki1 with installations conf-1 and conf-2, sites "docs" and "help" on them, release 9.2.3
 * in the catalogue. */
static inline void work_open(struct fleet *fleet)
{
    static const char *const ids[] = { "conf-1", "conf-2" };
    fleet_open(fleet);
    agent_join(fleet, &fleet->agent, "wiki1");
    CHECK_INT(say_survey(&fleet->agent, 1, ids, 2), 1);
    good(ask_site_set(&fleet->anna, "docs", "wiki1", "conf-1", "test"));
    good(ask_site_set(&fleet->anna, "help", "wiki1", "conf-2", "test"));
    good(ask_release_add(fleet));
}

/* A plan that is right in all points; tests spoil one each before it is signed. */
struct draft {
    Confleet__Plan plan;
    Confleet__PlanStage stage, *stages[1];
    Confleet__PlanSite sites[2], *site_list[2];
    Confleet__PlanNode nodes[2], *node_lists[2][1];
    Confleet__Release release;
    char sha256[HASH_HEX_MAX], id[32];
    Confleet__Signature signature, *signatures[1];
    uint8_t signature_bytes[SIGN_SIZE];
    char key_id[KEY_ID_MAX];
    Confleet__SignedText text;
    struct str payload;
};

static inline void draft_make(struct draft *d, struct fleet *fleet, size_t site_count)
{
    static const char *const names[] = { "docs", "help" }, *const ids[] = { "conf-1", "conf-2" };
    struct str payload = d->payload;
    *d = (struct draft){ .payload = payload };
    fleet->serial++;
    (void)snprintf(d->id, sizeof d->id, "spring-%d", (int)fleet->serial);
    confleet__plan__init(&d->plan);
    confleet__plan_stage__init(&d->stage);
    release_of_tests(&d->release, d->sha256);
    for (size_t i = 0; i < site_count; i++) {
        confleet__plan_site__init(&d->sites[i]);
        confleet__plan_node__init(&d->nodes[i]);
        d->nodes[i].agent = word("wiki1");
        d->nodes[i].installation = word(ids[i]);
        d->node_lists[i][0] = &d->nodes[i];
        d->sites[i].name = word(names[i]);
        d->sites[i].env = word("test");
        d->sites[i].from_version = word("9.2.1");
        d->sites[i].from_build = 9012;
        d->sites[i].n_nodes = 1;
        d->sites[i].nodes = d->node_lists[i];
        d->site_list[i] = &d->sites[i];
    }
    d->stage.name = word("test");
    d->stage.n_sites = site_count;
    d->stage.sites = d->site_list;
    d->stages[0] = &d->stage;
    d->plan.format = 1;
    d->plan.fleet = fleet->join.fleet;
    d->plan.id = d->id;
    d->plan.name = word("spring");
    d->plan.serial = fleet->serial;
    d->plan.created_ms = clock_wall_ms();
    d->plan.expires_ms = d->plan.created_ms + 3600000;
    d->plan.release = &d->release;
    d->plan.n_stages = 1;
    d->plan.stages = d->stages;
    d->plan.backup_level = CONFLEET__BACKUP_LEVEL__RESTORED;
    d->plan.on_failure = word("rollback");
    d->plan.signed_by = word("anna");
}

static inline void text_sign(struct draft *d, const struct keys *keys, const char *context,
                             const ProtobufCMessage *message)
{
    struct err err = { 0 };
    str_clear(&d->payload);
    wire_encode(message, &d->payload);
    confleet__signed_text__init(&d->text);
    confleet__signature__init(&d->signature);
    CHECK_OK(sign_make(keys, context, d->payload.s, d->payload.len, d->signature_bytes, &err), err);
    keys_id(keys->sign_public, d->key_id);
    d->signature.key_id = d->key_id;
    d->signature.value = (ProtobufCBinaryData){ SIGN_SIZE, d->signature_bytes };
    d->signatures[0] = &d->signature;
    d->text.payload = (ProtobufCBinaryData){ d->payload.len, (uint8_t *)d->payload.s };
    d->text.n_signatures = 1;
    d->text.signatures = d->signatures;
}

static inline const Confleet__Reply *ask_apply_as(struct end *end, struct draft *d, const char *id)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskApply apply = CONFLEET__ASK_APPLY__INIT;
    apply.plan = &d->text;
    request.what_case = CONFLEET__REQUEST__WHAT_APPLY;
    request.apply = &apply;
    return id ? end_ask_as(end, &request, id) : end_ask(end, &request);
}

static inline const Confleet__Reply *draft_apply(struct draft *d, struct fleet *fleet)
{
    text_sign(d, &fleet->anna.keys, SIGN_CONTEXT_PLAN, &d->plan.base);
    return ask_apply_as(&fleet->anna, d, NULL);
}

static inline const Confleet__RolloutView *show(struct fleet *fleet, const char *id)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskRollout ask = CONFLEET__ASK_ROLLOUT__INIT;
    ask.id = word(id);
    request.what_case = CONFLEET__REQUEST__WHAT_ROLLOUT_SHOW;
    request.rollout_show = &ask;
    const Confleet__Reply *reply = good(end_ask(&fleet->anna, &request));
    CHECK_INT(reply->n_rollouts, 1);
    return reply->rollouts[0];
}

static inline const Confleet__Order *hear_order(struct end *end)
{
    return end_hear(end, CONFLEET__FRAME__BODY_ORDER)->order;
}
