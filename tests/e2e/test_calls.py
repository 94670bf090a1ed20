"""A seeded sample of scripts/long calls: one system call fails in a worker's step, in a start, in a whole run."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "fault"))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))
import calls  # noqa: E402
import fleet as harness  # noqa: E402

harness.need_root()
SEED = 20261123
# What was found by the long run, and mended.
FOUND = (
    "steps/worker/guard.act/write/1/ENOSPC/good",
    "steps/worker/guard.act/fsync/1/EIO/once",
    "steps/worker/configure.probe/open/1/EMFILE/good",
    "upgrades/agent/backup.done/fsync/1/EIO/once",
)
SAMPLE = {"steps": 8}


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(calls.WORLDS.close)

    def holds(self, cases):
        reached = 0
        for case in cases:
            with self.subTest(case=case):
                told = calls.one(case)
                reached += sum(n for cell, n in told.items() if not cell.startswith("not reached"))
        self.assertGreater(reached, 0, "no call failed in any case")

    def test_what_was_found_once_is_not_found_again(self):
        self.holds(FOUND)

    def test_a_worker_whose_call_fails_does_not_say_done_and_is_taken_up_again(self):
        world = calls.WORLDS.get("stopped")
        cells = [["steps", *cell, n] for cell, n in sorted(world.shim.counts().items()) if cell[1].split(".")[0] in calls.steps.STOPPED]
        self.holds(calls.choose(cells, SEED, {"steps": 1})[:SAMPLE["steps"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
