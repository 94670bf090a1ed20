/* What the upgrade's merge would make of this site's files, tried on copies. */
#include "agent/worker/checks/facts_custom.h"

void facts_custom_merge(const struct gather_source *source, int64_t until_mono_ms,
                        struct custom_merge *ret)
{
    (void)source, (void)until_mono_ms;
    (void)snprintf(ret->why, FACT_TEXT, "the merge is not tried yet");
}
