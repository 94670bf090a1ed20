#!/usr/bin/python3
"""The long form of the simulator: `scripts/long sim N` runs N seeds from --seed on, in pieces.

At the end it names the arrows of the cores' diagrams (see their READMEs) that no run went.
"""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "harness"))
import long    # noqa: E402

PIECE = 5000    # some seconds of a core
BUILD = os.environ.get("CONFLEET_BUILD", os.path.join(long.ROOT, "build", "gcc"))


def pieces(seed, count):
    """Names of cases: the first seed and how many."""
    return {f"{first}+{min(PIECE, seed + count - first)}": (first, min(PIECE, seed + count - first))
            for first in range(seed, seed + count, PIECE)}


def one(program, sites, first, count):
    words = [program, "--seed", str(first), "--seeds", str(count), "--coverage", *(["--sites", str(sites)] if sites else [])]
    done = subprocess.run(words, capture_output=True, text=True)
    cells = {name: int(hits) for hits, name in re.findall(r"^cell (\d+) (.*)$", done.stdout, re.M)}
    if done.returncode != 0 or not re.search(rf"^sim: {count} runs, 0 violations$", done.stdout, re.M):
        told = [line for line in done.stdout.splitlines() if not line.startswith("cell ")]
        raise long.Violation("\n".join(told + [line for line in done.stderr.splitlines() if " runs, " not in line]))
    return cells


def main():
    parser = long.arguments()
    parser.add_argument("runs", type=int, help="how many seeds")
    parser.add_argument("--sites", type=int, help="so many sites in each run (default: 1 to 12, by the seed)")
    parser.set_defaults(jobs=os.cpu_count() or 1)
    args = parser.parse_args()
    program = os.path.join(BUILD, "tests", "confleet-sim")
    cases = pieces(args.seed, args.runs)
    status, cells, ending = long.run("sim", list(cases), lambda case: one(program, args.sites, *cases[case]), args, lambda case: cases[case][1])
    never = sorted(name for name, hits in cells.items() if hits == 0)
    for name in never:
        print(f"never: {name}")
    if cells:
        print(f"sim: {len(cells) - len(never)} of {len(cells)} arrows of the diagrams were gone")
    print(ending)
    return status


sys.exit(main())
