/* runbook - the runbook's table, one step a line, for tests that must not forget a new step: name,
 * phase, who does it, what a failure means, and whether it has an undo. */
#include "agent/core/runbook.h"
#include <stdio.h>

int main(void)
{
    for (int i = 0; i < STEP_COUNT; i++) {
        const struct step_def *def = &runbook_steps[i];
        if (printf("%s %s %s %s %s\n", def->name, step_phase_name(def->phase),
                   def->actor == ACTOR_AGENT ? "agent" : "worker",
                   def->failure == FAILURE_NOTE ? "note" : "back", def->undo ? "undo" : "-") < 0)
            return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
