#include "agent/worker/confluence/status.h"
#include "confleet/cleanup.h"
#include "confleet/str.h"
#include <curl/curl.h>
#include <jansson.h>
#include <string.h>

#define BODY_MAX 65536

CLEANUP_OF(curl_drop, CURL *, curl_easy_cleanup)
CLEANUP_OF(json_drop, json_t *, json_decref)

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct str *body = data;
    if (body->len + size * count > BODY_MAX)
        return 0; /* ends the transfer: no state is that long */
    str_add_bytes(body, bytes, size * count);
    return size * count;
}

/* Only the words that Confluence has; a page of some other program must not pass for one. */
static int parse_state(const struct str *body, long http, char ret_state[STATUS_STATE_MAX],
                       struct err *err)
{
    static const char *const states[] = { "STARTING", "FIRST_RUN", "RUNNING",
                                          "ERROR",    "STOPPING",  "MAINTENANCE" };
    CLEANUP(json_drop)
    json_t *root = json_loadb(str_text(body), body->len, JSON_REJECT_DUPLICATES, NULL);
    const char *state = json_string_value(json_object_get(root, "state"));
    for (size_t i = 0; state && i < sizeof states / sizeof *states; i++) {
        if (strcmp(states[i], state) != 0)
            continue;
        (void)snprintf(ret_state, STATUS_STATE_MAX, "%s", state);
        return 0;
    }
    return err_set(err, FAIL_UNHEALTHY, "/status answered HTTP %ld without a state", http);
}

static bool set_options(CURL *curl, const char *url, int limit_ms, struct str *body)
{
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)limit_ms) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "confleet/" CONFLEET_VERSION) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, body) == CURLE_OK;
}

int status_ask(const struct status_where *where, int limit_ms, char ret_state[STATUS_STATE_MAX],
               long *ret_http, struct err *err)
{
    bool any = !where->address[0] || strcmp(where->address, "0.0.0.0") == 0 ||
               strcmp(where->address, "::") == 0;
    const char *host = any ? "127.0.0.1" : where->address;
    bool six = strchr(host, ':') && host[0] != '[';
    CLEANUP(free_mem)
    char *url = text_printf("http://%s%s%s:%u%s/status", six ? "[" : "", host, six ? "]" : "",
                            where->port, where->context_path);
    CLEANUP(str_free) struct str body = { 0 };
    CLEANUP(curl_drop) CURL *curl = curl_easy_init();
    if (!curl || !set_options(curl, url, limit_ms, &body))
        return err_set(err, FAIL_MEMORY, "no HTTP client");
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, FAIL_TIMEOUT, "%s does not answer within %d s", url, limit_ms / 1000);
    if (code != CURLE_OK)
        return err_set(err, FAIL_UNREACHABLE, "%s: %s", url, curl_easy_strerror(code));
    long http = 0;
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http) != CURLE_OK)
        return err_set(err, FAIL_INTERNAL, "no HTTP code");
    int result = parse_state(&body, http, ret_state, err);
    if (result == 0)
        *ret_http = http;
    return result;
}
