"""A seeded sample of tests/fault/kill.py: kill -9 at points of the runbook, on the way forward and back, and the site ends well, by the oracle.

CONFLEET_SEED chooses another sample; scripts/long kill all does every cell."""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()


class Kill(unittest.TestCase):
    def test_a_sample_of_the_sweep_ends_well(self):
        words = [harness.PYTHON, "-B", os.path.join(harness.ROOT, "tests", "fault", "kill.py"), "sample", "--again", "--jobs", "2",
                 "--seed", os.environ.get("CONFLEET_SEED", "1")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=False,
                              env=dict(os.environ, CONFLEET_WORK=os.environ.get("CONFLEET_WORK", "/var/tmp/confleet") + "/sample"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = re.search(r"^kill sample: (\d+) runs, 0 violations$", done.stdout, re.M)
        self.assertTrue(found and int(found[1]) >= 12, done.stdout)
        self.assertFalse(re.search(r"^ +0  ", done.stdout, re.M), done.stdout)


if __name__ == "__main__":
    unittest.main()
