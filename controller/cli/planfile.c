#include "controller/cli/planfile.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include "confleet/version.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define DAY_MS (24ULL * 3600 * 1000)

const char *const planfile_failures[] = { "rollback", "hold", NULL };
static const char *const levels[] = { "complete", "re-read", "restored", "started", NULL };
static const char *const days[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL };

static const struct yaml_field window_fields[] = {
    { .key = "days",
      .kind = YAML_LIST,
      .offset = offsetof(struct plan_window, days),
      .item = YAML_WORD,
      .item_size = sizeof(int),
      .words = days,
      .min = 1,
      .max = 7 },
    { .key = "from",
      .kind = YAML_TEXT,
      .offset = offsetof(struct plan_window, from),
      .needed = true,
      .at_offset = offsetof(struct plan_window, from_at),
      .help = "when it opens, by the clock of tz: from: \"02:00\"" },
    { .key = "for",
      .kind = YAML_DURATION,
      .offset = offsetof(struct plan_window, for_ms),
      .needed = true,
      .min = 60000,
      .max = 7 * DAY_MS,
      .at_offset = offsetof(struct plan_window, for_at) },
    { .key = "tz",
      .kind = YAML_TEXT,
      .offset = offsetof(struct plan_window, tz),
      .needed = true,
      .at_offset = offsetof(struct plan_window, tz_at),
      .help = "a time zone such as Europe/Berlin, or UTC" },
    { 0 }
};
static const struct yaml_field gate_fields[] = {
#define X(name, class)                                                                             \
    { .key = #name,                                                                                \
      .kind = YAML_U64,                                                                            \
      .offset = offsetof(struct plan_gate, name),                                                  \
      .max = 10000,                                                                                \
      .at_offset = offsetof(struct plan_gate, name##_at) },
    PLAN_GATE_LIMITS(X)
#undef X
        { 0 }
};
static const struct yaml_field needs_fields[] = {
    { .key = "stage",
      .kind = YAML_NAME,
      .offset = offsetof(struct plan_needs, stage),
      .at_offset = offsetof(struct plan_needs, stage_at) },
    { .key = "approvals",
      .kind = YAML_U64,
      .offset = offsetof(struct plan_needs, approvals),
      .max = 16,
      .at_offset = offsetof(struct plan_needs, approvals_at) },
    { .key = "covered",
      .kind = YAML_BOOL,
      .offset = offsetof(struct plan_needs, covered),
      .at_offset = offsetof(struct plan_needs, covered_at) },
    { 0 }
};
static const struct yaml_field stage_fields[] = {
    { .key = "name",
      .kind = YAML_NAME,
      .offset = offsetof(struct plan_stage, name),
      .needed = true,
      .at_offset = offsetof(struct plan_stage, name_at) },
    { .key = "select",
      .kind = YAML_PAIRS,
      .offset = offsetof(struct plan_stage, select),
      .needed = true,
      .min = 1,
      .at_offset = offsetof(struct plan_stage, select_at),
      .help = "labels a site must have, such as { env: test }, or one site: { site: NAME }" },
    { .key = "soak",
      .kind = YAML_DURATION,
      .offset = offsetof(struct plan_stage, soak_ms),
      .max = 30 * DAY_MS,
      .at_offset = offsetof(struct plan_stage, soak_at),
      .help = "how long a healthy new version is watched before it is kept; 24h when left out" },
    { .key = "batch",
      .kind = YAML_LIST,
      .single = true,
      .offset = offsetof(struct plan_stage, batch),
      .item = YAML_TEXT,
      .item_size = sizeof(char *),
      .min = 1,
      .max = PLAN_BATCH_MAX,
      .at_offset = offsetof(struct plan_stage, batch_at),
      .help = "sites at once, batch after batch, such as [1, 3, rest]; 1 when left out" },
    { .key = "estimate",
      .kind = YAML_DURATION,
      .offset = offsetof(struct plan_stage, estimate_ms),
      .min = 60000,
      .max = DAY_MS,
      .at_offset = offsetof(struct plan_stage, estimate_at),
      .help = "outage of one site plus its way back; nothing starts when less is left of the "
              "window; 30m when left out" },
    { .key = "window",
      .kind = YAML_LIST,
      .single = true,
      .offset = offsetof(struct plan_stage, windows),
      .fields = window_fields,
      .item_size = sizeof(struct plan_window),
      .min = 1,
      .max = 16,
      .at_offset = offsetof(struct plan_stage, window_at),
      .help =
          "when sites may start: { days: [sat], from: \"02:00\", for: 4h, tz: Europe/Berlin }" },
    { .key = "gate",
      .kind = YAML_MAP,
      .offset = offsetof(struct plan_stage, gate),
      .fields = gate_fields,
      .at_offset = offsetof(struct plan_stage, gate_at) },
    { .key = "needs",
      .kind = YAML_MAP,
      .offset = offsetof(struct plan_stage, needs),
      .fields = needs_fields },
    { 0 }
};
static const struct yaml_field freeze_fields[] = {
    { .key = "from",
      .kind = YAML_TEXT,
      .offset = offsetof(struct plan_freeze, from),
      .needed = true,
      .at_offset = offsetof(struct plan_freeze, from_at) },
    { .key = "to",
      .kind = YAML_TEXT,
      .offset = offsetof(struct plan_freeze, to),
      .needed = true,
      .at_offset = offsetof(struct plan_freeze, to_at),
      .help = "a date is frozen to its end" },
    { .key = "reason",
      .kind = YAML_TEXT,
      .offset = offsetof(struct plan_freeze, reason),
      .needed = true,
      .help = "why, for whoever wonders what the rollout waits for" },
    { .key = "tz",
      .kind = YAML_TEXT,
      .offset = offsetof(struct plan_freeze, tz),
      .at_offset = offsetof(struct plan_freeze, tz_at),
      .help = "a time zone such as Europe/Berlin, or UTC" },
    { 0 }
};
static const struct yaml_field site_window_fields[] = {
    { .key = "site",
      .kind = YAML_NAME,
      .offset = offsetof(struct plan_site_window, site),
      .needed = true,
      .at_offset = offsetof(struct plan_site_window, site_at) },
    { .key = "window",
      .kind = YAML_LIST,
      .single = true,
      .offset = offsetof(struct plan_site_window, windows),
      .fields = window_fields,
      .item_size = sizeof(struct plan_window),
      .needed = true,
      .min = 1,
      .max = 16,
      .at_offset = offsetof(struct plan_site_window, windows_at) },
    { 0 }
};
static const struct yaml_field plan_fields[] = {
    { .key = "name",
      .kind = YAML_NAME,
      .offset = offsetof(struct planfile, name),
      .needed = true,
      .at_offset = offsetof(struct planfile, name_at) },
    { .key = "release",
      .kind = YAML_TEXT,
      .offset = offsetof(struct planfile, release),
      .needed = true,
      .at_offset = offsetof(struct planfile, release_at),
      .help = "the version to go to, as 'confleet release list' shows it" },
    { .key = "notes_read",
      .kind = YAML_LIST,
      .single = true,
      .offset = offsetof(struct planfile, notes_read),
      .item = YAML_TEXT,
      .item_size = sizeof(char *),
      .min = 1,
      .max = 64,
      .at_offset = offsetof(struct planfile, notes_at),
      .help = "feature versions whose release and upgrade notes were read, such as [8.9, 9.0]" },
    { .key = "stages",
      .kind = YAML_LIST,
      .offset = offsetof(struct planfile, stages),
      .fields = stage_fields,
      .needed = true,
      .item_size = sizeof(struct plan_stage),
      .min = 1,
      .max = PLAN_STAGES_MAX },
    { .key = "on_failure",
      .kind = YAML_WORD,
      .offset = offsetof(struct planfile, on_failure),
      .words = planfile_failures,
      .at_offset = offsetof(struct planfile, failure_at) },
    { .key = "backup_level",
      .kind = YAML_WORD,
      .offset = offsetof(struct planfile, level),
      .words = levels,
      .at_offset = offsetof(struct planfile, level_at) },
    { .key = "expires",
      .kind = YAML_TEXT,
      .offset = offsetof(struct planfile, expires),
      .at_offset = offsetof(struct planfile, expires_at),
      .help =
          "how long agents take the plan after it was signed, or until when; 7d when left out" },
    { .key = "silence",
      .kind = YAML_DURATION,
      .offset = offsetof(struct planfile, silence_ms),
      .min = 1000,
      .max = DAY_MS,
      .at_offset = offsetof(struct planfile, silence_at),
      .help = "how long a site at work may be without a word; the controller's own when left out" },
    { .key = "gate",
      .kind = YAML_MAP,
      .offset = offsetof(struct planfile, gate),
      .fields = gate_fields,
      .at_offset = offsetof(struct planfile, gate_at) },
    { .key = "freeze",
      .kind = YAML_LIST,
      .single = true,
      .offset = offsetof(struct planfile, freezes),
      .fields = freeze_fields,
      .item_size = sizeof(struct plan_freeze),
      .min = 1,
      .max = PLAN_FREEZES_MAX,
      .at_offset = offsetof(struct planfile, freeze_at),
      .help =
          "times when nothing starts: { from: 2026-12-20, to: 2027-01-06, reason: year end, tz: "
          "Europe/Berlin }" },
    { .key = "site_windows",
      .kind = YAML_LIST,
      .single = true,
      .offset = offsetof(struct planfile, site_windows),
      .fields = site_window_fields,
      .item_size = sizeof(struct plan_site_window),
      .min = 1,
      .max = PLAN_SITE_WINDOWS_MAX,
      .help = "further windows of single sites: { site: NAME, window: { … } }" },
    { 0 }
};

void gate_limits(const struct plan_gate *gate, struct plan_limit ret[PLAN_GATE_LIMIT_COUNT])
{
    size_t count = 0;
#define X(name, word)                                                                              \
    ret[count++] = (struct plan_limit){ #name, CONFLEET__OUTCOME_CLASS__##word, gate->name,        \
                                        gate->name##_at };
    PLAN_GATE_LIMITS(X)
#undef X
    assert(count == PLAN_GATE_LIMIT_COUNT);
}

struct plan_stage *planfile_stage(const struct planfile *file, size_t index)
{
    return &((struct plan_stage *)file->stages.items)[index];
}

Confleet__BackupLevel planfile_level(const struct planfile *file)
{
    return (Confleet__BackupLevel)(file->level + CONFLEET__BACKUP_LEVEL__COMPLETE);
}

void planfile_complain(const struct planfile *file, struct yaml_report *report, struct yaml_at at,
                       const char *format, ...)
{
    CLEANUP(str_free) struct str text = { 0 };
    va_list ap;
    va_start(ap, format);
    str_vaddf(&text, format, ap);
    va_end(ap);
    yaml_report_add(report, file->file, file->source, at, "%s", str_text(&text));
}

static void batch_read(const struct planfile *file, struct plan_stage *stage,
                       struct yaml_report *report)
{
    char **texts = stage->batch.items;
    for (size_t i = 0; i < stage->batch.count; i++) {
        uint64_t sites = 0;
        if (!texts[i])
            continue;
        bool rest = strcmp(texts[i], "rest") == 0;
        if (rest && i + 1 < stage->batch.count)
            planfile_complain(file, report, stage->batch.at[i],
                              "batch: \"rest\" must come last: nothing is left after it");
        else if (!rest && (!text_parse_u64(texts[i], 10000, &sites) || sites == 0))
            planfile_complain(file, report, stage->batch.at[i],
                              "batch: \"%s\" is neither a count of sites (1 to 10000) nor \"rest\"",
                              texts[i]);
        stage->batches[stage->batch_count++] = rest ? PLAN_REST : (uint32_t)sites;
    }
    if (stage->batch_count == 0)
        stage->batches[stage->batch_count++] = 1;
}

static void needs_check(const struct planfile *file, size_t index, struct yaml_report *report)
{
    const struct plan_needs *needs = &planfile_stage(file, index)->needs;
    size_t found = file->stages.count;
    for (size_t i = 0; needs->stage && i < file->stages.count; i++) {
        const char *name = planfile_stage(file, i)->name;
        if (name && strcmp(name, needs->stage) == 0 && found == file->stages.count)
            found = i;
    }
    if (needs->stage && found == file->stages.count)
        planfile_complain(file, report, needs->stage_at, "needs: no stage is called \"%s\"",
                          needs->stage);
    else if (needs->stage && found == index)
        planfile_complain(file, report, needs->stage_at,
                          "needs: stage \"%s\" cannot need itself: name an earlier one",
                          needs->stage);
    else if (needs->stage && found > index)
        planfile_complain(file, report, needs->stage_at,
                          "needs: stage \"%s\" does not come before this one", needs->stage);
}

/* A limit of one class above the limit of all that fail never stops anything. */
static void gate_check(const struct planfile *file, const struct plan_gate *gate,
                       struct yaml_report *report)
{
    struct plan_limit limits[PLAN_GATE_LIMIT_COUNT];
    gate_limits(gate, limits);
    for (size_t i = 0; i < PLAN_GATE_LIMIT_COUNT; i++) {
        if (limits[i].at.line == 0 || limits[i].class == CONFLEET__OUTCOME_CLASS__FAILED ||
            limits[i].class == CONFLEET__OUTCOME_CLASS__SILENT || limits[i].max <= gate->max_failed)
            continue;
        planfile_complain(file, report, limits[i].at,
                          "gate: %s of %" PRIu64 " is never reached: max_failed counts the same "
                          "sites and stops above %" PRIu64 "; raise max_failed, or leave %s out",
                          limits[i].key, limits[i].max, gate->max_failed, limits[i].key);
    }
}

static void pairs_check(const struct planfile *file, const struct plan_stage *stage,
                        struct yaml_report *report)
{
    const struct yaml_pair *pairs = stage->select.items;
    for (size_t i = 0; i < stage->select.count; i++) {
        if (!pairs[i].value[0])
            planfile_complain(file, report, pairs[i].at,
                              "select: \"%s\" has an empty value, which no site can have",
                              pairs[i].key);
    }
}

static void stage_check(const struct planfile *file, size_t index, struct yaml_report *report)
{
    struct plan_stage *stage = planfile_stage(file, index);
    if (stage->soak_at.line == 0)
        stage->soak_ms = PLAN_SOAK_DEFAULT_MS;
    if (stage->estimate_at.line == 0)
        stage->estimate_ms = PLAN_ESTIMATE_DEFAULT_MS;
    for (size_t i = 0; stage->name && i < index; i++) {
        const struct plan_stage *other = planfile_stage(file, i);
        if (other->name && strcmp(other->name, stage->name) == 0) {
            planfile_complain(file, report, stage->name_at,
                              "stage \"%s\" is there already, in line %d", stage->name,
                              other->name_at.line);
            break;
        }
    }
    pairs_check(file, stage, report);
    batch_read(file, stage, report);
    needs_check(file, index, report);
    gate_check(file, &stage->gate, report);
}

static void notes_check(const struct planfile *file, struct yaml_report *report)
{
    char *const *names = file->notes_read.items;
    struct version version;
    for (size_t i = 0; i < file->notes_read.count; i++) {
        if (names[i] &&
            (!version_parse(names[i], &version) || version.count != 2 || version.rank != 0))
            planfile_complain(file, report, file->notes_read.at[i],
                              "notes_read: \"%s\" is no feature version such as 9.0", names[i]);
    }
}

static int finish(struct planfile *file, int loaded, struct yaml_report *report, struct err *err)
{
    if (loaded != 0 && loaded != -FAIL_USAGE)
        return loaded;
    file->whole = loaded == 0;
    for (size_t i = 0; i < file->stages.count; i++)
        stage_check(file, i, report);
    gate_check(file, &file->gate, report);
    notes_check(file, report);
    planfile_times(file, report);
    if (file->level_at.line > 0 && planfile_level(file) < CONFLEET__BACKUP_LEVEL__RESTORED)
        planfile_complain(
            file, report, file->level_at,
            "backup_level: \"%s\" is too little: no site is stopped before its backup was "
            "restored into a scratch database; write restored, or leave it out",
            levels[file->level]);
    if (report->errors == 0)
        return 0;
    if (err)
        err_clear(err);
    return err_set(err, FAIL_USAGE, "%s: %d error%s", file->file, report->errors,
                   report->errors == 1 ? "" : "s");
}

static void defaults(struct planfile *file, const char *name)
{
    *file = (struct planfile){ .file = name,
                               .level = CONFLEET__BACKUP_LEVEL__RESTORED -
                                        CONFLEET__BACKUP_LEVEL__COMPLETE,
                               .expires_ms = PLAN_EXPIRES_DEFAULT_MS };
}

int planfile_load(const char *path, struct planfile *ret, struct yaml_report *report,
                  struct err *err)
{
    defaults(ret, path);
    int result = yaml_load(path, plan_fields, ret, report, &ret->source, err);
    return finish(ret, result, report, err);
}

int planfile_load_text(const char *name, const char *text, struct planfile *ret,
                       struct yaml_report *report, struct err *err)
{
    defaults(ret, name);
    ret->source = text_dup(text);
    int result = yaml_load_text(name, text, strlen(text), plan_fields, ret, report, err);
    return finish(ret, result, report, err);
}

void planfile_free(struct planfile *file)
{
    yaml_free(plan_fields, file);
    free_mem(&file->source);
}
