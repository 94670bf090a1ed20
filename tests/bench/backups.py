"""Backups, their proof, the outage and the way back, beside what people use today: one site, both sides in turn.

Ours is what production runs: an agent and its worker, a plan, a whole upgrade of the light stand-in; the clock is outside. Times
are printed and never judged, goals stand beside them; what must hold is that the backup of that very run brings everything
back, by the oracle, which knows no code of ours. Without that no ratio is printed and the status is 1.
"""
import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import types

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from backup_report import Peak, Report, Wrong, rounds  # noqa: E402
from backup_world import MB, Text, World, corpus_size, free_space, harness  # noqa: E402
import backup_outage  # noqa: E402
import backup_rivals  # noqa: E402

class Alone:
    """The agent by hand, without a controller: one program, its worker, nothing else."""

    def __init__(self, world):
        self.world = world
        self.config = world.fleet.agent_config("alone", [world.fleet.sites["one"]["dir"]])
        self.backups = os.path.join(os.path.dirname(self.config), "backup")
        self.agent = world.fleet.program("confleet-agent")

    def forget(self):
        for name in os.listdir(self.backups) if os.path.isdir(self.backups) else []:
            shutil.rmtree(os.path.join(self.backups, name), ignore_errors=True)

    def ids(self):
        found = {}
        for folder, names, _ in os.walk(self.backups):
            found.update({name: os.path.join(folder, name) for name in names if re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", name)})
        return found

    def run(self, *words):
        """Phases in seconds: packing, dumping, reading back, restoring and comparing; and peak memory in MB."""
        before, scratch = set(self.ids()), Watch(self.world)
        begin = time.time()
        child = subprocess.Popen([self.agent, *words, "--config", self.config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        peak = Peak(child.pid)
        said = child.stdout.read().decode(errors="replace")
        child.wait()
        end = time.time()
        child.stdout.close()
        scratch.stop()
        if child.returncode != 0:
            raise Wrong(f"confleet-agent {words[0]}: status {child.returncode}: {said[-800:]}")
        phases = {"all": end - begin, "mb": peak.stop()}
        new = set(self.ids()) - before
        if new:
            phases["id"] = new.pop()
            phases.update(self.made(self.ids()[phases["id"]], begin))
        if scratch.seen and scratch.gone:
            phases["restored"] = scratch.gone - scratch.seen
            phases["re-read"] = scratch.seen - phases.get("made-at", begin)
        return phases

    def made(self, folder, begin):
        packed = max(os.stat(os.path.join(folder, name)).st_mtime for name in os.listdir(folder) if name.endswith(".tar.zst"))
        dumped = os.stat(os.path.join(folder, "database.dump.zst")).st_mtime
        made = os.stat(os.path.join(folder, "manifest")).st_mtime
        return {"packed": packed - begin, "dumped": dumped - packed, "made": made - begin, "made-at": made}


class Watch(threading.Thread):
    """When the scratch database came and went, as the server tells it."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.seen = self.gone = None
        self.ended = threading.Event()
        self.connection = world.connect("postgres")
        self.connection.autocommit = True
        self.start()

    def run(self):
        cursor = self.connection.cursor()
        while not self.ended.wait(0.03):
            cursor.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'confleet\\_scratch%'")
            there = cursor.fetchone()[0] > 0
            if there and self.seen is None:
                self.seen = time.time()
            if there:
                self.gone = None
            elif self.seen and self.gone is None:
                self.gone = time.time()

    def stop(self):
        self.ended.set()
        self.join()
        if self.seen and self.gone is None:
            self.gone = time.time()
        self.connection.close()


# ---------------------------------------------------------------- backup


def bench_backup(args):
    with World(args.scale) as world:
        report, alone, rivals = Report(args, world), Alone(world), backup_rivals.Rivals(world)
        first, theirs, synced = [], {"zip -r": [], "tar | zstd -1 -T0": [], "restic": [], "borg": []}, {}
        jobs = {"zip -r": rivals.zip, "tar | zstd -1 -T0": rivals.tar_zstd, "restic": lambda: rivals.restic(True), "borg": lambda: rivals.borg(True)}
        for turn in range(args.runs):
            alone.forget()
            world.read_all()                 # before each: borg, for one, puts what it has read out of the cache
            first.append(alone.run("backup", world.install, *args.speed))
            for name, job in jobs.items():
                if turn == 0 or (turn < rounds(args, theirs[name][0]) and args.time_left()):
                    world.read_all()
                    theirs[name].append(job())
                    synced.setdefault(name, []).append(theirs[name][-1] + rivals.sync())
            if not args.time_left():
                break
        show_first(args, report, first, theirs, synced, rivals)
        second, again, scans = [], {"restic": [], "borg": [], "rsync --link-dest": []}, []
        rivals.fresh("both.tar.zst", "home.zip", "install.zip")
        rivals.rsync(True)
        for turn in range(args.runs):
            world.change_share(0.01, turn)
            time.sleep(1.1)                  # what changed less than a second ago is read again next time
            scans.append(rivals.find())
            world.read_all()
            second.append(alone.run("backup", world.install, *args.speed))
            again["restic"].append(rivals.restic(False))
            rivals.serial = turn + 100
            again["borg"].append(rivals.borg(False))
            rivals.serial = turn + 1
            again["rsync --link-dest"].append(rivals.rsync(False))
            if not args.time_left():
                break
        show_second(report, second, again, scans)
        check_restored(world, alone, second[-1]["id"])
        report.close()


def show_first(args, report, first, theirs, synced, rivals):
    report.text(f"first hot backup{' with --full-speed' if args.speed else ''}")
    ours = [p["packed"] for p in first]
    report.row("ours: files, hashed, indexed, synced", ours)
    report.row("ours: dump of the database", [p["dumped"] for p in first])
    report.row("ours: files and dump read back", [p["re-read"] for p in first])
    report.row("ours: dump restored and compared", [p["restored"] for p in first])
    for name, took in theirs.items():
        report.row(name, took)
        report.row("  and on the disk, as ours is", synced[name])
    total = report.world.size()[0]
    report.text(f"  {total / MB / statistics.median(ours):.0f} MB/s; nothing can be faster than SHA-256 on both cores and one writer")
    report.text(f"  peak memory of the worker {max(p['mb'] for p in first):.0f} MB (goal below 100); restic {rivals.restic_mb:.0f} MB, borg {rivals.borg_mb:.0f} MB")
    for name, goal in (("zip -r", 15), ("tar | zstd -1 -T0", 1), ("restic", 3.5), ("borg", 2.5)):
        report.against("backup-first", name, theirs[name], ours, goal)
    for name, goal in (("zip -r", 15), ("tar | zstd -1 -T0", 1)):
        report.against("backup-first", name + ", synced as ours is", synced[name], ours, goal)


def show_second(report, second, again, scans):
    report.text("second hot backup, 1 % of the home changed")
    ours = [p["packed"] for p in second]
    report.row("ours: files", ours)
    report.row("ours: everything read back", [p["re-read"] for p in second])
    for name, took in again.items():
        report.row(name, took)
        report.against("backup-second", name, took, ours, 5)
    report.row("find, a bare scan", scans)
    report.against("backup-second", "scan (at least 0.5)", scans, ours, 0.5)


def check_restored(world, alone, backup):
    """By hand, as the README of the backups says, and compared by the oracle: files and database as they were."""
    fleet = world.fleet
    fleet.stop_site("one")
    before = fleet.fingerprint("one", "stopped.json", running=False)
    made = alone.run("backup", world.install)
    folder = alone.ids()[made["id"]]
    into = os.path.join(fleet.dir, "restored")
    os.makedirs(into)
    with open(os.path.join(harness.ROOT, "agent/worker/backup/README.md"), encoding="utf-8") as f:
        drill = re.search(r"```bash\n(.*?)```", f.read(), re.S)[1]
    fleet.sql("postgres", 'ALTER DATABASE one RENAME TO one_before')
    harness.run("/bin/bash", "-c", drill, timeout=1800, env={
        **backup_rivals.ENV, "BACKUP": folder, "INTO": into, "PGHOST": fleet.pg, "PGPORT": str(fleet.pg_port), "PGUSER": "postgres",
        "PATH": backup_rivals.PG_BIN + ":" + backup_rivals.ENV["PATH"]})
    fleet.sites["two"] = {"dir": into, "install": into + "/install", "home": into + "/home"}
    words = [harness.PYTHON, os.path.join(harness.HERE, "fingerprint"), "--install", into + "/install", "--home", into + "/home",
             "--pg", f"host={fleet.pg} port={fleet.pg_port} user=postgres dbname=one", "--json"]
    after = os.path.join(fleet.dir, "restored.json")
    with open(after, "w", encoding="utf-8") as f:
        f.write(harness.run(*words, timeout=1800).stdout)
    del fleet.sites["two"]
    if differences := fleet.compare(before, after):
        raise Wrong(f"the backup {backup} does not bring everything back:\n{differences[:3000]}")


# ---------------------------------------------------------------- verify


def bench_verify(args):
    with World(args.scale) as world:
        report, alone, rivals = Report(args, world), Alone(world), backup_rivals.Rivals(world)
        made = alone.run("backup", world.install, *args.speed)
        folder = alone.ids()[made["id"]]
        rivals.dump()
        runs, warm, cold, restores = [], [], [], []
        for _ in range(args.runs):
            runs.append(alone.run("verify", world.install, made["id"], *args.speed))
            world.forget_all()
            cold.append(rivals.sha256())
            world.read_all()
            warm.append(rivals.sha256())
            restores.append(rivals.restore())
            if not args.time_left():
                break
        with open(os.path.join(folder, "proof"), encoding="utf-8") as f:
            if "level restored" not in f.read():
                raise Wrong("the backup was not proven by restoring")
        # The dump is read back too; its share is taken off by its bytes.
        stored = {n: os.stat(os.path.join(folder, n)).st_size for n in os.listdir(folder) if n.endswith(".zst")}
        content = int(re.search(r"^dump .*? content=(\d+)", open(os.path.join(folder, "manifest"), encoding="utf-8").read(), re.M)[1])
        share = world.size()[0] / (world.size()[0] + content)
        ours = [p["re-read"] * share for p in runs]
        report.row("ours: files and dump read back (page cache dropped)", [p["re-read"] for p in runs], f"{sum(stored.values()) / MB:.0f} MB stored")
        report.row("ours: the files' share of it", ours)
        report.row("SHA-256 of the same bytes, two at once, cold", cold)
        report.row("SHA-256 of the same bytes, two at once, warm", warm)
        report.row("ours: dump restored and compared", [p["restored"] for p in runs])
        report.row("pg_restore -j2, nothing compared", restores)
        report.text(f"  peak memory of the worker {max(p['mb'] for p in runs):.0f} MB (goal below 100)")
        report.against("verify-files", "sha256sum cold", cold, ours, 0.8)
        report.against("verify-files", "sha256sum warm", warm, ours, 0.8)
        report.against("verify-database", "pg_restore -j2", restores, [p["restored"] for p in runs], 1.8)
        report.close()


# ---------------------------------------------------------------- words

BENCHES = {"outage": backup_outage.bench_outage, "backup": bench_backup, "verify": bench_verify, "rollback": backup_outage.bench_rollback}


def change(words):
    """What the hook calls: the changes before the stop."""
    world = World.__new__(World)
    world.text, world.home = Text(5, corpus_size(float(words[2]))), words[1]
    world.fleet = types.SimpleNamespace(pg_port=words[3])
    world.change_before_stop(int(words[0]), float(words[2]))


def main(words):
    if words[:1] == ["change"]:
        return change(words[1:])
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=sorted(BENCHES))
    parser.add_argument("--scale", type=float, default=0.1, help="1: home 4.1 GB in 60,000 files, database 1.6 GB (default 0.1)")
    parser.add_argument("--runs", type=int, default=5, help="ours so many times, a rival slower than a minute twice")
    parser.add_argument("--limit", type=float, help="begin no further run after so many seconds (default 100, at scale 1 an hour)")
    parser.add_argument("--growth", action="store_true", help="outage: twice, the second time with a home 8 times as large")
    parser.add_argument("--full-speed", dest="speed", action="store_const", const=["--full-speed"], default=[], help="backup, verify: both cores")
    parser.add_argument("--smoke", action="store_true", help="for tests: correctness alone, no times")
    args = parser.parse_args(words)
    if args.smoke:
        args.scale, args.runs = min(args.scale, 0.01), 1
    harness.need_root()
    limit = args.limit or (100 if args.scale <= 0.1 else 3600)
    begin = time.monotonic()
    args.time_left = lambda share=1.0: time.monotonic() - begin < limit * share
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    free_space(os.environ.get("TMPDIR", "/tmp"), 40e9 * args.scale * (8 if args.growth else 1))
    try:
        BENCHES[args.what](args)
    except Wrong as why:
        print(f"error: {why}\nno ratio is printed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
