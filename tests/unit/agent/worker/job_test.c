#include "agent/worker/job.h"
#include "confleet/cleanup.h"
#include "harness/test.h"
#include <fcntl.h>

TEST(memo_of_the_job_wins_over_memo_of_the_order)
{
    Confleet__KeyValue old = CONFLEET__KEY_VALUE__INIT, *memo[] = { &old };
    old.key = (char *)"home", old.value = (char *)"/old";
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    order.memo = memo, order.n_memo = 1;
    CLEANUP(job_free) struct job *job = job_new(&order, -1);
    CHECK_STR(job_memo(job, "home"), "/old");
    CHECK_STR(job_memo(job, "nothing"), "");
    job_memo_set(job, "home", "/%s", "new");
    job_memo_set(job, "home", "/%s", "newer");
    CHECK_STR(job_memo(job, "home"), "/newer");
    CHECK_INT(job_result(job)->n_memo, 1);
}

TEST(findings_are_counted_and_their_text_fits_the_wire)
{
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    CLEANUP(job_free) struct job *job = job_new(&order, -1);
    char *longer = mem_zero(1, 5001);
    memset(longer, 'x', 5000);
    job_finding(job, "a", CONFLEET__SEVERITY__WARN, "title", NULL, "%s", longer);
    job_finding(job, "b", CONFLEET__SEVERITY__BLOCK, "title", "do this", "bad \xff\x01 bytes");
    free(longer);
    CHECK_INT(job_blocks(job), 1);
    CHECK_INT(job_result(job)->n_findings, 2);
    CHECK_INT(strlen(job_result(job)->findings[0]->evidence), 2000);
    CHECK_STR(job_result(job)->findings[1]->evidence, "bad ?  bytes");
}

TEST(replies_leave_as_whole_messages_and_progress_is_throttled)
{
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    Confleet__WorkerOrder order = CONFLEET__WORKER_ORDER__INIT;
    order.step = (char *)"stop";
    CLEANUP(job_free) struct job *job = job_new(&order, ends[1]);
    for (int i = 0; i < 50; i++)
        job_progress(job, (uint64_t)i, 50, "waiting for %d", i);
    char bytes[4096];
    ssize_t got = read(ends[0], bytes, sizeof bytes);
    CHECK(got > 8);
    size_t len = (size_t)(unsigned char)bytes[2] << 8 | (unsigned char)bytes[3];
    CHECK(len + 4 <= (size_t)got);
    Confleet__WorkerReply *reply = confleet__worker_reply__unpack(NULL, len, (const uint8_t *)bytes + 4);
    CHECK(reply && reply->body_case == CONFLEET__WORKER_REPLY__BODY_PROGRESS);
    CHECK_STR(reply->progress->text, "waiting for 0");
    CHECK_STR(reply->progress->step, "stop");
    CHECK((size_t)got < 5 * (len + 4));
    confleet__worker_reply__free_unpacked(reply, NULL);
    CHECK_INT(close(ends[0]) | close(ends[1]), 0);
}
