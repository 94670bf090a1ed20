#include "agent/worker/confluence/database.h"
#include "confleet/cleanup.h"
#include "harness/test.h"
#include <sys/stat.h>
#include "confleet/fs.h"

static struct database parsed;

static const char *where(const char *url)
{
    static char text[600];
    struct err err = { 0 };
    database_free(&parsed);
    CHECK_OK(database_parse_url(url, &parsed, &err), err);
    return database_where(&parsed, text, sizeof text);
}

TEST(postgresql_urls_are_taken_apart)
{
    CHECK_STR(where("jdbc:postgresql://db.example:5433/conf"), "db.example:5433/conf");
    CHECK_STR(where("jdbc:postgresql://postgresql/confluence"), "postgresql:5432/confluence");
    CHECK_STR(where("jdbc:postgresql:conf"), "localhost:5432/conf");
    CHECK_STR(where("jdbc:postgresql:/conf"), "localhost:5432/conf");
    CHECK_STR(where("jdbc:postgresql://[::1]:5433/conf%20one"), "[::1]:5433/conf one");
    CHECK_STR(where("jdbc:postgresql://h/"), "h:5432/");
    database_free(&parsed);
}

TEST(parameters_of_the_url_count)
{
    CHECK_STR(where("jdbc:postgresql://h/c?user=u&password=p%26q&ssl=true&sslrootcert=/"
                    "x&currentSchema=wiki&y"),
              "h:5432/c");
    CHECK_STR(parsed.user, "u");
    CHECK_STR(parsed.password, "p&q");
    CHECK_STR(parsed.ssl_mode, "verify-full");
    CHECK_STR(parsed.ssl_root_cert, "/x");
    CHECK_STR(parsed.schema, "wiki");
    (void)where("jdbc:postgresql://h/c?sslmode=require&ssl=true");
    CHECK_STR(parsed.ssl_mode, "require");
    (void)where(
        "jdbc:postgresql://h/c?ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory");
    CHECK_STR(parsed.ssl_mode, "require");
    (void)where("jdbc:postgresql://h/c");
    CHECK(parsed.ssl_mode == NULL && parsed.password == NULL);
    database_free(&parsed);
}

TEST(other_kinds_are_known_by_name)
{
    CHECK_STR(where("jdbc:mysql://h/c?sessionVariables=storage_engine%3DInnoDB&useUnicode=true"),
              "mysql");
    CHECK_STR(where("jdbc:hsqldb:/var/home/database/confluencedb;hsqldb.tx=MVCC"), "hsqldb");
    CHECK_STR(where("jdbc:h2:tcp://localhost/x"), "h2");
    CHECK_STR(where("jdbc:jtds:sqlserver://h/c"), "sqlserver");
    CHECK_STR(where("jdbc:oracle:thin:@h:1521:c"), "oracle");
    CHECK_STR(where("java:comp/env/jdbc/x"), "jndi");
    database_free(&parsed);
}

static void refused(const char *url, int code)
{
    struct database database = { .kind = DATABASE_MYSQL };
    struct err err = { 0 };
    CHECK_INT(database_parse_url(url, &database, &err), -code);
    CHECK_INT(database.kind, DATABASE_MYSQL);
    CHECK(!strstr(err.text, "hunter2"));
}

TEST(urls_that_cannot_be_followed_are_refused_without_their_text)
{
    refused("jdbc:postgresql://a:1,b:2/c?password=hunter2", FAIL_UNSUPPORTED);
    refused("jdbc:postgresql://a:0/c", FAIL_CORRUPT);
    refused("jdbc:postgresql://a:70000/c", FAIL_CORRUPT);
    refused("jdbc:postgresql://a:hunter2/c", FAIL_CORRUPT);
    refused("jdbc:postgresql://[::1/c", FAIL_CORRUPT);
    refused("jdbc:postgresql://%2Fvar%2Frun/c", FAIL_UNSUPPORTED);
    refused("jdbc:postgresql://a/c%zz", FAIL_CORRUPT);
    refused("jdbc:postgresql://a/c%00", FAIL_CORRUPT);
    refused("jdbc:postgresql://a/c?sslmode=hunter2", FAIL_CORRUPT);
    refused("jdbc:db2://a/c", FAIL_UNSUPPORTED);
    refused("", FAIL_UNSUPPORTED);
    char long_url[5000];
    memset(long_url, 'a', sizeof long_url - 1);
    long_url[sizeof long_url - 1] = 0;
    refused(long_url, FAIL_LIMIT);
    memcpy(long_url, "jdbc:postgresql://", 18);
    long_url[1000] = 0;
    refused(long_url, FAIL_CORRUPT);
}

TEST(a_passfile_is_private_and_escaped)
{
    const char *dir = test_dir();
    CLEANUP(free_mem) char *path = NULL;
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    struct stat st = { 0 };
    (void)where("jdbc:postgresql://[::1]:5433/c?user=a:b&password=c\\d:e");
    CHECK_OK(database_passfile(&parsed, dir, &path, &err), err);
    CHECK_OK(fs_read(path, 1000, &text, &err), err);
    CHECK_STR(text.s, "\\:\\:1:5433:*:a\\:b:c\\\\d\\:e\n");
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    database_free(&parsed);
}

TEST(without_a_password_there_is_no_passfile)
{
    const char *dir = test_dir();
    CLEANUP(free_mem) char *path = NULL;
    struct err err = { 0 };
    (void)where("jdbc:postgresql://h/c");
    CHECK_INT(database_passfile(&parsed, dir, &path, &err), -FAIL_NOT_FOUND);
    err_clear(&err);
    (void)where("jdbc:postgresql://h/c?password=a%0Ab");
    CHECK_INT(database_passfile(&parsed, dir, &path, &err), -FAIL_UNSUPPORTED);
    CHECK(path == NULL);
    database_free(&parsed);
}

TEST(a_childs_environment_holds_no_password)
{
    (void)where("jdbc:postgresql://h:1/c?user=u&password=hunter2&sslmode=require");
    char **env = database_child_env(&parsed, "scratch", "/run/pgpass");
    bool database = false, passfile = false;
    for (size_t i = 0; env[i]; i++) {
        CHECK(!strstr(env[i], "hunter2"));
        database = database || strcmp(env[i], "PGDATABASE=scratch") == 0;
        passfile = passfile || strcmp(env[i], "PGPASSFILE=/run/pgpass") == 0;
    }
    CHECK(database && passfile);
    database_child_env_free(&env);
    CHECK(env == NULL);
    database_free(&parsed);
}
