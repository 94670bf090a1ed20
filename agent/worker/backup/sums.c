/* What all names of a manifest come to. */
#include "confleet/cleanup.h"
#include "manifest_read.h"
#include <string.h>

#define OUTSIDE_MAX 8 /* links named in a note; a customer with more has more to read than a note */

/* A relative target that climbs no further than its own folder is deep stays inside. */
static bool leads_outside(const struct manifest *m, const struct entry *entry)
{
    const char *root = m->root[entry->tree];
    size_t len = strlen(root);
    if (entry->target[0] == '/')
        return strncmp(entry->target, root, len) != 0 ||
               (entry->target[len] != '/' && entry->target[len] != '\0');
    int depth = 0;
    for (const char *c = entry->path; *c; c++)
        depth += *c == '/';
    for (const char *part = entry->target; *part;) {
        size_t n = strcspn(part, "/");
        depth += n == 2 && strncmp(part, "..", 2) == 0  ? -1
                 : n == 0 || (n == 1 && part[0] == '.') ? 0
                                                        : 1;
        if (depth < 0)
            return true;
        part += n + (part[n] == '/');
    }
    return false;
}

void sums_add(struct sums *sums, const struct manifest *manifest, const struct entry *entry)
{
    sums->names++;
    sums->bytes += entry->size;
    if (entry->changed && sums->changed++ < SUMS_NAMED)
        str_addf(&sums->changed_names, "%s%s", sums->changed > 1 ? ", " : "", entry->path);
    if (entry->type == ENTRY_LINK && leads_outside(manifest, entry) &&
        sums->outside++ < OUTSIDE_MAX)
        str_addf(&sums->outside_links, "%s/%s leads to %s\n", manifest->root[entry->tree],
                 entry->path, entry->target);
}

void manifest_sum(const struct manifest *manifest, struct sums *ret)
{
    *ret = (struct sums){ 0 };
    if (manifest->file || manifest->spill) {
        const struct sums *sums = &manifest->sums;
        ret->names = sums->names;
        ret->changed = sums->changed;
        ret->outside = sums->outside;
        ret->bytes = sums->bytes;
        str_add(&ret->changed_names, str_text(&sums->changed_names));
        str_add(&ret->outside_links, str_text(&sums->outside_links));
    }
    for (size_t i = 0; !manifest->file && !manifest->spill && i < manifest->entry_count; i++)
        sums_add(ret, manifest, &manifest->entries[i]);
    if (ret->outside > OUTSIDE_MAX)
        str_addf(&ret->outside_links, "and %zu more\n", ret->outside - OUTSIDE_MAX);
}

void sums_free(struct sums *sums)
{
    str_free(&sums->changed_names);
    str_free(&sums->outside_links);
    *sums = (struct sums){ 0 };
}
