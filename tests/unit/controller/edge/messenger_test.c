/* What needs a person is told to a program, once, in its words; a bad program changes nothing. */
#include "confleet/cleanup.h"
#include "confleet/clock.h"
#include "confleet/fs.h"
#include "controller/edge/messenger.h"
#include "controller/edge/store_notices.h"
#include "harness/test.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct store *store;
static char *program, *told;

static void begin(const char *script)
{
    struct err err = { 0 };
    const char *dir = test_dir();
    CLEANUP(free_mem) char *path = fs_join(dir, "controller.db");
    program = fs_join(dir, "tell");
    told = fs_join(dir, "told");
    CLEANUP(free_mem) char *text = text_printf("#!/bin/sh\nTOLD=%s\n%s", told, script);
    CHECK_OK(fs_write(program, text, strlen(text), 0755, &err), err);
    CHECK_OK(store_open(path, "fleet-1", &store, &err), err);
    store->now_ms = 1795480000000;
}

static void end(struct messenger **messenger)
{
    messenger_close(messenger);
    store_close(&store);
    free(program);
    free(told);
}

static int put_tx(void *arg, struct err *err)
{
    return notice_put(store, arg, err);
}

static void put(const char *kind, const char *subject, const char *message)
{
    struct err err = { 0 };
    struct notice notice = { kind, subject, "spring-1", "prod", "docs", message };
    CHECK_OK(store_tx(store, put_tx, &notice, &err), err);
}

static int64_t waiting(void)
{
    int64_t count = -1;
    struct err err = { 0 };
    CHECK_OK(db_get_i64(store->db, &count, NULL, &err,
                        "SELECT count(*) FROM notices WHERE state='pending'", ""),
             err);
    return count;
}

static void turn_until_told(struct messenger *messenger)
{
    struct err err = { 0 };
    for (int64_t until_ms = clock_mono_ms() + 15000; waiting() > 0 && clock_mono_ms() < until_ms;
         (void)usleep(2000))
        CHECK_OK(messenger_turn(messenger, clock_mono_ms(), &err), err);
    CHECK_INT(waiting(), 0);
}

TEST(each_notice_is_told_once_in_words_and_as_json)
{
    struct messenger *messenger = NULL;
    struct err err = { 0 };
    CLEANUP(str_free) struct str text = { 0 };
    begin("{ echo \"$CONFLEET_EVENT $CONFLEET_SITE $CONFLEET_MESSAGE\"; cat; } >> \"$TOLD\"\n");
    CHECK_OK(messenger_open(store, program, &messenger, &err), err);
    put("held", "", "site docs is held: \"$(id)\"\nsecond line");
    put("approval-needed", "prod:0", "waits for 1 approval");
    put("approval-needed", "prod:0", "waits for 1 approval");
    turn_until_told(messenger);
    put("approval-needed", "prod:0", "waits for 1 approval"); /* told already */
    CHECK_INT(waiting(), 0);
    CHECK_OK(fs_read(told, 65536, &text, &err), err);
    CHECK_STR(str_text(&text),
              "held docs site docs is held: \"$(id)\"\nsecond line\n"
              "{\"event\":\"held\",\"rollout\":\"spring-1\",\"stage\":\"prod\",\"site\":\"docs\","
              "\"message\":\"site docs is held: \\\"$(id)\\\"\\nsecond line\","
              "\"at\":\"2026-11-24T00:26:40Z\"}\n"
              "approval-needed docs waits for 1 approval\n"
              "{\"event\":\"approval-needed\",\"rollout\":\"spring-1\",\"stage\":\"prod\","
              "\"site\":\"docs\",\"message\":\"waits for 1 approval\","
              "\"at\":\"2026-11-24T00:26:40Z\"}\n");
    end(&messenger);
}

TEST(a_program_that_fails_or_says_too_much_stops_nothing)
{
    struct messenger *messenger = NULL;
    struct err err = { 0 };
    begin("head -c 1000000 /dev/zero\nexit 3\n");
    CHECK_OK(messenger_open(store, program, &messenger, &err), err);
    put("silent", "", "one");
    put("silent", "", "two");
    turn_until_told(messenger);
    end(&messenger);
}

TEST(a_program_that_hangs_is_ended_and_the_next_notice_told)
{
    struct messenger *messenger = NULL;
    struct err err = { 0 };
    begin("exec sleep 600\n");
    CHECK_OK(messenger_open(store, program, &messenger, &err), err);
    put("silent", "", "one");
    CHECK_OK(messenger_turn(messenger, 1000, &err), err);
    CHECK_OK(messenger_turn(messenger, 1000 + MESSENGER_TIME_MS - 1, &err), err);
    CHECK_INT(waiting(), 1);
    for (int64_t until_ms = clock_mono_ms() + 15000; waiting() > 0 && clock_mono_ms() < until_ms;
         (void)usleep(2000))
        CHECK_OK(messenger_turn(messenger, 1000 + MESSENGER_TIME_MS, &err), err);
    CHECK_INT(waiting(), 0);
    end(&messenger);
}

TEST(no_more_wait_than_the_limit_and_nothing_without_a_program)
{
    struct messenger *messenger = NULL;
    struct err err = { 0 };
    begin("");
    CHECK_OK(messenger_open(store, NULL, &messenger, &err), err);
    put("silent", "", "nobody listens");
    CHECK_INT(waiting(), 0);
    messenger_close(&messenger);
    CHECK_INT(messenger_open(store, "tell", &messenger, &err), -FAIL_USAGE);
    err = (struct err){ 0 };
    CHECK_INT(messenger_open(store, "/nowhere/tell", &messenger, &err), -FAIL_USAGE);
    err = (struct err){ 0 };
    CHECK_OK(messenger_open(store, program, &messenger, &err), err);
    for (int i = 0; i < NOTICES_MAX + 5; i++)
        put("silent", "", "again");
    CHECK_INT(waiting(), NOTICES_MAX);
    end(&messenger);
}
