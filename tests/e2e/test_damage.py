#!/usr/bin/python3
"""A backup that is damaged between its making and its proof stops nothing; a disk, a server or a client that fails leaves the site up
and no backup that could be taken for a whole one. Whole runs of the real programs; the corpus of damage is in damage_test.c.

The agent's worker is started by a script that damages or preloads what a test ordered, and becomes the worker."""
import errno
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
from case import OneFleet  # noqa: E402

harness.need_root()

FAULT = os.path.join(harness.ROOT, "tests", "fault")
WORKER = """#!/bin/sh
here='{here}'
/usr/bin/python3 '{fault}/damage.py' '{backup}' "$here/damage" || exit 1
fault=
[ -f "$here/fault" ] && fault=$(cat "$here/fault")
[ -f "$here/fault-after-stop" ] && grep -q ' stop ' '{effects}' && fault=$(cat "$here/fault-after-stop")
[ -n "$fault" ] && export ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD='{library}' CONFLEET_FAULT="$fault"
exec '{worker}'
"""
CLIENT = """#!/bin/sh
how=
[ "$1" != --version ] && [ -f '{here}/client' ] && how=$(cat '{here}/client')
case "$how" in
killed) {bin}/pg_dump "$@" | head -c 5000; kill -9 $$ ;;
cut) {bin}/psql -Atqc "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state = 'idle in transaction'" postgresql:///one?sslmode=prefer >&2 ;;
empty) exit 0 ;;
esac
exec {bin}/pg_dump "$@"
"""
PG_BIN = "/usr/lib/postgresql/15/bin"


class Broken(OneFleet):
    @classmethod
    def prepare(cls):
        fleet = cls.fleet
        cls.here = os.path.join(fleet.dir, "orders")
        os.makedirs(cls.here)
        fleet.site("one")
        fleet.start_controller()
        agent = os.path.join(fleet.dir, "agent-wiki-1")
        cls.backup = os.path.join(agent, "backup")
        os.makedirs(cls.backup)
        cls.script("worker", WORKER.format(here=cls.here, fault=FAULT, backup=cls.backup, worker=fleet.program("confleet-worker"),
                                           effects=os.path.join(fleet.dir, "one.effects"),
                                           library=os.path.join(harness.BUILD, "tests", "libfault.so")))
        cls.script("bin/pg_dump", CLIENT.format(here=cls.here, bin=PG_BIN))
        for name in ("pg_restore", "initdb", "postgres", "psql"):
            os.symlink(f"{PG_BIN}/{name}", os.path.join(cls.here, "bin", name))
        fleet.start_agent("wiki-1", ["one"], worker=os.path.join(cls.here, "worker"), pg_bin=os.path.join(cls.here, "bin"))
        fleet.claim("one", "wiki-1")
        fleet.release("9.2.21", 9116)
        cls.number = 0

    @classmethod
    def script(cls, name, text):
        path = os.path.join(cls.here, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)

    def order(self, name, text):
        path = os.path.join(self.here, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text + "\n")
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        return path

    def apply(self):
        type(self).number += 1
        plan = self.fleet.plan(f"try-{self.number}", "9.2.21", ("first", {"env": "production"}, "0s"))
        done = self.fleet.cli("apply", plan, "--yes", "--json", ok=None, timeout=200)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.assertTrue(lines, done)
        return done.returncode, lines[-1]["rollout"]["sites"][0]

    def backups(self):
        """Folders that have the name of a whole backup."""
        folders = [os.path.join(self.backup, n) for n in os.listdir(self.backup)]
        top = next((f for f in folders if os.path.isdir(f)), None)
        return set() if not top else {n for n in os.listdir(top) if n != "lock" and "." not in n}

    def assertUp(self, stops=0):
        self.assertEqual(self.fleet.state("one"), "RUNNING")
        self.assertEqual(self.fleet.build_of("one"), 9109)
        self.assertEqual(self.fleet.count("one", "stop"), stops)

    def test_damage_is_found_before_the_stop_in_whole_runs(self):
        for kind, name in (("flip", "home-0001.tar.zst"), ("cut", "database.dump.zst"), ("swap", "install-0001.tar.zst"),
                           ("flip", "manifest")):
            with self.subTest(kind=kind, name=name):
                order = self.order("damage", " ".join([kind, name, *self.backups()]))
                status, site = self.apply()
                self.assertFalse(os.path.exists(order), "nothing was damaged")
                self.assertNotIn(status, (0, 2), site)
                self.assertIn(name, site["reason"])
                self.assertNotIn("stop", {step["step"] for step in site["steps"]})
                self.assertUp()

    def fails(self, *words):
        """A backup by hand fails, says these words, and leaves nothing that has the name of a backup."""
        before = self.backups()
        done = self.fleet.cli("backup", "run", "one", ok=None, timeout=120)
        self.assertNotEqual(done.returncode, 0, done)
        for word in words:
            self.assertIn(word, done.stdout + done.stderr)
        self.assertEqual(self.backups() - before, set())
        self.assertUp(self.fleet.count("one", "stop"))

    def test_a_disk_that_fails_leaves_no_backup(self):
        for fault, words in ((f"write:{errno.EIO}:home-0001", ("home-0001.tar.zst", "Input/output error")),
                             (f"write:{errno.ENOSPC}:database.dump:1", ("database.dump.zst", "No space left")),
                             (f"fsync:{errno.EIO}:install-0001", ("install-0001.tar.zst", "Input/output error")),
                             (f"fsync:{errno.EIO}:.partial/manifest", ("manifest", "Input/output error")),
                             (f"rename:{errno.EIO}:.partial", ("Input/output error",))):
            with self.subTest(fault=fault):
                self.order("fault", fault)
                self.fails(*words)
        os.unlink(os.path.join(self.here, "fault"))
        self.fleet.cli("backup", "run", "one", timeout=120)

    def test_a_full_disk_is_said_before_anything_starts_and_leaves_no_backup(self):
        if subprocess.run(["/usr/bin/mount", "-t", "tmpfs", "-o", "size=100k,mode=700", "tmpfs", self.backup], check=False).returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        try:
            self.fails("nothing was begun", "lies in memory (tmpfs", "Give backup_dir of agent.yaml a place on a disk")
            status, site = self.apply()
            self.assertEqual((site["state"], status), ("not-ready", 3), site)
            self.assertIn("space", site["reason"])
            self.assertUp(self.fleet.count("one", "stop"))
        finally:
            subprocess.run(["/usr/bin/umount", self.backup], check=True)

    def test_a_dump_that_is_killed_or_cut_off_leaves_no_backup(self):
        for how, words in (("killed", ("pg_dump", "signal 9")), ("cut", ("pg_dump",)), ("empty", ("wrote no dump",))):
            with self.subTest(how=how):
                self.order("client", how)
                self.fails(*words)

    def test_z_a_disk_that_fails_in_the_outage_brings_the_site_back(self):
        self.order("fault-after-stop", f"fsync:{errno.EIO}:home-0001")
        status, site = self.apply()
        self.assertNotIn(status, (0, 2), site)
        self.assertIn("Input/output error", json.dumps(site))
        self.assertUp(stops=1)


if __name__ == "__main__":
    unittest.main()
