"""Two hundred sites in one rollout, with real agents and real workers: finished, and correct by the sites' own effect files.

Twenty agents hold ten light sites each. The sites are copies of a small one (tests/standin: no Java, built-in schema); everything
else is as it is anywhere: each is backed up, the backup restored into a scratch database, stopped, upgraded, probed, committed.
CONFLEET_MANY_AGENTS and CONFLEET_MANY_EACH choose more or fewer; CONFLEET_MANY_DIR another place than memory.
"""
import datetime
import os
import resource
import shutil
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

harness.need_root()

AGENTS = int(os.environ.get("CONFLEET_MANY_AGENTS", "20"))
EACH = int(os.environ.get("CONFLEET_MANY_EACH", "10"))
BATCH = [1, 9, 38]                 # the last one goes on until all are through
OLD, NEW = 9109, 9116
HANG_S = 480                       # far above what it takes: a hang is to fail here, not in the runner
SITE_MB = 40                       # at most, with its backups and scratch databases


def place(sites):
    """Memory when there is room for all of it: how fast the disk of this machine is tells nothing about Confleet."""
    if "CONFLEET_MANY_DIR" in os.environ:
        return os.environ["CONFLEET_MANY_DIR"]
    try:
        free = shutil.disk_usage("/dev/shm").free >> 20
        with open("/proc/meminfo", encoding="ascii") as f:
            available = next(int(line.split()[1]) >> 10 for line in f if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    return "/dev/shm" if min(free, available) > sites * SITE_MB + 1024 else None


def moment(line):
    """Seconds of a line of an effect file: TIME EVENT VERSION BUILD PID DETAIL."""
    return datetime.datetime.fromisoformat(line.split(" ")[0].replace("Z", "+00:00")).timestamp()


def outages(lines):
    """(from, to) of each time this site was down: from a stop to the next RUNNING, or for ever."""
    found, down = [], None
    for line in lines:
        event = line.split(" ")[1]
        if event == "stop":
            down = moment(line)
        elif event == "status" and down is not None:
            found.append((down, moment(line)))
            down = None
    return found if down is None else found + [(down, float("inf"))]


def most_at_once(spans):
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans], key=lambda e: (e[0], e[1]))
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def daemon_of(pid):
    """The process of Confleet at or below this one."""
    if os.readlink(f"/proc/{pid}/exe").endswith(("/confleet-agent", "/confleet-controller")):
        return pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return next(filter(None, (daemon_of(int(child)) for child in f.read().split())), None)


def size_of(process):
    """(memory in MiB, open files, seconds of processor) of one of our processes; None when it is gone."""
    try:
        pid = daemon_of(process.child.pid)
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            memory = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            used = sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")
        return memory / 1024, len(os.listdir(f"/proc/{pid}/fd")), used
    except (OSError, StopIteration):
        return None


def running(folder):
    """Command lines of processes that name this folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [f"{pid} {line}"] if folder + "/" in line else []
    return found


class Many(unittest.TestCase):
    def nothing_is_left(self, folder):
        harness.wait_for("all that was started to be gone", lambda: not running(folder), 10)

    def test_nothing_is_left_where_no_namespaces_can_be_made(self):
        with mock.patch.object(harness, "namespaces", return_value=False), harness.Fleet("left") as fleet:
            fleet.start_controller()
            names = fleet.sites_many("l", 2)
            agent = fleet.server("host0", names, reserve="8M")
            fleet.accept("host0")
            harness.wait_for("host0 to report its installations", lambda: len(fleet.installations("host0")) >= 2, 60)
            self.assertTrue(any("confleet-agent" in line for line in running(fleet.dir)))
            self.assertTrue(size_of(agent))
        self.nothing_is_left(fleet.dir)

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", file=sys.stderr, flush=True)

    def world(self, fleet):
        fleet.start_controller()
        names = fleet.sites_many("s", AGENTS * EACH)
        self.say(f"{len(names)} sites made in {fleet.dir}")
        groups = [names[n * EACH:(n + 1) * EACH] for n in range(AGENTS)]
        for n, group in enumerate(groups):
            fleet.server(f"host{n}", group, reserve="8M")
        for n in range(AGENTS):
            fleet.accept(f"host{n}")
        for n, group in enumerate(groups):
            harness.wait_for(f"host{n} to report its installations", lambda n=n: len(fleet.installations(f"host{n}")) >= EACH, 120)
        harness.wait_for("every site to run", lambda: all(fleet.count(name, "status") for name in names), 120)
        self.say("all run, and their agents know them")
        with ThreadPoolExecutor(os.cpu_count()) as several:
            list(several.map(lambda n: fleet.claim(names[n], f"host{n // EACH}"), range(len(names))))
        fleet.cli("release", "import", "--artifact", fleet.dist("9.2.21", small=True), "--version", "9.2.21", "--build", str(NEW))
        self.say(f"{AGENTS} agents hold them")
        return names

    def follow(self, fleet, rollout):
        """Until it is over; the largest sizes that were seen, and how long `rollout status` took at worst."""
        sizes, slowest, end = {}, 0.0, time.monotonic() + HANG_S
        while time.monotonic() < end:
            asked = time.monotonic()
            fleet.cli("rollout", "status", rollout, "--watch=false", ok=None)
            slowest = max(slowest, time.monotonic() - asked)
            for process in fleet.processes:
                seen, old = size_of(process), sizes.get(process.name, (0, 0, 0))
                sizes[process.name] = tuple(map(max, old, seen)) if seen else old
            (state,), = fleet.store("select state from rollouts where id=?", rollout)
            if state in ("done", "halted"):
                return sizes, slowest
            time.sleep(1)
        counts = fleet.store("select state, count(*) from rollout_sites where rollout=? group by state", rollout)
        self.fail(f"not over after {HANG_S} s: {counts}")

    def test_two_hundred_sites_go_up_in_one_rollout(self):
        self.began = time.monotonic()
        with harness.Fleet("many", parent=place(AGENTS * EACH)) as fleet:
            names = self.world(fleet)
            plan = fleet.plan("all", "9.2.21", {"name": "all", "select": {"env": "production"}, "needs": {"approvals": 0},
                                                "batch": BATCH})
            began = time.monotonic()
            rollout = fleet.apply(plan)
            sizes, slowest = self.follow(fleet, rollout)
            took = time.monotonic() - began
            self.say(f"{len(names)} sites upgraded in {took:.1f} s, {len(names) / took:.2f} each second; "
                     f"the slowest answer of `rollout status`: {slowest * 1000:.0f} ms")
            agents = [size for name, size in sizes.items() if name.startswith("agent-")]
            memory, files, used = zip(*agents)
            self.say(f"largest agent {max(memory):.1f} MiB, {max(files)} open files, all of them {sum(used):.1f} s of processor; "
                     "controller {:.1f} MiB, {} open files, {:.1f} s".format(*sizes["controller"]))
            self.check(fleet, rollout, names)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.say(f"checked; children that ended used {used.ru_utime + used.ru_stime:.0f} s of processor time")
        self.nothing_is_left(fleet.dir)

    def check(self, fleet, rollout, names):
        (state, reason), = fleet.store("select state, reason from rollouts where id=?", rollout)
        bad = fleet.store("select site, state, reason from rollout_sites where rollout=? and state<>'committed' limit 5", rollout)
        self.assertEqual(state, "done", f"{reason}\n{bad}")
        states = dict(fleet.store("select site, state from rollout_sites where rollout=?", rollout))
        self.assertEqual(states, {name: "committed" for name in names})
        spans = []
        for name in names:
            lines = fleet.effects(name)
            self.assertEqual([fleet.count(name, "stop"), fleet.count(name, "start"), fleet.count(name, "error")], [1, 2, 0], lines)
            running = [int(line.split(" ")[3]) for line in lines if line.split(" ")[1] == "status"]
            self.assertEqual(running, [OLD, NEW], lines)
            down = outages(lines)
            self.assertEqual(len(down), 1, lines)
            spans += down
            self.assertEqual(fleet.state(name), "RUNNING", name)
        most = most_at_once(spans)
        self.say(f"at most {most} sites were down at once, by their own words; a batch is {max(BATCH)}")
        self.assertLessEqual(most, max(BATCH))
        # The first batches: alone, then no more than nine at once, and nobody before the first is up again.
        spans.sort()
        for begin, width in ((0, 1), (1, 9)):
            batch = spans[begin:begin + width]
            for later in spans[begin + width:]:
                self.assertGreaterEqual(later[0], max(end for _, end in batch) if width == 1 else batch[0][0])
        self.databases(fleet, names)
        fleet.cli("audit", "verify")

    def databases(self, fleet, names):
        """Each has the new build and is still the one of its own site; no scratch database was left behind."""
        script = "".join(f"\\connect {name}\n"
                         "select current_database(), (select max(buildnumber) from confversion), (select bandanavalue from bandana "
                         "where bandanakey = 'atlassian.confluence.settings');\n" for name in names)
        told = subprocess.run(["/usr/bin/psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-h", fleet.pg, "-p", str(fleet.pg_port), "-U", "postgres",
                               "-d", "postgres"], input=script, capture_output=True, text=True, check=True, timeout=120).stdout
        for name in names:
            found = [line for line in told.splitlines() if line.startswith(f"{name}|{NEW}|")]
            self.assertEqual(len(found), 1, name)
        for name in names:
            self.assertIn(f"https://{name}.example.test<", told)
        there = set(fleet.sql("postgres", "select datname from pg_database where not datistemplate").split())
        self.assertEqual(there, set(names) | {"postgres"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
