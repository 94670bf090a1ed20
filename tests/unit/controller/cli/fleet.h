/* fleet - a small fleet as a controller would show it, for tests of plans. Everything lives until
 * the program ends. */
#pragma once
#include "controller/cli/resolve.h"

/* Sites: wiki-test (env=test), wiki, docs, intra (env=production), old (env=archive, newer build),
 * done (env=production, team=done, on the release already), bare (env=bare, no node), pair
 * (env=cluster, two nodes), lost (env=lost, agent revoked), blind (env=blind, build unknown),
 * ancient (env=ancient, 5.6.1). Only wiki is covered, by wiki-test. Releases: 9.2.13 (build 9112)
 * and 8.5.4 (build 8804). Operators: anna (admin, who signs) and bert (approver), carl (viewer). It
 * is 2026-11-23T02:13:20Z, a Monday. */
static struct resolve_in fleet_in(const struct planfile *file);
static Confleet__SiteView *fleet_site(const char *name);

/* Here and not in a source of its own, because each test is one program of one file. */
#include "harness/test.h"

static Confleet__Installation fleet_ones[12];
static Confleet__InstallationView fleet_nodes[12], *fleet_node_lists[12];
static Confleet__SiteView fleet_sites[12], *fleet_site_list[12];
static Confleet__AgentView fleet_agents[12], *fleet_agent_list[12];
static Confleet__KeyValue fleet_labels[24], *fleet_label_lists[24];
static Confleet__OperatorView fleet_operators[3], *fleet_operator_list[3];
static Confleet__Release fleet_releases[2], *fleet_release_list[2];
static char fleet_names[48][32];
static size_t fleet_count, fleet_name_count;

static inline char *fleet_name(const char *prefix, const char *name)
{
    char *text = fleet_names[fleet_name_count++];
    (void)snprintf(text, sizeof fleet_names[0], "%s%s", prefix, name);
    return text;
}

static inline void fleet_add(const char *name, const char *env, const char *team, uint32_t build,
                             size_t nodes, const char *state)
{
    size_t i = fleet_count++;
    Confleet__SiteView *site = fleet_site_list[i] = &fleet_sites[i];
    Confleet__Installation *one = &fleet_ones[i];
    Confleet__InstallationView *node = fleet_node_lists[i] = &fleet_nodes[i];
    Confleet__AgentView *agent = fleet_agent_list[i] = &fleet_agents[i];
    confleet__site_view__init(site);
    confleet__installation__init(one);
    confleet__installation_view__init(node);
    confleet__agent_view__init(agent);
    agent->name = node->agent = fleet_name("host-", name);
    agent->state = (char *)state;
    one->id = fleet_name("confluence-", name);
    one->install = (char *)"/opt/atlassian/confluence";
    one->app_build = build;
    one->version = (char *)(build == 8804   ? "8.5.4"
                            : build == 9112 ? "9.2.13"
                            : build == 5997 ? "5.6.1"
                                            : "");
    node->installation = one;
    site->name = fleet_name("", name);
    site->covered_by = (char *)(strcmp(name, "wiki") == 0 ? "wiki-test" : "");
    site->n_nodes = nodes;
    site->nodes = nodes == 0 ? NULL : &fleet_node_lists[nodes == 2 ? i - 1 : i];
    site->labels = &fleet_label_lists[2 * i];
    const char *const pairs[2][2] = { { "env", env }, { "team", team } };
    for (size_t l = 0; l < 2 && pairs[l][1][0]; l++) {
        Confleet__KeyValue *label = fleet_label_lists[2 * i + l] = &fleet_labels[2 * i + l];
        confleet__key_value__init(label);
        label->key = (char *)pairs[l][0];
        label->value = (char *)pairs[l][1];
        site->n_labels++;
    }
}

static inline void fleet_release(size_t i, const char *version, uint32_t build)
{
    fleet_release_list[i] = &fleet_releases[i];
    confleet__release__init(&fleet_releases[i]);
    fleet_releases[i].version = (char *)version;
    fleet_releases[i].build = build;
    fleet_releases[i].artifact_size = 812345678;
    fleet_releases[i].artifact_sha256 =
        (char *)"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    fleet_releases[i].artifact_name = (char *)"confluence.tar.gz";
}

static inline void fleet_operator(size_t i, const char *name, Confleet__Role role)
{
    fleet_operator_list[i] = &fleet_operators[i];
    confleet__operator_view__init(&fleet_operators[i]);
    fleet_operators[i].name = (char *)name;
    fleet_operators[i].role = role;
    fleet_operators[i].state = (char *)"accepted";
}

static inline void fleet_make(void)
{
    fleet_add("wiki-test", "test", "", 8804, 1, "accepted");
    fleet_add("wiki", "production", "wiki", 8804, 1, "accepted");
    fleet_add("docs", "production", "docs", 8804, 1, "accepted");
    fleet_add("intra", "production", "wiki", 8804, 1, "accepted");
    fleet_add("old", "archive", "", 9999, 1, "accepted");
    fleet_add("done", "production", "done", 9112, 1, "accepted");
    fleet_add("bare", "bare", "", 8804, 0, "accepted");
    fleet_add("pair", "cluster", "", 8804, 2, "accepted");
    fleet_add("lost", "lost", "", 8804, 1, "revoked");
    fleet_add("blind", "blind", "", 0, 1, "accepted");
    fleet_add("ancient", "ancient", "", 5997, 1, "accepted");
    fleet_operator(0, "anna", CONFLEET__ROLE__ADMIN);
    fleet_operator(1, "bert", CONFLEET__ROLE__APPROVER);
    fleet_operator(2, "carl", CONFLEET__ROLE__VIEWER);
    fleet_release(0, "9.2.13", 9112);
    fleet_release(1, "8.5.4", 8804);
}

static inline struct resolve_in fleet_in(const struct planfile *file)
{
    if (fleet_count == 0)
        fleet_make();
    return (struct resolve_in){ .file = file,
                                .sites = fleet_site_list,
                                .site_count = fleet_count,
                                .agents = fleet_agent_list,
                                .agent_count = fleet_count,
                                .releases = fleet_release_list,
                                .release_count = 2,
                                .operators = fleet_operator_list,
                                .operator_count = 3,
                                .fleet = "fleet-1",
                                .operator= "anna",
                                .serial = 7,
                                .now_ms = 1795400000000 };
}

static inline Confleet__SiteView *fleet_site(const char *name)
{
    if (fleet_count == 0)
        fleet_make();
    for (size_t i = 0; i < fleet_count; i++) {
        if (strcmp(fleet_sites[i].name, name) == 0)
            return &fleet_sites[i];
    }
    abort();
}
