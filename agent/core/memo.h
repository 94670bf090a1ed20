/* memo - names that agent and worker both know: in a run's memo (the worker's other names are in job.h) and in the folder of a
 * backup. */
#pragma once

#define MEMO_HOT_BACKUP "hot-backup"            /* id of the verified hot backup */
#define MEMO_STOP_BACKUP "stop-backup"          /* id of the capture taken at the stop */
#define MEMO_STOP_CAPTURE "stop-capture"        /* how the database is captured, and why so: "dump: …" */

/* Empty file in a backup's folder: the controller knows it not, or otherwise, since it was made or proven by hand, or its proof
 * was taken away. The job "expire" lists such ones; the agent removes the file when that is in its journal. */
#define BACKUP_UNTOLD "untold"
