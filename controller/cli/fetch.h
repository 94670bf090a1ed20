/* fetch - one rollout from the controller, page by page, as one view.
 *
 * Pages are asked for one after the other, so a large rollout may move on between two of them: its
 * head is that of the first page. */
#pragma once
#include "controller/cli/cli.h"
#include "controller/cli/client.h"

enum fetch {
    FETCH_FULL,     /* with steps, findings and backups */
    FETCH_BRIEF,    /* every site, without those */
    FETCH_HEAD,     /* the rollout and its plan with at most a few sites: one page */
    FETCH_ATTENTION /* only sites that need a person or are at work; counts tell the rest */
};
struct fetched {
    Confleet__RolloutView *view; /* NULL: nothing fetched. Owned; what it points to is the pages' */
    struct answer *pages;
    size_t count;
};
/* Empty id: the newest. FAIL_NOT_FOUND when there is none. */
int rollout_fetch(struct cli *cli, const char *id, enum fetch how, struct fetched *ret,
                  struct err *err) MUST_USE;
void fetched_free(struct fetched *fetched);

/* The id given; or, for NULL, that of the only rollout that is not over, else of the newest when it
 * is halted. What was picked is said on cli->note. */
int rollout_pick(struct cli *cli, const char *given, char **ret_id, struct err *err) MUST_USE;
/* The same choice from a list; NULL with *ret_why, a text for people. */
const Confleet__RolloutView *rollout_choose(Confleet__RolloutView *const *list, size_t count,
                                            struct str *ret_why);

/* The plan of a view, with the digest of its bytes compared with the one that the controller gave:
 * a person decides about what is shown. Lives in the arena. */
int rollout_plan(const Confleet__RolloutView *rollout, struct arena *arena, Confleet__Plan **ret,
                 struct err *err) MUST_USE;
