/* memo - names in a run's memo that agent and worker both know; the worker's other names are in job.h. */
#pragma once

#define MEMO_HOT_BACKUP "hot-backup"            /* id of the verified hot backup */
#define MEMO_STOP_BACKUP "stop-backup"          /* id of the capture taken at the stop */
#define MEMO_STOP_CAPTURE "stop-capture"        /* how the database is captured, and why so: "dump: …" */
