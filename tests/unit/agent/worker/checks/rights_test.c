/* Facts about a real server, and what the judges make of them. */
#include "judge.h"
#include "../confluence/cluster.h"
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

static void gather(const char *name, const char *password, const char *admin, struct facts *ret)
{
    Confleet__WorkerNode node = CONFLEET__WORKER_NODE__INIT;
    node.database_admin = (char *)(uintptr_t)admin;
    *ret = good_facts();
    memset(&ret->database, 0, sizeof ret->database);
    memset(&ret->tools, 0, sizeof ret->tools);
    memset(&ret->site.database, 0, sizeof ret->site.database);
    cluster_site(name, password, &ret->site.database);
    facts_gather_database(&node, ret);
}

static void make_site(const char *name, const char *options)
{
    (void)cluster();
    CLEANUP(free_mem)
    char *role = text_printf("create role %s login password 'right' %s", name, options);
    CLEANUP(free_mem) char *database = text_printf("create database %s owner %s", name, name);
    cluster_do("postgres", (const char *const[]){ role, database, NULL });
    CLEANUP(free_mem)
    char *table = text_printf("create table public.confversion as select 9109 as buildnumber");
    CLEANUP(free_mem) char *owner = text_printf("alter table public.confversion owner to %s", name);
    CLEANUP(free_mem) char *schema = text_printf("alter schema public owner to %s", name);
    cluster_do(name, (const char *const[]){ table, owner, schema, NULL });
}

TEST(a_site_that_owns_everything_passes)
{
    make_site("owner", "createdb");
    struct facts facts = { 0 };
    gather("owner", "right", "", &facts);
    CHECK_INT(facts.database.build, 9109);
    CHECK(facts.database.bytes_known && facts.database.bytes > 1000000);
    (void)judged("database-reachable", &facts, OK);
    CHECK_HAS(judged("database-rights", &facts, OK), "owner");
    (void)judged("database-encoding", &facts, OK);
    (void)judged("build-numbers", &facts, OK);
    CHECK_HAS(judged("scratch", &facts, OK), "own server");
    (void)judged("safety", &facts, WARN);
    facts.site.pid = 0;
    (void)judged("sessions", &facts, OK);
    database_free(&facts.site.database);
}

TEST(an_object_of_another_role_blocks_and_an_admin_lifts_it)
{
    make_site("mixed", "createdb");
    cluster_do("mixed",
               (const char *const[]){ "create role stranger", "create table public.theirs (x int)",
                                      "alter table public.theirs owner to stranger", NULL });
    struct facts facts = { 0 };
    gather("mixed", "right", "", &facts);
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "public.theirs of stranger");
    database_free(&facts.site.database);
    cluster_do("mixed", (const char *const[]){ "grant stranger to mixed", NULL });
    gather("mixed", "right", "", &facts);
    (void)judged("database-rights", &facts, OK);
    database_free(&facts.site.database);
    cluster_do("mixed", (const char *const[]){ "revoke stranger from mixed",
                                               "select lo_create(4711)", NULL });
    gather("mixed", "right", "", &facts);
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "2 objects");
    database_free(&facts.site.database);
    CLEANUP(free_mem) char *admin = text_printf("host=%s user=postgres", cluster_dir);
    gather("mixed", "right", admin, &facts);
    CHECK_HAS(judged("database-rights", &facts, INFO), "superuser");
    database_free(&facts.site.database);
}

/* Lines before those that are there; they count when the next session is answered by them. */
static void hba(const char *lines)
{
    static char *was;
    CLEANUP(free_mem) char *path = text_printf("%s/data/pg_hba.conf", cluster_dir);
    struct err err = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    CHECK_OK(fs_read(path, 1 << 20, &text, &err), err);
    if (!was)
        was = text_dup(text.s);
    FILE *file = fopen(path, "w"); /* keeps its owner */
    CHECK(file != NULL);
    CHECK(fprintf(file, "%s%s", lines, was) > 0);
    CHECK_INT(fclose(file), 0);
    cluster_do("postgres", (const char *const[]){ "select pg_reload_conf()", NULL });
}

TEST(an_account_that_pg_hba_keeps_out_of_copies_is_captured_by_a_dump)
{
    make_site("gated", "createdb");
    struct facts facts = { 0 };
    gather("gated", "right", "", &facts);
    CHECK(!strstr(judged("stop-capture", &facts, facts.database.copied == FACT_YES ? OK : INFO),
                  "pg_hba.conf"));
    database_free(&facts.site.database);
    hba("host gated,postgres,template1 gated all scram-sha-256\nhost all gated all reject\n");
    for (int tries = 0; tries < 100; tries++) { /* until the server has read it */
        gather("gated", "right", "", &facts);
        database_free(&facts.site.database);
        if (strstr(facts.database.capture_text, "pg_hba.conf"))
            break;
    }
    CHECK_HAS(judged("stop-capture", &facts, INFO), "account gated into confleet_copy_");
    facts.database.copy_insisted = true;
    CHECK_HAS(judged("stop-capture", &facts, BLOCK), "pg_hba.conf");
    hba("");
}

TEST(an_account_that_may_not_rename_the_database_cannot_go_back)
{
    make_site("renter", "");
    struct facts facts = { 0 };
    gather("renter", "right", "", &facts);
    CHECK_INT(facts.database.renames, FACT_NO);
    CHECK_INT(facts.database.elsewhere, FACT_YES);
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "account renter cannot");
    database_free(&facts.site.database);
    /* Membership alone is none of its rights, where the account does not inherit. */
    cluster_do("postgres", (const char *const[]){ "create role landlord",
                                                  "alter database renter owner to landlord",
                                                  "grant landlord to renter",
                                                  "alter role renter createdb noinherit", NULL });
    gather("renter", "right", "", &facts);
    CHECK_INT(facts.database.owns, FACT_YES);
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "rights of landlord");
    database_free(&facts.site.database);
    cluster_do("postgres", (const char *const[]){ "alter role renter inherit", NULL });
    gather("renter", "right", "", &facts);
    CHECK_HAS(judged("database-rights", &facts, OK), "way back");
    database_free(&facts.site.database);
    CLEANUP(free_mem) char *admin = text_printf("host=%s user=postgres", cluster_dir);
    cluster_do("postgres", (const char *const[]){ "alter role renter nocreatedb", NULL });
    gather("renter", "right", admin, &facts);
    (void)judged("database-rights", &facts, INFO);
    database_free(&facts.site.database);
}

static void shut_out(bool yes)
{
    cluster_do("template1",
               (const char *const[]){ yes ? "revoke connect on database postgres from public"
                                          : "grant connect on database postgres to public",
                                      yes ? "revoke connect on database template1 from public"
                                          : "grant connect on database template1 to public",
                                      NULL });
}

TEST(an_account_that_enters_nothing_but_its_own_database_cannot_go_back)
{
    make_site("hermit", "createdb");
    struct facts facts = { 0 };
    shut_out(true);
    gather("hermit", "right", "", &facts);
    CHECK_INT(facts.database.elsewhere, FACT_NO);
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "account hermit cannot");
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "template1");
    database_free(&facts.site.database);
    CLEANUP(free_mem) char *admin = text_printf("host=%s user=postgres", cluster_dir);
    gather("hermit", "right", admin, &facts);
    CHECK_INT(facts.database.elsewhere, FACT_YES);
    database_free(&facts.site.database);
    shut_out(false);
    cluster_do("postgres",
               (const char *const[]){ "revoke connect on database postgres from public", NULL });
    gather("hermit", "right", "", &facts);
    CHECK_INT(facts.database.elsewhere, FACT_YES); /* template1 will do */
    database_free(&facts.site.database);
    shut_out(false);
}

TEST(the_room_of_a_database_server_on_this_host_is_seen_with_the_right_account_alone)
{
    make_site("roomy", "");
    struct facts facts = { 0 };
    gather("roomy", "right", "", &facts);
    CHECK_INT(facts.database.room_known, FACT_UNKNOWN);
    CHECK_HAS(facts.database.room_text, "data_directory");
    database_free(&facts.site.database);
    CLEANUP(free_mem) char *admin = text_printf("host=%s user=postgres", cluster_dir);
    gather("roomy", "right", admin, &facts);
    CHECK_INT(facts.database.room_known, FACT_YES);
    CHECK(strncmp(facts.database.room_path, cluster_dir, strlen(cluster_dir)) == 0);
    CHECK(facts.database.wal_bytes >= 1024 * 1024);
    CHECK(facts_room_need(&facts) > facts.database.bytes);
    CHECK(facts_room_need(&facts) <= 2 * facts.database.bytes);
    database_free(&facts.site.database);
}

TEST(the_same_path_on_another_host_is_not_taken_for_the_servers)
{
    const char *dir = test_dir();
    char why[FACT_TEXT] = "";
    struct err err = { 0 };
    CHECK(!facts_room_is_here(dir, "5432", 1700000000, why));
    CHECK_HAS(why, "is not on this host");
    CLEANUP(free_mem) char *pid = fs_join(dir, "postmaster.pid");
    static const char text[] = "77\n/data\n1700000000\n5432\n/run\n*\n";
    CHECK_OK(fs_write(pid, text, strlen(text), 0600, &err), err);
    CHECK(facts_room_is_here(dir, "5432", 1700000001, why));
    CHECK(!facts_room_is_here(dir, "5432", 1700000100, why));
    CHECK(!facts_room_is_here(dir, "5433", 1700000000, why));
    CHECK(!facts_room_is_here(dir, "543", 1700000000, why));
    CHECK_OK(fs_write(pid, "77\n", 3, 0600, &err), err);
    CHECK(!facts_room_is_here(dir, "5432", 1700000000, why));
    CHECK_INT(unlink(pid), 0);
    CHECK_INT(mkdir(pid, 0700), 0);
    CHECK(!facts_room_is_here(dir, "5432", 1700000000, why));
    CHECK_HAS(why, "postmaster.pid");
}

TEST(a_tablespace_of_its_own_is_where_the_room_must_be)
{
    make_site("spaced", "");
    struct facts facts = { 0 };
    CLEANUP(free_mem) char *admin = text_printf("host=%s user=postgres", cluster_dir);
    gather("spaced", "right", admin, &facts);
    CLEANUP(free_mem) char *folder = text_printf("%s/room", cluster_dir);
    CLEANUP(free_mem) char *make = text_printf("create tablespace elsewhere location '%s'", folder);
    struct stat st;
    CHECK_INT(stat(facts.database.room_path, &st), 0);
    CHECK_INT(mkdir(folder, 0700), 0);
    CHECK_INT(chown(folder, st.st_uid, st.st_gid), 0);
    database_free(&facts.site.database);
    cluster_do("postgres", (const char *const[]){
                               make, "alter database spaced set tablespace elsewhere", NULL });
    gather("spaced", "right", admin, &facts);
    CHECK_STR(facts.database.room_path, folder);
    database_free(&facts.site.database);
}

TEST(a_database_of_another_owner_blocks)
{
    make_site("tenant", "");
    cluster_do("postgres",
               (const char *const[]){ "alter database tenant owner to postgres", NULL });
    struct facts facts = { 0 };
    gather("tenant", "right", "", &facts);
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "postgres");
    database_free(&facts.site.database);
}

TEST(an_account_that_may_not_create_tables_blocks)
{
    make_site("tied", "");
    cluster_do("tied",
               (const char *const[]){ "alter schema public owner to postgres",
                                      "revoke create on schema public from public, tied", NULL });
    struct facts facts = { 0 };
    gather("tied", "right", "", &facts);
    CHECK_HAS(judged("database-rights", &facts, BLOCK), "create tables");
    database_free(&facts.site.database);
}

TEST(a_wrong_password_leaves_everything_else_unknown)
{
    make_site("shut", "");
    struct facts facts = { 0 };
    gather("shut", "hunter2", "", &facts);
    CHECK_HAS(judged("database-reachable", &facts, BLOCK), "wrong password");
    CHECK_HAS(judged("build-numbers", &facts, UNKNOWN), "wrong password");
    (void)judged("database-rights", &facts, UNKNOWN);
    (void)judged("client-tools", &facts, facts.tools.code == 0 ? UNKNOWN : BLOCK);
    for (const struct check_family *family = check_families; family->name; family++)
        for (const struct check_def *check = family->checks; check->id; check++) {
            struct verdict verdict = { 0 };
            check->judge(&facts, &verdict);
            CHECK(!strstr(verdict.evidence, "hunter2"));
        }
    database_free(&facts.site.database);
}

TEST(another_encoding_blocks)
{
    (void)cluster();
    cluster_do("postgres",
               (const char *const[]){
                   "create role latin login password 'right'",
                   "create database latin owner latin encoding 'LATIN1' template template0",
                   NULL });
    struct facts facts = { 0 };
    gather("latin", "right", "", &facts);
    CHECK_HAS(judged("database-encoding", &facts, BLOCK), "LATIN1");
    database_free(&facts.site.database);
}

TEST(without_createdb_a_throw_away_cluster_is_the_scratch)
{
    make_site("poor", "");
    struct facts facts = { 0 };
    gather("poor", "right", "", &facts);
    CHECK_INT(facts.database.createdb, FACT_NO);
    CHECK_HAS(judged("scratch", &facts, OK), "/usr/lib/postgresql/15/bin/initdb");
    (void)snprintf(facts.scratch, sizeof facts.scratch, "server");
    (void)judged("scratch", &facts, BLOCK);
    database_free(&facts.site.database);
}

/* A socket that is listened at takes connections and says nothing, as a server that is far behind.
 */
TEST(a_database_that_gives_no_answer_is_asked_twice_and_the_words_say_how_long)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (const struct sockaddr *)&address, len), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    CHECK_INT(listen(fd, 5), 0);
    Confleet__WorkerNode node = CONFLEET__WORKER_NODE__INIT;
    struct facts facts = good_facts();
    memset(&facts.database, 0, sizeof facts.database);
    memset(&facts.site.database, 0, sizeof facts.site.database);
    facts.site.database.kind = DATABASE_POSTGRESQL;
    facts.site.database.connect_limit_ms = 400;
    (void)snprintf(facts.site.database.host, sizeof facts.site.database.host, "127.0.0.1");
    (void)snprintf(facts.site.database.port, sizeof facts.site.database.port, "%u",
                   (unsigned)ntohs(address.sin_port));
    facts_gather_database(&node, &facts);
    CHECK_INT(facts.database.site.code, FAIL_TIMEOUT);
    const char *words = judged("database-reachable", &facts, BLOCK);
    CHECK_HAS(words, "asked twice");
    CHECK_HAS(words, "waited 4");
    int asked = 0;
    for (struct pollfd item = { .fd = fd, .events = POLLIN }; poll(&item, 1, 0) == 1; asked++)
        (void)close(accept(fd, NULL, NULL));
    CHECK_INT(asked, 2);
}
