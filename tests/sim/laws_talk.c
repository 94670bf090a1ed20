/* What an agent says to its controller, and what it believes of the controller's clock. */
#include "tests/sim/laws.h"
#include "tests/sim/site.h"

void laws_said(struct world *world, struct site *site, const struct session_order *order)
{
    uint64_t last = order->after + order->count;
    if (order->say == SAY_NOTHING)
        return;
    if (!site->linked)
        laws_broken(world, site->number, "law 5: it speaks, and nobody is connected");
    if (order->say != SAY_HELLO && site->welcomed != site->link)
        laws_broken(world, site->number, "law 10: it says more than Hello before it is welcome");
    if (order->say != SAY_EVENTS)
        return;
    if (site->accepted_link != site->link)
        laws_broken(world, site->number, "law 10: it reports, and nobody has accepted it");
    if (order->after < site->gone)
        laws_broken(world, site->number, "law 5: report %llu is to be sent, which was acknowledged and forgotten",
                    (unsigned long long)order->after + 1);
    if (last > site->gone + SESSION_WINDOW)
        laws_broken(world, site->number, "law 5: %llu reports are under way", (unsigned long long)(last - site->gone));
    if (site->said_link == site->link && site->said_ms == world->now_ms && order->after < site->said_last)
        laws_broken(world, site->number, "law 5: report %llu is sent again without a wait",
                    (unsigned long long)order->after + 1);
    site->said_most = last > site->said_most ? last : site->said_most;
    site->said_link = site->link;
    site->said_ms = world->now_ms;
    site->said_last = last;
}

void laws_told_clock(struct world *world, struct site *site)
{
    int64_t believed_ms = site_mono_ms(world, site) + site->clock_ms;
    if (!site->clock_known)
        return;
    if (believed_ms < world->now_ms)
        laws_broken(world, site->number, "law 6: it takes the controller's clock for %lld ms earlier than it is",
                    (long long)(world->now_ms - believed_ms));
    if (site->answered && site->answered_ms - site->clock_skew_ms > site->seen_ms)
        laws_broken(world, site->number, "law 6: it believes that it was heard, %lld ms after its last word came in",
                    (long long)(site->answered_ms - site->clock_skew_ms - site->seen_ms));
}

void laws_spoke(struct world *world, struct site *site, int64_t due_ms)
{
    int64_t clock_ms = 0;
    if (site->gone > site->said_most)
        laws_broken(world, site->number, "law 5: report %llu is forgotten, and was never sent",
                    (unsigned long long)site->gone);
    if (due_ms <= site_mono_ms(world, site))
        laws_broken(world, site->number, "law 6: it has something to say, and does not say it");
    if ((!site->linked || site->welcomed != site->link) && session_clock(&site->session, 0, &clock_ms))
        laws_broken(world, site->number, "law 6: it tells the controller's time, and was not told");
}
