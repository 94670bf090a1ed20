#!/usr/bin/python3
"""Takes each guard of the cores away and looks whether a law's checker of the simulator sees it.

Usage: mutants.py SOURCE_DIR PROGRAM [WORD…] [--seeds N] [--write] [--known] [--left] [--cells]
Prints guard, seed, law; exits 1 when a guard survives, or when the guards of the sources are not those of the program. WORD: only guards
whose name holds it. killed.txt remembers a seed for each guard; where that kills no more, N seeds from 1 on are tried. --write writes what
was found, --known looks at nothing but the remembered seeds.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tidy"))
import guards    # noqa: E402

TABLE = os.path.join(HERE, "killed.txt")
HEAD = """# Each guard of the cores, a seed of the simulator that breaks a law without it, and that law. Written by
#   python3 tests/mutants/mutants.py . build/gcc/tests/confleet-sim-mutants --write
"""


def remembered():
    if not os.path.exists(TABLE):
        return {}
    with open(TABLE, encoding="utf-8") as f:
        rows = [line.split(None, 2) for line in f if line.strip() and not line.startswith("#")]
    return {row[0]: (int(row[1]), row[2].strip()) for row in rows}


def write(known, killed, built):
    rows = {name: row for name, row in {**known, **killed}.items() if name in built}
    with open(TABLE, "w", encoding="utf-8") as f:
        f.write(HEAD + "".join(f"{name:45} {rows[name][0]:6}  {shortened(rows[name][1])}\n" for name in sorted(rows)))


def one(program, name, seed, seeds):
    """(seed, words of the law) or (None, what happened instead)."""
    done = subprocess.run([program, name, str(seed), str(seeds)], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"{program} {name}: {done.stderr.strip() or done.returncode}")
    first, _, words = done.stdout.strip().partition(" ")
    if done.returncode == 0 and not re.match(r"law \d+: ", words):
        sys.exit(f"{name}: killed by no law: {words}")
    return (int(first), words) if done.returncode == 0 else (None, words)


def kill(program, name, seed, args):
    if seed is not None:
        found = one(program, name, seed, 1)
        if found[0] is not None or args.known:
            return found
    return one(program, name, 1, args.seeds)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("program")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seeds", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--cells", action="store_true", help="the places of the table of site states, too")
    parser.add_argument("--left", action="store_true", help="only guards without a remembered seed")
    args = parser.parse_args()
    in_source = {name: (path, line) for name, _, path, line in guards.guards(args.source)}
    built = subprocess.run([args.program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    wrong = set(in_source) ^ {name for name in built if ":" not in name}
    if wrong:
        print("in the sources or in the program, and not in both: " + ", ".join(sorted(wrong)))
        return 1
    names = [n for n in built if not args.words or any(w in n for w in args.words)]
    if not args.cells:
        names = [n for n in names if ":" not in n]
    known, killed, survivors, stale = remembered(), {}, [], []
    looked = [n for n in names if not args.left or n not in known]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, (seed, words) in zip(looked, pool.map(lambda n: kill(args.program, n, known.get(n, (None,))[0], args), looked)):
            place = ":".join(map(str, in_source[name])) if name in in_source else "controller/core/site_state.c"
            print(f"{name:45} {words if seed is None else f'{seed:6}  {words}'}", flush=True)
            if seed is None:
                survivors.append(f"{place}: {name} protects no law that the simulator sees ({words})")
            else:
                killed[name] = (seed, words)
                if args.write:
                    write(known, killed, built)
                stale += [name] if known.get(name, (seed,))[0] != seed else []
    if stale:
        print(f"{len(stale)} remembered seeds kill no more, others were found; write them down with --write")
    print("\n".join(survivors), end="\n" if survivors else "")
    print(f"mutants: {len(looked)} guards, {len(killed)} killed by a law, {len(survivors)} survived, {time.monotonic() - began:.0f} s")
    return 1 if survivors or not looked else 0


def shortened(words):
    """The law without what differs from run to run."""
    words = re.sub(r"\b(site|stage)[- ](\d+|test|pilot|production|rest)\b", r"\1", words)
    return re.sub(r"\d+ s\b", "… s", words)


if __name__ == "__main__":
    sys.exit(main())
