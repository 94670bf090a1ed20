#include "common/link_inside.h"
#include "harness/test.h"

static const uint8_t agent_key[KEY_SIZE] = { 1 }, operator_key[KEY_SIZE] = { 2 },
                     nobodys_key[KEY_SIZE] = { 3 };

static void set_table(void)
{
    struct link_key keys[2] = { { .id = "operator:ada" }, { .id = "agent:app-01" } };
    memcpy(keys[0].curve_public, operator_key, KEY_SIZE);
    memcpy(keys[1].curve_public, agent_key, KEY_SIZE);
    link_keys_set(NULL, 0);
    link_keys_set(keys, 2);
}

/* How often the key is let in, if it comes without a pause. */
static int burst(const uint8_t *key, int64_t now_ms)
{
    char id[96];
    int count = 0;
    while (count < 10000 && link_key_judge(key, now_ms, id) == LINK_KNOWN)
        count++;
    return count;
}

TEST(each_key_is_found_under_its_own_name_and_others_are_unknown)
{
    char id[96] = "untouched";
    set_table();
    CHECK_INT(link_key_judge(nobodys_key, 1000, id), LINK_UNKNOWN);
    CHECK_STR(id, "untouched");
    CHECK_INT(link_key_judge(agent_key, 1000, id), LINK_KNOWN);
    CHECK_STR(id, "agent:app-01");
    CHECK_INT(link_key_judge(operator_key, 1000, id), LINK_KNOWN);
    CHECK_STR(id, "operator:ada");
    link_keys_set(NULL, 0);
    CHECK_INT(link_key_judge(agent_key, 1000, id), LINK_UNKNOWN);
}

TEST(a_key_has_a_burst_of_handshakes_that_comes_back_with_time)
{
    char id[96];
    set_table();
    CHECK_INT(burst(agent_key, 1000000), LINK_BURST);
    CHECK_INT(burst(operator_key, 1000000), LINK_BURST_OPERATOR);
    CHECK_INT(link_key_judge(agent_key, 1001499, id), LINK_TOO_OFTEN);
    CHECK_INT(link_key_judge(agent_key, 1001500, id), LINK_KNOWN);
    CHECK_INT(link_key_judge(agent_key, 1001500, id), LINK_TOO_OFTEN);
    CHECK_INT(burst(agent_key, 1001500 + 10 * 1500), 10);
    /* Never more than one burst, however long the pause. */
    CHECK_INT(burst(agent_key, INT64_C(90) * 24 * 3600 * 1000), LINK_BURST);
}

TEST(a_new_table_does_not_forget_who_came_too_often)
{
    char id[96];
    set_table();
    CHECK_INT(burst(agent_key, 5000000), LINK_BURST);
    struct link_key key = { .id = "agent:app-01" };
    memcpy(key.curve_public, agent_key, KEY_SIZE);
    link_keys_set(&key, 1);
    CHECK_INT(link_key_judge(agent_key, 5000001, id), LINK_TOO_OFTEN);
    CHECK_INT(link_key_judge(operator_key, 5000001, id), LINK_UNKNOWN);
    link_keys_set(NULL, 0);
}

TEST(domains_are_few_and_found_by_their_whole_name)
{
    struct link_domain *control = link_domain_add("control");
    CHECK(control != NULL);
    CHECK(link_domain_add("control") == control);
    CHECK(link_domain_find("control", 7) == control);
    CHECK(link_domain_find("controlx", 8) == NULL);
    CHECK(link_domain_find("contro", 6) == NULL);
    CHECK(link_domain_find("", 0) == NULL);
    char name[LINK_DOMAIN_MAX];
    for (int i = 1; i < LINK_DOMAINS_MAX; i++) {
        (void)snprintf(name, sizeof name, "domain-%d", i);
        CHECK(link_domain_add(name) != NULL);
    }
    CHECK(link_domain_add("one-more") == NULL);
}
