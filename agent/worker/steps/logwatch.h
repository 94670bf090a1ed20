/* logwatch - follows one growing log from an offset and knows the lines that decide an upgrade.
 *
 * Reads no more than WATCH_CHUNK a call, survives rotation (the rest of FILE.1 is read first) and a file that is not there
 * yet. Judges lines alone; whether the site is well is for others to decide. Facts 3.1, 4.2, 8. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include <stdint.h>

#define WATCH_CHUNK (1024 * 1024)
#define WATCH_LINE_MAX 4096

struct logwatch {
    char *path;
    uint64_t offset;
    uint32_t run_uid;                /* whose log is read, beside root's and that of its folder's owner */
    uint64_t inode;                  /* of the file that offset belongs to; zero: none seen yet */
    struct str rest;                 /* of a line that is not complete yet */
    bool upgrade_started, upgraded, running, ready;
    bool failed;                     /* a line that no start recovers from */
    char failure[400];               /* the first such line, or the first that hints at one */
    char last[200];                  /* newest line, for people; secrets masked */
};
void logwatch_open(struct logwatch *watch, const char *path, uint64_t offset);
void logwatch_close(struct logwatch *watch);                      /* fits CLEANUP() */
bool logwatch_poll(struct logwatch *watch);                       /* whether it grew */
void logwatch_line(struct logwatch *watch, const char *line);     /* judges one line */
uint64_t logwatch_size(const char *path);                         /* zero when it is not there */
