/* catalogue - what is known of Confluence's releases: dates, builds, floors, Java, platforms,
 * notes.
 *
 * Plain facts with their source, from the CSV that is shipped and from operators' own entries,
 * which come before it. What has no source is empty, and whoever asks says unknown. It never maps a
 * build number to a version. */
#pragma once
#include "confleet/err.h"
#include "confleet/version.h"
#include "confleet/wire.h"

#define CATALOGUE_JAVA_MAX 8
#define CATALOGUE_HOPS_MAX 12
struct catalogue_release { /* texts are "" and numbers zero where nothing is known */
    char text[64];         /* the version as written */
    struct version version;
    uint32_t build;
    char date[16], eol[16];           /* yyyy-mm-dd */
    char lts[8], data_center_only[8]; /* "yes", "no", "" */
    char floor_version[64];           /* oldest version that may be upgraded to it directly */
    uint32_t floor_build;
    uint32_t java[CATALOGUE_JAVA_MAX];
    size_t java_count;
    char postgresql[64], mysql[64], sqlserver[64], oracle[64]; /* such as 12-16, or 12,14-16 */
    char note[1024], note_url[256], source[128];
};

struct catalogue; /* sorted by version */
/* The shipped form: a header line that names the columns, then one release a line; quoting as in
 * RFC 4180. Unknown columns are ignored. FAIL_CORRUPT names file, line and column. At most 4 MiB
 * and 20,000 lines. */
int catalogue_load(const char *csv_path, struct catalogue **ret, struct err *err) MUST_USE;
struct catalogue *catalogue_new(void);
void catalogue_free(struct catalogue **catalogue); /* fits CLEANUP() */
/* Takes the place of the entry of the same version, field by field: an empty field keeps what was
 * known. */
void catalogue_put(struct catalogue *catalogue, const struct catalogue_release *release);
void catalogue_put_wire(struct catalogue *catalogue, const Confleet__Release *release);
const struct catalogue_release *catalogue_find(const struct catalogue *catalogue,
                                               const char *version); /* NULL */
const struct catalogue_release *catalogue_at(const struct catalogue *catalogue,
                                             size_t at); /* NULL at the end */

/* The way from one version to another by direct upgrades. count zero and !known: some floor on the
 * way is not known, why says which. */
struct catalogue_path {
    size_t count;
    char hops[CATALOGUE_HOPS_MAX][64]; /* the last one is the target */
    bool known;
    char why[512];
};
struct catalogue_from {
    const char *version;
    uint32_t build; /* zero: not known */
};
void catalogue_path_find(const struct catalogue *catalogue, const struct catalogue_from *from,
                         const char *target, struct catalogue_path *ret);
