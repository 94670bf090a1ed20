/* What a running order knows of itself, and its way of telling the agent. Which code an order means is in dispatch.c. */
#include "agent/worker/job.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <assert.h>
#include <string.h>

#define PROGRESS_GAP_MS 100
#define TEXT_MAX_LEN 2000            /* evidence and log lines; the wire refuses longer ones */
#define FINDINGS_MAX 400
#define MEMO_MAX 64

struct job {
    const Confleet__WorkerOrder *order;
    Confleet__WorkerResult *result;
    int out_fd;
    int64_t progress_ms;
    int blocks;
};

/* protobuf-c's default allocator frees these. */
static void *message_new(const ProtobufCMessageDescriptor *descriptor)
{
    void *message = mem_zero(1, descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    return message;
}

struct job *job_new(const Confleet__WorkerOrder *order, int out_fd)
{
    assert(order);
    struct job *job = mem_zero(1, sizeof *job);
    job->order = order;
    job->out_fd = out_fd;
    job->result = message_new(&confleet__worker_result__descriptor);
    return job;
}

void job_free(struct job **job)
{
    if (!*job)
        return;
    confleet__worker_result__free_unpacked((*job)->result, NULL);
    free(*job);
    *job = NULL;
}

const Confleet__WorkerOrder *job_order(const struct job *job)
{
    return job->order;
}

const Confleet__WorkerNode *job_node(const struct job *job)
{
    static const Confleet__WorkerNode none = CONFLEET__WORKER_NODE__INIT;
    return job->order->node ? job->order->node : &none;
}

Confleet__WorkerResult *job_result(struct job *job)
{
    return job->result;
}

static Confleet__KeyValue *memo_find(Confleet__KeyValue *const *memo, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(memo[i]->key, key) == 0)
            return memo[i];
    return NULL;
}

const char *job_memo(const struct job *job, const char *key)
{
    const Confleet__KeyValue *pair = memo_find(job->result->memo, job->result->n_memo, key);
    if (!pair)
        pair = memo_find(job->order->memo, job->order->n_memo, key);
    return pair ? pair->value : "";
}

void job_memo_set(struct job *job, const char *key, const char *format, ...)
{
    struct str text = { 0 };
    va_list ap;
    va_start(ap, format);
    str_vaddf(&text, format, ap);
    va_end(ap);
    Confleet__WorkerResult *result = job->result;
    Confleet__KeyValue *pair = memo_find(result->memo, result->n_memo, key);
    if (pair) {
        free(pair->value);
    } else {
        assert(result->n_memo < MEMO_MAX);
        pair = message_new(&confleet__key_value__descriptor);
        pair->key = text_dup(key);
        result->memo = mem_grow(result->memo, result->n_memo + 1, sizeof *result->memo);
        result->memo[result->n_memo++] = pair;
    }
    pair->value = text_dup(str_text(&text));
    str_free(&text);
}

/* A reply that cannot be written is dropped: the agent is gone then, and what matters is in the result. */
static int reply_send(struct job *job, const Confleet__WorkerReply *reply)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    if (job->out_fd < 0)
        return 0;
    wire_pipe_add(&bytes, &reply->base);
    return fs_write_all(job->out_fd, bytes.s, bytes.len, NULL);
}

int job_end(struct job *job)
{
    Confleet__WorkerReply reply = CONFLEET__WORKER_REPLY__INIT;
    reply.body_case = CONFLEET__WORKER_REPLY__BODY_RESULT;
    reply.result = job->result;
    return reply_send(job, &reply);
}

/* Text for the wire: valid UTF-8, of bounded length, cut at a character. Owned by the caller. */
static char *text_for_wire(const char *format, va_list ap) FORMAT(1, 0);
static char *text_for_wire(const char *format, va_list ap)
{
    struct str text = { 0 };
    str_vaddf(&text, format, ap);
    if (text.len > TEXT_MAX_LEN) {
        size_t end = TEXT_MAX_LEN;
        while (end > 0 && ((unsigned char)text.s[end] & 0xc0) == 0x80)
            end--;
        text.s[end] = 0;
        text.len = end;
    }
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.s[i] < ' ' && text.s[i] != '\n' && text.s[i] != '\t')
            text.s[i] = ' ';
    if (!text_is_utf8(str_text(&text), text.len))
        for (size_t i = 0; i < text.len; i++)
            if ((unsigned char)text.s[i] >= 0x80)
                text.s[i] = '?';
    char *owned = text_dup(str_text(&text));
    str_free(&text);
    return owned;
}

static char *say(const char *format, ...) FORMAT(1, 2);
static char *say(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    char *text = text_for_wire(format, ap);
    va_end(ap);
    return text;
}

void job_found(struct job *job, const Confleet__Finding *found)
{
    Confleet__WorkerResult *result = job->result;
    if (found->severity == CONFLEET__SEVERITY__BLOCK && found->waived_until_ms == 0)
        job->blocks++;
    if (result->n_findings >= FINDINGS_MAX)
        return;
    Confleet__Finding *finding = message_new(&confleet__finding__descriptor);
    finding->id = say("%s", found->id);
    finding->severity = found->severity;
    finding->title = say("%s", found->title);
    finding->evidence = say("%s", found->evidence);
    finding->remedy = say("%s", found->remedy);
    finding->family = say("%s", found->family);
    finding->rule = say("%s", found->rule);
    finding->at_ms = found->at_ms;
    finding->waived_by = say("%s", found->waived_by);
    finding->waive_reason = say("%s", found->waive_reason);
    finding->waived_until_ms = found->waived_until_ms;
    result->findings = mem_grow(result->findings, result->n_findings + 1, sizeof *result->findings);
    result->findings[result->n_findings++] = finding;
    Confleet__WorkerReply reply = CONFLEET__WORKER_REPLY__INIT;
    reply.body_case = CONFLEET__WORKER_REPLY__BODY_FINDING;
    reply.finding = finding;
    (void)reply_send(job, &reply); /* the result carries it again */
}

void job_finding(struct job *job, const char *id, Confleet__Severity severity, const char *title,
                 const char *remedy, const char *evidence_format, ...)
{
    Confleet__Finding finding = CONFLEET__FINDING__INIT;
    CLEANUP(str_free) struct str evidence = { 0 };
    va_list ap;
    va_start(ap, evidence_format);
    str_vaddf(&evidence, evidence_format, ap);
    va_end(ap);
    finding.id = (char *)(uintptr_t)id;
    finding.severity = severity;
    finding.title = (char *)(uintptr_t)title;
    finding.remedy = (char *)(uintptr_t)(remedy ? remedy : "");
    finding.evidence = (char *)(uintptr_t)str_text(&evidence);
    job_found(job, &finding);
}

int job_blocks(const struct job *job)
{
    return job->blocks;
}

void job_progress(struct job *job, uint64_t done, uint64_t total, const char *format, ...)
{
    int64_t now = clock_mono_ms();
    if (job->progress_ms && now - job->progress_ms < PROGRESS_GAP_MS)
        return;
    job->progress_ms = now;
    va_list ap;
    va_start(ap, format);
    CLEANUP(free_mem) char *text = text_for_wire(format, ap);
    va_end(ap);
    const Confleet__WorkerOrder *order = job->order;
    Confleet__Progress progress = CONFLEET__PROGRESS__INIT;
    progress.step = order->step[0] ? order->step : order->job;
    progress.done = done;
    progress.total = total;
    progress.text = text;
    Confleet__WorkerReply reply = CONFLEET__WORKER_REPLY__INIT;
    reply.body_case = CONFLEET__WORKER_REPLY__BODY_PROGRESS;
    reply.progress = &progress;
    (void)reply_send(job, &reply);        /* only for people's eyes */
}

void job_log(struct job *job, int level, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    CLEANUP(free_mem) char *text = text_for_wire(format, ap);
    va_end(ap);
    Confleet__LogEvent event = CONFLEET__LOG_EVENT__INIT;
    event.level = (uint32_t)level;
    event.text = text;
    Confleet__WorkerReply reply = CONFLEET__WORKER_REPLY__INIT;
    reply.body_case = CONFLEET__WORKER_REPLY__BODY_LOG;
    reply.log = &event;
    (void)reply_send(job, &reply);        /* only for people's eyes */
}
