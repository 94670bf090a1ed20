/* jobs - check, backup and verify run on servers as a job: started by one request, then polled
 * until every site is through. */
#pragma once
#include "controller/cli/cli.h"
#include "controller/cli/client.h"

#define JOB_POLL_MS 400

bool job_state_is_over(const char *state); /* of a job or of one of its sites */
bool job_state_is_good(const char *state);
/* Takes over the first answer (a JobView); *ret holds the last one. FAIL_TIMEOUT after timeout_ms;
 * zero waits for ever. */
int job_wait(struct cli *cli, struct answer *first, int64_t timeout_ms, struct answer *ret,
             struct err *err) MUST_USE;
/* One line that says how far the job is. Pure. */
void job_line(const Confleet__JobView *job, struct str *to);
