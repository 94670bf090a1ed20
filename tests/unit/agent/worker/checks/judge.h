/* judge - facts of a site where all is well, for tests that spoil one thing at a time. */
#pragma once
#include "agent/worker/checks/check.h"
#include "harness/test.h"

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

/* What is known of releases; the same for all facts of one test, and new with each good_facts(). */
static struct gather_source *good_source(struct facts *facts)
{
    static const char csv[] =
        "version,build,date,eol,lts,java,postgresql,floor_version,note,sources\n"
        "7.19.1,8804,2022-08-01,2024-07-27,yes,11 17,10-14,5.10.0,,TEST\n"
        "8.5.4,9012,2023-12-01,2025-12-15,yes,11 17,11-15,6.0.5,,TEST\n"
        "8.6.0,,2023-10-05,2025-10-05,no,17,,6.0.5,Data Center licence only,TEST\n"
        "8.7.1,,2023-12-05,2025-12-05,no,17,,6.0.5,,TEST\n"
        "9.2.13,9109,2025-12-16,2027-12-10,yes,17,12-16,7.19.0,,TEST\n"
        "9.2.21,9116,2026-06-02,2027-12-10,yes,17,13-16,7.19.0,,TEST\n"
        "10.2.1,,2026-06-03,2027-12-02,yes,,,,,TEST\n";
    static struct gather_source source;
    static struct catalogue *catalogue;
    catalogue_free(&catalogue);
    CHECK_INT(catalogue_parse("good", csv, sizeof csv - 1, &catalogue, NULL), 0);
    source = (struct gather_source){ .catalogue = catalogue,
                                     .target = *catalogue_find(catalogue, "9.2.21"),
                                     .installed = *catalogue_find(catalogue, "9.2.13") };
    facts->catalogue = catalogue;
    facts->catalogued = source.target;
    return &source;
}

/* Two apps of users and one of the release; a fourth waits behind count. */
static struct fact_app *good_apps(void)
{
    static struct fact_app apps[4];
    const struct fact_app good[4] = {
        { .app = { .key = "com.example.diagrams",
                   .name = "Diagrams",
                   .version = "4.2.1",
                   .vendor = "Example Vendor",
                   .generation = 2,
                   .data_center = APP_SAYS_YES },
          .file = "diagrams-4.2.1.jar",
          .size = 90000,
          .where = APP_BY_USER },
        { .app = { .key = "org.example.calendar",
                   .name = "Calendar",
                   .version = "7.0.3-beta2",
                   .generation = 2,
                   .data_center = APP_SAYS_YES },
          .file = "calendar.jar",
          .size = 40000,
          .where = APP_BY_USER },
        { .app = { .key = "com.atlassian.bundled", .version = "9.2.13", .generation = 2 },
          .file = "bundled.jar",
          .where = APP_BUNDLED },
        { .app = { .key = "com.example.sso", .name = "SSO", .version = "1.3", .generation = 1 },
          .file = "sso-1.3.jar",
          .where = APP_IN_LIB },
    };
    memcpy(apps, good, sizeof apps);
    for (size_t i = 0; i < 4; i++) {
        apps[i].read = apps[i].enabled = FACT_YES;
        apps[i].fit = APP_FITS;
    }
    return apps;
}

__attribute__((unused)) static struct facts good_facts(void)
{
    struct facts facts = {
        .apps = { .part = { .known = FACT_YES },
                  .user_known = FACT_YES,
                  .states_known = FACT_YES,
                  .bundled_known = FACT_YES,
                  .lib_known = FACT_YES,
                  .catalogue_known = FACT_YES,
                  .catalogue_count = 2,
                  .apps = good_apps(),
                  .count = 3 },
        .at_ms = 1781481600000, /* 2026-06-15 */
        .backup = { .part = { .known = FACT_YES },
                    .mounts_known = FACT_YES,
                    .kind = "ext4",
                    .source = "/dev/sdb1",
                    .at = "/var/backups",
                    .same_device = FACT_NO,
                    .speed_known = FACT_YES,
                    .written = SPEED_BYTES,
                    .wrote_ms = 400,
                    .room_known = FACT_YES,
                    .free_bytes = 40000000000,
                    .has_forecast = true,
                    .forecast = { .next_bytes = 1000000000,
                                  .more = 40,
                                  .like = 3,
                                  .full_in_ms = -1,
                                  .paced = true } },
        .backup_need = 2000000000,
        .backup_rate = 100000000,
        .history = { .part = { .known = FACT_YES },
                     .lock_known = FACT_YES,
                     .recovery_known = FACT_YES },
        .site = { .install = (char *)(uintptr_t) "/opt/app",
                  .home = (char *)(uintptr_t) "/var/home",
                  .version = "9.2.13",
                  .app_build = 9109,
                  .home_build = 9109,
                  .run_user = "confluence",
                  .uid = 120,
                  .gid = 120,
                  .pid = 77,
                  .http_port = 8090,
                  .setup_step = "complete",
                  .java = "/usr/bin/java",
                  .has_config = true,
                  .database = { .kind = DATABASE_POSTGRESQL,
                                .host = "db",
                                .port = "5432",
                                .name = "conf",
                                .user = "conf" } },
        .has_target = true,
        .target_version = "9.2.21",
        .target_build = 9116,
        .scratch = "auto",
        .has_artifact = true,
        .artifact = "/var/a.tar.gz",
        .artifact_path = { .exists = FACT_YES },
        .artifact_bytes = 100,
        .artifact_want = 100,
        .database = { .site = { .tried = true },
                      .copied = FACT_YES,
                      .capture_text = "the account may",
                      .server_version = 150020,
                      .build = 9109,
                      .account = "conf",
                      .owner = "conf",
                      .encoding = "UTF8",
                      .collate = "C",
                      .superuser = FACT_NO,
                      .createdb = FACT_YES,
                      .owns = FACT_YES,
                      .creates = FACT_YES,
                      .renames = FACT_YES,
                      .elsewhere = FACT_YES,
                      .foreign_known = FACT_YES,
                      .bytes = 1000,
                      .bytes_known = true,
                      .sessions_visible = FACT_YES,
                      .sessions = 3,
                      .sessions_who = "conf from db (3)",
                      .own_addresses = 1,
                      .safety_table = FACT_YES,
                      .room_known = FACT_YES },
        .tools = { .version = 150020,
                   .dir = "/usr/lib/postgresql/15/bin",
                   .server_known = true,
                   .initdb = FACT_YES,
                   .initdb_text = "initdb" },
        .install_size = { 1000, 10, FACT_YES },
        .home_size = { 1000, 10, FACT_YES },
        .places = { { .what = "the backup",
                      .path = "/backup",
                      .need_bytes = 3600,
                      .need_files = 100,
                      .free_bytes = 10000,
                      .free_files = 1000,
                      .dev = 1,
                      .files_limited = true,
                      .known = FACT_YES },
                    { .what = "the new version",
                      .path = "/opt",
                      .need_bytes = 1200,
                      .need_files = 100,
                      .free_bytes = 10000,
                      .free_files = 1000,
                      .dev = 2,
                      .files_limited = true,
                      .known = FACT_YES } },
        .place_count = 2,
        .outside_known = FACT_YES,
        .port_taken = FACT_NO,
        .user_exists = FACT_YES,
        .home_uid = 120,
        .home_uid_known = FACT_YES,
        .process_uid = 120,
        .process_uid_known = FACT_YES,
        .backup_dir = { .exists = FACT_YES, .is_dir = true, .writable = true, .mode = 0700 },
        .backup_path = "/backup",
        .start_script = FACT_YES,
        .stop_script = FACT_YES,
        .hooks_known = FACT_YES,
        .guarded = FACT_NO,
        .schema = { .part = { .known = FACT_YES },
                    .config_known = FACT_YES,
                    .pool_max = 60,
                    .driver = "org.postgresql.Driver",
                    .driver_jar_known = FACT_YES,
                    .driver_jar = "postgresql-42.7.jar",
                    .asked = FACT_YES,
                    .server_version = 150020,
                    .collate = "C",
                    .collation_moved_known = FACT_YES,
                    .bytes = 1000,
                    .tables = 107,
                    .transactions_known = FACT_YES,
                    .ddl_known = FACT_YES,
                    .ddl_create = FACT_YES,
                    .indexes_known = FACT_YES },
        .custom = { .part = { .known = FACT_YES },
                    .compared = FACT_YES,
                    .source = "the archive of 9.2.13",
                    .files = 400,
                    .shipped = 400,
                    .database = { .known = FACT_YES, .templates_known = FACT_YES },
                    .merge = { .known = FACT_YES } },
        .platform = { .part = { .known = FACT_YES },
                      .os = "Debian GNU/Linux 12",
                      .kernel = "Linux 6.1",
                      .cpus = 4,
                      .memory_known = FACT_YES,
                      .memory_total = 16ULL << 30,
                      .memory_available = 8ULL << 30,
                      .java_home = "/usr/lib/jvm/17",
                      .java_version = "17.0.9",
                      .java_major = 17,
                      .options_known = FACT_YES,
                      .heap_max = 2ULL << 30,
                      .heap_min = 1ULL << 30,
                      .home_file_known = FACT_YES,
                      .home_file = "/var/home",
                      .owners_known = FACT_YES,
                      .looked_at = 40,
                      .limits_known = FACT_YES,
                      .files_max = 16384,
                      .processes_max = 4096,
                      .clock_known = FACT_YES,
                      .clock_synced = FACT_YES,
                      .fonts_known = FACT_YES,
                      .fonts = 9 },
        .licence = { .part = { .known = FACT_YES },
                     .used = { .form = LICENCE_VERSION_2,
                               .signature = LICENCE_VERIFIED,
                               .host = true,
                               .data_center = true,
                               .subscription = true,
                               .type = "COMMERCIAL",
                               .users = { .when = LICENCE_DAY, .value = 500 },
                               .maintenance = { .when = LICENCE_DAY, .day = 22279 },
                               .expiry = { .when = LICENCE_DAY, .day = 22279 } }, /* 2030-12-31 */
                     .waits = FACT_NO,
                     .users_known = FACT_YES,
                     .users = 120 },
        .operations = { .part = { .known = FACT_YES },
                        .processes_known = FACT_YES,
                        .fanotify_known = FACT_YES,
                        .config_known = FACT_YES,
                        .access_mode = "READ_WRITE",
                        .synchrony = "false",
                        .index_known = FACT_YES,
                        .index_bytes = 1000,
                        .index_files = 3,
                        .tasks_known = FACT_YES,
                        .mail_known = FACT_YES,
                        .links_known = FACT_YES,
                        .by_controller = true },
    };
    facts.source = good_source(&facts);
    return facts;
}

/* Judges and compares the severity; returns the evidence. */
__attribute__((unused)) static const char *judged(const char *id, const struct facts *facts,
                                                  Confleet__Severity want)
{
    static struct verdict verdict;
    const struct check_def *check = check_find(id);
    CHECK(check != NULL);
    verdict = (struct verdict){ .severity = CONFLEET__SEVERITY__SEVERITY_NONE };
    check->judge(facts, &verdict);
    if (verdict.severity != want)
        print_error("%s: %s\n", id, verdict.evidence);
    CHECK_INT(verdict.severity, want);
    CHECK(verdict.evidence[0] != 0);
    return verdict.evidence;
}
