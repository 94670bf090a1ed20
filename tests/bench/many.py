"""Packing, reading back and packing again by the code of the worker alone: many small files and one large one.

By default small, as a look; CONFLEET_BENCH_FILES=1000000 CONFLEET_BENCH_GB=10 for a night. The large file has no holes and does not
compress. What comes out: seconds, CPU seconds, and the peak memory of a process that has done all before it as well.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("CONFLEET_BUILD", os.path.join(ROOT, "build", "gcc"))
PROGRAM = os.path.join(BUILD, "tests", "bench-files")
LABELS = {"load": "the manifest of the first is read", "first": "first backup", "second": "second, nothing changed",
          "keep": "  its manifest is written and synced", "check": "  its packs are read back (page cache dropped)"}


def generate(top, files, gigabytes):
    """Small files in folders of 250, a few hundred bytes each; and the large one."""
    os.makedirs(top + "/install/bin")
    os.makedirs(top + "/home")
    with open(top + "/install/bin/catalina.sh", "w", encoding="ascii") as out:
        out.write("#!/bin/sh\n")
    noise = os.urandom(64 << 20)
    for first in range(0, files, 250):
        folder = f"{top}/home/attachments/ver003/{first // 250 % 250}/{first // 62500}/{first}"
        os.makedirs(folder)
        for number in range(first, min(files, first + 250)):
            with open(f"{folder}/{9000000 + number}", "wb", buffering=0) as out:
                out.write(noise[number % 4096:number % 4096 + 200 + number % 200])
    with open(top + "/home/large", "wb", buffering=0) as out:
        left = int(gigabytes * 1e9)
        while left > 0:
            left -= out.write(noise[left % 4093:][:left])


def main(words):
    parser = argparse.ArgumentParser(prog="scripts/bench files", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--files", type=int, default=int(os.environ.get("CONFLEET_BENCH_FILES", "20000")))
    parser.add_argument("--gb", type=float, default=float(os.environ.get("CONFLEET_BENCH_GB", "0.5")))
    parser.add_argument("--threads", type=int, default=min(4, os.cpu_count() or 1), help="helpers; 0: one thread, as while users are served")
    args = parser.parse_args(words)
    where = os.environ.get("TMPDIR", "/tmp")
    needed = 2.2e9 * args.gb + 10e3 * args.files
    if shutil.disk_usage(where).free < needed:
        sys.exit(f"error: {where} needs about {needed / 1e9:.1f} GB free; TMPDIR says where")
    with tempfile.TemporaryDirectory(prefix="cf-many-", dir=where) as top:
        generate(top, args.files, args.gb)
        os.sync()
        print(f"{args.files} small files, {args.gb:g} GB in one; {args.threads} helpers; load {os.getloadavg()[0]:.1f}", flush=True)
        told = subprocess.run([PROGRAM, top + "/backups", top + "/install", top + "/home", str(args.threads)], check=True, stdout=subprocess.PIPE, text=True)
        for line in told.stdout.splitlines():
            what, took, cpu, size, entries, peak = line.split()
            speed = f", {int(size) / 1e6 / max(float(took), 0.001):.0f} MB/s" if what in ("first", "check") and int(size) else ""
            print(f"  {LABELS[what]:50}{float(took):9.2f} s, {float(cpu):.2f} s of CPU{speed}; peak {peak} MB, {entries} names")
        print(f"load {os.getloadavg()[0]:.1f} at the end")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
