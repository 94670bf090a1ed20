"""Where a process is in its work, and where it is to stop: the other side of the library tests/fault/points.c.

A process that reaches the point that was ordered stops itself; the test then does to it from outside what it likes. Points are words:

    agent before-intent STEP act      before the commit of a step's intent; then after-intent, before-end, after-end; undo instead of act on the way back
    worker start STEP act             it has read its order and done nothing; then result: all is done, and not yet said
    client PROGRAM begin STEP act     a child of the worker, before it becomes its program; end: of pg_dump and its like, as they exit

Moments are counted in ticks: commits, changes of files, statements to PostgreSQL, children. at_tick() stops whoever comes to that one.
"""
import mmap
import os
import struct
import time

import fleet as harness

POINT_MAX = 128
WANTED, NTH, SEEN, TICK, TICKS, STOPPED, WHERE, STEP, UNDOING, SKEW = 0, 128, 132, 136, 140, 144, 148, 276, 308, 320


class Points:
    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.write(bytes(4096))
            os.chmod(path, 0o666)       # clients of PostgreSQL run as users of their own
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)

    def words(self):
        """Before a command line: what preloads the library into that program."""
        library = os.path.join(harness.BUILD, "tests", "libpoints.so")
        return ["/usr/bin/env", f"LD_PRELOAD={library}", f"CONFLEET_POINTS={self.path}"]

    def number(self, at, value=None):
        if value is None:
            return struct.unpack_from("<i", self.map, at)[0]
        struct.pack_into("<i", self.map, at, value)
        return value

    def text(self, at, size):
        return self.map[at:at + size].split(b"\0")[0].decode()

    def clear(self):
        """No order, and the count begins anew."""
        self.map[WANTED:WANTED + POINT_MAX] = bytes(POINT_MAX)
        for at in (TICK, SEEN, TICKS, STOPPED):
            self.number(at, 0)

    def at(self, point, nth=1):
        self.number(STOPPED, 0)
        self.number(SEEN, 0)
        self.number(NTH, nth)
        self.map[WANTED:WANTED + POINT_MAX] = point.encode().ljust(POINT_MAX, b"\0")

    def at_tick(self, ticks_from_now):
        self.number(STOPPED, 0)
        self.number(TICK, self.ticks() + ticks_from_now)

    def ticks(self):
        return self.number(TICKS)

    def stopped(self):
        """The process that stopped itself, when the kernel says so too."""
        pid = self.number(STOPPED)
        return pid if pid and state_of(pid) in ("T", "t") else 0

    def where(self):
        return self.text(WHERE, POINT_MAX)

    def wait(self, over, seconds=60):
        """The process that stopped at the point; 0 when over() is true before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if pid := self.stopped():
                return pid
            if over():
                return self.stopped()
            time.sleep(0.005)
        raise AssertionError(f"waited {seconds} s for a stop at {self.text(WANTED, POINT_MAX) or self.number(TICK)!r}; "
                             f"the journal is at {self.text(STEP, 32)}")

    def later(self, milliseconds):
        """The agent's clock is that much ahead from now on."""
        struct.pack_into("<q", self.map, SKEW, struct.unpack_from("<q", self.map, SKEW)[0] + milliseconds)

    def begin_list(self):
        with open(self.path + ".list", "w", encoding="ascii"):
            os.chmod(self.path + ".list", 0o666)

    def end_list(self):
        with open(self.path + ".list", encoding="ascii") as f:
            lines = f.read().splitlines()
        os.unlink(self.path + ".list")
        return lines


def state_of(pid):
    """The kernel's letter for a process; empty when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""
