/* app_catalogue - for which releases of Confluence each version of an app is good, as a file says
 * that an operator imported.
 *
 * It knows what it was told and nothing more: a version of an app that no entry names is unknown.
 * Nothing is fetched. The file is JSON (confleet(1), "app import"):
 *
 *   { "source": "...", "date": "2026-06-01", "apps": [ { "key": "com.example.app", "name": "...",
 *     "versions": [ { "name": "2.3.1", "from": "8.5.0", "to": "9.2", "dataCenter": true } ] } ] }
 *
 * Other members are left unread. Entries are sorted by key, and by version, the newest first. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include "confleet/wire.h"

#define APP_FILE_MAX    (8 * 1024 * 1024)
#define APP_ENTRIES_MAX 20000

struct app_entry {
    char key[256], name[128];
    char version[64];    /* "*": any */
    char from[64];       /* oldest and newest Confluence, both included; */
    char to[64];         /* one that is written shorter stands for all that begin with it */
    char data_center[8]; /* "yes", "no", "" */
    bool blocks; /* outside the range it keeps Confluence from starting, an operator knows */
    char source[128], date[16];
};

struct app_catalogue;
/* FAIL_CORRUPT names file and line, and what to write instead. */
int app_catalogue_load(const char *path, struct app_catalogue **ret, struct err *err) MUST_USE;
int app_catalogue_parse(const char *name, const char *text, size_t len, struct app_catalogue **ret,
                        struct err *err) MUST_USE;
struct app_catalogue *app_catalogue_new(void);
void app_catalogue_free(struct app_catalogue **catalogue); /* fits CLEANUP() */
size_t app_catalogue_count(const struct app_catalogue *catalogue);
const struct app_entry *app_catalogue_at(const struct app_catalogue *catalogue,
                                         size_t at); /* NULL at the end */
/* The whole as a file that app_catalogue_parse() reads. */
void app_catalogue_text(const struct app_catalogue *catalogue, struct str *out);
/* An entry as a message that borrows its texts. */
void app_entry_wire(const struct app_entry *entry, Confleet__AppEntry *ret);
/* False: no entry that could stand in a file; why says what is wrong with it. */
bool app_catalogue_put_wire(struct app_catalogue *catalogue, const Confleet__AppEntry *entry,
                            const char **ret_why) MUST_USE;

struct app_question {
    const char *key, *version;       /* of the installed app */
    const char *release, *installed; /* of Confluence: the target, and what runs; may be "" */
};
enum app_fit { APP_UNKNOWN, APP_FITS, APP_UNFIT };
struct app_answer {
    enum app_fit fit;
    const struct app_entry *entry; /* what says so; NULL when unknown */
    bool known_key;                /* the app is in the catalogue, perhaps not in this version */
    bool blocks;                   /* unfit, and it keeps Confluence from starting */
    const char *data_center;       /* of the installed version: "yes", "no", "" */
    const struct app_entry
        *update;     /* the newest version above the installed one that fits; or NULL */
    bool update_now; /* it fits what runs now as well */
};
void app_catalogue_ask(const struct app_catalogue *catalogue, const struct app_question *question,
                       struct app_answer *ret);
/* Versions of apps are free text: numbers in it count as numbers, the rest as letters. Below,
 * equal, above zero. */
int app_version_compare(const char *a, const char *b);
