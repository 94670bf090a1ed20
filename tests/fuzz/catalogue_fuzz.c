/* A catalogue comes from operators' files: whatever the bytes, an error with its place, or releases
 * in order whose way to each other can be asked for. */
#include "confleet/catalogue.h"
#include "confleet/cleanup.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    CLEANUP(catalogue_free) struct catalogue *again = catalogue_new();
    struct catalogue_path path;
    struct catalogue_feature features[4];
    struct err err = { 0 };
    size_t count = 0;
    if (catalogue_parse("c", (const char *)data, size, &catalogue, &err) != 0) {
        assert(strncmp(err.text, "c:", 2) == 0);
        return 0;
    }
    for (; catalogue_at(catalogue, count); count++) {
        struct catalogue_wire wire;
        catalogue_wire_fill(&wire, catalogue_at(catalogue, count));
        catalogue_put_wire(again, &wire.release);
        assert(memcmp(catalogue_at(again, count), catalogue_at(catalogue, count),
                      sizeof(struct catalogue_release)) == 0);
        assert(count == 0 || version_compare(&catalogue_at(catalogue, count - 1)->version,
                                             &catalogue_at(catalogue, count)->version) < 0);
    }
    if (count == 0)
        return 0;
    struct catalogue_from from = { catalogue_at(catalogue, 0)->text,
                                   catalogue_at(catalogue, 0)->build };
    const char *target = catalogue_at(catalogue, count - 1)->text;
    catalogue_path_find(catalogue, &from, target, &path);
    assert(path.known == (path.count > 0) && path.count <= CATALOGUE_HOPS_MAX);
    assert(path.count == 0 || strcmp(path.hops[path.count - 1], target) == 0);
    (void)catalogue_features(catalogue, from.version, target, features, 4);
    return 0;
}
