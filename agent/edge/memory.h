/* memory - gives back what only the start, or the job that just ended, has needed.
 *
 * An agent sleeps for weeks beside somebody's Confluence. Pages of program text are the kernel's to
 * load again when they are wanted; dropping them costs a few soft faults and nothing else. */
#pragma once

void memory_give_back(void);
