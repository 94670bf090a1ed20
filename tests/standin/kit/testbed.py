"""What the tests of the stand-in share: one cluster, sites, faults, and polling with a deadline."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from . import cluster, database, sitetool, versions

FINGERPRINT = os.path.join(versions.PROJECT, "tests", "harness", "fingerprint")


def until(condition, what, seconds=15):
    """Polls a condition; its first true value is the answer."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


class Bed(unittest.TestCase):
    """A cluster per class and fresh sites per test; processes that a test left are ended."""
    form = "light"

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="standin-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        os.chmod(cls.folder, 0o755)
        # In memory where that is possible: making databases is most of the time of these tests.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        cls.pg = tempfile.mkdtemp(prefix="standin-pg-", dir=memory)
        cls.addClassCleanup(shutil.rmtree, cls.pg, ignore_errors=True)
        os.chmod(cls.pg, 0o755)
        cls.port = cluster.start(cls.pg)
        cls.addClassCleanup(cluster.stop, cls.pg)
        cls.count = 0

    def site(self, version="6.13.4", **values):
        type(self).count += 1
        name = f"s{self.count}"
        user = "nobody" if os.geteuid() == 0 else None
        about = sitetool.create(**dict({
            "root": self.folder, "name": name, "version": version, "form": self.form, "pg_socket": self.pg,
            "pg_port": self.port, "db": "db_" + name, "db_user": "user_" + name, "db_password": "secret & <" + name,
            "http_port": cluster.free_port(), "shutdown_port": cluster.free_port(), "user": user, "safety": "0.1",
            "effects": os.path.join(self.folder, name + ".effects")}, **values))
        sitetool.switch(about, stop__wait=20)
        self.addCleanup(self.end, about)
        return about

    def pid(self, about):
        try:
            with open(os.path.join(about["install"], "work/catalina.pid"), encoding="ascii") as source:
                return int(source.read())
        except (OSError, ValueError):
            return 0

    @staticmethod
    def alive(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as source:
                return pid > 0 and source.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def end(self, about):
        pid = self.pid(about)
        if pid and self.alive(pid):
            os.kill(pid, signal.SIGKILL)

    def start(self, about, *wanted):
        code, text = sitetool.script(about, "start-confluence.sh")
        self.assertEqual(code, 0, text)
        try:
            seen = sitetool.wait(about, *(wanted or ("RUNNING", "ERROR")), seconds=30)
            self.assertTrue(wanted or seen[-1] == "RUNNING", f"{seen}\n{self.out(about)}\n{self.log(about)}")
            return seen
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.out(about)}\n{self.log(about)}") from error

    def stop(self, about):
        pid = self.pid(about)
        code, text = sitetool.script(about, "stop-confluence.sh")
        self.assertEqual(code, 0, text)
        self.assertFalse(self.alive(pid))

    def upgrade(self, about, version, *wanted, fault=None):
        """By hand: swap, start and wait. Ends with the last state."""
        if fault:
            sitetool.switch(about, **{f"fault__{versions.VERSIONS[version]['build']}": fault})
        sitetool.swap(about, version)
        seen = self.start(about, *wanted)
        if seen[-1] == "RUNNING" and not fault:
            until(lambda: "Upgrade completed successfully" in self.log(about), "the end of the upgrade")
        return seen

    def text(self, path):
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as source:
            return source.read()

    def log(self, about):
        return self.text(os.path.join(about["home"], "logs/atlassian-confluence.log"))

    def out(self, about):
        return self.text(os.path.join(about["install"], "logs/catalina.out"))

    def effects(self, about, event=None):
        lines = [line.split(" ", 5)[1:] for line in self.text(about["effects"]).splitlines()]
        return [line for line in lines if event is None or line[0] == event]

    def sql(self, about, text, values=None):
        connection = database.connect(sitetool.Site(**about), name=about["db"])
        cursor = connection.cursor()
        cursor.execute(text, values)
        rows = cursor.fetchall() if cursor.description else []
        connection.close()
        return rows

    def numbers(self, about):
        """Build of home and of database."""
        home = self.text(os.path.join(about["home"], "confluence.cfg.xml"))
        return (int(home.split("<buildNumber>")[1].split("<")[0]),
                self.sql(about, "SELECT max(buildnumber) FROM confversion")[0][0])

    def conninfo(self, about):
        return f"host={self.pg} port={self.port} user=postgres dbname={about['db']}"

    def fingerprint(self, about, *options, parts=("install", "home", "pg")):
        command = [FINGERPRINT, "--json", *options]
        for part in parts:
            command += ["--" + part, self.conninfo(about) if part == "pg" else about[part]]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    def difference(self, old, new):
        """The lines that name differences, without their values."""
        paths = []
        for name, value in (("old", old), ("new", new)):
            paths.append(os.path.join(self.folder, name + ".json"))
            with open(paths[-1], "w", encoding="utf-8") as out:
                json.dump(value, out)
        done = subprocess.run([FINGERPRINT, "--compare", *paths], check=False, stdout=subprocess.PIPE)
        lines = done.stdout.decode().splitlines()
        self.assertEqual(done.returncode, 0 if lines == ["equal"] else 1)
        return [line for line in lines[:-1] if not line.startswith("    ")]
