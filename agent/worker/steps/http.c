#include "agent/worker/steps/http.h"
#include "agent/worker/confluence/serverxml.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <curl/curl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CONNECT_MS 3000L

CLEANUP_OF(curl_drop, CURL *, curl_easy_cleanup)
CLEANUP_OF(headers_drop, struct curl_slist *, curl_slist_free_all)
CLEANUP_OF(json_drop, json_t *, json_decref)

int http_place(const char *install, const char *token_file, struct http_place *ret, struct err *err)
{
    struct serverxml found;
    int rc = serverxml_read(install, &found, err);
    if (rc)
        return rc;
    if (!found.http_port)
        return err_set(err, FAIL_NOT_FOUND, "%s/conf/server.xml has no HTTP connector", install);
    struct http_place place = { .port = found.http_port };
    bool all = !found.address[0] || strcmp(found.address, "0.0.0.0") == 0 || strcmp(found.address, "::") == 0;
    (void)snprintf(place.host, sizeof place.host, "%s", all ? "127.0.0.1" : found.address);
    (void)snprintf(place.context, sizeof place.context, "%s", found.context_path);
    int len = snprintf(place.token_file, sizeof place.token_file, "%s", token_file ? token_file : "");
    if (len < 0 || (size_t)len >= sizeof place.token_file)
        return err_set(err, FAIL_USAGE, "the token file's path is too long");
    *ret = place;
    return 0;
}

struct taking { struct http_answer *answer; struct hash *hash; };

static size_t take(char *bytes, size_t size, size_t count, void *arg)
{
    struct taking *taking = arg;
    size_t len = size * count;
    struct http_answer *answer = taking->answer;
    answer->length += len;
    if (answer->length > HTTP_LENGTH_MAX)
        return 0;
    hash_add(taking->hash, bytes, len);
    if (answer->body.len < HTTP_BODY_MAX)
        str_add_bytes(&answer->body, bytes, len < HTTP_BODY_MAX - answer->body.len ? len : HTTP_BODY_MAX - answer->body.len);
    return len;
}

/* A token that others can read is no secret any more and is not used. */
static int token_header(const char *path, struct curl_slist **headers)
{
    CLEANUP(str_free) struct str text = { 0 };
    struct stat st;
    if (!path[0] || stat(path, &st) != 0 || (st.st_mode & 077) || fs_read(path, 4096, &text, NULL))
        return 0;
    while (text.len && isspace((unsigned char)text.s[text.len - 1]))
        text.s[--text.len] = 0;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.s[i] <= ' ' || (unsigned char)text.s[i] > '~')
            return 0;
    CLEANUP(free_mem) char *line = text_printf("Authorization: Bearer %s", str_text(&text));
    struct curl_slist *added = text.len ? curl_slist_append(*headers, line) : *headers;
    explicit_bzero(line, strlen(line));
    if (text.len)
        explicit_bzero(text.s, text.len);
    if (added)
        *headers = added;
    return added != NULL;
}

static bool options_set(CURL *curl, const char *url, struct curl_slist *headers, struct taking *taking, int64_t timeout_ms)
{
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK && curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "confleet/" CONFLEET_VERSION) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK && curl_easy_setopt(curl, CURLOPT_WRITEDATA, taking) == CURLE_OK;
}

int http_get(const struct http_place *place, const char *path, int64_t timeout_ms, struct http_answer *ret, struct err *err)
{
    CLEANUP(curl_drop) CURL *curl = curl_easy_init();
    CLEANUP(headers_drop) struct curl_slist *headers = NULL;
    CLEANUP(http_answer_free) struct http_answer answer = { 0 };
    CLEANUP(hash_free) struct hash *hash = hash_new();
    struct taking taking = { &answer, hash };
    bool six = strchr(place->host, ':') != NULL;
    CLEANUP(free_mem) char *url = text_printf("http://%s%s%s:%u%s%s", six ? "[" : "", place->host, six ? "]" : "", place->port, place->context, path);
    if (!curl)
        return err_set(err, FAIL_INTERNAL, "libcurl does not start");
    (void)token_header(place->token_file, &headers);
    if (!options_set(curl, url, headers, &taking, timeout_ms))
        return err_set(err, FAIL_INTERNAL, "libcurl does not know an option");
    CURLcode rc = curl_easy_perform(curl);
    long status = 0;
    char *type = NULL;
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, FAIL_TIMEOUT, "%s gives no answer within %lld ms", url, (long long)timeout_ms);
    if (rc != CURLE_OK)
        return err_set(err, FAIL_UNREACHABLE, "%s: %s", url, curl_easy_strerror(rc));
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type) != CURLE_OK)
        return err_set(err, FAIL_INTERNAL, "libcurl does not tell the status");
    answer.status = (int)status;
    (void)snprintf(answer.type, sizeof answer.type, "%s", type ? type : "");
    hash_end_hex(hash, answer.sha256);
    *ret = answer;
    answer = (struct http_answer){ 0 };
    return 0;
}

void http_answer_free(struct http_answer *answer)
{
    str_free(&answer->body);
}

bool http_port_open(const char *host, uint32_t port)
{
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    bool is_six = strchr(host, ':') != NULL;
    if (port == 0 || inet_pton(is_six ? AF_INET6 : AF_INET, host, is_six ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1)
        return false;
    CLEANUP(close_fd) int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true; /* not known to be closed */
    const struct sockaddr *address = is_six ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
    if (connect(fd, address, is_six ? sizeof six : sizeof four) == 0)
        return true;
    if (errno != EINPROGRESS && errno != EINTR)
        return errno != ECONNREFUSED && errno != ENETUNREACH && errno != EHOSTUNREACH && errno != EADDRNOTAVAIL;
    struct pollfd wait = { .fd = fd, .events = POLLOUT };
    int failed = 1;
    socklen_t len = sizeof failed;
    return poll(&wait, 1, 1000) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) == 0 && failed == 0;
}

static const char *const state_names[] = { "no answer", "STARTING", "FIRST_RUN", "RUNNING", "STOPPING", "ERROR" };

const char *site_state_name(enum site_state state)
{
    return state_names[state];
}

enum site_state http_state_parse(int status, const char *body)
{
    CLEANUP(json_drop) json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    const char *state = root ? json_string_value(json_object_get(root, "state")) : NULL;
    for (int i = SITE_STARTING; state && i <= SITE_ERROR; i++)
        if (strcmp(state, state_names[i]) == 0)
            return i == SITE_RUNNING && status != 200 ? SITE_STARTING : (enum site_state)i;
    /* 302 and 404: Tomcat is up, the web application not yet. */
    return status >= 500 ? SITE_ERROR : SITE_STARTING;
}

enum site_state http_state(const struct http_place *place, struct str *ret_text)
{
    CLEANUP(http_answer_free) struct http_answer answer = { 0 };
    struct err err = { 0 };
    if (http_get(place, "/status", 10000, &answer, &err)) {
        if (ret_text)
            str_clear(ret_text), str_add(ret_text, err.text);
        return SITE_SILENT;
    }
    if (ret_text)
        str_clear(ret_text), str_addf(ret_text, "/status answers %d %.200s", answer.status, str_text(&answer.body));
    return http_state_parse(answer.status, str_text(&answer.body));
}

bool http_meta(const char *page, const char *name, char *ret, size_t size)
{
    CLEANUP(free_mem) char *key = text_printf("name=\"%s\"", name);
    const char *at = strstr(page, key);
    const char *end = at ? strchr(at, '>') : NULL;
    const char *value = at ? strstr(at, "content=\"") : NULL;
    if (!value || !end || value > end)
        return false;
    value += strlen("content=\"");
    size_t len = strcspn(value, "\"");
    if (len >= size)
        return false;
    memcpy(ret, value, len);
    ret[len] = 0;
    return true;
}
