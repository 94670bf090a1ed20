#include "controller/edge/intake.h"

#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <stdlib.h>
#include <string.h>

struct line {
    struct waiting *first, **end;
};

struct intake {
    struct line lines[INTAKE_LINES];
    size_t count, bytes;
};

struct intake *intake_new(void)
{
    struct intake *intake = mem_zero(1, sizeof *intake);
    for (size_t i = 0; i < INTAKE_LINES; i++)
        intake->lines[i].end = &intake->lines[i].first;
    return intake;
}

void waiting_free(struct waiting **waiting)
{
    if (!*waiting)
        return;
    link_in_close(&(*waiting)->in);
    free(*waiting);
    *waiting = NULL;
}

void intake_free(struct intake **intake)
{
    if (!*intake)
        return;
    for (enum intake_line line = 0; line < INTAKE_LINES; line++)
        for (struct waiting *item; (item = intake_next(*intake, line)) != NULL;)
            waiting_free(&item);
    free(*intake);
    *intake = NULL;
}

int intake_fill(struct intake *intake, struct link_server *server, struct err *err)
{
    while (intake->count < INTAKE_FRAMES_MAX && intake->bytes < INTAKE_BYTES_MAX) {
        struct waiting *item = mem_zero(1, sizeof *item);
        int got = link_server_recv(server, &item->in, err);
        if (got <= 0) {
            free(item);
            return got;
        }
        bool person = strncmp(item->in.id, "operator:", strlen("operator:")) == 0;
        struct line *line = &intake->lines[person ? INTAKE_OPERATORS : INTAKE_OTHERS];
        *line->end = item;
        line->end = &item->next;
        intake->count++;
        intake->bytes += item->in.len;
    }
    return 0;
}

struct waiting *intake_next(struct intake *intake, enum intake_line line_number)
{
    struct line *line = &intake->lines[line_number];
    struct waiting *item = line->first;
    if (!item)
        return NULL;
    line->first = item->next;
    if (!line->first)
        line->end = &line->first;
    item->next = NULL;
    intake->count--;
    intake->bytes -= item->in.len;
    return item;
}

size_t intake_count(const struct intake *intake)
{
    return intake->count;
}
