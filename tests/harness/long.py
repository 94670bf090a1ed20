"""Long runs of what the suite runs a sample of: one case after another, by seed, with progress, a time limit and resumption.

A case is a name; what it does follows from the name and the seed alone, so that either can be given again. A run that was cut off goes on
where it stopped when it is started with the same words, and says so; violations found before count. The last line is
`NAME: N runs, N violations`; the exit status is 1 when there is a violation, or when nothing ran.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Violation(Exception):
    """A law does not hold; its text says which, and what happened."""


def arguments(parser=None):
    """The options that all long runs have."""
    parser = parser or argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1, help="where the random choices begin (default 1)")
    parser.add_argument("--minutes", type=float, help="begin no further case after that; the same command goes on later")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time (default 1)")
    parser.add_argument("--only", help="only the case of this name")
    parser.add_argument("--again", action="store_true", help="from the first case, whatever was done before")
    return parser


def chance(seed, *words):
    """A number below 2**64 that follows from the seed and the words alone."""
    return int.from_bytes(hashlib.sha256(repr((seed, *words)).encode()).digest()[:8], "big")


def commit():
    """Of the checkout, or "unknown": a fresh machine has no git, and the files may have come without it."""
    try:
        told = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return told.stdout.strip() or "unknown"


class State:
    """What was done so far, beside the other results of the suite; written after each case, whole or not at all."""

    def __init__(self, name, key, again):
        work = os.path.join(os.environ.get("CONFLEET_WORK", "/var/tmp/confleet"), "long")
        os.makedirs(work, exist_ok=True)
        key = hashlib.sha256(repr(key).encode()).hexdigest()[:12]
        self.path = os.path.join(work, f"{name.replace(' ', '-')}-{key}.json")
        self.done, self.violations, self.counts = {}, {}, {}
        if not again and os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as f:
                told = json.load(f)
            self.done, self.violations, self.counts = told["done"], told["violations"], told["counts"]

    def write(self):
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            json.dump({"done": self.done, "violations": self.violations, "counts": self.counts}, f)
        os.replace(self.path + ".new", self.path)


def run(name, cases, one, args, runs_of=lambda case: 1):
    """Each case by one(case), which raises Violation, and may return {cell: hits}. Returns (status, hits by cell).

    runs_of(case) says how many runs a case stands for, where it is a bundle of them.
    """
    cases = [c for c in cases if args.only in (None, c)]
    state = State(name, (cases, args.seed, commit()), args.again or args.only is not None)
    left = [c for c in cases if c not in state.done]
    began, last = time.monotonic(), 0.0
    if len(left) < len(cases):
        print(f"{name}: going on after {len(cases) - len(left)} of {len(cases)} (--again begins anew)", file=sys.stderr)

    def progress(force=False):
        nonlocal last
        now = time.monotonic()
        if not force and now - last < (1 if sys.stderr.isatty() else 30):
            return
        last, done = now, sum(1 for c in cases if c in state.done)
        fresh = done - (len(cases) - len(left))
        rest = (now - began) / fresh * (len(cases) - done) if fresh else 0
        line = f"{name}: {done} of {len(cases)}, {len(state.violations)} violations, {now - began:.0f} s" + (f", about {rest:.0f} s left" if rest else "")
        print(f"\r{line}   " if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)

    def finish(case, error, told):
        state.done[case] = runs_of(case)
        for cell, hits in (told or {}).items():
            state.counts[cell] = state.counts.get(cell, 0) + hits
        if error is not None:
            state.violations[case] = error
            print(f"\n{name}: VIOLATION in {case}, seed {args.seed}, commit {commit()}\n{error}", flush=True)
        state.write()
        progress()

    def guarded(case):
        try:
            return case, None, one(case)
        except Violation as error:
            return case, str(error), None
        except Exception:            # the test itself broke: nothing was shown to hold
            return case, traceback.format_exc(), None

    in_time = lambda: args.minutes is None or time.monotonic() - began < args.minutes * 60
    with concurrent.futures.ThreadPoolExecutor(max(1, args.jobs)) as pool:
        waiting, pending = iter(left), set()
        while True:
            while len(pending) < max(1, args.jobs) and in_time() and (case := next(waiting, None)) is not None:
                pending.add(pool.submit(guarded, case))
            if not pending:
                break
            ended, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in ended:
                finish(*future.result())
    progress(force=True)
    missing = len([c for c in cases if c not in state.done])
    if missing:
        print(f"\n{name}: stopped by --minutes with {missing} of {len(cases)} to go; the same command goes on", file=sys.stderr)
    for case in state.violations:
        print(f"{name}: violated: {case}")
    runs = sum(state.done.values())
    ending = f"{name}: {runs} runs, {len(state.violations)} violations"
    return (1 if state.violations or not runs else 0), state.counts, ending
