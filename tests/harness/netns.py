"""Network namespaces of a test's own: hosts on one bridge, each with rules of its own that drop what they are told to.

Names carry the test's process and when it started, so that what a run left that was killed is found by the next one, and
taken away: its namespaces and what still runs in them. Nothing is ever made in the machine's own namespace.
"""
import ctypes
import itertools
import os
import re
import signal
import socket
import subprocess
import threading

PLACE = "/run/netns"
NAME = re.compile(r"^cfn(\d+)x(\d+)-")
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
NET = "10.77.0."


def started(pid):
    """When this process started, in the kernel's count; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return int(f.read().rsplit(")", 1)[1].split()[19])
    except OSError:
        return None


def command(*words, text=None, ok=True):
    done = subprocess.run([str(w) for w in words], input=text, capture_output=True, text=True, timeout=60)
    if ok and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}\n{text or ''}{done.stderr}")
    return done


def why_not():
    """Why none can be made here, in words; None when they can. What is needed is tried."""
    name = f"cfn{os.getpid()}x{started(os.getpid())}-try"
    try:
        command("ip", "netns", "add", name)
        try:
            rules = table("numgen random mod 100 < 30 drop", "")
            command("nsenter", f"--net={PLACE}/{name}", "nft", "-f", "-", text=rules)
            command("ip", "-n", name, "link", "add", "one0", "type", "veth", "peer", "name", "two0")
            command("ip", "-n", name, "link", "add", "br0", "type", "bridge")
        finally:
            command("ip", "netns", "del", name)
    except (OSError, AssertionError) as error:
        return str(error).strip().splitlines()[-1]
    return None


def table(inward, outward):
    chains = "".join(f" chain {name} {{\n  type filter hook {hook} priority 0\n  {way} \"lo\" accept\n  {rule}\n }}\n"
                     for name, hook, way, rule in (("in", "input", "iifname", inward), ("out", "output", "oifname", outward)))
    return f"table inet fault {{\n}}\ndelete table inet fault\ntable inet fault {{\n{chains}}}\n"


def kill_all(name):
    """What runs in this namespace. All of it was started by a test, for none else knows the name."""
    for pid in command("ip", "netns", "pids", name, ok=False).stdout.split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


def end(name):
    kill_all(name)
    command("ip", "netns", "del", name, ok=False)


def left_over():
    """Namespaces of runs that are over."""
    try:
        names = os.listdir(PLACE)
    except OSError:
        return []
    found = [(name, NAME.match(name)) for name in names]
    return [name for name, match in found if match and started(int(match[1])) != int(match[2])]


def sweep():
    for name in left_over():
        end(name)


class Net:
    """Hosts by name. Addresses are 10.77.0.N; the bridge that joins them is in a namespace of its own."""
    made = itertools.count(1)

    def __init__(self):
        sweep()
        self.prefix = f"cfn{os.getpid()}x{started(os.getpid())}-{next(Net.made)}"
        self.names, self.cut, self.loss, self.dropped = [], {}, {}, {}
        self.lock = threading.RLock()
        self.add("hub")
        self.ip("hub", "link", "add", "br0", "type", "bridge")
        self.ip("hub", "link", "set", "br0", "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for name in self.names:
            end(self.space(name))
        self.names = []

    def space(self, name):
        return self.prefix + name

    def ip(self, name, *words, ok=True):
        return command("ip", "-n", self.space(name), *words, ok=ok)

    def add(self, name):
        self.names.append(name)
        command("ip", "netns", "add", self.space(name))
        self.ip(name, "link", "set", "lo", "up")

    def host(self, name, *numbers):
        """A host on the bridge with these addresses."""
        port = f"v{len(self.names)}"
        self.add(name)
        self.ip("hub", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.space(name))
        self.ip("hub", "link", "set", port, "master", "br0", "up")
        for number in numbers:
            self.ip(name, "addr", "add", f"{NET}{number}/24", "dev", "eth0")
        # It answers for the addresses of the bridge alone, not for one that only stands for another host here.
        self.run(name, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore")
        self.ip(name, "link", "set", "eth0", "up")

    def move(self, number, one, other):
        """Takes an address from one host to another, as when a standby takes over."""
        self.ip(one, "addr", "del", f"{NET}{number}/24", "dev", "eth0")
        self.ip(other, "addr", "add", f"{NET}{number}/24", "dev", "eth0")
        for name in self.names:
            self.ip(name, "neigh", "flush", "all", ok=False)

    def words(self, name):
        """What a command begins with that is to run on that host."""
        return ["/usr/bin/nsenter", f"--net={PLACE}/{self.space(name)}"]

    def run(self, name, *words, ok=True, text=None):
        return command(*self.words(name), *words, ok=ok, text=text)

    def socket(self, name, kind=socket.AF_INET):
        """A socket on that host. Only for programs with one thread: the calling thread is there for a moment."""
        with open("/proc/self/ns/net", "rb") as here, open(f"{PLACE}/{self.space(name)}", "rb") as there:
            if LIBC.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                return socket.socket(kind, socket.SOCK_STREAM)
            finally:
                if LIBC.setns(here.fileno(), CLONE_NEWNET) != 0:
                    os._exit(1)

    # --- faults

    def apply(self, name):
        cut, loss = self.cut.get(name), self.loss.get(name)
        chance = f"numgen random mod 100 < {loss} counter drop" if loss else ""
        self.count(name)
        self.run(name, "nft", "-f", "-", text=table("drop" if cut in ("both", "in") else chance, "drop" if cut in ("both", "out") else chance))

    def count(self, name):
        shown = self.run(name, "nft", "list", "ruleset").stdout
        self.dropped[name] = self.dropped.get(name, 0) + sum(map(int, re.findall(r"counter packets (\d+)", shown)))

    def partition(self, name, way):
        """way: "both", or what is lost as that host sees it: "in" or "out"; None heals."""
        with self.lock:
            self.cut[name] = way
            self.apply(name)

    def lose(self, name, percent):
        with self.lock:
            self.loss[name] = percent
            self.apply(name)

    def break_off(self, name):
        """Ends the TCP connections that this host has open to others, on its side."""
        self.run(name, "ss", "-K", "dst", NET + "0/24")
