/* waivers - which findings of a site a person has set aside, as far as this agent believes it.
 *
 * The controller only carries the signed texts. Each counts here by the keys of this agent's own
 * controller file: signed by an operator or an admin, for this fleet, this very site and one check,
 * in force now, and of a check that may be waived at all (confleet/waiver.h). One that does not
 * count is left out and said; what it was to set aside stops the upgrade as before.
 *
 * A lifted waiver ends when the controller sends it no more, or at its time. */
#pragma once
#include "agent/edge/trust.h"
#include "confleet/waiver.h"

struct waivers { /* all zero: none */
    Confleet__Waiver items[WAIVERS_SITE_MAX], *list[WAIVERS_SITE_MAX];
    size_t count;
};
/* The texts live in the arena. Each refusal goes to `refused`, which may be NULL. */
typedef void waiver_refused_fn(void *arg, const char *why);
void waivers_take(const struct join *controller, struct arena *arena,
                  Confleet__SignedText *const *texts, size_t count, const char *site,
                  int64_t now_ms, waiver_refused_fn *refused, void *arg, struct waivers *ret);

/* Kept with a run, in the journal's transaction of that run, and read back for each step that asks
 * for readiness: they are judged anew each time. */
int waivers_keep(struct journal *journal, const char *run, Confleet__SignedText *const *texts,
                 size_t count, struct err *err) MUST_USE;
bool waivers_is_memo(const char *key);
/* key and value of one memo, as kept; false when it is none, or spoilt. */
bool waivers_read(struct arena *arena, const char *key, const char *value,
                  Confleet__SignedText **ret);
