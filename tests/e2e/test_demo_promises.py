"""scripts/demo checks what it promises. Here its checks are shown fleets in which a promise was broken: each must say so."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SITES = ("sandbox", "docs", "legal", "sales", "support")
# Minutes and seconds after the start of the world: when each site was stopped, and when it ran again.
GOOD = {"sandbox": [(10, 15)], "docs": [(25, 30)], "legal": [(32, 34), (35, 39)], "sales": [(50, 55)], "support": [(50, 56)]}


def line(second, event, build, detail=""):
    return f"2026-11-23T02:{second // 60:02}:{second % 60:02}.000Z {event} 9.2.x {build} 77 {detail}".rstrip() + "\n"


class Promises(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="cf-promises-")
        self.addCleanup(self.folder.cleanup)
        self.effects(GOOD)
        self.look({s: "committed" for s in SITES})
        self.samples([{**dict.fromkeys(SITES, "queued"), "sandbox": "committed", "docs": "running"}] * 30)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def effects(self, spans):
        for site in SITES:
            with open(self.path(site + ".effects"), "w", encoding="utf-8") as f:
                f.write(line(0, "start", 9109) + line(1, "status", 9109, "RUNNING"))
                for n, (down, up) in enumerate(spans.get(site, [])):
                    build = 9116 if n == 0 else 9109
                    f.write(line(down, "stop", 9109) + line(down + 1, "start", build) + line(up, "status", build, "RUNNING"))

    def look(self, states):
        with open(self.path("view.json"), "w", encoding="utf-8") as f:
            json.dump({"rollout": {"sites": [{"site": s, "state": t} for s, t in states.items()]}}, f)

    def samples(self, looks):
        with open(self.path("samples.jsonl"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(look) + "\n" for look in looks)

    def check(self, *words):
        done = subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "demo_promises.py"), self.folder.name, *words],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def holds(self, *words):
        self.assertEqual(self.check(*words), (0, ""))

    def broken(self, text, *words):
        status, said = self.check(*words)
        self.assertEqual(status, 1, said)
        self.assertIn(text, said)

    def test_the_fleet_of_the_demo_is_as_promised(self):
        self.holds("batches")
        self.holds("stops", "sandbox=1", "docs=1", "legal=2", "sales=1", "support=1")
        self.holds("builds", "docs=9116", "legal=9109")
        self.holds("states", *(f"{s}=committed" for s in SITES))

    def test_another_state_and_another_site_are_told(self):
        self.broken("'docs': 'committed'", "states", "sandbox=committed", "docs=queued", "legal=committed", "sales=committed", "support=committed")
        self.broken("'support'", "states", "sandbox=committed", "docs=committed", "legal=committed", "sales=committed")

    def test_a_site_that_was_touched_is_not_quiet(self):
        self.broken("sales: 2 effects", "quiet", "sales")
        self.effects({})
        self.holds("quiet", "sales", "docs")

    def test_a_stop_too_many_a_start_too_few_and_the_wrong_build_are_told(self):
        self.broken("legal", "stops", "legal=1")
        self.broken("docs: ['RUNNING'] with build 9116", "builds", "docs=9109")
        with open(self.path("docs.effects"), "a", encoding="utf-8") as f:
            f.write(line(58, "stop", 9116))
        self.broken("docs: start stop start stop", "stops", "docs=1")

    def test_more_down_than_the_batch_allows_is_told(self):
        self.effects({**GOOD, "legal": [(28, 34), (35, 39)]})
        self.broken("docs, legal were down at once, 1 allowed", "batches")
        self.effects({**GOOD, "legal": [(51, 58)]})
        self.broken("legal, sales, support were down at once, 2 allowed", "batches")

    def test_production_before_the_end_of_the_soak_is_told(self):
        self.effects({**GOOD, "docs": [(17, 22)]})
        self.broken("docs was stopped 2.0 s before the end of the test site's soak", "batches")

    def test_more_at_work_than_the_batch_allows_is_told_and_so_is_nobody_having_looked(self):
        queued = {**dict.fromkeys(SITES, "queued"), "sandbox": "committed"}
        self.samples([queued] * 30 + [{**queued, "docs": "running", "legal": "ordered"}])
        self.broken("at once at work: docs, legal", "batches")
        self.samples([queued] * 30 + [{**queued, "sandbox": "soaking", "docs": "ordered"}])
        self.broken("sandbox soaking", "batches")
        self.samples([queued])
        self.broken("only 1 looks", "batches")


if __name__ == "__main__":
    unittest.main(verbosity=2)
