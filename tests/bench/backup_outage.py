"""The outage and the way back, as an outside user sees them: whole rollouts of one large site, beside the vendor's procedure."""
import calendar
import os
import sqlite3
import statistics
import threading
import time

from backup_report import Peak, Report, Wrong, rounds
from backup_world import NEW, NEW_BUILD, OLD_BUILD, Poller, World, harness, process_start
import backup_rivals

HOOK = """#!/bin/sh
# Users and the index change files and rows until the stop; then the oracle looks.
set -e
cd {root}
/usr/bin/python3 -B tests/bench/backups.py change {serial} {home} {scale} {port}
/usr/bin/python3 -B tests/harness/fingerprint --install {install} --home {home} --pg '{pg}' --running --json > {out}.new
mv {out}.new {out}
"""


class Upgraded:
    """A site with its agent and a controller; each upgrade() is a rollout of its own."""

    def __init__(self, world, change_scale):
        self.world, self.fleet, self.serial, self.change_scale = world, world.fleet, 0, change_scale
        fleet = world.fleet
        fleet.start_controller()
        self.hooks = os.path.join(fleet.dir, "agent-wiki", "hooks")
        # What comes before the stop and after the start is not measured here, and need not be gentle.
        fleet.start_agent("wiki", ["one"], start_timeout="120s", stop_capture="auto", backup_rate="100G")
        self.agent = fleet.agents["wiki"]
        self.way = "auto"
        fleet.claim("one", "wiki")
        fleet.release(NEW, NEW_BUILD, small=True)
        self.poller = Poller(int(fleet.sites["one"]["http"]))
        self.peak_mb, self.said = 0.0, 0

    def capture(self, way):
        """How the database is captured at the stop from now on: the policy of this server, as root would change it."""
        if way == self.way:
            return
        with open(self.agent.config, encoding="utf-8") as f:
            text = f.read()
        with open(self.agent.config, "w", encoding="utf-8") as f:
            f.write(text.replace(f"stop_capture: {self.way}\n", f"stop_capture: {way}\n"))
        self.way = way
        self.agent.stop()
        self.agent.start()

    def check_way(self):
        """It was captured as it was asked to be: what is compared below is of that way."""
        backups = self.fleet.json("rollout", "status", self.rollout, ok=(0, 2, 5))["rollout"]["sites"][0].get("backups", [])
        notes = [b.get("note", "") for b in backups if b.get("kind") == "stop"]
        with open(os.path.join(self.fleet.dir, "agent-wiki.log"), encoding="utf-8", errors="replace") as f:
            said = f.read()
        copied = f"copied inside its server" in said[self.said:]
        self.said = len(said)
        if copied != (self.way == "copy"):
            raise Wrong(f"captured by {'copy' if copied else 'dump'} with stop_capture: {self.way}: {notes}")

    def hook(self):
        """Runs before the stop, in production's own place for such things: the state at the stop is known to the oracle."""
        folder, out = os.path.join(self.hooks, "pre-stop.d"), os.path.join(self.fleet.dir, f"at-stop-{self.serial}.json")
        os.makedirs(folder, mode=0o755, exist_ok=True)
        path = os.path.join(folder, "change")
        with open(path, "w", encoding="utf-8") as f:
            f.write(HOOK.format(root=harness.ROOT, serial=self.serial, home=self.world.home, install=self.world.install, scale=self.change_scale, port=self.fleet.pg_port,
                                pg=f"host={self.fleet.pg} port={self.fleet.pg_port} user=postgres dbname=one", out=out))
        os.chmod(path, 0o755)
        return out

    def upgrade(self, outcome=(0,)):
        """One whole rollout. Seconds: outage as seen from outside, own stop and start of the application, and each step's."""
        self.serial += 1
        at_stop, lines, since = self.hook(), len(self.fleet.effects("one")), self.last_step()
        self.poller.reset()
        plan = self.fleet.plan(f"run{self.serial}", NEW, ("first", {"env": "production"}, "0s"))
        arm = threading.Thread(target=self.arm, args=(at_stop,), daemon=True)
        arm.start()
        peak = Peak(self.agent.child.pid)
        known = self.rollouts()
        done = self.fleet.cli("apply", plan, "--yes", ok=None, timeout=3600)
        self.rollout = next(iter(self.rollouts() - known), None)
        self.peak_mb = max(self.peak_mb, peak.stop())
        if done.returncode not in outcome:
            raise Wrong(f"apply ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        harness.wait_for("the site to answer", lambda: self.poller.back, 60, 0.02)
        self.check_way()
        return self.measured(lines, since, at_stop)

    def rollouts(self):
        return {r["id"] for r in self.fleet.json("rollout", "list").get("rollouts", [])}

    def arm(self, at_stop):
        while not os.path.exists(at_stop) and not self.poller.ended.is_set():
            time.sleep(0.01)
        self.poller.armed = True

    def last_step(self):
        path = os.path.join(self.fleet.dir, "agent-wiki", "state", "agent.db")
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            return base.execute("select coalesce(max(seq), 0) from steps").fetchone()[0]
        finally:
            base.close()

    def steps(self, since):
        path = os.path.join(self.fleet.dir, "agent-wiki", "state", "agent.db")
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            return base.execute("select step, event, at_ms, took_ms from steps where seq > ? order by seq", (since,)).fetchall()
        finally:
            base.close()

    def events(self, lines):
        """(wall time, event, build, pid) of what the application itself wrote since."""
        found = []
        for line in self.fleet.effects("one")[lines:]:
            stamp, event, _, build, pid = line.split(" ")[:5]
            found.append((calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + stamp[19:-1]), event, int(build), int(pid)))
        return found

    def own(self, lines, build):
        """Seconds of the application's own start on that build: from its process to RUNNING."""
        events = self.events(lines)
        running = [e for e in events if e[1] == "status" and e[2] == build][-1]
        began = process_start(running[3])
        return running[0] - (began or [e for e in events if e[1] == "start" and e[3] == running[3]][0][0])

    def measured(self, lines, since, at_stop):
        stops = [e for e in self.events(lines) if e[1] == "stop"]
        build = OLD_BUILD if any(e[1] == "error" for e in self.events(lines)) else NEW_BUILD
        stop = max(0.0, stops[0][0] - self.poller.refused)
        start = self.own(lines, build)
        seen = self.poller.back - self.poller.refused
        errors = [e[0] for e in self.events(lines) if e[1] == "error"]
        steps = {}
        for step, event, _, took in self.steps(since):
            if event == "done":
                steps[step] = took / 1000
            elif event == "undone":
                steps["undo " + step] = took / 1000
        return {"seen": seen, "stop": stop, "start": start, "net": seen - stop - start, "steps": steps, "at-stop": at_stop,
                "way-back": self.poller.back - errors[0] - start if errors else None}

    def compare(self, at_stop, what):
        """The site as it stands against what the oracle saw right before the stop."""
        now = self.fleet.fingerprint("one", f"now-{self.serial}.json")
        if differences := self.fleet.compare(at_stop, now):
            raise Wrong(f"{what}: not as it was at the stop:\n{differences[:3000]}")

    def back(self, at_stop):
        """What was kept goes back on a person's word, from the capture of this very run; then the oracle compares."""
        begin, lines = time.time(), len(self.fleet.effects("one"))
        self.fleet.cli("rollback", self.rollout, "--site", "one", "--yes", "--reason", "bench", ok=(5,), timeout=3600)
        took = time.time() - begin - self.own(lines, OLD_BUILD)
        if self.fleet.build_of("one") != OLD_BUILD:
            raise Wrong("the rollback did not bring the old build back")
        self.compare(at_stop, "rollback")
        return took

    def close(self):
        self.poller.stop()


SWITCH_STEPS = ("stop", "guard", "capture-files", "capture-database", "switch", "configure", "start", "wait")


WAYS = ("copy", "dump")


def outages(args, world, change_scale, runs, ways=WAYS):
    """Both ways in turn; {way: [what one run took]}."""
    site = Upgraded(world, change_scale)
    found = {way: [] for way in ways}
    try:
        for _ in range(runs):
            for way in ways:
                site.capture(way)
                one = site.upgrade()
                one["back"] = site.back(one["at-stop"])
                found[way].append(one)
            if not args.time_left():
                break
    finally:
        site.close()
    return found, site.peak_mb


def show_outage(report, found):
    report.row("ours: not answering, as seen from outside", [o["seen"] for o in found])
    report.row("  the application's own stop", [o["stop"] for o in found])
    report.row("  the application's own start and upgrade", [o["start"] for o in found])
    report.row("ours: the outage without these two", [o["net"] for o in found])
    for step in SWITCH_STEPS:
        values = [o["steps"][step] for o in found if step in o["steps"]]
        report.row(f"    step {step}", values, "(holds the application's own)" if step in ("stop", "wait") else "")


def bench_outage(args):
    if args.growth:
        return bench_growth(args)
    with World(args.scale) as world:
        report = Report(args, world)
        if args.smoke:
            outages(args, world, args.scale, 1)
            return report.close()
        rivals = backup_rivals.Rivals(world)
        rivals.archive_make()
        vendor = [vendor_outage(world, rivals)]
        while len(vendor) < rounds(args, sum(vendor[0].values())) and args.time_left(0.4):
            vendor.append(vendor_outage(world, rivals))
        rivals.fresh("home.zip", "install.zip", "vendor.dump", "unpacked", "new.tar.gz")
        found, peak = outages(args, world, args.scale, args.runs)
        report.text("the vendor's procedure, without stop and start")
        for part in vendor[0]:
            report.row(part, [v[part] for v in vendor])
        for way, goal in zip(WAYS, (80, 20)):
            report.text(f"ours, the database by a {way}; the capture of each run was put back and compared by the oracle ({len(found[way])} times)")
            show_outage(report, found[way])
            report.against("outage-" + way, "vendor", [sum(v.values()) for v in vendor], [o["net"] for o in found[way]], goal)
        report.text(f"  peak memory of the worker {peak:.0f} MB (goal below 100)")
        return report.close()


def vendor_outage(world, rivals):
    world.fleet.stop_site("one")
    rivals.fresh("home.zip", "install.zip")
    took = {"zip -r home": rivals.zip_tree("home", world.home), "zip -r installation": rivals.zip_tree("install", world.install),
            "pg_dump -Fc": rivals.dump(), "unpack the new version": rivals.unpack()}
    world.fleet.start_site("one")
    return took


def bench_growth(args):
    nets = []
    for factor in (1, 8):
        with World(args.scale, args.scale * factor) as world:
            report = Report(args, world)
            found, peak = outages(args, world, args.scale, min(args.runs, 3), ("copy",))
            found = found["copy"]
            report.text(f"home of scale {args.scale * factor:g}, the same changes and database; worker's peak memory {peak:.0f} MB")
            show_outage(report, found)
            nets.append([o["net"] for o in found])
            if factor > 1:                     # told before the large site is taken away, which takes its time
                ratio = statistics.median(nets[1]) / statistics.median(nets[0])
                report.ends.append(f"outage-growth: {ratio:.2f}x for a home {factor} times as large (goal below 1.5x)"
                                   f"{'' if ratio < 1.5 else '  MISSED'}")
                report.close()


def bench_rollback(args):
    with World(args.scale) as world:
        report, rivals = Report(args, world), backup_rivals.Rivals(world)
        theirs = [vendor_way_back(world, rivals)]
        while len(theirs) < rounds(args, sum(theirs[0].values())) and args.time_left(0.4):
            theirs.append(vendor_way_back(world, rivals))
        rivals.fresh("home.zip", "install.zip", "vendor.dump", "unzipped")
        world.fleet.fault("one", NEW_BUILD, "schema-task,slow=3")
        site, found = Upgraded(world, args.scale), {way: [] for way in WAYS}
        try:
            for _ in range(args.runs):
                for way in WAYS:
                    site.capture(way)
                    found[way].append(failed_run(site))
                if not args.time_left():
                    break
        finally:
            site.close()
        report.text("the vendor's way back")
        for part in theirs[0]:
            report.row(part, [t[part] for t in theirs])
        for way, goal in zip(WAYS, (40, 1.5)):
            report.text(f"ours, the database by a {way}; compared by the oracle with the state at the stop ({len(found[way])} times)")
            ours = [o["way-back"] for o in found[way]]
            report.row("ours: from the application's error to its answer", ours, "without its own start")
            for step in sorted({s for o in found[way] for s in o["steps"] if s.startswith("undo")}):
                report.row(f"    {step}", [o["steps"][step] for o in found[way] if step in o["steps"]])
            report.against("rollback-" + way, "unzip, pg_restore -j2", [sum(t.values()) for t in theirs], ours, goal)
        report.close()


def vendor_way_back(world, rivals):
    if not os.path.exists(rivals.path("home.zip")):
        rivals.zip()
        rivals.dump()
    return {"unzip home and installation": rivals.unzip(), "pg_restore -j2": rivals.restore()}


def failed_run(site):
    """The failed start changes 1 % of the home before its schema task fails; the run goes back by itself."""
    lines, stop, spoiled = len(site.fleet.effects("one")), threading.Event(), []
    write = site.world.choose_share(0.01, 500 + site.serial)

    def spoil():
        while not stop.wait(0.02):
            if any(e[1] == "start" and e[2] == NEW_BUILD for e in site.events(lines)):
                write()
                spoiled.append(time.time())
                return
    thread = threading.Thread(target=spoil, daemon=True)
    thread.start()
    try:
        one = site.upgrade(outcome=(5,))
    finally:
        stop.set()
        thread.join()
    failed = [e[0] for e in site.events(lines) if e[1] == "error"]
    if not spoiled or not failed or spoiled[0] > failed[0]:
        raise Wrong("the failed start had not changed its share of the home when it failed: the bench was too slow, nothing was measured")
    site.compare(one["at-stop"], "failed upgrade")
    return one
