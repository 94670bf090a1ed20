/* licence - a licence text of the vendor's, decoded and judged in words.
 *
 * Reads texts of version 2 (base64, zlib, properties, DSA signature) and tells those of version 1,
 * which nobody outside can read, from damaged ones. Keeps neither the text nor names, addresses and
 * numbers of customers: what is in struct licence may be printed. Judging is a pure function of the
 * licence and a question. Facts 2. */
#pragma once
#include "confleet/err.h"
#include "confleet/str.h"
#include "confleet/wire.h"

#define LICENCE_TEXT_MAX     (64 * 1024) /* of a text, white space included */
#define LICENCE_INFLATED_MAX (64 * 1024)
#define LICENCE_WHY_MAX      256
#define LICENCE_DATE_BAND    2  /* days around the end of maintenance in which nobody can be sure */
#define LICENCE_SOON         30 /* days before the end of a subscription in which it is told */

/* Public keys whose signature counts: X.509 SubjectPublicKeyInfo in base64. */
struct licence_keys {
    const char *const *texts;
    size_t count;
};
extern const struct licence_keys licence_keys_vendor; /* the published one */

enum licence_form {
    LICENCE_NONE,       /* there is no text */
    LICENCE_UNREADABLE, /* why says what is wrong */
    LICENCE_VERSION_1,  /* the old form, not decodable */
    LICENCE_VERSION_2,
};
enum licence_signature { LICENCE_UNVERIFIED, LICENCE_VERIFIED, LICENCE_SIGNATURE_DAMAGED };
enum licence_when {
    LICENCE_ABSENT,
    LICENCE_DAY,
    LICENCE_DURATION, /* counts from the first use, which is not known here */
    LICENCE_UNLIMITED,
    LICENCE_UNCLEAR, /* none of these forms */
};
struct licence_end {
    enum licence_when when;
    int32_t day;         /* since 1970-01-01 */
    int64_t duration_ms; /* zero with DAY */
};
struct licence_count {
    enum licence_when when; /* ABSENT, DAY for a number, UNLIMITED or UNCLEAR */
    uint64_t value;
};

struct licence {
    enum licence_form form;
    enum licence_signature signature;
    char why[LICENCE_WHY_MAX];
    bool host; /* of Confluence itself; else of an app or of another product */
    bool app;  /* plugins.*.active, or some product's plugin */
    bool data_center, evaluation, subscription, starter, test;
    char type[32];    /* COMMERCIAL and such; "other" when it is no plain word */
    char product[64]; /* prefix of the first other product, such as jira; "" for none */
    char sen_tail[8]; /* its last four characters at most */
    char server_id[24];
    struct licence_count users, nodes;
    struct licence_end created, purchased, maintenance, expiry;
};

/* A text that cannot be read is an answer: form and why tell, nothing fails. len counts bytes; an
 * empty or blank text is LICENCE_NONE. */
void licence_decode(const char *text, size_t len, const struct licence_keys *keys,
                    struct licence *ret);
/* The text without white space, which does not count. */
void licence_strip(const char *text, size_t len, struct str *out);
/* Two texts that differ in white space alone are one licence. */
bool licence_same(const char *a, size_t a_len, const char *b, size_t b_len);
void licence_end_parse(const char *text_or_null, struct licence_end *ret);
const char *licence_end_text(const struct licence_end *end, char out[48]);
bool licence_day_parse(const char *text, int32_t *ret_day); /* yyyy-mm-dd */
const char *licence_day_text(int32_t day, char out[16]);
int32_t licence_day_of(int64_t wall_ms);
/* One line for people: kind, type, users, dates. */
void licence_describe(const struct licence *licence, char *out, size_t size);

/* ------------------------------------------------------------------ judging */

struct licence_question {
    const char *target;      /* version, "" when none was named */
    const char *target_date; /* yyyy-mm-dd, "" when the catalogue does not know it */
    bool target_data_center; /* the catalogue says that it runs with Data Center licences alone */
    int32_t today;
    bool users_known;
    uint64_t users; /* active accounts: at least as many as count for the licence */
};

/* id, id of the check, title, what to do, the vendor's rule. */
#define LICENCE_ASPECTS(X)                                                                         \
    X(READABLE, "licence-readable", "Licence text",                                                \
      "Get the licence text anew from the vendor's account pages and hand it over with: "          \
      "confleet-agent licence set INSTALL FILE",                                                   \
      "At its start each version reads the licence; with none, or one of version 1, newer ones "   \
      "stop.")                                                                                     \
    X(SIGNATURE, "licence-signature", "Signature of the licence",                                  \
      "Compare the text with the one in the vendor's account. Only the vendor can say whether a "  \
      "licence is genuine.",                                                                       \
      NULL)                                                                                        \
    X(KIND, "licence-kind", "Kind of the licence",                                                 \
      "Use a Confluence host licence; licences of apps are entered at the app, those of other "    \
      "products in that product.",                                                                 \
      "Confluence starts with a host licence of its own only.")                                    \
    X(MAINTENANCE, "licence-maintenance", "Maintenance of the licence",                            \
      "Renew the maintenance and hand the new text over with: confleet-agent licence set INSTALL " \
      "FILE; or choose a version that was released before it ended.",                              \
      "A licence runs every version that was built before its maintenance ended.")                 \
    X(SUBSCRIPTION, "licence-subscription", "End of the subscription",                             \
      "Renew the subscription and hand the new text over with: confleet-agent licence set "        \
      "INSTALL "                                                                                   \
      "FILE",                                                                                      \
      "A subscription, as all Data Center licences are, stops at its end.")                        \
    X(DATA_CENTER, "licence-data-center", "Data Center licence",                                   \
      "Get a Data Center licence and hand it over with: confleet-agent licence set INSTALL FILE; " \
      "or stay below 8.6.",                                                                        \
      "From 8.6 on there is Data Center only: Server licences are refused.")                       \
    X(USERS, "licence-users", "Users of the licence",                                              \
      "Deactivate accounts that nobody uses, or get a licence for more users.",                    \
      "A licence is for a number of users; one without a valid number is refused.")
#define X(id, check, title, remedy, rule) LICENCE_ASPECT_##id,
enum licence_aspect { LICENCE_ASPECTS(X) LICENCE_ASPECT_COUNT };
#undef X
struct licence_aspect_def {
    const char *check, *title, *remedy, *rule;
};
extern const struct licence_aspect_def licence_aspects[LICENCE_ASPECT_COUNT];

struct licence_answer {
    Confleet__Severity severity;
    char text[512];
};
void licence_judge(const struct licence *licence, const struct licence_question *question,
                   enum licence_aspect aspect, struct licence_answer *ret);
