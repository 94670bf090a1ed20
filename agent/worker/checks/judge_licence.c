/* What the licence allows. The answers are those of `confleet licence show`. */
#include "agent/worker/checks/check.h"
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

/* True when the part was not gathered; the verdict then says so. */
static bool missing(const struct facts *facts, struct verdict *ret)
{
    if (facts->licence.part.known == FACT_YES)
        return false;
    verdict_set(ret, UNKNOWN, "%s",
                facts->licence.part.why[0] ? facts->licence.part.why : "not looked at");
    return true;
}

static struct licence_question question_of(const struct facts *facts)
{
    const struct gather_source *source = facts->source;
    return (struct licence_question){
        .target = facts->has_target ? facts->target_version : "",
        .target_date = source ? source->target.date : "",
        .target_data_center = source && strcmp(source->target.data_center_only, "yes") == 0,
        .today = licence_day_of(facts->at_ms),
        .users_known = facts->licence.users_known == FACT_YES,
        .users = facts->licence.users,
    };
}

static void judge_aspect(const struct facts *facts, enum licence_aspect aspect, struct verdict *ret)
{
    const struct licence *licence = facts_licence_counts(&facts->licence);
    struct licence_question question = question_of(facts);
    struct licence_answer answer;
    if (missing(facts, ret))
        return;
    licence_judge(licence, &question, aspect, &answer);
    bool why =
        aspect == LICENCE_ASPECT_USERS && answer.severity == UNKNOWN && facts->licence.users_why[0];
    verdict_set(ret, answer.severity, "%s%s%s%s",
                licence == &facts->licence.waiting ? "The new licence that waits here: " : "",
                answer.text, why ? " " : "", why ? facts->licence.users_why : "");
}

#define X(id, check, title, remedy, rule)                                                          \
    static void judge_##id(const struct facts *facts, struct verdict *ret)                         \
    {                                                                                              \
        judge_aspect(facts, LICENCE_ASPECT_##id, ret);                                             \
    }
LICENCE_ASPECTS(X)
#undef X

static bool ends_before(const struct licence_end *a, const struct licence_end *b)
{
    return a->when == LICENCE_DAY &&
           (b->when == LICENCE_UNLIMITED || (b->when == LICENCE_DAY && a->day < b->day));
}

/* It decides what the site runs with after the upgrade, so nothing may be lost by it unseen. */
static void judge_exchange(const struct facts_licence *licence, struct verdict *ret)
{
    const struct licence *old = &licence->used, *new = &licence->waiting;
    char text[400];
    licence_describe(new, text, sizeof text);
    bool fewer = new->users.when == LICENCE_DAY &&
                 (old->users.when == LICENCE_UNLIMITED ||
                  (old->users.when == LICENCE_DAY && new->users.value < old->users.value));
    bool sooner = ends_before(&new->maintenance, &old->maintenance) ||
                  ends_before(&new->expiry, &old->expiry);
    if (old->form == LICENCE_VERSION_2 &&
        (fewer || sooner || (old->data_center && !new->data_center)))
        verdict_set(ret, WARN,
                    "The new licence that waits here allows less than the one in use (%s): %s.",
                    fewer    ? "fewer users"
                    : sooner ? "it ends sooner"
                             : "no Data Center",
                    text);
    else
        verdict_set(ret, OK,
                    "A new licence waits here and is applied while the site is stopped: %s.", text);
}

static void judge_new(const struct facts *facts, struct verdict *ret)
{
    const struct facts_licence *licence = &facts->licence;
    if (missing(facts, ret))
        return;
    if (licence->waits == FACT_NO)
        verdict_set(ret, OK, "None waits here: the site keeps the licence that it has.");
    else if (licence->waits != FACT_YES)
        verdict_set(ret, UNKNOWN, "%s", licence->waits_why);
    else if (licence->waits_same)
        verdict_set(ret, OK, "The licence that waits here is in use already.");
    else if (licence->waiting.form != LICENCE_VERSION_2)
        verdict_set(ret, BLOCK, "The new licence that waits here cannot be read: %s.",
                    licence->waiting.form == LICENCE_NONE ? "it is empty" : licence->waiting.why);
    else if (!licence->waiting.host)
        verdict_set(ret, BLOCK, "The new licence that waits here is none for Confluence itself.");
    else
        judge_exchange(licence, ret);
}

/* clang-format off */
#define X(id, check, title, remedy, rule)                                                          \
    { check, title, remedy, judge_##id,                                                            \
      LICENCE_ASPECT_##id == LICENCE_ASPECT_USERS ? NEED_FILES | NEED_DATABASE : NEED_FILES | NEED_CATALOGUE, rule },
const struct check_def checks_licence[] = {
    LICENCE_ASPECTS(X)
    { "licence-new", "New licence that waits",
      "Hand the right text over with: confleet-agent licence set INSTALL FILE; or take it back "
      "with: confleet-agent licence remove INSTALL",
      judge_new, NEED_FILES, NULL },
    { NULL, NULL, NULL, NULL, 0, NULL },
};
#undef X
/* clang-format on */
