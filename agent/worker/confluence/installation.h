/* installation - what one Confluence on this server is: where it lives, what it runs as, which
 * database it uses.
 *
 * Read from files and /proc alone; nothing is started and nothing written. Secrets (passwords,
 * keys, licence texts) stay out of the struct except database.password, which never leaves the
 * worker's memory. A field that could not be found out is empty or zero and notes says why. Facts:
 * confluence-init.properties and -Dconfluence.home (1.1), layout (1.2), versions and builds (1.3),
 * confluence.cfg.xml (1.4). */
#pragma once
#include "agent/worker/confluence/database.h"
#include "confleet/err.h"
#include "confleet/str.h"
#include <sys/types.h>

#define INSTALLATION_ID_MAX 80
struct installation {
    char id[INSTALLATION_ID_MAX]; /* base name, dash, 8 hex digits of SHA-256 of the real path */
    char *install, *home;         /* real paths, owned */
    char *attachments; /* attachments.dir when it is outside of the home, else NULL; owned */
    char version[64];
    uint32_t app_build, home_build;
    char build_date[16]; /* of the application, yyyy-mm-dd */
    char run_user[64];
    uid_t uid;
    gid_t gid; /* of run_user; (uid_t)-1 when there is no such account */
    pid_t pid; /* zero: not running */
    uint32_t http_port, shutdown_port;
    char http_address[128]; /* the connector's own, "" for all addresses */
    char context_path[128]; /* "" for the root */
    char setup_step[32];    /* "complete" on a live site */
    char server_id[32];
    char java[512]; /* path of the java that would start it, or "" */
    bool installer_made, clustered, home_inside, home_by_option, has_config;
    bool config_hidden; /* confluence.cfg.xml is there, and this account may not read it */
    bool folder_hidden; /* the installation's own folder may not be looked into */
    bool home_hidden;   /* what names the home cannot be read: by this account, or without running it */
    bool processes_hidden; /* no process of it was found, and this account does not see all */
    bool home_given;    /* the caller named the home */
    bool home_absent;   /* a home is named, and nothing can be found there */
    bool setenv_hidden, user_hidden; /* bin/setenv.sh, bin/user.sh are there and cannot be read */
    char config_why[512];            /* why has_config is false, when a home is known */
    struct database database;
    struct str notes; /* one line each */
};

int installation_read(const char *install, const char *home_or_null, const char *proc_root,
                      struct installation *ret, struct err *err) MUST_USE;
void installation_free(struct installation *installation); /* wipes the password; fits CLEANUP() */
/* Only version and build of a tree, such as an unpacked release: from default.properties inside
 * confluence-*.jar, else pom.properties. */
int installation_release(const char *install, char ret_version[64], uint32_t *ret_build,
                         char ret_date[16], struct err *err) MUST_USE;
void installation_id(const char *real_path, char out[INSTALLATION_ID_MAX]);
/* The pid of the running Confluence of this installation, zero when none: pid file and /proc are
 * both asked (a stale pid file is none). */
int installation_pid(const char *install, const char *proc_root, pid_t *ret_pid,
                     struct err *err) MUST_USE;
