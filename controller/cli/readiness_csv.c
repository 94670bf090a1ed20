#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "controller/cli/readiness.h"
#include <string.h>

/* Quoted always. A cell that begins like a formula would be run by a spreadsheet: the apostrophe
 * makes it text there. */
static void cell_add(struct str *to, const char *text, bool last)
{
    str_add(to, "\"");
    if (*text && strchr("=+-@\t\r\n", *text))
        str_add(to, "'");
    for (const char *s = text; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"')
            str_add(to, "\"\"");
        else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            str_add(to, " ");
        else
            str_add_bytes(to, s, 1);
    }
    str_add(to, last ? "\"\r\n" : "\",");
}

static void row_add(struct str *to, const struct readiness *readiness, const struct ready_site *site,
                    const struct ready_finding *found)
{
    static const Confleet__Finding none = CONFLEET__FINDING__INIT;
    const Confleet__Finding *finding = found ? found->finding : &none;
    bool gone = found && found->change == CHANGE_GONE;
    char until[CLOCK_TEXT_MAX], at[CLOCK_TEXT_MAX];
    cell_add(to, site->view->site, false);
    cell_add(to, site->view->state, false);
    cell_add(to, found ? readiness->families[found->family] : "", false);
    cell_add(to, finding->id, false);
    cell_add(to, !found ? "" : gone ? "gone" : ready_rank_word(found->rank), false);
    cell_add(to, finding->title, false);
    cell_add(to, found ? finding->evidence : site->view->message, false);
    cell_add(to, finding->remedy, false);
    cell_add(to, finding->rule, false);
    cell_add(to, found ? change_word(found->change) : "", false);
    cell_add(to, finding->waived_by, false);
    cell_add(to, finding->waive_reason, false);
    cell_add(to, finding->waived_until_ms ? clock_text(finding->waived_until_ms, until) : "", false);
    cell_add(to, finding->at_ms ? clock_text(finding->at_ms, at) : "", false);
    cell_add(to, readiness->target, true);
}

void readiness_csv(const struct readiness *readiness, int least, struct str *to)
{
    str_add(to, "site,state,family,check,severity,title,evidence,remedy,rule,change,waived_by,"
                "waive_reason,waived_until,facts_at,target\r\n");
    for (size_t i = 0; i < readiness->site_count; i++) {
        const struct ready_site *site = &readiness->sites[i];
        if (!site->good)
            row_add(to, readiness, site, NULL);
        for (size_t f = 0; f < site->finding_count; f++)
            if (site->findings[f].rank >= least)
                row_add(to, readiness, site, &site->findings[f]);
    }
}
