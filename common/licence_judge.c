/* What a licence allows, in words. Facts 2.2 to 2.4. */
#include "confleet/licence.h"
#include "confleet/version.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

#define X(id, check, title, remedy, rule) [LICENCE_ASPECT_##id] = { check, title, remedy, rule },
const struct licence_aspect_def licence_aspects[LICENCE_ASPECT_COUNT] = { LICENCE_ASPECTS(X) };
#undef X

FORMAT(3, 4)
static void say(struct licence_answer *ret, Confleet__Severity severity, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(ret->text, sizeof ret->text, format, ap);
    va_end(ap);
    ret->severity = severity;
}

static const char *days(int32_t count, char out[24])
{
    (void)snprintf(out, 24, "%d day%s", (int)count, count == 1 ? "" : "s");
    return out;
}

static bool target_at_least(const struct licence_question *question, uint32_t major, uint32_t minor)
{
    struct version version;
    return version_parse(question->target, &version) && version_at_least(&version, major, minor);
}

void licence_describe(const struct licence *licence, char *out, size_t size)
{
    char maintenance[48], expiry[48], users[32] = "no number of", tail[48] = "";
    if (licence->users.when == LICENCE_DAY)
        (void)snprintf(users, sizeof users, "%llu", (unsigned long long)licence->users.value);
    else if (licence->users.when == LICENCE_UNLIMITED)
        (void)snprintf(users, sizeof users, "any number of");
    if (licence->sen_tail[0])
        (void)snprintf(tail, sizeof tail, ", support number ends in %s", licence->sen_tail);
    const char *what = licence->host
                           ? licence->data_center ? "Confluence Data Center" : "Confluence Server"
                       : licence->app        ? "an app"
                       : licence->product[0] ? licence->product
                                             : "an unknown product";
    if (licence->form != LICENCE_VERSION_2) {
        (void)snprintf(out, size, "%s",
                       licence->form == LICENCE_NONE        ? "no licence"
                       : licence->form == LICENCE_VERSION_1 ? "a licence of the old version 1"
                                                            : licence->why);
        return;
    }
    (void)snprintf(out, size, "%s, %s%s, %s users, maintenance until %s, ends %s%s", what,
                   licence->type[0] ? licence->type : "no type named",
                   licence->evaluation ? " (evaluation)" : "", users,
                   licence_end_text(&licence->maintenance, maintenance),
                   licence_end_text(&licence->expiry, expiry), tail);
}

static void judge_readable(const struct licence *licence, const struct licence_question *question,
                           struct licence_answer *ret)
{
    switch (licence->form) {
    case LICENCE_NONE:
        say(ret, BLOCK, "There is no licence: the new version would stop at its start.");
        break;
    case LICENCE_UNREADABLE:
        say(ret, BLOCK, "The licence cannot be read: %s.", licence->why);
        break;
    case LICENCE_VERSION_1:
        /* The refusal was seen in 8.x; where it begins is not known. */
        if (target_at_least(question, 8, 0))
            say(ret, BLOCK, "The licence is of the old version 1, which %.63s refuses.",
                question->target);
        else
            say(ret, WARN,
                "The licence is of the old version 1: it cannot be decoded here, and "
                "newer versions refuse it; from which one on is not confirmed.");
        break;
    case LICENCE_VERSION_2: {
        char text[400];
        licence_describe(licence, text, sizeof text);
        say(ret, OK, "%s.", text);
        break;
    }
    }
}

static void judge_signature(const struct licence *licence, const struct licence_question *question,
                            struct licence_answer *ret)
{
    (void)question;
    if (licence->signature == LICENCE_VERIFIED)
        say(ret, OK, "It verifies with the vendor's published key.");
    else if (licence->signature == LICENCE_SIGNATURE_DAMAGED)
        say(ret, WARN,
            "The signature at the end of the text is damaged, so nothing vouches for the "
            "rest of it. It may have been changed on its way here.");
    else
        say(ret, UNKNOWN,
            "It cannot be verified with the vendor's published key. It may be made "
            "with a newer key of the vendor's, which this program does not have.");
}

static void judge_kind(const struct licence *licence, const struct licence_question *question,
                       struct licence_answer *ret)
{
    (void)question;
    const char *type = licence->type[0] ? licence->type : "no type named";
    if (!licence->host && licence->product[0])
        say(ret, BLOCK, "It is a licence for another product (%s), not for Confluence.",
            licence->product);
    else if (!licence->host)
        say(ret, BLOCK, "It is a licence for an app, not for Confluence itself.");
    else if (licence->test)
        say(ret, WARN, "The vendor marked it as not for production: it is for tests of apps.");
    else if (licence->evaluation)
        say(ret, WARN, "It is an evaluation licence (%s), which ends for good.", type);
    else
        say(ret, OK, "A licence for Confluence %s itself, %s.",
            licence->data_center ? "Data Center" : "Server", type);
}

static void judge_released(const struct licence_question *question, int32_t released, int32_t end,
                           struct licence_answer *ret)
{
    char end_text[16], released_text[16], gap[24];
    int32_t late = released - end;
    (void)licence_day_text(end, end_text);
    (void)licence_day_text(released, released_text);
    if (late > LICENCE_DATE_BAND)
        say(ret, BLOCK,
            "No: %.63s was released on %s, %s after the maintenance ended on %s. Versions released "
            "before that may be installed.",
            question->target, released_text, days(late, gap), end_text);
    else if (late >= -LICENCE_DATE_BAND)
        say(ret, WARN,
            "Perhaps: %.63s was released on %s, and the maintenance ends on %s. The day of its "
            "build "
            "counts, which may be up to %d days off.",
            question->target, released_text, end_text, LICENCE_DATE_BAND);
    else
        say(ret, OK, "Yes: %.63s was released on %s, %s before the maintenance ends on %s.",
            question->target, released_text, days(-late, gap), end_text);
}

static void judge_maintenance(const struct licence *licence,
                              const struct licence_question *question, struct licence_answer *ret)
{
    const struct licence_end *end = &licence->maintenance;
    int32_t released = 0;
    char text[48];
    (void)licence_end_text(end, text);
    if (end->when == LICENCE_UNLIMITED)
        say(ret, OK, "Yes: its maintenance never ends.");
    else if (end->when == LICENCE_DURATION)
        say(ret, UNKNOWN, "Its maintenance ends %s, and when that was is not known here.", text);
    else if (end->when != LICENCE_DAY)
        say(ret, UNKNOWN, "The end of its maintenance is %s.", text);
    else if (!question->target[0])
        say(ret, INFO, "Its maintenance %s on %s: versions released until then may be installed.",
            end->day < question->today ? "ended" : "ends", text);
    else if (!licence_day_parse(question->target_date, &released))
        say(ret, UNKNOWN,
            "The release date of %.63s is not known, so it cannot be said whether the maintenance "
            "until %s covers it.",
            question->target, text);
    else
        judge_released(question, released, end->day, ret);
}

static void judge_end_day(const struct licence *licence, const struct licence_question *question,
                          struct licence_answer *ret)
{
    bool stops = licence->subscription || licence->data_center || licence->evaluation;
    int32_t left = licence->expiry.day - question->today;
    char text[16], gap[24];
    (void)licence_day_text(licence->expiry.day, text);
    if (left < -1 && stops)
        say(ret, BLOCK, "It ended on %s, %s ago.", text, days(-left, gap));
    else if (left < 0)
        say(ret, WARN, "It names %s as its end, %s ago%s.", text, days(-left, gap),
            stops ? "" : "; whether a licence of this kind stops then is not confirmed");
    else if (left <= LICENCE_SOON)
        say(ret, WARN, "It ends on %s, in %s.", text, days(left, gap));
    else
        say(ret, OK, "It ends on %s, in %s.", text, days(left, gap));
}

static void judge_subscription(const struct licence *licence,
                               const struct licence_question *question, struct licence_answer *ret)
{
    char text[48];
    (void)licence_end_text(&licence->expiry, text);
    if (licence->expiry.when == LICENCE_DAY)
        judge_end_day(licence, question, ret);
    else if (licence->expiry.when == LICENCE_DURATION)
        say(ret, WARN, "It ends %s, and when that was is not known here.", text);
    else if (licence->expiry.when == LICENCE_UNCLEAR)
        say(ret, UNKNOWN, "Its end is %s.", text);
    else if (licence->expiry.when == LICENCE_UNLIMITED || !licence->data_center)
        say(ret, OK, "It does not end.");
    else
        say(ret, WARN,
            "It is a subscription that names no end. Versions that look for one refuse "
            "it; which ones do is not confirmed.");
}

static void judge_data_center(const struct licence *licence,
                              const struct licence_question *question, struct licence_answer *ret)
{
    struct version version;
    bool named = question->target[0];
    bool parsed = version_parse(question->target, &version);
    bool needed = question->target_data_center || (parsed && version_at_least(&version, 8, 6));
    if (licence->data_center)
        say(ret, OK, "It is a Data Center licence.");
    else if (!named)
        say(ret, INFO, "It is a Server licence: it is good for versions before 8.6 only.");
    else if (needed)
        say(ret, BLOCK, "It is a Server licence, and %.63s runs with Data Center licences only.",
            question->target);
    else if (!parsed)
        say(ret, UNKNOWN,
            "It is a Server licence; whether '%.63s' is older than 8.6 cannot be told.",
            question->target);
    else
        say(ret, OK, "It is a Server licence, and %.63s, which is older than 8.6, takes it.",
            question->target);
}

static void judge_users(const struct licence *licence, const struct licence_question *question,
                        struct licence_answer *ret)
{
    unsigned long long limit = licence->users.value, have = question->users;
    if (licence->users.when == LICENCE_UNLIMITED)
        say(ret, OK, "It is for any number of users.");
    else if (licence->users.when != LICENCE_DAY || limit == 0)
        say(ret, WARN, "It names no valid number of users; versions that look for one refuse it.");
    else if (!question->users_known)
        say(ret, UNKNOWN, "It is for %llu users; how many there are was not found out.", limit);
    else if (have <= limit)
        say(ret, OK, "It is for %llu users, and there are at most %llu.", limit, have);
    else
        say(ret, WARN,
            "It is for %llu users. There are %llu active accounts; those that may not log in to "
            "Confluence do not count, and how many these are was not found out.",
            limit, have);
}

void licence_judge(const struct licence *licence, const struct licence_question *question,
                   enum licence_aspect aspect, struct licence_answer *ret)
{
    typedef void aspect_fn(const struct licence *, const struct licence_question *,
                           struct licence_answer *);
    static aspect_fn *const judges[LICENCE_ASPECT_COUNT] = {
        [LICENCE_ASPECT_READABLE] = judge_readable,
        [LICENCE_ASPECT_SIGNATURE] = judge_signature,
        [LICENCE_ASPECT_KIND] = judge_kind,
        [LICENCE_ASPECT_MAINTENANCE] = judge_maintenance,
        [LICENCE_ASPECT_SUBSCRIPTION] = judge_subscription,
        [LICENCE_ASPECT_DATA_CENTER] = judge_data_center,
        [LICENCE_ASPECT_USERS] = judge_users,
    };
    /* The rest of what cannot be read is not known; that it cannot is told once. */
    if (aspect != LICENCE_ASPECT_READABLE && licence->form != LICENCE_VERSION_2)
        say(ret, UNKNOWN, "There is no licence that can be read here.");
    else if (aspect > LICENCE_ASPECT_KIND && !licence->host)
        say(ret, UNKNOWN, "It is no licence for Confluence itself, so it tells nothing of this.");
    else
        judges[aspect](licence, question, ret);
}
