#include "agent/edge/memory.h"
#include "confleet/cleanup.h"
#include <malloc.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

/* Text alone: it is never written, so nothing can be lost. Data and relocated pages are left as
 * they are. */
static void text_drop(const char *line)
{
    uintptr_t from = 0, to = 0;
    char mode[5] = "";
    unsigned long long inode = 0;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %llu", &from, &to, mode, &inode) == 4 &&
        strcmp(mode, "r-xp") == 0 && inode != 0)
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* a hint: refusing it is fine */
}

void memory_give_back(void)
{
    CLEANUP(close_file) FILE *maps = fopen("/proc/self/maps", "re");
    char line[4352];
    while (maps && fgets(line, sizeof line, maps))
        text_drop(line);
    (void)malloc_trim(0);
}
