#include "confleet/app_catalogue.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

static const char good[] =
    "{ \"source\": \"an export\", \"date\": \"2026-06-01\", \"apps\": [\n"
    "  { \"key\": \"com.example.a\", \"name\": \"Äpp A\", \"extra\": [1], \"versions\": [\n"
    "    { \"name\": \"1.9\", \"from\": \"7.19.0\", \"to\": \"8.5\" },\n"
    "    { \"name\": \"1.10\", \"from\": \"8.5.0\", \"to\": \"9.1.5\", \"dataCenter\": true },\n"
    "    { \"name\": \"2.0-beta1\", \"from\": \"9.0.0\", \"to\": \"9.2\" },\n"
    "    { \"name\": \"2.0\", \"from\": \"9.0.0\", \"to\": \"9.2\", \"dataCenter\": false } ] },\n"
    "  { \"key\": \"com.example.own\", \"source\": \"us\", \"versions\": [\n"
    "    { \"name\": \"*\", \"from\": \"7.0\", \"to\": \"8.9\", \"blocks\": true },\n"
    "    { \"name\": \"5\", \"from\": \"7.0\", \"to\": \"9.9\" } ] } ] }\n";

static struct app_catalogue *read_good(void)
{
    struct app_catalogue *catalogue = NULL;
    struct err err = { 0 };
    CHECK_OK(app_catalogue_parse("a.json", good, sizeof good - 1, &catalogue, &err), err);
    return catalogue;
}

static struct app_answer ask(const struct app_catalogue *catalogue, const char *key,
                             const char *version, const char *release, const char *installed)
{
    struct app_answer answer;
    app_catalogue_ask(catalogue, &(struct app_question){ key, version, release, installed },
                      &answer);
    return answer;
}

TEST(a_version_is_good_for_the_releases_that_its_entry_names)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = read_good();
    CHECK_INT(app_catalogue_count(catalogue), 6);
    CHECK_INT(ask(catalogue, "com.example.a", "1.9", "8.5.4", "").fit, APP_FITS);
    CHECK_INT(ask(catalogue, "com.example.a", "1.9", "8.6.0", "").fit, APP_UNFIT);
    CHECK_INT(ask(catalogue, "com.example.a", "1.9", "7.18.3", "").fit, APP_UNFIT);
    CHECK_INT(ask(catalogue, "com.example.a", "1.10", "9.1.5", "").fit, APP_FITS);
    CHECK_INT(ask(catalogue, "com.example.a", "1.10", "9.1.6", "").fit, APP_UNFIT);
    CHECK_INT(ask(catalogue, "com.example.a", "2.0", "9.2.21", "").fit, APP_FITS);
    CHECK_INT(ask(catalogue, "com.example.a", "1.8", "8.5.4", "").fit, APP_UNKNOWN);
    CHECK(ask(catalogue, "com.example.a", "1.8", "8.5.4", "").known_key);
    CHECK(!ask(catalogue, "com.example.b", "1.8", "8.5.4", "").known_key);
    CHECK_INT(ask(catalogue, "com.example.a", "2.0", "", "").fit, APP_UNKNOWN);
    CHECK_INT(ask(catalogue, "com.example.a", "", "9.2.21", "").fit, APP_UNKNOWN);
    CHECK_STR(ask(catalogue, "com.example.a", "1.10", "9.1.5", "").data_center, "yes");
    CHECK_STR(ask(catalogue, "com.example.a", "2.0", "9.1.5", "").data_center, "no");
}

TEST(any_version_counts_where_the_very_version_is_not_named)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = read_good();
    struct app_answer answer = ask(catalogue, "com.example.own", "4", "9.2.21", "");
    CHECK_INT(answer.fit, APP_UNFIT);
    CHECK(answer.blocks);
    CHECK_INT(ask(catalogue, "com.example.own", "4", "8.9.9", "").fit, APP_FITS);
    answer = ask(catalogue, "com.example.own", "5", "9.2.21", "");
    CHECK_INT(answer.fit, APP_FITS);
    CHECK(!answer.blocks);
    answer = ask(catalogue, "com.example.own", "5", "9.10.0", "");
    CHECK_INT(answer.fit, APP_UNFIT);
    CHECK(!answer.blocks);
}

TEST(the_newest_version_that_fits_is_the_update_and_when_it_can_be_done_is_told)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = read_good();
    struct app_answer answer = ask(catalogue, "com.example.a", "1.9", "9.2.21", "8.5.4");
    CHECK_STR(answer.update->version, "2.0");
    CHECK(!answer.update_now);
    answer = ask(catalogue, "com.example.a", "1.10", "9.2.21", "9.0.1");
    CHECK_STR(answer.update->version, "2.0");
    CHECK(answer.update_now);
    answer = ask(catalogue, "com.example.a", "2.0-beta1", "9.2.21", "9.0.1");
    CHECK_STR(answer.update->version, "2.0");
    CHECK(ask(catalogue, "com.example.a", "2.0", "9.2.21", "9.0.1").update == NULL);
    CHECK(ask(catalogue, "com.example.a", "1.9", "8.0.0", "7.19.1").update == NULL);
}

TEST(versions_of_apps_are_free_text_and_have_an_order)
{
    static const char *const rising[] = { "",
                                          "1.0-rc1",
                                          "1.0",
                                          "1.0.1",
                                          "1.2",
                                          "1.10",
                                          "1.10a",
                                          "2",
                                          "2.0",
                                          "5.4.4-CONFDEV-2",
                                          "5.4.4-CONFDEV-21873" };
    for (size_t i = 1; i < sizeof rising / sizeof *rising; i++)
        for (size_t k = 0; k < i; k++) {
            if (app_version_compare(rising[k], rising[i]) >= 0)
                print_error("%s, %s\n", rising[k], rising[i]);
            CHECK(app_version_compare(rising[k], rising[i]) < 0);
            CHECK(app_version_compare(rising[i], rising[k]) > 0);
        }
    CHECK_INT(app_version_compare("1.02", "1.2"), 0);
    CHECK(app_version_compare("99999999999999999999999", "100000000000000000000000") < 0);
}

TEST(a_catalogue_can_be_written_and_read_again)
{
    CLEANUP(app_catalogue_free) struct app_catalogue *catalogue = read_good();
    CLEANUP(app_catalogue_free) struct app_catalogue *again = NULL;
    CLEANUP(app_catalogue_free) struct app_catalogue *wired = app_catalogue_new();
    CLEANUP(str_free) struct str text = { 0 };
    struct err err = { 0 };
    app_catalogue_text(catalogue, &text);
    CHECK_OK(app_catalogue_parse("b", text.s, text.len, &again, &err), err);
    CHECK_INT(app_catalogue_count(again), 6);
    for (size_t i = 0; i < 6; i++) {
        Confleet__AppEntry entry;
        const char *why = NULL;
        app_entry_wire(app_catalogue_at(catalogue, i), &entry);
        CHECK(app_catalogue_put_wire(wired, &entry, &why));
        CHECK(memcmp(app_catalogue_at(catalogue, i), app_catalogue_at(again, i),
                     sizeof(struct app_entry)) == 0);
        CHECK(memcmp(app_catalogue_at(catalogue, i), app_catalogue_at(wired, i),
                     sizeof(struct app_entry)) == 0);
    }
}

static void refused(const char *text, const char *says)
{
    struct app_catalogue *catalogue = NULL;
    struct err err = { 0 };
    CHECK_INT(app_catalogue_parse("a.json", text, strlen(text), &catalogue, &err), -FAIL_CORRUPT);
    CHECK(catalogue == NULL);
    if (!strstr(err.text, says))
        print_error("%s\n", err.text);
    CHECK_HAS(err.text, says);
}

TEST(what_is_wrong_in_a_file_is_told_with_its_line)
{
    refused("{\n \"apps\": [\n", "a.json:3: ");
    refused("[]", "a.json:1: the file must be");
    refused("{\"apps\":[\n7]}", "an app must be");
    refused("{\"apps\":[\n{\"versions\":[]}]}", "must have a \"key\"");
    refused("{\"apps\":[\n{\"key\":\"a\"}]}", "a.json:2: app a: an app must have \"versions\"");
    refused("{\"apps\":[{\"key\":\"a\",\"versions\":[]},\n\n{\"key\":\"b\",\"versions\":[{\"name\":"
            "\"1\",\"from\":\"x\",\"to\":\"9.2\"}]}]}",
            "a.json:3: app b, version 1: \"from\" must be the oldest version of Confluence");
    refused("{\"apps\":[{\"key\":\"a\",\"versions\":[{\"name\":\"1\",\"from\":\"8.0\"}]}]}",
            "\"to\" must be");
    refused("{\"apps\":[{\"key\":\"a\",\"versions\":[{\"name\":\"1\",\"from\":\"9.0\",\"to\":"
            "\"8.0\"}]}]}",
            "older");
    refused("{\"apps\":[{\"key\":\"a\",\"versions\":[{\"name\":\"1\",\"from\":\"8.0\",\"to\":"
            "\"9.0\",\"dataCenter\":\"yes\"}]}]}",
            "true or false");
    refused("{\"apps\":[{\"key\":\"a b\",\"versions\":[{\"name\":\"1\",\"from\":\"8.0\",\"to\":"
            "\"9.0\"}]}]}",
            "\"key\" must be");
    refused("{\"apps\":[{\"key\":\"a\\u0001\",\"versions\":[{\"name\":\"1\",\"from\":\"8.0\","
            "\"to\":\"9.0\"}]}]}",
            "\"key\" must be");
    refused("{\"date\":\"June\",\"apps\":[{\"key\":\"a\",\"versions\":[{\"name\":\"1\",\"from\":"
            "\"8.0\",\"to\":\"9.0\"}]}]}",
            "yyyy-mm-dd");
    refused("{\"apps\":[{\"key\":\"a\",\"name\":7,\"versions\":[]}]}", "\"name\" must be a text");
    refused("{\"apps\":[],\"apps\":[]}", "a.json:1: ");
}

TEST(a_file_that_is_not_there_or_too_large_is_told)
{
    struct app_catalogue *catalogue = NULL;
    struct err err = { 0 };
    CHECK_INT(app_catalogue_load("/nowhere/a.json", &catalogue, &err), -FAIL_NOT_FOUND);
    err_clear(&err);
    CHECK_INT(app_catalogue_parse("a.json", good, APP_FILE_MAX + 1, &catalogue, &err), -FAIL_LIMIT);
}
