#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "controller/cli/audit_chain.h"
#include "controller/cli/client.h"
#include <inttypes.h>
#include <string.h>

#define PAGE 500

static int page(struct cli *cli, uint64_t after, uint32_t limit, struct answer *ret,
                struct err *err)
{
    Confleet__AskAudit audit = CONFLEET__ASK_AUDIT__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    audit.after = after;
    audit.limit = limit;
    request.what_case = CONFLEET__REQUEST__WHAT_AUDIT;
    request.audit = &audit;
    return ask(cli, &request, ret, err);
}

static void record_add(struct cli *cli, const Confleet__AuditView *record, struct str *text)
{
    char when[32], head[64];
    if (cli_flag(cli, "json")) {
        json_one(text, "audit", &record->base);
        return;
    }
    (void)snprintf(head, sizeof head, "%6" PRIu64 "  %s  ", record->seq,
                   time_word(record->at_ms, when));
    str_add(text, head);
    out_clean(text, record->who);
    str_add(text, "  ");
    out_tone(text, &cli->out, TONE_BOLD, record->what);
    str_add(text, "  ");
    out_clean(text, record->detail);
    str_add(text, "\n");
}

int cmd_audit_list(struct cli *cli, struct err *err)
{
    uint64_t after = 0;
    int result = cli_number(cli, "after", UINT64_MAX, &after, err);
    if (result != 0)
        return result;
    for (;;) {
        CLEANUP(answer_free) struct answer answer = { 0 };
        CLEANUP(str_free) struct str text = { 0 };
        result = page(cli, after, PAGE, &answer, err);
        if (result != 0)
            return result;
        for (size_t i = 0; i < answer.reply->n_audit; i++) {
            record_add(cli, answer.reply->audit[i], &text);
            after = answer.reply->audit[i]->seq;
        }
        result = out_write(&cli->out, &text, err);
        if (result != 0 || answer.reply->n_audit == 0)
            return result;
    }
}

int cmd_audit_verify(struct cli *cli, struct err *err)
{
    struct audit_chain chain = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    for (size_t got = 1; got > 0;) {
        CLEANUP(answer_free) struct answer answer = { 0 };
        int result = page(cli, chain.seq, PAGE, &answer, err);
        got = result == 0 ? answer.reply->n_audit : 0;
        for (size_t i = 0; result == 0 && i < got; i++)
            result = audit_chain_add(&chain, answer.reply->audit[i], err);
        if (result == -FAIL_CORRUPT) {
            str_add(&text, "confleet: ");
            out_clean(&text, err->text);
            str_add(&text, "\n");
            out_show(&cli->note, &text); /* the exit status says it too */
            return EXIT_INCONSISTENT;
        }
        if (result != 0)
            return result;
    }
    if (cli_flag(cli, "json"))
        str_addf(&text, "{\"schema\":%d,\"records\":\"%" PRIu64 "\",\"head\":\"%s\"}\n", OUT_SCHEMA,
                 chain.seq, chain.hash);
    else
        str_addf(&text, "audit: %" PRIu64 " records, unbroken; head %s\n", chain.seq,
                 chain.seq ? chain.hash : "-");
    return out_write(&cli->out, &text, err);
}
