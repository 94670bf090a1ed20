#include "harness/licence.h"
#include "confleet/cleanup.h"
#include "confleet/fs.h"

/* The vendor's published text for tests of apps, Data Center. */
static const char published[] =
    "AAABtQ0ODAoPeNp9kV9v0zAUxd/9Ka7EWyWnTmESqxSJNQlbxdJUTbLBgAfXuV0NqR3ZTqHfHjdpY"
    "VSCB7/4/jm/e86rR6wh4wdgE2Bsyq6nLITbrIQJC9+SRbdbo8k3lUVjo5CRWCvHhVvwHUZ1y42Rdvu"
    "Ou4ZbK7kKhN4RodUm8D1yj5EzHZJlZ8SWW0y4w+i4lrIrykJyLwUqi+WhxX5fnGdZuornN/fnUvqzl"
    "ebQzy1f353F04zL5l/qBZo9mnkSzW6vS/qxenhDPzw93dEZCx8HtBeyLyX7mpfiMSqHZkAvurUVRrZO"
    "ajX8jEajRV7S9/mKLld5UsXlPF/Qqkh9IYoNetYa1gdwW4STEqRK6BoNtEZ/Q+Hg89a59st0PH7WwV/"
    "042aYoDhMfA0g0aC0g1paZ+S6c+g3SwtOg+is0zufS0C8IZ5ZcSUuLfNU8Sq9KdOEzj4dEf8XWuG4+X3"
    "6Cd47WanvSv9QpEgXkX/0ijGSm2eupOW9MQnusdGtv7BE685nk94NX7/M/TKFy/BPJjz4047bJyTBPyH"
    "0CqcO2GgDvG2hPgNYku550w1YG954il/X0fxXMC0CFQCRUd9kwqDYeFIFJyQmlQPeMMYDLQIUYpH3ky"
    "yXea6e1PzAN2rpSuuUl4M=X02l1";

static struct licence decoded(const char *text)
{
    struct licence licence = { 0 };
    licence_decode(text, strlen(text), &licence_keys_vendor, &licence);
    return licence;
}

static struct licence made(const char *properties)
{
    struct licence_maker maker;
    struct licence licence = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    licence_maker_open(&maker);
    licence_make(&maker, properties, &text);
    licence_decode(text.s, text.len, &maker.keys, &licence);
    licence_maker_close(&maker);
    return licence;
}

TEST(the_published_data_center_licence_is_read_and_verified)
{
    struct licence licence = decoded(published);
    CHECK_INT(licence.form, LICENCE_VERSION_2);
    CHECK_INT(licence.signature, LICENCE_VERIFIED);
    CHECK(licence.host && licence.data_center && licence.subscription && licence.starter);
    CHECK(licence.test && !licence.evaluation && !licence.app);
    CHECK_STR(licence.type, "COMMERCIAL");
    CHECK_INT(licence.users.value, 10);
    CHECK_INT(licence.nodes.when, LICENCE_ABSENT);
    CHECK_INT(licence.maintenance.when, LICENCE_DURATION);
    CHECK_INT(licence.maintenance.duration_ms, 3 * 3600 * 1000);
    CHECK_STR(licence.server_id, "BG9T-XUV4-KZZH-B01W");
    CHECK_STR(licence.sen_tail, ""); /* SEN-500 is too short to show a part of it */
}

TEST(white_space_anywhere_does_not_count)
{
    CLEANUP(str_free) struct str text = { 0 };
    str_add(&text, "\xef\xbb\xbf \r\n");
    for (const char *c = published; *c; c++)
        str_addf(&text, "%c%s", *c, (c - published) % 3 ? "" : " \r\n\t");
    struct licence licence = decoded(text.s);
    CHECK_INT(licence.signature, LICENCE_VERIFIED);
    CHECK(licence_same(text.s + 3, text.len - 3, published, strlen(published)));
    CHECK(!licence_same(published, strlen(published), published, strlen(published) - 1));
}

TEST(a_text_cut_at_any_byte_is_unreadable)
{
    for (size_t len = 1; len < strlen(published); len++) {
        struct licence licence = { 0 };
        char *copy = malloc(len); /* its end is watched */
        memcpy(copy, published, len);
        licence_decode(copy, len, &licence_keys_vendor, &licence);
        CHECK_INT(licence.form, LICENCE_UNREADABLE);
        CHECK(licence.why[0] != 0);
        free(copy);
    }
    CHECK_INT(decoded("").form, LICENCE_NONE);
    CHECK_INT(decoded(" \n").form, LICENCE_NONE);
}

TEST(a_text_with_any_character_changed_is_never_verified)
{
    char copy[sizeof published];
    size_t read = 0;
    for (size_t at = 0; at + 1 < sizeof published; at++) {
        memcpy(copy, published, sizeof copy);
        copy[at] = copy[at] == 'A' ? 'B' : 'A';
        struct licence licence = decoded(copy);
        /* The two spare bits of the last character mean nothing. */
        bool spare = copy[at + 1] == '=' && licence.signature == LICENCE_VERIFIED;
        CHECK(licence.form == LICENCE_UNREADABLE || licence.signature != LICENCE_VERIFIED || spare);
        read += licence.form == LICENCE_VERSION_2;
    }
    CHECK(read > 40); /* the signature's own characters leave the rest readable */
}

TEST(a_test_key_is_not_trusted_unless_it_is_handed_over)
{
    struct licence_maker maker;
    struct licence licence = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    licence_maker_open(&maker);
    licence_make(&maker, LICENCE_GOOD, &text);
    licence_decode(text.s, text.len, &maker.keys, &licence);
    CHECK_INT(licence.signature, LICENCE_VERIFIED);
    licence_decode(text.s, text.len, &licence_keys_vendor, &licence);
    CHECK_INT(licence.form, LICENCE_VERSION_2);
    CHECK_INT(licence.signature, LICENCE_UNVERIFIED);
    licence_maker_close(&maker);
}

TEST(a_key_that_is_no_dsa_key_verifies_nothing)
{
    const char *const texts[] = { "", "AAAA", "not base64!",
                                  "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=" };
    struct licence licence = { 0 };
    licence_decode(published, strlen(published), &(struct licence_keys){ texts, 4 }, &licence);
    CHECK_INT(licence.form, LICENCE_VERSION_2);
    CHECK_INT(licence.signature, LICENCE_UNVERIFIED);
}

TEST(the_form_of_confluence_counts_before_the_plain_one)
{
    struct licence licence = made("conf.active=true\nNumberOfUsers=10\nconf.NumberOfUsers=25\n"
                                  "Evaluation=true\nconf.Evaluation=false\n"
                                  "MaintenanceExpiryDate=2020-01-01\nconf.MaintenanceExpiryDate="
                                  "2031-02-03\nLicenseTypeName=ACADEMIC\nDataCenter=true\n");
    char text[16];
    CHECK_INT(licence.users.value, 25);
    CHECK(!licence.evaluation && licence.data_center && licence.host);
    CHECK_STR(licence_day_text(licence.maintenance.day, text), "2031-02-03");
    CHECK_STR(licence.type, "ACADEMIC");
    CHECK_INT(licence.expiry.when, LICENCE_ABSENT);
}

TEST(licences_of_apps_and_of_other_products_are_told_apart)
{
    struct licence app = made("plugins.*.active=true\nNumberOfUsers=10\n");
    struct licence jira = made("jira.product.jira-software.active=true\njira.active=true\n");
    struct licence off = made("conf.active=false\n");
    CHECK(app.app && !app.host);
    CHECK(!jira.host && !jira.app);
    CHECK_STR(jira.product, "jira");
    CHECK(!off.host);
}

TEST(nothing_of_the_customer_is_kept)
{
    struct licence licence = made(LICENCE_GOOD "LicenseTypeName=Canary Type\n"
                                               "conf.LicenseTypeName=Canary Customer\n");
    const char *bytes = (const char *)&licence;
    for (size_t at = 0; at + 7 <= sizeof licence; at++)
        CHECK(strncasecmp(bytes + at, "canary", 6) != 0 && memcmp(bytes + at, "1234567", 7) != 0);
    CHECK_STR(licence.type, "other");
    CHECK_STR(licence.sen_tail, "4567");
}

TEST(what_unpacks_to_too_much_is_refused)
{
    struct licence_maker maker;
    struct licence licence = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    size_t len = 8 << 20;
    char *zeros = mem_zero(1, len);
    memset(zeros, ' ', len);
    licence_maker_open(&maker);
    licence_make_bytes(&maker, zeros, len, &text);
    CHECK(text.len < LICENCE_TEXT_MAX);
    licence_decode(text.s, text.len, &maker.keys, &licence);
    CHECK_INT(licence.form, LICENCE_UNREADABLE);
    CHECK_HAS(licence.why, "more than a licence can hold");
    str_clear(&text);
    licence_make_bytes(&maker, zeros, LICENCE_INFLATED_MAX, &text); /* as large as may be */
    licence_decode(text.s, text.len, &maker.keys, &licence);
    CHECK_HAS(licence.why, "no properties");
    licence_maker_close(&maker);
    free(zeros);
}

TEST(damaged_insides_are_refused_with_what_is_wrong)
{
    struct licence_maker maker;
    struct licence licence = { 0 };
    licence_maker_open(&maker);
    const struct {
        uint8_t bytes[12];
        size_t len;
        const char *why;
    } forms[] = {
        { { 13, 14, 12, 10, 15 }, 5, "lengths" },
        { { 13, 14, 12, 10, 16, 1 }, 6, "does not begin" },
        { { 13, 14, 12, 10, 15, 0x78, 0xda, 1, 2, 3 }, 10, "damaged" },
        { { 13, 14, 12, 10, 15, 0x78, 0xda, 3, 0, 0, 0, 0 }, 12, "damaged" },
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        CLEANUP(str_free) struct str text = { 0 };
        licence_wrap(&maker, forms[i].bytes, forms[i].len, &text);
        licence_decode(text.s, text.len, &maker.keys, &licence);
        CHECK_INT(licence.form, LICENCE_UNREADABLE);
        CHECK_HAS(licence.why, forms[i].why);
    }
    CHECK_HAS(made("").why, "no properties");
    CHECK_HAS(made("a=\\u12").why, "no properties");
    CHECK_HAS(decoded("AAAAX034").why, "newer form");
    CHECK_HAS(decoded("AAAAX025").why, "length");
    CHECK_HAS(decoded("AAAAX02").why, "length");
    CHECK_HAS(decoded("AAAAX02zz").why, "length");
    CHECK_HAS(decoded("A*AAX024").why, "base64");
    CHECK_HAS(decoded("=AAAX024").why, "base64");
    CHECK_HAS(decoded("AAAAX024").why, "lengths");
    CHECK_HAS(decoded("hello").why, "version 2");
    licence_maker_close(&maker);
}

TEST(a_text_that_is_too_long_is_not_looked_at)
{
    char *text = malloc(LICENCE_TEXT_MAX + 1);
    struct licence licence = { 0 };
    memset(text, ' ', LICENCE_TEXT_MAX + 1);
    licence_decode(text, LICENCE_TEXT_MAX + 1, &licence_keys_vendor, &licence);
    CHECK_INT(licence.form, LICENCE_UNREADABLE);
    licence_decode(text, LICENCE_TEXT_MAX, &licence_keys_vendor, &licence);
    CHECK_INT(licence.form, LICENCE_NONE);
    text[7] = 0;
    licence_decode(text, 20, &licence_keys_vendor, &licence);
    CHECK_HAS(licence.why, "zero bytes");
    free(text);
}

TEST(all_published_texts_at_hand_are_read_and_verified)
{
    static const struct {
        const char *name;
        bool host, app;
        const char *product;
        int64_t ends_ms;
    } texts[] = {
        { "01-timebomb-addon-3h", false, true, "", 3 * 3600 * 1000 },
        { "03-timebomb-addon-10s", false, true, "", 10000 },
        { "05-timebomb-confluence-dc-3h", true, false, "", 3 * 3600 * 1000 },
        { "07-timebomb-jira-software-dc-3h", false, false, "jira", 3 * 3600 * 1000 },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char name[128]; /* skipping jumps over what would free */
        (void)snprintf(name, sizeof name, "data/licences/%s.txt", texts[i].name);
        CLEANUP(str_free) struct str text = { 0 };
        struct err err = { 0 };
        const char *path = test_shared(name);
        if (!path)
            TEST_SKIP("the published licences are not at hand");
        CHECK_OK(fs_read(path, LICENCE_TEXT_MAX, &text, &err), err);
        struct licence licence = decoded(text.s);
        CHECK_INT(licence.form, LICENCE_VERSION_2);
        CHECK_INT(licence.signature, LICENCE_VERIFIED);
        CHECK_INT(licence.host, texts[i].host);
        CHECK_INT(licence.app, texts[i].app);
        CHECK_STR(licence.product, texts[i].product);
        CHECK_INT(licence.expiry.duration_ms, texts[i].ends_ms);
        CHECK_INT(licence.users.value, 10);
    }
}
