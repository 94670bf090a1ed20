/* bench-fleet - agents by the thousand for scripts/bench, and a bare libzmq loop as the limit. */
#include "bench/fleet.h"
#include "confleet/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zmq.h>

void need(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "bench-fleet: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(2);
}

void need_ok(int result, const struct err *err)
{
    if (result >= 0)
        return;
    (void)fprintf(stderr, "bench-fleet: %s\n", err->text);
    exit(2);
}

size_t need_number(const char *text)
{
    uint64_t number = 0;
    need(text_parse_u64(text, 1000000, &number), text);
    return (size_t)number;
}

double now_s(void)
{
    struct timespec now;
    need(clock_gettime(CLOCK_MONOTONIC, &now) == 0, "clock");
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void files_raise(void)
{
    struct rlimit limit;
    need(getrlimit(RLIMIT_NOFILE, &limit) == 0, "limit of open files");
    limit.rlim_cur = limit.rlim_max;
    need(setrlimit(RLIMIT_NOFILE, &limit) == 0, "limit of open files");
}

int main(int argc, char **argv)
{
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* what stdio holds back, epoll does not see */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    files_raise();
    if (argc > 1 && strcmp(argv[1], "agents") == 0)
        return fleet_agents(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "rival") == 0)
        return fleet_rival(argc - 2, argv + 2);
    (void)fprintf(stderr, "bench-fleet: agents or rival\n");
    return 1;
}
