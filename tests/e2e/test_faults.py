"""What is broken around a site is told in words before anything is stopped, and a damaged store loses nothing.

One site and one agent serve all of it: the agent is given another configuration, or the world around it is broken for a while.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
import wire  # noqa: E402
from case import OneFleet  # noqa: E402

harness.need_root()

UNSUPPORTED = 21


class Blocked(OneFleet):
    @classmethod
    def prepare(cls):
        fleet = cls.fleet
        fleet.site("one")
        fleet.start_controller()
        fleet.start_agent("wiki-1", ["one"])
        fleet.claim("one", "wiki-1")
        fleet.release("9.2.21", 9116)
        cls.number = 0

    @property
    def agent(self):
        return self.fleet.agents["wiki-1"]

    def configure(self, **settings):
        """The agent starts anew with these settings; waits until the controller has heard it."""
        self.agent.stop()
        self.fleet.agent_config("wiki-1", [self.fleet.sites["one"]["dir"]], **settings)
        count = self.agent.text().count("controller.welcome")
        self.agent.start()
        harness.wait_for("the agent to be welcome again", lambda: self.agent.text().count("controller.welcome") > count, 30)

    @contextlib.contextmanager
    def agent_with(self, **settings):
        self.configure(**settings)
        try:
            yield
        finally:
            self.configure()

    def folder(self, name):
        path = os.path.join(self.fleet.dir, name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def finding(self, name):
        """What `check` says under this id, and its exit status."""
        done = self.fleet.cli("check", "one", "--to", "9.2.21", "--json", ok=None)
        job = json.loads(done.stdout)["check"]
        found = {f["id"]: f for f in job["sites"][0]["findings"]}
        return found[name], done.returncode

    def apply(self):
        type(self).number += 1
        plan = self.fleet.plan(f"try-{self.number}", "9.2.21", ("first", {"env": "production"}, "0s"))
        done = self.fleet.cli("apply", plan, "--yes", "--json", ok=None, timeout=120)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.assertTrue(lines, done)
        return done.returncode, lines[-1]["rollout"]["sites"][0]

    def assertUntouched(self):
        fleet = self.fleet
        self.assertEqual(fleet.state("one"), "RUNNING")
        self.assertEqual([line.split(" ")[1] for line in fleet.effects("one") if line.split(" ")[1] in ("start", "stop", "task")], ["start"])
        self.assertEqual(fleet.build_of("one"), 9109)

    def blocks(self, check, *words):
        """The check says so, and so does an upgrade, which ends there."""
        found, status = self.finding(check)
        self.assertEqual((found["severity"], status), ("BLOCK", 3), found)
        for word in words:
            self.assertIn(word, found["evidence"])
        self.assertTrue(found["remedy"], found)
        status, site = self.apply()
        self.assertEqual((site["state"], status), ("not-ready", 3), site)
        self.assertIn(check, site["reason"])
        self.assertEqual({step["step"] for step in site["steps"]}, {"check"})
        self.audited("site-state", "site one is not-ready", check)
        self.logged(self.agent, "step=check", "event=failed")
        self.assertUntouched()

    def test_no_postgresql_client_blocks(self):
        with self.agent_with(pg_bin=self.folder("no-client")):
            self.blocks("client-tools", "no-client", "no program pg_dump")

    def old_client(self, version):
        folder = self.folder("old-client")
        for name in ("pg_dump", "pg_restore"):
            path = os.path.join(folder, name)
            with open(path, "w", encoding="ascii") as f:
                f.write(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
            os.chmod(path, 0o755)
        return folder

    def test_a_client_below_the_safe_version_blocks(self):
        with self.agent_with(pg_bin=self.old_client("15.5")):
            self.blocks("client-tools", "15.5", "safe")

    def test_a_client_older_than_the_server_blocks(self):
        with self.agent_with(pg_bin=self.old_client("14.99")):
            self.blocks("client-tools", "14.99", "15")

    @contextlib.contextmanager
    def cfg(self, old, new):
        """confluence.cfg.xml with a change, for a while; the running site has read it long ago."""
        path = os.path.join(self.fleet.sites["one"]["home"], "confluence.cfg.xml")
        with open(path, "r+", encoding="utf-8") as f:
            text = f.read()
            changed, count = re.subn(old, new, text)
            self.assertEqual(count, 1)
            f.seek(0)
            f.truncate()
            f.write(changed)
        try:
            yield
        finally:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)

    def test_a_wrong_database_password_blocks(self):
        with self.cfg('(name="hibernate.connection.password">)[^<]*', r"\g<1>not-this-one-7f3a"):
            self.blocks("database-reachable", "wrong password", "one_user")
        self.assertNotIn("not-this-one-7f3a", self.agent.text())

    def is_clustered(self):
        install = self.fleet.sites["one"]["install"]
        return next((i.get("clustered", False) for i in self.fleet.installations("wiki-1") if i["install"] == install), None)

    def test_a_site_of_two_nodes_is_shown_and_never_upgraded(self):
        change = ("(  <properties>\n)", r'\1    <property name="confluence.cluster">true</property>' + "\n"
                  + '    <property name="confluence.cluster.home">/srv/shared</property>\n')
        self.addCleanup(self.surveyed, clustered=False)
        with self.cfg(*change):
            found, status = self.finding("one-node")
            self.assertEqual((found["severity"], status), ("BLOCK", 3), found)
            self.surveyed(clustered=True)
            plan = self.fleet.plan("cluster", "9.2.21", ("first", {"env": "production"}, "0s"))
            done = self.fleet.cli("plan", plan, ok=None)
            self.assertRegex(done.stdout + done.stderr, "one.*(cluster|node)")
            self.fleet.cli("apply", plan, "--yes", ok=None)
            self.assertEqual(self.rollouts(), self.rollouts_before)
            self.signed_by_hand("one", "is a cluster node")
        self.assertUntouched()

    def surveyed(self, clustered):
        self.configure()                         # an agent surveys its server when it starts
        harness.wait_for("a survey of now", lambda: self.is_clustered() == clustered, 30)

    def signed_by_hand(self, site, *words):
        """A plan that the command would not make comes as far as the agent, and no further."""
        peer = wire.Peer(self.fleet, "key", os.path.join(self.fleet.operator, "operator.key"))
        try:
            peer.up()
            peer.hello("chief")
            plan = wire.plan_of(self.fleet, site, wire.next_serial(peer), "9.2.21")
            text = wire.sign(os.path.join(self.fleet.operator, "operator.key"), wire.encode("Plan", plan))
            reply = peer.request(apply={"plan": text, "name": plan["name"]})
            self.assertFalse(reply.get("code"), reply)
        finally:
            peer.stop()
            self.fleet.processes.remove(peer)
        done = self.fleet.cli("rollout", "status", plan["id"], "--json", ok=(3,), timeout=60)
        shown = json.loads(done.stdout.splitlines()[-1])["rollout"]["sites"][0]
        self.assertEqual(shown["state"], "refused")
        for word in words:
            self.assertIn(word, shown["reason"])
        self.audited("agent:wiki-1", "order-refused", *words)
        self.assertEqual(self.fleet.journal("wiki-1"), self.journal_before)

    def setUp(self):
        self.journal_before = self.fleet.journal("wiki-1")
        self.rollouts_before = self.rollouts()

    def rollouts(self):
        return [r["id"] for r in self.fleet.json("rollout", "list").get("rollouts", [])]

    # --- a disk that is full

    @contextlib.contextmanager
    def disk(self, kilobytes):
        """So much room on a file system of its own: one in memory would block for that reason."""
        path = self.folder("disk")
        image = os.path.join(self.fleet.dir, "image")
        with open(image, "wb") as f:
            f.truncate((kilobytes * 11 // 10 + 8192) << 10)
        made = subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", image], check=False, capture_output=True)
        mounted = made if made.returncode != 0 else subprocess.run(["mount", "-o", "loop", image, path], check=False, capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("cannot mount a small file system here: " + mounted.stderr.decode())
        os.chmod(path, 0o700)
        try:
            room = os.statvfs(path)
            with open(os.path.join(path, "taken"), "wb") as f:
                os.posix_fallocate(f.fileno(), 0, room.f_bavail * room.f_frsize - (kilobytes << 10))
            yield path
        finally:
            self.configure()
            harness.run("umount", path)

    @staticmethod
    def fill(path):
        """All the room there is, whoever else takes some of it just now."""
        size = 1 << 26
        with open(path, "wb", buffering=0) as f:
            while size >= 4096:
                try:
                    os.posix_fallocate(f.fileno(), f.seek(0, os.SEEK_END), size)
                except OSError:
                    size //= 2

    def backups(self, disk):
        """Names below the backup folder that a person would take for a backup."""
        return [os.path.join(top, name) for top, folders, names in os.walk(disk) for name in folders + names
                if re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", name) or name == "manifest"]

    def test_a_backup_folder_that_is_too_small_blocks(self):
        with self.disk(1024) as disk:
            self.configure(backup_dir=disk)
            self.blocks("space", "backup", disk)
            self.assertEqual(self.backups(disk), [])

    def test_a_backup_folder_in_memory_blocks(self):
        path = self.folder("memory")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500m,mode=0700", "tmpfs", path], check=False).returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        try:
            self.configure(backup_dir=path)
            self.blocks("backup-medium", path, "lies in memory", "tmpfs")
        finally:
            self.configure()
            harness.run("umount", path)

    def test_a_backup_that_fills_the_disk_fails_in_words(self):
        with self.disk(200) as disk:
            self.configure(backup_dir=disk)
            done = self.fleet.cli("backup", "run", "one", "--json", ok=None, timeout=60)
            self.assertEqual(done.returncode, 1, done)
            site = json.loads(done.stdout)["job"]["sites"][0]
            self.assertEqual(site["state"], "failed")
            self.assertIn("nothing was begun", site["message"])
            self.assertIn(" are free; make room there", site["message"])
            self.assertIn(disk, site["message"])
            self.assertEqual(self.backups(disk), [])
            self.assertEqual(self.fleet.cli("backup", "list", "one", "--json").stdout.count('"id"'), 0)
            self.assertUntouched()

    def known(self):
        return {b["id"]: b for b in json.loads(self.fleet.cli("backup", "list", "one", "--json").stdout)["backups"]}

    def test_what_is_made_by_hand_and_what_loses_its_proof_is_listed_there_and_here(self):
        install = self.fleet.sites["one"]["install"]
        words = [self.fleet.program("confleet-agent"), "--config", self.agent.config]
        by_hand = lambda word, *rest: harness.run(words[0], word, install, *rest, *words[1:], ok=None, timeout=120)
        top, before = os.path.dirname(self.agent.config) + "/backup", set(self.known())
        for folder in os.scandir(top):  # of other tests: what is wanted here is one with all its packs
            shutil.rmtree(folder.path)
        first = json.loads(by_hand("backup", "--json", "--full-speed").stdout)["backup"]["id"]
        listed = {b["id"]: b for b in json.loads(by_hand("backups", "--json").stdout)["listed"]}
        self.assertEqual(listed[first]["level"], "RESTORED")
        self.assertIn(first, by_hand("backups").stdout)
        self.configure()  # begins with an expiry
        harness.wait_for("the controller to hear of it", lambda: first in self.known(), 30)
        self.assertEqual((self.known()[first]["site"], self.known()[first]["level"]), ("one", "RESTORED"))
        store = next(f.path for f in os.scandir(top) if f.is_dir())
        harness.wait_for("the note to go", lambda: not os.path.exists(f"{store}/{first}/untold"), 30)
        # A backup that refers to this one finds its pack bad: it is believed no more, and here, too.
        self.fleet.cli("backup", "run", "one", "--full-speed", timeout=120)
        second = max(set(self.known()) - before - {first})
        self.assertIn(f"needs {first}", by_hand("backups").stdout)
        pack = f"{store}/{first}/home-0001.tar.zst"
        with open(pack, "r+b") as f:
            f.seek(os.path.getsize(pack) // 2)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte ^ 1]))
        self.fleet.cli("backup", "verify", "one", second, "--full-speed", ok=None, timeout=120)
        harness.wait_for("the controller to hear of it", lambda: self.known()[first]["level"] == "COMPLETE", 30)
        self.assertIn("no proof", self.known()[first]["note"])
        shutil.rmtree(store)
        self.assertIn("no backups of", by_hand("backups").stdout)

    def test_a_drill_goes_where_root_allows_it_and_touches_nothing(self):
        home = self.fleet.sites["one"]["home"]
        self.fleet.cli("backup", "run", "one", "--full-speed", timeout=120)
        done = self.fleet.cli("backup", "restore", "one", "--into", "drill", ok=None, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("drill_dir in agent.yaml", done.stdout + done.stderr)
        drills = os.path.join(self.folder("drills"))
        with self.agent_with(drill_dir=drills):
            self.fleet.cli("backup", "restore", "one", "--into", "drill", "--full-speed", timeout=120)
            harness.run("diff", "-r", "--no-dereference", os.path.join(home, "attachments"), os.path.join(drills, "drill", "home", "attachments"))
            with open(os.path.join(drills, "drill", "database.dump"), "rb") as f:
                self.assertEqual(f.read(5), b"PGDMP")
            done = self.fleet.cli("backup", "restore", "one", "--into", "drill", ok=None, timeout=60)
            self.assertIn("not empty", done.stdout)
            done = self.fleet.cli("backup", "restore", "one", "--into", "../drill", ok=None, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no path goes over the wire", done.stderr)
            self.assertEqual(os.listdir(drills), ["drill"])
        with self.disk(2048) as disk, self.agent_with(drill_dir=disk):
            done = self.fleet.cli("backup", "restore", "one", "--into", "drill", ok=None, timeout=60)
            self.assertIn("nothing was restored", done.stdout)
            self.assertIn("restore into a folder of another file system", done.stdout)
            self.assertNotIn("drill", os.listdir(disk))
        self.assertUntouched()

    def test_a_customisation_in_conflict_stops_no_site(self):
        """The old version as it was shipped is known, and the same place was changed here and by the vendor."""
        install, name = self.fleet.sites["one"]["install"], "confluence/WEB-INF/web.xml"
        shipped = os.path.join(install, ".confleet", "shipped", name)
        with open(os.path.join(install, name), "rb") as f:
            was = f.read()
        os.makedirs(os.path.dirname(shipped))
        try:
            for path, text in ((shipped, b"<was-shipped/>\n"), (os.path.join(install, name), b"<changed-here/>\n")):
                with open(path, "wb") as f:
                    f.write(text)
            status, site = self.apply()
            self.assertEqual((site["state"], status), ("not-ready", 3), site)
            self.assertIn(name, site["reason"])
            self.assertIn("merge it by hand", site["reason"])
            self.assertTrue({"check", "unpack", "carry"} <= {step["step"] for step in site["steps"]} <= {"check", "fetch", "unpack", "carry"})
        finally:
            shutil.rmtree(os.path.join(install, ".confleet"))
            with open(os.path.join(install, name), "wb") as f:
                f.write(was)
        self.assertUntouched()

    def test_a_disk_that_fills_up_after_the_check_stops_no_site(self):
        with self.disk(900 * 1024) as disk:
            self.configure(backup_dir=disk)
            before = len(self.fleet.journal("wiki-1"))
            plan = self.fleet.plan("fills-up", "9.2.21", ("first", {"env": "production"}, "0s"))
            self.fleet.cli("apply", plan, "--yes", "--detach")
            harness.wait_for("the check to be done", lambda: ("check", "done") in self.fleet.journal("wiki-1")[before:], 30, 0.002)
            self.fill(os.path.join(disk, "other-data"))
            done = self.fleet.cli("rollout", "status", "--json", ok=None, timeout=120)
            site = json.loads(done.stdout.splitlines()[-1])["rollout"]["sites"][0]
            self.assertEqual((site["state"], done.returncode), ("not-ready", 3), site)
            self.assertRegex(site["reason"], "No space left|way back needs|room")
            self.assertNotIn("stop", {step["step"] for step in site["steps"]})
            self.assertEqual(self.backups(disk), [])
            self.assertUntouched()

    # --- what the server's own policy says

    def refused(self, *words):
        after = self.last_audit()
        status, site = self.apply()
        self.assertEqual((site["state"], status), ("refused", 3), site)
        for word in words:
            self.assertIn(word, site["reason"])
        self.audited("agent:wiki-1", "order-refused", "upgrade for site one", *words, after=after)
        self.logged(self.agent, "order.refused", "code=denied", words[0])
        self.assertEqual(self.fleet.journal("wiki-1"), self.journal_before)
        self.assertUntouched()

    def test_a_policy_without_upgrade_refuses(self):
        with self.agent_with(policy={"operations": "[check, backup]"}):
            self.refused("does not allow 'upgrade'", "policy.operations")

    def test_an_installation_that_is_not_on_the_list_is_refused(self):
        with self.agent_with(policy={"installations": "[/opt/another]"}):
            self.refused("does not let", self.fleet.sites["one"]["install"], "policy.installations")

    def test_a_release_outside_the_policy_is_refused(self):
        with self.agent_with(policy={"version_to": "9.2.20"}):
            self.refused("above policy.version_to 9.2.20")

    def test_a_plan_with_too_few_signatures_is_refused(self):
        with self.agent_with(policy={"signatures": "2"}):
            after = self.last_audit()
            _, site = self.apply()
            self.assertEqual(site["state"], "refused")
            self.assertIn("2 needed", site["reason"])
            self.audited("order-refused", "2 needed", after=after)
            self.assertUntouched()

    def test_nothing_starts_while_the_hold_file_exists(self):
        hold = os.path.join(self.fleet.dir, "hold")
        with self.agent_with(policy={"hold_file": hold}):
            with open(hold, "w", encoding="ascii"):
                pass
            self.refused("on hold", "remove " + hold)
            os.remove(hold)


class Stores(OneFleet):
    """Bytes that are not what was written, and two of what may be there once."""

    @classmethod
    def prepare(cls):
        fleet = cls.fleet
        fleet.site("one")
        fleet.start_controller()
        fleet.start_agent("wiki-1", ["one"])
        fleet.claim("one", "wiki-1")

    def spoil(self, path, at_page):
        """Flips bytes at the head of one page; answers the whole file as it was."""
        with open(path, "rb") as f:
            good = f.read()
        self.assertGreater(len(good), (at_page + 1) * 4096)
        self.assertFalse(os.path.exists(path + "-wal") and os.path.getsize(path + "-wal"), "the log must be in the file")
        at = at_page * 4096
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(bytes(b ^ 0xff for b in good[at:at + 64]))
        return good

    def does_not_start(self, process, path):
        seen = len(process.text())
        process.start()
        harness.wait_for(f"{process.name} to end", lambda: not process.alive(), 20)
        self.assertEqual(process.child.returncode, 1)
        said = process.text()[seen:]
        self.assertIn(path, said)
        self.assertIn("code=corrupt", said)
        return said

    def begins_nothing(self, process, path):
        """An agent would be started again for ever and be taken for silent: it stays, says what is damaged, and touches nothing."""
        seen = len(process.text())
        process.start()
        said = harness.wait_for(f"{process.name} to say what is damaged", lambda: "journal.damaged" in process.text()[seen:] and process.text()[seen:], 20)
        self.assertIn(path, said)
        self.assertTrue(process.alive())
        process.stop()

    def spoilt(self, process, path, judge):
        for page in (0, 3):
            process.stop()
            good = self.spoil(path, page)
            with open(path, "rb") as f:
                bad = f.read()
            judge(process, path)
            with open(path, "rb") as f:
                self.assertEqual(f.read(), bad, "a damaged store is left as it was found")
            with open(path, "wb") as f:
                f.write(good)
            process.start()

    def test_an_agent_with_a_corrupt_journal_begins_nothing_and_loses_nothing(self):
        agent = self.fleet.agents["wiki-1"]
        journal = os.path.join(self.fleet.dir, "agent-wiki-1", "state", "agent.db")
        before = self.fleet.effects("one")
        self.spoilt(agent, journal, self.begins_nothing)
        harness.wait_for("the agent to be online", lambda: self.fleet.json("agent", "show", "wiki-1")["agent"].get("online"), 30)
        self.assertEqual(self.fleet.effects("one"), before)

    def test_a_controller_with_a_corrupt_store_does_not_start_and_loses_nothing(self):
        before = self.fleet.cli("site", "list", "--json").stdout.replace('"online":true', "")
        records = self.audit()
        self.spoilt(self.fleet.controller, os.path.join(self.fleet.dir, "controller", "controller.db"), self.does_not_start)
        harness.wait_for("the controller to answer", lambda: self.fleet.cli("site", "list", ok=None).returncode == 0, 30)
        self.assertEqual(self.fleet.cli("site", "list", "--json").stdout.replace('"online":true', "").replace(",}", "}"),
                         before.replace(",}", "}"))
        self.assertEqual(self.audit()[:len(records)], records)
        self.fleet.cli("audit", "verify")

    def test_a_changed_audit_record_is_found(self):
        import sqlite3
        path = os.path.join(self.fleet.dir, "controller", "controller.db")
        self.fleet.controller.stop()
        base = sqlite3.connect(path)
        (detail,), = base.execute("select detail from audit where seq=2")
        base.execute("update audit set detail='nothing happened' where seq=2")
        base.commit()
        self.fleet.controller.start()
        done = harness.wait_for("the controller to answer", lambda: (lambda d: d if d.returncode != 8 else None)(
            self.fleet.cli("audit", "verify", ok=None)), 30)
        self.assertEqual(done.returncode, 6, done)
        self.assertIn("2", done.stdout + done.stderr)
        self.fleet.controller.stop()
        base.execute("update audit set detail=? where seq=2", (detail,))
        base.commit()
        base.close()
        self.fleet.controller.start()
        harness.wait_for("the controller to answer", lambda: self.fleet.cli("audit", "verify", ok=None).returncode == 0, 30)

    def second(self, process, lock):
        twin = harness.Process("twin", process.command, self.fleet.dir)
        twin.start()
        harness.wait_for("the second one to end", lambda: not twin.alive(), 20)
        self.assertEqual(twin.child.returncode, 1)
        self.assertIn("code=busy", twin.text())
        self.assertIn(lock, twin.text())
        self.assertIn(str(process.child.pid), twin.text())
        self.assertTrue(process.alive())
        os.remove(twin.log)

    def test_a_second_agent_on_one_state_folder_is_refused(self):
        self.second(self.fleet.agents["wiki-1"], os.path.join(self.fleet.dir, "agent-wiki-1", "state", "agent.db"))

    def test_a_second_controller_on_one_state_folder_is_refused(self):
        self.second(self.fleet.controller, os.path.join(self.fleet.dir, "controller", "controller.db"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
