#include "controller/cli/commands.h"
#include "confleet/cleanup.h"
#include "controller/cli/client.h"
#include <string.h>
#include <time.h>

#define PAGE      500
#define FOLLOW_MS 1000

static void line_add(struct cli *cli, const Confleet__LogView *line, struct str *text)
{
    char when[32];
    if (cli_flag(cli, "json")) {
        json_one(text, "log", &line->base);
        return;
    }
    str_addf(text, "%s ", time_word(line->at_ms, when));
    enum tone tone = line->level <= 3 ? TONE_BAD : line->level == 4 ? TONE_WARN : TONE_PLAIN;
    out_tone(text, &cli->out, tone, line->text);
    str_add(text, "\n");
}

int cmd_logs(struct cli *cli, struct err *err)
{
    Confleet__AskLogs ask_logs = CONFLEET__ASK_LOGS__INIT;
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    const struct timespec pause = { .tv_sec = FOLLOW_MS / 1000 };
    ask_logs.agent = cli->args[0];
    ask_logs.limit = PAGE;
    request.what_case = CONFLEET__REQUEST__WHAT_LOGS;
    request.logs = &ask_logs;
    for (;;) {
        CLEANUP(answer_free) struct answer answer = { 0 };
        CLEANUP(str_free) struct str text = { 0 };
        int result = ask(cli, &request, &answer, err);
        if (result != 0)
            return result;
        for (size_t i = 0; i < answer.reply->n_logs; i++) {
            line_add(cli, answer.reply->logs[i], &text);
            ask_logs.after = answer.reply->logs[i]->seq;
        }
        result = out_write(&cli->out, &text, err);
        if (result != 0)
            return result;
        if (answer.reply->n_logs > 0)
            continue;
        if (!cli_flag(cli, "follow"))
            return EXIT_DONE;
        (void)nanosleep(&pause, NULL);
    }
}
