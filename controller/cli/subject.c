#include "controller/cli/subject.h"
#include "confleet/cleanup.h"
#include "confleet/wire.h"
#include <string.h>

#define KNOWN_MAX 20 /* sites named in an error */

void subject_free(struct subject *subject)
{
    fetched_free(&subject->sites);
    fetched_free(&subject->head);
    arena_free(&subject->arena);
    free_mem(&subject->id);
}

int subject_open(struct cli *cli, const char *id, struct subject *ret, struct err *err)
{
    CLEANUP(subject_free) struct subject subject = { 0 };
    Confleet__Plan *plan = NULL;
    int result = rollout_pick(cli, id, &subject.id, err);
    if (result == 0)
        result = rollout_fetch(cli, subject.id, FETCH_BRIEF, &subject.sites, err);
    if (result == 0 && !subject.sites.view->plan)
        result = rollout_fetch(cli, subject.id, FETCH_HEAD, &subject.head, err);
    if (result != 0)
        return result;
    subject.view = subject.sites.view;
    subject.arena = arena_new(WIRE_ARENA_MAX);
    const Confleet__RolloutView *shown = subject.head.view ? subject.head.view : subject.sites.view;
    /* The controller leaves out a plan that is too large for one answer. */
    if (shown->plan)
        result = rollout_plan(shown, subject.arena, &plan, err);
    if (result == 0 && subject.head.view &&
        strcmp(subject.head.view->plan_sha256, subject.view->plan_sha256) != 0)
        result = err_set(err, FAIL_MISMATCH, "the controller names two plans for rollout %s",
                         subject.id);
    if (result != 0)
        return result;
    subject.plan = plan;
    *ret = subject;
    subject = (struct subject){ 0 };
    return 0;
}

int subject_site(const struct subject *subject, const char *name,
                 const Confleet__RolloutSiteView **ret, struct err *err)
{
    CLEANUP(str_free) struct str known = { 0 };
    const Confleet__RolloutView *view = subject->view;
    for (size_t i = 0; i < view->n_sites; i++) {
        if (strcmp(view->sites[i]->site, name) == 0) {
            *ret = view->sites[i];
            return 0;
        }
        if (i < KNOWN_MAX)
            str_addf(&known, "%s%s", i > 0 ? ", " : "", view->sites[i]->site);
    }
    return err_set(err, FAIL_NOT_FOUND, "rollout %s has no site '%s'; it has: %.600s%s",
                   subject->id, name, str_text(&known), view->n_sites > KNOWN_MAX ? ", …" : "");
}

int subject_show(struct cli *cli, const struct subject *subject, struct err *err)
{
    CLEANUP(fetched_free) struct fetched now = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    int result = rollout_fetch(cli, subject->id, FETCH_BRIEF, &now, err);
    if (result != 0)
        return result;
    json_one(&text, "rollout", &now.view->base);
    return out_write(&cli->out, &text, err);
}
