/* Extensions of PostgreSQL with rows, an index and a view that are nothing without them. */
#include "copies.h"

#define NEEDS_EXTENSIONS                                                                           \
    NEEDS_SERVER;                                                                                  \
    if (cluster_ask("postgres", "SELECT 1 FROM pg_available_extensions WHERE name IN ('hstore', "  \
                                "'pg_trgm') HAVING count(*) = 2")[0] == '\0')                      \
    TEST_SKIP("no hstore and pg_trgm on this host")

/* What is asked of them: the extensions with their versions, what a value holds, that the index is
 * there and of its kind, and what the view says. */
#define ANSWER                                                                                     \
    "SELECT concat_ws(' ', (SELECT string_agg(extname || extversion || ' in ' || "                 \
    "extnamespace::regnamespace, ',' ORDER BY extname) FROM pg_extension WHERE extname <> "        \
    "'plpgsql'), (SELECT h OPERATOR(tools.->) 'b' FROM public.pairs), (SELECT indexdef FROM "      \
    "pg_indexes WHERE "                                                                            \
    "indexname = 'by_trigram'), (SELECT like_it FROM public.alike), (SELECT "                      \
    "count(*) FROM public.content WHERE t LIKE '%age 49%'))"

static void furnish_extensions(struct world *w)
{
    furnish(w);
    clear_copies();
    cluster_sql(
        "conf", "wiki",
        "CREATE SCHEMA tools; CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore SCHEMA "
        "tools; CREATE TABLE pairs (h tools.hstore); INSERT INTO pairs VALUES "
        "('a=>1, b=>\"x y\"'); CREATE INDEX by_trigram ON content USING gin (t "
        "gin_trgm_ops); CREATE VIEW alike AS SELECT similarity('word', 'words') AS like_it");
}

static void break_extensions(struct world *w)
{
    damage(w);
    cluster_sql("postgres", "wiki",
                "DROP EXTENSION pg_trgm CASCADE; DROP EXTENSION hstore CASCADE");
}

TEST(extensions_survive_a_dump_its_proof_and_a_restore)
{
    NEEDS_EXTENSIONS;
    CLEANUP(world_free) struct world w;
    furnish_extensions(&w);
    CLEANUP(free_mem) char *before = text_dup(cluster_ask("wiki", ANSWER));
    CHECK_HAS(before, "hstore1.8 in tools,pg_trgm1.6 in public x y CREATE INDEX by_trigram");
    STEP(&w, "backup");
    STEP(&w, "verify");
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
    CHECK_HAS(w.note, "site's own server");
    w.node.scratch = (char *)(uintptr_t) "local";
    STEP(&w, "verify");
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
    CHECK_HAS(w.note, "throw-away server");
    w.node.scratch = (char *)(uintptr_t) "auto";
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    world_fingerprint(&w, "before", false);
    break_extensions(&w);
    go_back(&w);
    CHECK_STR(cluster_ask("wiki", ANSWER), before);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}

TEST(extensions_survive_a_copy_and_the_dump_of_it)
{
    NEEDS_EXTENSIONS;
    CLEANUP(world_free) struct world w;
    furnish_extensions(&w);
    CLEANUP(free_mem) char *before = text_dup(cluster_ask("wiki", ANSWER));
    w.node.stop_capture = (char *)(uintptr_t) "copy";
    STEP(&w, "capture-files");
    STEP(&w, "capture-database");
    world_fingerprint(&w, "before", false);
    STEP(&w, "prove-capture");
    CHECK_INT(w.level, CONFLEET__BACKUP_LEVEL__RESTORED);
    break_extensions(&w);
    go_back(&w);
    CHECK_STR(cluster_ask("wiki", ANSWER), before);
    CHECK_STR(cluster_ask("postgres", LEFT), "wiki_confleet_failed");
    tidy(&w, tidy_back);
    CHECK_STR(cluster_ask("postgres", LEFT), "");
}
