/* One licence text judged by itself, for the person who hands it over. */
#include "agent/worker/checks/facts_licence.h"
#include "agent/worker/job.h"
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include <string.h>

static struct catalogue_release target_of(const struct job *job)
{
    const Confleet__WorkerOrder *order = job_order(job);
    const char *path = job_node(job)->catalogue_file;
    CLEANUP(catalogue_free) struct catalogue *catalogue = NULL;
    struct catalogue_release target = { 0 };
    if (!order->release || !order->release->version[0])
        return target;
    if (!path[0] || catalogue_load(path, &catalogue, NULL) != 0)
        catalogue = catalogue_new();
    catalogue_put_wire(catalogue, order->release);
    const struct catalogue_release *found = catalogue_find(catalogue, order->release->version);
    if (found)
        target = *found;
    (void)snprintf(target.text, sizeof target.text, "%.63s", order->release->version);
    return target;
}

static void tell(struct job *job, const struct licence *licence, enum licence_aspect aspect,
                 const struct licence_question *question)
{
    const struct licence_aspect_def *def = &licence_aspects[aspect];
    struct licence_answer answer;
    licence_judge(licence, question, aspect, &answer);
    job_finding(job, def->check, answer.severity, def->title, def->remedy, "%s", answer.text);
}

int licence_job(struct job *job, struct err *err)
{
    CLEANUP(str_wipe) struct str text = { 0 };
    struct licence licence = { 0 };
    int result = fs_read(job_node(job)->licence_file, LICENCE_TEXT_MAX, &text, err);
    if (result != 0)
        return result;
    licence_decode(str_text(&text), text.len, &licence_keys_vendor, &licence);
    if (licence.form != LICENCE_VERSION_2)
        return err_set(err, FAIL_CORRUPT, "this is no licence text that can be read: %s",
                       licence.form == LICENCE_NONE ? "it is empty" : licence.why);
    if (!licence.host)
        return err_set(err, FAIL_MISMATCH,
                       "this is a licence for %s, not for Confluence itself; give a Confluence "
                       "host licence",
                       licence.product[0] ? licence.product : "an app");
    const struct catalogue_release target = target_of(job);
    const struct licence_question question = {
        .target = target.text,
        .target_date = target.date,
        .target_data_center = strcmp(target.data_center_only, "yes") == 0,
        .today = licence_day_of(clock_wall_ms()),
    };
    /* The number of users is compared where the database is asked: in the check. */
    for (int aspect = 0; aspect < LICENCE_ASPECT_USERS; aspect++)
        tell(job, &licence, (enum licence_aspect)aspect, &question);
    return 0;
}
