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
/* One field by the name of its column; an empty text clears it. NULL: done; else what is wrong with
 * the text, or with the name. */
const char *catalogue_field_set(struct catalogue_release *release, const char *column,
                                const char *text) MUST_USE;
/* The first spelling of the column: some have two. NULL: no field. */
const char *catalogue_field_name(const char *column);
/* The shipped form: a header line that names the columns, then one release a line; quoting as in
 * RFC 4180. Unknown columns are ignored. FAIL_CORRUPT names file, line and column. At most 4 MiB
 * and 20,000 lines. */
int catalogue_load(const char *csv_path, struct catalogue **ret, struct err *err) MUST_USE;
int catalogue_parse(const char *name, const char *text, size_t len, struct catalogue **ret,
                    struct err *err) MUST_USE;
/* Where the releases lie that came with the running program, seen from it: installed or built.
 * Owned; when there are none, the place where they are missing. */
char *catalogue_shipped(void);
struct catalogue *catalogue_new(void);
void catalogue_free(struct catalogue **catalogue); /* fits CLEANUP() */
/* Takes the place of the entry of the same version, field by field: an empty field keeps what was
 * known. Its text must be a version; from the wire, one whose text is none is left out. */
void catalogue_put(struct catalogue *catalogue, const struct catalogue_release *release);
void catalogue_put_wire(struct catalogue *catalogue, const Confleet__Release *release);
const struct catalogue_release *catalogue_find(const struct catalogue *catalogue,
                                               const char *version); /* NULL */
const struct catalogue_release *catalogue_at(const struct catalogue *catalogue,
                                             size_t at); /* NULL at the end */

/* An entry as a message that borrows the entry's texts. */
struct catalogue_wire {
    Confleet__Release release;
    Confleet__KeyValue platforms[4], *platform_list[4];
};
void catalogue_wire_fill(struct catalogue_wire *wire, const struct catalogue_release *release);

/* Feature versions whose notes are to be read before going from one version to another: each after
 * from's own up to target's, as far as the catalogue has a release of it; target's always. Empty
 * within one feature version. */
#define CATALOGUE_NOTES_MAX 4
struct catalogue_feature {
    char name[24]; /* such as 9.0 */
    const struct catalogue_release
        *noted[CATALOGUE_NOTES_MAX]; /* those with a note or its address */
    size_t noted_count;              /* zero: no note is known */
};
/* How many there are; fills at most max. Zero too when one of the texts is no version. */
size_t catalogue_features(const struct catalogue *catalogue, const char *from, const char *target,
                          struct catalogue_feature *ret, size_t max);

/* The way from one version to another by the fewest direct upgrades. count zero and !known: it
 * cannot be told, since some floor on the way is not known, or one of the versions; why says which.
 * Within one feature version the upgrade is always direct (facts/confluence 6). */
struct catalogue_path {
    size_t count;
    char hops[CATALOGUE_HOPS_MAX][64]; /* the last one is the target */
    bool known;
    bool below_floor; /* the target's floor is known, and from lies below it */
    char why[512];
};
struct catalogue_from {
    const char *version;
    uint32_t build; /* zero: not known */
};
void catalogue_path_find(const struct catalogue *catalogue, const struct catalogue_from *from,
                         const char *target, struct catalogue_path *ret);
