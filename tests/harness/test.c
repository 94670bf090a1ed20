#include "harness/test.h"
#include <ftw.h>
#include <limits.h>
#include <locale.h>
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
    (void)snprintf(dir, sizeof dirs[0], "%.40s/confleet-XXXXXX", base && base[0] == '/' ? base : "/tmp");
    if (!mkdtemp(dir))
        abort();
    return dir;
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
    (void)remove(path);        /* a leftover of a test that failed is no failure of its own */
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
