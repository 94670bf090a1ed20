#!/usr/bin/python3 -B
"""kill -9 of agent, controller, worker and its children, at each point of the runbook; and what became of the site, by the oracle.

    scripts/long kill all          every cell: who is killed x forward or back x step x position; a cell that was not hit fails the run
    scripts/long kill random N     one kill at a random moment, counted in ticks (tests/harness/points.py)
    scripts/long kill sample       some of the cells, as the suite does; kill cells: only lists them
    scripts/long kill double N     a second kill in what follows the first;   triple N: and a third

Steps come from the runbook's own table (tests/fault/runbook.c), children of the worker from an undisturbed run of it. Real programs on a real
PostgreSQL and the light stand-in: one cluster, controller, agent and site serve many cases. On the way forward the upgrade is healthy; on
the way back its schema task fails, so that everything is undone. After each case: the site is committed or rolled back as the case demands,
equal by its fingerprint to an undisturbed upgrade or to what it was; it was started and stopped no more often than the way needs; nothing is
left behind (processes, databases, locks, files), and the audit trail verifies.
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "standin"))
import fleet as harness  # noqa: E402
import long  # noqa: E402
import points as told  # noqa: E402
from kit import database, sitetool  # noqa: E402

Step = collections.namedtuple("Step", "name phase actor failure undo")
Cell = collections.namedtuple("Cell", "victim way step position")
POSITIONS = {"before-intent": "before-intent", "after-intent": "after-intent", "after-effect": "before-end", "after-done": "after-end"}
OF_WORKER = {"after-intent": "start", "after-effect": "result"}
WAYS = {"forward": "act", "back": "undo"}
OUTCOMES = {1: "committed", 2: "rolled-back", 3: "not-ready", 4: "held"}
ENDS = ("committed", "rolled-back", "not-ready", "held", "refused", "failed")
NEW, NEW_BUILD, OLD_BUILD = "9.2.21", 9116, 9109
TIMED = {("database rows", "public.confversion"), ("install files", ".confleet/tree")}      # hold times of the upgrade
ALWAYS = ("agent forward verify after-effect",)        # what went wrong once
LONGEST_STEP_MS = 24 * 3600 * 1000


def steps():
    """The runbook's table, from the code."""
    lines = harness.run(os.path.join(harness.BUILD, "tests", "runbook")).stdout.splitlines()
    return [Step(*line.split()) for line in lines]


def cases(table):
    """Name of each case and its cells, children of the worker apart. The controller and what is only stopped go through several in one run."""
    found = {}
    for way in WAYS:
        there = [step for step in table.values() if way == "forward" or step.undo == "undo"]
        for step in there:
            for position in POSITIONS:
                found[f"agent {way} {step.name} {position}"] = [Cell("agent", way, step.name, position)]
            found[f"controller {way} {step.name}"] = [Cell("controller", way, step.name, position) for position in POSITIONS]
            if step.actor == "worker":
                for position in OF_WORKER:
                    found[f"worker {way} {step.name} {position}"] = [Cell("worker", way, step.name, position)]
                found[f"stopped-worker {way} {step.name}"] = [Cell("stopped-worker", way, step.name, "after-intent")]
        order = there if way == "forward" else reversed(there)
        later = [step.name for step in order if step.phase != "prepare" or way == "back"]
        for victim in ("stopped-agent", "stopped-controller"):
            found[f"{victim} {way}"] = [Cell(victim, way, name, "after-intent") for name in later]
    return found


def point_of(cell):
    if cell.victim in ("worker", "stopped-worker"):
        return f"worker {OF_WORKER[cell.position]} {cell.step} {WAYS[cell.way]}"
    if cell.victim == "client":
        program, when = cell.position.split(":")
        return f"client {program} {when} {cell.step} {WAYS[cell.way]}"
    return f"agent {POSITIONS[cell.position]} {cell.step} {WAYS[cell.way]}"


def endings(cell, table):
    """How the site may end, with nothing but this gone wrong."""
    step = table[cell.step]
    if cell.way == "back":
        return {"rolled-back"}
    if cell.victim == "client" or cell.victim == "stopped-worker":
        failed = "not-ready" if step.phase in ("prepare", "protect") else "committed" if step.failure == "note" else "rolled-back"
        return {failed, "committed"} if cell.victim == "client" else {failed}
    return {"committed"}


class Slot:
    """One cluster, controller, agent and site, which one case after the other uses."""

    def __init__(self, number):
        self.fleet = harness.Fleet(f"kill-{number}")
        try:
            self.prepare()
        except BaseException:
            self.close()
            raise

    def close(self):
        for process in [self.fleet.controller, *self.fleet.agents.values()]:
            if process:
                process.kill()
        self.fleet.close(keep=bool(os.environ.get("CONFLEET_KEEP")))

    def prepare(self):
        fleet = self.fleet
        self.points, self.controllers = (told.Points(os.path.join(fleet.dir, "points-" + n)) for n in ("agent", "controller"))
        fleet.site("one", small=True, start=False)
        self.folder = os.path.join(fleet.dir, "one")
        self.about = sitetool.load(fleet.dir, "one")
        self.golden = os.path.join(fleet.dir, "golden")
        os.makedirs(self.golden)
        for name in ("install", "home"):
            harness.run("/usr/bin/cp", "-a", os.path.join(self.folder, name), self.golden)
        fleet.sql("postgres", "create database golden template one")
        fleet.start_site("one")
        fleet.start_controller()
        self.controller = self.through(fleet.controller, self.controllers)
        worker = os.path.join(fleet.dir, "worker")
        with open(worker, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexec " + " ".join(self.points.words()) + f" '{fleet.program('confleet-worker')}' \"$@\"\n")
        os.chmod(worker, 0o755)
        fleet.start_agent("wiki", ["one"], worker=worker, start_timeout="20s", stop_timeout="20s")
        self.agent = self.through(fleet.agents["wiki"], self.points)
        fleet.claim("one", "wiki")
        fleet.release(NEW, NEW_BUILD, small=True)
        self.state = os.path.join(fleet.dir, "agent-wiki", "state")
        self.backup = os.path.join(fleet.dir, "agent-wiki", "backup")
        self.way, self.last, self.number, self.undisturbed, self.census = None, None, 0, {}, {}

    @staticmethod
    def through(process, points):
        process.kill()
        process.command = points.words() + process.command
        process.start()
        return process

    # --- the site

    def reset(self, way):
        """The site as it was made, told to fail or not, and an agent that has seen it so."""
        fleet = self.fleet
        self.way = None
        self.agent.stop()
        sitetool.script(self.about, "stop-confluence.sh")
        fleet.kill_site("one")
        for name in os.listdir(self.folder):
            if name != "site.json":
                path = os.path.join(self.folder, name)
                shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        for name in ("install", "home"):
            harness.run("/usr/bin/cp", "-a", os.path.join(self.golden, name), self.folder)
        for folder in (self.backup, os.path.join(self.state, "runs"), os.path.join(self.state, "artifacts")):
            shutil.rmtree(folder, ignore_errors=True)
        if way == "back":
            fleet.fault("one", NEW_BUILD, "schema-task")
        for name in fleet.sql("postgres", "select datname from pg_database where datname = 'one' or datname like '%confleet%'").split():
            fleet.sql("postgres", f'drop database "{name}" with (force)')
        database.create(sitetool.Site(**self.about), "golden")
        code, text = sitetool.script(self.about, "start-confluence.sh")
        if code != 0:
            raise AssertionError(f"the site does not start: {text}")
        sitetool.wait(self.about, "RUNNING")
        self.agent.start()
        harness.wait_for("the agent to see the old version", self.seen_old, 30, 0.05)
        self.before = fleet.fingerprint("one", f"before-{way}.json")
        self.way = way

    def seen_old(self):
        shown = self.fleet.json("agent", "show", "wiki")["agent"]
        mine = [i["installation"] for i in shown.get("installations", []) if i["installation"]["install"] == self.about["install"]]
        return shown.get("online") and [i.get("version") for i in mine] == ["9.2.13"]

    # --- a case

    def begin(self, way, **more):
        if self.way != way:
            self.reset(way)
        self.number += 1
        self.began_ms = time.time() * 1000
        self.at_end = False              # who dies behind the run's last word leaves the release to the expiry
        self.points.clear()
        self.controllers.clear()
        self.run_before = self.last_run()[0]
        self.held = self.inventory()
        with open(os.path.join(self.fleet.dir, "one.effects"), "w", encoding="ascii"):
            pass
        self.plan = self.fleet.plan(f"try-{self.number}", NEW, ("first", {"env": "production"}, "0s"), **more)

    def apply(self):
        self.rollout = self.fleet.apply(self.plan)

    def last_run(self):
        """(number, outcome) of the agent's newest run, read beside its owner."""
        import sqlite3
        base = sqlite3.connect(f"file:{self.state}/agent.db?mode=ro", uri=True, timeout=5)
        try:
            return base.execute("select number, outcome from runs order by number desc limit 1").fetchone() or (0, 0)
        finally:
            base.close()

    def over(self):
        number, outcome = self.last_run()
        return number > self.run_before and outcome != 0

    def wait_stop(self, points=None, seconds=60):
        pid = (points or self.points).wait(self.over, seconds)
        end = time.monotonic() + 0.5             # the commit that ended the run may be the point
        while not pid and time.monotonic() < end:
            pid = (points or self.points).stopped()
            time.sleep(0.01)
        return pid

    def again(self, process):
        process.kill()
        process.start()

    def finish(self):
        """The end that the agent's journal and the controller agree on."""
        try:
            harness.wait_for("the agent's run to end", self.over, 90, 0.02)
            harness.wait_for("the rollout to end", self.told, 150, 0.1)    # an agent that lost its controller tries again after up to a minute
        except AssertionError as error:
            raise long.Violation(f"it never ends: {error}\n{self.log()}") from None
        outcome = OUTCOMES[self.last_run()[1]]
        if self.told()["state"] != outcome:
            raise long.Violation(f"the agent's run is {outcome}, the controller says {self.told()}")
        return outcome

    def told(self):
        view = self.fleet.rollout(self.rollout)
        site = view["sites"][0] if view and view.get("sites") else {}
        return site if site.get("state") in ENDS else None

    def log(self):
        return "\n".join(line for line in self.agent.text().splitlines()[-15:])

    # --- what is there afterwards

    def inventory(self):
        """What lies about, by names whose numbers are taken out."""
        found = collections.Counter()
        for top, depth in ((self.folder, 1), (self.state, 3), (self.backup, 3)):
            for folder, names, files in os.walk(top):
                level = folder[len(top):].count("/")
                if level >= depth:
                    names.clear()
                    continue
                for name in names + files:
                    if name in ("install", "home") and top == self.folder:
                        continue
                    path = os.path.relpath(os.path.join(folder, name), self.fleet.dir)
                    if not re.search(r"agent\.db|/ballast$|/inbox$|/backup/install-\w+(/lock)?$", path):
                        found[re.sub(r"\d{8}T\d{6}Z?|[0-9a-f]{8,}|\d{6,}|(?<=Z)-\w{6}\b", "#", path)] += 1
        for name in self.fleet.sql("postgres", "select datname from pg_database").split():
            found["database " + re.sub(r"[0-9a-f]{8,}", "#", name)] += 1
        return found

    def processes(self):
        """Commands of processes of this fleet that should not be there any more."""
        mine, left = {self.agent.child.pid, self.controller.child.pid, os.getpid()}, []
        try:
            with open(os.path.join(self.folder, "install", "work", "catalina.pid"), encoding="ascii") as f:
                mine.add(int(f.read()))
        except (OSError, ValueError):
            pass
        with open(os.path.join(self.fleet.pg, "data", "postmaster.pid") if os.path.exists(os.path.join(self.fleet.pg, "data")) else
                  os.path.join(self.fleet.pg, "postmaster.pid"), encoding="ascii") as f:
            postmaster = int(f.readline())
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().replace(b"\0", b" ").decode(errors="replace")
                with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as f:
                    mapped = self.points.path in f.read()
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                    parent = int(f.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if int(pid) in mine or int(pid) == postmaster or parent in (postmaster, os.getpid()):
                continue
            if mapped or self.fleet.dir in words:
                left.append(f"{pid} {words[:200]}")
        return left

    def check(self, cell_name, allowed, clean=True):
        """Law 3, by the oracle; raises Violation."""
        fleet, ended = self.fleet, self.finish()
        def bad(text):
            raise long.Violation(f"{cell_name}: {ended}: {text}\n{self.journal()}\n{self.log()}")
        if ended not in allowed:
            bad(f"may end {sorted(allowed)}, and ended {self.told()}")
        harness.wait_for("the workers to end", lambda: not fleet.worker_pid("wiki"), 30, 0.02)
        if (state := fleet.state("one")) != "RUNNING":
            bad(f"/status says {state}")
        if fleet.build_of("one") != (NEW_BUILD if ended == "committed" else OLD_BUILD):
            bad(f"the database is at build {fleet.build_of('one')}")
        starts, stops = fleet.count("one", "start"), fleet.count("one", "stop")
        most = {"committed": (1, 1), "rolled-back": (2, 2), "not-ready": (0, 0)}[ended]
        if starts > most[0] or stops > most[1] or (ended == "committed" and (starts, stops) != most):
            bad(f"{starts} starts and {stops} stops: {fleet.effects('one')}")
        after = fleet.fingerprint("one", "after.json")
        reference = self.undisturbed["committed"]["fingerprint"] if ended == "committed" else self.before
        if different := differences(reference, after) if ended == "committed" else fleet.compare(reference, after):
            bad(f"the site differs from {reference}:\n{different[:4000]}")
        self.check_left(ended, bad, clean)
        if ended == "committed" and clean:
            try:
                harness.wait_for("both backups of this run to be proven", self.proven, 20, 0.2)
            except AssertionError as error:
                bad(str(error))
        done = fleet.cli("audit", "verify", ok=None)
        if done.returncode != 0:
            bad(f"audit: {done.stdout}{done.stderr}")
        if ended == "committed":
            self.way = None
        return ended

    def proven(self):
        """The hot backup and the capture of the stop, told to the controller as restored."""
        mine = [b for b in self.fleet.json("backup", "list").get("backups", []) if int(b.get("finishedMs", 0)) >= self.began_ms]
        return {b["kind"] for b in mine} == {"hot", "stop"} and all("RESTORED" in b.get("level", "").upper() for b in mine)

    def check_left(self, ended, bad, clean):
        """Nothing is left that an undisturbed run does not leave; the last tidying may take a moment."""
        expected = self.undisturbed.get(ended, {}).get("left")
        def left():
            changed = self.inventory()
            changed.subtract(self.held)
            changed = {k: v for k, v in changed.items() if v and not (self.at_end and "/artifacts/" in k)}
            if expected is not None and clean:
                return [f"{k}: {v:+d}, undisturbed {expected.get(k, 0):+d}" for k, v in changed.items() if expected.get(k, 0) != v] + \
                       [f"{k}: nothing, undisturbed {v:+d}" for k, v in expected.items() if k not in changed]
            # The capture's only copy, and it says so; or the commit did not get to drop it, which the expiry then does.
            kept = "kept: its dump was not proven" in self.agent.text() or "\ncommit failed" in self.journal()
            return [k for k in changed if re.search(r"partial|\.copy|\.new$|^database ", k) and not (kept and "copy" in k)]
        def unclean():
            return left() + self.processes()
        try:
            harness.wait_for("nothing to be left", lambda: not unclean(), 8, 0.1)
        except AssertionError:
            bad("left behind: " + "; ".join(unclean()))
        locks = self.fleet.sql("postgres", "select count(*) from pg_locks where locktype = 'advisory'")
        slots = self.fleet.sql("postgres", "select (select count(*) from pg_prepared_xacts) + (select count(*) from pg_replication_slots)")
        if (locks, slots) != ("0", "0"):
            bad(f"{locks} advisory locks, {slots} prepared transactions or slots")
        status = harness.run(self.fleet.program("confleet-agent"), "status", "--config", self.agent.config, ok=None)
        if status.returncode != 0:
            bad(f"confleet-agent status ends with {status.returncode}: {status.stdout[-1500:]}")

    def journal(self):
        import sqlite3
        base = sqlite3.connect(f"file:{self.state}/agent.db?mode=ro", uri=True, timeout=5)
        try:
            rows = base.execute("select step, event, message from steps where run=(select id from runs order by number desc limit 1) order by seq")
            return "\n".join(" ".join(row)[:300] for row in rows)
        finally:
            base.close()

    # --- an undisturbed run of either way, which the others are compared with

    def measure(self, way):
        self.begin(way)
        self.points.begin_list()
        self.apply()
        ended = self.finish()
        harness.wait_for("the workers to end", lambda: not self.fleet.worker_pid("wiki"), 30, 0.02)
        named, ticks = self.points.end_list(), self.points.ticks()
        if ended != ("committed" if way == "forward" else "rolled-back"):
            raise AssertionError(f"undisturbed, {way}: {ended}\n{self.journal()}\n{self.log()}")
        path = self.fleet.fingerprint("one", f"undisturbed-{way}.json")
        left = None
        def settled():
            nonlocal left
            now = self.inventory()
            now.subtract(self.held)
            now = {k: v for k, v in now.items() if v}
            same, left = now == left, now
            return same
        harness.wait_for("what is left to be settled", settled, 20, 0.5)
        self.undisturbed[ended] = {"fingerprint": path, "left": left}
        self.way = None if way == "forward" else way
        return {"named": named, "ticks": ticks}

    # --- faults

    def reach(self, cell):
        pid = self.wait_stop()
        if not pid:
            raise long.Violation(f"the point '{point_of(cell)}' was not reached\n{self.journal()}")
        return pid

    def fault(self, cell, pid, following, table):
        """What the case is about, done to whoever stopped; the order for the next point is given before it goes on."""
        def onward():
            if following:
                self.points.at(point_of(following))
            os.kill(pid, signal.SIGCONT)
        self.at_end = self.over()
        late = steps_order(table, cell.step) >= steps_order(table, "stop") or cell.way == "back"
        if cell.victim == "agent":
            self.again(self.agent)
        elif cell.victim in ("worker", "client"):
            os.kill(pid, signal.SIGKILL)
        elif cell.victim == "controller":
            self.controller.kill()
            onward()
            if late and not following:   # past the stop it needs nobody
                self.alone()
            self.controller.start()
        elif cell.victim == "stopped-worker":
            self.points.later(LONGEST_STEP_MS + 1000)
            harness.wait_for("the deadline to be noticed", lambda: pending_term(pid) or not told.state_of(pid), 10, 0.01)
            self.points.later(11000)
        elif cell.victim == "stopped-agent":
            harness.wait_for("the controller to call the site silent", self.silent, 20, 0.1)
            self.points.later(3600 * 1000)
            onward()
        elif cell.victim == "stopped-controller":
            self.controller.child.send_signal(signal.SIGSTOP)
            self.points.later(600 * 1000)
            onward()
            if late and not following:
                self.alone()
            self.controller.child.send_signal(signal.SIGCONT)

    def silent(self):
        view = self.fleet.rollout(self.rollout)
        return view and view.get("sites") and view["sites"][0]["state"] == "silent"

    def alone(self):
        try:
            harness.wait_for("the agent to end alone", self.over, 90, 0.02)
        except AssertionError as error:
            raise long.Violation(f"without a controller it does not end: {error}\n{self.journal()}\n{self.log()}") from None

    def case(self, cells, table):
        first = cells[0]
        self.begin(first.way, **({"silence": "2s"} if first.victim == "stopped-agent" else {}))
        self.points.at(point_of(first))
        self.apply()
        for cell, following in zip(cells, cells[1:] + [None]):
            self.fault(cell, self.reach(cell), following, table)
        name = " ".join(first if len(cells) == 1 else first[:3])
        self.check(name, endings(first, table), clean=first.victim not in ("client", "stopped-worker"))
        return {" ".join(cell): 1 for cell in cells}

    def random(self, way, dice, ticks, kills):
        """So many kills, each at a random tick of what follows the one before. Answers where they were."""
        self.begin(way)
        self.points.at_tick(dice.randrange(1, ticks + 1))
        self.apply()
        where = []
        for number in range(kills):
            pid = self.wait_stop()
            if not pid:
                break
            victim = dice.choice(("whoever", "whoever", "agent", "controller"))
            where.append(f"{victim} at {self.points.where()}")
            if number + 1 < kills:       # what follows is shorter than the whole
                self.points.at_tick(dice.randrange(1, max(2, ticks // 2)))
            if victim == "agent" or (victim == "whoever" and pid == self.agent.child.pid):
                self.again(self.agent)
            elif victim == "whoever":
                os.kill(pid, signal.SIGKILL)
            else:
                self.again(self.controller)
                os.kill(pid, signal.SIGCONT)
        if not where:
            raise long.Violation("nothing was reached")
        allowed = {"rolled-back", "not-ready"} | ({"committed"} if way == "forward" else set())
        self.check(f"{way}: " + "; ".join(where), allowed, clean=False)
        return {f"{len(where)} kills": 1}


def differences(one, two):
    """Between two sites that were upgraded at different times; empty when there are none but in times."""
    def content(path):
        with open(path, encoding="utf-8") as f:
            parts = json.load(f)["parts"]
        return {(part, key): re.sub(r"mtime=\S+", "", value) for part, items in parts.items() for key, value in items.items()
                if not part.endswith("folder times") and (part, key) not in TIMED}
    old, new = content(one), content(two)
    return "\n".join(f"{key}: was {old.get(key)}, is {new.get(key)}" for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key))


def steps_order(table, name):
    return list(table).index(name)


def pending_term(pid):
    """Whether a stopped process has a SIGTERM waiting for it."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            found = re.search(r"^ShdPnd:\s*([0-9a-f]+)", f.read(), re.M)
    except OSError:
        return True
    return bool(int(found[1], 16) & 1 << signal.SIGTERM - 1)


class Slots:
    """As many as there are cases at a time; one in which a case went wrong is not used again."""

    def __init__(self):
        self.lock, self.free, self.number = threading.Lock(), [], 0

    def take(self, way):
        with self.lock:
            self.number += 1
            number = self.number
            self.free.sort(key=lambda slot: slot.last == way)
            if self.free:
                return self.free.pop()
        return Slot(number)

    def one(self, way, use):
        slot = self.take(way)
        try:
            if way not in slot.census:
                slot.census[way] = slot.measure(way)
            slot.last = way
            told = use(slot)
        except BaseException:
            slot.close()
            raise
        with self.lock:
            self.free.append(slot)
        return told

    def close(self):
        for slot in self.free:
            slot.close()


def census(slots, args):
    """What an undisturbed run comes by; kept, so that a run which goes on later has the same cells."""
    work = os.path.join(os.environ.get("CONFLEET_WORK", "/var/tmp/confleet"), "long")
    path = os.path.join(work, f"kill-census-{long.commit()}.json")
    if os.path.exists(path) and not args.again:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    found = {way: slots.one(way, lambda slot: slot.census[way]) for way in WAYS}
    os.makedirs(work, exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(found, f)
    return found


def client_cases(found, table):
    """A case for each child of the worker, by what an undisturbed run comes by."""
    made = {}
    for way, act in WAYS.items():
        for line in dict.fromkeys(found[way]["named"]):
            words = line.split(" ")
            if words[0] == "client" and len(words) == 5 and words[3] in table and words[4] == act:
                made[f"client {way} {words[3]} {words[1]}:{words[2]}"] = [Cell("client", way, words[3], f"{words[1]}:{words[2]}")]
    return made


def sample(seed, table):
    """Some of all cases, of each kind and way; forward and back take turns, so that two at a time need no site anew."""
    every = cases(table)
    chosen = {name: every[name] for name in ALWAYS}
    for program in ("pg_dump:end", "pg_restore:begin"):
        every[f"client forward verify {program}"] = [Cell("client", "forward", "verify", program)]
    dice = random.Random(long.chance(seed, "sample"))
    for victim, count in (("agent", 3), ("controller", 1), ("worker", 1), ("stopped-worker", 1), ("client", 1)):
        for _ in range(count):
            for way in WAYS:
                left = [name for name, case in every.items() if case[0][:2] == (victim, way) and name not in chosen]
                if left:
                    name = dice.choice(left)
                    chosen[name] = every[name]
    return chosen


def own_processes():
    """Begins anew in a PID namespace, where an agent sees nobody else's sites and nothing outlives the test."""
    if os.environ.get("CONFLEET_OWN_PIDS") or not harness.namespaces():
        return
    os.environ["CONFLEET_OWN_PIDS"] = "yes"
    script = '"$0" -B "$@" & wait $!'
    os.execv("/usr/bin/unshare", ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/bash", "-c", script, harness.PYTHON, *sys.argv])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("all", "random", "double", "triple", "cells", "sample"))
    parser.add_argument("count", type=int, nargs="?", default=50)
    args = long.arguments(parser).parse_args()
    harness.need_root()
    own_processes()
    os.environ["CONFLEET_QUIET"] = "1"
    table = {step.name: step for step in steps()}
    slots, name = Slots(), "kill " + args.what
    try:
        if args.what in ("all", "cells", "sample"):
            by_name = sample(args.seed, table) if args.what == "sample" else {**cases(table), **client_cases(census(slots, args), table)}
            names = list(by_name) if args.what == "sample" else sorted(by_name, key=lambda n: (by_name[n][0].way, n))
            if args.what == "cells":
                print("\n".join(" ".join(cell) for case in names for cell in by_name[case]))
                return 0
            def one(case):
                return slots.one(by_name[case][0].way, lambda slot: slot.case(by_name[case], table))
            status, hits, ending = long.run(name, names, one, args)
            every = [" ".join(cell) for case in names for cell in by_name[case] if args.only in (None, case)]
            for cell in every:
                print(f"{hits.get(cell, 0):4d}  {cell}")
            missed = [cell for cell in every if not hits.get(cell)]
            if missed:
                print(f"{len(missed)} of {len(every)} cells were not hit")
                status = 1
        else:
            kills = {"random": 1, "double": 2, "triple": 3}[args.what]
            ticks = {way: found["ticks"] for way, found in census(slots, args).items()}
            names = [str(number) for number in range(args.count)]
            def one(case):
                dice = random.Random(long.chance(args.seed, args.what, case))
                way = dice.choice(sorted(WAYS))
                return slots.one(way, lambda slot: slot.random(way, dice, ticks[way], kills))
            status, hits, ending = long.run(name, names, one, args)
            for cell, count in sorted(hits.items()):
                print(f"{count:4d} cases with {cell}")
    finally:
        slots.close()
    print(ending)
    return status


if __name__ == "__main__":
    sys.exit(main())
