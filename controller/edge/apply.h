/* apply - judges a signed plan or decision before anything follows from it.
 *
 * Nothing in a plan is evaluated here: it is compared with the inventory and refused when they
 * differ. The agents verify the same signature again; this check is so that a wrong plan fails at
 * once and in words. */
#pragma once
#include "controller/edge/requests_inside.h"

/* The operator whose key signed the payload; FAIL_SIGNATURE, FAIL_DENIED when the role is too low.
 */
int signed_check(struct ask *ask, const Confleet__SignedText *text, const char *context,
                 const struct operator** ret_signer, struct err *err) MUST_USE;
/* Decoded plan, in the pool, when it may start now. */
int plan_check(struct ask *ask, const Confleet__SignedText *text, const Confleet__Plan **ret_plan,
               const struct operator** ret_signer, struct err *err) MUST_USE;
int decision_check(struct ask *ask, const Confleet__SignedText *text,
                   const struct rollout_case *rollout, const Confleet__Decision **ret,
                   const struct operator** ret_signer, struct err *err) MUST_USE;
/* Decisions of kind "waive", by an operator or an admin. What is over already lifts, and is no
 * error. */
int waive_check(struct ask *ask, const Confleet__SignedText *text, const Confleet__Decision **ret,
                const struct operator** ret_signer, struct err *err) MUST_USE;
/* FAIL_BUSY when the site is at work or held in a rollout other than this one. */
int site_is_free(struct ask *ask, const char *name, const char *besides, struct err *err) MUST_USE;
