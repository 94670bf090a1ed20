"""Broken networks, with real processes on hosts of their own (network namespaces): a sample of what scripts/long network does, and two
controllers on one store.
"""
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "harness"), os.path.join(HERE, "..", "fault")]
import fleet as harness  # noqa: E402
import netfleet  # noqa: E402
import netns  # noqa: E402
import network  # noqa: E402

netfleet.need_hosts()
SEED = int(os.environ.get("CONFLEET_SEED", "1"))
PLACE = "/dev/shm" if os.path.isdir("/dev/shm") else None


class Rollouts(unittest.TestCase):
    def test_a_rollout_over_broken_links_ends_as_over_good_ones(self):
        mine, operators = network.cells()
        chance = random.Random(SEED)
        quick = [cell for cell in mine if re.match("event|order.upgrade|order_ack|bulk.get|heartbeat|hello|welcome", cell)
                 and not re.search("silent|event.backup|event.log|event.check|progress", cell)]
        some = ["order.upgrade/before/both/lost", "order_ack/before/out/lost", "event_ack/after/in/lost", "bulk.chunk.down/before/in/late",
                *chance.sample(quick, 2)]
        faults = {f"h{n + 1}": {"cell": cell} for n, cell in enumerate(some)}
        faults["h7"] = {"loss": 30}
        faults["h8"] = {"relay": {"seed": SEED, "control": ["slow", "late", "cut"], "bulk": ["cut"]}}
        with netfleet.NetFleet("network", parent=PLACE) as fleet:
            run = network.Rollout(fleet, faults, SEED, [chance.choice([c for c in operators if c.startswith("re")])], ["h6"])
            run.brief = True
            hits = run.run()
        for wanted in [*some, "loss 30 %", "relay late", "relay cut", "relay slow"]:
            self.assertGreater(hits.get(wanted, 0), 0, f"{wanted} was never done: {hits}")


class TwoControllers(unittest.TestCase):
    def epoch(self, folder="controller"):
        base = sqlite3.connect(f"file:{self.fleet.dir}/{folder}/controller.db?mode=ro", uri=True, timeout=5)
        try:
            return int(base.execute("select value from meta where key='epoch'").fetchone()[0])
        finally:
            base.close()

    def daemon(self, host):
        """The controller's process on that host."""
        pids = netns.command("ip", "netns", "pids", self.fleet.net.space(host)).stdout.split()
        return next(int(pid) for pid in pids if os.readlink(f"/proc/{pid}/exe").endswith("/confleet-controller"))

    def freeze(self):
        """Stops the controller's process where it holds no lock in the store."""
        pid = self.daemon("c")

        def between():
            os.kill(pid, signal.SIGSTOP)
            base = sqlite3.connect(os.path.join(self.fleet.dir, "controller", "controller.db"), timeout=0.2, isolation_level=None)
            try:
                base.execute("begin immediate")
                base.execute("rollback")
                return True
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                return False
            finally:
                base.close()
        harness.wait_for("a moment between two transactions", between, 20, 0.05)
        return pid

    def test_the_one_that_was_replaced_has_no_effect(self):
        with netfleet.NetFleet("two", parent=PLACE) as self.fleet:
            fleet = self.fleet
            fleet.net.host("c2", 4)
            run = network.Rollout(fleet, {"h1": {}, "h2": {}}, SEED)
            run.brief = True
            run.world()
            run.import_release()
            state, first = os.path.join(fleet.dir, "controller"), self.epoch()
            other = fleet.controller_on("c2", state, "controller-2")
            other.start()
            self.assertNotEqual(other.child.wait(30), 0)
            self.assertRegex(other.text(), r"controller\.db\.lock is held by process \d+")
            self.assertEqual(self.epoch(), first)

            plan = fleet.plan("all", "9.2.21", {"name": "all", "select": {"env": "production"}, "needs": {"approvals": 0}, "batch": [1]})
            rollout = fleet.apply(plan)
            harness.wait_for("the first site to go down", lambda: any(fleet.count(site, "stop") for site in run.site_of.values()), 60, 0.05)
            pid = self.freeze()
            copy = shutil.copytree(state, os.path.join(fleet.dir, "copy"))
            # A standby takes over the store and the address; the lock file did not keep it off.
            os.unlink(os.path.join(state, "controller.db.lock"))
            fleet.net.move(netfleet.HOME, "c", "c2")
            for host in ("h1", "h2"):
                fleet.net.break_off(host)      # else they notice by themselves, in half a minute
            other.start()
            harness.wait_for("the other to be ready", lambda: self.epoch() == first + 1, 30, 0.05)
            harness.wait_for("the agents to be with the other",
                             lambda: all(f"peer.hello peer=agent:{host}" in other.text() for host in ("h1", "h2")), 90, 0.1)
            os.kill(pid, signal.SIGCONT)
            self.assertNotEqual(fleet.controller.child.wait(30), 0)
            self.assertIn("another one has taken over", fleet.controller.text())
            fleet.wait_rollout(["done"], rollout, 120)
            run.verify(rollout, set())
            self.assertEqual(self.epoch(), first + 1)

            # One that wakes on a store of its own, as of then: agents have obeyed a newer one, and take nothing from it.
            other.stop()
            before = {site: fleet.effects(site) for site in run.site_of.values()}
            orders = self.orders()
            stale = fleet.controller_on("c", copy, "controller-stale")
            fleet.net.move(netfleet.HOME, "c2", "c")
            stale.start()
            harness.wait_for("both to be told that it is too old",
                             lambda: all(re.search(f"peer.refused peer=agent:{host} .*this store is (an )?older", stale.text())
                                         for host in ("h1", "h2")), 90, 0.1)
            self.assertEqual(fleet.rollout(rollout)["state"], "running")       # as it believes
            self.assertEqual({site: fleet.effects(site) for site in before}, before)
            self.assertEqual(self.orders(), orders)
            stale.stop()

    def orders(self):
        """What the agents have taken in, by their journals."""
        told = []
        for host in ("h1", "h2"):
            base = sqlite3.connect(f"file:{self.fleet.dir}/agent-{host}/state/agent.db?mode=ro", uri=True, timeout=5)
            told.append((base.execute("select id from orders order by id").fetchall(),
                         base.execute("select value from meta where key='epoch'").fetchall()))
            base.close()
        return told


if __name__ == "__main__":
    unittest.main(verbosity=2)
