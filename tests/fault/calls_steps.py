"""The worker alone, order by order, as the agent would give them: the cheap half of calls.py.

A site, PostgreSQL and nothing else. The steps of the runbook are done once, and what they work on is kept aside before each of them; a case
puts that back, gives the order with one call failing, and then goes on as the runbook says: what was not done is probed and done again.
"""
import hashlib
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))
import fleet as harness  # noqa: E402
import wire  # noqa: E402
from long import Violation  # noqa: E402

LIBRARY = os.environ.get("CONFLEET_CALLS_LIBRARY", os.path.join(harness.BUILD, "tests", "libcalls.so"))
ACT, UNDO, PROBE = "act", "undo", "probe"
STATES = {0: "none", 1: "absent", 2: "partial", 3: "complete"}
# What a case is about: steps while the site serves, and while it is down. The others only look, or start and stop: whole runs do them.
RUNNING = ("check", "unpack", "carry", "reserve", "baseline", "backup", "verify")
STOPPED = ("guard", "capture-files", "capture-database", "switch", "configure")
UNDONE = ("unpack", "reserve", "guard", "capture-files", "capture-database", "switch")
JOBS = ("survey", "backups", "verify", "restore", "expire", "backup")
SECONDS = 60


class Shim:
    """The folder that libcalls.so reads its order from and writes its log to."""

    def __init__(self, folder):
        self.dir = folder
        os.makedirs(folder, exist_ok=True)
        self.env = {"LD_PRELOAD": LIBRARY, "CONFLEET_CALLS": folder}

    def clear(self):
        for name in ("order", "log", "fired"):
            try:
                os.unlink(os.path.join(self.dir, name))
            except FileNotFoundError:
                pass

    def order(self, *words):
        with open(os.path.join(self.dir, "order"), "w", encoding="ascii") as f:
            f.write(" ".join(map(str, words)) + "\n")

    def lift(self):
        self.order("nobody", "-", "-", 0, 0, "once")

    def log(self):
        try:
            with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
                return [line.split(" ") for line in f.read().splitlines()]
        except FileNotFoundError:
            return []

    def fired(self):
        return next((" ".join(words[1:]) for words in self.log() if words[0] == "fired"), None)

    def counts(self):
        """{(program, phase, call): n}, the most that one process did."""
        found = {}
        for words in self.log():
            if words[0] == "count":
                cell = tuple(words[1:4])
                found[cell] = max(found.get(cell, 0), int(words[4]))
        return found

    def in_doubt(self):
        """Files whose sync failed, that were synced again as they were, or are still there and not written anew: [(kind, path)]."""
        last, left = {}, []
        for words in self.log():
            if words[0] in ("unsynced", "again", "resynced"):
                last[words[3]] = (words[0], words[2], int(words[3].split(":")[1]), " ".join(words[6:]))
            if words[0] == "resynced":
                left.append(("file", " ".join(words[6:])))
        for what, kind, inode, path in last.values():
            if what == "again":
                continue
            for name in (path, re.sub(r"\.(partial|new|files)(?=/|$)", "", path)):
                if os.path.lexists(name) and os.lstat(name).st_ino == inode:
                    left.append((kind, name))
                    break
        return left


def died_badly(status, call):
    """Why that end of a process is none that is allowed, or None. Out of memory ends by abort: the house style says so."""
    if status >= 0:
        return None
    name = signal.Signals(-status).name
    return None if name == "SIGABRT" and call == "malloc" else f"ended by {name}"


def digest(tree):
    """{name: what is there} below a folder, without times; names that tell a moment are made alike."""
    found = {}
    for top, folders, names in os.walk(tree):
        for name in folders + names:
            path = os.path.join(top, name)
            st = os.lstat(path)
            what = [stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid]
            if stat.S_ISLNK(st.st_mode):
                what.append(os.readlink(path))
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    what.append(hashlib.sha256(f.read()).hexdigest() if st.st_size < 1 << 24 else st.st_size)
            key = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{6}", "ID", os.path.relpath(path, tree))
            found[key] = tuple(what)
    return found


class Steps:
    """One site with its stage, run and backup folders; `stopped` when the steps are those of a site that is down."""

    def __init__(self, stopped):
        self.stopped = stopped
        self.names = STOPPED if stopped else RUNNING
        self.fleet = harness.Fleet("calls")
        try:
            self.prepare()
        except BaseException:
            self.fleet.close()
            raise

    def close(self):
        self.fleet.close()

    def prepare(self):
        fleet = self.fleet
        self.site = fleet.site("one", small=True)
        archive = fleet.dist("9.2.21", small=True)
        with open(archive, "rb") as f:
            sha256 = hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(f.read()).hexdigest()
        under = lambda name: os.path.join(fleet.dir, name)
        self.parts = {"stage": os.path.join(self.site["dir"], ".confleet-one"), "run": under("run-root"), "backup": under("backup")}
        if self.stopped:
            self.parts.update(install=self.site["install"], home=self.site["home"])
        for name in ("run-root", "run-root/run-1", "backup", "snapshots"):
            os.makedirs(under(name), mode=0o700, exist_ok=True)
        self.shim = Shim(under("shim"))
        node = {"installation": "one", "install": self.site["install"], "home": "", "site": "one", "backup_dir": self.parts["backup"],
                "run_dir": under("run-root/run-1"), "stage_dir": os.path.join(self.parts["stage"], "run-1"), "hooks_dir": under("hooks"),
                "scratch": "auto", "database_admin": f"host={fleet.pg} port={fleet.pg_port} user=postgres", "start_timeout_s": 90,
                "stop_timeout_s": 30, "search": [self.site["dir"]], "pid_root": "/proc", "soak_probe_s": 30, "stop_capture": "auto",
                "keep_ms": 1000}
        release = {"version": "9.2.21", "build": 9116, "artifact_sha256": sha256, "artifact_size": os.path.getsize(archive),
                   "artifact_name": os.path.basename(archive)}
        self.order = {"node": node, "release": release, "artifact": archive, "attempt": 1, "level": "RESTORED", "env": "production",
                      "full_speed": True}
        self.memo, self.memos, self.expected = {}, {}, {}
        self.chain()

    def chain(self):
        """Everything once, with what is needed to do any of it again."""
        self.shim.clear()
        for name in RUNNING + (("stop",) + STOPPED if self.stopped else ()):
            if name in self.names:
                self.keep(name)
                self.memos[name] = dict(self.memo)
            result = self.must(name, ACT)
            self.memo.update({p["key"]: p.get("value", "") for p in result.get("memo", [])})
            if name in self.names:
                self.memos["after " + name] = dict(self.memo)
                self.keep("after " + name)
        self.backup_id = next(n for n in sorted(os.listdir(os.path.join(self.parts["backup"], "one"))) if re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", n))

    def arm(self, *words):
        """PROGRAM PHASE CALL N ERROR HOW, for the next order."""
        self.armed = words

    def set_order(self):
        self.shim.clear()
        self.shim.order(*self.armed)

    # --- what the steps work on

    def keep(self, name):
        for part, path in self.parts.items():
            if os.path.isdir(path):
                harness.run("/bin/cp", "-a", path, os.path.join(self.fleet.dir, "snapshots", f"{name}.{part}"))

    def put_back(self, name):
        self.databases_drop()
        for part, path in self.parts.items():
            kept = os.path.join(self.fleet.dir, "snapshots", f"{name}.{part}")
            if os.path.lexists(path):
                shutil.rmtree(path)
            if os.path.isdir(kept):
                harness.run("/bin/cp", "-a", kept, path)
        shutil.rmtree(os.path.join(self.fleet.dir, "restored"), ignore_errors=True)

    def databases(self):
        return self.fleet.sql("postgres", "select datname from pg_database where datname like '%confleet%' order by 1").split()

    def databases_drop(self):
        for name in self.databases():
            self.fleet.sql("postgres", f'drop database "{name}" with (force)')

    def look(self):
        """All that a step may change. Of backups the names count: what is in them is proven by reading them back."""
        found = {("run", f"a copy in the server, {n}"): () for n in range(len(self.databases()))}
        for part, path in self.parts.items():
            for name, what in digest(path).items():
                if name.startswith(".confleet-reserve") and self.stopped:
                    continue                 # any way back past the stop gives it up
                if part == "backup":
                    name, what = ("" if "/ID" in name and not name.endswith("ID") else name), (what[0],)
                found[(part, name)] = what
        for part in () if self.stopped else ("install", "home"):      # a running site changes these itself
            found.update({(part, n): w for n, w in digest(self.site[part]).items() if re.match(r"bin/|conf|attachments", n)})
        return found

    # --- orders

    def give(self, order, shimmed=True):
        """(exit status of the worker, its result or None)."""
        body = wire.encode("WorkerOrder", order)
        child = subprocess.Popen([self.fleet.program("confleet-worker")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env={"PATH": "/usr/bin:/bin", **(self.shim.env if shimmed else {})}, start_new_session=True)
        try:
            out, self.said = child.communicate(struct.pack(">I", len(body)) + body, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise Violation(f"the worker did not end within {SECONDS} s: {order.get('step') or order['job']}") from None
        finally:
            self.sweep(child.pid)
        result, at = None, 0
        while at + 4 <= len(out):
            size, = struct.unpack_from(">I", out, at)
            if at + 4 + size <= len(out):
                result = wire.decode("WorkerReply", out[at + 4:at + 4 + size]).get("result", result)
            at += 4 + size
        return child.returncode, result

    @staticmethod
    def sweep(session):
        """What a worker that died left behind is ended by the agent."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getsid(int(pid)) == session:
                    os.kill(int(pid), signal.SIGKILL)
            except OSError:
                continue

    def step(self, name, phase, memo=None, shimmed=True):
        pairs = [{"key": k, "value": v} for k, v in (self.memo if memo is None else memo).items()]
        return self.give({**self.order, "job": "step", "step": name, "phase": {ACT: 1, UNDO: 2, PROBE: 3}[phase], "memo": pairs,
                          "node": {**self.order["node"], "site": "one"}}, shimmed)

    def must(self, name, phase, memo=None):
        """Nothing fails, so it must be done."""
        status, result = self.step(name, phase, memo)
        if status != 0 or result is None or result.get("code"):
            raise Violation(f"{name}.{phase} without any failing call: status {status}, {result}, {self.said[-400:]!r}")
        return result

    # --- what they come to when nothing fails

    def reference(self, name):
        """Twice, so that what differs by itself is known; then undone."""
        if name not in self.expected:
            done, undone = [], []
            for _ in range(2):
                self.shim.lift()
                self.put_back(name)
                self.must(name, ACT, self.memos[name])
                done.append(self.look())
                if name in UNDONE:
                    self.must(name, UNDO, self.memos["after " + name])
                    undone.append(self.look())
            self.expected[name] = {"after": done, "undone": undone}
        return self.expected[name]

    @staticmethod
    def differs(now, references, what, ignore=(), lacking=()):
        """A text that names what is different, where all references agree; empty when nothing is."""
        first, more = references[0], references[1:]
        steady = {k for k, v in first.items() if all(r.get(k) == v for r in more)}
        known = set().union(*references)
        lines = [f"{k} is {now.get(k)}, not {first[k]}" for k in steady if now.get(k) != first[k] and not (k[0] in lacking and k not in now)]
        lines += [f"{k} is missing" for k in known - steady if k not in now and all(k in r for r in references) and k[0] not in lacking]
        lines += [f"{k} is left over" for k in now if k not in known and k[0] not in ignore]
        return f"{what}: " + "; ".join(sorted(lines)[:6]) if lines else ""


def holds(text, *context):
    if text:
        raise Violation("\n".join([text, *map(str, context)]))


def one_step(world, name, phase, call):
    """An order of a step with a failing call, and what becomes of it."""
    expected = world.reference(name)
    memo = world.memos[name if phase == ACT else "after " + name]
    world.shim.lift()
    world.put_back(name if phase == ACT else "after " + name)
    if phase != ACT and name in ("capture-files", "capture-database"):      # the copy inside the server is a part of the state, too
        world.put_back(name)
        world.must(name, ACT, world.memos[name])
    world.set_order()
    status, result = world.step(name, phase, memo)
    fired, doubt, said = world.shim.fired(), world.shim.in_doubt(), world.said.decode(errors="replace")[-300:]
    world.shim.lift()
    context = (f"fired: {fired}", f"status {status}, result {str(result)[:600]}", said)
    holds(died_badly(status, call), *context)
    answered = status == 0 and result is not None
    ok = answered and not result.get("code")
    if phase == PROBE:
        plain = world.must(name, PROBE, memo)
        # Readiness is a part of the answer of verify: where it cannot be looked at the proof is done again, and says why.
        again = name == "verify" and STATES[result.get("probe", 0)] == "partial" if ok else False
        if ok and not again and result.get("probe", 0) != plain.get("probe", 0):
            holds(f"the probe says {STATES[result.get('probe', 0)]}, the truth is {STATES[plain.get('probe', 0)]}", *context)
        return fired
    goal = expected["after"] if phase == ACT else expected["undone"]
    if ok:
        # What could not be removed in the run's own folder goes with it, at its expiry.
        holds(world.differs(world.look(), goal, f"{phase} said done", ("run",) if call == "unlink" else ()), *context)
        holds(doubt and f"{phase} said done, and rests on what was not synced: {doubt}", *context)
    memo = {**memo, **{p["key"]: p.get("value", "") for p in (result or {}).get("memo", [])}} if answered else memo
    (act_goes_on if phase == ACT else undo_goes_on)(world, name, memo, answered, ok, context)
    return fired


def act_goes_on(world, name, memo, answered, ok, context):
    """As the runbook does: what was cut off is probed and done again where it is not complete, what failed is undone; in the end all is undone."""
    expected = world.expected[name]
    if not answered:
        probe = STATES[world.must(name, PROBE, memo).get("probe", 0)]
        context += (f"the probe said {probe}",)
        if probe != "complete":
            world.must(name, ACT, memo)
        holds(world.differs(world.look(), expected["after"], "gone on after the probe"), *context)
    elif not ok and name in UNDONE:
        world.must(name, UNDO, memo)
        # It may have failed before it had made what its undo leaves.
        holds(world.differs(world.look(), expected["undone"], "undone after it failed", lacking=("run", "backup")), *context)
        world.must(name, ACT, memo)
        holds(world.differs(world.look(), expected["after"], "done in a second attempt"), *context)
    elif not ok:
        world.must(name, ACT, memo)
        holds(world.differs(world.look(), expected["after"], "done in a second attempt"), *context)
    if name in ("backup", "verify"):
        verified(world, context)
    if name in UNDONE:
        world.must(name, UNDO, {**memo, **world.memos["after " + name]})
        holds(world.differs(world.look(), expected["undone"], "undone after all"), *context)


def undo_goes_on(world, name, memo, answered, ok, context):
    """An undo that did not say done is done again, up to three times in all."""
    if not ok:
        world.must(name, UNDO, memo)
    holds(world.differs(world.look(), world.expected[name]["undone"], "undone again"), *context)


def verified(world, context):
    """Every backup that has a proof is read back and restored once more, and stands."""
    store = os.path.join(world.parts["backup"], "one")
    for backup in sorted(os.listdir(store)):
        if not os.path.exists(os.path.join(store, backup, "proof")):
            continue
        status, result = world.give({**world.order, "job": "verify", "backup": backup})
        if status != 0 or result is None or result.get("code"):
            holds(f"the backup {backup} that is called proven is not: {result}", *context)


def job_order(world, name):
    order = {**world.order, "job": name, "memo": []}
    if name in ("verify", "restore"):
        order["backup"] = world.backup_id
    if name == "restore":
        order["into"] = os.path.join(world.fleet.dir, "restored")
    if name == "expire":
        order.update(expire_before_ms=1, keep_backups=[world.backup_id],
                     node={**world.order["node"], "run_dir": world.parts["run"], "stage_dir": world.parts["stage"]})
    return order


def count_steps(world):
    """How often each call is made in each order that cases are about. The acts have been counted when the world was made."""
    counts = world.shim.counts()
    for name in world.names:
        for way in (UNDO, PROBE) if name in UNDONE else (PROBE,):
            world.put_back("after " + name)
            world.must(name, way, world.memos["after " + name])
    for name in () if world.stopped else JOBS:
        world.put_back("after verify")
        status, result = world.give(job_order(world, name))
        holds((status or result.get("code")) and f"{name} without any failing call: {result}")
    counts.update(world.shim.counts())
    names = {f"{s}.{w}" for s in world.names for w in (ACT, UNDO, PROBE)}
    return {k: v for k, v in counts.items() if k[1] in names}, {k: v for k, v in counts.items() if k[1] in JOBS}


def one_job(world, name, call):
    """A job that no run needs: it does what it says, or fails in words, and leaves nothing."""
    world.put_back("after verify")
    order = job_order(world, name)
    key = "job " + name
    if key not in world.expected:
        world.shim.lift()
        status, result = world.give(order)
        holds(status or result.get("code") and f"{key} without any failing call: {result}")
        world.expected[key] = {"result": result, "after": world.look(), "restored": digest(os.path.join(world.fleet.dir, "restored"))}
        world.put_back("after verify")
    world.set_order()
    status, result = world.give(order)
    fired, said = world.shim.fired(), world.said.decode(errors="replace")[-300:]
    doubt = world.shim.in_doubt()
    world.shim.lift()
    context = (f"fired: {fired}", f"status {status}, result {str(result)[:600]}", said)
    holds(died_badly(status, call), *context)
    plain = world.expected[key]
    if status == 0 and result is not None and not result.get("code") and fired:
        holds(judge_job(world, name, result, plain), *context)
        holds(doubt and f"said done, and rests on what was not synced: {doubt}", *context)
    elif fired and name == "backup":
        world.give(order)                     # what a dead one left is taken away by the next
        store = os.path.join(world.parts["backup"], "one")
        left = [n for n in os.listdir(store) if n.endswith((".partial", ".files"))]
        holds(left and f"left behind: {left}", *context)
    verified(world, context)
    return fired


def judge_job(world, name, result, plain):
    """What is false about its success, or nothing."""
    then = plain["result"]
    if name == "survey":
        places = lambda r: sorted((i.get("install"), i.get("version"), i.get("home")) for i in r.get("survey", {}).get("installations", []))
        return places(result) != places(then) and f"the survey says {places(result)} instead of {places(then)}"
    if name == "backups":
        then = {b["id"]: b.get("level", 0) for b in then["listed"]}
        ids = {b["id"]: b.get("level", 0) for b in result.get("listed", []) if not b.get("note")}
        lost = set(then) - {b["id"] for b in result.get("listed", [])}
        return (lost or any(then.get(i) != level for i, level in ids.items())) and f"lists {result.get('listed')} instead of {then}"
    if name == "verify":
        return result.get("backup", {}).get("level") != then.get("backup", {}).get("level") and "another level"
    if name == "restore":
        return world.differs(digest(os.path.join(world.fleet.dir, "restored")), [plain["restored"]], "restored")
    if name == "expire":
        return world.differs(world.look(), [plain["after"]], "expired")
    store = os.path.join(world.parts["backup"], "one")
    return not os.path.exists(os.path.join(store, result["backup"]["id"], "proof")) and "no proof"
