"""The staged rollout with real processes: test first, approval, gates, silence, decisions of people, and controllers that die.

What happened to a site is told by the stand-in's own effect file, never by a journal or a view alone.
"""
import os
import shutil
import signal
import sqlite3
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()

NEW = "9.2.21"
OVER = ("done", "halted")


class Rollout(unittest.TestCase):
    """One agent per site: `t1` is the test site, `p1` and so on are production."""

    def world(self, production, tests=1, config="", people=True):
        fleet = harness.Fleet("rollout")
        self.addCleanup(fleet.close)
        self.fleet, self.names = fleet, [f"t{n + 1}" for n in range(tests)] + [f"p{n + 1}" for n in range(production)]
        options = []
        if config:
            path = os.path.join(fleet.dir, "controller.yaml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(config)
            options = ["--config", path]
        fleet.start_controller(*options)
        if people:
            self.olaf, self.anna = fleet.operator_add("olaf", "operator"), fleet.operator_add("anna", "approver")
        for name in self.names:
            fleet.site(name)
            fleet.start_agent("a-" + name, [name])
            fleet.claim(name, "a-" + name, "test" if name[0] == "t" else "production")
        if tests:
            for name in self.names[tests:]:
                fleet.cli("site", "set", "t1", "--covers", name)
        fleet.release(NEW, 9116)
        return fleet

    def tearDown(self):
        if not self._outcome.success:
            self.tell()

    def tell(self):
        for process in self.fleet.processes:
            print(f"--- {self.id()}: {process.log}\n{process.text()[-2500:]}", file=sys.stderr)

    def upgraded(self, *names, starts=2):
        for name in names:
            harness.wait_for(f"{name} to run", lambda name=name: self.fleet.state(name) == "RUNNING", 30)
            self.assertEqual(self.fleet.build_of(name), 9116, name)
            self.assertEqual((self.fleet.count(name, "stop"), self.fleet.count(name, "start")), (starts - 1, starts),
                             self.fleet.effects(name))

    def untouched(self, *names):
        for name in names:
            self.assertTrue(self.fleet.untouched(name), (name, self.fleet.effects(name)))
            self.assertEqual(self.fleet.build_of(name), 9109, name)

    def stage(self, rollout, name):
        return next(s for s in self.fleet.rollout(rollout)["stages"] if s["name"] == name)

    def production(self, **keys):
        return {"name": "production", "select": {"env": "production"}, "needs": {"approvals": 0}, **keys}

    # --- the order of things

    def test_the_test_site_goes_first_and_production_waits_for_an_approval(self):
        fleet = self.world(2)
        plan = fleet.plan("spring", NEW, ("test", {"env": "test"}, "1s"),
                          {"name": "production", "select": {"env": "production"}, "needs": {"stage": "test", "approvals": 1}})
        rollout = fleet.apply(plan, self.olaf)
        harness.wait_for("production to wait for an approval",
                         lambda: fleet.site_states(rollout).get("t1") == "committed"
                         and self.stage(rollout, "production")["state"] == "approval", 120, 0.3)
        self.upgraded("t1")
        self.untouched("p1", "p2")
        # Neither who only operates, and signed the plan at that, nor the right person for another stage.
        done = fleet.cli("rollout", "approve", rollout, "production", "--yes", home=self.olaf, ok=None)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn("approver", done.stderr)
        self.assertNotEqual(fleet.cli("rollout", "approve", rollout, "nonsense", "--yes", home=self.anna, ok=None).returncode, 0)
        self.untouched("p1", "p2")
        fleet.cli("rollout", "approve", rollout, "production", "--yes", home=self.anna)
        view = fleet.wait_rollout(OVER, rollout)
        self.assertEqual(view["state"], "done", view)
        self.upgraded("p1", "p2")
        self.assertIn("anna", self.stage(rollout, "production")["approvedBy"])
        self.assertIn("anna", fleet.cli("audit", "list").stdout)
        fleet.cli("audit", "verify")

    def test_a_rolled_back_site_closes_the_gate_and_the_others_stay_as_they_are(self):
        fleet = self.world(4, tests=0)
        fleet.fault("p2", 9116, "schema-task")
        before = fleet.fingerprint("p2", "before.json")
        rollout = fleet.apply(fleet.plan("spring", NEW, self.production(batch=[1, 1, "rest"])))
        view = fleet.wait_rollout(OVER, rollout)
        self.assertEqual(view["state"], "halted", view)
        self.assertIn("p2", view["reason"])
        self.assertEqual(fleet.site_states(rollout), {"p1": "committed", "p2": "rolled-back", "p3": "queued", "p4": "queued"})
        self.upgraded("p1")
        self.untouched("p3", "p4")
        self.assertEqual(fleet.build_of("p2"), 9109)
        self.assertEqual(fleet.compare(before, fleet.fingerprint("p2", "after.json")), "")

    def test_silence_is_an_outcome_and_the_operator_skips_one_and_retries_the_other(self):
        fleet = self.world(3, tests=0, config="order_deadline: 8s\nsilence_deadline: 60s\n")
        fleet.fault("p1", 9116, "schema-task")
        fleet.agents["a-p2"].kill()
        plan = fleet.plan("spring", NEW, self.production(batch=[2, "rest"], gate={"max_failed": 1, "max_silent": 0}))
        rollout = fleet.apply(plan)
        fleet.wait_rollout(["p1=rolled-back"], rollout)
        view = fleet.wait_rollout(OVER, rollout)
        self.assertEqual(view["state"], "halted", view)
        self.assertIn("p2", view["reason"])
        self.assertEqual(fleet.site_states(rollout), {"p1": "rolled-back", "p2": "silent", "p3": "queued"})
        self.untouched("p2", "p3")
        fleet.cli("rollout", "skip", rollout, "p2", "--reason", "its server is being moved")
        with open(os.path.join(fleet.sites["p1"]["home"], "standin.properties"), "a", encoding="ascii") as f:
            f.write("fault.9116=\n")
        fleet.cli("rollout", "retry", rollout, "p1", "--reason", "the disk was full, now it is not")
        if fleet.rollout(rollout)["state"] == "halted":
            fleet.cli("rollout", "resume", rollout, "--reason", "both are dealt with")
        view = harness.wait_for("the rollout to be done", lambda: next(
            (v for v in [fleet.rollout(rollout)] if v and v["state"] == "done"), None), 120, 0.5)
        self.assertEqual(fleet.site_states(rollout), {"p1": "committed", "p2": "skipped", "p3": "committed"}, view)
        self.upgraded("p3")
        self.assertEqual(fleet.build_of("p1"), 9116)
        # The agent that was silent comes back: its order was taken back, and nothing starts on a skipped site.
        fleet.agents["a-p2"].start()
        harness.wait_for("the agent to be back", lambda: fleet.json("agent", "show", "a-p2")["agent"].get("online"), 60)
        time.sleep(3)
        self.untouched("p2")
        audit = fleet.cli("audit", "list").stdout
        self.assertIn("its server is being moved", audit)
        self.assertIn("the disk was full", audit)

    def test_an_order_that_slept_in_a_socket_starts_nothing_when_its_agent_wakes(self):
        """The agent is stopped just before its turn: the order lies in its socket while the site is silent and skipped."""
        fleet = self.world(2, tests=0, config="order_deadline: 8s\nsilence_deadline: 60s\n")
        plan = fleet.plan("spring", NEW, self.production(gate={"max_failed": 0, "max_silent": 1}))
        rollout = fleet.apply(plan)
        fleet.wait_rollout(["p1=running"], rollout)
        sleeper = fleet.agents["a-p2"]
        sleeper.child.send_signal(signal.SIGSTOP)
        try:
            fleet.wait_rollout(["p2=ordered"], rollout)
            sent, = fleet.store("select sent_ms from orders where agent='a-p2' and kind='upgrade'")
            self.assertGreater(sent[0], 0, "the order was not sent into the socket")
            fleet.wait_rollout(["p2=silent"], rollout)
            fleet.cli("rollout", "skip", rollout, "p2", "--reason", "its server hangs")
        finally:
            sleeper.child.send_signal(signal.SIGCONT)
        harness.wait_for("the agent's refusal in the audit",
                         lambda: "came too late" in fleet.cli("audit", "list").stdout, 60)
        harness.wait_for("the agent to have heard of the skip", lambda: fleet.store(
            "select state from orders where agent='a-p2' and kind='decide'")[0][0] in ("acked", "done"), 60)
        view = fleet.rollout(rollout)
        site = next(s for s in view["sites"] if s["site"] == "p2")
        self.assertEqual(site["state"], "skipped", view)
        self.assertIn("its server hangs", site["reason"])
        self.assertEqual(fleet.journal("a-p2"), [])
        self.untouched("p2")
        self.upgraded("p1")
        self.assertEqual(view["state"], "done", view)

    # --- what people decide meanwhile

    def test_a_pause_lets_what_runs_end_and_a_resume_goes_on(self):
        fleet = self.world(3, tests=0)
        rollout = fleet.apply(fleet.plan("spring", NEW, self.production()))
        fleet.wait_rollout(["p1=running"], rollout)
        fleet.cli("rollout", "pause", rollout, "--reason", "lunch")
        fleet.wait_rollout(["p1=committed"], rollout)
        time.sleep(2)
        view = fleet.rollout(rollout)
        self.assertTrue(view.get("paused"), view)
        self.untouched("p2", "p3")
        fleet.cli("rollout", "resume", rollout, "--reason", "after lunch")
        self.assertEqual(fleet.wait_rollout(OVER, rollout)["state"], "done")
        self.upgraded("p1", "p2", "p3")

    def test_an_abort_takes_what_is_in_flight_to_a_safe_end(self):
        fleet = self.world(2, tests=0)
        rollout = fleet.apply(fleet.plan("spring", NEW, self.production()))
        harness.wait_for("a backup to begin", lambda: ("backup", "intent") in fleet.journal("a-p1"), 60, 0.01)
        fleet.cli("rollout", "abort", rollout, "--reason", "wrong week")
        view = fleet.wait_rollout(OVER, rollout)
        self.assertIn(fleet.site_states(rollout)["p1"], ("not-ready", "rolled-back", "committed"), view)
        self.untouched("p2")
        harness.wait_for("p1 to run", lambda: fleet.state("p1") == "RUNNING", 30)
        if fleet.site_states(rollout)["p1"] == "not-ready":
            self.untouched("p1")
        self.assertNotEqual(fleet.cli("rollout", "resume", rollout, "--reason", "no, right week", ok=None).returncode, 0)
        self.untouched("p2")

    def test_a_hold_beats_everything_and_interrupts_nothing(self):
        fleet = self.world(2, tests=0)
        fleet.cli("hold", "p2", "--until", "1h", "--reason", "the auditors are here")
        rollout = fleet.apply(fleet.plan("spring", NEW, self.production()))
        fleet.wait_rollout(["p1=committed"], rollout)
        time.sleep(2)
        view = fleet.rollout(rollout)
        self.assertEqual(view["state"], "running", view)
        self.assertEqual(fleet.site_states(rollout)["p2"], "queued")
        self.assertIn("the auditors are here", str(view))
        self.untouched("p2")
        fleet.cli("unhold", "p2")
        self.assertEqual(fleet.wait_rollout(OVER, rollout)["state"], "done")
        self.upgraded("p1", "p2")

    # --- a controller that is not to be believed

    def test_an_approval_that_the_controller_lets_through_is_refused_by_the_agents(self):
        """The store says that olaf may approve; the agents' own files say that he may not."""
        fleet = self.world(1, tests=0)
        rollout = fleet.apply(fleet.plan("spring", NEW, self.production(needs={"approvals": 1})))
        refused = fleet.cli("rollout", "approve", rollout, "production", "--yes", home=self.olaf, ok=None)
        self.assertNotEqual(refused.returncode, 0)
        fleet.controller.stop()
        base = sqlite3.connect(os.path.join(fleet.dir, "controller", "controller.db"))
        with base:
            changed = base.execute("update operators set role=3 where name='olaf'").rowcount
        base.close()
        self.assertEqual(changed, 1)
        fleet.controller.start()
        harness.wait_for("the controller", lambda: fleet.rollout(rollout), 30)
        fleet.cli("rollout", "approve", rollout, "production", "--yes", home=self.olaf)
        view = fleet.wait_rollout(["p1=refused"], rollout)
        site = view["sites"][0]
        self.assertIn("olaf is operator", site["reason"])
        self.untouched("p1")
        self.assertEqual(fleet.wait_rollout(OVER, rollout)["state"], "halted")

    def test_a_second_controller_on_the_same_store_does_not_start(self):
        fleet = self.world(0, tests=0, people=False)
        state = os.path.join(fleet.dir, "controller")
        done = harness.run(fleet.program("confleet-controller"), "run", "--state", state, "--control", "tcp://127.0.0.1:*",
                           "--bulk", "tcp://127.0.0.1:*", ok=None, timeout=30)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "another|already|in use|lock")
        self.assertTrue(fleet.controller.alive())

    def test_a_store_that_was_put_back_from_an_old_copy_is_refused_by_epoch_and_says_so(self):
        fleet = self.world(1, tests=0, config="order_deadline: 5s\n", people=False)
        state, copy = os.path.join(fleet.dir, "controller"), os.path.join(fleet.dir, "copy")
        online = lambda: fleet.json("agent", "show", "a-p1")["agent"].get("online")  # noqa: E731
        fleet.controller.stop()
        shutil.copytree(state, copy)
        for _ in range(2):
            fleet.controller.start()
            harness.wait_for("the agent to be online", online, 60, 0.5)
            fleet.controller.stop()
        shutil.rmtree(state)
        shutil.copytree(copy, state)
        fleet.controller.start()
        harness.wait_for("the controller to say what it is", lambda: "older copy" in fleet.controller.text(), 60)
        self.assertFalse(online())
        self.assertIn("older copy", fleet.cli("audit", "list").stdout)
        # No plan is made for what such an agent holds.
        done = fleet.cli("apply", fleet.plan("spring", NEW, self.production()), "--yes", "--detach", ok=None)
        self.assertIn("store-older", done.stdout + done.stderr)
        self.assertEqual(fleet.json("rollout", "list").get("rollouts", []), [])
        self.untouched("p1")
        # Starts alone do not make it the newest again: a person must say so. What was ordered meanwhile is over.
        raising = [fleet.program("confleet-controller"), "raise-epoch", "--state", state, "--epoch", "5"]
        self.assertNotEqual(harness.run(*raising, ok=None).returncode, 0, "while the controller runs")
        fleet.controller.stop()
        harness.run(*raising)
        fleet.controller.start()
        harness.wait_for("the agent to be online", online, 60, 0.5)
        self.assertIn("raise-epoch", fleet.cli("audit", "list").stdout)

    def test_a_copy_of_the_store_is_refused_at_any_epoch_until_a_person_adopts_it(self):
        """Once a copy from before a rollout, one epoch higher; once another branch, at the very same epoch."""
        fleet = self.world(1, tests=0, config="heartbeat: 1s\n", people=False)
        state, base = os.path.join(fleet.dir, "controller"), os.path.join(fleet.dir, "controller", "controller.db")
        agent = lambda: fleet.json("agent", "show", "a-p1")["agent"]  # noqa: E731

        def put_back(copy):
            fleet.controller.kill()
            for ending in ("", "-wal", "-shm"):
                if os.path.exists(base + ending):
                    os.remove(base + ending)
            shutil.copy(copy, base)
            fleet.controller.start()

        def seen():
            journal = sqlite3.connect(f"file:{os.path.join(fleet.dir, 'agent-a-p1', 'state', 'agent.db')}?mode=ro", uri=True)
            try:
                return journal.execute("select seq from store_head").fetchone()[0]
            finally:
                journal.close()

        def copy_of(name):
            path = os.path.join(fleet.dir, name)
            with sqlite3.connect(base) as source, sqlite3.connect(path) as target:
                source.backup(target)
            return path

        before = copy_of("before.db")
        rollout = fleet.apply(fleet.plan("spring", NEW, self.production()))
        self.assertEqual(fleet.wait_rollout(OVER, rollout)["state"], "done")
        self.upgraded("p1")
        for _ in range(2):   # the second start is two epochs higher than any that was obeyed
            put_back(before) if _ == 0 else (fleet.controller.stop(), fleet.controller.start())
            shown = harness.wait_for("the agent to be refused", lambda: next(
                (a for a in [agent()] if a["state"] == "store-older"), None), 60)
            self.assertIn("raise-epoch", shown["reason"])
            self.assertIn("older than agent a-p1 has seen", fleet.controller.text())
        self.assertEqual(fleet.json("site", "show", "p1")["site"]["state"], "store-older")
        fleet.controller.stop()
        harness.run(fleet.program("confleet-controller"), "raise-epoch", "--state", state, "--epoch", "3")
        fleet.controller.start()
        harness.wait_for("the agent to follow", lambda: agent()["state"] == "accepted" and agent().get("online"), 60)
        # Two stores that were one: both start once more and have the same epoch.
        fleet.controller.stop()
        branch = os.path.join(fleet.dir, "branch.db")
        shutil.copy(base, branch)
        fleet.controller.start()
        harness.wait_for("the agent to be back", lambda: agent().get("online"), 60)
        epoch = fleet.store("select value from meta where key='epoch'")
        head = fleet.store("select max(seq) from audit where what='start'")[0][0]
        harness.wait_for("the agent to have seen this start", lambda: seen() >= head, 60)
        put_back(branch)
        harness.wait_for("the agent to be refused", lambda: agent()["state"] == "store-older", 60)
        self.assertEqual(fleet.store("select value from meta where key='epoch'"), epoch)
        self.upgraded("p1")

    # --- kill -9

    def test_the_controller_is_killed_at_every_transition_and_nothing_is_lost_or_doubled(self):
        fleet = self.world(3, tests=1)
        fleet.fault("p2", 9116, "schema-task")
        before = fleet.fingerprint("p2", "before.json")
        plan = fleet.plan("spring", NEW, ("test", {"env": "test"}, "1s"),
                          {"name": "production", "select": {"env": "production"}, "needs": {"stage": "test", "approvals": 1},
                           "batch": [1, "rest"], "gate": {"max_failed": 1, "max_silent": 0}})
        rollout = fleet.apply(plan, self.olaf)
        seen, approved, most = set(), False, 0
        end = time.monotonic() + 240
        while time.monotonic() < end:
            sites = fleet.store("select site, state from rollout_sites where rollout=?", rollout)
            (state,), = fleet.store("select state from rollouts where id=?", rollout)
            busy = sum(1 for name, s in sites if s in ("ordered", "running", "undoing") and name[0] == "p")
            most = max(most, busy)
            key = {("rollout", state), *sites}
            if key - seen:
                seen |= key
                fleet.controller.kill()
                fleet.controller.start()
            if state in OVER:
                break
            if not approved and ("t1", "committed") in sites:
                approved = fleet.cli("rollout", "approve", rollout, "production", "--yes", home=self.anna, ok=None).returncode == 0
            time.sleep(0.02)
        view = fleet.wait_rollout(OVER, rollout)
        self.assertEqual(view["state"], "done", view)
        self.assertEqual(fleet.site_states(rollout),
                         {"t1": "committed", "p1": "committed", "p2": "rolled-back", "p3": "committed"})
        self.assertGreaterEqual(len(seen), 14, seen)
        self.assertLessEqual(most, 2, "more sites at work than the batch allows")
        self.upgraded("t1", "p1", "p3")
        self.assertEqual(fleet.count("p2", "stop"), 2, fleet.effects("p2"))
        self.assertEqual(fleet.compare(before, fleet.fingerprint("p2", "after.json")), "")
        attempts = fleet.store("select site, attempt from rollout_sites where rollout=?", rollout)
        self.assertEqual({a for _, a in attempts}, {1}, attempts)
        fleet.cli("audit", "verify")


if __name__ == "__main__":
    unittest.main(verbosity=2)
