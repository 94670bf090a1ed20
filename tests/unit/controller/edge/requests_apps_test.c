/* What operators say of apps: kept, listed, bounded, audited, and sent with each check. */
#include "controller/edge/store_apps.h"
#include "work.h"

static void entry_of_tests(Confleet__AppEntry *entry)
{
    confleet__app_entry__init(entry);
    entry->key = word("com.example.a");
    entry->version = word("1.9");
    entry->from = word("7.0");
    entry->to = word("9.2");
    entry->source = word("us");
}

static const Confleet__Reply *ask_import(struct end *end, Confleet__AppEntry *entry, bool replace)
{
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskApps ask = CONFLEET__ASK_APPS__INIT;
    ask.entries = &entry;
    ask.n_entries = entry ? 1 : 0;
    ask.replace = replace;
    request.what_case = CONFLEET__REQUEST__WHAT_APP_IMPORT;
    request.app_import = &ask;
    return end_ask(end, &request);
}

static const Confleet__Reply *ask_list(struct end *end)
{
    return good(ask_nothing(end, CONFLEET__REQUEST__WHAT_APP_LIST));
}

TEST(an_entry_takes_the_place_of_the_same_version_and_range_alone)
{
    struct fleet fleet = { 0 };
    Confleet__AppEntry entry;
    work_open(&fleet);
    entry_of_tests(&entry);
    CHECK_INT(ask_list(&fleet.anna)->n_apps, 0);
    good(ask_import(&fleet.anna, &entry, false));
    entry.data_center = word("yes");
    entry.blocks = true;
    good(ask_import(&fleet.anna, &entry, false));
    const Confleet__Reply *reply = ask_list(&fleet.anna);
    CHECK_INT(reply->n_apps, 1);
    CHECK_STR(reply->apps[0]->key, "com.example.a");
    CHECK_STR(reply->apps[0]->data_center, "yes");
    CHECK_STR(reply->apps[0]->source, "us");
    CHECK(reply->apps[0]->blocks);
    entry.version = word("1.10");
    good(ask_import(&fleet.anna, &entry, false));
    reply = ask_list(&fleet.anna);
    CHECK_INT(reply->n_apps, 2);
    CHECK_STR(reply->apps[0]->version, "1.10");
    good(ask_import(&fleet.anna, &entry, true));
    CHECK_INT(ask_list(&fleet.anna)->n_apps, 1);
    good(ask_import(&fleet.anna, NULL, true));
    CHECK_INT(ask_list(&fleet.anna)->n_apps, 0);
    CHECK_INT(ask_import(&fleet.anna, NULL, false)->code, FAIL_USAGE);
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskAudit audit = CONFLEET__ASK_AUDIT__INIT;
    bool told = false;
    request.what_case = CONFLEET__REQUEST__WHAT_AUDIT;
    request.audit = &audit;
    reply = good(end_ask(&fleet.anna, &request));
    for (size_t i = 0; i < reply->n_audit; i++)
        told = told || (strcmp(reply->audit[i]->what, "apps") == 0 &&
                        strstr(reply->audit[i]->detail, "first com.example.a 1.9"));
    CHECK(told);
    fleet_close(&fleet);
}

TEST(what_is_no_entry_or_one_too_many_changes_nothing)
{
    struct fleet fleet = { 0 };
    Confleet__AppEntry entry;
    static char source[128], version[32];
    int code = 0, taken = 0;
    work_open(&fleet);
    entry_of_tests(&entry);
    entry.to = word("soon");
    const Confleet__Reply *reply = ask_import(&fleet.anna, &entry, true);
    CHECK_INT(reply->code, FAIL_USAGE);
    CHECK_HAS(reply->message, "app com.example.a, version 1.9: \"to\" must be");
    entry.to = word("9.2");
    memset(source, 's', 120);
    entry.source = source;
    entry.version = version;
    Confleet__AppEntry *many[1500];
    static Confleet__AppEntry entries[1500];
    static char versions[1500][32];
    for (size_t i = 0; i < 1500; i++) {
        entries[i] = entry;
        entries[i].version = versions[i];
        many[i] = &entries[i];
    }
    Confleet__Request request = CONFLEET__REQUEST__INIT;
    Confleet__AskApps ask = CONFLEET__ASK_APPS__INIT;
    ask.entries = many;
    ask.n_entries = 1500;
    request.what_case = CONFLEET__REQUEST__WHAT_APP_IMPORT;
    request.app_import = &ask;
    for (int round = 0; code == 0 && round < 4; round++) {
        for (size_t i = 0; i < 1500; i++)
            (void)snprintf(versions[i], sizeof versions[i], "%d.%zu", round, i);
        code = (int)end_ask(&fleet.anna, &request)->code;
        taken += code == 0 ? 1500 : 0;
    }
    CHECK_INT(code, FAIL_LIMIT);
    CHECK_INT(ask_list(&fleet.anna)->n_apps, taken);
    fleet_close(&fleet);
}
