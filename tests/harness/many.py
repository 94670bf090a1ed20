"""Many emulated agents: each a connection with a key of its own, of which a test decides what it answers and when.

Their rows are written into a new controller's store before it runs, so that two hundred need no two hundred enrolments. What
they report is made up; nothing is done. Stands in for agents only: the controller and the command are the real ones.
"""
import os
import queue
import sqlite3
import subprocess
import threading
import time

import fleet as harness
import wire


class Many(harness.Fleet):
    def __init__(self, count, name="many"):  # no PostgreSQL and no site is needed
        import tempfile
        self.dir = tempfile.mkdtemp(prefix=f"cf-{name}-")
        os.chmod(self.dir, 0o755)
        self.sites, self.agents, self.processes, self.controller = {}, {}, [], None
        self.pg = os.path.join(self.dir, "pg")
        self.start_controller()
        self.controller.stop()
        self.names = [f"wiki-{n + 1:03d}" for n in range(count)]
        self.keys = self.write_rows()
        self.controller.start()
        self.json("site", "list")  # it listens
        self.peers = {}
        self.came = queue.Queue()

    def close(self, keep=False):
        import shutil
        for process in reversed(self.processes):
            process.stop()
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def write_rows(self):
        """Agent host-N with one installation, which is site wiki-N."""
        base = sqlite3.connect(os.path.join(self.dir, "controller", "controller.db"))
        keys, now = {}, int(time.time() * 1000)
        with base:
            for name in self.names:
                host = name.replace("wiki", "host")
                keys[name], curve, _ = wire.make_keys(self, host)
                survey = wire.encode("Survey", {"host": host, "os": "Debian 12", "agent_version": "0", "installations": [
                    {"id": "conf-1", "install": "/opt/confluence", "version": "9.2.13", "app_build": 9112}]})
                base.execute("insert into agents(name, curve_public, state, created_ms, seen_ms, version, host, os, start_count,"
                             " boot_id, event_seq, survey, survey_ms) values(?,?,'accepted',?,?,'','','',0,'',0,?,?)",
                             (host, curve.hex(), now, now, survey, now))
                base.execute("insert into sites(name, created_ms, check_event, checked_ms) values(?,?,?,0)", (name, now, b""))
                base.execute("insert into labels values(?,'env',?)", (name, "test" if name.endswith("1") else "production"))
                base.execute("insert into nodes values(?,'conf-1',?)", (host, name))
        base.close()
        return keys

    def dial(self, names):
        for name in names:
            self.peers[name] = Emulated(self, name)
        for name in names:
            harness.wait_for(f"{name} to be welcome", lambda name=name: self.peers[name].welcome, 20, 0.02)


class Emulated:
    """One agent: greets, acknowledges each order at once, and hands it to `answer(self, order)`, if the test has set that."""

    def __init__(self, fleet, name):
        self.name, self.seq, self.welcome, self.answer, self.orders = name, 0, None, None, []
        self.lock = threading.Lock()
        self.child = subprocess.Popen([wire.attack_path(), "client", fleet.control, wire.controller_key(fleet), "key", fleet.keys[name]],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.log = "emulated " + name
        fleet.processes.append(self)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def text(self):
        return ""

    def stop(self):
        if self.child.poll() is None:
            self.child.stdin.close()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.reader.join(5)
        self.child.stdout.close()

    def send(self, **body):
        with self.lock:
            self.child.stdin.write("send " + wire.encode("Frame", body).hex() + "\n")
            self.child.stdin.flush()

    def read(self):
        for line in self.child.stdout:
            if line.startswith("up"):
                self.send(hello={"protocol": 1, "program": "confleet-agent", "version": "0", "boot_id": "boot", "start_count": 1,
                                 "name": self.name.replace("wiki", "host")})
                continue
            if not line.startswith("got "):
                continue
            (what, body), = wire.decode("Frame", bytes.fromhex(line[4:])).items()
            if what == "welcome":
                self.welcome = body
            if what == "order" and body["id"] not in [o["id"] for o in self.orders]:
                self.orders.append(body)
                if self.answer:
                    self.answer(self, body)

    def event(self, order, **what):
        self.seq += 1
        self.send(event={"seq": self.seq, "at_ms": int(time.time() * 1000), "order_id": order["id"], "installation": "conf-1",
                         "site": self.name, **what})

    def ack(self, order):
        self.send(order_ack={"id": order["id"]})

    def found(self, order, findings):
        """The whole answer to a check."""
        self.ack(order)
        self.event(order, check={"findings": findings})
        self.event(order, done={})


def finding(check, family, severity, evidence="", **more):
    return {"id": check, "family": family, "severity": severity, "title": more.pop("title", f"About {check}"), "evidence": evidence,
            "remedy": "" if severity in ("OK", "INFO") else more.pop("remedy", f"Mend {check}."), "at_ms": int(time.time() * 1000), **more}
