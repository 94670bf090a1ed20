"""What all benches of backups share: the table, the comparisons, peak memory, how often a rival runs."""
import os
import re
import statistics
import threading
import time

from backup_world import MB


class Wrong(Exception):
    """Something that must hold did not: no ratio is printed."""


def spread(values):
    values = sorted(values)
    if len(values) == 1:
        return f"{values[0]:9.2f} s  (one run)"
    return f"{statistics.median(values):9.2f} s  ({values[0]:.2f} to {values[-1]:.2f}, {len(values)} runs)"


class Report:
    """Lines as they come; the comparisons at the end."""

    def __init__(self, args, world):
        self.quiet, self.ends, self.begin, self.world = args.smoke, [], time.monotonic(), world
        if not self.quiet:
            total, count, database = world.size()
            ratio, speed = world.text.ratio()
            print(f"{count} files, {total / MB:.0f} MB; database {database / MB:.0f} MB; text {ratio:.1f}:1 by zlib -6 ({speed:.0f} MB/s); "
                  f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)

    def row(self, what, values, note=""):
        if not self.quiet and values:
            print(f"  {what:44}{spread(values)}  {note}".rstrip(), flush=True)

    def text(self, line):
        if not self.quiet:
            print(line, flush=True)

    def against(self, name, rival, theirs, ours, goal):
        if theirs and ours:
            ratio = statistics.median(theirs) / max(statistics.median(ours), 0.001)
            self.ends.append(f"{name}: {rival} {ratio:.1f}x (goal {goal}x){'' if ratio >= goal else '  MISSED'}")

    def close(self):
        if self.quiet:
            print("everything that must hold held; times are not looked at")
            return
        print(f"load {os.getloadavg()[0]:.1f} at the end, {time.monotonic() - self.begin:.0f} s since the site was made\n" + "\n".join(self.ends))


class Peak(threading.Thread):
    """Peak memory of the worker below a process, in MB: the kernel's own high-water mark, read until it is gone."""

    def __init__(self, parent):
        super().__init__(daemon=True)
        self.parent, self.mb, self.ended = parent, 0.0, threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(0.02):
            try:
                with open(f"/proc/{self.parent}/task/{self.parent}/children", encoding="ascii") as f:
                    children = f.read().split()
                for pid in children:
                    with open(f"/proc/{pid}/status", encoding="ascii") as f:
                        text = f.read()
                    if text.startswith("Name:\tconfleet-worker"):
                        self.mb = max(self.mb, int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024)
            except (OSError, TypeError):
                continue

    def stop(self):
        self.ended.set()
        self.join()
        return self.mb


def rounds(args, seconds):
    """A rival that takes longer than a minute runs twice, as often as ours otherwise."""
    return min(2, args.runs) if seconds > 60 else args.runs


def several(args, function, *words):
    took = [function(*words)]
    while len(took) < rounds(args, took[0]) and args.time_left():
        took.append(function(*words))
    return took
