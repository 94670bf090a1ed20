"""A fleet whose controller, operator and servers are hosts of harness/netns.py: each link between them can be cut, made lossy, led
through a relay, and stopped at a chosen message (tests/fault/gate.c). Sites are the light ones, one for each server.
"""
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time

import fleet as harness
import netns

CONTROL, BULK = 9310, 9311           # tests/fault/gate.c knows them
HOME, BEHIND, OPERATOR = 1, 2, 3     # last numbers of addresses: what peers dial, what relays dial, the operator
GATE = os.path.join(harness.BUILD, "tests", "libgate.so")
LIVE = []                            # fleets that are open, for who is interrupted


def address(number):
    return f"{netns.NET}{number}"


class Relays:
    """The process of harness/relay.py; .said holds what it told, in order."""

    def __init__(self, folder):
        self.log, self.said, self.child = os.path.join(folder, "relays.log"), [], None

    def start(self, specs):
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen([harness.PYTHON, "-B", os.path.join(harness.HERE, "relay.py")], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=out, text=True, start_new_session=True)
        self.child.stdin.write("".join(json.dumps(spec) + "\n" for spec in specs) + "\n")
        self.child.stdin.flush()
        if self.child.stdout.readline() != "ready\n":
            raise AssertionError("the relays did not start: " + self.text())
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            self.said.append(json.loads(line))

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        if self.child:
            self.child.stdin.close()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Gates:
    """Answers what is stopped at a gate. Rules are (way, who, link, body, what, nth) and what is to be done at that message."""

    def __init__(self, folder):
        self.folder, self.listening = folder, []

    def put(self, name, rules):
        """Environment of a program that has these rules."""
        path = os.path.join(self.folder, f"gate-{name}")
        with open(path, "w", encoding="ascii") as f:
            f.write(path + ".s\n" + "".join(" ".join(map(str, rule)) + "\n" for rule, _ in rules))
        if rules:
            at = socket.socket(socket.AF_UNIX)
            at.bind(path + ".s")
            at.listen(16)
            self.listening.append(at)
            threading.Thread(target=self.serve, args=(at, [act for _, act in rules]), daemon=True).start()
        return {"LD_PRELOAD": GATE, "CONFLEET_GATE": path, "CONFLEET_GATE_TRACE": path + ".trace"}

    def serve(self, at, acts):
        while True:
            try:
                peer, _ = at.accept()
            except OSError:
                return
            with peer:
                number = peer.makefile().readline()
                if number:
                    acts[int(number)]()
                    peer.send(b"g")

    def close(self):
        for at in self.listening:
            at.close()

    def seen(self):
        """How often each (way, link, body, what) was sent or came, over all programs."""
        counts = {}
        for name in os.listdir(self.folder):
            if name.startswith("gate-") and name.endswith(".trace"):
                with open(os.path.join(self.folder, name), encoding="ascii") as f:
                    for line in f:
                        way, _, link, body, what = line.split()
                        key = (way, link, int(body), int(what))
                        counts[key] = counts.get(key, 0) + 1
        return counts


def assignments(environment):
    return " ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items())


class NetFleet(harness.Fleet):
    def __init__(self, name="net", parent=None, database=True):
        self.net = None
        if database:
            super().__init__(name, parent=parent)
        else:
            self.dir = tempfile.mkdtemp(prefix=f"cf-{name}-", dir=parent)
            os.chmod(self.dir, 0o755)
            self.sites, self.agents, self.processes, self.crowd, self.controller = {}, {}, [], set(), None
            self.pg, self.pg_port = os.path.join(self.dir, "pg"), 0
        try:
            self.net = netns.Net()
            self.net.host("c", HOME, BEHIND)
            self.net.host("o", OPERATOR)
            self.gates, self.relays, self.number = Gates(self.dir), Relays(self.dir), 10
            self.processes.append(self.relays)
            self.timers, self.over = [], False
            self.operator_gate = {}
        except BaseException:
            self.close()
            raise
        LIVE.append(self)

    def close(self, keep=False):
        if self in LIVE:
            LIVE.remove(self)
        self.over = True
        for timer in getattr(self, "timers", []):
            timer.cancel()
        super().close(keep)
        if self.net:
            self.gates.close()
            self.net.close()

    def later(self, seconds, what, *words):
        timer = threading.Timer(seconds, lambda: None if self.over else what(*words))
        timer.daemon = True
        self.timers.append(timer)
        timer.start()

    # --- programs on their hosts

    def start_controller(self, *options, rules=()):
        state = os.path.join(self.dir, "controller")
        self.control, self.bulk = (f"tcp://{address(HOME)}:{port}" for port in (CONTROL, BULK))
        self.operator, self.operator_join = os.path.join(self.dir, "operator"), os.path.join(self.dir, "operator.join")
        config = os.path.join(self.dir, "controller.yaml")
        with open(config, "w", encoding="ascii") as f:
            f.write(f"heartbeat: 1s\ncontrol: tcp://0.0.0.0:{CONTROL}\nbulk: tcp://0.0.0.0:{BULK}\n")
        harness.run(self.program("confleet-controller"), "init", "--state", state, "--control", self.control, "--bulk", self.bulk,
                    "--operator", "chief", "--join", self.operator_join)
        self.controller = self.controller_on("c", state, "controller", rules=rules)
        self.controller.start()
        self.cli("enrol", self.operator_join, timeout=60)
        return self.controller

    def controller_on(self, host, state, name, rules=()):
        """A controller that is not started yet."""
        words = ["/usr/bin/env", *(f"{k}={v}" for k, v in self.gates.put(name, rules).items()), self.program("confleet-controller"), "run",
                 "--state", state, "--config", os.path.join(self.dir, "controller.yaml")]
        process = harness.Process(name, self.net.words(host) + words, self.dir)
        self.processes.append(process)
        return process

    def cli(self, *words, ok=(0,), **more):
        if self.over:
            raise AssertionError("interrupted")
        gate = [f"{k}={v}" for k, v in self.operator_gate.items()]
        return harness.run(*self.net.words("o"), "/usr/bin/env", *gate, self.program("confleet"), "--home", more.pop("home", self.operator),
                           *words, ok=ok, **more)

    def host(self, name, relay=None):
        """A server's host, and the relays that it needs; they are started by start_relays()."""
        self.number += 1
        self.net.host(name, self.number)
        space = self.net.space(name)
        specs = [{"space": space, "listen": ["127.0.0.1", self.pg_port], "unix": f"{self.pg}/.s.PGSQL.{self.pg_port}"}]
        if relay:
            self.net.ip(name, "addr", "add", address(HOME) + "/32", "dev", "lo")
            for port, first in ((CONTROL, relay["control"]), (BULK, relay["bulk"])):
                specs.append({"space": space, "listen": [address(HOME), port], "to": [address(BEHIND), port], "seed": relay["seed"] + port,
                              "first": first})
        return specs

    def enrol(self, name, config, rules=(), attempts=1):
        """As a person would: again when it failed."""
        join = os.path.join(self.dir, name + ".join")
        self.cli("agent", "token", name, "--join", join)
        gate = [f"{k}={v}" for k, v in self.gates.put(name + "-enrol", rules).items()]
        words = [*self.net.words(name), "/usr/bin/env", *gate, self.program("confleet-agent"), "enrol", join, "--config", config]
        for left in reversed(range(attempts)):
            done = harness.run(*words, ok=None, timeout=120)
            if done.returncode == 0:
                return
            if left == 0:
                raise AssertionError(f"enrolment of {name}: status {done.returncode}\n{done.stdout}{done.stderr}")

    def serve(self, name, site, config, rules=(), boot_id=None):
        """The server's processes in a PID namespace on its host: the site, and the agent, which is started again when it ends."""
        gate = assignments(self.gates.put(name, rules))
        program = f"{gate} '{self.program('confleet-agent')}' run --config '{config}'"
        start = f"'{self.sites[site]['install']}/bin/start-confluence.sh' >/dev/null; " if site else ""
        other = f"mount --bind '{boot_id}' /proc/sys/kernel/random/boot_id; " if boot_id else ""
        words = self.net.words(name) + ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/bash", "-c",
                                        f"{other}{start}while :; do {program}; sleep 0.2; done"]
        agent = harness.Process("agent-" + name, words, self.dir)
        agent.config, agent.stop = config, agent.kill
        self.processes.append(agent)
        self.agents[name] = agent
        return agent.start()

    def agent_pids(self, name):
        """The agent's processes on this host (its commands included)."""
        found = []
        for pid in netns.command("ip", "netns", "pids", self.net.space(name), ok=False).stdout.split():
            try:
                if os.readlink(f"/proc/{pid}/exe").endswith("/confleet-agent"):
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def agent_state(self, name):
        rows = self.store("select state from agents where name=?", name)
        return rows[0][0] if rows else None

    def status_of(self, site, host):
        """What the site's own /status says, asked on its host."""
        done = self.net.run(host, "curl", "-s", "-m", "5", f"http://127.0.0.1:{self.sites[site]['http']}{self.context(site)}/status", ok=False)
        return json.loads(done.stdout)["state"] if done.stdout.startswith("{") else None

    # --- cuts at a message

    def cut(self, host, way, manner, hit):
        """What a gate's rule does. late: the link heals while TCP still tries; lost: the connection is ended on the agent's side, the
        other one hears nothing; silent: it lasts until both have given the connection up by themselves."""
        done = threading.Event()

        def act():
            if done.is_set():
                return
            done.set()
            self.net.partition(host, way)
            if manner == "lost":
                self.net.break_off(host)
            hit()
            self.later({"late": 3, "lost": 1, "silent": 50}[manner], self.net.partition, host, None)
        return act


def abort():
    """For who is interrupted: ends what runs on all hosts, until the fleets are closed, so that whoever waits for it fails soon."""
    print("interrupted: everything that runs on the test's hosts is ended", file=sys.stderr, flush=True)
    threading.Thread(target=abort_all, daemon=True).start()


def abort_all():
    while True:
        for fleet in list(LIVE):
            fleet.over = True
            for name in list(fleet.net.names):
                netns.kill_all(fleet.net.space(name))
        time.sleep(0.5)


def need_hosts():
    """These tests need network namespaces. Where they are not allowed the tests are skipped, and say so."""
    harness.need_root()
    why = netns.why_not()
    if why:
        print(f"skipped: no network namespaces with nftables here: {why}")
        sys.exit(harness.SKIP)


def wait_quietly(what, probe, seconds, fleet, step=0.3):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if fleet.over:
            raise AssertionError("interrupted")
        answer = probe()
        if answer:
            return answer
        time.sleep(step)
    raise AssertionError(f"waited {seconds} s for {what}")
