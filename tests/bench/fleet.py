"""Figures of a whole fleet on one machine: a real controller, emulated agents, and a bare libzmq loop as the limit.

Everything asked of the controller is asked as the product asks it: tokens, enrolment, acceptance and sites by requests over
the wire, lists and rollouts by the command. Only the agents are emulated (bench/fleet_agents.c). Times are printed and
never judged; what must hold is that every agent is let in, every order answered and every answer stored.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
os.environ.setdefault("CONFLEET_QUIET", "1")
import fleet as harness  # noqa: E402
import wire  # noqa: E402

PROGRAM = os.path.join(harness.BUILD, "tests", "bench-fleet")
TICKS = os.sysconf("SC_CLK_TCK")
INSTALLATION = "confluence-0a1b2c3d"
NEW, NEW_BUILD = "9.2.21", 9116


class Bare(harness.Fleet):
    """The harness's fleet without servers: its sites are words of emulated agents."""

    def __init__(self, count):
        self.dir = tempfile.mkdtemp(prefix="cf-bench-")
        os.chmod(self.dir, 0o755)
        self.sites, self.agents, self.processes, self.controller, self.count = {}, {}, [], None, count

    def close(self, keep=False):
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Agents(wire.Words):
    """The process that plays all agents: lines in, lines out."""

    def __init__(self, fleet, tokens, steps):
        self.child = subprocess.Popen([PROGRAM, "agents", fleet.control, wire.controller_key(fleet), tokens, str(steps)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines, self.seen, self.log = wire.queue.Queue(), [], "bench-fleet agents"
        self.reader = wire.threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        fleet.processes.append(self)
        self.until("ready", seconds=60)

    def stats(self):
        self.say("stats")
        return json.loads(self.until("{", seconds=60)[1])

    def wait(self, what, good, seconds):
        """The first statistics of which good() is true, or the last ones when the time is over."""
        end = time.monotonic() + seconds
        while True:
            now = self.stats()
            if good(now):
                return now, True
            if time.monotonic() > end:
                print(f"note: {what} was not through after {seconds} s", file=sys.stderr)
                return now, False
            time.sleep(0.05)


class Meter:
    """CPU and memory of the controller."""

    def __init__(self, pid):
        self.pid = pid

    def cpu(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s*(\d+)", f.read())[1]) / 1024


def need(good, words):
    """What must hold whatever the machine."""
    if not good:
        raise AssertionError(words)


def spread(values):
    """Median and 95th percentile, in milliseconds."""
    values = sorted(values)
    return {"p50_ms": 1000 * statistics.median(values), "p95_ms": 1000 * values[min(len(values) - 1, int(0.95 * len(values)))],
            "runs": len(values)}


def timed(fleet, runs, *words, ok=(0, 2)):
    took, done, failed = [], None, 0
    for _ in range(runs):
        start = time.monotonic()
        done = fleet.cli(*words, ok=ok, timeout=120)
        took.append(time.monotonic() - start)
        failed += done.returncode not in (0, 2)
    return {**spread(took), "bytes": len(done.stdout), "failed": failed}, done


def enrol(fleet, chief, count, steps):
    """Tokens, enrolment with keys of their own, acceptance: all by the requests that the commands make."""
    figures, path = {}, os.path.join(fleet.dir, "tokens")
    names = [f"wiki{n:05}" for n in range(1, count + 1)]
    start = time.monotonic()
    with open(path, "w", encoding="ascii", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        for name in names:
            f.write(f"{name} {chief.request(agent_token={'name': name, 'ttl_s': 3600})['token']['token'].hex()}\n")
    figures["tokens_s"] = time.monotonic() - start
    agents = Agents(fleet, path, steps)
    start = time.monotonic()
    agents.say("enrol")
    shown = dict(agents.until("enrolled", seconds=60)[1].split()[1:] for _ in names)
    figures["enrol_s"] = time.monotonic() - start
    start = time.monotonic()
    for name in names:
        reply = chief.request(agent_accept={"name": name, "fingerprint": shown[name]})
        need(not reply.get("code"), reply)
    figures["accept_s"] = time.monotonic() - start
    return agents, names, figures


def connect(agents, count, meter):
    """From the first dial to the last welcome; the second time as after an outage, without the first surveys."""
    figures = {}
    agents.say("reset")
    agents.say("dial")
    now, good = agents.wait("the first connection", lambda s: s["welcomed"] == count and s["acked"] >= count, 300)
    need(good and now["refused"] == 0, now)
    figures["first_s"] = now["welcomed_s"] - now["dialled_s"]
    figures["surveys_stored_s"] = now["last_ack_s"] - now["dialled_s"]
    agents.say("drop")
    time.sleep(1)  # the old connections' ends are not part of the figure
    cpu = meter.cpu()
    agents.say("dial")
    now, good = agents.wait("the second connection", lambda s: s["welcomed"] == count, 300)
    need(good and now["refused"] == 0, now)
    figures.update(again_s=now["welcomed_s"] - now["dialled_s"], again_cpu_s=meter.cpu() - cpu)
    figures["sizes"] = now["sizes"]
    return figures


def check_all(fleet, agents, count, meter):
    """The command that checks every site: until the last answer is stored, and until the command has said so."""
    agents.say("reset")
    cpu, start = meter.cpu(), time.monotonic()
    done = fleet.cli("check", "--json", ok=None, timeout=300)
    took = time.monotonic() - start
    now, good = agents.wait("the check", lambda s: s["orders"] == count and s["acked"] == 2 * count, 120)
    need(good, now)
    need(done.returncode in (0, 2), done.stderr[-500:])
    job = json.loads(done.stdout)["check"]
    need(len(job["sites"]) == count and all(s["state"] == "done" and len(s["findings"]) == 20 for s in job["sites"]),
         "a site of the check is missing or not done")
    return {"first_order_s": now["first_order_s"] - start, "stored_s": now["last_ack_s"] - start, "command_s": took,
            "cpu_s": meter.cpu() - cpu, "sizes": now["sizes"]}


def rollout(fleet, agents, count, meter, limit_s):
    """One stage, one batch with all: from apply to the first order, to the last one taken, to the last site kept."""
    fleet.release(NEW, NEW_BUILD)
    plan = fleet.plan("spring", NEW, {"name": "all", "select": {"env": "test"}, "needs": {"approvals": 0}, "batch": ["rest"]})
    start = time.monotonic()
    fleet.cli("plan", plan, ok=(2,), timeout=120)
    figures = {"plan_s": time.monotonic() - start}
    agents.say("reset")
    cpu, start = meter.cpu(), time.monotonic()
    fleet.cli("apply", plan, "--yes", "--detach", timeout=180)
    figures["apply_s"] = time.monotonic() - start
    each = 4  # events of a site, steps left out
    now, _ = agents.wait("the rollout's orders", lambda s: s["orders"] == count, limit_s)
    figures["orders"] = now["orders"]
    if now["orders"]:
        figures["first_order_s"] = now["first_order_s"] - start
        figures["orders_per_s"] = now["orders"] / max(1e-9, now["last_order_s"] - start)
    while_busy, _ = timed(fleet, 3, "rollout", "status", "--watch=false", ok=None)
    figures["status_while_busy"] = while_busy
    now, good = agents.wait("the rollout", lambda s: s["acked"] >= each * count and s["acked"] == s["events"],
                            max(1, limit_s - (time.monotonic() - start)))
    figures.update(finished=good, events=now["acked"], cpu_s=meter.cpu() - cpu, took_s=now["last_ack_s"] - start,
                   events_per_s=now["acked"] / max(1e-9, now["last_ack_s"] - start), sizes=now["sizes"])
    if good:
        view = harness.wait_for("the rollout to be done",
                                lambda: (lambda r: r if r and r["state"] == "done" else None)(fleet.rollout()), 30)
        counts = {c["state"]: c["count"] for c in view["counts"]}
        need(counts == {"committed": count}, counts)
    return figures


def lists(fleet, count, runs):
    figures = {}
    # What follows is about a fleet at rest: a rollout that was left alone may still be at work.
    harness.wait_for("the controller to answer", lambda: fleet.cli("operator", "list", ok=None).returncode == 0, 300)
    for name, words in {"rollout status": ["rollout", "status", "--watch=false"], "site list": ["site", "list"],
                        "agent list": ["agent", "list"], "rollout list": ["rollout", "list"]}.items():
        figures[name], done = timed(fleet, runs, *words)
        if name in ("site list", "agent list"):
            need(len(re.findall(r"^\S*\d{5}\s", done.stdout, re.M)) == count, f"{name}: not every row is there")
    return figures


def rival(count, sizes):
    """The same connections and the same bytes without a controller."""
    words = [sizes[k] for k in ("hello", "welcome", "order", "ack", "event", "event_ack")]
    done = subprocess.run([PROGRAM, "rival", str(count), *map(str, words)], capture_output=True, text=True, timeout=400, check=False)
    need(done.returncode == 0, done.stderr)
    return json.loads(done.stdout)


def measure(count, options):
    with Bare(count) as fleet:
        config = os.path.join(fleet.dir, "controller.yaml")
        with open(config, "w", encoding="ascii") as f:
            f.write(f"peers_max: {max(1024, count + 100)}\n")
        fleet.start_controller("--config", config)
        meter = Meter(fleet.controller.child.pid)
        chief = wire.Peer(fleet, "key", os.path.join(fleet.operator, "operator.key"))
        chief.up()
        need(chief.hello()[0] == "welcome", "the operator is let in")
        out = {"agents": count, "rss_empty_mib": meter.rss_mib()}
        agents, names, out["enrolment"] = enrol(fleet, chief, count, options.steps)
        out["connect"] = connect(agents, count, meter)
        out["rss_connected_mib"] = meter.rss_mib()
        start = time.monotonic()
        for name in names:
            reply = chief.request(site_set={"name": "s-" + name, "labels": [{"key": "env", "value": "test"}],
                                            "node": {"agent": name, "installation": INSTALLATION}})
            need(not reply.get("code"), reply)
        out["site_set_s"] = time.monotonic() - start
        out["check"] = check_all(fleet, agents, count, meter)
        out["rollout"] = rollout(fleet, agents, count, meter, options.limit)
        out["lists"] = lists(fleet, count, options.runs)
        out["rss_end_mib"], out["cpu_s"] = meter.rss_mib(), meter.cpu()
        out["store_mib"] = os.path.getsize(os.path.join(fleet.dir, "controller", "controller.db")) / 2 ** 20
        agents.say("drop")
        sizes = {**out["check"]["sizes"]}
    out["rival"] = rival(count, sizes)
    return out


def table(out):
    c, k, r, e, v = out["connect"], out["check"], out["rollout"], out["enrolment"], out["rival"]
    count = out["agents"]

    def row(what, value, limit=None, note=""):
        print(f"  {what:<44} {value:>12} {limit[0] if limit else '':>12} {limit[1] if limit else '':>7}  {note}".rstrip())

    def against(value, limit):
        return f"{limit:.3f} s", f"{value / limit:.1f} x"

    print(f"{count} emulated agents, one controller, {os.cpu_count()} cores for both")
    row("", "Confleet", ("bare libzmq", "ratio"))
    row("connect: first dial to last welcome", f"{c['again_s']:.2f} s", against(c["again_s"], v["connect_s"]))
    row("  the first time, with surveys stored", f"{c['surveys_stored_s']:.2f} s", against(c["surveys_stored_s"], v["connect_s"]))
    row("check ordered to all, all answers stored", f"{k['stored_s']:.2f} s", against(k["stored_s"], v["order_s"]),
        f"a single ping-pong: {v['ping_s']:.3f} s")
    row("  the command, from start to its last line", f"{k['command_s']:.2f} s")
    row("plan of all sites", f"{r['plan_s']:.2f} s")
    row("apply, until it is taken in", f"{r['apply_s']:.2f} s")
    if r["orders"]:
        row("  from apply to the first order", f"{r['first_order_s']:.2f} s")
        row("  orders a second, one batch with all", f"{r['orders_per_s']:.0f}", note=f"{r['orders']} of {count} were taken")
    row("  reports stored a second", f"{r['events_per_s']:.0f}",
        note=f"{'done' if r['finished'] else 'not done'} after {r['took_s']:.1f} s")
    for name, one in [("rollout status, at the height of it", r["status_while_busy"]), *out["lists"].items()]:
        row(name, f"{one['p50_ms']:.0f} ms", note=f"p95 {one['p95_ms']:.0f} ms, {one['runs']} runs, {one['bytes']} bytes"
            + (f"; NO ANSWER to {one['failed']}" if one["failed"] else ""))
    row("enrolment: tokens / enrol / accept / site set", "",
        note=f"{e['tokens_s']:.1f} / {e['enrol_s']:.1f} / {e['accept_s']:.1f} / {out['site_set_s']:.1f} s")
    row("memory: empty, connected, at the end", f"{out['rss_end_mib']:.0f} MiB", (f"{v['rss_kib'] / 1024:.0f} MiB", ""),
        note=f"{out['rss_empty_mib']:.0f}, {out['rss_connected_mib']:.0f}; store {out['store_mib']:.0f} MiB")
    row("CPU: connect, check, rollout, all", f"{out['cpu_s']:.1f} s", (f"{v['cpu_s']:.1f} s", ""),
        note=f"{c['again_cpu_s']:.2f}, {k['cpu_s']:.2f}, {r['cpu_s']:.1f}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agents", nargs="?", type=int, default=int(os.environ.get("CONFLEET_BENCH_AGENTS", "1000")))
    parser.add_argument("--steps", type=int, default=0, help="steps that each agent reports in its upgrade (a real one: about 25)")
    parser.add_argument("--limit", type=float, default=60, help="seconds that the rollout may take before it is left alone")
    parser.add_argument("--runs", type=int, default=11, help="how often each list is asked for")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    out = measure(options.agents, options)
    if options.json:
        print(json.dumps(out, indent=1))
    else:
        table(out)


if __name__ == "__main__":
    main()
