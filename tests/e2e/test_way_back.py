"""A version that was kept goes back on a person's word: over the wire, and on the server alone, as it was by the oracle."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "standin"))
import fleet as harness  # noqa: E402
from kit import licences  # noqa: E402

harness.need_root()


class WayBack(unittest.TestCase):
    def test_a_committed_upgrade_is_taken_back(self):
        with harness.Fleet("back") as fleet:
            before = {}
            for name in ("one", "two"):
                fleet.site(name)
                before[name] = fleet.fingerprint(name, name + ".json")
            fleet.start_controller()
            fleet.start_agent("wiki-1", ["one"])
            agent = fleet.start_agent("wiki-2", ["two"])
            fleet.claim("one", "wiki-1")
            fleet.claim("two", "wiki-2")
            fleet.release("9.2.21", 9116)
            old, new = self.licence_of(fleet, "two"), self.hand_licence_over(fleet, "two", agent)
            plan = fleet.plan("spring", "9.2.21", ("first", {"env": "production"}, "1s"))
            fleet.cli("apply", plan, "--yes", timeout=400)
            self.assertEqual(self.licence_of(fleet, "two"), new)
            waiting = os.path.dirname(agent.config) + "/state/licences"
            harness.wait_for("the new licence to be in use alone", lambda: not os.listdir(waiting), 30)
            for name in ("one", "two"):
                self.assertEqual((fleet.state(name), fleet.build_of(name)), ("RUNNING", 9116))
            rollout = fleet.json("rollout", "list")["rollouts"][0]["id"]

            done = fleet.cli("rollback", rollout, "--site", "one", "--yes", "--reason", "users complain", ok=(5,), timeout=300)
            self.assertIn("lost       everything written since the new version started", done.stdout)
            self.check_back(fleet, "one", before["one"])
            shown = {s["site"]: s["state"] for s in fleet.json("rollout", "status", rollout, ok=(5,))["rollout"]["sites"]}
            self.assertEqual(shown, {"one": "rolled-back", "two": "committed"})

            # The other one without anybody's help: the agent and the controller are gone.
            fleet.controller.stop()
            agent.stop()
            back = harness.run(fleet.program("confleet-agent"), "rollback", fleet.sites["two"]["install"], "--config", agent.config, timeout=300)
            self.assertIn("rolled back", back.stdout)
            self.check_back(fleet, "two", before["two"])
            self.assertEqual(self.licence_of(fleet, "two"), old)
            self.check_nowhere(fleet, new)
            again = harness.run(fleet.program("confleet-agent"), "rollback", fleet.sites["two"]["install"], "--config", agent.config, ok=None)
            self.assertIn("has no meaning there", again.stderr)
            # What was reported to nobody reaches the controller when both are there again.
            fleet.controller.start()
            agent.start()
            harness.wait_for("the controller to hear of it", lambda: "rolled-back" == {
                s["site"]: s["state"] for s in fleet.json("rollout", "status", rollout, "--watch=false", ok=(2, 4, 5))["rollout"]["sites"]}["two"], 30)

    def test_what_is_kept_for_the_way_back_expires_and_then_a_rollback_is_refused(self):
        with harness.Fleet("keep") as fleet:
            fleet.site("one")
            fleet.start_controller()
            agent = fleet.start_agent("wiki-1", ["one"], keep="4s")
            fleet.claim("one", "wiki-1")
            fleet.release("9.2.21", 9116)
            fleet.cli("apply", fleet.plan("spring", "9.2.21", ("first", {"env": "production"}, "1s")), "--yes", timeout=400)
            state, site = os.path.dirname(agent.config) + "/state", fleet.sites["one"]["dir"]
            harness.wait_for("the old tree and the run's folder to go", lambda: not self.hidden(site) and not self.runs(state), 60)
            rollout = fleet.json("rollout", "list")["rollouts"][0]["id"]

            done = fleet.cli("rollback", rollout, "--site", "one", "--yes", "--reason", "too late", ok=None, timeout=60)
            self.assertNotIn(done.returncode, (0, 2, 5), done)
            self.assertIn("the way back of site one has expired", done.stdout)
            self.assertIn("site one was not rolled back, it is committed", done.stderr)
            shown = fleet.json("rollout", "status", rollout)["rollout"]["sites"][0]
            self.assertEqual((shown["state"], shown["build"]), ("committed", 9116))
            install = fleet.sites["one"]["install"]
            local = harness.run(fleet.program("confleet-agent"), "rollback", install, "--config", agent.config, ok=None)
            self.assertNotEqual(local.returncode, 0)
            self.assertIn("has expired", local.stderr)
            self.assertEqual((fleet.state("one"), fleet.build_of("one"), fleet.count("one", "start")), ("RUNNING", 9116, 2))

            # The newest proven backup stays, however old, as does the last one before the change, and what they refer to.
            first = self.backups(agent)
            self.assertTrue(first)
            fleet.cli("backup", "run", "one", timeout=120)
            second = self.backups(agent)
            fleet.cli("backup", "run", "one", timeout=120)
            newest, = self.backups(agent) - first - second  # names of one second are in no order
            stay = self.needed(agent, {newest, max(first)})
            harness.wait_for("the older backups to go", lambda: self.backups(agent) == stay, 30)
            fleet.cli("backup", "verify", "one", newest, timeout=120)
            harness.wait_for("the controller to hear of it", lambda: {b["id"] for b in fleet.json("backup", "list", "one")["backups"]
                                                                      if b.get("level", "LEVEL_NONE") != "LEVEL_NONE"} == stay, 30)

    def hidden(self, site):
        return [n for n in os.listdir(site) if n.startswith(".confleet")]

    def runs(self, state):
        return [n for n in os.listdir(state + "/runs") if n.endswith("-one")]

    def backups(self, agent):
        top = os.path.dirname(agent.config) + "/backup"
        return {n for folder in os.listdir(top) if os.path.isdir(f"{top}/{folder}") for n in os.listdir(f"{top}/{folder}") if n != "lock"}

    def needed(self, agent, wanted):
        """These backups and those whose packs they refer to."""
        top = os.path.dirname(agent.config) + "/backup"
        folder = next(f.path for f in os.scandir(top) if f.is_dir())
        found = set(wanted)
        for name in wanted:
            with open(f"{folder}/{name}/manifest", encoding="utf-8") as f:
                found |= set(re.findall(r"^pack .* from=(\S+) size=", f.read(), re.M))
        return found

    def licence_of(self, fleet, name):
        with open(fleet.sites[name]["home"] + "/confluence.cfg.xml", encoding="utf-8") as f:
            return "".join(re.search('license.message">([^<]*)<', f.read())[1].split())

    def hand_licence_over(self, fleet, name, agent):
        install, path = fleet.sites[name]["install"], fleet.dir + "/new-licence.txt"
        text = licences.confluence("ABCD-EFGH-IJKL-MNOP", "2031-06-30")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        words = [fleet.program("confleet-agent"), "licence"]
        none = harness.run(*words, "show", install, "--config", agent.config, ok=None)
        self.assertIn("no new licence waits", none.stderr)
        bad = harness.run(*words, "set", install, "-", "--config", agent.config, ok=(1,), input=text[:200])
        self.assertIn("this is no licence text that can be read", bad.stderr)
        harness.run(*words, "set", install, path, "--config", agent.config)
        shown = harness.run(*words, "show", install, "--config", agent.config)
        self.assertIn("licence-maintenance", shown.stdout)
        kept = os.path.dirname(agent.config) + "/state/licences"
        self.assertEqual([os.stat(f"{kept}/{n}").st_mode & 0o777 for n in os.listdir(kept)], [0o600])
        os.unlink(path)
        return "".join(text.split())

    def check_nowhere(self, fleet, licence):
        """Neither journal, store, logs nor any other file but backups of the home hold a part of its text."""
        part = licence[60:100].encode()
        for folder, _, names in os.walk(fleet.dir):
            for path in (os.path.join(folder, name) for name in names):
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as f:
                        self.assertNotIn(part, f.read(), path)

    def check_back(self, fleet, name, before):
        self.assertEqual((fleet.state(name), fleet.build_of(name)), ("RUNNING", 9109))
        self.assertEqual(fleet.compare(before, fleet.fingerprint(name, name + "-after.json")), "")
        self.assertEqual((fleet.count(name, "start"), fleet.count(name, "stop")), (3, 2), fleet.effects(name))
        left = [n for n in os.listdir(fleet.sites[name]["dir"]) if n.startswith(".confleet")]
        self.assertEqual(left, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
