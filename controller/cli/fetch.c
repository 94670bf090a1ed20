#include "controller/cli/fetch.h"
#include "confleet/cleanup.h"
#include "confleet/hash.h"
#include "confleet/wire.h"
#include <string.h>

#define PAGES_MAX 4096

static int page_ask(struct cli *cli, Confleet__AskRollout *rollout, struct answer *ret,
                    struct err *err)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    struct answer answer = { 0 };
    request.what_case = CONFLEET__REQUEST__WHAT_ROLLOUT_SHOW;
    request.rollout_show = rollout;
    int result = ask(cli, &request, &answer, err);
    if (result != 0)
        return result;
    if (answer.reply->n_rollouts != 1) {
        answer_free(&answer);
        return *rollout->id
                   ? err_set(err, FAIL_NOT_FOUND, "no rollout '%s'; see: confleet rollout list",
                             rollout->id)
                   : err_set(err, FAIL_NOT_FOUND, "no rollout yet; begin with: confleet plan FILE");
    }
    *ret = answer;
    return 0;
}

void fetched_free(struct fetched *fetched)
{
    for (size_t i = 0; i < fetched->count; i++)
        answer_free(&fetched->pages[i]);
    free_mem(&fetched->pages);
    if (fetched->view)
        free_mem(&fetched->view->sites);
    free_mem(&fetched->view);
    fetched->count = 0;
}

/* The first page's view, with the sites of all pages. */
static void view_join(struct fetched *fetched)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < fetched->count; i++)
        total += fetched->pages[i].reply->rollouts[0]->n_sites;
    fetched->view = mem_zero(1, sizeof *fetched->view);
    *fetched->view = *fetched->pages[0].reply->rollouts[0];
    fetched->view->sites = mem_zero(total + 1, sizeof(void *));
    fetched->view->n_sites = total;
    fetched->view->next = 0;
    for (size_t i = 0; i < fetched->count; i++) {
        const Confleet__RolloutView *page = fetched->pages[i].reply->rollouts[0];
        for (size_t s = 0; s < page->n_sites; s++)
            fetched->view->sites[at++] = page->sites[s];
    }
}

int rollout_fetch(struct cli *cli, const char *id, enum fetch how, struct fetched *ret,
                  struct err *err)
{
    CLEANUP(fetched_free) struct fetched fetched = { 0 };
    Confleet__AskRollout rollout = CONFLEET__ASK_ROLLOUT__INIT;
    rollout.brief = how == FETCH_BRIEF || how == FETCH_ATTENTION;
    rollout.limit = how == FETCH_HEAD ? 1 : 0;
    rollout.attention = how == FETCH_ATTENTION;
    rollout.id = (char *)id;
    do {
        struct answer page = { 0 };
        int result = page_ask(cli, &rollout, &page, err);
        if (result != 0)
            return result;
        fetched.pages = mem_grow(fetched.pages, fetched.count + 1, sizeof *fetched.pages);
        fetched.pages[fetched.count++] = page;
        const Confleet__RolloutView *view = page.reply->rollouts[0];
        if (view->next != 0 && (view->next <= rollout.after || fetched.count == PAGES_MAX))
            return err_set(err, FAIL_PROTOCOL, "the pages of rollout %s do not end", view->id);
        rollout.after = how == FETCH_HEAD ? 0 : view->next;
        rollout.id = fetched.pages[0].reply->rollouts[0]->id; /* "the newest" must stay the same */
    } while (rollout.after != 0);
    view_join(&fetched);
    *ret = fetched;
    fetched = (struct fetched){ 0 };
    return 0;
}

static bool is_active(const Confleet__RolloutView *rollout)
{
    return strcmp(rollout->state, "done") != 0 && strcmp(rollout->state, "halted") != 0;
}

const Confleet__RolloutView *rollout_choose(Confleet__RolloutView *const *list, size_t count,
                                            struct str *ret_why)
{
    const Confleet__RolloutView *active = NULL, *newest = NULL;
    CLEANUP(str_free) struct str names = { 0 };
    size_t active_count = 0;
    for (size_t i = 0; i < count; i++) {
        newest = !newest || list[i]->started_ms > newest->started_ms ? list[i] : newest;
        if (!is_active(list[i]))
            continue;
        active = list[i];
        str_addf(&names, "%s%s", active_count++ > 0 ? ", " : "", list[i]->id);
    }
    if (active_count == 1) {
        str_add(ret_why, "the only active one");
        return active;
    }
    if (active_count > 1)
        str_addf(ret_why, "several rollouts are active; say which: %s", str_text(&names));
    else if (!newest)
        str_add(ret_why, "no rollout yet; begin with: confleet plan FILE");
    else if (strcmp(newest->state, "halted") == 0)
        str_add(ret_why, "the newest one, halted");
    else
        str_addf(ret_why, "no rollout is active; give its ID (the newest, %s, is %s)", newest->id,
                 newest->state);
    return active_count == 0 && newest && strcmp(newest->state, "halted") == 0 ? newest : NULL;
}

int rollout_pick(struct cli *cli, const char *given, char **ret_id, struct err *err)
{
    CLEANUP(answer_free) struct answer answer = { 0 };
    CLEANUP(str_free) struct str why = { 0 }, text = { 0 };
    if (given) {
        *ret_id = text_dup(given);
        return 0;
    }
    int result = ask_nothing(cli, CONFLEET__REQUEST__WHAT_ROLLOUT_LIST, &answer, err);
    if (result != 0)
        return result;
    const Confleet__RolloutView *rollout =
        rollout_choose(answer.reply->rollouts, answer.reply->n_rollouts, &why);
    if (!rollout)
        return err_set(err, answer.reply->n_rollouts == 0 ? FAIL_NOT_FOUND : FAIL_USAGE, "%.900s",
                       str_text(&why));
    str_add(&text, "rollout ");
    out_clean(&text, rollout->id);
    str_addf(&text, " (%s)\n", str_text(&why));
    out_show(&cli->note, &text);
    *ret_id = text_dup(rollout->id);
    return 0;
}

int rollout_plan(const Confleet__RolloutView *rollout, struct arena *arena, Confleet__Plan **ret,
                 struct err *err)
{
    char sha256[HASH_HEX_MAX];
    if (!rollout->plan)
        return err_set(err, FAIL_PROTOCOL, "the controller shows rollout %s without its plan",
                       rollout->id);
    const ProtobufCBinaryData *payload = &rollout->plan->payload;
    hash_bytes_hex(payload->data, payload->len, sha256);
    if (strcmp(sha256, rollout->plan_sha256) != 0)
        return err_set(err, FAIL_MISMATCH,
                       "the plan that the controller shows for rollout %s is not the one it names "
                       "(%.16s… instead of %.16s…): nothing is signed",
                       rollout->id, sha256, rollout->plan_sha256);
    return wire_decode_plan(arena, payload->data, payload->len, ret, err);
}
