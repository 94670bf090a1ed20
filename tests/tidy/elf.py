#!/usr/bin/python3
"""What a built program must show: hardening, no path of this machine, no library that belongs into the worker alone.

Usage: elf.py SOURCE_DIR BUILD_DIR; prints PROGRAM: what is wrong, exits 1 when any. Sanitizer builds are not looked at.
"""
import os
import re
import subprocess
import sys

PROGRAMS = ("agent/confleet-agent", "agent/confleet-worker", "controller/confleet-controller", "controller/confleet")
# Parsers of a customer's bytes share no process with the keys.
WORKER_ALONE = ("libarchive.", "libpq.", "libcurl.", "libexpat.")


def readelf(*words):
    return subprocess.run(["readelf", "-W", *words], capture_output=True, text=True, check=True, env={"LC_ALL": "C", "PATH": "/usr/bin"}).stdout


def faults(path, folders):
    header, segments, dynamic, symbols = readelf("-h", path), readelf("-l", path), readelf("-d", path), readelf("--dyn-syms", path)
    imported = set(re.findall(r" UND (\w+)", symbols))
    if not re.search(r"Type:\s+DYN", header) or not re.search(r"FLAGS_1\).*\bPIE\b", dynamic):
        yield "is loaded at a fixed address (no PIE)"
    if "GNU_RELRO" not in segments or not re.search(r"\(FLAGS(_1)?\).*\bNOW\b|BIND_NOW", dynamic):
        yield "its table of functions can be written (no full RELRO)"
    stack = re.search(r"GNU_STACK(?:\s+0x\w+){5}\s+([RWE ]+?)\s+0x", segments)
    if not stack or "E" in stack[1]:
        yield "its stack can be executed"
    if re.search(r"LOAD(?:\s+0x\w+){5}\s+RWE", segments):
        yield "has memory that can be written and executed"
    if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
        yield "looks for libraries at a place of its own (RPATH)"
    if "__stack_chk_fail" not in imported:
        yield "has no stack protector"
    if not any(name.endswith("_chk") for name in imported):
        yield "has no checked calls (_FORTIFY_SOURCE)"
    if "__assert_fail" not in imported:
        yield "was built without asserts (NDEBUG)"
    if not path.endswith("/confleet-worker"):
        for library in re.findall(r"\(NEEDED\).*\[(.*?)\]", dynamic):
            if library.startswith(WORKER_ALONE):
                yield f"is linked with {library}, which belongs into the worker alone"
    with open(path, "rb") as file:
        content = file.read()
    for folder in folders:
        found = re.search(rb"(?<![\w./-])" + re.escape(folder.encode()) + rb"(/[^\0]{0,100})?(?=\0)", content)
        if found:
            yield "holds a path of the machine that built it: " + found[0].decode(errors="replace")


def main():
    source, build = (os.path.realpath(word) for word in sys.argv[1:3])
    bad = 0
    for name in PROGRAMS:
        path = os.path.join(build, name)
        if not os.path.exists(path):
            print(f"{name}: not built")
            bad += 1
            continue
        for fault in faults(path, {source, build}):
            print(f"{name}: {fault}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
