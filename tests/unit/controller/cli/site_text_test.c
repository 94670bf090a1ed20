#include "controller/cli/site_text.h"
#include "confleet/cleanup.h"
#include "harness/test.h"

#define NOW 1795400000000
#define DAY (24LL * 3600 * 1000)

static Confleet__SiteView site;
static Confleet__Installation one;
static Confleet__InstallationView node, *nodes[] = { &node };
static Confleet__Finding found[5], *findings[5], then_found[2], *then_findings[2];
static Confleet__Waiver waiver, *waivers[] = { &waiver };
static Confleet__HoldView hold, *holds[] = { &hold };
static Confleet__CheckView check_rows[7], *checks[7];
static Confleet__PassageView passage, *passages[] = { &passage };
static Confleet__BackupRecord backup_rows[6], *backups[6];

static char *word(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void finding(size_t at, const char *id, Confleet__Severity severity, const char *evidence)
{
    findings[at] = &found[at];
    confleet__finding__init(findings[at]);
    found[at].id = word(id);
    found[at].title = word("Title of it");
    found[at].severity = severity;
    found[at].evidence = word(evidence);
    found[at].remedy = word("Do what is written here, with the command that is written here, to "
                            "the very end of it.");
}

static void history_make(size_t count)
{
    for (size_t i = 0; i < 2; i++) {
        then_findings[i] = &then_found[i];
        confleet__finding__init(then_findings[i]);
    }
    then_found[0].id = word("heap");
    then_found[0].severity = CONFLEET__SEVERITY__WARN;
    then_found[1].id = word("memory");
    then_found[1].severity = CONFLEET__SEVERITY__BLOCK;
    for (size_t i = 0; i < count; i++) {
        checks[i] = &check_rows[i];
        confleet__check_view__init(checks[i]);
        check_rows[i].at_ms = NOW - (int64_t)i * DAY;
        check_rows[i].target = word("9.2.21");
        check_rows[i].n_findings = i == 0 ? 5 : 2;
        check_rows[i].findings = i == 0 ? findings : then_findings;
    }
}

static void begin(void)
{
    confleet__site_view__init(&site);
    confleet__installation__init(&one);
    confleet__installation_view__init(&node);
    site.name = word("wiki");
    site.state = word("warn");
    site.version = word("9.2.13");
    site.build = 9109;
    site.online = 1;
    site.checked_ms = NOW - 60000;
    node.agent = word("host-wiki");
    node.installation = &one;
    one.id = word("confluence-1");
    one.install = word("/opt/confluence");
    one.state = word("RUNNING");
    one.database_kind = word("postgresql");
    one.database_where = word("localhost:5432/wiki");
    site.n_nodes = 1;
    site.nodes = nodes;
    finding(0, "heap", CONFLEET__SEVERITY__BLOCK, "512 MB\r\nof 1,024 MB\033[1m needed");
    finding(1, "memory", CONFLEET__SEVERITY__OK, "8 GB free");
    finding(2, "licence-kind", CONFLEET__SEVERITY__OK, "Data Center, 500 users\nand more");
    finding(3, "database-version", CONFLEET__SEVERITY__OK, "PostgreSQL 15.4");
    finding(4, "clock", CONFLEET__SEVERITY__UNKNOWN, "no answer");
    site.n_findings = 5;
    site.findings = findings;
}

static const char *shown(size_t check_count, int width)
{
    static char text[16384];
    CLEANUP(str_free) struct str to = { 0 };
    const struct out out = { .terminal = width > 0, .width = width > 0 ? width : 100 };
    const struct site_shown what = {
        .site = &site, .checks = checks, .check_count = check_count, .now_ms = NOW
    };
    site_text(&what, &out, &to);
    (void)snprintf(text, sizeof text, "%s", str_text(&to));
    return text;
}

/* Columns of its widest line. */
static size_t widest(const char *text)
{
    size_t most = 0;
    for (const char *s = text; *s;) {
        size_t len = strcspn(s, "\n");
        CLEANUP(free_mem) char *line = text_printf("%.*s", (int)len, s);
        most = out_columns(line) > most ? out_columns(line) : most;
        s += len + (s[len] == '\n');
    }
    return most;
}

TEST(a_site_is_told_with_its_place_database_licence_and_what_stops_it)
{
    begin();
    const char *text = shown(0, 0);
    CHECK_HAS(text, "wiki\n  state       warn\n");
    CHECK_HAS(text, "  version     9.2.13 (build 9109)\n");
    CHECK_HAS(text, "  node        host-wiki:confluence-1 (/opt/confluence), RUNNING\n");
    CHECK_HAS(text, "  database    postgresql at localhost:5432/wiki\n");
    CHECK_HAS(text, "              PostgreSQL 15.4\n");
    CHECK_HAS(text, "  licence     Data Center, 500 users\n");
    CHECK_HAS(text, "\nChecked 1m 00s ago\n  block    heap: Title of it\n"
                    "           512 MB\n           of 1,024 MB?[1m needed\n           remedy: Do");
    CHECK(strstr(text, "heap") < strstr(text, "clock"));
    CHECK_HAS(text, "  3 ok or told only: confleet site show wiki --json\n");
    CHECK(strchr(text, '\033') == NULL);
    CHECK(strstr(text, "Waived") == NULL && strstr(text, "Held") == NULL);
    CHECK(strstr(text, "Last checks") == NULL && strstr(text, "Backups") == NULL);
}

TEST(waivers_holds_rollouts_and_backups_have_parts_of_their_own)
{
    begin();
    confleet__waiver__init(&waiver);
    confleet__hold_view__init(&hold);
    confleet__passage_view__init(&passage);
    waiver.check = word("heap");
    waiver.by = word("anna");
    waiver.until_ms = NOW + DAY;
    waiver.reason = word("agreed\nin writing");
    found[0].waived_by = word("anna");
    found[0].waive_reason = word("agreed");
    found[0].waived_until_ms = NOW + DAY;
    hold.by = word("bert");
    hold.reason = word("month's end");
    hold.until_ms = NOW + 2 * DAY;
    passage.rollout = word("spring-7");
    passage.stage = word("production");
    passage.state = word("rolled-back");
    passage.from_version = word("9.2.13");
    passage.version = word("9.2.13");
    passage.started_ms = NOW - DAY;
    passage.outage_ms = 65000;
    passage.attempt = 2;
    passage.reason = word("a schema task failed");
    site.n_waivers = site.n_holds = site.n_passages = 1;
    site.waivers = waivers;
    site.holds = holds;
    site.passages = passages;
    for (size_t i = 0; i < 6; i++) {
        backups[i] = &backup_rows[i];
        confleet__backup_record__init(backups[i]);
        backup_rows[i].id = word(i < 5 ? "20261123T041800Z-1a2b3c" : "20250101T041800Z-oldest");
        backup_rows[i].level = CONFLEET__BACKUP_LEVEL__RESTORED;
    }
    site.n_backups = 6;
    site.backups = backups;
    const char *text = shown(0, 0);
    CHECK_HAS(text, "  heap (block) by anna until Tue 2026-11-24 02:13 UTC: agreed\n    in writing\n");
    CHECK_HAS(text, "           waived by anna until Tue 2026-11-24 02:13 UTC: agreed\n");
    CHECK_HAS(text, "  all sites by bert until Wed 2026-11-25 02:13 UTC: month's end\n");
    CHECK_HAS(text, "  spring-7, stage production: rolled-back, begun Sun 2026-11-22 02:13 UTC, from\n"
                    "    9.2.13, then on 9.2.13, down for 1m 05s, attempt 2: a schema task failed\n");
    CHECK_HAS(text, "  20261123T041800Z-1a2b3c  -     restored");
    CHECK_HAS(text, "  and 1 more: confleet backup list wiki\n");
    CHECK(strstr(text, "oldest") == NULL);
    CHECK(widest(text) <= 80);
}

TEST(checks_say_what_changed_since_the_one_before_of_the_same_target)
{
    begin();
    history_make(7);
    const char *text = shown(3, 0);
    CHECK_HAS(text, "  Mon 2026-11-23 02:13 UTC to 9.2.21: 1 block, 1 unknown, 3 ok\n"
                    "    worse heap (block), new clock (unknown), gone memory (was block)\n"
                    "  Sun 2026-11-22 02:13 UTC to 9.2.21: 1 block, 1 warn\n    no change\n");
    CHECK_HAS(text, "    the first one that is kept\n");
    check_rows[1].target = word("10.2.1");
    CHECK_HAS(shown(3, 0), "    worse heap (block), new clock");
    CHECK_HAS(shown(7, 0), "  and 2 earlier ones\n");
    check_rows[0].n_findings = 0; /* all of it is gone */
    CHECK_HAS(shown(2, 0), "gone heap (was warn), gone memory (was block)\n");
}

TEST(a_narrow_terminal_gets_narrow_lines_and_an_unchecked_site_its_command)
{
    begin();
    history_make(7);
    CHECK(widest(shown(7, 60)) <= 60);
    site.n_findings = 0;
    site.checked_ms = 0;
    CHECK_HAS(shown(0, 60), "Checked never\n  nothing is known: confleet check wiki\n");
    site.n_nodes = 0;
    site.reason = word("no installation belongs to it");
    CHECK_HAS(shown(0, 60), "  reason      no installation belongs to it\n");
}
