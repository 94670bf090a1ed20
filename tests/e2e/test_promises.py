"""What must hold while a site is upgraded and rolled back: the start guard, the database's own properties, secrets, a small agent."""
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
from case import OneFleet  # noqa: E402

harness.need_root()

RSS_MAX_KB = 12 * 1024
TICKS_MAX = 2
CANARY = "C4n4ry-" + os.urandom(12).hex()
TOOLS = ("pg_dump", "pg_restore", "psql", "initdb", "postgres")


class Watch(threading.Thread):
    """Reads the arguments and the environment of every process of ours, over and over, while something runs."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.over, self.seen = folder, threading.Event(), {}

    def ours(self, pid):
        """The program's name when it is one of Confleet's or was started by one, else None."""
        try:
            path = os.readlink(f"/proc/{pid}/exe")
            name = os.path.basename(path)
            if path.startswith(harness.BUILD):
                return name
            if name not in TOOLS:
                return None
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return name if self.folder.encode() in f.read() or name != "postgres" else None
        except OSError:
            return None

    def look(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            name = self.ours(pid)
            if not name:
                continue
            for part in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{pid}/{part}", "rb") as f:
                        self.seen.setdefault(name, set()).add(f.read())
                except OSError:
                    pass

    def run(self):
        while not self.over.is_set():
            self.look()
            time.sleep(0.002)

    def end(self):
        self.over.set()
        self.join()
        return self.seen


class Run(OneFleet):
    """One site is upgraded and one fails and comes back; what is looked at stands in the classes' tests."""

    @classmethod
    def prepare(cls):
        fleet = cls.fleet
        fleet.site("good", db_password=CANARY)
        fleet.site("bad", seed=2, db_password=CANARY + "-2")
        fleet.fault("bad", 9116, "schema-task")
        cls.before = fleet.fingerprint("bad", "before.json")
        watch = Watch(fleet.dir)
        watch.start()
        fleet.start_controller()
        fleet.start_agent("wiki-1", ["good"])
        fleet.start_agent("wiki-2", ["bad"])
        fleet.claim("good", "wiki-1", "first")
        fleet.claim("bad", "wiki-2", "second")
        fleet.release("9.2.21", 9116)
        cls.hand = {}
        cls.upgrade_with_stops()
        plan = fleet.plan("fails", "9.2.21", ("only", {"env": "second"}, "0s"))
        cls.failed = fleet.cli("apply", plan, "--yes", ok=(5,), timeout=200)
        cls.seen = watch.end()

    @classmethod
    def upgrade_with_stops(cls):
        """The agent is frozen between steps, as long as a person needs to start Confluence by hand."""
        fleet = cls.fleet
        plan = fleet.plan("goes-well", "9.2.21", ("only", {"env": "first"}, "0s"))
        fleet.cli("apply", plan, "--yes", "--detach")
        agent = fleet.agents["wiki-1"].child
        script = os.path.join(fleet.sites["good"]["install"], "bin", "start-confluence.sh")
        for step in ("guard", "capture-database", "switch"):
            harness.wait_for(f"step {step} to be done", lambda s=step: (s, "done") in fleet.journal("wiki-1"), 120, 0.001)
            agent.send_signal(signal.SIGSTOP)
            try:
                last = fleet.journal("wiki-1")[-1]
                started = fleet.count("good", "start")
                done = subprocess.run([script], check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
                cls.hand[step] = (last, done, fleet.count("good", "start") - started)
            finally:
                agent.send_signal(signal.SIGCONT)
        cls.ended = fleet.cli("rollout", "status", "--json", timeout=200)

    def test_confluence_cannot_be_started_by_hand_during_the_switch(self):
        self.assertEqual(set(self.hand), {"guard", "capture-database", "switch"})
        for step, (last, done, started) in self.hand.items():
            with self.subTest(step):
                self.assertNotIn(last[0], ("start", "wait", "compare", "probe"), "the agent was frozen too late to tell")
                self.assertNotEqual(done.returncode, 0, done)
                self.assertIn("Confleet is upgrading this Confluence since", done.stdout + done.stderr)
                self.assertIn("confleet-agent status", done.stdout + done.stderr)
                self.assertEqual(started, 0)
        # And yet it ends well, with one stop and one start more than at first.
        self.assertEqual(self.fleet.state("good"), "RUNNING")
        self.assertEqual(self.fleet.build_of("good"), 9116)
        self.assertEqual((self.fleet.count("good", "start"), self.fleet.count("good", "stop")), (2, 1), self.fleet.effects("good"))

    def parts(self, path):
        with open(path, encoding="utf-8") as f:
            return json.load(f)["parts"]

    def test_everything_that_belongs_to_the_database_survives_a_rollback(self):
        self.assertIn("rolled back", self.failed.stdout)
        failed = [line for line in self.fleet.effects("bad") if " task-failed " in line]
        self.assertEqual(len(failed), 1, "the new version must have changed the schema before it failed")
        before, after = self.parts(self.before), self.parts(self.fleet.fingerprint("bad", "after.json"))
        itself = before["database itself"]
        self.assertEqual(itself["owner"], "bad_user")
        self.assertEqual(itself["limits"].split()[0], "61")
        self.assertIn("ask the wiki team", itself["comment"])
        self.assertIn("reporting/bad_user/CONNECT", itself["privileges"])
        self.assertEqual(sorted(key.strip() for key in before["database settings"]),
                         ["bad_user lock_timeout", "default_statistics_target", "statement_timeout"])
        self.assertGreaterEqual(len(before["database sequences"]), 4)
        self.assertTrue(any(value.startswith("1234 f") for value in before["database sequences"].values()), "one not yet called")
        self.assertGreaterEqual(len(before["database large objects"]), 4)
        self.assertTrue(any("reporting" in value for value in before["database large objects"].values()))
        self.assertTrue(any("reporting" in value for value in before["database grants"].values()))
        self.assertEqual(set(before["database owners"].values()), {"bad_user"})
        for part in before:
            with self.subTest(part):
                self.assertEqual(after.get(part), before[part])
        self.assertEqual(self.fleet.compare(self.before, os.path.join(self.fleet.dir, "after.json")), "")

    # --- secrets

    def secrets(self):
        """Every secret of the fleet by name, in the forms in which it could show itself."""
        found = {"database password": CANARY.encode()}
        for top, _, names in os.walk(self.fleet.dir):
            for name in names:
                path = os.path.join(top, name)
                if name.endswith((".key", ".join")) and not top.startswith(self.fleet.pg):
                    with open(path, encoding="utf-8") as f:
                        for line in f:
                            words = line.split()
                            if len(words) == 2 and words[0] in ("curve-secret", "sign-secret", "token"):
                                found[f"{words[0]} of {name} as hex"] = words[1].encode()
                                found[f"{words[0]} of {name}"] = bytes.fromhex(words[1])
        return found

    def test_no_secret_is_in_arguments_or_environment(self):
        for program in ("confleet-agent", "confleet-worker", "confleet-controller", "confleet", "pg_dump", "pg_restore"):
            self.assertIn(program, self.seen, "not seen, so this would prove nothing")
        secrets = self.secrets()
        self.assertGreaterEqual(len(secrets), 2 * 2 * 4 + 3)
        for program, texts in self.seen.items():
            for text in texts:
                for name, secret in secrets.items():
                    self.assertNotIn(secret, text, f"{name} in arguments or environment of {program}")

    def may_hold(self, path):
        """Files whose purpose it is to hold a secret: keys, what carries a token, the site's own and its backups."""
        inside = os.path.relpath(path, self.fleet.dir)
        return path.endswith((".key", ".join")) or inside.startswith(("pg/", "good/home/", "bad/home/")) \
            or re.match(r"agent-wiki-\d/(backup/.*\.tar\.zst$|state/runs/[^/]+/stop-home/)", inside)

    def test_no_secret_is_in_logs_reports_or_stores(self):
        for shown in self.fleet.json("rollout", "list")["rollouts"]:
            for form in ("text", "json"):
                with open(os.path.join(self.fleet.dir, f"report-{shown['id']}.{form}"), "w", encoding="utf-8") as f:
                    f.write(self.fleet.cli("report", shown["id"], "--format", form).stdout)
        for words in (("audit", "list"), ("site", "show", "good"), ("site", "show", "bad"), ("agent", "show", "wiki-1"), ("logs", "wiki-1"),
                      ("logs", "wiki-2"), ("operator", "list"), ("backup", "list")):
            with open(os.path.join(self.fleet.dir, "shown-" + "-".join(words) + ".json"), "w", encoding="utf-8") as f:
                f.write(self.fleet.cli(*words, "--json").stdout)
        secrets, looked = self.secrets(), []
        for top, _, names in os.walk(self.fleet.dir):
            for name in names:
                path = os.path.join(top, name)
                if self.may_hold(path) or not os.path.isfile(path) or os.path.islink(path):
                    continue
                with open(path, "rb") as f:
                    text = f.read()
                looked.append(name)
                for secret, value in secrets.items():
                    self.assertNotIn(value, text, f"{secret} in {path}")
        for name in ("controller.db", "agent.db", "controller.log", "agent-wiki-1.log", "agent-wiki-2.log"):
            self.assertIn(name, looked)

    def test_files_with_secrets_are_for_their_owner_alone(self):
        for top, _, names in os.walk(self.fleet.dir):
            for name in names:
                if name.endswith((".key", ".join", ".db")) or "/stop-home" in top and name.endswith(".cfg.xml"):
                    path = os.path.join(top, name)
                    self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)
        for agent in ("agent-wiki-1", "agent-wiki-2"):
            self.assertEqual(os.stat(os.path.join(self.fleet.dir, agent, "backup")).st_mode & 0o077, 0)


class Idle(OneFleet):
    @classmethod
    def prepare(cls):
        cls.fleet.site("one")
        cls.fleet.start_controller()
        cls.fleet.start_agent("wiki-1", ["one"])

    def test_an_idle_agent_is_small_and_does_nothing(self):
        pid = self.fleet.agents["wiki-1"].child.pid
        with open(f"/proc/{pid}/maps", encoding="ascii") as f:
            maps = f.read()
        if "libasan" in maps or os.path.basename(harness.BUILD) == "asan":
            self.skipTest("a build with sanitizers is neither small nor idle")
        ticks = self.ticks(pid)
        harness.wait_for("ten seconds to pass", lambda end=time.monotonic() + 10: time.monotonic() > end, 20, 0.2)
        used = self.ticks(pid) - ticks
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            rss = int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])
        print(f"idle agent: {rss} kB resident, {used} ticks in 10 s", file=sys.stderr)
        self.assertLess(rss, RSS_MAX_KB)
        self.assertLessEqual(used, TICKS_MAX)

    @staticmethod
    def ticks(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            words = f.read().rsplit(")", 1)[1].split()
        return int(words[11]) + int(words[12])


if __name__ == "__main__":
    unittest.main(verbosity=2)
