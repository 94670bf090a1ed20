#include "confleet/log.h"
#include "confleet/clock.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The log's sink is one of the few globals: a line can come from anywhere at an edge. */
static struct { const char *program; enum log_level least; bool journal; } sink = { "confleet", LOG_LEVEL_INFO, false };

void log_open(const char *program, enum log_level least)
{
    unsigned long device = 0, inode = 0;
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    sink.program = program;
    sink.least = least;
    sink.journal = stream && sscanf(stream, "%lu:%lu", &device, &inode) == 2 && fstat(2, &st) == 0
                   && st.st_dev == device && st.st_ino == inode;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    if (level > sink.least)
        return;
    static const char *const names[] = { "?", "?", "?", "error", "warn", "?", "info", "debug" };
    CLEANUP(str_free) struct str line = { 0 };
    char now[CLOCK_TEXT_MAX];
    if (sink.journal)
        str_addf(&line, "<%d>%s", (int)level, event);
    else
        str_addf(&line, "%s %s %s %s", clock_text(clock_wall_ms(), now), sink.program, names[level & 7], event);
    if (*format) {
        str_add(&line, " ");
        va_list ap;
        va_start(ap, format);
        str_vaddf(&line, format, ap);
        va_end(ap);
    }
    for (size_t i = 0; i < line.len; i++)      /* one event is one line, whatever a peer's text holds */
        if ((unsigned char)line.s[i] < 0x20 || line.s[i] == 0x7f)
            line.s[i] = ' ';
    str_add(&line, "\n");
    (void)!write(2, line.s, line.len);         /* there is nowhere left to complain */
}
