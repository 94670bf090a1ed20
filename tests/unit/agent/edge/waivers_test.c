#include "agent/edge/waivers.h"
#include "trusted.h"

/* ann is an operator, bob a viewer, cat an admin; nobody here knows eve. */
struct desk {
    struct signers signers;
    struct arena *arena;
    struct signed_text text;
    struct str payload;
    Confleet__SignedText *list[1];
    struct waivers got;
    char why[512];
};

static void desk_open(struct desk *desk)
{
    *desk = (struct desk){ 0 };
    signers_make(&desk->signers, 1);
    signer_trust(&desk->signers, 1, "viewer");
    signer_trust(&desk->signers, 3, "admin");
    desk->arena = arena_new(WIRE_ARENA_MAX);
}

static void desk_close(struct desk *desk)
{
    str_free(&desk->payload);
    arena_free(&desk->arena);
}

static Confleet__Decision waiver(void)
{
    Confleet__Decision decision = CONFLEET__DECISION__INIT;
    decision.format = 1;
    decision.fleet = (char *)"fleet1";
    decision.kind = (char *)"waive";
    decision.site = (char *)"wiki";
    decision.check = (char *)"licence-maintenance";
    decision.reason = (char *)"renewed on paper";
    decision.serial = 7;
    decision.created_ms = clock_wall_ms();
    decision.expires_ms = decision.created_ms + 60000;
    decision.signed_by = (char *)"somebody else";
    return decision;
}

static void refused(void *arg, const char *why)
{
    struct desk *desk = arg;
    (void)snprintf(desk->why, sizeof desk->why, "%s", why);
}

static void put(struct desk *desk, const Confleet__Decision *decision, unsigned who)
{
    str_clear(&desk->payload);
    wire_encode(&decision->base, &desk->payload);
    text_sign(&desk->text, &desk->signers, who, SIGN_CONTEXT_DECISION, &desk->payload);
    desk->list[0] = &desk->text.text;
}

static void judge(struct desk *desk, const char *site)
{
    desk->why[0] = '\0';
    waivers_take(&desk->signers.controller, desk->arena, desk->list, 1, site, clock_wall_ms(),
                 refused, desk, &desk->got);
}

static void check_out(struct desk *desk, const char *words)
{
    CHECK_INT(desk->got.count, 0);
    CHECK_HAS(desk->why, words);
}

TEST(a_waiver_by_an_operator_or_an_admin_counts_in_the_name_of_the_key)
{
    struct desk desk;
    desk_open(&desk);
    Confleet__Decision good = waiver();
    put(&desk, &good, ANN);
    judge(&desk, "wiki");
    CHECK_INT(desk.got.count, 1);
    CHECK_STR(desk.got.list[0]->check, "licence-maintenance");
    CHECK_STR(desk.got.list[0]->by, "ann");
    CHECK_STR(desk.got.list[0]->reason, "renewed on paper");
    CHECK(desk.got.list[0]->until_ms == good.expires_ms);
    put(&desk, &good, CAT);
    judge(&desk, "wiki");
    CHECK_STR(desk.got.list[0]->by, "cat");
    desk_close(&desk);
}

TEST(a_waiver_by_a_viewer_by_a_stranger_or_by_nobody_does_not_count)
{
    struct desk desk;
    desk_open(&desk);
    Confleet__Decision good = waiver();
    put(&desk, &good, BOB);
    judge(&desk, "wiki");
    check_out(&desk, "bob is viewer");
    put(&desk, &good, EVE);
    judge(&desk, "wiki");
    check_out(&desk, "no key that this agent trusts");
    put(&desk, &good, 0);
    judge(&desk, "wiki");
    check_out(&desk, "no key that this agent trusts");
    desk_close(&desk);
}

TEST(a_forged_waiver_does_not_count)
{
    struct desk desk;
    desk_open(&desk);
    Confleet__Decision good = waiver();
    put(&desk, &good, ANN);
    desk.payload.s[desk.payload.len - 1] ^= 1;
    judge(&desk, "wiki");
    check_out(&desk, "signature by ann");
    put(&desk, &good, ANN); /* good words under another context's signature */
    text_sign(&desk.text, &desk.signers, ANN, SIGN_CONTEXT_PLAN, &desk.payload);
    judge(&desk, "wiki");
    check_out(&desk, "signature by ann");
    desk_close(&desk);
}

TEST(a_waiver_counts_for_its_own_site_fleet_time_and_kind_only)
{
    struct desk desk;
    desk_open(&desk);
    Confleet__Decision good = waiver();
    put(&desk, &good, ANN);
    judge(&desk, "docs");
    check_out(&desk, "given for site 'wiki', not docs");
    Confleet__Decision other = good;
    other.fleet = (char *)"fleet2";
    put(&desk, &other, ANN);
    judge(&desk, "wiki");
    check_out(&desk, "fleet2");
    other = good;
    other.expires_ms = other.created_ms - 1;
    put(&desk, &other, ANN);
    judge(&desk, "wiki");
    check_out(&desk, "expired");
    other = good;
    other.expires_ms = other.created_ms + WAIVER_MAX_MS + 1000;
    put(&desk, &other, ANN);
    judge(&desk, "wiki");
    check_out(&desk, "lasts longer");
    other = good;
    other.kind = (char *)"retry";
    put(&desk, &other, ANN);
    judge(&desk, "wiki");
    check_out(&desk, "is a 'retry'");
    desk_close(&desk);
}

TEST(what_the_way_back_depends_on_is_waived_by_nobody)
{
    struct desk desk;
    desk_open(&desk);
    for (size_t i = 0; waiver_never[i]; i++) {
        Confleet__Decision never = waiver();
        never.check = (char *)(uintptr_t)waiver_never[i];
        put(&desk, &never, CAT);
        judge(&desk, "wiki");
        check_out(&desk, waiver_never[i]);
    }
    desk_close(&desk);
}
