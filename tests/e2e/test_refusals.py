"""What a hostile or broken peer says is refused with its own error, logged, recorded in the audit, and changes nothing.

The peers are harness/attack with words from harness/wire.py; controller, agent and command are the real programs.
"""
import copy
import hashlib
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
import wire  # noqa: E402
from case import OneFleet  # noqa: E402

harness.need_root()

PROTOCOL, DENIED, SIGNATURE, EXPIRED, STALE = 14, 8, 9, 10, 11
EXISTS, NOT_FOUND, MISMATCH = 7, 6, 24
FRAME_MAX = 512 * 1024


class Refusing(OneFleet):
    """A fleet with peers of the test's own."""

    def enrol(self, name, accept=True):
        """An agent that is nothing but a key: what it says is the test's to say."""
        join = os.path.join(self.fleet.dir, name + ".join")
        self.fleet.cli("agent", "token", name, "--join", join)
        key, curve, _ = wire.make_keys(self.fleet, name)
        peer = self.peer("secret", wire.join_field(join, "token"))
        peer.up()
        peer.hello()
        peer.send(enrol={"name": name, "curve_public": curve})
        answer = peer.hear()
        self.assertEqual(answer[0], "enrolled", answer)
        if accept:
            self.fleet.cli("agent", "accept", name, "--fingerprint", answer[1]["fingerprint"])
        return key

    def peer(self, *key, **more):
        peer = wire.Peer(self.fleet, *key, **more)
        self.addCleanup(self.gone, peer)
        return peer

    def gone(self, peer):
        peer.stop()
        self.fleet.processes.remove(peer)

    def assertRefused(self, heard, code, *words):
        name, body = heard
        self.assertEqual(name, "refusal", body)
        self.assertEqual(body.get("code"), code, body)
        for word in words:
            self.assertIn(word, body["message"])


class Doors(Refusing):
    """Handshake, first words, enrolment, identity: no site is needed."""

    @classmethod
    def prepare(cls):
        cls.fleet.start_controller()

    def token(self, name, *more):
        path = os.path.join(self.fleet.dir, f"{name}-{os.urandom(3).hex()}.join")
        self.fleet.cli("agent", "token", name, "--join", path, *more)
        return path, self.peer("secret", wire.join_field(path, "token"))

    def ask_enrol(self, peer, name):
        peer.up()
        self.assertEqual(peer.hello()[0], "welcome")
        peer.send(enrol={"name": name, "curve_public": wire.make_keys(self.fleet, name)[1]})
        return peer.hear()

    def agents(self):
        return {a["name"]: a for a in self.fleet.json("agent", "list").get("agents", [])}

    def test_a_peer_without_encryption_is_refused_on_both_sockets(self):
        for name, endpoint in (("control", self.fleet.control), ("bulk", self.fleet.bulk)):
            after = self.last_audit()
            peer = self.peer("null", endpoint=endpoint)
            peer.send(hello={"protocol": 1, "program": "test"})
            lines = [peer.until("up", "got", "refused", "failed", "cut")[1]]
            while lines[-1] != "cut":
                lines.append(peer.next()[1])
            self.assertFalse([x for x in lines if x.startswith(("up", "got"))], lines)
            self.logged(self.fleet.controller, "handshake.refused", "socket=" + name, "broken=1")
            self.audited("handshakes-refused", name, " 1 without encryption", after=after)

    def test_an_unknown_key_is_refused_on_both_sockets(self):
        for name, endpoint in (("control", self.fleet.control), ("bulk", self.fleet.bulk)):
            after = self.last_audit()
            peer = self.peer("stranger", endpoint=endpoint)
            self.assertEqual(peer.until("up", "got", "refused", "failed", "cut")[1], "refused")
            self.logged(self.fleet.controller, "handshake.refused", "socket=" + name, "refused=1")
            self.audited("handshakes-refused", name, " 1 with an unknown key", after=after)

    def test_a_token_is_good_for_one_enrolment(self):
        path, first = self.token("twice")
        self.assertEqual(self.ask_enrol(first, "twice")[0], "enrolled")
        shown = self.agents()["twice"]
        after = self.last_audit()
        second = self.peer("secret", wire.join_field(path, "token"))
        self.assertRefused(self.ask_enrol(second, "twice"), EXISTS, "token was used at", "confleet agent token twice")
        self.logged(self.fleet.controller, "peer.refused", "code=exists")
        self.audited("token:", "refused", "token was used", after=after)
        self.assertEqual(self.agents()["twice"]["fingerprint"], shown["fingerprint"])
        # The agent's own command says so as well, and keeps nothing of a controller that did not take it.
        config = self.fleet.agent_config("twice", [self.fleet.dir])
        done = harness.run(self.fleet.program("confleet-agent"), "enrol", path, "--config", config, ok=None, timeout=60)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("token was used at", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.fleet.dir, "agent-twice", "state", "controller")))

    def test_an_expired_token_is_refused(self):
        path, peer = self.token("late", "--ttl", "1s")
        expires = self.expires_ms(path)
        harness.wait_for("the token to expire", lambda: time.time() * 1000 > expires, 5)
        after = self.last_audit()
        self.assertRefused(self.ask_enrol(peer, "late"), EXPIRED, "token expired at", "confleet agent token late")
        self.logged(self.fleet.controller, "peer.refused", "code=expired")
        self.audited("token:", "refused", "token expired", after=after)
        self.assertNotIn("late", self.agents())

    @staticmethod
    def expires_ms(path):
        return float(wire.join_field(path, "expires"))

    def test_a_token_for_another_name_is_refused(self):
        _, peer = self.token("mine")
        after = self.last_audit()
        self.assertRefused(self.ask_enrol(peer, "yours"), MISMATCH, "for mine, not for yours")
        self.logged(self.fleet.controller, "peer.refused", "code=mismatch", "not for yours")
        self.audited("token:", "refused", "not for yours", after=after)
        self.assertFalse({"mine", "yours"} & set(self.agents()))

    def test_nothing_is_heard_before_the_first_word(self):
        key = self.enrol("early")
        after = self.last_audit()
        peer = self.peer("key", key)
        peer.up()
        peer.send(event={"seq": 1, "log": {"level": 6, "text": "before my time"}})
        self.assertRefused(peer.hear(), PROTOCOL, "first message of a connection is Hello")
        self.audited("agent:early", "refused", "Hello", after=after)
        self.assertNotIn("before my time", self.fleet.cli("logs", "early").stdout)

    def test_another_protocol_version_is_refused_in_words(self):
        key = self.enrol("old")
        after = self.last_audit()
        peer = self.peer("key", key)
        peer.up()
        heard = peer.hello("old", protocol=7, version="9.9")
        self.assertRefused(heard, PROTOCOL, "protocol 1", "protocol 7", "9.9", "install the same version on both")
        self.audited("agent:old", "refused", "protocol 7", after=after)
        self.assertFalse(self.agents()["old"].get("online", False))

    def test_a_frame_above_the_limit_ends_its_connection(self):
        key = self.enrol("large")
        peer = self.peer("key", key)
        peer.up()
        self.assertEqual(peer.hello("large", event_seq=0)[0], "welcome")
        peer.say("send", "00" * (FRAME_MAX + 1024))
        self.assertEqual(peer.hear()[0], "cut")
        again = self.peer("key", key)
        again.up()
        self.assertEqual(again.hello("large")[0], "welcome")

    def test_a_frame_that_is_no_message_is_refused(self):
        key = self.enrol("noise")
        after = self.last_audit()
        for kind, endpoint in (("Frame", None), ("BulkFrame", self.fleet.bulk)):
            peer = self.peer("key", key, endpoint=endpoint, kind=kind)
            peer.up()
            peer.say("send", "ff" * 40)
            self.assertRefused(peer.hear(), PROTOCOL)
        self.audited("agent:noise", "refused", after=after)

    def test_an_agent_that_claims_another_name_in_hello_is_refused(self):
        mine = self.enrol("honest")
        self.enrol("victim")
        after = self.last_audit()
        peer = self.peer("key", mine)
        peer.up()
        self.assertRefused(peer.hello("victim"), MISMATCH, "honest", "victim")
        self.logged(self.fleet.controller, "peer.refused", "agent:honest", "victim")
        self.audited("agent:honest", "refused", "victim", after=after)
        self.assertFalse(self.agents()["victim"].get("online", False))
        self.assertFalse(self.agents()["honest"].get("online", False))

    def survey(self, name, seq, install):
        return {"seq": seq, "survey": {"host": name, "os": "test", "agent_version": "0",
                                       "installations": [{"id": install, "install": "/opt/" + install, "version": "9.2.13"}]}}

    def test_an_agent_that_reports_for_another_changes_nothing_of_the_other(self):
        keys = {name: self.enrol(name) for name in ("liar", "owner")}
        owner = self.peer("key", keys["owner"])
        owner.up()
        self.assertEqual(owner.hello("owner")[1]["you"], "owner")
        owner.send(event=self.survey("owner", 1, "wiki-00000001"))
        self.assertEqual(owner.hear(), ("event_ack", {"seq": 1}))
        self.fleet.cli("site", "set", "owned", "env=test", "--node", "owner:wiki-00000001")
        before = self.fleet.json("site", "show", "owned")
        after = self.last_audit()
        liar = self.peer("key", keys["liar"])
        liar.up()
        self.assertEqual(liar.hello("liar")[1]["you"], "liar")
        liar.send(event={"seq": 1, "site": "owned", "installation": "wiki-00000001",
                         "check": {"findings": [{"id": "one-node", "severity": "OK", "title": "all is well"}]}})
        self.assertEqual(liar.hear(), ("event_ack", {"seq": 1}))
        liar.send(event=self.survey("owner", 2, "wiki-00000001"))
        self.assertEqual(liar.hear(), ("event_ack", {"seq": 2}))
        self.assertEqual(self.fleet.json("site", "show", "owned"), before)
        self.logged(self.fleet.controller, "event.foreign", "agent=liar", "owned")
        self.audited("agent:liar", "event-refused", "owned", after=after)

    def established(self, peer, port):
        """Is this peer's TCP connection from its local port to the controller open, as the kernel says?"""
        to = int(peer.endpoint.rsplit(":", 1)[1])
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f.readlines()[1:]]
        return any(row[3] == "01" and int(row[1].split(":")[1], 16) == port and int(row[2].split(":")[1], 16) == to for row in rows)

    def cut_when_it_speaks(self, peer, port, revoke, **message):
        self.assertTrue(self.established(peer, port))
        print(f"source port before the revocation: {port}", file=sys.stderr)
        revoke()
        self.assertTrue(self.established(peer, port), "a revoked key's connection lives until it speaks")
        print(f"source port when it speaks again:  {port}", file=sys.stderr)
        started = time.monotonic()
        peer.send(**message)
        while True:
            at, line = peer.until("up", "got", "cut")
            self.assertFalse(line.startswith("up"), "a new connection, not the same one")
            self.assertLess(at - started, 1, "refused within a second")
            if line == "cut":
                break
            (name, body), = wire.decode(peer.kind, bytes.fromhex(line[4:])).items()
            self.assertRefused((name, body), DENIED, "revoked")
        harness.wait_for("the TCP connection to be gone", lambda: not self.established(peer, port), 5)

    def test_a_revoked_agent_is_refused_on_its_live_connection(self):
        key = self.enrol("leaver")
        peer = self.peer("key", key)
        port = peer.up()
        self.assertEqual(peer.hello("leaver")[0], "welcome")
        after = self.last_audit()
        self.cut_when_it_speaks(peer, port, lambda: self.fleet.cli("agent", "revoke", "leaver", "--reason", "a test"),
                                event={"seq": 1, "log": {"level": 6, "text": "still here"}})
        self.logged(self.fleet.controller, "peer.refused", "agent:leaver", "revoked")
        self.audited("agent:leaver", "refused", "this key was revoked", after=after)
        self.assertNotIn("still here", self.fleet.cli("logs", "leaver", ok=None).stdout)
        again = self.peer("key", key)
        self.assertEqual(again.until("up", "refused", "failed")[1], "refused")

    def test_a_revoked_agent_is_refused_on_its_live_bulk_connection(self):
        key = self.enrol("reader")
        peer = self.peer("key", key, endpoint=self.fleet.bulk, kind="BulkFrame")
        port = peer.up()
        get = {"sha256": "0" * 64, "credit": 1}
        peer.send(get=get)
        self.assertRefused(peer.hear(), NOT_FOUND, "no release has an artifact")
        self.cut_when_it_speaks(peer, port, lambda: self.fleet.cli("agent", "revoke", "reader", "--reason", "a test"), get=get)
        self.logged(self.fleet.controller, "bulk.refused", "agent:reader", "revoked")
        again = self.peer("key", key, endpoint=self.fleet.bulk, kind="BulkFrame")
        self.assertEqual(again.until("up", "refused", "failed")[1], "refused")

    def test_artifacts_are_sent_by_operators_alone(self):
        put = {"sha256": "1" * 64, "size": 1000, "name": "x"}
        for name, accept, code in (("sender", True, DENIED), ("waiting", False, DENIED)):
            peer = self.peer("key", self.enrol(name, accept), endpoint=self.fleet.bulk, kind="BulkFrame")
            peer.up()
            peer.send(put=put)
            self.assertRefused(peer.hear(), code)
            self.logged(self.fleet.controller, "bulk.refused", "agent:" + name, "code=denied")
        self.assertEqual(os.listdir(os.path.join(self.fleet.dir, "controller", "artifacts")), [])

    def test_a_revoked_operator_is_refused_on_its_live_connection(self):
        join, home = os.path.join(self.fleet.dir, "temp.join"), os.path.join(self.fleet.dir, "temp")
        self.fleet.cli("operator", "token", "temp", "--role", "operator", "--join", join)
        harness.run(self.fleet.program("confleet"), "--home", home, "enrol", join)
        peer = self.peer("key", self.operator_key(home))
        port = peer.up()
        self.assertEqual(peer.hello("temp")[0], "welcome")
        after = self.last_audit()
        self.cut_when_it_speaks(peer, port, lambda: self.fleet.cli("operator", "revoke", "temp", "--reason", "a test"),
                                request={"id": "1", "site_set": {"name": "stolen", "labels": [{"key": "env", "value": "x"}]}})
        self.audited("operator:temp", "refused", "this key was revoked", after=after)
        self.assertNotIn("stolen", [s["name"] for s in self.fleet.json("site", "list").get("sites", [])])
        self.assertIn("refuse", self.fleet.cli("site", "list", home=home, ok=None).stderr)


class Plan(Refusing):
    """What plans are made of, for the two classes that have them refused."""

    @classmethod
    def prepare(cls):
        fleet = cls.fleet
        fleet.site("one")
        fleet.start_controller()
        fleet.start_agent("wiki-1", ["one"])
        fleet.claim("one", "wiki-1")
        fleet.release("9.2.21", 9116)
        cls.viewer = os.path.join(fleet.dir, "viewer")
        join = os.path.join(fleet.dir, "viewer.join")
        fleet.cli("operator", "token", "watcher", "--role", "viewer", "--join", join)
        fleet.cli("enrol", join, home=cls.viewer)
        cls.stranger = wire.make_keys(fleet, "stranger")[0]
        cls.model = wire.plan_of(fleet, "one", 0, "9.2.21")

    def plan(self, node=None, release=None, **changes):
        """The bytes of a plan that would be taken, but for the changes."""
        now, plan = int(time.time() * 1000), copy.deepcopy(self.model)
        plan.update(id="test-" + os.urandom(3).hex(), serial=self.serial(), created_ms=now, expires_ms=now + 3600000)
        plan["stages"][0]["sites"][0]["nodes"][0].update(node or {})
        plan["release"].update(release or {})
        plan.update(changes)
        return wire.encode("Plan", plan)

    def signed(self, payload, key=None):
        return wire.sign(key or self.operator_key(), payload)

    @staticmethod
    def flipped(data):
        return data[:-1] + bytes([data[-1] ^ 1])

    def wrongly_signed(self):
        text = self.signed(self.plan())
        text["signatures"][0]["value"] = self.flipped(text["signatures"][0]["value"])
        return text

    def changed_after_signing(self):
        text = self.signed(self.plan())
        text["payload"] = self.plan(on_failure="hold")
        return text

    def assertUntouched(self):
        fleet = self.fleet
        self.assertEqual(fleet.state("one"), "RUNNING")
        self.assertEqual([line.split(" ")[1] for line in fleet.effects("one") if line.split(" ")[1] in ("start", "stop", "task")], ["start"])
        self.assertEqual(fleet.build_of("one"), 9109)


class AtTheController(Plan):
    """Plans that the controller does not take in."""

    def serial(self):
        return wire.next_serial(self.talk(self.operator_key(), "chief"))

    def talk(self, key, name):
        peer = self.peer("key", key)
        peer.up()
        self.assertEqual(peer.hello(name)[0], "welcome")
        return peer

    def refuse(self, text, code, *words, key=None, name="chief"):
        before = self.fleet.json("rollout", "list").get("rollouts", [])
        after = self.last_audit()
        reply = self.talk(key or self.operator_key(), name).request(apply={"plan": text, "name": "test"})
        self.assertEqual(reply.get("code"), code, reply)
        for word in words:
            self.assertIn(word, reply["message"])
        self.logged(self.fleet.controller, "request.refused", "apply", reply["message"])
        self.audited("operator:" + name, "request-refused", "apply", reply["message"], after=after)
        self.assertEqual(self.fleet.json("rollout", "list").get("rollouts", []), before)
        self.assertEqual(self.fleet.journal("wiki-1"), [])
        self.assertUntouched()

    def test_a_wrong_signature_is_refused(self):
        self.refuse(self.wrongly_signed(), SIGNATURE, "signature")

    def test_a_plan_that_was_changed_after_signing_is_refused(self):
        self.refuse(self.changed_after_signing(), SIGNATURE, "signature")

    def test_a_plan_without_a_signature_is_refused(self):
        self.refuse({"payload": self.plan()}, SIGNATURE, "not signed")

    def test_a_plan_signed_with_an_unknown_key_is_refused(self):
        self.refuse(self.signed(self.plan(), self.stranger), SIGNATURE, "belongs to no operator")

    def test_a_signature_made_for_a_decision_is_none_for_a_plan(self):
        text = wire.sign(self.operator_key(), self.plan(), "confleet-decision-v1")
        self.refuse(text, SIGNATURE, "signature")

    def test_a_viewer_may_not_apply(self):
        key = self.operator_key(self.viewer)
        self.refuse(self.signed(self.plan(), key), DENIED, "needs the role operator", "viewer", key=key, name="watcher")

    def test_a_plan_signed_by_a_viewer_is_refused_whoever_brings_it(self):
        self.refuse(self.signed(self.plan(), self.operator_key(self.viewer)), DENIED, "watcher", "viewer")

    def test_an_old_serial_is_refused(self):
        self.refuse(self.signed(self.plan(serial=0)), STALE, "serial is 0")

    def test_an_expired_plan_is_refused(self):
        self.refuse(self.signed(self.plan(created_ms=1, expires_ms=int(time.time() * 1000) - 1000)), EXPIRED, "expired at")

    def test_a_plan_for_another_fleet_is_refused(self):
        self.refuse(self.signed(self.plan(fleet="fleet-000000000000")), MISMATCH, "fleet-000000000000")

    def test_a_plan_for_another_node_is_refused(self):
        self.refuse(self.signed(self.plan(node={"agent": "wiki-9"})), STALE, "wiki-9", "make the plan anew")
        self.refuse(self.signed(self.plan(node={"installation": "other-00000000"})), STALE, "other-00000000")

    def test_a_plan_with_another_artifact_than_the_catalogue_is_refused(self):
        self.refuse(self.signed(self.plan(release={"artifact_sha256": "0" * 64})), MISMATCH, "catalogue")

    def test_a_plan_that_asks_for_less_than_a_proven_backup_is_refused(self):
        self.refuse(self.signed(self.plan(backup_level="COMPLETE")), DENIED, "restored")


class AtTheAgent(Plan):
    """Runs that end before the stop, and then what the agent refuses from one who holds the controller's own key."""
    EPOCH = 50

    @classmethod
    def prepare(cls):
        super().prepare()
        fleet = cls.fleet
        artifact = os.path.join(fleet.dir, "controller", "artifacts", cls.model["release"]["artifact_sha256"])
        with open(artifact, "r+b") as f:
            f.seek(30000)
            byte = f.read(1)[0]
            f.seek(30000)
            f.write(bytes([byte ^ 1]))
        cls.flipped_run = cls.upgrade("flipped", "9.2.21")
        with open(artifact, "r+b") as f:
            f.seek(30000)
            f.write(bytes([byte]))
        fleet.cli("release", "import", "--artifact", fleet.dist("9.2.21"), "--version", "9.2.22", "--build", "9120")
        cls.misbuilt_run = cls.upgrade("misbuilt", "9.2.22")
        cls.records = fleet.cli("audit", "list", "--json").stdout
        fleet.controller.stop()
        cls.forged = wire.Controller(fleet, cls.EPOCH)
        cls.forged.hear("hello")
        cls.runs = fleet.journal("wiki-1")

    @classmethod
    def upgrade(cls, name, version):
        fleet = cls.fleet
        plan = fleet.plan(name, version, ("first", {"env": "production"}, "0s"))
        done = fleet.cli("apply", plan, "--yes", "--json", ok=None, timeout=120)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return done.returncode, lines[-1]["rollout"]["sites"][0]

    def serial(self):
        return 900

    def ended_before_the_stop(self, name, run, *words):
        status, site = run
        self.assertEqual(status, 3, site)
        self.assertEqual(site["state"], "not-ready", site)
        for word in words:
            self.assertIn(word, site["reason"])
        self.assertNotIn("stop", [step["step"] for step in site["steps"]])
        records = [r for r in self.records.splitlines() if f"rollout {name}-" in r and "site one is not-ready" in r]
        self.assertEqual(len(records), 1, self.records)
        self.assertUntouched()

    def test_an_artifact_with_a_flipped_bit_stops_no_site(self):
        self.ended_before_the_stop("flipped", self.flipped_run, "fetch", "SHA-256", "removed")
        self.logged(self.fleet.agents["wiki-1"], "step=fetch", "event=failed")
        steps = {step["step"]: step for step in self.flipped_run[1]["steps"]}
        self.assertEqual(steps["fetch"]["state"], "STEP_FAILED")

    def test_an_artifact_of_another_build_than_the_plan_stops_no_site(self):
        self.ended_before_the_stop("misbuilt", self.misbuilt_run, "9116", "9120")
        left = [n for n in os.listdir(os.path.dirname(self.fleet.sites["one"]["install"])) if n.startswith(".confleet")]
        self.assertEqual([n for n in left if os.listdir(os.path.join(self.fleet.sites["one"]["dir"], n))], [])

    def refuse(self, code, *words, epoch=None, plan=None, **order):
        if plan:
            order = {"upgrade": {"plan": plan, "site": "one", "attempt": 1}}
        ack = self.forged.order(epoch=epoch, **order)
        self.assertEqual(ack.get("code"), code, ack)
        for word in words:
            self.assertIn(word, ack["message"])
        self.logged(self.fleet.agents["wiki-1"], ack["id"], ack["message"])
        self.assertEqual(self.fleet.journal("wiki-1"), self.runs)
        self.assertUntouched()

    def test_a_wrong_signature_is_refused(self):
        self.refuse(SIGNATURE, "signature by chief", plan=self.wrongly_signed())

    def test_a_plan_that_was_changed_after_signing_is_refused(self):
        self.refuse(SIGNATURE, "signature by chief", plan=self.changed_after_signing())

    def test_a_plan_without_a_signature_is_refused(self):
        self.refuse(SIGNATURE, "signed by 0 of the keys", plan={"payload": self.plan()})

    def test_a_plan_signed_with_an_unknown_key_is_refused(self):
        self.refuse(SIGNATURE, "signed by 0 of the keys", plan=self.signed(self.plan(), self.stranger))

    def test_a_plan_signed_by_a_viewer_is_refused(self):
        self.refuse(SIGNATURE, "signed by 0 of the keys", plan=self.signed(self.plan(), self.operator_key(self.viewer)))

    def test_a_plan_signed_by_the_controller_is_refused(self):
        key = os.path.join(self.fleet.dir, "controller", "controller.key")
        self.refuse(SIGNATURE, "signed by 0 of the keys", plan=self.signed(self.plan(), key))

    def approved(self, *approvals, needed=1):
        """A production plan signed by chief, and the order of a controller that brings these approvals with it."""
        stages = copy.deepcopy(self.model["stages"])
        stages[0].update(production=True, needs_approvals=needed)
        plan = self.signed(self.plan(stages=stages))
        texts = []
        for key, changes in approvals:
            now = int(time.time() * 1000)
            decision = {"format": 1, "fleet": wire.fleet_id(self.fleet), "kind": "approve", "stage": stages[0]["name"],
                        "plan_sha256": hashlib.sha256(plan["payload"]).hexdigest(), "serial": 901, "created_ms": now,
                        "expires_ms": now + 60000, "signed_by": "anna", **changes}
            texts.append(wire.sign(key, wire.encode("Decision", decision), "confleet-decision-v1"))
        return {"upgrade": {"plan": plan, "site": "one", "attempt": 1, "approvals": texts}}

    def test_production_without_an_approval_is_refused(self):
        self.refuse(DENIED, "needs the approval of 1", "counts 0 of 0", **self.approved())

    def test_an_approval_that_the_controller_forged_is_refused(self):
        key = os.path.join(self.fleet.dir, "controller", "controller.key")
        self.refuse(SIGNATURE, "signed by no key that this agent trusts", **self.approved((key, {})))

    def test_an_approval_of_another_rollout_is_refused(self):
        self.refuse(MISMATCH, "given for another plan", **self.approved((self.operator_key(), {"plan_sha256": "0" * 64})))

    def test_an_approval_by_a_viewer_is_refused(self):
        self.refuse(SIGNATURE, "signed by no key that this agent trusts", **self.approved((self.operator_key(self.viewer), {})))

    def test_the_same_approver_twice_is_one_and_the_signer_of_the_plan_none(self):
        self.refuse(DENIED, "another person must approve it", "counts 0 of 2",
                    **self.approved((self.operator_key(), {}), (self.operator_key(), {"serial": 902}), needed=2))

    def test_an_old_serial_is_refused(self):
        self.refuse(STALE, "serial 1,", "has seen", plan=self.signed(self.plan(serial=1)))

    def test_an_expired_plan_is_refused(self):
        self.refuse(EXPIRED, "expired at", plan=self.signed(self.plan(expires_ms=int(time.time() * 1000) - 1000)))

    def test_a_plan_for_another_fleet_is_refused(self):
        self.refuse(MISMATCH, "fleet-000000000000", plan=self.signed(self.plan(fleet="fleet-000000000000")))

    def test_a_plan_for_another_agent_is_refused(self):
        self.refuse(NOT_FOUND, "wiki-9", "this agent is wiki-1", plan=self.signed(self.plan(node={"agent": "wiki-9"})))

    def test_a_plan_for_another_installation_is_refused(self):
        text = self.signed(self.plan(node={"installation": "other-00000000"}))
        self.refuse(NOT_FOUND, "other-00000000", "not on this server", plan=text)

    def test_a_plan_for_another_build_than_is_installed_is_refused(self):
        stages = copy.deepcopy(self.model["stages"])
        stages[0]["sites"][0].update(from_version="9.2.11", from_build=9107)
        self.refuse(MISMATCH, "9107", "9109", plan=self.signed(self.plan(stages=stages)))

    def test_an_order_of_an_older_epoch_is_refused(self):
        self.refuse(STALE, f"epoch {self.EPOCH - 1}", f"epoch {self.EPOCH}", epoch=self.EPOCH - 1,
                    upgrade={"plan": self.signed(self.plan()), "site": "one", "attempt": 1})

    def test_a_decision_about_nothing_here_is_refused(self):
        decision = wire.encode("Decision", {"format": 1, "fleet": wire.fleet_id(self.fleet), "kind": "rollback", "site": "one"})
        text = wire.sign(self.operator_key(), decision, "confleet-decision-v1")
        self.refuse(NOT_FOUND, "no run", decide={"decision": text, "plan": self.signed(self.plan()), "site": "one"})

    def test_a_controller_of_an_older_epoch_is_not_obeyed(self):
        self.forged.epoch = self.EPOCH - 1
        self.forged.send(refusal={"code": DENIED, "message": "come again"})
        try:
            self.forged.hear("hello")
            self.logged(self.fleet.agents["wiki-1"], "controller.refused", f"epoch {self.EPOCH - 1}", seconds=10)
            self.forged.hear("hello")
        finally:
            self.forged.epoch = self.EPOCH
        self.forged.hear("hello")
        self.assertUntouched()


if __name__ == "__main__":
    unittest.main(verbosity=2)
