"""What an operator's file says of apps reaches every agent with a check, and counts before an upgrade, too."""
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()

DIAGRAMS = "com.example.diagrams"


def entry(key, name, low, high, **more):
    return {"key": key, "versions": [{"name": name, "from": low, "to": high, **more}]}


class Apps(unittest.TestCase):
    def write(self, fleet, name, apps):
        path = os.path.join(fleet.dir, name)
        with open(path, "w", encoding="utf-8") as out:
            json.dump({"source": "a test", "date": "2026-06-01", "apps": apps}, out)
        return path

    def findings(self, found):
        return {one["id"]: one for one in found if one["id"].startswith("apps-")}

    def checked(self, fleet, ok):
        job = fleet.json("check", "one", "--to", "9.2.21", ok=ok)
        return self.findings(job["check"]["sites"][0]["findings"])

    def test_a_file_of_apps_is_imported_and_judged_by_every_agent(self):
        with harness.Fleet("apps") as fleet:
            fleet.site("one")
            fleet.start_controller()
            fleet.start_agent("wiki-1", ["one"])
            fleet.claim("one", "wiki-1")
            fleet.release("9.2.21", 9116)
            found = self.checked(fleet, (2, 3))
            self.assertEqual(found["apps-installed"]["severity"], "INFO")
            for word in ("Diagrams 4.2.1 (com.example.diagrams) by Example Vendor", "Team Calendar 7.0.3-beta2", "Single Sign-On"):
                self.assertIn(word, found["apps-installed"]["evidence"])
            self.assertEqual(found["apps-compatible"]["severity"], "UNKNOWN")
            self.assertEqual(found["apps-data-center"]["severity"], "OK")
            self.assertEqual(found["apps-version-1"]["severity"], "WARN")
            self.assertIn("com.example.sso.filter", found["apps-version-1"]["evidence"])

            bad = self.write(fleet, "bad.json", [entry(DIAGRAMS, "4.2.1", "soon", "9.2")])
            self.assertIn("bad.json:1: app com.example.diagrams, version 4.2.1:", fleet.cli("app", "import", bad, ok=(1,)).stderr)
            fleet.cli("app", "import", self.write(fleet, "apps.json", [
                entry(DIAGRAMS, "4.2.1", "6.0", "8.9"), entry(DIAGRAMS, "5.0", "9.2.20", "9.2"),
                entry("org.example.calendar", "7.0.3-beta2", "9.0", "9.2"), entry("com.example.sso", "*", "6.0", "9.9"),
                entry("com.example.sso.filter", "*", "6.0", "9.9")]))
            self.assertEqual(len(fleet.json("app", "list")["apps"]), 5)
            found = self.checked(fleet, (2, 3))
            self.assertEqual(found["apps-compatible"]["severity"], "WARN")
            self.assertIn("good for 6.0 to 8.9 by a test, 2026-06-01", found["apps-compatible"]["evidence"])
            self.assertEqual(found["apps-update-after"]["evidence"],
                             "To be updated after the upgrade: Diagrams 4.2.1 (com.example.diagrams) to 5.0.")

            # The operator knows that it keeps Confluence from starting: no run begins, and without a new check.
            path = self.write(fleet, "blocks.json", [entry(DIAGRAMS, "4.2.1", "6.0", "8.9", blocks=True)])
            fleet.cli("app", "import", path)
            found = self.checked(fleet, (3,))
            self.assertEqual(found["apps-compatible"]["severity"], "BLOCK")
            plan = fleet.plan("spring", "9.2.21", ("first", {"env": "production"}, "1s"))
            done = fleet.cli("apply", plan, "--yes", ok=tuple(range(9)), timeout=100)
            self.assertIn("apps-compatible", done.stdout + done.stderr)
            self.assertEqual(fleet.build_of("one"), 9109)
            self.assertEqual(fleet.count("one", "stop"), 0)

            # The same without a controller.
            site = fleet.sites["one"]
            done = subprocess.run([fleet.program("confleet-agent"), "check", "--install", site["install"], "--to", "9.2.21",
                                   "--apps", os.path.basename(path), "--json"], cwd=fleet.dir, capture_output=True, text=True, timeout=100, check=False)
            found = self.findings(json.loads(done.stdout)["findings"])
            self.assertEqual(found["apps-compatible"]["severity"], "BLOCK", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
