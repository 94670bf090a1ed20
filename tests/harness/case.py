"""What end-to-end tests that share one fleet have in common: its life, and how to look at audit and logs."""
import json
import os
import sys
import unittest

import fleet as harness


class OneFleet(unittest.TestCase):
    """A fleet for the whole class; its tests leave it as they found it."""

    @classmethod
    def setUpClass(cls):
        cls.fleet = harness.Fleet("refuse")
        cls.addClassCleanup(cls.fleet.close)
        cls.prepare()

    @classmethod
    def prepare(cls):
        raise NotImplementedError

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            for process in self.fleet.processes:
                print(f"--- {self.id()}: {process.log}\n{process.text()[-3000:]}", file=sys.stderr)
        return result

    def operator_key(self, home=None):
        return os.path.join(home or self.fleet.operator, "operator.key")

    def audit(self):
        lines = self.fleet.cli("audit", "list", "--json").stdout.splitlines()
        return [json.loads(line)["audit"] for line in lines if line]

    def audited(self, *words, after=0, seconds=5):
        """A record behind `after` whose who, what and detail hold all of these words."""
        def find():
            return [a for a in self.audit() if int(a["seq"]) > after
                    and all(w in f"{a['who']} {a['what']} {a.get('detail', '')}" for w in words)]
        return harness.wait_for(f"an audit record with {words}", find, seconds, 0.2)[-1]

    def last_audit(self):
        return int(self.audit()[-1]["seq"])

    def logged(self, process, *words, seconds=5):
        harness.wait_for(f"a line with {words} in {process.log}",
                         lambda: any(all(w in line for w in words) for line in process.text().splitlines()), seconds)
