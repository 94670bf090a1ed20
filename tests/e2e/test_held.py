"""What only a person can mend: the site is held, nothing is deleted, and the safe next commands stand on the server and in `confleet site show`.

A journal that is damaged in mid-outage, and a rollback whose restore fails. The commands that are printed are then carried out."""
import json
import os
import shutil
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
import points as told  # noqa: E402

harness.need_root()


def names_below(top):
    """Files and folders, without what an agent that runs writes for itself."""
    return {os.path.relpath(os.path.join(folder, name), top) for folder, folders, files in os.walk(top) for name in folders + files
            if not name.startswith("agent.db")}


class Held(unittest.TestCase):
    def setUp(self):
        self.fleet = fleet = harness.Fleet("held")
        self.addCleanup(lambda: fleet.close(keep=bool(os.environ.get("CONFLEET_KEEP"))))
        fleet.site("one", small=True)
        fleet.start_controller()
        self.points = told.Points(os.path.join(fleet.dir, "points"))
        worker = os.path.join(fleet.dir, "worker")
        with open(worker, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexec " + " ".join(self.points.words()) + f" '{fleet.program('confleet-worker')}' \"$@\"\n")
        os.chmod(worker, 0o755)
        self.agent = fleet.start_agent("wiki", ["one"], worker=worker)
        self.agent.kill()
        self.agent.command = self.points.words() + self.agent.command
        self.agent.start()
        fleet.claim("one", "wiki")
        fleet.release("9.2.21", 9116, small=True)
        self.state = os.path.join(fleet.dir, "agent-wiki", "state")
        self.backup = os.path.join(fleet.dir, "agent-wiki", "backup")
        self.install = fleet.sites["one"]["install"]

    def apply(self):
        self.rollout = self.fleet.apply(self.fleet.plan("spring", "9.2.21", ("first", {"env": "production"}, "0s")))

    def stop_at(self, point):
        self.points.at(point)
        self.apply()
        return self.points.wait(lambda: False, 60)

    def on_server(self, *words, ok=(0,)):
        return harness.run(self.fleet.program("confleet-agent"), *words, "--config", self.agent.config, ok=ok)

    def commands(self, text):
        return [line.strip() for line in text.splitlines() if line.strip().startswith("confleet-agent ")]

    def held(self, word):
        """Both sides show the site held for this reason, with the same commands; answers them."""
        view = self.fleet.wait_rollout("one=held", seconds=60)
        site = view["sites"][0]
        self.assertIn(word, site["reason"])
        shown = self.on_server("status", ok=(4,)).stdout
        self.assertIn(word, shown)
        told_here = self.commands(shown)
        as_json = json.loads(self.on_server("status", "--json", ok=(4,)).stdout)["runs"][-1]
        self.assertEqual((as_json["site"], as_json["state"]), ("one", "held"))
        site_show = self.fleet.cli("site", "show", "one").stdout
        for command in told_here:
            self.assertIn(command, site_show)
            self.assertIn(command, site["safeNext"])
        self.assertIn("held", site_show)
        self.assertTrue(set(as_json["safeNext"]) >= {c for c in told_here if c != "confleet-agent status"}, as_json)
        return told_here

    def carry_out_the_restore(self, commands):
        """The command as it is printed; what it gives is the old site."""
        found = [c.split() for c in commands if c.startswith(f"confleet-agent restore {self.install} ")]
        self.assertTrue(found, commands)
        self.on_server(*found[0][1:])
        into = found[0][-1]
        there = {name for folder, _, files in os.walk(into) for name in files}
        self.assertIn("confluence.cfg.xml", there)
        self.assertTrue(any(name.startswith("database") for name in there), there)
        return into

    def damage_journal(self, how):
        path = os.path.join(self.state, "agent.db")
        import sqlite3
        base = sqlite3.connect(path)
        base.execute("pragma wal_checkpoint(truncate)")      # nothing in the log would make it whole again
        if how == "story":                       # whole, but it cannot have happened
            base.execute("delete from steps where step='stop' and event='done'")
            base.commit()
        base.close()
        if how == "header":
            with open(path, "r+b") as f:
                f.write(b"\0" * 100)
        elif how == "pages":                     # as a disk does that loses what it wrote
            with open(path, "r+b") as f:
                f.seek(4096)
                f.write(b"\x5a" * max(4096, os.path.getsize(path) - 4096))

    def damaged(self, how):
        pid = self.stop_at("agent after-end switch act")
        os.kill(pid, signal.SIGKILL)
        self.agent.child.wait(30)
        self.damage_journal(how)
        before = {top: names_below(top) for top in (self.state, self.backup, os.path.dirname(self.install))}
        effects = self.fleet.effects("one")
        self.agent.start()
        commands = self.held("journal")
        self.assertIn("confleet-agent status", commands)
        self.assertIn(f"confleet-agent backups {self.install}", commands)
        self.on_server("backups", self.install)
        for top, names in before.items():
            self.assertEqual(names - names_below(top), set(), "deleted")
        self.assertEqual(self.fleet.effects("one"), effects)
        self.assertTrue(self.agent.alive(), self.agent.text()[-2000:])
        for word in ("rollback", "resume"):
            self.assertNotEqual(self.on_server(word, self.install, ok=None).returncode, 0)
        # A restart of either tells the same again, and no order reaches it.
        self.fleet.controller.kill()
        self.fleet.controller.start()
        self.agent.kill()
        self.agent.start()
        self.assertEqual(self.held("journal"), commands)
        self.carry_out_the_restore(commands)
        self.fleet.cli("audit", "verify")
        self.assertEqual(self.fleet.effects("one"), effects)

    def test_a_journal_without_its_header(self):
        self.damaged("header")

    def test_a_journal_whose_pages_are_lost(self):
        self.damaged("pages")

    def test_a_journal_that_tells_what_cannot_have_happened(self):
        self.damaged("story")

    def test_a_damaged_journal_without_an_open_run_holds_no_site(self):
        self.agent.kill()
        self.damage_journal("header")
        self.agent.start()
        harness.wait_for("the agent to say so", lambda: "journal.damaged" in self.agent.text(), 20)
        self.assertIn("No run was open", self.on_server("status", ok=(4,)).stdout)
        harness.wait_for("the controller to hear of it", lambda: "peer.damaged" in self.fleet.controller.text(), 20)
        self.assertTrue(self.fleet.untouched("one"))
        self.agent.stop()
        self.assertNotEqual(self.agent.child.returncode, 0)

    def test_a_rollback_whose_restore_fails_is_held_and_can_be_resumed(self):
        """The capture of the stop is damaged after it was proven: no restore may take it for the truth."""
        self.fleet.fault("one", 9116, "schema-task")
        before = self.fleet.fingerprint("one", "before.json")
        pid = self.stop_at("agent before-intent capture-files undo")
        packs = [os.path.join(folder, name) for folder, _, files in os.walk(self.backup) for name in files
                 if name.startswith("home-") and "-" in os.path.basename(folder)]
        self.assertTrue(packs)
        aside = os.path.join(self.fleet.dir, "aside")
        os.makedirs(aside)
        for n, path in enumerate(packs):
            shutil.copy2(path, os.path.join(aside, str(n)))
            with open(path, "r+b") as f:
                data = f.read()
                f.seek(0)
                f.write(bytes(b ^ 0x41 for b in data))
        effects = self.fleet.effects("one")
        kept = names_below(self.backup)
        os.kill(pid, signal.SIGCONT)
        commands = self.held("undoing 'capture-files' failed 3 times")
        self.assertEqual(kept - names_below(self.backup), set(), "deleted")
        self.assertEqual(self.fleet.effects("one"), effects)
        self.assertNotEqual(self.fleet.state("one"), "RUNNING")
        for word in ("rollback", "resume"):
            self.assertIn(f"confleet-agent {word} {self.install}", commands)
        self.assertTrue([c for c in commands if c.startswith("confleet-agent restore ")], commands)
        # A person puts the packs back, and carries out what is printed.
        for n, path in enumerate(packs):
            shutil.copy2(os.path.join(aside, str(n)), path)
        self.on_server("resume", self.install, ok=(0, 2, 5))
        self.fleet.wait_rollout("one=rolled-back", seconds=60)
        self.assertEqual(self.fleet.state("one"), "RUNNING")
        self.assertEqual(self.fleet.compare(before, self.fleet.fingerprint("one", "after.json")), "")
        self.assertEqual(self.on_server("status").returncode, 0)
        self.assertNotIn("confleet-agent restore", self.fleet.cli("site", "show", "one").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
