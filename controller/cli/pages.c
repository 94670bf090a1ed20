#include "controller/cli/client.h"
#include "confleet/cleanup.h"
#include <string.h>

#define PAGES_MAX 4096

/* The reply that is made of several: its list is here, what the list points to is the pages'. */
struct joined {
    Confleet__Reply reply;
    Confleet__JobView job;
    struct answer *pages;
    size_t count;
    void **items;
};

static void pages_free(struct answer *pages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        answer_free(&pages[i]);
    free(pages);
}

void joined_free(struct joined **joined)
{
    if (!*joined)
        return;
    pages_free((*joined)->pages, (*joined)->count);
    free((*joined)->items);
    free_mem(joined);
}

/* The list that a reply to this question holds; NULL for one that does not come in pages. */
static size_t *list_of(Confleet__Request__WhatCase what, Confleet__Reply *reply, void ***ret_items)
{
    switch (what) {
    case CONFLEET__REQUEST__WHAT_SITE_LIST:
        *ret_items = (void **)(void *)reply->sites;
        return &reply->n_sites;
    case CONFLEET__REQUEST__WHAT_AGENT_LIST:
        *ret_items = (void **)(void *)reply->agents;
        return &reply->n_agents;
    case CONFLEET__REQUEST__WHAT_ROLLOUT_LIST:
        *ret_items = (void **)(void *)reply->rollouts;
        return &reply->n_rollouts;
    case CONFLEET__REQUEST__WHAT_JOB:
        if (!reply->job)
            return NULL;
        *ret_items = (void **)(void *)reply->job->sites;
        return &reply->job->n_sites;
    default:
        return NULL;
    }
}

static void list_set(Confleet__Request__WhatCase what, Confleet__Reply *reply, void **items)
{
    if (what == CONFLEET__REQUEST__WHAT_SITE_LIST)
        reply->sites = (void *)items;
    else if (what == CONFLEET__REQUEST__WHAT_AGENT_LIST)
        reply->agents = (void *)items;
    else if (what == CONFLEET__REQUEST__WHAT_ROLLOUT_LIST)
        reply->rollouts = (void *)items;
    else
        reply->job->sites = (void *)items;
}

static size_t page_items(Confleet__Request__WhatCase what, const struct answer *page,
                         void ***ret_items)
{
    const size_t *count = list_of(what, (Confleet__Reply *)(uintptr_t)page->reply, ret_items);
    return count ? *count : 0;
}

/* The head of the first page with the list of all. Owns the pages. */
static void pages_join(Confleet__Request__WhatCase what, struct answer *pages, size_t count,
                       struct answer *ret)
{
    struct joined *joined = mem_zero(1, sizeof *joined);
    void **items = NULL;
    size_t total = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        total += page_items(what, &pages[i], &items);
    joined->pages = pages;
    joined->count = count;
    joined->items = mem_zero(total + 1, sizeof *joined->items);
    for (size_t i = 0; i < count; i++) {
        size_t more = page_items(what, &pages[i], &items);
        if (more > 0)
            memcpy(joined->items + at, items, more * sizeof *items);
        at += more;
    }
    joined->reply = *pages[0].reply;
    joined->reply.next = (char *)(uintptr_t)protobuf_c_empty_string;
    if (joined->reply.job) {
        joined->job = *joined->reply.job;
        joined->reply.job = &joined->job;
    }
    size_t *own = list_of(what, &joined->reply, &items);
    if (own)
        *own = total;
    list_set(what, &joined->reply, joined->items);
    *ret = (struct answer){ .reply = &joined->reply, .joined = joined };
}

static int pages_ask(struct client *client, Confleet__Request *request, int64_t timeout_ms,
                     struct answer **pages, size_t *count, struct err *err)
{
    do {
        struct answer page = { 0 };
        void **items = NULL;
        int result = client_call(client, request, timeout_ms, &page, err);
        if (result != 0)
            return result;
        *pages = mem_grow(*pages, *count + 1, sizeof **pages);
        (*pages)[(*count)++] = page;
        if (!list_of(request->what_case, (Confleet__Reply *)(uintptr_t)page.reply, &items))
            return 0;
        if (page.reply->next[0] &&
            (strcmp(page.reply->next, request->after) == 0 || *count == PAGES_MAX))
            return err_set(err, FAIL_PROTOCOL, "the pages of the controller's list do not end");
        request->after = page.reply->next;
    } while (request->after[0]);
    return 0;
}

int client_call_all(struct client *client, Confleet__Request *request, int64_t timeout_ms,
                    struct answer *ret, struct err *err)
{
    struct answer *pages = NULL;
    size_t count = 0;
    int result = pages_ask(client, request, timeout_ms, &pages, &count, err);
    request->after = (char *)(uintptr_t)protobuf_c_empty_string;
    if (result != 0) {
        pages_free(pages, count);
        return result;
    }
    if (count > 1) {
        pages_join(request->what_case, pages, count, ret);
        return 0;
    }
    *ret = pages[0];
    free(pages);
    return 0;
}
