/* serverxml - Tomcat's conf/server.xml as far as a site's own settings live in it, and their way
 * into the next version's file.
 *
 * The new version's file stays as it was shipped but for single attributes and extra connectors: a
 * whole file is never copied across versions (facts 1.2, failure 26). What cannot be carried over
 * is reported, never dropped in silence. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include <stdint.h>

struct serverxml {
    uint32_t http_port, shutdown_port; /* zero: none found */
    uint32_t connectors;
    char address[128]; /* of the HTTP connector, "" for all */
    char context_path[128];
    char proxy_name[256], scheme[16];
    uint32_t proxy_port;
    bool secure;
    bool datasource; /* a <Resource> of type javax.sql.DataSource */
};

int serverxml_parse(const struct str *text, struct serverxml *ret, struct err *err) MUST_USE;
int serverxml_read(const char *install, struct serverxml *ret,
                   struct err *err) MUST_USE; /* INSTALL/conf/server.xml */

/* The connector that plain HTTP on this server reaches (the first without TLS that is not AJP, else
 * the first), and the context of Confluence itself, not of the Synchrony proxy beside it. NULL when
 * there is none. */
struct xml;
const struct xml_element *serverxml_connector(const struct xml *xml);
const struct xml_element *serverxml_context(const struct xml *xml);

/* What the merge did, for people: one line each. */
struct serverxml_report {
    struct str carried, left;
};
void serverxml_report_free(struct serverxml_report *report);
/* Carries the site's settings from old into text, the new version's shipped file: ports, addresses,
 * proxy attributes, threads, further connectors, context path, data sources. shipped is the old
 * version's own file when known (then every attribute that differs from it is the customer's), else
 * NULL and a list of known attributes decides. */
int serverxml_merge(const struct str *old, const struct str *shipped_or_null, struct str *text,
                    struct serverxml_report *ret, struct err *err) MUST_USE;
