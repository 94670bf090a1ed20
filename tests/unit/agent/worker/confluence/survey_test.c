/* The jobs survey and check on a site of the stand-in: real scripts, a real process, a real
 * database. */
#include "standin.h"

struct asked {
    struct job *job;
    struct err err;
    int result;
};

static void ask(struct asked *asked, const char *kind, const char *install, const char *search)
{
    static Confleet__WorkerNode node;
    static Confleet__WorkerOrder order;
    static char *folders[1];
    confleet__worker_node__init(&node);
    confleet__worker_order__init(&order);
    *asked = (struct asked){ 0 };
    node.install = (char *)(uintptr_t)install;
    node.backup_dir = standin_root;
    if (search) {
        folders[0] = (char *)(uintptr_t)search;
        node.search = folders;
        node.n_search = 1;
    }
    order.node = &node;
    order.job = (char *)(uintptr_t)kind;
    asked->job = job_new(&order, -1);
    asked->result = strcmp(kind, "survey") == 0 ? survey_job(asked->job, &asked->err)
                                                : check_job(asked->job, &asked->err);
}

static const Confleet__Finding *finding(const struct asked *asked, const char *id)
{
    const Confleet__WorkerResult *result = job_result(asked->job);
    for (size_t i = 0; i < result->n_findings; i++)
        if (strcmp(result->findings[i]->id, id) == 0)
            return result->findings[i];
    return NULL;
}

/* Whatever a job says fits the wire and holds no secret. */
static void check_message(const struct asked *asked)
{
    CLEANUP(str_free) struct str bytes = { 0 };
    CLEANUP(arena_free) struct arena *arena = arena_new(WIRE_ARENA_MAX);
    Confleet__WorkerReply reply = CONFLEET__WORKER_REPLY__INIT, *back = NULL;
    struct err err = { 0 };
    reply.body_case = CONFLEET__WORKER_REPLY__BODY_RESULT;
    reply.result = job_result(asked->job);
    wire_encode(&reply.base, &bytes);
    CHECK_OK(wire_decode_worker_reply(arena, bytes.s, bytes.len, &back, &err), err);
    CHECK(!memmem(bytes.s, bytes.len, "hunter2", 7));
}

TEST(a_stopped_site_is_surveyed)
{
    CLEANUP(free_mem) char *install = standin_site("calm", NULL);
    struct asked asked;
    ask(&asked, "survey", "", standin_root);
    CHECK_OK(asked.result, asked.err);
    const Confleet__Survey *survey = job_result(asked.job)->survey;
    CHECK(survey != NULL);
    CHECK(survey->os[0] != 0 && survey->host[0] != 0);
    const Confleet__Installation *site = NULL;
    for (size_t i = 0; i < survey->n_installations; i++)
        if (strcmp(survey->installations[i]->install, install) == 0)
            site = survey->installations[i];
    CHECK(site != NULL);
    CHECK_STR(site->version, "9.2.13");
    CHECK_INT(site->app_build, 9109);
    CHECK_INT(site->home_build, 9109);
    CHECK_INT(site->database_build, 9109);
    CHECK_STR(site->state, "stopped");
    CHECK_STR(site->database_kind, "postgresql");
    CHECK_STR(site->run_user, "nobody");
    CHECK(!site->clustered && !site->installer_made);
    check_message(&asked);
    job_free(&asked.job);
}

TEST(a_running_site_is_found_by_its_process)
{
    CLEANUP(free_mem) char *install = standin_site("lively", NULL);
    standin_do("start", "lively");
    struct asked asked;
    ask(&asked, "survey", "", NULL);
    const Confleet__Survey *survey = job_result(asked.job)->survey;
    const Confleet__Installation *site = NULL;
    for (size_t i = 0; survey && i < survey->n_installations; i++)
        if (strcmp(survey->installations[i]->install, install) == 0)
            site = survey->installations[i];
    bool found = site && site->pid > 0 && strcmp(site->state, "RUNNING") == 0;
    if (site && !found)
        print_error("pid %d, state %s\n", site->pid, site->state);
    job_free(&asked.job);
    ask(&asked, "check", install, NULL);
    const Confleet__Finding *sessions = finding(&asked, "sessions");
    bool seen = sessions && sessions->severity == CONFLEET__SEVERITY__INFO;
    job_free(&asked.job);
    standin_do("stop", "lively");
    CHECK(found);
    CHECK(seen);
}

TEST(a_good_site_has_no_block_and_a_broken_one_has)
{
    CLEANUP(free_mem) char *install = standin_site("judged", NULL);
    struct asked asked;
    ask(&asked, "check", install, NULL);
    CHECK_OK(asked.result, asked.err);
    const Confleet__WorkerResult *result = job_result(asked.job);
    for (size_t i = 0; i < result->n_findings; i++)
        if (result->findings[i]->severity == CONFLEET__SEVERITY__BLOCK)
            print_error("%s: %s\n", result->findings[i]->id, result->findings[i]->evidence);
    CHECK_INT(job_blocks(asked.job), 0);
    CHECK_INT(finding(&asked, "build-numbers")->severity, CONFLEET__SEVERITY__OK);
    CHECK_INT(finding(&asked, "run-user")->severity, CONFLEET__SEVERITY__OK);
    CHECK_INT(finding(&asked, "database-rights")->severity, CONFLEET__SEVERITY__OK);
    check_message(&asked);
    job_free(&asked.job);
    cluster_do(
        "judged",
        (const char *const[]){
            "update public.confversion set buildnumber = 9110 where buildnumber = 9109", NULL });
    ask(&asked, "check", install, NULL);
    CHECK_INT(finding(&asked, "build-numbers")->severity, CONFLEET__SEVERITY__BLOCK);
    CHECK_HAS(finding(&asked, "build-numbers")->evidence, "9110");
    CHECK(finding(&asked, "build-numbers")->remedy[0] != 0);
    job_free(&asked.job);
}

TEST(no_installation_is_an_error_of_the_job)
{
    struct asked asked;
    ask(&asked, "check", "/nonexistent", NULL);
    CHECK_INT(asked.result, -FAIL_NOT_FOUND);
    job_free(&asked.job);
}

TEST(an_empty_server_has_an_empty_survey)
{
    struct asked asked;
    ask(&asked, "survey", "", test_dir());
    CHECK_OK(asked.result, asked.err);
    check_message(&asked);
    job_free(&asked.job);
}

/* Stops before the cluster does: destructors run in the order opposite to their making. */
__attribute__((destructor)) static void standin_remove(void)
{
    struct err err = { 0 };
    if (standin_root[0] && fs_remove_tree(standin_root, &err) != 0)
        print_error("%s\n", err.text);
}
