/* apps - what the controller said of apps with its last check, kept as a file for the worker, so
 * that a check before an upgrade and one by hand know it, too. */
#pragma once
#include "agent/edge/config.h"

/* Nothing said: the file goes. One that did not all come is not kept either. */
int apps_keep(const struct config *config, const Confleet__OrderCheck *check,
              struct err *err) MUST_USE;
