"""A sample of scripts/long power: the power of server and controller is cut on the way forward and back, and nothing that was told is lost.

The last case shows that it can fail: programs that sync nothing lose what they had told.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "fault"))
import fleet as harness  # noqa: E402
import long  # noqa: E402
import machine  # noqa: E402
import power  # noqa: E402

harness.need_root()
machine.own_processes()
REASON = power.why_not()
if REASON:
    print(f"skipped: {REASON}")
    sys.exit(harness.SKIP)
SEED = 6


class Power(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = power.World()
        cls.addClassCleanup(cls.world.close)

    def one(self, victims, way, point, cuts=1):
        return self.world.case(power.Case(f"{victims} {way}, {point}", victims, way, point, cuts), SEED)

    def test_the_server_loses_power_while_the_installation_is_switched(self):
        self.one("server", "forward", "intent switch")

    def test_both_lose_power_while_the_database_is_put_back(self):
        self.one("both", "back", "undo-intent capture-database")

    def test_programs_that_sync_nothing_are_found_out(self):
        self.world.synced = False
        try:
            with self.assertRaisesRegex(long.Violation, "is lost by the cut|damaged|cannot be read"):
                self.one("both", "forward", "intent guard")
        finally:
            self.world.synced = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
