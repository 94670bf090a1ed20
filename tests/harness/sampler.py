"""Looks for texts in the arguments and the environment of every process that was started since, and in the memory of our
long-lived programs, over and over until standard input ends. In: one JSON line, {"texts": {name: text}, "memory": [endings of
/proc/PID/exe], "ignore": [parts of arguments or environment]}. Out: one JSON line, {"rounds", "seconds", "programs", "hits"}.

A process of its own, so that a busy test does not slow it down; the texts come by a pipe because they must be in no argument.
"""
import json
import os
import select
import sys
import time

OURS = ("confleet", "pg_", "psql")
YOUNG_S, MEMORY_GAP_S = 1.0, 0.4


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def memory(pid):
    """What a core file of it would hold: its writable memory."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in maps:
                words = line.split()
                if "w" not in words[1] or words[-1].startswith("[v"):
                    continue
                start, end = (int(x, 16) for x in words[0].split("-"))
                for at in range(start, end, 1 << 20):
                    try:
                        mem.seek(at)
                        yield mem.read(min(end - at, (1 << 20) + 256))
                    except (OSError, OverflowError):
                        continue
    except OSError:
        return


def main():
    order = json.loads(sys.stdin.readline())
    texts = {name: text.encode() for name, text in order["texts"].items()}
    ignore = [part.encode() for part in order["ignore"]]
    old = {pid for pid in os.listdir("/proc") if pid.isdigit()}
    born, hits, programs, core, rounds = {}, set(), set(), set(), 0
    start, next_memory = time.monotonic(), 0.0
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.004)[0]:
        now = time.monotonic()
        rounds += 1
        alive = {pid for pid in os.listdir("/proc") if pid.isdigit()} - old
        for pid in alive:
            if now - born.setdefault(pid, now) > YOUNG_S and rounds % 20:
                continue
            arguments = read(f"/proc/{pid}/cmdline")
            name = os.path.basename(arguments.split(b"\0")[0]).decode(errors="replace")
            programs.add(name)
            environment = read(f"/proc/{pid}/environ")
            # What Confluence's own scripts start, with the options that its admin wrote there.
            theirs = any(part in arguments or part in environment for part in ignore) and not name.startswith(OURS)
            for what, data in (("arguments", arguments), ("environment", environment)):
                for label, text in texts.items():
                    if text in data and not theirs:
                        hits.add((what, name, label))
            if name in ("pg_dump", "pg_restore", "psql"):
                for line in read(f"/proc/{pid}/limits").splitlines():
                    if line.startswith(b"Max core file size"):
                        core.add(int(line.split()[4].replace(b"unlimited", b"999")))
        born = {pid: when for pid, when in born.items() if pid in alive}
        if now >= next_memory:
            for pid in alive:
                try:
                    program = os.readlink(f"/proc/{pid}/exe")
                except OSError:
                    continue
                if not program.endswith(tuple(order["memory"])) or b"\0licence\0" in read(f"/proc/{pid}/cmdline"):
                    continue
                for piece in memory(pid):
                    for label, text in texts.items():
                        if text in piece:
                            hits.add(("memory", os.path.basename(program), label))
            next_memory = time.monotonic() + MEMORY_GAP_S
    print(json.dumps({"rounds": rounds, "seconds": time.monotonic() - start, "programs": sorted(programs), "core": sorted(core),
                      "hits": sorted(hits)}), flush=True)


main()
