"""A plan is applied as it was shown or not at all: what changed in between is told, and nothing is started."""
import os
import pty
import re
import select
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()


class Terminal:
    """One command with a person before it."""

    def __init__(self, fleet, *words):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(fleet.program("confleet"), ["confleet", *words, "--home", fleet.operator])

    def wait_for(self, words, seconds=30):
        end = time.monotonic() + seconds
        while words not in self.text and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:  # the other end is gone
                    break
        if words not in self.text:
            raise AssertionError(f"no {words!r} in {self.text!r}")

    def answer(self, line):
        os.write(self.fd, (line + "\n").encode())

    def status(self):
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.text += data.decode(errors="replace")
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class StalePlan(unittest.TestCase):
    def test_what_changed_is_told_and_nothing_starts(self):
        with harness.Fleet("stale") as fleet:
            fleet.site("one")
            fleet.start_controller()
            fleet.start_agent("wiki-1", ["one"])
            fleet.claim("one", "wiki-1", "test")
            fleet.release("9.2.21", 9116)
            plan = fleet.plan("spring", "9.2.21", ("first", {"site": "one"}, "1s"))
            shown = fleet.cli("plan", plan, ok=(2,)).stdout
            inputs = re.search(r"^inputs ([0-9a-f]{16})$", shown, re.M).group(1)
            self.assertIn(f"--inputs {inputs}", shown)
            self.assertEqual(fleet.json("plan", plan, ok=(2,))["inputs"], inputs)
            self.assertIn("inputs " + inputs, fleet.cli("plan", plan, ok=(2,)).stdout, "the same fleet comes to the same")

            # Without what was shown at hand only the fingerprints can be told.
            gone = fleet.cli("apply", plan, "--yes", "--inputs", "0123456789abcdef", ok=(3,))
            self.assertIn(f"inputs were 0123456789abcdef, are {inputs}", gone.stderr)
            self.assertIn("--inputs", fleet.cli("apply", plan, "--yes", "--inputs", "abc", ok=(1,)).stderr)

            fleet.cli("site", "set", "one", "env=qa")
            stale = fleet.cli("apply", plan, "--yes", "--inputs", inputs, ok=(3,))
            self.assertIn("what changed: site one: label env was test, is qa", stale.stderr)
            self.assertIn("nothing was started", stale.stderr)

            # Between the showing and the yes.
            person = Terminal(fleet, "apply", plan)
            person.wait_for("Type yes: ")
            fleet.cli("site", "set", "one", "env=test")
            person.answer("yes")
            self.assertEqual(person.status(), 3, person.text)
            self.assertIn("site one: label env was qa, is test", person.text)
            person = Terminal(fleet, "apply", plan)
            person.wait_for("Type yes: ")
            person.answer("no")
            self.assertNotEqual(person.status(), 0)

            self.assertEqual(fleet.json("rollout", "list").get("rollouts", []), [])
            self.assertEqual(fleet.build_of("one"), 9109)
            self.assertEqual(fleet.count("one", "stop"), 0)

            # As it was shown again, so it goes.
            fleet.cli("apply", plan, "--yes", "--detach", "--inputs", inputs)
            self.assertEqual(len(fleet.json("rollout", "list")["rollouts"]), 1)
            fleet.cli("rollout", "status", ok=(0,), timeout=300)
            self.assertEqual(fleet.build_of("one"), 9116)


if __name__ == "__main__":
    unittest.main(verbosity=2)
