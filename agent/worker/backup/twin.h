/* twin - a copy of the site's database inside its own server, taken at the stop: CREATE DATABASE
 * confleet_copy_ID TEMPLATE, frozen (nobody may connect), with everything that TEMPLATE loses put
 * on it.
 *
 * BACKUP_DIR/INSTALLATION/ID.copy says that it was begun, before it is; so after a crash nothing
 * is lost and nothing else is dropped. making: begun; ready: whole, with its properties (opened: others may
 * have been in it since); back: it
 * has the site's name again, and what failed is to be dropped. Ends the sessions in a copy,
 * and no others.
 */
#pragma once
#include "agent/worker/backup/elsewhere.h"
#include "agent/worker/backup/subject.h"

#define TWIN_PREFIX "confleet_copy_"
#define TWIN_ENDING ".copy"
#define TWIN_WHY    400
#define TWIN_FAILED "_confleet_failed"

/* What decides whether the database is copied or dumped. */
struct twin_ask {
    const char *policy; /* "auto", "dump", "copy" */
    bool may;           /* CREATEDB and member of the owner, or superuser */
    const char *account, *owner;
    const char *entry_why; /* of a database of a copy's name; "": it may be entered */
    bool room_known;
    const char *room_why; /* when it is not known */
    uint64_t bytes, free_bytes, reserve_bytes;
};
/* True: a copy. why tells the reason of either, for people. */
bool twin_choose(const struct twin_ask *ask, char why[TWIN_WHY]);
uint64_t twin_need(const struct twin_ask *ask);

enum twin_state { TWIN_NONE, TWIN_MAKING, TWIN_READY, TWIN_BACK };
struct twin_note {
    enum twin_state state;
    char id[MANIFEST_ID_MAX], name[64];
    char of[256], at[512];    /* the site's database; host:port/name */
    uint64_t oid, failed_oid; /* of the copy; of the database that it replaced */
    bool opened;              /* for its dump: others may have been in it since */
};
void twin_name(const char *id, char out[64]);
/* Of what is put aside for database name: a long name is cut at a character and told by a hash. */
void twin_failed_name(const char *name, char out[ELSEWHERE_NAME_MAX + 1]);
/* TWIN_NONE when there is no note. FAIL_CORRUPT: a note that is none. */
int twin_read(const char *backup_dir, const char *installation, const char *id,
              struct twin_note *ret, struct err *err) MUST_USE;
int twin_write(struct subject *subject, const struct twin_note *note, struct err *err) MUST_USE;

/* The copy being made by the server while the caller does something else. */
struct twin {
    PGconn *conn;
    struct twin_note note;
    bool running;
    char why[TWIN_WHY]; /* the choice, with its reason: "copy: …" or "dump: …" */
};
/* Decides, and begins. No copy is no failure, unless the policy insists on one. */
int twin_begin(struct subject *subject, const char *id, struct twin *ret, struct err *err) MUST_USE;
int twin_end(struct subject *subject, struct twin *twin, struct err *err) MUST_USE;
void twin_close(struct twin *twin); /* fits CLEANUP(); what was begun ends when the server has it */

/* Waits until the server is at work on no copy of that name; stop: ends who makes it. */
int twin_wait_making(PGconn *conn, const char *name, bool stop, int64_t wait_ms,
                     struct err *err) MUST_USE;
/* Makes a begun copy ready. ret_ready false: there is none that could be used, why says why. */
int twin_finish(struct subject *subject, const char *id, bool *ret_ready, char why[TWIN_WHY],
                struct err *err) MUST_USE;
/* Is what the note says there, and is it that very database? */
int twin_there(struct subject *subject, const struct twin_note *note, bool *ret,
               struct err *err) MUST_USE;
/* FAIL_CONFLICT: the site's database is on another server now. */
int twin_place(struct subject *subject, const struct twin_note *note, struct err *err) MUST_USE;
/* twin_open.c: opens the frozen copy, dumps it into ID.files as the database of the site's name, and
 * freezes it again. That it was opened is noted before. FAIL_CONFLICT: somebody wrote into it. */
int twin_dump(struct subject *subject, const struct twin_note *note, struct manifest *manifest,
              unsigned threads, struct err *err) MUST_USE;
/* Freezes a copy that was opened, and ends whoever is in it. */
int twin_freeze(struct subject *subject, const struct twin_note *note, struct err *err) MUST_USE;
/* Does a copy that was opened still hold what was dumped? It is frozen afterwards. */
int twin_compare(struct subject *subject, const struct twin_note *note,
                 const struct contents *dumped, struct err *err) MUST_USE;
/* Drops the copy, or what it replaced, and then the note. Absent is fine. */
int twin_drop(struct subject *subject, const char *id, struct err *err) MUST_USE;

/* After the site serves again, and when a run is kept: what its id does not need any more goes.
 * What cannot be dropped now is left to the expiry. */
void twin_tidy(struct job *job, bool kept);
/* Copies of backups that are proven or gone. */
int twins_expire(struct job *job, struct err *err) MUST_USE;

/* twin_props.c: what belongs to the database itself. */
int twin_props_put(PGconn *conn, const char *from, const char *to, struct err *err) MUST_USE;
int twin_props_compare(PGconn *conn, const char *a, const char *b, struct err *err) MUST_USE;
/* twin_room.c: sizes, rights and room of what conn's server holds. Texts are static or in ret. */
struct twin_facts {
    struct twin_ask ask;
    char account[128], owner[128], room_why[TWIN_WHY], entry_why[TWIN_WHY];
    int connection_limit;
};
int twin_gather(PGconn *conn, const struct reach *reach, const char *dbname, struct twin_facts *ret,
                struct err *err) MUST_USE;
