/* log - one line per event: stable name first, then logfmt fields. To stderr, with journald's priority prefix when
 * stderr is the journal, plain and timed otherwise. core/ and common/ do not log. Keys, tokens, passwords and licence
 * texts never reach a format string. */
#pragma once
#include "confleet/err.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

void log_open(const char *program, enum log_level least);
void log_line(enum log_level level, const char *event, const char *format, ...) FORMAT(3, 4);
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
