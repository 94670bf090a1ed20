"""The light form: upgrades and the points where they fail (facts 4.2, 8)."""
import json
import os
import urllib.parse

from kit import sitetool
from kit.testbed import Bed, until

MARKS = ["Starting automatic upgrade of Confluence", "Generating pre-upgrade recovery file...",
         "Finished generating pre-upgrade recovery file.", "Upgrade initial stage completed successfully",
         "Servlets loaded.", "Application started.", "init Confluence is ready to serve",
         "Upgrade completed successfully"]


class Upgrades(Bed):
    def check_content(self, about, app_count=3):
        """Search, attachment and apps as a user would see them."""
        found = json.loads(sitetool.fetch(about, f'/rest/api/search?cql=text~%22{about["word"]}%22')[1])
        self.assertGreater(found["totalSize"], 0)
        page, name = about["attachment"]
        code, data = sitetool.fetch(about, f"/download/attachments/{page}/{urllib.parse.quote(name)}")
        size = self.sql(about, "SELECT p.longval FROM content a JOIN contentproperties p USING (contentid) WHERE "
                        "a.title = %s AND p.propertyname = 'FILESIZE'", (name,))[0][0]
        self.assertEqual((code, len(data)), (200, size))
        apps = json.loads(sitetool.fetch(about, "/rest/plugins/1.0/")[1])["plugins"]
        self.assertEqual(len([app for app in apps if app["userInstalled"] and app["enabled"]]), app_count)

    def test_two_upgrades_run_each_task_once_and_keep_the_content(self):
        about = self.site()
        self.start(about)
        self.check_content(about)
        self.stop(about)
        self.upgrade(about, "9.2.13")
        log = self.log(about)
        log = log[log.index("Starting Confluence 9.2.13"):]
        places = [log.index(mark) for mark in MARKS]
        self.assertEqual(places, sorted(places))
        self.assertEqual(self.numbers(about), (9109, 9109))
        self.check_content(about)
        self.assertTrue(os.path.exists(os.path.join(about["home"], "recovery",
                                                    "upgradeRecoveryFile-7901-9109-before.xml.gz")))
        self.assertFalse(os.path.exists(os.path.join(about["home"], "attachments/ver003")))
        self.assertTrue(os.path.exists(os.path.join(about["home"], "index/change/segments.idx")))
        self.stop(about)
        self.upgrade(about, "9.2.21")
        self.assertEqual(self.numbers(about), (9116, 9116))
        self.check_content(about)
        self.stop(about)
        self.start(about)
        done = [tuple(line[-1].split()[1:]) for line in self.effects(about, "task-done")]
        self.assertEqual(len(done), len(set(done)))
        self.assertEqual([number for number, _ in done],
                         ["8001", "8002", "8201", "8401", "8703", "8901", "9109", "9110", "9111", "9113", "9116"])
        self.assertIn(("9109",), self.sql(about, "SELECT buildnumber::text FROM confversion"))
        shared = self.text(os.path.join(about["home"], "shared-home/confluence.cfg.xml"))
        self.assertIn("<buildNumber>9116</buildNumber>", shared)

    def test_a_direct_upgrade_over_both_steps_sorts_schema_tasks_first(self):
        about = self.site()
        self.upgrade(about, "9.2.21")
        kinds = [line[-1].split()[0] for line in self.effects(about, "task-done")]
        self.assertEqual(kinds, ["pre"] * 3 + ["schema"] * 4 + ["normal"] * 3 + ["plugin"])
        self.assertEqual(self.numbers(about), (9116, 9116))

    def test_a_failed_validation_changed_nothing_and_the_old_version_starts(self):
        about = self.site()
        before = self.fingerprint(about, "--running", parts=("home", "pg"))
        self.upgrade(about, "9.2.13", "ERROR", fault="validation")
        self.assertIn("Pre-upgrade validation failed.", self.log(about))
        self.assertIn("SCHEMA_VALIDATION phase", self.log(about))
        self.stop(about)
        changed = self.difference(before, self.fingerprint(about, "--running", parts=("home", "pg")))
        self.assertEqual(changed, ["~ home files: standin.properties:"])
        sitetool.swap(about, "6.13.4")
        self.start(about)

    def test_without_the_right_to_create_the_validation_fails(self):
        about = self.site()
        # A role that owns the database has the right by that alone, so the owner changes as well.
        self.sql(about, f"REVOKE CREATE ON SCHEMA public FROM {about['db_user']}; "
                        f"ALTER DATABASE {about['db']} OWNER TO postgres; "
                        "ALTER SCHEMA public OWNER TO postgres; "
                        f"GRANT CONNECT ON DATABASE {about['db']} TO {about['db_user']}")
        self.upgrade(about, "9.2.13", "ERROR")
        self.assertIn("permission denied for schema public", self.log(about))

    def test_a_failed_schema_task_leaves_a_half_changed_site(self):
        about = self.site()
        before = self.fingerprint(about)
        self.upgrade(about, "9.2.13", "ERROR", fault="schema-task")
        self.assertIn("AuditEntityUpgradeTask failed during the SCHEMA_UPGRADE phase", self.log(about))
        self.assertIn("Upgrade failed. Please consult the system logs", self.log(about))
        self.stop(about)
        self.assertEqual(self.numbers(about), (8201, 8201))
        changed = "\n".join(self.difference(before, self.fingerprint(about)))
        for text in ('+ database tables: public."AO_C77861_AUDIT_ENTITY":', "+ database columns: public.content.content_uuid:",
                     "+ database columns: public.auditrecord.migrated:", "~ database rows: public.auditrecord:",
                     "~ database columns: public.scheduler_run_details.message:",
                     "~ database sequences: public.seq_journal_entry_id:", "+ database indexes: public.c_uuid_idx:",
                     "- home files: attachments/ver003", "+ home files: attachments/v4", "- home files: index/segments.idx:",
                     "+ home files: recovery/upgrade", "~ home files: confluence.cfg.xml:"):
            self.assertIn(text, changed)
        self.assertEqual(self.effects(about, "task-failed")[0][-1], "schema 8401 AuditEntityUpgradeTask")
        sitetool.swap(about, "6.13.4")
        self.start(about, "ERROR")
        self.assertIn("is newer than the Confluence build number [7901]", self.log(about))

    def test_a_crash_inside_a_task_leaves_unequal_numbers(self):
        about = self.site()
        sitetool.switch(about, fault__9109="crash-in-task")
        sitetool.swap(about, "9.2.13")
        sitetool.script(about, "start-confluence.sh")
        until(lambda: self.effects(about, "start") and not self.alive(self.pid(about)), "the crash")
        self.assertEqual(self.numbers(about), (8201, 8401))
        self.start(about, "ERROR")
        self.assertIn("[8201] doesn't match the build number in the database [8401]", self.log(about))

    def test_a_wrong_build_number_shows_at_the_next_start(self):
        about = self.site()
        self.upgrade(about, "9.2.13", "RUNNING", fault="wrong-build")
        self.assertEqual(self.numbers(about), (9109, 8901))
        self.stop(about)
        self.start(about, "ERROR")
        self.assertIn("doesn't match", self.log(about))

    def test_faults_of_licence_recovery_and_flag_start_no_task(self):
        for fault, text in (("licence", "License validation failed."),
                            ("recovery", "Pre-Upgrade recovery file generation failed.")):
            about = self.site()
            self.upgrade(about, "9.2.13", "ERROR", fault=fault)
            self.assertIn(text, self.log(about))
            self.assertEqual(self.effects(about, "task"), [])
        about = self.site()
        sitetool.switch(about, fault__9109="start")
        sitetool.swap(about, "9.2.13")
        sitetool.script(about, "start-confluence.sh")
        until(lambda: "Unrecognized VM option" in self.out(about), "the refusal of the JVM")
        self.assertEqual(self.effects(about), [])
        self.assertEqual(self.numbers(about), (7901, 7901))

    def test_a_hanging_task_stays_starting_until_it_is_killed(self):
        about = self.site()
        self.upgrade(about, "9.2.13", "STARTING", fault="hang-task")
        until(lambda: "working on a large table" in self.log(about), "the hang")
        self.assertEqual(self.numbers(about), (8201, 8201))

    def test_the_fault_of_one_build_leaves_the_others_alone(self):
        about = self.site()
        sitetool.switch(about, fault__9109="slow=0.2,schema-task", fault__9116="validation")
        self.start(about)
        self.stop(about)
        self.upgrade(about, "9.2.13", "ERROR")

    def test_an_app_can_be_off_after_the_upgrade(self):
        about = self.site()
        self.upgrade(about, "9.2.13", "RUNNING", fault="app-disabled=org.example.calendar")
        until(lambda: "Upgrade completed successfully" in self.log(about), "the end of the upgrade")
        self.check_content(about, app_count=2)

    def test_an_idle_site_and_a_start_and_stop_change_nothing(self):
        about = self.site()
        stopped = self.fingerprint(about, "--running")
        self.start(about)
        first = self.sql(about, "SELECT safetynumber FROM clustersafety")
        running = self.fingerprint(about, "--running")
        self.assertEqual(self.difference(stopped, running), [])
        self.check_content(about)
        until(lambda: self.sql(about, "SELECT safetynumber FROM clustersafety") != first, "a new safety number")
        self.stop(about)
        self.assertEqual(self.difference(stopped, self.fingerprint(about, "--running")), [])

    def test_the_built_in_schema_serves_where_the_real_one_is_missing(self):
        old = os.environ.get("CONFLEET_SHARED")
        os.environ["CONFLEET_SHARED"] = "/nonexistent"
        try:
            about = self.site()
        finally:
            if old is None:
                del os.environ["CONFLEET_SHARED"]
            else:
                os.environ["CONFLEET_SHARED"] = old
        self.assertEqual(about["schema"], "built-in")
        self.upgrade(about, "9.2.13")
        self.check_content(about)
