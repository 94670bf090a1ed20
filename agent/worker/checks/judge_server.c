/* Judges of this server: account, room, folders, scripts, what earlier runs left. */
#include "agent/worker/checks/check.h"
#include "confleet/str.h"
#include <string.h>

#define OK      CONFLEET__SEVERITY__OK
#define INFO    CONFLEET__SEVERITY__INFO
#define WARN    CONFLEET__SEVERITY__WARN
#define BLOCK   CONFLEET__SEVERITY__BLOCK
#define UNKNOWN CONFLEET__SEVERITY__UNKNOWN

void judge_run_user(const struct facts *facts, struct verdict *ret)
{
    const struct installation *site = &facts->site;
    if (site->user_hidden)
        verdict_set(ret, UNKNOWN, "bin/user.sh, which names the account, cannot be read.");
    else if (facts->user_exists == FACT_NO)
        verdict_set(ret, BLOCK, "The account '%s' does not exist on this server.", site->run_user);
    else if (facts->user_exists == FACT_UNKNOWN || facts->home_uid_known != FACT_YES)
        verdict_set(ret, UNKNOWN, "It is not known %s.",
                    facts->user_exists == FACT_UNKNOWN ? "which account Confluence runs as"
                                                       : "whom the home belongs to");
    else if (site->uid == 0)
        verdict_set(ret, BLOCK, "Confluence runs as root (the account '%s', user id 0).",
                    site->run_user);
    else if (facts->home_uid != (uint32_t)site->uid)
        verdict_set(ret, BLOCK,
                    "Confluence runs as %s (user id %u), its home %s belongs to user id %u.",
                    site->run_user, (unsigned)site->uid, site->home, facts->home_uid);
    else if (facts->process_uid_known == FACT_YES && facts->process_uid != (uint32_t)site->uid)
        verdict_set(ret, BLOCK, "The running Confluence (pid %d) is of user id %u, not of %s.",
                    (int)site->pid, facts->process_uid, site->run_user);
    else
        verdict_set(ret, OK, "%s owns %s.", site->run_user, site->home);
    if (facts->user_exists == FACT_YES && site->uid == 0)
        ret->remedy = "Stop Confluence, give it an account of its own that is not root, chown its "
                      "home to that account, name it in bin/user.sh and start it again.";
    else if (ret->severity == BLOCK && facts->home_uid == (uint32_t)site->uid)
        ret->remedy = "Stop Confluence and start it as the account that owns its home.";
}

void judge_ports(const struct facts *facts, struct verdict *ret)
{
    const struct installation *site = &facts->site;
    if (!site->http_port)
        verdict_set(ret, UNKNOWN, "conf/server.xml tells no port.");
    else if (site->pid > 0)
        verdict_set(ret, OK, "Confluence runs on port %u.", site->http_port);
    else if (site->processes_hidden)
        verdict_set(ret, UNKNOWN,
                    "Whether Confluence runs is not known: this account does not see the "
                    "processes of others.");
    else if (facts->port_taken == FACT_YES)
        verdict_set(ret, BLOCK, "Confluence is stopped, and yet something answers on port %u.",
                    facts->taken_port);
    else if (facts->port_taken == FACT_UNKNOWN)
        verdict_set(ret, UNKNOWN, "Whether port %u is free could not be found out.",
                    site->http_port);
    else
        verdict_set(ret, OK, "Ports %u and %u are free.", site->http_port, site->shutdown_port);
}

/* Places on one file system share its room, so their needs are added up. */
static void add_up(const struct facts *facts, size_t at, uint64_t *ret_bytes, uint64_t *ret_files)
{
    *ret_bytes = *ret_files = 0;
    for (size_t i = 0; i < facts->place_count; i++) {
        if (facts->places[i].known != FACT_YES || facts->places[i].dev != facts->places[at].dev)
            continue;
        *ret_bytes += facts->places[i].need_bytes;
        *ret_files += facts->places[i].need_files;
    }
}

void judge_space(const struct facts *facts, struct verdict *ret)
{
    const char *unknown = NULL;
    char need[24], have[24], found[VERDICT_TEXT] = "";
    for (size_t i = 0; i < facts->place_count; i++) {
        const struct fact_place *place = &facts->places[i];
        uint64_t bytes = 0, files = 0;
        if (place->known != FACT_YES) {
            unknown = place->what;
            continue;
        }
        add_up(facts, i, &bytes, &files);
        if (bytes > place->free_bytes) {
            verdict_set(ret, BLOCK, "%s (%s) needs %s with all that goes there, %s are free.",
                        place->path, place->what, text_size(bytes, need),
                        text_size(place->free_bytes, have));
            return;
        }
        if (place->files_limited && files > place->free_files) {
            verdict_set(ret, BLOCK, "%s (%s) needs %llu files, its file system has room for %llu.",
                        place->path, place->what, (unsigned long long)files,
                        (unsigned long long)place->free_files);
            return;
        }
        size_t used = strlen(found);
        (void)snprintf(found + used, sizeof found - used, "%s%s: %s of %s free", used ? "; " : "",
                       place->what, text_size(place->need_bytes, need),
                       text_size(place->free_bytes, have));
    }
    bool sizes = facts->install_size.known == FACT_YES && facts->home_size.known == FACT_YES &&
                 facts->database.bytes_known;
    if (unknown)
        verdict_set(ret, UNKNOWN, "The free space for %s is not known.", unknown);
    else if (!sizes || facts->place_count == 0)
        verdict_set(ret, UNKNOWN, "The size of %s is not known, so the need cannot be told.",
                    facts->install_size.known != FACT_YES ? "the installation"
                    : facts->home_size.known != FACT_YES  ? "the home"
                                                          : "the database");
    else if (facts->database.room_known != FACT_YES) {
        verdict_set(ret, UNKNOWN,
                    "%s. Whether the database server has %s for the way back, where the failed and "
                    "the restored database are there at once, is not known: %s.",
                    found, text_size(facts_room_need(facts), need),
                    facts->database.room_text[0] ? facts->database.room_text : "it was not asked");
        ret->remedy =
            "Look on the database server. When it is this host, set database_admin to an account "
            "that may read data_directory (superuser, or a member of pg_read_all_settings).";
    } else
        verdict_set(ret, OK, "%s.", found);
}

void judge_backup_dir(const struct facts *facts, struct verdict *ret)
{
    const struct fact_path *path = &facts->backup_dir;
    const char *name = facts->backup_path;
    if (!name[0])
        verdict_set(ret, UNKNOWN, "No backup folder is named in this order.");
    else if (path->exists == FACT_UNKNOWN)
        verdict_set(ret, UNKNOWN, "%s cannot be looked at.", name);
    else if (path->exists == FACT_NO)
        verdict_set(ret, BLOCK, "%s does not exist.", name);
    else if (!path->is_dir)
        verdict_set(ret, BLOCK, "%s is not a folder.", name);
    else if (facts->backup_inside)
        verdict_set(ret, BLOCK,
                    "%s lies inside the home or the installation: a backup would hold itself and "
                    "share its fate.",
                    name);
    else if (path->read_only || !path->writable)
        verdict_set(ret, BLOCK, "%s cannot be written to%s.", name,
                    path->read_only ? ": its file system is read-only" : "");
    else if (path->mode & 022) {
        verdict_set(ret, BLOCK,
                    "%s has mode %04o: others on this server can put a backup of theirs into the "
                    "place of ours, which a way back would write as root.",
                    name, path->mode & 07777);
        ret->remedy = "chmod 0700 the backup folder, and look whether all in it is root's own.";
    } else if (path->mode & 077) {
        verdict_set(
            ret, WARN,
            "%s has mode %04o: others on this server can look into it. Backups hold the database.",
            name, path->mode & 07777);
        ret->remedy = "chmod 0700 the backup folder.";
    } else
        verdict_set(ret, OK, "%s, mode %04o.", name, path->mode & 07777);
}

void judge_artifact(const struct facts *facts, struct verdict *ret)
{
    unsigned long long have = facts->artifact_bytes, want = facts->artifact_want;
    if (!facts->has_artifact)
        verdict_set(
            ret, INFO,
            "No file was named; it is fetched and its digest checked before anything is touched.");
    else if (facts->artifact_path.exists == FACT_UNKNOWN)
        verdict_set(ret, UNKNOWN, "%s cannot be looked at.", facts->artifact);
    else if (facts->artifact_path.exists == FACT_NO)
        verdict_set(ret, BLOCK, "%s does not exist.", facts->artifact);
    else if (facts->artifact_path.is_dir || have == 0)
        verdict_set(ret, BLOCK, "%s is %s.", facts->artifact,
                    facts->artifact_path.is_dir ? "a folder" : "empty");
    else if (want != 0 && have != want)
        verdict_set(ret, BLOCK, "%s has %llu bytes, the release has %llu.", facts->artifact, have,
                    want);
    else
        verdict_set(ret, OK, "%s, %llu bytes.", facts->artifact, have);
}

void judge_service(const struct facts *facts, struct verdict *ret)
{
    if (facts->service[0] && facts->service_exists == FACT_NO)
        verdict_set(ret, BLOCK,
                    "The policy names the unit %s, which does not exist on this server.",
                    facts->service);
    else if (facts->service[0] && facts->service_exists == FACT_UNKNOWN)
        verdict_set(ret, UNKNOWN, "Whether the unit %s exists could not be found out.",
                    facts->service);
    else if (facts->start_script == FACT_NO || facts->stop_script == FACT_NO)
        verdict_set(ret, BLOCK, "%s/bin/%s is not there or not executable.", facts->site.install,
                    facts->start_script == FACT_NO ? "start-confluence.sh" : "stop-confluence.sh");
    else if (facts->start_script == FACT_UNKNOWN || facts->stop_script == FACT_UNKNOWN)
        verdict_set(ret, UNKNOWN, "The scripts in %s/bin cannot be looked at.",
                    facts->site.install);
    else
        verdict_set(ret, OK, "%s%s.",
                    facts->service[0] ? "Unit " : "The installation's own scripts", facts->service);
}

void judge_hooks(const struct facts *facts, struct verdict *ret)
{
    if (facts->hooks_known == FACT_UNKNOWN)
        verdict_set(ret, UNKNOWN, "%s cannot be looked at.", facts->hooks_path);
    else if (facts->hooks_bad[0])
        verdict_set(ret, BLOCK,
                    "%s runs as root at the stop or the start, and others than root can change it.",
                    facts->hooks_bad);
    else if (facts->hooks == 0)
        verdict_set(ret, OK, "There are no hooks.");
    else
        verdict_set(ret, OK, "%llu hooks in %s.", (unsigned long long)facts->hooks,
                    facts->hooks_path);
}

void judge_other_run(const struct facts *facts, struct verdict *ret)
{
    if (facts->guarded == FACT_YES)
        verdict_set(ret, BLOCK, "The start guard of an earlier run stands in %s/bin/catalina.sh.",
                    facts->site.install);
    else if (facts->guarded == FACT_UNKNOWN)
        verdict_set(ret, UNKNOWN, "%s/bin/catalina.sh cannot be read.", facts->site.install);
    else if (facts->leftovers[0])
        verdict_set(ret, INFO, "Trees of earlier runs are still kept: %s.", facts->leftovers);
    else
        verdict_set(ret, OK, "Nothing is left of an earlier run.");
}

void judge_installer_made(const struct facts *facts, struct verdict *ret)
{
    if (facts->site.folder_hidden)
        verdict_set(ret, UNKNOWN, "%s may not be looked into.", facts->site.install);
    else if (facts->site.installer_made)
        verdict_set(ret, INFO,
                    "Made by the installer: .install4j, jre/ with its keystore and the service are "
                    "carried over.");
    else
        verdict_set(ret, OK, "Unpacked from an archive.");
}
