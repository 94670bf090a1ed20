"""A check of many sites at once: two hundred emulated agents, slow and silent ones among them, and what a person is shown."""
import csv
import io
import json
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
import many  # noqa: E402
from many import finding  # noqa: E402

harness.need_root()

FAMILIES = ("site", "path", "licence", "platform", "database", "apps", "custom", "operations", "backup")
COUNT, CHECKS = 200, 70
HOSTILE = "=cmd|' /C calc'!A0 <script>alert(1)</script> \"quoted\""


def good_findings(text="x" * 300):
    return [finding(f"{FAMILIES[n % 9]}-{n:02d}", FAMILIES[n % 9], "OK", text) for n in range(CHECKS)]


def with_changed(findings, *changed):
    by = {f["id"]: f for f in changed}
    return [by.pop(f["id"], f) for f in findings] + list(by.values())


class CheckFleet(unittest.TestCase):
    def check(self, fleet, *words, ok):
        began = time.monotonic()
        done = fleet.cli("check", *words, ok=ok, timeout=200)
        return done, time.monotonic() - began

    def test_two_hundred_agents_with_slow_and_silent_ones(self):
        with many.Many(COUNT) as fleet:
            away, deaf, slow = fleet.names[0], fleet.names[1:4], fleet.names[4:10]
            blocked, warned = fleet.names[50:90], fleet.names[90:95]
            full, timers = good_findings(), []
            space = finding("platform-75", "platform", "BLOCK", "3 GB free of 8 GB", title="Room for the backup", rule="Have room.")
            evil = finding("apps-76", "apps", "WARN", HOSTILE)

            def answer(peer, order):
                found = full
                if peer.name in blocked:
                    found = with_changed(full, space)
                if peer.name in warned:
                    found = with_changed(full, evil)
                if peer.name in deaf:
                    peer.ack(order)
                elif peer.name in slow:
                    timers.append(threading.Timer(3, peer.found, (order, found)))
                    timers[-1].start()
                else:
                    peer.found(order, found)

            fleet.dial(fleet.names[1:])
            for peer in fleet.peers.values():
                peer.answer = answer
            page = os.path.join(fleet.dir, "page.html")
            done, took = self.check(fleet, "--timeout", "20s", "--html", page, ok=(3,))
            self.assertLess(took, 90)
            for name in [away] + deaf:
                self.assertRegex(done.stdout, rf"silent +{name}: its agent")
                self.assertIn(f"{name}: silent", done.stderr)
            self.assertIn("did not take the order in time", done.stdout)
            self.assertIn("took the order and did not answer", done.stdout)
            self.assertIn("200 sites: 40 blocked, 5 to look at, 151 ready, 4 silent", done.stdout)
            for name in slow:
                self.assertRegex(done.stdout, rf"{name} +ready")
            # What forty sites have is one paragraph, and the worst stand first.
            self.assertEqual(done.stdout.count("Room for the backup"), 1)
            self.assertIn("(40 of 200 sites)", done.stdout)
            rows = done.stdout.splitlines()
            self.assertEqual(rows[0].split(), ["SITE", "STATE", *FAMILIES])
            self.assertEqual([row.split()[1] for row in rows[1:201]], ["block"] * 40 + ["silent"] * 4 + ["warn"] * 5 + ["ready"] * 151)
            self.assertEqual(rows[1].split()[:6], [blocked[0], "block", "ok", "ok", "ok", "block"])
            self.assertNotIn("\033", done.stdout + done.stderr)
            self.assertNotIn("since the check", done.stdout)
            self.page(page)

            # A second one: what changed since.
            def better(peer, order):
                found = with_changed(full, finding("apps-76", "apps", "WARN", HOSTILE)) if peer.name == blocked[0] else full
                peer.found(order, found)
            for peer in fleet.peers.values():
                peer.answer = better
            two = [blocked[0], blocked[1]]
            shown, _ = self.check(fleet, *two, "--timeout", "20s", ok=(2,))
            self.assertIn("-2 block, +1 warn since the check of", shown.stdout)
            self.assertRegex(shown.stdout, r"gone +platform-75 \(was block\): wiki-051, wiki-052")
            self.assertIn(f"{blocked[0]} (new):", shown.stdout)
            self.assertIn("warn 1*", shown.stdout)
            self.forms(fleet, two)
            for timer in timers:
                timer.cancel()

    def forms(self, fleet, two):
        done, _ = self.check(fleet, *two, "--csv", "--timeout", "20s", ok=(2,))
        rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
        self.assertEqual([(r["site"], r["check"], r["severity"]) for r in rows], [(two[0], "apps-76", "warn")])
        self.assertEqual(rows[0]["evidence"], "'" + HOSTILE)
        self.assertEqual(done.stdout.count("\n"), 2)
        done, _ = self.check(fleet, *two, "--json", "--timeout", "20s", ok=(2,))
        job = json.loads(done.stdout)["check"]
        self.assertEqual([len(s["findings"]) for s in job["sites"]], [CHECKS + 1, CHECKS])
        self.assertEqual(job["sites"][0]["before"]["findings"][-1]["id"], "apps-76")
        self.assertIn("is no severity", fleet.cli("check", "--severity", "bad", ok=None).stderr)
        self.assertIn("one of the two", fleet.cli("check", "--json", "--csv", ok=None).stderr)
        done, _ = self.check(fleet, "-l", "env=test", two[0], two[1], "--severity", "block", "--timeout", "20s", ok=(2,))
        self.assertIn("1 site: 0 blocked, 1 to look at, 0 ready", done.stdout)
        self.assertNotIn("apps-76", done.stdout)

    def page(self, path):
        with open(path, encoding="utf-8") as f:
            page = f.read()
        keep = os.environ.get("CONFLEET_PAGE")
        if keep:
            with open(keep, "w", encoding="utf-8") as f:
                f.write(page)
        self.assertNotIn("<script", page)
        self.assertIn("&lt;script&gt;", page)
        self.assertNotIn("http://", page)
        for part in ("default-src 'none'", "prefers-color-scheme:dark", "@media print", "Room for the backup", "Have room.",
                     "40 of 200 sites", "did not take the order in time"):
            self.assertIn(part, page)
        import re
        anchors = set(re.findall(r'id="([^"]+)"', page))
        links = set(re.findall(r'href="#([^"]+)"', page))
        self.assertEqual(links - anchors, set())
        self.assertEqual(re.findall(r'href="(?!#)', page), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
