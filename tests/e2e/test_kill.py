"""kill -9 of controller, agent and worker, in prepare, in the switch and in the rollback: the site ends well, by the oracle.

Points are seen in the agent's journal, read beside its owner. What happened to the site is told by the stand-in's own effect
file and the fingerprint, not by any journal.
"""
import glob
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()


def intended(step):
    return lambda lines: (step, "intent") in lines


def undoing(step):
    """The undo of a step is intended: an intent for it after something failed."""
    def probe(lines):
        failed = next((n for n, line in enumerate(lines) if line[1] in ("failed", "rollback-ordered")), None)
        return failed is not None and (step, "intent") in lines[failed + 1:]
    return probe


def stop_captures(fleet, ending):
    """Folders of what was captured at a stop, as it is written, or whole (the hot backup of the run is proven long before)."""
    return glob.glob(os.path.join(fleet.dir, "agent-wiki-1", "backup", "*", "*Z-??????" + ending))


def dumping(fleet):
    return any(os.path.exists(os.path.join(folder, "database.dump.zst")) for folder in stop_captures(fleet, ".files"))


def proving(fleet):
    return not stop_captures(fleet, ".files") and any(
        os.path.exists(os.path.join(folder, "manifest")) and not os.path.exists(os.path.join(folder, "proof"))
        for folder in stop_captures(fleet, ""))


# what is killed, where, whether the upgrade is told to fail, how it may end
CASES = [
    ("controller", intended("backup"), False, "committed"),
    ("controller", intended("capture-database"), False, "committed"),
    ("controller", undoing("capture-database"), True, "rolled-back"),
    ("agent", intended("unpack"), False, "committed"),
    ("agent", intended("capture-files"), False, "committed"),
    ("agent", intended("switch"), False, "committed"),
    ("agent", intended("wait"), False, "committed"),
    ("agent", undoing("capture-database"), True, "rolled-back"),
    ("agent", undoing("stop"), True, "rolled-back"),
    # A worker that is killed is probed like any cut-off step, and its act, which is idempotent, is run again.
    ("worker", intended("backup"), False, "committed"),
    ("worker", intended("capture-database"), False, "committed"),
    ("worker", undoing("capture-database"), True, "rolled-back"),
    # The site serves the new version, and the copy in its server is open for its dump; or the dump is being restored.
    ("agent", intended("prove-capture"), False, "committed", dumping),
    ("worker", intended("prove-capture"), False, "committed", proving),
]


class Kill(unittest.TestCase):
    def one(self, victim, point, fails, ending, state=None):
        with harness.Fleet("kill") as fleet:
            fleet.site("one")
            if fails:
                fleet.fault("one", 9116, "schema-task")
            before = fleet.fingerprint("one", "before.json")
            fleet.start_controller()
            fleet.start_agent("wiki-1", ["one"])
            fleet.claim("one", "wiki-1")
            fleet.release("9.2.21", 9116)
            plan = fleet.plan("spring", "9.2.21", ("first", {"env": "production"}, "0s"))
            fleet.cli("apply", plan, "--yes", "--detach")
            harness.wait_for("the point in the journal", lambda: point(fleet.journal("wiki-1")), 120, 0.002)
            if state:
                harness.wait_for("the state in the backups", lambda: state(fleet), 20, 0.0005)
            if victim == "worker":
                pid = harness.wait_for("a worker to kill", lambda: fleet.worker_pid("wiki-1"), 10, 0.001)
                os.kill(pid, signal.SIGKILL)
            else:
                process = fleet.controller if victim == "controller" else fleet.agents["wiki-1"]
                process.kill()
                process.start()
            done = harness.wait_for("the rollout to end", lambda: self.ended(fleet), 60, 0.3)
            self.assertEqual(done["state"], ending, done)
            self.check(fleet, ending, before)
            if state:
                self.proven_after_all(fleet)

    def proven_after_all(self, fleet):
        """The capture of the stop ended as a backup like any other, and the server holds no more than before."""
        backups = fleet.json("backup", "list")["backups"]
        self.assertEqual(sorted(b["kind"] for b in backups), ["hot", "stop"], backups)
        for backup in backups:
            self.assertIn("RESTORED", str(backup["level"]).upper(), backup)
        self.assertEqual(stop_captures(fleet, ".files") + stop_captures(fleet, ".copy"), [])
        self.assertIn("copied inside its server", fleet.agents["wiki-1"].text())

    @staticmethod
    def ended(fleet):
        shown = fleet.cli("rollout", "status", "--watch=false", "--json", ok=None).stdout
        import json
        try:
            site = json.loads(shown)["rollout"]["sites"][0]
        except (ValueError, KeyError, IndexError):
            return None
        return site if site["state"] in ("committed", "rolled-back", "not-ready", "held", "refused", "failed") else None

    def check(self, fleet, ending, before):
        self.assertEqual(fleet.state("one"), "RUNNING")
        build = 9116 if ending == "committed" else 9109
        self.assertEqual(fleet.build_of("one"), build)
        if ending != "committed":
            self.assertEqual(fleet.compare(before, fleet.fingerprint("one", "after.json")), "")
        # The site made for the test has started once. Nothing may have started or stopped it more often than the way taken needs.
        starts = {"committed": 2, "rolled-back": (2, 3), "not-ready": 1}[ending]
        stops = {"committed": 1, "rolled-back": (1, 2), "not-ready": 0}[ending]
        self.assertIn(fleet.count("one", "start"), starts if isinstance(starts, tuple) else (starts,), fleet.effects("one"))
        self.assertIn(fleet.count("one", "stop"), stops if isinstance(stops, tuple) else (stops,), fleet.effects("one"))
        left = fleet.sql("one", "select string_agg(datname, ' ') from pg_database where datname like '%confleet%'")
        self.assertEqual(left, "", "databases left behind")
        fleet.cli("audit", "verify")


for number, case in enumerate(CASES):
    def test(self, case=case):
        self.one(*case)
    where = ("undo-" if case[2] else "") + str(number)
    setattr(Kill, f"test_{case[0]}_{where}", test)

if __name__ == "__main__":
    unittest.main(verbosity=2)
