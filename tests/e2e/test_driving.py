"""A rollout driven from the command line: what it waits for is said, decisions are signed and take effect, the report tells them."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()


class Driving(unittest.TestCase):
    def test_a_stage_waits_for_its_approval_and_goes_on(self):
        with harness.Fleet("driving") as fleet:
            fleet.site("one")
            fleet.start_controller()
            fleet.start_agent("wiki-1", ["one"])
            fleet.claim("one", "wiki-1")
            self.assertRegex(fleet.cli("agent", "show", "wiki-1").stdout, r"surveyed +\d+ ?m?s ago")
            fleet.release("9.2.21", 9116)
            plan = os.path.join(fleet.dir, "spring.yaml")
            with open(plan, "w", encoding="utf-8") as f:
                f.write('name: spring\nrelease: "9.2.21"\nstages:\n  - name: live\n    select: { env: production }\n'
                        "    soak: 1s\n    needs: { approvals: 1 }\n")
            fleet.cli("apply", plan, "--yes", "--detach")
            rollout = fleet.json("rollout", "list")["rollouts"][0]["id"]

            shown = fleet.cli("rollout", "status", "--watch=false", ok=(4,)).stdout
            self.assertIn("stage live: approval 0 of 1", shown)
            self.assertIn("one", shown)
            paused = fleet.cli("rollout", "pause", "--reason", "lunch")
            self.assertIn(f"rollout {rollout} (the only active one)", paused.stderr)
            self.assertIn("paused", fleet.cli("rollout", "status", "--watch=false", ok=(4,)).stdout)
            fleet.cli("rollout", "resume", "--reason", "back")
            refused = fleet.cli("rollout", "approve", "live", ok=None)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("nobody can be asked", refused.stderr)
            self.assertIn("Stage live of rollout", refused.stdout)
            self.assertIn("approval 0 of 1", fleet.cli("rollout", "status", "--watch=false", ok=(4,)).stdout)
            self.assertIn("has no stage 'life'", fleet.cli("rollout", "approve", "life", "--yes", ok=None).stderr)

            fleet.cli("hold", "one", "--until", "2h", "--reason", "year's end")
            self.assertIn("year's end", fleet.cli("hold", "list").stdout)
            fleet.cli("rollout", "approve", rollout, "live", "--yes")
            held = fleet.cli("rollout", "status", "--watch=false", ok=(2, 4)).stdout
            self.assertIn("queued", held)
            fleet.cli("unhold", "one")
            self.assertIn("no site is held", fleet.cli("hold", "list").stdout)

            done = fleet.cli("rollout", "status", rollout, timeout=300)
            self.assertIn("recap: 1 committed", done.stdout)
            self.assertIn("committed", fleet.cli("rollout", "history", "one").stdout)
            self.assertIn("no rollout has named site two", fleet.cli("rollout", "history", "two").stdout)
            cost = fleet.cli("rollback", rollout, "--stage", "live", "--plan", ok=(2,)).stdout
            self.assertIn("everything written since the new version started", cost)
            self.assertIn("at the stop, level", cost)

            text = fleet.cli("report", rollout).stdout
            self.assertIn("approved by", text)
            page = fleet.cli("report", rollout, "--format", "html").stdout
            for part in ("<!DOCTYPE html>", "approve", "lunch", "committed", "capture-database"):
                self.assertIn(part, page)
            self.assertNotIn("<script", page)
            with open(os.environ.get("CONFLEET_REPORT", os.devnull), "w", encoding="utf-8") as f:
                f.write(page)


if __name__ == "__main__":
    unittest.main(verbosity=2)
