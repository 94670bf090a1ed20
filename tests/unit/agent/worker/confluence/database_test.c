#include "cluster.h"
#include <arpa/inet.h>
#include <sys/socket.h>

/* A site's role and database, as a site has them. */
static void make_site(const char *name, const char *options)
{
    (void)cluster();
    CLEANUP(free_mem)
    char *role = text_printf("create role %s login password 'right' %s", name, options);
    CLEANUP(free_mem) char *database = text_printf("create database %s owner %s", name, name);
    cluster_do("postgres", (const char *const[]){ role, database, NULL });
}

static PGconn *connect_to(const char *name)
{
    struct database site = { 0 };
    PGconn *conn = NULL;
    struct err err = { 0 };
    cluster_site(name, "right", &site);
    CHECK_OK(database_connect(&site, NULL, NULL, NULL, 5, &conn, &err), err);
    database_free(&site);
    return conn;
}

TEST(a_site_is_reached_with_its_own_account)
{
    make_site("plain", "");
    CLEANUP(database_close) PGconn *conn = connect_to("plain");
    uint64_t value = 0;
    bool found = false;
    struct err err = { 0 };
    CHECK_OK(database_u64(conn, "select 42", &value, &found, &err), err);
    CLEANUP(database_result_free) PGresult *jit = NULL;
    CHECK_OK(database_query(conn, "show jit", 0, NULL, &jit, &err), err);
    CHECK_STR(PQgetvalue(jit, 0, 0), "off");
    CHECK(found);
    CHECK_INT(value, 42);
    CHECK_OK(database_u64(conn, "select null", &value, &found, &err), err);
    CHECK(!found);
    CHECK_INT(database_u64(conn, "select 'x'", &value, &found, &err), -FAIL_DATABASE);
}

TEST(variables_of_a_login_shell_do_not_redirect)
{
    make_site("shell", "");
    CHECK_INT(setenv("PGHOST", "/nonexistent", 1), 0);
    CHECK_INT(setenv("PGHOSTADDR", "192.0.2.1", 1), 0);
    CHECK_INT(setenv("PGSSLMODE", "verify-full", 1), 0);
    CHECK_INT(setenv("PGOPTIONS", "-csearch_path=public", 1), 0);
    CLEANUP(database_close) PGconn *conn = connect_to("shell");
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err err = { 0 };
    CHECK_OK(database_query(conn, "show search_path", 0, NULL, &result, &err), err);
    CHECK_STR(PQgetvalue(result, 0, 0), "pg_catalog");
    CHECK(getenv("PGHOST") == NULL);
}

static int refused(const char *name, const char *password, const char *port, struct err *err)
{
    struct database site = { 0 };
    PGconn *conn = NULL;
    cluster_site(name, password, &site);
    if (port)
        (void)snprintf(site.port, sizeof site.port, "%s", port);
    int result = database_connect(&site, NULL, NULL, NULL, 5, &conn, err);
    CHECK(conn == NULL);
    CHECK(!strstr(err->text, password));
    database_free(&site);
    return result;
}

TEST(a_wrong_password_has_words_of_its_own)
{
    make_site("locked", "");
    struct err err = { 0 };
    CHECK_INT(refused("locked", "hunter2", NULL, &err), -FAIL_DENIED);
    CHECK_HAS(err.text, "wrong password");
    CHECK_HAS(err.text, "28P01");
}

TEST(a_missing_database_and_a_missing_account_are_told_apart)
{
    (void)cluster();
    cluster_do("postgres",
               (const char *const[]){ "create role homeless login password 'right'", NULL });
    struct err err = { 0 };
    CHECK_INT(refused("homeless", "right", NULL, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "3D000");
    err_clear(&err);
    CHECK_INT(refused("nobody_here", "right", NULL, &err), -FAIL_DENIED);
}

static int quiet_socket(bool listening, char port[8])
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, len), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    if (listening)
        CHECK_INT(listen(fd, 5), 0);
    (void)snprintf(port, 8, "%u", (unsigned)ntohs(address.sin_port));
    return fd;
}

TEST(a_closed_port_is_unreachable)
{
    char port[8];
    struct err err = { 0 };
    CLEANUP(close_fd) int fd = quiet_socket(false, port);
    CHECK(fd >= 0);
    CHECK_INT(refused("plain", "right", port, &err), -FAIL_UNREACHABLE);
    CHECK_HAS(err.text, port);
}

TEST(a_server_that_says_nothing_is_given_up)
{
    char port[8];
    struct err err = { 0 };
    struct database site = { 0 };
    PGconn *conn = NULL;
    CLEANUP(close_fd) int fd = quiet_socket(true, port);
    CHECK(fd >= 0);
    cluster_site("plain", "right", &site);
    (void)snprintf(site.port, sizeof site.port, "%s", port);
    (void)snprintf(site.host, sizeof site.host, "127.0.0.1");
    site.connect_limit_ms = 1000;
    CHECK_INT(database_connect(&site, NULL, NULL, NULL, 5, &conn, &err), -FAIL_TIMEOUT);
    CHECK_HAS(err.text, "does not answer: waited 1");
    CHECK(!conn);
    database_free(&site);
}

TEST(a_statement_has_a_limit)
{
    make_site("slow", "");
    struct database site = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    struct err err = { 0 };
    cluster_site("slow", "right", &site);
    CHECK_OK(database_connect(&site, NULL, NULL, NULL, 1, &conn, &err), err);
    CHECK_INT(database_do(conn, "select pg_sleep(30)", &err), -FAIL_DATABASE);
    CHECK_HAS(err.text, "57014");
    database_free(&site);
}

TEST(errors_carry_the_state_and_no_parameter)
{
    make_site("errors", "");
    CLEANUP(database_close) PGconn *conn = connect_to("errors");
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err err = { 0 };
    CHECK_INT(database_query(conn, "select $1::text from nowhere", 1,
                             (const char *const[]){ "hunter2" }, &result, &err),
              -FAIL_DATABASE);
    CHECK_HAS(err.text, "42P01");
    CHECK(!strstr(err.text, "hunter2"));
    CHECK(result == NULL);
}

TEST(the_build_is_the_highest_and_not_the_newest)
{
    make_site("builds", "");
    CLEANUP(database_close) PGconn *conn = connect_to("builds");
    struct err err = { 0 };
    uint32_t build = 0;
    CHECK_INT(database_build(conn, &build, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "confversion");
    cluster_do("builds", (const char *const[]){
                             "create table public.confversion (confversionid bigint primary key, "
                             "buildnumber int not null, installdate timestamp)",
                             "alter table public.confversion owner to builds", NULL });
    err_clear(&err);
    CHECK_INT(database_build(conn, &build, &err), -FAIL_NOT_FOUND);
    CHECK_HAS(err.text, "empty");
    CHECK_OK(database_do(conn,
                         "insert into public.confversion values (1, 9109, now()), (2, 7901, now() "
                         "+ interval '1 day')",
                         &err),
             err);
    err_clear(&err);
    CHECK_OK(database_build(conn, &build, &err), err);
    CHECK_INT(build, 9109);
}

TEST(the_safety_number_may_be_absent)
{
    make_site("safety", "");
    CLEANUP(database_close) PGconn *conn = connect_to("safety");
    struct err err = { 0 };
    int64_t number = 0;
    bool found = true;
    CHECK_OK(database_safety_number(conn, &number, &found, &err), err);
    CHECK(!found);
    cluster_do("safety",
               (const char *const[]){
                   "create table public.clustersafety (clustersafetyid bigint, safetynumber int)",
                   "alter table public.clustersafety owner to safety", NULL });
    CHECK_OK(database_safety_number(conn, &number, &found, &err), err);
    CHECK(!found);
    CHECK_OK(database_do(conn, "insert into public.clustersafety values (1, -77)", &err), err);
    CHECK_OK(database_safety_number(conn, &number, &found, &err), err);
    CHECK(found);
    CHECK_INT(number, -77);
}

TEST(the_schema_is_found_as_the_site_finds_it)
{
    make_site("schemas", "");
    cluster_do("schemas",
               (const char *const[]){ "create schema other", "create schema third",
                                      "grant usage on schema other, third to schemas",
                                      "create table other.confversion (buildnumber int)", NULL });
    CLEANUP(database_close) PGconn *conn = connect_to("schemas");
    CLEANUP(free_mem) char *schema = NULL;
    struct err err = { 0 };
    CHECK_OK(database_schema(conn, "confversion", &schema, &err), err);
    CHECK_STR(schema, "other");
    cluster_do("schemas",
               (const char *const[]){ "create table third.confversion (buildnumber int)", NULL });
    CHECK_INT(database_schema(conn, "confversion", &schema, &err), -FAIL_CONFLICT);
    cluster_do("schemas",
               (const char *const[]){ "create table public.confversion (buildnumber int)", NULL });
    err_clear(&err);
    free_mem(&schema);
    CHECK_OK(database_schema(conn, "confversion", &schema, &err), err);
    CHECK_STR(schema, "public");
    struct database site = { 0 };
    CLEANUP(database_close) PGconn *named = NULL;
    cluster_site("schemas", "right", &site);
    (void)snprintf(site.schema, sizeof site.schema, "third");
    CHECK_OK(database_connect(&site, NULL, NULL, NULL, 5, &named, &err), err);
    free_mem(&schema);
    CHECK_OK(database_schema(named, "confversion", &schema, &err), err);
    CHECK_STR(schema, "third");
    database_free(&site);
}

TEST(other_sessions_are_counted_and_named)
{
    make_site("busy", "");
    CLEANUP(database_close) PGconn *conn = connect_to("busy");
    CLEANUP(str_free) struct str who = { 0 };
    struct err err = { 0 };
    uint64_t others = 9;
    bool visible = false;
    CHECK_OK(database_sessions(conn, &others, &visible, &who, &err), err);
    CHECK_INT(others, 0);
    CHECK(visible);
    CLEANUP(database_close) PGconn *second = connect_to("busy");
    CHECK(second != NULL);
    CLEANUP(free_mem)
    char *admin = text_printf("host=%s port=%s user=postgres", cluster_dir, cluster());
    CLEANUP(database_close) PGconn *third = NULL;
    struct database site = { 0 };
    cluster_site("busy", "right", &site);
    CHECK_OK(database_connect(&site, NULL, admin, NULL, 5, &third, &err), err);
    CHECK_OK(database_sessions(conn, &others, &visible, &who, &err), err);
    CHECK_INT(others, 2);
    CHECK_HAS(str_text(&who), "busy from");
    CHECK_HAS(str_text(&who), "postgres from");
    database_free(&site);
}

TEST(the_policys_account_replaces_the_sites)
{
    make_site("ruled", "");
    struct database site = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(database_result_free) PGresult *result = NULL;
    struct err err = { 0 };
    cluster_site("ruled", "hunter2", &site);
    CLEANUP(free_mem)
    char *admin = text_printf("host=%s port=%s user=postgres dbname=template1 options=-cwork_mem=1",
                              cluster_dir, cluster());
    CHECK_OK(database_connect(&site, NULL, admin, NULL, 5, &conn, &err), err);
    CHECK_OK(database_query(conn, "select current_user || ' ' || current_database()", 0, NULL,
                            &result, &err),
             err);
    CHECK_STR(PQgetvalue(result, 0, 0), "postgres ruled");
    PGconn *none = NULL;
    CHECK_INT(database_connect(&site, NULL, "user=x password=hunter2", NULL, 5, &none, &err),
              -FAIL_USAGE);
    CHECK(!strstr(err.text, "hunter2"));
    err_clear(&err);
    CHECK_INT(database_connect(&site, NULL, "user='hunter2", NULL, 5, &none, &err), -FAIL_USAGE);
    CHECK(!strstr(err.text, "hunter2"));
    database_free(&site);
}

TEST(a_passfile_of_the_policy_is_used)
{
    make_site("filed", "");
    const char *dir = test_dir();
    struct database site = { 0 }, filed = { 0 };
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(free_mem) char *path = NULL;
    struct err err = { 0 };
    cluster_site("filed", "right", &filed);
    cluster_site("filed", "wrong", &site);
    CHECK_OK(database_passfile(&filed, dir, &path, &err), err);
    CHECK_OK(database_connect(&site, NULL, "user=filed", path, 5, &conn, &err), err);
    database_free(&site);
    database_free(&filed);
}

TEST(another_kind_of_database_is_not_tried)
{
    struct database site = { .kind = DATABASE_MYSQL };
    PGconn *conn = NULL;
    struct err err = { 0 };
    CHECK_INT(database_connect(&site, NULL, NULL, NULL, 5, &conn, &err), -FAIL_UNSUPPORTED);
    CHECK_HAS(err.text, "mysql");
}
