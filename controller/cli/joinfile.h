/* joinfile - what a new machine is told, made from a token of the controller and from what this
 * command has pinned itself.
 *
 * Invariant: endpoints, controller key and this operator's signing key are those of this account,
 * never those of the reply, so that a controller that was taken over cannot put its own in their
 * place. The other operators' keys are the controller's word: they are printed, for a person to
 * compare. */
#pragma once
#include "confleet.pb-c.h"
#include "confleet/keys.h"

/* *join is zeroed by the caller. Own key first, then those whose role may sign plans and that are
 * not revoked. */
int joinfile_make(const struct join *own, const struct keys *keys, const Confleet__TokenView *token,
                  struct join *join, struct err *err) MUST_USE;
