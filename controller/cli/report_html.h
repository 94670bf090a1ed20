/* report_html - parts of the page that report_html() makes, each in a source of its own. */
#pragma once
#include "controller/cli/report.h"

extern const char *const report_style[]; /* ended by NULL */
/* The site's own section, its anchor site-NUMBER: steps with their bars, findings, backups. */
void report_html_site(const Confleet__RolloutSiteView *site, size_t number, struct str *to);
/* "<span class=badge …>held</span>" */
void report_html_badge(struct str *to, enum tone tone, const char *word);
/* A row of a two-column list; value is escaped here, "" shows as a dash. */
void report_html_pair(struct str *to, const char *label, const char *value);
void report_html_version(struct str *to, const char *version, uint32_t build);
/* "–" for nothing. */
void report_html_cell(struct str *to, const char *class_name, const char *text);
/* The version that the site is on now. */
void report_html_now(struct str *to, const Confleet__RolloutSiteView *site);
