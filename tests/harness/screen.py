"""A terminal for tests: a program on a pty, and what a person would see there.

It knows the few control sequences that the command may use; any other is an error, as it might do anything elsewhere.
"""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

SEQUENCE = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])")


class Grid:
    """Rows of cells; what scrolls out at the top is kept in `above`."""

    def __init__(self, columns, rows):
        self.columns, self.rows, self.wrap = columns, rows, True
        self.lines, self.above = [""] * rows, []
        self.x = self.y = 0
        self.rest, self.cut, self.colors = "", 0, 0

    def resize(self, columns, rows):
        """As a terminal that does not reflow: cells are cut or added at the right and at the bottom."""
        self.lines = [line[:columns] for line in self.lines][:rows] + [""] * (rows - len(self.lines))
        self.columns, self.rows = columns, rows
        self.x, self.y = min(self.x, columns - 1), min(self.y, rows - 1)

    def down(self):
        self.y += 1
        if self.y >= self.rows:
            self.above.append(self.lines.pop(0))
            self.lines.append("")
            self.y = self.rows - 1

    def control(self, number, letter):
        line = self.lines[self.y]
        if letter == "m":
            self.colors += 1
        elif letter == "A":
            self.y = max(0, self.y - int(number or 1))
        elif letter == "H" and not number:
            self.x = self.y = 0
        elif letter == "K" and not number:
            self.lines[self.y] = line[:self.x]
        elif letter == "J" and not number:
            self.lines[self.y] = line[:self.x]
            self.lines[self.y + 1:] = [""] * (self.rows - self.y - 1)
        elif number == "?7" and letter in "hl":
            self.wrap = letter == "h"
        else:
            raise AssertionError(f"the command sent ESC [ {number} {letter}")

    def put(self, char):
        if self.x >= self.columns:
            if self.wrap:
                self.x = 0
                self.down()
            else:
                self.cut += 1
                self.x = self.columns - 1
        line = self.lines[self.y].ljust(self.x)
        self.lines[self.y] = line[:self.x] + char + line[self.x + 1:]
        self.x += 1

    def feed(self, text):
        text, self.rest = self.rest + text, ""
        while text:
            if text[0] == "\x1b":
                found = SEQUENCE.match(text)
                if not found:
                    if len(text) > 12:
                        raise AssertionError(f"the command sent {text[:12]!r}")
                    self.rest = text
                    return
                self.control(found[1], found[2])
                text = text[found.end():]
                continue
            if text[0] == "\n":
                self.down()
            elif text[0] == "\r":
                self.x = 0
            elif text[0] < " " or text[0] == "\x7f":
                raise AssertionError(f"the command sent {text[0]!r}")
            else:
                self.put(text[0])
            text = text[1:]

    def shown(self):
        return [line.rstrip() for line in self.lines]


class Screen:
    def __init__(self, words, columns=100, rows=24, **environment):
        self.grid = Grid(columns, rows)
        self.raw, self.decoder = "", codecs.getincrementaldecoder("utf-8")()
        self.master, self.slave = pty.openpty()
        self.size(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        values = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        values.update({"TERM": "xterm-256color", **environment})
        self.child = subprocess.Popen([str(w) for w in words], stdin=self.slave, stdout=self.slave, stderr=self.slave, env=values,
                                      preexec_fn=self.lead)

    def lead(self):
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def size(self, columns, rows):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.grid.resize(columns, rows)

    def read(self, seconds=0.2):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        text = self.decoder.decode(os.read(self.master, 65536))
        self.raw += text
        self.grid.feed(text)
        return True

    def until(self, what, probe, seconds=60):
        """Reads until probe(screen) is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            if probe(self):
                return
        raise AssertionError(f"waited {seconds} s for {what}; on the screen:\n" + "\n".join(self.grid.shown()))

    def type(self, text):
        os.write(self.master, text.encode())

    def wait(self, seconds=60):
        """To its end, with all that it wrote; answers its exit status."""
        self.until("the command to end", lambda s: s.child.poll() is not None, seconds)
        while self.read(0.1):
            pass
        return self.child.returncode

    def same_terminal(self):
        """Is the terminal as it was before the command?"""
        return termios.tcgetattr(self.slave) == self.before and self.grid.wrap and "\x1b[?25l" not in self.raw

    def close(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait(10)
        os.close(self.master)
        os.close(self.slave)
