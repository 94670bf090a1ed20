"""A failed upgrade goes back by itself while nobody can be asked and the backups can only be read: the controller is gone with
its port, and the backup folder is a file system that takes no writing any more. The report comes when the controller is back.
"""
import os
import re
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()

WAYS = {"one": "dump", "two": "copy"}      # what each site's database goes back from


class CutOff(unittest.TestCase):
    def world(self, fleet):
        """Each site on an agent of its own, whose backup folder is a mount of its own."""
        fleet.start_controller()
        for name, way in WAYS.items():
            fleet.site(name)
            fleet.fault(name, 9116, "slow=8,schema-task")
            fleet.start_agent("wiki-" + name, [name], stop_capture=way)
            fleet.claim(name, "wiki-" + name)
            folder = self.backups(fleet, name)
            if subprocess.run(["mount", "--bind", folder, folder], check=False).returncode != 0:
                self.skipTest("nothing can be mounted here")
            self.addCleanup(subprocess.run, ["umount", "-l", folder], check=False)
        fleet.release("9.2.21", 9116)

    def backups(self, fleet, name):
        return os.path.join(fleet.dir, f"agent-wiki-{name}", "backup")

    def ended(self, fleet, name):
        """The end of the agent's run, by its own journal: nobody else knows of it."""
        base = sqlite3.connect(f"file:{fleet.dir}/agent-wiki-{name}/state/agent.db?mode=ro", uri=True, timeout=5)
        try:
            (finished, reason), = base.execute("select finished_ms, reason from runs").fetchall()
            return reason if finished else None
        finally:
            base.close()

    def starts(self, fleet, name):
        return ("start", "intent") in fleet.journal("wiki-" + name)

    def test_it_goes_back_from_a_read_only_folder_without_a_controller(self):
        fleet = harness.Fleet("cut")
        self.addCleanup(fleet.close)        # behind the folders' umount
        self.world(fleet)
        before = {name: fleet.fingerprint(name, name + ".json") for name in WAYS}
        plan = fleet.plan("spring", "9.2.21", {"name": "all", "select": {"env": "production"}, "needs": {"approvals": 0}, "batch": [2]})
        rollout = fleet.apply(plan)
        harness.wait_for("both to start the new version", lambda: all(self.starts(fleet, name) for name in WAYS), 120, 0.05)
        fleet.controller.stop()
        for name in WAYS:
            self.assertEqual(fleet.count(name, "task-failed"), 0, "it failed before the folder was read-only")
            harness.run("mount", "-o", "remount,bind,ro", self.backups(fleet, name))
        for name in WAYS:
            try:
                harness.wait_for(f"{name} to be back", lambda name=name: self.ended(fleet, name) is not None, 120)
            except AssertionError as e:
                raise AssertionError(f"{e}\n{fleet.agents['wiki-' + name].text()[-6000:]}") from None
            self.assertEqual((fleet.state(name), fleet.build_of(name)), ("RUNNING", 9109))
            self.assertEqual(fleet.compare(before[name], fleet.fingerprint(name, name + "-after.json")), "")
            self.assertEqual((fleet.count(name, "start"), fleet.count(name, "task-failed")), (3, 1), fleet.effects(name))
        self.assertFalse(fleet.controller.alive())
        # What was left because its note could not be written is told with its name.
        self.assertRegex(fleet.agents["wiki-two"].text(), "Read-only file system.*Drop database two_confleet_failed by hand")
        fleet.controller.start()
        fleet.wait_rollout(["halted"], rollout, 60)
        self.assertEqual(fleet.site_states(rollout), {"one": "rolled-back", "two": "rolled-back"})
        self.assertTrue(re.search("schema|upgrade", str(fleet.rollout(rollout)), re.I))


if __name__ == "__main__":
    unittest.main(verbosity=2)
