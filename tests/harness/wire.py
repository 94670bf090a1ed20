"""The messages of confleet.proto by name, for tests that say what no program of ours would, and the peers that say it.

The .proto file itself is read for names, numbers and kinds, so that nothing here must be kept in step with it. Messages are
dictionaries; bytes are bytes; enums are given by name or number and read as numbers.
"""
import os
import queue
import re
import subprocess
import threading
import time

import fleet as harness

VARINT, FIXED64, LENGTH = 0, 1, 2
INTEGERS = ("uint32", "uint64", "int32", "int64", "bool")


def read_proto(path):
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"//[^\n]*", "", f.read())
    enums = {}
    for body in re.findall(r"\benum \w+ \{([^}]*)\}", text):
        enums.update({name: int(number) for name, number in re.findall(r"(\w+)\s*=\s*(\d+);", body)})
    messages = {}
    for name, body in re.findall(r"\bmessage (\w+) \{((?:[^{}]|\{[^{}]*\})*)\}", text):
        messages[name] = {field: (int(number), kind, bool(many)) for many, kind, field, number in
                          re.findall(r"(repeated )?\b(\w+) (\w+) = (\d+);", body)}
    return messages, enums


MESSAGES, ENUMS = read_proto(os.path.join(harness.ROOT, "proto", "confleet.proto"))


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def encode(kind, values):
    """Fields in the order of their numbers; what is None is left out."""
    out = b""
    for field, (number, inner, many) in sorted(MESSAGES[kind].items(), key=lambda x: x[1][0]):
        given = values.get(field)
        if given is None:
            continue
        for value in given if many else [given]:
            if isinstance(value, str) and inner not in ("string", "bytes"):
                value = ENUMS[value]
            if isinstance(value, int):
                out += varint(number << 3 | VARINT) + varint(value) if value or many else b""
                continue
            data = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else encode(inner, value)
            if data or inner in MESSAGES or many:
                out += varint(number << 3 | LENGTH) + varint(len(data)) + data
    unknown = set(values) - set(MESSAGES[kind])
    assert not unknown, f"{kind} has no {unknown}"
    return out


def take(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at


def decode(kind, data):
    names = {number: (field, inner, many) for field, (number, inner, many) in MESSAGES[kind].items()}
    out, at = {}, 0
    while at < len(data):
        head, at = take(data, at)
        field, inner, many = names[head >> 3]
        value, at = take(data, at)
        if head & 7 == LENGTH:
            piece, at = data[at:at + value], at + value
            if inner in INTEGERS or inner not in MESSAGES and inner not in ("string", "bytes"):
                value, inside = [], 0
                while inside < len(piece):
                    one, inside = take(piece, inside)
                    value.append(one)
                out.setdefault(field, []).extend(value)
                continue
            value = piece.decode() if inner == "string" else piece if inner == "bytes" else decode(inner, piece)
        elif inner.startswith("int") and value >> 63:
            value -= 1 << 64
        if many:
            out.setdefault(field, []).append(value)
        else:
            out[field] = value
    return out


class Words:
    """One run of the attack program: lines in, lines out, each with the time at which it came."""

    def __init__(self, fleet, *words):
        self.child = subprocess.Popen([attack_path(), *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines, self.seen = queue.Queue(), []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        fleet.processes.append(self)
        self.log = "attack " + " ".join(map(str, words[:2]))

    def read(self):
        for line in self.child.stdout:
            self.lines.put((time.monotonic(), line.rstrip("\n")))

    def text(self):
        return "\n".join(line for _, line in self.seen)

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

    def say(self, *words):
        self.child.stdin.write(" ".join(words) + "\n")
        self.child.stdin.flush()

    def next(self, seconds=15):
        """(time, line); an assertion when none came."""
        try:
            answer = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"{self.log}: nothing was heard for {seconds} s after {self.seen}") from None
        self.seen.append(answer)
        return answer

    def until(self, *starts, seconds=15):
        """The next line that starts with one of these; others are passed over."""
        end = time.monotonic() + seconds
        while True:
            at, line = self.next(max(0.001, end - time.monotonic()))
            if line.startswith(starts):
                return at, line


class Peer(Words):
    """One connection to a controller with a key of the test's choice."""

    def __init__(self, fleet, *key, endpoint=None, kind="Frame"):
        self.kind, self.endpoint = kind, endpoint or fleet.control
        super().__init__(fleet, "client", self.endpoint, controller_key(fleet), *key)

    def up(self):
        """Waits for the handshake; answers our own TCP port."""
        _, line = self.until("up", "refused", "failed", "cut")
        assert line.startswith("up"), line
        return int(line.split()[1])

    def send(self, **body):
        self.say("send", encode(self.kind, body).hex())

    def hear(self, seconds=15):
        """(name of the body, body) of the next frame that is no heartbeat."""
        while True:
            _, line = self.until("got", "cut", seconds=seconds)
            if line == "cut":
                return "cut", {}
            (name, body), = decode(self.kind, bytes.fromhex(line[4:])).items()
            if name not in ("heartbeat", "order"):
                return name, body

    def hello(self, name="", **more):
        self.send(hello={"protocol": 1, "program": "test", "version": "0", "name": name, "boot_id": "boot", **more})
        return self.hear()

    def request(self, **body):
        """The reply to one request of an operator."""
        request_id = os.urandom(8).hex()
        self.send(request={"id": request_id, **body})
        name, reply = self.hear()
        assert name == "reply" and reply["id"] == request_id, (name, reply)
        return reply


class Controller(Words):
    """Whoever holds the controller's key: speaks to one agent at the controller's own address."""

    def __init__(self, fleet, epoch):
        super().__init__(fleet, "server", os.path.join(fleet.dir, "controller", "controller.key"), fleet.control)
        self.fleet, self.epoch, self.route, self.number = fleet, epoch, "", 0
        self.until("bound")

    def hear(self, *names, seconds=60):
        """The next frame of one of these kinds; answers greetings on the way."""
        end = time.monotonic() + seconds
        while True:
            _, line = self.until("got", seconds=end - time.monotonic())
            route, frame = line[4:].split(" ")
            (name, body), = decode("Frame", bytes.fromhex(frame)).items()
            if name == "hello":
                self.route = route
                self.welcome(body)
            if name in names:
                return body

    def send(self, **body):
        self.say("send", self.route, encode("Frame", body).hex())

    def welcome(self, hello):
        self.send(welcome={"protocol": 1, "version": "0", "you": hello["name"], "state": "accepted", "epoch": self.epoch,
                           "fleet": fleet_id(self.fleet), "event_acked": hello.get("event_seq", 0), "adopted_epoch": self.epoch,
                           "now_ms": int(time.time() * 1000), "heartbeat_ms": 1000})

    def order(self, epoch=None, **what):
        """Sends one order; answers the agent's acknowledgement of it."""
        self.number += 1
        order_id = f"test-{self.number}"
        self.send(order={"id": order_id, "epoch": self.epoch if epoch is None else epoch, **what})
        while True:
            ack = self.hear("order_ack")
            if ack["id"] == order_id:
                return ack


def attack_path():
    return os.path.join(harness.BUILD, "tests", "attack")


def join_field(path, key):
    with open(path, encoding="utf-8") as f:
        return next(line.split()[1] for line in f if line.startswith(key + " "))


def controller_key(fleet):
    return join_field(os.path.join(fleet.operator, "controller"), "controller-key")


def fleet_id(fleet):
    return join_field(os.path.join(fleet.operator, "controller"), "fleet")


def make_keys(fleet, name):
    """A key file and its public halves, as bytes: CURVE, signing."""
    path = os.path.join(fleet.dir, f"{name}-{os.urandom(3).hex()}.key")
    curve, signing = harness.run(attack_path(), "make", name, path).stdout.split()
    return path, bytes.fromhex(curve), bytes.fromhex(signing)


def sign(key_file, payload, context="confleet-plan-v1"):
    """A SignedText of these bytes."""
    key_id, value = harness.run(attack_path(), "sign", key_file, context, input=payload.hex() + "\n").stdout.split()
    return {"payload": payload, "signatures": [{"key_id": key_id, "value": bytes.fromhex(value)}]}


def next_serial(peer):
    """The next free serial, as an operator's connection is told it."""
    return int(peer.request(serial={})["serial"].get("next", 0))


def plan_of(fleet, site, serial, version, name="test", **changes):
    """A resolved plan for one site as a dictionary, as the command would make it; then with the changes."""
    view = fleet.json("site", "show", site)["site"]
    release = next(r for r in fleet.json("release", "list")["releases"] if r["version"] == version)
    node, now = view["nodes"][0], int(time.time() * 1000)
    env = next(label["value"] for label in view["labels"] if label["key"] == "env")
    entry = {"name": site, "env": env, "nodes": [{"agent": node["agent"], "installation": node["installation"]["id"]}],
             "from_version": view["version"], "from_build": view["build"]}
    plan = {"format": 1, "fleet": fleet_id(fleet), "id": f"{name}-{os.urandom(3).hex()}", "name": name, "serial": serial,
            "created_ms": now, "expires_ms": now + 3600000,
            "release": {"version": version, "build": release["build"], "artifact_sha256": release["artifactSha256"],
                        "artifact_size": int(release["artifactSize"]), "artifact_name": release["artifactName"]},
            "stages": [{"name": "first", "sites": [entry], "gate": {}}], "backup_level": "RESTORED", "on_failure": "rollback",
            "signed_by": "chief"}
    plan.update(changes)
    return plan
