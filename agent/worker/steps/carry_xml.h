/* carry_xml - two files of the web application whose values can be told apart as the customer's without the old shipped text.
 *
 * seraph-config.xml: classes that are not the vendor's, and addresses of another server to log in at. web.xml: the session's
 * length. What else looks like a customer's is named in left, one line each. Text in, text out. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"

struct carry_xml_report { struct str carried, left; };
void carry_xml_report_free(struct carry_xml_report *report);       /* fits CLEANUP() */
int carry_seraph_merge(const struct str *old, struct str *text, struct carry_xml_report *ret, struct err *err) MUST_USE;
int carry_web_merge(const struct str *old, struct str *text, struct carry_xml_report *ret, struct err *err) MUST_USE;
