#!/usr/bin/python3
"""One system call fails: the n-th of its kind in a phase of agent, worker or controller, once or for good. `scripts/long calls`.

    calls.py [--seed S] [--minutes M] [--only CASE] [--again] [--kind steps|jobs|starts|upgrades]

A case is KIND/PROGRAM/PHASE/CALL/N/ERROR/HOW and can be given to --only. Kinds: `steps` gives a worker one step of the runbook, `jobs` one of
its other orders, `starts` starts agent or controller, `upgrades` and `ways-back` are whole runs on the stand-in. How often each call is made is
counted first and kept; small numbers are all tried, of large ones a sample by the seed. After each: no process ends by a signal (out of memory
ends by abort, and is made good by the next start); what is said to be done is there, by the oracle; the site is in one of the three states of
law 3; what failed is taken up again; no file stays in use whose sync failed; nothing is left over.
"""
import argparse
import errno
import json
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))
sys.path.insert(0, HERE)
import calls_runs as runs  # noqa: E402
import calls_steps as steps  # noqa: E402
import fleet as harness  # noqa: E402
import long  # noqa: E402

ERRORS = {
    "open": ("EMFILE", "EIO", "ENOMEM"), "read": ("EIO", "EINTR", "short"), "write": ("ENOSPC", "EIO", "EINTR", "short"),
    "pwrite": ("ENOSPC", "EIO", "EINTR", "short"), "fsync": ("EIO", "ENOSPC"), "rename": ("EIO", "ENOSPC"), "unlink": ("EIO", "ENOMEM"),
    "malloc": ("ENOMEM",), "fork": ("EAGAIN", "ENOMEM"), "connect": ("ECONNREFUSED", "ENOMEM"), "pipe-read": ("EINTR", "short"),
    "pipe-write": ("EINTR", "short"),
}
# Cases for each count of a call, and how many there are of a call that is made very often.
FEW, SAMPLE = 2, {"steps": 4, "jobs": 3, "starts": 6, "upgrades": 2, "ways-back": 1}


class Worlds:
    """What cases run on, made when first needed; made anew after one that went wrong."""

    def __init__(self):
        self.open, self.broken = {}, set()

    def get(self, name):
        if name not in self.open:
            self.open[name] = runs.Runs() if name == "runs" else steps.Steps(name == "stopped")
        return self.open[name]

    def drop(self, name):
        world = self.open.pop(name, None)
        self.broken.discard(name)
        if world:
            world.close()

    def close(self):
        for name in list(self.open):
            self.drop(name)


WORLDS = Worlds()


def world_of(kind, phase):
    if kind in ("starts", "upgrades", "ways-back"):
        return "runs"
    return "stopped" if kind == "steps" and phase.split(".")[0] in steps.STOPPED else "running"


def one(case):
    kind, program, phase, call, n, error, how = case.split("/")
    name = world_of(kind, phase)
    try:
        world = WORLDS.get(name)
        world.arm(program, phase, call, n, 0 if error == "short" else getattr(errno, error), how)
        if kind == "steps":
            step, way = phase.rsplit(".", 1)
            fired = steps.one_step(world, step, way, call)
        elif kind == "jobs":
            fired = steps.one_job(world, phase, call)
        elif kind == "starts":
            fired = world.start(program, call)
        else:
            fired = world.upgrade(program, call, how, kind == "ways-back")
    except BaseException as error:
        if name == "runs" or name in WORLDS.broken or not isinstance(error, long.Violation):
            WORLDS.drop(name)                 # what steps work on is put back for each case, but not for ever
        else:
            WORLDS.broken.add(name)
        raise
    WORLDS.broken.discard(name)
    return {f"{kind} {program} {call}" if fired else f"not reached: {kind} {program} {call}": 1}


def count(kinds):
    """{kind: {(program, phase, call): n}}: all that cases are about, done once while nothing fails."""
    found = {}
    for name in ("running", "stopped") if {"steps", "jobs"} & set(kinds) else ():
        acts, jobs = steps.count_steps(WORLDS.get(name))
        found.setdefault("steps", {}).update(acts)
        found.setdefault("jobs", {}).update(jobs)
    if {"starts", "upgrades", "ways-back"} & set(kinds):
        found.update(WORLDS.get("runs").count())
    return {kind: cells for kind, cells in found.items() if kind in kinds}


def counted(kinds, seed):
    """The same, from where an earlier piece of this run has kept it: cases must not change in the middle."""
    work = os.path.join(os.environ.get("CONFLEET_WORK", "/var/tmp/confleet"), "long")
    os.makedirs(work, exist_ok=True)
    path = os.path.join(work, f"calls-counts-{'-'.join(sorted(kinds))}-{seed}-{long.commit()}.json")
    if not os.path.exists(path):
        cells = [[kind, *cell, n] for kind, found in count(kinds).items() for cell, n in sorted(found.items())]
        with open(path + ".new", "w", encoding="ascii") as f:
            json.dump(cells, f)
        os.replace(path + ".new", path)
    with open(path, encoding="ascii") as f:
        return json.load(f)


def choose(cells, seed, sample=None):
    """Names of cases, in an order that the seed shuffles: wherever it is cut off, it is a sample of all."""
    cases = set()
    for kind, program, phase, call, most in cells:
        wanted = (sample or SAMPLE)[kind]
        numbers = set(range(1, most + 1)) if most <= FEW else {1, most} if wanted > 1 else set()
        for i in range(wanted):
            numbers.add(1 + long.chance(seed, kind, program, phase, call, i) % most)
        for n in sorted(numbers, key=lambda n: long.chance(seed, kind, program, phase, call, "keep", n))[:max(wanted, FEW if wanted > 1 else 1)]:
            draw = long.chance(seed, kind, program, phase, call, n, "how")
            error = ERRORS[call][draw % len(ERRORS[call])]
            hows = ("once",) if error == "EINTR" else ("once", "good") if kind in ("steps", "jobs") else ("once", "once", "good", "ever")
            cases.add("/".join((kind, program, phase, call, str(n), error, hows[(draw >> 8) % len(hows)])))
    return sorted(cases, key=lambda case: long.chance(seed, "order", case))


KINDS = ("steps", "jobs", "starts", "upgrades", "ways-back")


def main():
    parser = long.arguments(argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter))
    parser.add_argument("--kind", action="append", choices=KINDS, help="only cases of this kind; may be given again")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    args = parser.parse_args()
    harness.need_root()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))       # what was started is stopped
    args.jobs = 1                         # cases share a world
    try:
        cases = [args.only] if args.only else choose(counted(args.kind or KINDS, args.seed), args.seed)
        if args.list:
            print("\n".join(cases))
            return 0
        status, hits, ending = long.run("calls", cases, one, args)
    finally:
        WORLDS.close()
    for cell, n in sorted(hits.items()):
        print(f"{cell}: {n}")
    print(ending)
    return status


if __name__ == "__main__":
    sys.exit(main())
