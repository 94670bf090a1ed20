#!/usr/bin/python3 -B
"""Power cuts: of the server with agent, site and PostgreSQL, of the controller, and of both; and what stands afterwards.

    scripts/long power N [--without-fsync]

Each has a disk of its own (tests/harness/machine.py). A case: a rollout runs; at a point of the agent's journal, on the way forward or back,
or at a random moment, all processes are stopped at one moment, what they had said by then is read, the file system of who is cut is shut
down by the kernel with or without its journal's memory, and its processes are killed. Then the disk is mounted again. Before anything starts,
all that was told must be in journal and store: steps, runs, orders and memos of the agent, events that the controller had taken, records of
the audit trail, what an operator was told is done. Then the machine boots: PostgreSQL, Confluence by its service, the agent; or the
controller. In some cases the power fails again meanwhile. In the end the site must be in one of law 3's states by /status, build numbers and
the fingerprint, the same for agent and controller, with nothing left behind and an audit trail that verifies.

--without-fsync: programs that sync nothing (tests/fault/nosync.c). Such a run must find violations; it says that the test can fail.
"""
import collections
import contextlib
import hashlib
import json
import os
import queue
import random
import re
import shutil
import socket
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import fleet as harness  # noqa: E402
import long  # noqa: E402
import machine  # noqa: E402

PREFIX = "cf-power-"
NEW, NEW_BUILD, OLD_BUILD = "9.2.21", 9116, 9109
OUTCOMES = {1: "committed", 2: "rolled-back", 3: "not-ready", 4: "held"}
TOLD = {   # table: columns that say which row it is, columns that say what; rows are never taken back
    "agent.db": {"steps": ("seq", "run, step, event"), "runs": ("id", "outcome"), "orders": ("id", "code, done"), "memo": ("run, key", "value"),
                 "meta": ("key", "value"), "outbox": ("seq", "length(bytes)"), "store_head": ("one", "seq, hash")},
    "controller.db": {"audit": ("seq", "who, what, detail, hash"), "agents": ("name", "event_seq"), "orders": ("id", "acked_ms > 0"),
                      "rollouts": ("id", "serial"), "rollout_sites": ("rollout, site", "attempt, state"), "labels": ("site, key", "value"),
                      "steps": ("rollout, site, attempt, step, undo", "state"), "backups": ("agent, id", "length(event)"),
                      "meta": ("key", "value")}}
OF_A_RUN = {("database rows", "public.confversion"), ("install files", ".confleet/tree")}     # when it was installed, and by which run
Case = collections.namedtuple("Case", "name victims way point cuts")


def why_not():
    """Why this cannot be run here; None when it can. Mounts are the process's own from here on."""
    if os.geteuid() != 0:
        return "needs root"
    try:
        machine.own_mounts()
        machine.sweep(PREFIX)
        folder, held = machine.own_folder(PREFIX)
    except OSError as error:
        return str(error)
    try:
        disk = machine.Disk(os.path.join(folder, "try.img"), os.path.join(folder, "try"), 16)
        disk.make()
        disk.mount()
        machine.Machine(folder, "try", disk).off()
        disk.cut()
        disk.unmount()
    except Exception as error:      # no loop devices, no mount, no shutdown of a file system, no namespaces
        return "no file system of its own: " + (getattr(error, "stderr", None) or str(error)).strip()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)
    return None


def steps():
    """(step, has an undo) from the runbook's own table, so that no new step is forgotten."""
    with open(os.path.join(harness.ROOT, "agent", "core", "runbook.h"), encoding="utf-8") as f:
        found = re.findall(r'X\(\w+, +"([\w-]+)", +"[^"]+", +\w+, +\d, +\w+, +([01]),', f.read())
    return [(name, undo == "1") for name, undo in found]


def points():
    """(way, point) of every step, forward and back."""
    ended = {"soak": "soak-over"}
    forward = [("forward", f"{event} {name}") for name, _ in steps() for event in ("intent", ended.get(name, "done"))]
    return forward + [("back", f"{event} {name}") for name, undo in steps() if undo for event in ("undo-intent", "undone")]


def cases(seed, count):
    """So many of them; every third at a random moment, the others at the points in a random order, each before any comes again."""
    dice, waiting, made = random.Random(long.chance(seed, "power", "cases")), [], []
    for number in range(count):
        if number % 3 == 2:
            way, point = dice.choice(("forward", "back")), "any moment"
        else:
            if not waiting:
                waiting = points()
                dice.shuffle(waiting)
            way, point = waiting.pop()
        victims = dice.choices(("server", "controller", "both"), (55, 20, 25))[0]
        cuts = dice.choices((1, 2, 3), (70, 22, 8))[0]
        made.append(Case(f"{number} {victims} {way}, {point}, {cuts} cut{'s' * (cuts > 1)}", victims, way, point, cuts))
    return made


def seen(lines, point):
    """Is the journal there?"""
    if point.startswith("undo"):
        turned = next((n for n, (_, event) in enumerate(lines) if event in ("failed", "rollback-ordered")), None)
        lines = [] if turned is None else lines[turned + 1:]
    event, step = point.replace("undo-", "").split(" ")
    return (step, event) in lines


def free(ports):
    """Is nobody there?"""
    try:
        for port in ports:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", int(port)))
    except OSError:
        return False
    return True


def over(lines):
    """Has the run ended, by what it does last?"""
    return bool(lines) and lines[-1] in (("commit", "done"), ("unpack", "undone"))


def read_base(path):
    """{table: {key: value}} of what its readers see."""
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)
    try:
        base.execute("begin")
        found = {}
        for table, (keys, values) in TOLD[os.path.basename(path)].items():
            width = keys.count(",") + 1
            found[table] = {row[:width]: row[width:] for row in base.execute(f"select {keys}, {values} from {table}")}
        return found
    finally:
        base.close()


def read_disk(path):
    """The same of files that nobody has open; they are left as they are."""
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", "-wal"):
            if os.path.exists(path + ending):
                shutil.copy(path + ending, folder)
        copy = os.path.join(folder, os.path.basename(path))
        base = sqlite3.connect(copy)
        try:
            said = base.execute("pragma integrity_check").fetchone()[0]
            if said != "ok":
                raise long.Violation(f"{path} is damaged: {said}")
            return read_base(copy)
        except sqlite3.Error as error:
            raise long.Violation(f"{path} cannot be read after the cut: {error}") from None
        finally:
            base.close()


def unlike(one, two):
    """Where two upgraded sites differ: in all but times, and what a run writes of itself."""
    def read(path):
        with open(path, encoding="utf-8") as f:
            parts = json.load(f)["parts"]
        return {(part, key): re.sub(r"mtime=\S+", "", json.dumps(value)) for part, items in parts.items() for key, value in items.items()
                if not part.endswith(" times") and (part, key) not in OF_A_RUN}
    old, new = read(one), read(two)
    return "\n".join(f"{part}: {key}: was {old.get((part, key))}, is {new.get((part, key))}" for part, key in sorted(old.keys() | new.keys())
                     if old.get((part, key)) != new.get((part, key)))


class World(harness.Fleet):
    """A server and a controller, made once; each case begins with copies of their disks."""

    def __init__(self, synced=True, folder=None):
        """With a folder it is kept there for the next time, undisturbed runs and all."""
        self.dir, self.held = machine.own_folder(PREFIX, folder)
        self.sites, self.agents, self.processes, self.crowd, self.controller = {}, {}, [], set(), None
        self.server = machine.Disk(os.path.join(self.dir, "server.img"), os.path.join(self.dir, "server"), 900)
        self.central = machine.Disk(os.path.join(self.dir, "controller.img"), os.path.join(self.dir, "controller"), 300)
        self.pg = os.path.join(self.world, "pg")
        self.synced, self.machines, self.undisturbed, self.before = synced, {}, {}, {}
        try:
            if not folder or not self.kept():
                self.prepare()
            for way in ("forward", "back") if folder else ():
                self.keep()
                if way not in self.undisturbed:
                    self.measure(way)
            if folder:
                self.keep()
        except BaseException:
            self.close()
            raise

    KEPT = ("pg_port", "sites", "commands", "config", "operator", "undisturbed", "before")

    def keep(self):
        with open(os.path.join(self.dir, "made.json"), "w", encoding="utf-8") as f:
            json.dump({"programs": self.programs(), **{name: getattr(self, name) for name in self.KEPT}}, f)

    def programs(self):
        digest = hashlib.sha256()
        for name in ("confleet-agent", "confleet-worker", "confleet-controller", "confleet"):
            with open(self.program(name), "rb") as f:
                digest.update(f.read())
        return digest.hexdigest()

    def kept(self):
        """Whether it was made before, by the same programs, and its ports are nobody's meanwhile."""
        path = os.path.join(self.dir, "made.json")
        if not os.path.exists(path):
            for name in set(os.listdir(self.dir)) - {machine.LOCK, "server", "controller"}:
                path = os.path.join(self.dir, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            return False
        with open(path, encoding="utf-8") as f:
            made = json.load(f)
        if made["programs"] != self.programs() or not free([made["pg_port"]] + [site["http"] for site in made["sites"].values()]):
            os.unlink(path)
            return self.kept()
        for name in self.KEPT:
            setattr(self, name, made[name])
        return True

    @property
    def world(self):
        return self.server.place

    def close(self, keep=False):
        self.off()
        for process in reversed(self.processes):
            process.kill()
        if self.processes:
            harness.run(harness.PYTHON, os.path.join(harness.STANDIN, "site"), "stop", "one", "--root", self.world, ok=None)
            harness.run(harness.PYTHON, os.path.join(harness.STANDIN, "pg"), "stop", self.pg, ok=None)
        for disk in (self.server, self.central):
            disk.unmount()
        if not keep and not os.path.exists(os.path.join(self.dir, "made.json")):
            shutil.rmtree(self.dir, ignore_errors=True)
        os.close(self.held)

    def disk(self, name):
        return {"server": self.server, "controller": self.central}[name]

    def off(self):
        for booted in self.machines.values():
            booted.off()
        self.machines = {}

    def prepare(self):
        for disk in (self.server, self.central):
            disk.make()
            disk.mount()
        os.chmod(self.central.place, 0o700)
        for disk in (self.server, self.central):
            os.rmdir(os.path.join(disk.place, "lost+found"))
        harness.run(harness.PYTHON, os.path.join(harness.STANDIN, "pg"), "start", self.pg, "--durable")
        with open(os.path.join(self.pg, "port"), encoding="ascii") as f:
            self.pg_port = int(f.read())
        self.site("one", small=True)
        self.start_controller()
        self.start_agent("wiki", ["one"], worker=self.worker(), reserve="8M", start_timeout="60s", stop_timeout="60s")
        self.claim("one", "wiki")
        self.release(NEW, NEW_BUILD, small=True)
        self.plan("spring", NEW, ("first", {"env": "production"}, "1s"))
        self.commands = {"controller": self.controller.command, "agent": self.agents["wiki"].command}
        self.config = self.agents["wiki"].config
        for process in (self.agents["wiki"], self.controller):
            process.stop()
        self.stop_site("one")
        harness.run(harness.PYTHON, os.path.join(harness.STANDIN, "pg"), "stop", self.pg)
        self.processes = []
        self.central.unmount()
        self.central.copy_to(self.image("controller"))
        self.server.unmount()
        self.server.copy_to(self.image("forward"))
        self.server.mount()
        self.fault("one", NEW_BUILD, "schema-task")
        self.server.unmount()
        self.server.copy_to(self.image("back"))

    def worker(self):
        path = os.path.join(self.dir, "worker")
        with open(path, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexec " + " ".join(self.preload()) + f" '{self.program('confleet-worker')}' \"$@\"\n")
        os.chmod(path, 0o755)
        return path

    def preload(self):
        return [] if self.synced else ["/usr/bin/env", "LD_PRELOAD=" + os.path.join(harness.BUILD, "tests", "libnosync.so")]

    def image(self, name):
        return os.path.join(self.dir, f"made-{name}.img")

    # --- machines

    def boot(self, name, dice):
        booted = self.machines[name] = machine.Machine(self.dir, name, self.disk(name))
        if name == "controller":
            booted.start(os.path.join(self.dir, "controller.log"), *self.preload(), *self.commands["controller"])
            return
        pid = os.path.join(self.pg, "data", "postmaster.pid")
        if os.path.exists(pid):
            os.unlink(pid)                  # as the distribution's start script does at boot
        status = booted.run(harness.PYTHON, os.path.join(harness.STANDIN, "pg"), "start", self.pg)
        if status != 0:
            raise AssertionError("PostgreSQL does not come up after the cut")
        # The service and the agent, in the order that the boot happens to have. A guarded installation refuses.
        script = os.path.join(self.sites["one"]["install"], "bin", "start-confluence.sh")
        starts = [lambda: booted.start(os.path.join(self.dir, "service.log"), script) if os.path.exists(script) else None,
                  lambda: booted.start(os.path.join(self.dir, "agent.log"), *self.preload(), *self.commands["agent"])]
        dice.shuffle(starts)
        for start in starts:
            start()

    def begin(self, way, dice):
        """Both up, on the disks as they were made."""
        self.off()
        options = dice.choice(((), ("commit=1",), ("commit=60",)))
        for disk, image in ((self.server, way), (self.central, "controller")):
            disk.unmount()
            disk.load(self.image(image))
            disk.mount(*options)
        self.options = options
        self.worker()
        for name in ("one.effects", "agent.log", "controller.log", "service.log"):
            with open(os.path.join(self.dir, name), "w", encoding="ascii"):
                pass
        self.boot("controller", dice)
        self.boot("server", dice)
        harness.wait_for("the site to run", lambda: self.state("one") == "RUNNING", 120, 0.05)
        harness.wait_for("the agent to be online", self.online, 120, 0.1)
        if way not in self.before:
            self.before[way] = self.fingerprint("one", f"before-{way}.json")

    def online(self):
        done = self.cli("agent", "show", "wiki", "--json", ok=None)
        if done.returncode != 0:
            return False
        shown = json.loads(done.stdout)["agent"]
        return shown.get("online") and [i["installation"].get("version") for i in shown.get("installations", [])] == ["9.2.13"]

    def apply(self):
        self.rollout_id = super().apply(os.path.join(self.dir, "spring.yaml"))
        self.began = time.monotonic()

    def base(self, name):
        return {"server": os.path.join(self.world, "agent-wiki", "state", "agent.db"),
                "controller": os.path.join(self.central.place, "controller.db")}[name]

    def run_row(self):
        base = sqlite3.connect(f"file:{self.base('server')}?mode=ro", uri=True, timeout=5)
        try:
            return base.execute("select outcome, reason from runs order by number desc limit 1").fetchone() or (0, "")
        finally:
            base.close()

    # --- the cut

    @contextlib.contextmanager
    def watched(self):
        """A function that answers the journal's (step, event) lines, read beside its owner by one connection."""
        base = sqlite3.connect(f"file:{self.base('server')}?mode=ro", uri=True, timeout=5)
        try:
            yield lambda: base.execute("select step, event from steps order by seq").fetchall()
        finally:
            base.close()

    def wait_point(self, case, dice):
        if case.point == "any moment":
            until = self.began + dice.uniform(0, self.undisturbed.get(case.way, {}).get("seconds", 8) * 1.1)
            while time.monotonic() < until:
                time.sleep(min(0.05, max(0, until - time.monotonic())))
            return
        limit = time.monotonic() + 300
        with self.watched() as lines:
            while not seen(lines(), case.point) and not over(lines()):
                if time.monotonic() > limit:
                    raise long.Violation(f"the point '{case.point}' was never reached")
                time.sleep(0.003)
        if dice.random() < 0.5:
            time.sleep(dice.uniform(0, dice.choice((0.01, 0.1, 0.5))))

    def wait_again(self, dice):
        """Somewhere in the recovery: so many lines of the journal later, or some time."""
        with self.watched() as lines:
            until, limit = len(lines()) + dice.randrange(1, 8), time.monotonic() + dice.uniform(0, 4)
            while len(lines()) < until and time.monotonic() < limit:
                time.sleep(0.003)

    def cut(self, victims, dice, operator):
        """All stop, are asked what they said, and those who are cut lose what was not synced. Then what they said must be there."""
        with_log = dice.random() < 0.3
        for booted in self.machines.values():
            booted.freeze()
        told = {name: read_base(self.base(name)) for name in ("server", "controller")}
        operator.stop()
        for name in victims:
            self.disk(name).cut(with_log)
        for name in victims:
            self.machines.pop(name).off()
        for booted in self.machines.values():
            booted.thaw()
        for name in victims:
            disk = self.disk(name)
            disk.unmount()
            disk.mount(*self.options)
            self.compare_told(name, told, read_disk(self.base(name)), operator)

    def compare_told(self, name, told, now, operator):
        lost = []
        for table, rows in told[name].items():
            for key, value in rows.items():
                there = now[table].get(key)
                if there is None and table != "outbox":
                    lost.append(f"{table} {key}: {value} is gone")
                elif there != value and not later(name, table, value, there, now):
                    lost.append(f"{table} {key}: was {value}, is {there}")
        if name == "controller":
            gone = min((seq for seq, in told["server"]["outbox"]), default=told["server"]["meta"].get(("event_seq",), (0,))[0] + 1) - 1
            held = now["agents"].get(("wiki",), (0,))[0]
            if held < gone:
                lost.append(f"the agent was told that its events up to {gone} are in the store; it holds those up to {held}")
            for (_,), (seq, digest) in told["server"]["store_head"].items():
                if now["audit"].get((seq,), ("",))[-1] != digest:
                    lost.append(f"the agent was shown record {seq} of the audit trail; the store does not hold it")
            if int(now["meta"].get(("epoch",), ("0",))[0]) < told["server"]["meta"].get(("epoch",), (0,))[0]:
                lost.append("the agent has seen a later epoch than the store's")
            label = int(now["labels"].get(("one", "n"), ("0",))[0])
            if label < operator.done:
                lost.append(f"an operator was told that number {operator.done} is set; it is {label}")
        else:
            for (order,), (acked,) in told["controller"]["orders"].items():
                if acked and (order,) not in now["orders"]:
                    lost.append(f"the agent has acknowledged order {order}, and does not know it")
        if lost:
            raise long.Violation(f"what the {name} had told is lost by the cut:\n" + "\n".join(lost[:20]))

    # --- the end

    def finish(self):
        try:
            harness.wait_for("the agent's run to end", lambda: self.run_row()[0] in OUTCOMES, 300, 0.05)
            harness.wait_for("the rollout to say so", self.agreed, 120, 0.2)
        except AssertionError as error:
            raise long.Violation(f"it never ends: {error}; the controller says {self.told()}") from None
        return OUTCOMES[self.run_row()[0]]

    def told(self):
        return (self.rollout(self.rollout_id) or {}).get("sites", [{}])[0]

    def agreed(self):
        return self.told().get("state") == OUTCOMES[self.run_row()[0]]

    def inventory(self):
        """What lies about on the server, by names without their numbers."""
        found, agent = collections.Counter(), os.path.join(self.world, "agent-wiki")
        for top, depth in ((os.path.join(self.world, "one"), 1), (agent + "/state", 3), (agent + "/backup", 3)):
            for folder, names, files in os.walk(top):
                if folder[len(top):].count("/") >= depth:
                    names.clear()
                    continue
                for name in names + files:
                    path = os.path.relpath(os.path.join(folder, name), self.world)
                    found[re.sub(r"\d{8}T\d{6}Z?|[0-9a-f]{8,}|\d{6,}|(?<=Z)-\w{6}\b", "#", path)] += 1
        for name in self.sql("postgres", "select datname from pg_database").split():
            found["database " + re.sub(r"[0-9a-f]{8,}", "#", name)] += 1
        return found

    def left(self, ended):
        # What was captured at the stop stays for a while where the site went back; a new version's is a whole backup in the end.
        pattern = r"partial|\.copy$|\.new$|\.tmp$|^database .*confleet" + (r"|\.files$" if ended == "committed" else r"|one/\.confleet")
        found = [name for name in self.inventory() if re.search(pattern, name)]
        for pid in self.machines["server"].pids():
            try:
                if os.readlink(f"/proc/{pid}/exe").endswith("/confleet-worker"):
                    found.append(f"worker {pid}")
            except OSError:
                pass
        return found

    def check(self, way):
        """Law 3, by the oracle."""
        ended = self.finish()
        if ended == "held":
            raise long.Violation(f"held, and nothing but the power has failed: {self.run_row()[1]}")
        if ended == "committed" and way == "back":
            raise long.Violation("committed, though the upgrade cannot succeed")
        try:
            harness.wait_for("Confluence to run", lambda: self.state("one") == "RUNNING", 120, 0.1)
        except AssertionError as error:
            raise long.Violation(f"{ended}, but {error}") from None
        wanted = NEW_BUILD if ended == "committed" else OLD_BUILD
        if self.build_of("one") != wanted:
            raise long.Violation(f"{ended}, but the database is at build {self.build_of('one')}")
        if ended != "committed":
            different = self.compare(self.before[way], self.fingerprint("one", "after.json"))
        elif "forward" in self.undisturbed:
            different = unlike(self.undisturbed["forward"]["fingerprint"], self.fingerprint("one", "after.json"))
        else:
            different = ""
        if different:
            raise long.Violation(f"{ended}, but the site is another:\n{different[:4000]}")
        try:
            harness.wait_for("nothing to be left", lambda: not self.left(ended), 30, 0.2)
        except AssertionError:
            raise long.Violation(f"{ended}, but left behind: " + "; ".join(self.left(ended))) from None
        done = self.cli("audit", "verify", ok=None)
        if done.returncode != 0:
            raise long.Violation(f"audit: {done.stdout}{done.stderr}")
        status = harness.run(self.program("confleet-agent"), "status", "--config", self.config, ok=None)
        if status.returncode != 0:
            raise long.Violation(f"confleet-agent status ends with {status.returncode}: {status.stdout[-1500:]}{status.stderr[-500:]}")
        return ended

    def measure(self, way):
        """An undisturbed run: how long it takes, and what a new version looks like."""
        self.begin(way, random.Random(way))
        self.apply()
        ended = self.check(way)
        if ended != {"forward": "committed", "back": "rolled-back"}[way]:
            raise AssertionError(f"undisturbed, {way}: {ended}: {self.run_row()}")
        self.undisturbed[way] = {"seconds": time.monotonic() - self.began, "fingerprint": self.fingerprint("one", f"undisturbed-{way}.json")}

    def case(self, case, seed):
        dice = random.Random(long.chance(seed, case.name))
        victims = {"server": ["server"], "controller": ["controller"], "both": ["server", "controller"]}[case.victims]
        operator = None
        try:
            self.begin(case.way, dice)
            self.apply()
            operator = Operator(self, "controller" in victims)
            self.wait_point(case, dice)
            for number in range(case.cuts):
                if number:
                    self.wait_again(dice)
                self.cut(victims, dice, operator)
                dice.shuffle(victims)
                for name in victims:
                    self.boot(name, dice)
            ended = self.check(case.way)
            return {f"{case.victims}, {case.way}: {ended}": 1, f"{case.cuts} in a row": 1, f"{case.way}: {case.point}": 1}
        except long.Violation as error:
            raise long.Violation(f"{error}\n--- the journal\n{self.story()}\n--- agent\n{self.tail('agent.log')}\n"
                                 f"--- controller\n{self.tail('controller.log')}") from None
        finally:
            if operator:
                operator.stop()
            self.off()

    def story(self):
        base = sqlite3.connect(self.base("server"))
        try:
            return "\n".join(" ".join(row)[:300] for row in base.execute("select step, event, message from steps order by seq"))
        except sqlite3.Error as error:
            return str(error)
        finally:
            base.close()

    def tail(self, name):
        with open(os.path.join(self.dir, name), encoding="utf-8", errors="replace") as f:
            return f.read()[-5000:]


def later(name, table, value, there, now):
    """Whether what stands is what was told, or came after it: the last transaction may have been on the disk and not yet been told."""
    if there is None:       # of the outbox: what a controller said that it has
        return table == "outbox"
    if table == "meta" and all(str(v[0]).lstrip("-").isdigit() for v in (value, there)):
        return int(there[0]) >= int(value[0])
    if (name, table) in (("server", "runs"), ("server", "orders")):
        return value[0] in (0, there[0]) and all(a <= b for a, b in zip(value, there))
    return (name, table) in (("server", "memo"), ("server", "store_head"), ("controller", "agents"), ("controller", "orders"), ("controller", "steps"),
                             ("controller", "rollout_sites"), ("controller", "labels"), ("controller", "backups")) and \
        (table != "agents" or there >= value) and (table != "labels" or int(there[0]) >= int(value[0])) and (table != "orders" or there >= value)


class Operator:
    """Somebody who sets a number again and again; done is the last one that the controller has said is set."""

    def __init__(self, world, busy):
        self.world, self.done, self.ended, self.thread = world, 0, threading.Event(), None
        if busy:
            self.thread = threading.Thread(target=self.work, daemon=True)
            self.thread.start()

    def work(self):
        while not self.ended.is_set():
            number = self.done + 1
            if self.world.cli("site", "set", "one", f"n={number}", ok=None, timeout=60).returncode != 0 or self.ended.is_set():
                return
            self.done = number
            self.ended.wait(0.1)

    def stop(self):
        """What is not answered by now does not count."""
        self.ended.set()


class Worlds:
    """As many as there are cases at a time, kept for the same command where time has run out."""

    def __init__(self, synced):
        top = os.path.join(os.environ.get("CONFLEET_WORK", "/var/tmp/confleet"), "long")
        self.path = os.path.join(top, "power-world")
        self.synced, self.free, self.made, self.lock, self.number = synced, queue.SimpleQueue(), [], threading.Lock(), 0

    def take(self):
        try:
            return self.free.get_nowait()
        except queue.Empty:
            pass
        while True:
            with self.lock:
                self.number += 1
                number = self.number
            try:
                world = World(self.synced, f"{self.path}-{number}")
            except BlockingIOError:         # another run's
                continue
            self.made.append(world)
            return world

    def one(self, case, seed):
        world = self.take()
        try:
            return world.case(case, seed)
        finally:
            self.free.put(world)

    def close(self, again):
        for world in self.made:
            if not again:
                try:
                    os.unlink(os.path.join(world.dir, "made.json"))
                except OSError:
                    pass
            world.close()


def main():
    parser = long.arguments()
    parser.description, parser.formatter_class = __doc__, __import__("argparse").RawDescriptionHelpFormatter
    parser.add_argument("count", type=int, nargs="?", default=100)
    parser.add_argument("--without-fsync", action="store_true", help="what programs that sync nothing make of it: must find violations")
    args = parser.parse_args()
    machine.own_processes()
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        return harness.SKIP
    name = "power --without-fsync" if args.without_fsync else "power"
    by_name = {case.name: case for case in cases(args.seed, args.count)}
    worlds = Worlds(not args.without_fsync)
    try:
        status, hits, ending = long.run(name, list(by_name), lambda case: worlds.one(by_name[case], args.seed), args)
        worlds.close(again=len(by_name) > int(re.search(r"(\d+) runs", ending)[1]))
    except BaseException:
        worlds.close(again=False)
        raise
    for cell, count in sorted(hits.items()):
        print(f"{count:4d}  {cell}")
    print(ending)
    return status


if __name__ == "__main__":
    sys.exit(main())
