"""The main job with real processes over the real wire: one site goes up, one fails and comes back as it was."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()


class MainJob(unittest.TestCase):
    def test_a_site_is_upgraded_and_another_is_rolled_back(self):
        with harness.Fleet("main") as fleet:
            fleet.site("one")
            fleet.site("two", seed=2)
            fleet.fault("two", 9116, "schema-task")
            before = fleet.fingerprint("two", "before.json")
            install = fleet.sites["one"]["install"]
            own = {"conf/site.jks": "a keystore", "confluence/WEB-INF/lib/mysql-connector-j-8.4.0.jar": "a driver"}
            for name, text in own.items():
                os.makedirs(os.path.dirname(os.path.join(install, name)), exist_ok=True)
                with open(os.path.join(install, name), "w", encoding="ascii") as f:
                    f.write(text)
            with open(os.path.join(install, "bin", "setenv.sh"), "a", encoding="ascii") as f:
                f.write('CATALINA_OPTS="-XX:+UseConcMarkSweepGC -Dour.own=1 ${CATALINA_OPTS}"\n')
            fleet.start_controller()
            fleet.start_agent("wiki-1", ["one"])
            fleet.start_agent("wiki-2", ["two"])
            fleet.claim("one", "wiki-1")
            fleet.claim("two", "wiki-2")
            fleet.release("9.2.21", 9116)
            plan = fleet.plan("spring", "9.2.21", ("first", {"env": "production"}, "1s"))
            done = fleet.cli("apply", plan, "--yes", ok=(5,), timeout=400)
            self.assertIn("rolled back", done.stdout + done.stderr)

            self.assertEqual(fleet.state("one"), "RUNNING")
            self.assertEqual(fleet.build_of("one"), 9116)
            self.assertEqual(fleet.state("two"), "RUNNING")
            self.assertEqual(fleet.build_of("two"), 9109)
            self.assertEqual(fleet.compare(before, fleet.fingerprint("two", "after.json")), "")
            # By the stand-in's own count: one stop and two starts for the upgraded one; the other came back as well.
            self.assertEqual(fleet.count("one", "stop"), 1, fleet.effects("one"))
            self.assertEqual(fleet.count("one", "start"), 2, fleet.effects("one"))
            self.assertEqual(fleet.count("two", "start"), 3, fleet.effects("two"))
            # Both were captured by a copy inside the server, and nothing of it stays.
            for agent in ("wiki-1", "wiki-2"):
                self.assertIn("copied inside its server", fleet.agents[agent].text())
            self.assertIn("is the copy of the stop again", fleet.agents["wiki-2"].text())
            self.assertEqual(fleet.sql("postgres", "select datname from pg_database where datname like '%confleet%'"), "")
            fleet.cli("audit", "verify")
            report = fleet.cli("report", fleet.json("rollout", "list")["rollouts"][0]["id"]).stdout
            self.assertIn("restored", report)
            for name, text in own.items():
                with open(os.path.join(install, name), encoding="ascii") as f:
                    self.assertEqual(f.read(), text)
                self.assertIn(name, report)
            with open(os.path.join(install, "bin", "setenv.sh"), encoding="ascii") as f:
                options = f.read()
            self.assertIn("-Dour.own=1", options)
            self.assertNotIn("UseConcMarkSweepGC", options)
            self.assertIn("UseConcMarkSweepGC", report)


if __name__ == "__main__":
    unittest.main(verbosity=2)
