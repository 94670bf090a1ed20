#include "controller/cli/decision.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/signing.h"
#include <string.h>

#define DECISION_MS (3600LL * 1000) /* how long agents take a decision after it was signed */

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

void decision_fill(const struct decision *decision, const struct decision_about *about,
                   Confleet__Decision *ret)
{
    confleet__decision__init(ret);
    ret->format = 1;
    ret->fleet = text_of(about->fleet);
    ret->plan_sha256 = text_of(about->plan_sha256);
    ret->kind = text_of(decision->kind);
    ret->stage = text_of(decision->stage);
    ret->site = text_of(decision->site);
    ret->reason = text_of(decision->reason);
    ret->serial = about->serial;
    ret->created_ms = about->now_ms;
    ret->expires_ms = about->now_ms + DECISION_MS;
    if (decision->good_until_ms > ret->expires_ms)
        ret->expires_ms = decision->good_until_ms;
    ret->signed_by = text_of(about->signed_by);
    ret->check = text_of(decision->check);
    if (decision->check) /* its end is its meaning */
        ret->expires_ms = decision->good_until_ms;
}

static int decision_sign(struct cli *cli, const struct decision *decision, const char *plan_sha256,
                         struct signed_bytes *ret, struct err *err)
{
    Confleet__Decision message;
    CLEANUP(answer_free) struct answer serial = { 0 };
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_SERIAL, &serial, err);
    if (result == 0 && !serial.reply->serial)
        result = err_set(err, FAIL_PROTOCOL, "the controller answered without a serial");
    if (result != 0)
        return result;
    const struct keys *keys = client_keys(cli->client);
    struct decision_about about = { serial.reply->serial->fleet, plan_sha256, keys->name,
                                    serial.reply->serial->next, clock_wall_ms() };
    decision_fill(decision, &about, &message);
    return signed_make(keys, SIGN_CONTEXT_DECISION, &message.base, ret, err);
}

int decision_waive(struct cli *cli, const struct decision *decision, struct answer *ret,
                   struct err *err)
{
    Confleet__AskDecide waive = CONFLEET__ASK_DECIDE__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(signed_free) struct signed_bytes signed_decision = { 0 };
    int result = decision_sign(cli, decision, "", &signed_decision, err);
    if (result != 0)
        return result;
    waive.decision = &signed_decision.text;
    request.what_case = CONFLEET__REQUEST__WHAT_WAIVE;
    request.waive = &waive;
    result = ask(cli, &request, ret, err);
    return result == 0 ? 0 : err_wrap(err, "%s of site %s", decision->check, decision->site);
}

int decision_send(struct cli *cli, const Confleet__RolloutView *rollout,
                  const struct decision *decision, struct str *ret_words, struct err *err)
{
    Confleet__AskDecide decide = CONFLEET__ASK_DECIDE__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(signed_free) struct signed_bytes signed_decision = { 0 };
    int result = decision_sign(cli, decision, rollout->plan_sha256, &signed_decision, err);
    if (result != 0)
        return result;
    decide.decision = &signed_decision.text;
    decide.rollout = rollout->id;
    request.what_case = CONFLEET__REQUEST__WHAT_DECIDE;
    request.decide = &decide;
    result = ask(cli, &request, &answer, err);
    if (result != 0)
        return err_wrap(err, "%s %s", decision->kind,
                        decision->site    ? decision->site
                        : decision->stage ? decision->stage
                                          : rollout->id);
    out_clean(ret_words, answer.reply->message);
    return 0;
}
