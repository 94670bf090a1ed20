#include "harness/test.h"
#include <ftw.h>
#include <arpa/inet.h>
#include <limits.h>
#include <locale.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TESTS_MAX 512
static struct CMUnitTest tests[TESTS_MAX];
static size_t tests_count;
static char dirs[TESTS_MAX][64];
static size_t dirs_count;

void test_register(const char *name, CMUnitTestFunction fn)
{
    if (tests_count == TESTS_MAX)
        abort();
    tests[tests_count++] = (struct CMUnitTest){ .name = name, .test_func = fn };
}

const char *test_dir(void)
{
    const char *base = getenv("TMPDIR");
    if (dirs_count == TESTS_MAX)
        abort();
    char *dir = dirs[dirs_count++];
    (void)snprintf(dir, sizeof dirs[0], "%.40s/confleet-XXXXXX",
                   base && base[0] == '/' ? base : "/tmp");
    if (!mkdtemp(dir))
        abort();
    return dir;
}

static bool can_listen(unsigned port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)port) };
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0)
        abort();
    bool is_free = bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
    (void)close(fd);
    return is_free;
}

int test_free_port(void)
{
    for (int tries = 0; tries < 1000; tries++) {
        unsigned random = 0;
        if (getrandom(&random, sizeof random, 0) != sizeof random)
            abort();
        unsigned port = 10000 + random % 22000;
        if (can_listen(port))
            return (int)port;
    }
    abort();
}

void test_wait_free(const char *endpoint)
{
    const char *colon = endpoint ? strrchr(endpoint, ':') : NULL;
    unsigned port = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
    for (int turn = 0; port && turn < 1000 && !can_listen(port); turn++)
        (void)poll(NULL, 0, 10);
}

const char *test_shared(const char *name)
{
    static char path[PATH_MAX];
    const char *base = getenv("CONFLEET_SHARED");
    (void)snprintf(path, sizeof path, "%s/%s", base ? base : "../shared", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    (void)remove(path); /* a leftover of a test that failed is no failure of its own */
    return 0;
}

int main(void)
{
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    int failed = _cmocka_run_group_tests("tests", tests, tests_count, NULL, NULL);
    for (size_t i = 0; i < dirs_count; i++)
        (void)nftw(dirs[i], remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return failed != 0;
}
