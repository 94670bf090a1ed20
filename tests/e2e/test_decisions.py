"""What a person decides, typed into the real command: each decision, each refusal with its rule and remedy, each exit status,
and the display that a person looks at meanwhile.

What happened to a site is told by the stand-in's own effect file. One fleet serves all tests of this file, in the order of
their names; each one's rollout is over at its end.
"""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
import screen  # noqa: E402
from case import OneFleet  # noqa: E402

harness.need_root()

NEW, OLD_BUILD, NEW_BUILD = "9.2.21", 9109, 9116
DONE, ERROR, PENDING, BLOCKED, PERSON, BACK, INCONSISTENT, TIMEOUT, UNREACHABLE = range(9)
SITES = ("a", "b", "c")


class Decisions(OneFleet):
    @classmethod
    def prepare(cls):
        fleet = cls.fleet
        config = os.path.join(fleet.dir, "controller.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("order_deadline: 4s\nsilence_deadline: 60s\n")
        fleet.start_controller("--config", config)
        cls.people = {name: fleet.operator_add(name, role) for name, role in
                      (("anna", "approver"), ("olaf", "operator"), ("vera", "viewer"))}
        for name in SITES:
            fleet.site(name)
        fleet.start_agent("wiki", SITES)
        for name in SITES:
            fleet.claim(name, "wiki")
        fleet.release(NEW, NEW_BUILD)

    # --- words of this file

    def says(self, status, *words, home=None):
        """Runs it; its exit status is this one. Answers both streams."""
        done = self.fleet.cli(*words, home=home or self.fleet.operator, ok=None)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        return done.stdout + done.stderr

    def refused(self, status, words, *parts, home=None):
        """Refused with these parts in the sentence, and nothing of the rollout or of the sites is changed."""
        before = self.seen()
        text = self.says(status, *words, home=home)
        for part in parts:
            self.assertIn(part, text, words)
        self.assertEqual(self.seen(), before, words)

    def seen(self):
        """What a refused decision must leave as it is."""
        view = self.fleet.rollout() or {}
        kept = ("id", "state", "reason", "paused", "waitingFor", "stages")
        sites = [(s["site"], s["state"], s.get("attempt"), s.get("reason")) for s in view.get("sites", [])]
        return {k: view.get(k) for k in kept}, sites, {name: self.fleet.effects(name) for name in SITES}, \
            self.fleet.json("hold", "list").get("holds", [])

    def document(self, status, key, *words, home=None):
        done = self.fleet.cli(*words, "--json", home=home or self.fleet.operator, ok=None)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        parsed = json.loads(done.stdout)
        self.assertEqual(parsed["schema"], 1)
        return parsed[key]

    def status(self, status, rollout=None):
        """The state shown once, as text and as a document: both have this exit status."""
        words = ["rollout", "status", *([rollout] if rollout else []), "--watch=false"]
        self.says(status, *words)
        return self.document(status, "rollout", *words)

    def screen(self, *words, home=None, **more):
        shown = screen.Screen([self.fleet.program("confleet"), "--home", home or self.fleet.operator, *words], **more)
        self.addCleanup(shown.close)
        return shown

    def apply(self, name, **keys):
        stage = {"name": "live", "select": {"env": "production"}, **keys}
        return self.fleet.apply(self.fleet.plan(name, NEW, stage))

    def builds(self):
        return {name: self.fleet.build_of(name) for name in SITES}

    def site(self, view, name):
        return next(s for s in view["sites"] if s["site"] == name)

    def fault(self, name, fault):
        self.fleet.fault(name, NEW_BUILD, fault)

    # --- the tests

    def test_1_before_there_is_anything(self):
        self.assertIn("rollout", self.says(ERROR, "rollout", "status"))
        self.assertEqual(self.document(DONE, "rollouts", "rollout", "list"), [])
        self.says(ERROR, "rollout", "pause", "--reason", "x")
        self.assertIn("did you mean 'rollout skip'", self.says(ERROR, "rollout", "skipp", "a"))

    def test_2_each_decision_its_refusals_and_the_way_back(self):
        self.fault("b", "schema-task")
        rollout = self.apply("spring", needs={"approvals": 1})
        live = self.screen("rollout", "status", rollout, columns=40, rows=24)
        self.gates_and_people(rollout)
        self.halted_and_decided(rollout, live)
        self.way_back(rollout)

    def gates_and_people(self, rollout):
        view = self.status(PERSON)
        self.assertEqual(view["stages"][0]["state"], "approval")
        self.assertIn(f"confleet rollout approve {rollout} live", self.says(PERSON, "rollout", "status", "--all"))
        approve = ("rollout", "approve", rollout, "live", "--yes")
        self.refused(BLOCKED, approve, "chief signed this plan and may not approve stage live", "another approver must")
        self.refused(BLOCKED, approve, "olaf has the role operator", "approve needs approver or admin", home=self.people["olaf"])
        self.refused(BLOCKED, approve, "it needs the role operator, you have viewer", home=self.people["vera"])
        self.refused(ERROR, ("rollout", "approve", "life", "--yes"), "has no stage 'life'; it has: live", home=self.people["anna"])
        self.refused(BLOCKED, ("rollout", "pause", "--reason", "x"), "anna has the role approver", home=self.people["anna"])
        self.refused(BLOCKED, ("hold", "a", "--until", "2h", "--reason", "x"), "it needs the role operator", home=self.people["vera"])
        # Asked on a terminal: another answer than yes is no.
        asked = self.screen("rollout", "approve", rollout, "live", home=self.people["anna"])
        asked.until("the question", lambda s: "Type yes:" in s.raw)
        self.assertIn("Approve stage live: 3 sites to 9.2.21?", asked.raw)
        asked.type("no\n")
        self.assertEqual(asked.wait(), ERROR)
        self.assertIn("the answer was not yes", asked.raw)
        self.assertEqual(self.status(PERSON)["stages"][0].get("approvals", 0), 0)

        self.assertTrue(self.document(DONE, "rollout", "rollout", "pause", "--reason", "lunch")["paused"])
        self.refused(ERROR, ("rollout", "pause", "--reason", "again"), "is paused already")
        self.assertEqual(self.document(DONE, "holds", "hold", "all", "--until", "2h", "--reason", "audit")[0]["reason"], "audit")
        self.refused(ERROR, ("hold", "a", "--until", "yesterday", "--reason", "x"), "yesterday")
        self.refused(ERROR, ("hold", "a", "--until", "2h"), "hold needs --reason R")
        self.refused(ERROR, ("unhold", "a"), "hold")
        self.assertEqual(self.document(DONE, "rollout", *approve, home=self.people["anna"])["stages"][0]["approvedBy"], ["anna"])
        self.refused(ERROR, approve, "anna has approved stage live already", home=self.people["anna"])
        self.status(PERSON)
        self.assertFalse(self.document(DONE, "rollout", "rollout", "resume", "--reason", "back").get("paused", False))
        self.refused(ERROR, ("rollout", "resume", "--reason", "again"), "there is nothing to resume")
        view = self.status(PENDING)
        self.assertEqual({s["state"] for s in view["sites"]}, {"queued"})
        self.assertIn("audit", view["stages"][0]["reason"])
        self.assertEqual(self.document(DONE, "holds", "unhold", "all"), [])

    def halted_and_decided(self, rollout, live):
        self.fleet.wait_rollout(["a=running", "a=soaking", "a=committed"], rollout)
        live.until("site a at work on the small screen", lambda s: any(line.startswith("  a ") for line in s.grid.shown()))
        live.size(100, 20)
        # Ctrl-C ends the look and nothing else.
        other = self.screen("rollout", "status", rollout, NO_COLOR="1")
        other.until("its first picture", lambda s: "\x1b[J" in s.raw)
        other.type("\x03")
        self.assertEqual(other.wait(10), 130)
        self.assertIn("the rollout goes on; look again with: confleet rollout status " + rollout, other.raw)
        self.assertTrue(other.same_terminal())
        self.assertEqual(other.grid.colors, 0, "NO_COLOR is respected")

        view = self.fleet.wait_rollout("halted", rollout)
        self.assertEqual({s["site"]: s["state"] for s in view["sites"]}, {"a": "committed", "b": "rolled-back", "c": "queued"})
        self.assertEqual(live.wait(), BACK)
        self.looks_right(live, rollout)
        # The same where nobody looks: no control character at all.
        self.assertNotIn("\x1b", self.says(BACK, "rollout", "status", rollout))
        self.status(BACK, rollout)

        self.refused(ERROR, ("rollout", "skip", "c"), "rollout skip needs --reason R", "signed, audited and reported")
        self.refused(ERROR, ("rollout", "skip", "c", "--reason", ""), "needs a reason")
        self.refused(ERROR, ("rollout", "skip", "nobody", "--reason", "x"), "has no site 'nobody'; it has: a, b, c")
        self.refused(ERROR, ("rollout", "skip", "a", "--reason", "x"), "site a is committed: it cannot be skipped")
        self.refused(ERROR, ("rollout", "retry", "c", "--reason", "x"), "site c is queued: only a site that is not ready")
        self.refused(ERROR, ("rollout", "retry", "b"), "rollout retry needs --reason R")
        self.refused(BLOCKED, ("rollout", "retry", "b", "--reason", "x"), "you have viewer", home=self.people["vera"])
        self.fault("b", "")
        view = self.document(DONE, "rollout", "rollout", "retry", "b", "--reason", "the disk was full", home=self.people["olaf"])
        self.assertEqual((self.site(view, "b")["state"], self.site(view, "b")["attempt"]), ("queued", 2))
        view = self.document(DONE, "rollout", "rollout", "skip", "c", "--reason", "<script>alert(1)</script>")
        self.assertEqual(self.site(view, "c")["state"], "skipped")
        self.says(DONE, "rollout", "resume", "--reason", "both are dealt with")
        self.assertEqual(self.document(DONE, "rollout", "rollout", "status", rollout)["state"], "done")
        self.status(DONE, rollout)
        self.assertEqual(self.builds(), {"a": NEW_BUILD, "b": NEW_BUILD, "c": OLD_BUILD})
        self.assertTrue(self.fleet.untouched("c"))
        self.refused(ERROR, ("rollout", "abort", rollout, "--reason", "x"), "is done: there is nothing to abort")

    def looks_right(self, live, rollout):
        self.assertEqual(live.grid.cut, 0, "a line was wider than the terminal")
        self.assertTrue(live.same_terminal())
        self.assertGreater(live.grid.colors, 0)
        lines = live.grid.above + live.grid.shown()
        end = next(i for i, line in enumerate(lines) if line.startswith("recap: "))
        self.assertIn("1 queued, 1 committed, 1 rolled back", lines[end])
        # Drawn in place: hundreds of pictures, one of them left.
        self.assertGreater(live.raw.count("\x1b[J"), 5)
        for start in ("rollout " + rollout, "  a  ", "  b  ", "  c  "):
            self.assertEqual(sum(1 for line in lines[:end] if line.startswith(start)), 1, (start, lines))

    def way_back(self, rollout):
        self.refused(ERROR, ("rollback", rollout, "--plan"), "one of --site SITE and --stage STAGE")
        self.refused(ERROR, ("rollback", rollout, "--stage", "live"), "rollback needs --reason R", "--plan only shows")
        self.refused(ERROR, ("rollback", rollout, "--stage", "life", "--plan"), "has no stage 'life'")
        self.refused(BLOCKED, ("rollback", rollout, "--site", "c", "--plan"), "site c: skipped", "not possible: it was skipped")
        before = self.seen()
        one = self.says(PENDING, "rollback", rollout, "--site", "a", "--plan")
        for part in ("site a: committed on 9.2.21", "back to    9.2.13", "(at the stop, level", "taken 20", " ago",
                     "lost       everything written since the new version started"):
            self.assertIn(part, one)
        self.assertNotIn("site b", one)
        self.assertIn("2 of 3 sites of stage live can go back", self.says(PENDING, "rollback", rollout, "--stage", "live", "--plan"))
        planned = self.document(PENDING, "sites", "rollback", rollout, "--stage", "live", "--plan")
        self.assertEqual([(s["site"], s["state"]) for s in planned], [("a", "committed"), ("b", "committed"), ("c", "skipped")])
        self.assertTrue(all(b["finishedMs"] for s in planned[:2] for b in s["backups"]))
        # Nobody to ask, a no, and a question that ends with the input: nothing changes.
        back = ("rollback", rollout, "--stage", "live", "--reason", "users complain")
        self.refused(ERROR, back, "2 of 3 sites", "nobody can be asked, standard input is no terminal; give --yes")
        for answer in ("no\n", "y\n", "\x04"):
            asked = self.screen(*back)
            asked.until("the question", lambda s: "Roll 2 sites of stage live back? Type yes:" in s.raw)
            self.assertIn("everything written since the new version started", asked.raw)
            asked.type(answer)
            self.assertEqual(asked.wait(), ERROR)
            self.assertIn("the answer was not yes", asked.raw)
        self.assertEqual(self.seen(), before)
        self.refused(BLOCKED, (*back, "--yes"), "you have viewer", home=self.people["vera"])

        asked = self.screen("rollback", rollout, "--site", "a", "--reason", "users complain", home=self.people["olaf"])
        asked.until("the question", lambda s: "Roll a back to 9.2.13? Type yes:" in s.raw)
        asked.type("yes\n")
        self.assertEqual(asked.wait(), BACK)
        self.assertEqual(self.builds(), {"a": OLD_BUILD, "b": NEW_BUILD, "c": OLD_BUILD})
        view = self.document(BACK, "rollout", *back, "--yes")
        self.assertEqual({s["site"]: s["state"] for s in view["sites"]}, {"a": "rolled-back", "b": "rolled-back", "c": "skipped"})
        self.assertEqual(set(self.builds().values()), {OLD_BUILD})
        self.refused(BLOCKED, (*back, "--yes"), "it is back already", "nothing can go back")
        page = self.fleet.cli("report", rollout, "--format", "html").stdout
        self.assertIn("&lt;script&gt;alert(1)", page)
        self.assertNotIn("<script", page)
        self.assertIn("users complain", self.fleet.cli("report", rollout).stdout)
        with open(os.environ.get("CONFLEET_REPORT", os.devnull), "w", encoding="utf-8") as f:
            f.write(page)

    def test_3_an_abort_with_a_site_in_flight(self):
        rollout = self.apply("summer", needs={"approvals": 0})
        stops = self.fleet.count("a", "stop")
        done = len(self.fleet.journal("wiki"))
        harness.wait_for("a backup to begin", lambda: ("backup", "intent") in self.fleet.journal("wiki")[done:], 60, 0.01)
        # Not by refused(): the backup goes on meanwhile, and so does what the site is said to wait for.
        self.assertIn("rollout abort needs --reason R", self.says(ERROR, "rollout", "abort"))
        view = self.document(DONE, "rollout", "rollout", "abort", "--reason", "wrong week", home=self.people["olaf"])
        self.assertEqual(view["reason"], "aborted by olaf: wrong week")
        self.says(BLOCKED, "rollout", "status", rollout)
        view = self.status(BLOCKED, rollout)
        self.assertEqual((view["state"], self.site(view, "a")["state"], self.site(view, "b")["state"]), ("halted", "not-ready", "queued"))
        self.assertEqual(set(self.builds().values()), {OLD_BUILD})
        self.assertEqual(self.fleet.count("a", "stop"), stops, "it was not stopped for nothing")
        self.refused(ERROR, ("rollout", "resume", rollout, "--reason", "x"), "was aborted, which is for good: make a new plan")
        self.refused(ERROR, ("rollout", "abort", rollout, "--reason", "x"), "was aborted already")
        self.refused(ERROR, ("rollout", "retry", rollout, "a", "--reason", "x"), "was aborted: make a new plan for site a")
        for word in ("spring", "lunch", "the disk was full", "users complain", "wrong week"):
            self.assertIn(word, self.fleet.cli("audit", "list").stdout)

    def test_4_who_waits_too_long_and_who_cannot_be_reached(self):
        self.fleet.agents["wiki"].kill()
        rollout = self.apply("autumn", needs={"approvals": 0})
        self.assertIn("the rollout is not through yet", self.says(TIMEOUT, "rollout", "status", rollout, "--timeout", "1s"))
        self.says(TIMEOUT, "rollout", "status", rollout)
        view = self.status(TIMEOUT, rollout)
        self.assertEqual((view["state"], self.site(view, "a")["state"]), ("halted", "silent"))
        self.fleet.cli("audit", "verify")
        self.fleet.controller.stop()
        self.assertIn("cannot reach the controller at tcp://", self.says(UNREACHABLE, "rollout", "status", rollout, "--watch=false"))

    def test_5_a_store_of_a_newer_version_and_an_audit_that_was_changed(self):
        import sqlite3
        path = os.path.join(self.fleet.dir, "controller", "controller.db")

        def write(text):
            base = sqlite3.connect(path)
            with base:
                self.assertEqual(base.execute(text).rowcount, 1)
            base.close()
        self.fleet.controller.stop()
        (version,), = self.fleet.store("select version from schema_version")
        write(f"update schema_version set version={version + 1}")
        done = harness.run(*self.fleet.controller.command, ok=None, timeout=30)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("newer version", done.stderr)
        self.assertIn(path, done.stderr)
        write(f"update schema_version set version={version}")
        write("update audit set detail='nothing happened' where seq=(select max(seq) from audit where what='decision')")
        self.fleet.controller.start()
        harness.wait_for("the controller to answer", self.fleet.rollout, 30)
        self.assertIn("was changed", self.says(INCONSISTENT, "audit", "verify"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
