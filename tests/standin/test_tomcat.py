"""The Tomcat form keeps the same promises as the light one: the main stories again, on real Tomcat."""
import os
import shutil
import unittest

import test_light_states as states
import test_light_upgrade as upgrades
from kit import sitetool, tomcat
from kit.testbed import Bed, until


@unittest.skipUnless(shutil.which("javac"), "needs openjdk-17-jdk-headless")
class Tomcat(Bed):
    form = "tomcat"
    check_content = upgrades.Upgrades.check_content
    set_home_build = states.States.set_home_build
    refused = states.States.refused
    test_two_upgrades = upgrades.Upgrades.test_two_upgrades_run_each_task_once_and_keep_the_content
    test_failed_schema_task = upgrades.Upgrades.test_a_failed_schema_task_leaves_a_half_changed_site
    test_failed_validation = upgrades.Upgrades.test_a_failed_validation_changed_nothing_and_the_old_version_starts
    test_daemon = states.States.test_the_process_is_a_daemon_without_inherited_descriptors

    test_restart_of_the_database = states.States.test_it_lives_through_a_restart_of_the_database

    def test_states_panic_and_a_stop_that_hangs(self):
        about = self.site(java8_flags=True)
        sitetool.switch(about, slow=1.2, stop__wait=0, fault__7901="hang-on-stop")
        seen = self.start(about)
        self.assertEqual([state for state in seen if state != "DOWN"][-3:], ["HTTP 302", "STARTING", "RUNNING"])
        self.sql(about, "UPDATE clustersafety SET safetynumber = 1")
        sitetool.wait(about, "ERROR", seconds=20)
        self.assertIn("Received a panic event, stopping processing on the node", self.log(about))
        pid = self.pid(about)
        code, text = sitetool.script(about, "stop-confluence.sh", "0")
        self.assertTrue(self.alive(pid), text)
        code, text = sitetool.script(about, "stop-confluence.sh")
        self.assertIn("Killing Tomcat", text)
        self.assertFalse(self.alive(pid))
        self.assertEqual(self.effects(about, "stop"), [])

    def test_an_unknown_jvm_flag_shows_in_catalina_out_alone(self):
        about = self.site("9.2.13", java8_flags=True)
        for fault in (None, "start"):
            sitetool.switch(about, fault__9109=fault)
            before = self.log(about)
            sitetool.script(about, "start-confluence.sh")
            until(lambda: "Unrecognized VM option" in self.out(about), "the refusal of the JVM")
            self.assertEqual((self.log(about), self.effects(about)), (before, []))

    def test_an_idle_site_changes_nothing(self):
        about = self.site("9.2.21")
        stopped = self.fingerprint(about, "--running")
        self.start(about)
        self.check_content(about)
        first = self.sql(about, "SELECT safetynumber FROM clustersafety")
        until(lambda: self.sql(about, "SELECT safetynumber FROM clustersafety") != first, "a new safety number")
        self.assertEqual(self.difference(stopped, self.fingerprint(about, "--running")), [])

    def test_a_crash_leaves_and_unequal_numbers(self):
        about = self.site()
        sitetool.switch(about, fault__9109="crash-in-task")
        sitetool.swap(about, "9.2.13")
        sitetool.script(about, "start-confluence.sh")
        until(lambda: self.effects(about, "start") and not self.alive(self.pid(about)), "the crash", 30)
        self.assertEqual(self.numbers(about), (8201, 8401))
        # Tomcat's own script takes a process that nobody has waited for yet for a running one.
        until(lambda: not os.path.exists(f"/proc/{self.pid(about)}"), "the end of the crashed process")
        self.refused(about, "[8201] doesn't match the build number in the database [8401]")

    def test_the_libraries_are_debians(self):
        self.assertIn("catalina.jar", tomcat.libraries())
