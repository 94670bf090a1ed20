"""A blocker keeps a site from starting; one that comes up during the backup is seen right before the stop; what is waived stops nothing."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()


class ReadyAgain(unittest.TestCase):
    def test_a_blocker_that_comes_up_during_the_backup_is_seen_before_the_stop(self):
        with harness.Fleet("again") as fleet:
            fleet.site("one")
            fleet.start_controller()
            hooks = os.path.join(fleet.dir, "agent-wiki-1", "hooks")
            os.makedirs(os.path.join(hooks, "pre-stop.d"), mode=0o755)
            hook = os.path.join(hooks, "pre-stop.d", "10-nothing")
            with open(hook, "w", encoding="ascii") as f:
                f.write("#!/bin/sh\nexit 0\n")
            os.chmod(hook, 0o755)
            fleet.start_agent("wiki-1", ["one"])
            fleet.claim("one", "wiki-1")
            fleet.release("9.2.21", 9116)
            plan = fleet.plan("again", "9.2.21", ("live", {"env": "production"}, "0s"))
            rollout = fleet.apply(plan)
            harness.wait_for("the first check to be over", lambda: ("check", "done") in fleet.journal("wiki-1"), 120, 0.02)
            os.chmod(hook, 0o777)
            view = fleet.wait_rollout("one=not-ready", rollout, 120)
            self.assertIn("right before the stop: not ready: hooks (", view["sites"][0]["reason"])
            self.assertIn(" Remedy: ", view["sites"][0]["reason"])
            self.assertTrue(fleet.untouched("one"))
            steps = [step for step, _ in fleet.journal("wiki-1")]
            self.assertIn("verify", steps)
            self.assertNotIn("stop", steps)
            history = fleet.json("site", "show", "one")["site"]
            self.assertEqual(history["state"], "blocked")

            # At its beginning already: the next one does not get past the first step.
            before = len(fleet.journal("wiki-1"))
            fleet.cli("rollout", "retry", rollout, "one", "--reason", "again")
            fleet.cli("rollout", "resume", rollout, "--reason", "again", ok=None)
            harness.wait_for("the second attempt to end", lambda: ("check", "failed") in fleet.journal("wiki-1")[before:], 120)
            self.assertTrue(fleet.untouched("one"))

    def test_a_waived_finding_stops_nothing_until_it_is_lifted(self):
        with harness.Fleet("waive") as fleet:
            fleet.site("one")
            fleet.start_controller()
            viewer = fleet.operator_add("vera", "viewer")
            fleet.start_agent("wiki-1", ["one"], services="{ " + fleet.sites["one"]["install"] + ": no-such.service }")
            fleet.claim("one", "wiki-1")
            words = ("waive", "one", "service", "--until", "2h", "--reason", "started by hand")
            self.assertIn("service", fleet.cli("check", "one", ok=(3,)).stdout)
            self.assertIn("refused", fleet.cli(*words, home=viewer, ok=(3,)).stderr)
            self.assertIn("cannot be waived", fleet.cli("waive", "one", "scratch", *words[3:], ok=None).stderr)
            self.assertIn("no site is called", fleet.cli("waive", "two", *words[2:], ok=None).stderr)
            fleet.cli(*words)
            self.assertIn("started by hand", fleet.cli("waive", "list").stdout)
            shown = fleet.cli("check", "one", ok=(0, 2)).stdout
            self.assertRegex(shown, r"waived +service")
            self.assertIn("waived by chief until", shown)
            self.assertEqual([w["check"] for w in fleet.json("site", "show", "one")["site"]["waivers"]], ["service"])
            fleet.cli("unwaive", "one", "service")
            self.assertIn("nothing is waived", fleet.cli("waive", "list").stdout)
            self.assertIn("is not waived", fleet.cli("unwaive", "one", "service", ok=None).stderr)
            fleet.cli("check", "one", ok=(3,))
            audit = fleet.store("select what, who from audit")
            self.assertIn(("waive", "operator:chief"), audit)
            self.assertIn(("unwaive", "operator:chief"), audit)


if __name__ == "__main__":
    unittest.main(verbosity=2)
