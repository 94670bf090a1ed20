/* http - asks the Confluence of this server one question, the way a balancer's health check would.
 *
 * Only GET, only this server's own address, no redirect followed, no proxy, bounded in time and size. The token file's text is sent
 * as a bearer token when it is there and readable by its owner alone; it appears nowhere else. */
#pragma once
#include "confleet/err.h"
#include "confleet/hash.h"
#include "confleet/str.h"
#include <stdint.h>

#define HTTP_BODY_MAX (1024 * 1024)              /* kept; the digest covers all */
#define HTTP_LENGTH_MAX (512ULL * 1024 * 1024)

struct http_place { char host[128]; uint32_t port; char context[128]; char token_file[512]; };
struct http_answer { int status; uint64_t length; char type[64], sha256[HASH_HEX_MAX]; struct str body; };

/* Where an installation listens: its server.xml's address, else loopback. */
int http_place(const char *install, const char *token_file, struct http_place *ret, struct err *err) MUST_USE;
/* path begins with '/', is escaped already, and is put behind the context path. FAIL_UNREACHABLE when nobody answers. */
int http_get(const struct http_place *place, const char *path, int64_t timeout_ms, struct http_answer *ret, struct err *err) MUST_USE;
void http_answer_free(struct http_answer *answer);                       /* fits CLEANUP() */
bool http_port_open(const char *host, uint32_t port);

/* What /status says (facts 3.1). */
enum site_state { SITE_SILENT, SITE_STARTING, SITE_FIRST_RUN, SITE_RUNNING, SITE_STOPPING, SITE_ERROR };
const char *site_state_name(enum site_state state);
enum site_state http_state(const struct http_place *place, struct str *ret_text);       /* ret_text: what was answered, for people; may be NULL */
enum site_state http_state_parse(int status, const char *body);
/* The value of <meta name="NAME" content="…"> in a page; false when there is none. */
bool http_meta(const char *page, const char *name, char *ret, size_t size);
