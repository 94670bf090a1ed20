"""`confleet-agent check --install DIR` on installations as they lie about: no controller, no configuration, as root and as an
account that may read only some of it. It says what it found, changes nothing, and shows no secret."""
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
import installs  # noqa: E402
from installs import cfg, postgresql  # noqa: E402

harness.need_root()

AGENT = os.path.join(harness.BUILD, "agent", "confleet-agent")
BLOCKED, LOOK, ERROR = 3, 2, 1
SECRETS = [installs.CANARY] + [line for line in installs.LICENCE.splitlines() if len(line) > 40]
SEVEN = cfg(8703, postgresql(**{"access.mode": "READ_WRITE"}))
KEYS = {"id", "severity", "title", "evidence", "remedy", "family", "rule", "atMs"}


def without(start, **more):
    return {**{k: v for k, v in postgresql().items() if not k.startswith(start)}, **more}


def site(root, version, text, build=0, **more):
    """root/app and root/home, the home given to the account that runs it."""
    home = root + "/home"
    installs.home_folder(home, text if isinstance(text, bytes) else text.encode())
    tree = installs.installation(root + "/app", version, home, build, **more)
    for name in ("work", "logs", "temp"):
        installs.give(os.fsdecode(tree.path(name)))
    installs.give(home)
    return root + "/app"


def seven_with_shared_home(root):
    app = site(root, "7.13.7", SEVEN, 8703)
    installs.Tree(root + "/home").put("shared-home/confluence.cfg.xml", SEVEN)
    return app


def cluster(root):
    return site(root, "6.15.9", cfg(7901, postgresql(**{
        "confluence.cluster": "true", "confluence.cluster.home": "/mnt/shared", "shared-home": "/mnt/shared",
        "confluence.cluster.name": "wiki", "confluence.cluster.join.type": "tcp_ip",
        "confluence.cluster.peers": "10.0.0.1,10.0.0.2"}), kind="cluster"), 7901)


def embedded(url):
    return lambda root: site(root, "5.10.8", cfg(6441, {**postgresql(), "hibernate.connection.url": url.replace("ROOT", root),
                                                        "hibernate.connection.driver_class": "org.hsqldb.jdbcDriver",
                                                        "hibernate.connection.username": "sa", "hibernate.connection.password": ""}))


def ear_war(folder):
    def make(root):
        installs.installation(root, "5.4.4", "/srv/home")
        shutil.rmtree(root + "/bin")
        shutil.rmtree(root + "/conf")
        return root + folder
    return make


def linked(root):
    site(root, "7.4.0", SEVEN, 8703)
    os.symlink("app", root + "/current")
    return root + "/current"


def stripped(root):
    app = site(root, "7.4.0", SEVEN, 8703)
    shutil.rmtree(app + "/conf")
    shutil.rmtree(app + "/confluence/WEB-INF/lib")
    os.remove(app + "/bin/setenv.sh")
    return app


def homeless(root):
    installs.installation(root, "7.4.0", root + "/gone")
    return root


def plain(text, version="7.4.0", build=8703, **more):
    return lambda root: site(root, version, text, build, **more)


def empty(root):
    os.makedirs(root)
    return root


# name: (make, words, exit status, {check: (severity, part of its evidence)}); a text instead of checks is part of the message.
CASES = {
    "5.5.3 on MySQL, home equal to the installation": (installs.old_mysql, [], BLOCKED, {
        "setup-complete": ("OK", ""), "home-inside": ("BLOCK", "would destroy it"), "build-numbers": ("UNKNOWN", "the installation's build"),
        "version-path": ("INFO", "5.5.3 is installed, of what build is not known"), "licence-readable": ("WARN", "version 1"),
        "licence-kind": ("UNKNOWN", ""), "database-kind": ("BLOCK", "mysql"), "database-url": ("BLOCK", "storage_engine"),
        "database-reachable": ("UNKNOWN", "its own checks come later"), "database-pool": ("WARN", "30 connections"),
        "java-options": ("WARN", "MaxPermSize"), "database-driver": ("WARN", "mysql-connector-java-5.1.7.jar")}),
    "6.0.1 on PostgreSQL": (plain(cfg(7101, postgresql(**{"confluence.webapp.context.path": "/confluence"})), "6.0.1", 7101),
                            ["--to", "9.2.21"], BLOCKED, {
        "setup-complete": ("OK", ""), "build-numbers": ("UNKNOWN", "cannot be reached"), "run-user": ("OK", "nobody"),
        "version-path": ("BLOCK", "6.0.5"), "release-known": ("OK", "9.2.21"), "licence-readable": ("OK", ""),
        "licence-signature": ("UNKNOWN", ""), "database-kind": ("OK", "127.0.0.1:1/wiki"), "database-reachable": ("BLOCK", "refused"),
        "database-url": ("OK", ""), "database-size": ("UNKNOWN", "refused"), "ports": ("OK", "8090")}),
    "7.13 with its shared home inside": (seven_with_shared_home, [], BLOCKED, {
        "setup-complete": ("OK", ""), "one-node": ("OK", ""), "files-outside": ("OK", ""), "access-mode": ("OK", ""),
        "database-reachable": ("BLOCK", "refused")}),
    "6.15, a node of a cluster": (cluster, [], BLOCKED, {"one-node": ("BLOCK", "cluster"), "rolling-upgrade": ("UNKNOWN", "cluster")}),
    "HSQLDB in its own home": (embedded("jdbc:hsqldb:ROOT/home/database/confluencedb;hsqldb.tx=MVCC"), [], BLOCKED, {
        "database-kind": ("BLOCK", "for trials only"), "build-numbers": ("UNKNOWN", "hsqldb")}),
    "HSQLDB of another home": (embedded("jdbc:hsqldb:/srv/original/home/database/confluencedb;hsqldb.tx=MVCC"), [], BLOCKED, {
        "database-kind": ("BLOCK", "/srv/original/home/database/confluencedb."), "setup-complete": ("OK", "")}),
    "JNDI data source": (plain(cfg(8401, without("hibernate.connection.", **{
        "hibernate.connection.datasource": "java:comp/env/jdbc/confluence"})), build=8401, inside=installs.RESOURCE), ["--to", "8.5.4"],
        BLOCKED, {"database-kind": ("BLOCK", "data source of Tomcat"), "database-url": ("BLOCK", "8.0")}),
    "encrypted password": (plain(cfg(8703, postgresql(**{"jdbc.password.decrypter.classname": "com.example.Cipher"}))), [], BLOCKED, {
        "setup-complete": ("OK", ""), "database-reachable": ("BLOCK", "refused")}),
    "EAR-WAR edition": (ear_war(""), [], ERROR, "EAR-WAR edition"),
    "EAR-WAR edition, the web application named": (ear_war("/confluence"), [], ERROR, "EAR-WAR edition"),
    "home missing": (homeless, [], BLOCKED, {
        "setup-complete": ("BLOCK", "gone/confluence.cfg.xml"), "home-inside": ("BLOCK", ""), "licence-readable": ("UNKNOWN", "No such file"),
        "database-kind": ("UNKNOWN", "confluence.cfg.xml"), "one-node": ("UNKNOWN", "")}),
    "no home named": (lambda root: installs.installation(root, "7.4.0", None) and root, [], BLOCKED, {
        "setup-complete": ("BLOCK", "names no home"), "home-source": ("UNKNOWN", "Nothing names a home"), "database-kind": ("UNKNOWN", "")}),
    "set-up not finished": (plain(cfg(0, {}, step="setupdbchoice-start")), [], BLOCKED, {
        "setup-complete": ("BLOCK", "setupdbchoice-start"), "database-kind": ("UNKNOWN", "names no database")}),
    "cfg cut in the middle": (plain(SEVEN[:900]), [], BLOCKED, {
        "setup-complete": ("BLOCK", "home/confluence.cfg.xml: line"), "database-kind": ("UNKNOWN", "home/confluence.cfg.xml: line"),
        "licence-readable": ("UNKNOWN", "home/confluence.cfg.xml: line"), "build-numbers": ("UNKNOWN", "the home's build")}),
    "cfg empty": (plain(""), [], BLOCKED, {"setup-complete": ("BLOCK", "home/confluence.cfg.xml")}),
    "cfg in UTF-16": (plain(SEVEN.replace("UTF-8", "UTF-16").encode("utf-16")), [], BLOCKED, {
        "setup-complete": ("OK", ""), "licence-readable": ("OK", ""), "database-kind": ("OK", "PostgreSQL")}),
    "cfg in Latin-1": (plain(cfg(8703, postgresql(note="caf\xe9")).replace("UTF-8", "ISO-8859-1").encode("latin-1")), [], BLOCKED, {
        "setup-complete": ("OK", ""), "database-kind": ("OK", "PostgreSQL")}),
    "cfg in Latin-1 that says UTF-8": (plain(cfg(8703, postgresql(note="caf\xe9")).encode("latin-1")), [], BLOCKED, {
        "setup-complete": ("BLOCK", "not well-formed"), "database-kind": ("UNKNOWN", "not well-formed")}),
    "named through a link": (linked, [], BLOCKED, {"setup-complete": ("OK", "/home"), "home-inside": ("OK", "/app")}),
    "jars, conf and setenv.sh missing": (stripped, [], BLOCKED, {
        "ports": ("UNKNOWN", "server.xml"), "java-options": ("UNKNOWN", "setenv.sh"), "heap": ("UNKNOWN", "setenv.sh"),
        "build-numbers": ("UNKNOWN", "the installation's build"), "database-driver": ("WARN", "No driver")}),
    "an empty folder": (empty, [], ERROR, "is no installation of Confluence"),
    "a folder that is not there": (lambda root: root + "/none", [], ERROR, "No such file"),
    "a version that is none": (plain(SEVEN), ["--to", "latest"], ERROR, "'latest' is no version"),
}

# What only an account without rights meets: name: (folders and files that are closed to it, checks, or part of the message).
CLOSED = {
    "confluence.cfg.xml": (["home/confluence.cfg.xml"], {
        "setup-complete": ("UNKNOWN", "may not be read"), "database-kind": ("UNKNOWN", "Permission denied"), "one-node": ("UNKNOWN", ""),
        "licence-readable": ("UNKNOWN", "Permission denied"), "database-url": ("UNKNOWN", "Permission denied"),
        "build-numbers": ("UNKNOWN", ""), "run-user": ("OK", "")}),
    "home": (["home"], {"setup-complete": ("UNKNOWN", "may not be read"), "files-outside": ("UNKNOWN", ""), "space": ("UNKNOWN", ""),
                        "index": ("UNKNOWN", "Permission denied"), "access-mode": ("UNKNOWN", "")}),
    "scripts": (["app/bin/setenv.sh", "app/bin/user.sh"], {
        "home-source": ("UNKNOWN", "setenv.sh"), "run-user": ("UNKNOWN", "user.sh"), "java-options": ("UNKNOWN", "Permission denied"),
        "heap": ("UNKNOWN", "Permission denied"), "setup-complete": ("OK", "")}),
    "conf and libraries": (["app/conf", "app/confluence/WEB-INF/lib"], {
        "ports": ("UNKNOWN", ""), "database-driver": ("UNKNOWN", ""), "build-numbers": ("UNKNOWN", "the installation's build"),
        "space": ("UNKNOWN", "")}),
    "classes": (["app/confluence/WEB-INF/classes"], {
        "setup-complete": ("UNKNOWN", "Permission denied"), "home-source": ("UNKNOWN", "Permission denied"), "database-kind": ("UNKNOWN", "")}),
    "bin": (["app/bin"], "Permission denied"),
}


def fingerprint(root):
    seen = {}
    for folder, folders, names in os.walk(os.fsencode(root)):
        for name in [b"."] + folders + names:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            seen[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)
    return seen


def check(install, *words, user=None):
    before = ["/usr/sbin/runuser", "-u", user, "--"] if user else []
    return subprocess.run([*before, AGENT, "check", "--install", install, *words], capture_output=True, timeout=60,
                          cwd="/", check=False)


class Offline(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="cf-offline-")
        os.chmod(cls.dir, 0o755)
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        reachable = subprocess.run(["/usr/sbin/runuser", "-u", "nobody", "--", "/bin/sh", "-c", f"test -x '{AGENT}' && test -r '{cls.dir}'"],
                                   check=False).returncode == 0
        cls.users = [None, "nobody"] if reachable else [None]
        if not reachable:
            print("nobody may not reach the programs here: looked at as root alone")

    def look(self, root, install, words, user):
        """Exit status, the object that was printed, and an assertion for what holds of every check."""
        before = fingerprint(root) if os.path.exists(root) else {}
        done = check(install, *words, "--json", user=user)
        after = fingerprint(root) if os.path.exists(root) else {}
        out = (done.stdout + done.stderr).decode()
        self.assertEqual(before, after)
        for secret in SECRETS:
            self.assertNotIn(secret, out)
        answer = json.loads(done.stdout)
        for finding in answer.get("findings", []):
            self.assertLessEqual(set(finding), KEYS)
            self.assertTrue(finding["evidence"].strip() == finding["evidence"] != "", finding)
        return done.returncode, answer

    def expect(self, answer, wanted):
        if isinstance(wanted, str):
            self.assertIn(wanted, answer["message"])
            self.assertGreater(answer["code"], 0)
            return
        found = {f["id"]: f for f in answer["findings"]}
        self.assertGreater(len(found), 60)
        for name, (severity, text) in wanted.items():
            self.assertEqual(found[name]["severity"], severity, found[name])
            self.assertIn(text, found[name]["evidence"])

    def side_by_side(self, one, jobs):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for job, done in [(job, pool.submit(one, *job)) for job in jobs]:
                with self.subTest(job[0], user=job[-1] or "root"):
                    done.result()

    def case(self, name, number, user):
        make, words, status, wanted = CASES[name]
        root = f"{self.dir}/case{number}-{user or 'root'}"
        code, answer = self.look(root, make(root), words, user)
        self.expect(answer, wanted)
        self.assertEqual(code, status)

    def test_every_installation_is_told_as_it_is(self):
        self.side_by_side(self.case, [(name, n, user) for n, name in enumerate(CASES) for user in self.users])

    def closed(self, name, number, user):
        hidden, wanted = CLOSED[name]
        root = f"{self.dir}/closed{number}"
        app = site(root, "7.4.0", SEVEN, 8703)
        for path in hidden:
            path = f"{root}/{path}"
            os.chown(path, 0, 0)
            os.chmod(path, 0o700 if os.path.isdir(path) else 0o600)
        if hidden == ["home"]:
            wanted = {**wanted, "run-user": ("BLOCK", "belongs to user id 0")}
        code, answer = self.look(root, app, [], user)
        self.expect(answer, wanted)
        blocked = any(f["severity"] == "BLOCK" for f in answer.get("findings", []))
        self.assertEqual(code, BLOCKED if blocked else ERROR if isinstance(wanted, str) else LOOK)

    def test_what_may_not_be_read_is_unknown(self):
        if len(self.users) == 1:
            self.skipTest("nobody may not reach the programs here")
        self.side_by_side(self.closed, [(name, n, "nobody") for n, name in enumerate(CLOSED)])

    def test_whether_it_runs_is_unknown_to_who_sees_no_other_processes(self):
        app = site(self.dir + "/hidden", "7.4.0", SEVEN, 8703)
        done = subprocess.run(["/usr/bin/unshare", "--mount", "/bin/sh", "-c", "mount -t proc -o hidepid=2 proc /proc || exit 77\n"
                               'exec /usr/sbin/runuser -u nobody -- "$@"', "sh", AGENT, "check", "--install", app, "--json"],
                              capture_output=True, timeout=60, check=False)
        if len(self.users) == 1 or done.returncode not in (BLOCKED, LOOK):
            self.skipTest(f"/proc cannot be mounted with hidepid here: {done.stderr!r}")
        self.expect(json.loads(done.stdout), {"ports": ("UNKNOWN", "does not see"), "long-tasks": ("UNKNOWN", ""), "setup-complete": ("OK", "")})

    def test_names_may_hold_blanks_line_breaks_and_latin_1(self):
        for number, name in enumerate((b"con fluence\n8", "wiki \xe9\u4e2d".encode(), b"caf\xe9 \x1b[31m")):
            root = os.fsdecode(os.fsencode(self.dir) + b"/odd " + name)
            # A home that is no UTF-8 cannot stand in properties; then it is given by hand.
            app = site(root, "7.4.0", SEVEN, 8703) if number < 2 else self.odd(root)
            for user in self.users:
                words = [] if number < 2 else ["--home", os.fsencode(root) + b"/home"]
                done = check(os.fsencode(app), *words, user=user)
                self.assertEqual(done.returncode, BLOCKED, done)
                self.assertNotIn(b"\x1b", done.stdout)
                self.assertIn("Set-up complete", done.stdout.decode())

    def odd(self, root):
        installs.home_folder(root + "/home", SEVEN)
        installs.installation(root + "/app", "7.4.0", None, 8703)
        return root + "/app"

    def test_a_home_that_is_given_counts(self):
        root = self.dir + "/given"
        site(root + "/one", "7.4.0", SEVEN, 8703)
        app = site(root + "/two", "7.4.0", SEVEN.replace("8703", "8804"), 8703)
        code, answer = self.look(root, app, ["--home", root + "/one/home"], None)
        self.assertEqual(code, BLOCKED)
        self.expect(answer, {"build-numbers": ("UNKNOWN", "the database's build"), "home-source": ("INFO", "was named for this check")})
        self.expect(self.look(root, app, [], None)[1], {"build-numbers": ("BLOCK", "8804")})


if __name__ == "__main__":
    unittest.main(verbosity=2)
