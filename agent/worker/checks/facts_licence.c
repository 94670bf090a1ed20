#include "agent/worker/checks/facts_licence.h"
#include "agent/worker/confluence/xml_edit.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <string.h>

#define PROPERTY_PATH     "confluence-configuration/properties/property"
#define STATEMENT_LIMIT_S 10

const struct licence *facts_licence_counts(const struct facts_licence *facts)
{
    return facts->waits == FACT_YES && facts_licence_fits(&facts->waiting) ? &facts->waiting
                                                                           : &facts->used;
}

bool facts_licence_fits(const struct licence *licence)
{
    return licence->form == LICENCE_VERSION_2 && licence->host;
}

static const char *property_text(const struct xml *xml, const char *name)
{
    for (const struct xml_element *element = NULL;
         (element = xml_next(xml, PROPERTY_PATH, element)) != NULL;) {
        const char *have = xml_value(element, "name");
        if (have && strcmp(have, name) == 0 && element->text[strspn(element->text, " \t\r\n")])
            return element->text;
    }
    return NULL;
}

/* ret_text: the licence in use, for comparing with the one that waits. */
static int read_used(const char *home, struct licence *ret, struct str *ret_text, struct err *err)
{
    CLEANUP(free_mem) char *path = fs_join(home, "confluence.cfg.xml");
    CLEANUP(str_wipe) struct str text = { 0 };
    CLEANUP(xml_free) struct xml xml = { 0 };
    int result = fs_read(path, XML_SIZE_MAX, &text, err);
    if (result != 0)
        return result;
    result = xml_parse_str(&text, &xml, err);
    if (result != 0)
        return err_wrap(err, "%s", path);
    const char *licence = property_text(&xml, LICENCE_PROPERTY);
    if (licence) {
        str_add(ret_text, licence);
        licence_decode(licence, strlen(licence), &licence_keys_vendor, ret);
    } else {
        *ret = (struct licence){ .form = LICENCE_NONE };
        if (property_text(&xml, "confluence.license.message"))
            ret->form = LICENCE_VERSION_1;
    }
    return 0;
}

static void read_waiting(const char *path, const struct str *used, struct facts_licence *facts)
{
    CLEANUP(str_wipe) struct str text = { 0 };
    struct err err = { 0 };
    facts->waits = FACT_NO;
    if (!path[0])
        return;
    int result = fs_read(path, LICENCE_TEXT_MAX, &text, &err);
    if (result == -FAIL_NOT_FOUND)
        return;
    facts->waits = result == 0 ? FACT_YES : FACT_UNKNOWN;
    if (result != 0) {
        (void)snprintf(facts->waits_why, sizeof facts->waits_why, "%.500s", err.text);
        return;
    }
    licence_decode(str_text(&text), text.len, &licence_keys_vendor, &facts->waiting);
    facts->waits_same = licence_same(str_text(&text), text.len, str_text(used), used->len);
}

static int count_users(const struct database *database, uint64_t *ret, struct err *err)
{
    CLEANUP(database_close) PGconn *conn = NULL;
    CLEANUP(free_mem) char *schema = NULL;
    bool found = false;
    int result = database_connect(database, NULL, NULL, NULL, STATEMENT_LIMIT_S, &conn, err);
    if (result == 0)
        result = database_schema(conn, "cwd_user", &schema, err);
    if (result != 0)
        return result;
    CLEANUP(pq_drop) char *quoted = PQescapeIdentifier(conn, schema, strlen(schema));
    if (!quoted)
        return err_set(err, FAIL_DATABASE, "the name of schema %s cannot be quoted", schema);
    CLEANUP(free_mem)
    char *sql = text_printf("select count(*) from %s.cwd_user where active = 'T'", quoted);
    result = database_u64(conn, sql, ret, &found, err);
    return result == 0 && !found ? err_set(err, FAIL_DATABASE, "the accounts cannot be counted")
                                 : result;
}

static void gather_users(const struct gather_source *source, struct facts_licence *facts)
{
    struct err err = { 0 };
    if (count_users(&source->site->database, &facts->users, &err) == 0)
        facts->users_known = FACT_YES;
    else
        (void)snprintf(facts->users_why, sizeof facts->users_why, "%.500s", err.text);
}

void facts_gather_licence(const struct gather_source *source, void *part)
{
    struct facts_licence *facts = part;
    CLEANUP(str_wipe) struct str used = { 0 };
    struct err err = { 0 };
    facts->part.known = FACT_UNKNOWN;
    if (!source->site->home || !source->site->home[0]) {
        (void)snprintf(facts->part.why, sizeof facts->part.why, "the home is not known");
        return;
    }
    if (read_used(source->site->home, &facts->used, &used, &err) != 0) {
        (void)snprintf(facts->part.why, sizeof facts->part.why, "%.500s", err.text);
        return;
    }
    read_waiting(source->node->licence_file, &used, facts);
    if (facts_licence_counts(facts)->users.when == LICENCE_DAY)
        gather_users(source, facts);
    facts->part.known = FACT_YES;
}

void facts_licence_free(struct facts_licence *facts)
{
    (void)facts; /* it owns nothing */
}
