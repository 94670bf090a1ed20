"""An agent's state that runs twice, by each way in which that can be told; and a dead process's late words, which are no second one.

Real agents on hosts of their own (network namespaces), without sites. Both are held, until a person has looked.
"""
import os
import re
import shutil
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
import netfleet  # noqa: E402

netfleet.need_hosts()


class Hosts(unittest.TestCase):
    """Agents without sites."""

    def agent(self, name, rules=(), **more):
        """An accepted agent of that name on a host of that name; answers its configuration."""
        config = self.fleet.agent_config(name, [os.path.join(self.fleet.dir, "nothing")])
        self.fleet.enrol(name, config, attempts=2)
        if more.pop("start", True):
            self.start(name, config, rules, **more)
        self.fleet.accept(name)
        return config

    def start(self, name, config, rules=(), **more):
        self.fleet.serve(name, None, config, rules, **more)
        harness.wait_for(f"{name} to run", lambda: self.fleet.agent_pids(name), 10, 0.05)

    def stop(self, name):
        self.fleet.agents[name].kill()
        harness.wait_for(f"{name} to end", lambda: not self.fleet.agent_pids(name), 10, 0.05)

    def copy(self, name, other):
        """The state folder of one, for the other: what a cloned server has."""
        config = self.fleet.agent_config(other, [os.path.join(self.fleet.dir, "nothing")])
        shutil.copytree(os.path.join(self.fleet.dir, f"agent-{name}", "state"), os.path.join(self.fleet.dir, f"agent-{other}", "state"))
        return config

    def row(self, name):
        (row,) = self.fleet.store("select state, start_count, connection from agents where name=?", name)
        return row

    def served(self, name):
        return next(a for a in self.fleet.json("agent", "list")["agents"] if a["name"] == name).get("online", False)

    def welcomed(self, name, start):
        harness.wait_for(f"{name} to be welcome at start {start}", lambda: self.row(name)[1] == start and self.served(name), 40, 0.1)

    def both_held(self, name, *hosts):
        """And both hear it; what the controller shows says why."""
        harness.wait_for(f"{name} to be held", lambda: self.row(name)[0] == "held", 40, 0.1)
        for host in hosts:
            harness.wait_for(f"{host} to hear it", lambda host=host: "seen twice" in self.fleet.agents[host].text(), 60, 0.1)
        harness.wait_for(f"{name} to count as away", lambda: not self.served(name), 10, 0.1)
        self.assertEqual(self.fleet.json("agent", "show", name)["agent"]["state"], "held")
        told = [detail for (detail,) in self.fleet.store("select detail from audit where what='agent-held' and who=?", f"agent:{name}")]
        self.assertTrue(told)
        return told[-1]


class Twice(Hosts):
    @classmethod
    def setUpClass(cls):
        cls.fleet = netfleet.NetFleet("twice", database=False)
        cls.addClassCleanup(cls.fleet.close)
        fleet = cls.fleet
        os.mkdir(os.path.join(fleet.dir, "nothing"))
        for name in ("moved", "moved2", "box", "box2", "often", "often2", "twin", "late"):
            relay = {"seed": 1, "control": ["plain", "late", "plain", "plain", "plain"], "bulk": []} if name == "late" else None
            specs = fleet.host(name, relay)
            if relay:
                fleet.relays.start([spec for spec in specs if "to" in spec])
        fleet.start_controller()

    def test_two_servers_of_one_state_are_both_held_until_a_person_has_looked(self):
        config = self.agent("moved")
        self.welcomed("moved", 1)
        self.stop("moved")
        other = self.copy("moved", "moved2")
        boot = os.path.join(self.fleet.dir, "boot_id")
        with open(boot, "w", encoding="ascii") as out:
            out.write("11111111-2222-3333-4444-555555555555\n")
        self.start("moved", config)
        self.start("moved2", other, boot_id=boot)
        self.assertIn("same state", self.both_held("moved", "moved", "moved2"))
        # The person stops one and says so; when that one comes back, both are held again.
        self.stop("moved2")
        self.fleet.accept("moved")
        harness.wait_for("moved to be served again", lambda: self.served("moved"), 40, 0.1)
        self.assertEqual(self.row("moved")[0], "accepted")
        self.start("moved2", other, boot_id=boot)
        harness.wait_for("both to be held again", lambda: self.row("moved")[0] == "held", 60, 0.1)

    def test_a_copy_on_the_same_kernel_is_noticed_by_its_connections(self):
        config = self.agent("box")
        self.welcomed("box", 1)
        self.stop("box")
        other = self.copy("box", "box2")
        self.start("box", config)
        self.start("box2", other)
        self.assertIn("its state runs twice", self.both_held("box", "box", "box2"))

    def test_a_copy_that_was_started_more_often_is_noticed_while_the_other_lives_on(self):
        config = self.agent("often")
        self.welcomed("often", 1)
        self.stop("often")
        other = self.copy("often", "often2")
        self.start("often", config)
        self.welcomed("often", 2)
        self.fleet.net.partition("often2", "both")
        self.start("often2", other)
        for pid in harness.wait_for("the copy's process", lambda: self.fleet.agent_pids("often2"), 10, 0.05):
            os.kill(pid, signal.SIGKILL)
        harness.wait_for("its next start", lambda: "start=3" in self.fleet.agents["often2"].text(), 10, 0.05)
        self.fleet.net.partition("often2", None)
        self.assertRegex(self.both_held("often", "often", "often2"), "start 2 .*start 3 was seen")

    def test_a_second_process_with_one_state_folder_ends_and_does_no_harm(self):
        config = self.agent("twin")
        self.welcomed("twin", 1)
        command = [self.fleet.program("confleet-agent"), "run", "--config", config]
        for host in ("twin", "o"):
            done = harness.run(*self.fleet.net.words(host), *command, ok=None, timeout=30)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stdout + done.stderr, r"agent\.db\.lock is held by process \d+")
        self.assertEqual(self.row("twin")[:2], ("accepted", 1))
        self.assertTrue(self.served("twin"))
        # Somebody takes the lock away: then there are two, and both are held.
        os.unlink(os.path.join(self.fleet.dir, "agent-twin", "state", "agent.db.lock"))
        second = harness.Process("second", self.fleet.net.words("o") + command, self.fleet.dir)
        self.fleet.processes.append(second)
        second.start()
        self.both_held("twin", "twin")
        harness.wait_for("the second to hear it", lambda: re.search("seen twice", second.text()), 60, 0.1)
        second.stop()

    def test_a_hello_that_comes_after_its_successors_is_no_clone(self):
        said = lambda key: [s for s in self.fleet.relays.said if key in s]
        self.agent("late")
        harness.wait_for("the relay to hold a hello back", lambda: said("held"), 20, 0.05)
        for pid in self.fleet.agent_pids("late"):
            os.kill(pid, signal.SIGKILL)
        harness.wait_for("the relay to let it go", lambda: said("late"), 60, 0.05)
        harness.wait_for("the controller to know it for old", lambda: "peer.replaced peer=agent:late" in self.fleet.controller.text(), 20, 0.05)
        self.welcomed("late", 2)
        self.assertEqual(self.row("late")[0], "accepted")


if __name__ == "__main__":
    unittest.main(verbosity=2)
