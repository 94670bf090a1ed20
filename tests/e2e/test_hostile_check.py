"""A check of an installation whose files are meant to harm: it ends in time, with little memory, and says which file it was."""
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402
import installs  # noqa: E402
from installs import INIT, LIB, POM, cfg, postgresql  # noqa: E402

AGENT = os.path.join(harness.BUILD, "agent", "confleet-agent")


def sanitized():
    """Whether the programs were built with sanitizers, which keep freed memory: then how much they take proves nothing."""
    with open(os.path.join(harness.BUILD, "CMakeCache.txt"), encoding="utf-8") as f:
        return "CONFLEET_SANITIZE:BOOL=ON" in f.read()


RSS_MAX_KB, SECONDS_MAX = (2048 if sanitized() else 300) * 1024, 20
SEVEN = cfg(8703, postgresql())
LAUGHS = "<!DOCTYPE lolz [<!ENTITY l0 'ha'>" + "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10)) + "]>"
BILLION = f'<?xml version="1.0"?>{LAUGHS}<confluence-configuration><buildNumber>&l9;</buildNumber></confluence-configuration>'
EXTERNAL = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><confluence-configuration>&x;</confluence-configuration>'
REMOTE = '<?xml version="1.0"?><!DOCTYPE Server SYSTEM "http://127.0.0.1:1/x.dtd"><Server port="8000"><Service/></Server>'
DEEP = "<confluence-configuration>" + "<a>" * 200000
WIDE = "<confluence-configuration>" + "<a/>" * 500000 + "</confluence-configuration>"
ATTRIBUTES = "<confluence-configuration " + " ".join(f'a{n}="x"' for n in range(100000)) + "/>"
QUADRATIC = "<confluence-configuration><buildNumber>" + "<!-- -->1" * 300000 + "</buildNumber></confluence-configuration>"

# name of the file below app/ or home/; the check that must name it, and how it must end.
TEXTS = {
    "home/confluence.cfg.xml": [("entity bomb", BILLION), ("external entity", EXTERNAL), ("deep", DEEP), ("wide", WIDE),
                                ("attributes", ATTRIBUTES), ("comments", QUADRATIC), ("zeros", b"\0" * 4096),
                                ("a long line", "<" + "a" * 900000), ("half a character", SEVEN.encode() + b"\xe2\x82")],
    "app/conf/server.xml": [("entity bomb", BILLION), ("remote DTD", REMOTE), ("deep", DEEP), ("zeros", b"\0" * 100000)],
    "app/" + INIT: [("every escape", "confluence.home=\\u0000\\uD800\\uZZZZ\\t\\f\\\n  \\q\\\\\\u00e9" + "\\" * 999), ("only escapes", "\\u" * 90000),
                    ("one key", "k" * 500000), ("long folder", "confluence.home=/" + "x/" * 100000)],
    "app/" + POM: [("every escape", "version=\\u0000\\n\\u202e9.9\\"), ("long", "version=" + "9" * 500000)],
    "app/bin/setenv.sh": [("quotes", "CATALINA_OPTS=\"" + "'\"\\`$(" * 100000), ("nested", "A=${" * 100000), ("bytes", bytes(range(256)) * 2000)],
    "app/bin/user.sh": [("substitution", 'CONF_USER="$(touch /tmp/confleet-was-run)"\n'), ("long", "CONF_USER=" + "a" * 900000)],
}
BIG = ["home/confluence.cfg.xml", "app/conf/server.xml", "app/bin/setenv.sh", "app/bin/user.sh", "app/" + INIT, "app/" + POM, "app/README.txt",
       f"app/{LIB}confluence-7.4.0.jar", f"app/{LIB}postgresql-42.3.3.jar", "app/work/catalina.pid", "app/confluence/WEB-INF/web.xml"]


def check(root, *words, seconds=SECONDS_MAX):
    """(answer, seconds, kilobytes): the largest of agent and worker."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen([AGENT, "check", "--install", root + "/app", "--json", *words], stdout=out, stderr=subprocess.STDOUT)
        timer = threading.Timer(seconds + 30, child.kill)
        timer.start()
        _, status, usage = os.wait4(child.pid, 0)
        timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return child.returncode, json.loads(out.read()), time.monotonic() - start, usage.ru_maxrss


class Hostile(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="cf-hostile-")
        self.addCleanup(shutil.rmtree, self.dir)

    def site(self, port=1, **more):
        root = tempfile.mkdtemp(dir=self.dir)
        installs.home_folder(root + "/home", cfg(8703, postgresql(port, **more)))
        installs.installation(root + "/app", "7.4.0", root + "/home", 8703)
        return root

    def bounded(self, root, *words, seconds=SECONDS_MAX):
        status, answer, took, kilobytes = check(root, *words, seconds=seconds)
        self.assertIn(status, (1, 2, 3), answer)
        self.assertLess(took, seconds)
        self.assertLess(kilobytes, RSS_MAX_KB)
        if status == 1:
            self.assertNotIn("worker", answer["message"])       # it did not crash
        else:
            self.assertGreater(len(answer["findings"]), 60)
        return {f["id"]: (f["severity"], f["evidence"]) for f in answer.get("findings", [])}

    def names(self, found, check_id, text):
        self.assertNotEqual(found[check_id][0], "OK", found[check_id])
        self.assertIn(text, found[check_id][1])

    def test_texts_that_are_meant_to_harm_are_refused_with_the_files_name(self):
        for path, texts in TEXTS.items():
            for name, text in texts:
                with self.subTest(path, form=name):
                    root = self.site()
                    installs.Tree(root).put(path, text)
                    found = self.bounded(root)
                    if path.endswith("cfg.xml") and name != "half a character":
                        self.names(found, "database-kind", "confluence.cfg.xml")
                    if path.endswith("server.xml"):
                        self.names(found, "ports", "server.xml")
        self.assertFalse(os.path.exists("/tmp/confleet-was-run"))

    def test_files_of_100_megabytes_where_kilobytes_are_expected(self):
        root = self.site()
        for path in BIG:
            installs.Tree(root).put(path, "")
            os.truncate(f"{root}/{path}", 100 << 20)
        found = self.bounded(root, "--home", root + "/home")
        self.names(found, "database-kind", "confluence.cfg.xml is larger than")
        self.names(found, "java-options", "setenv.sh is larger than")
        self.names(found, "run-user", "bin/user.sh")

    def test_pipes_devices_and_sockets_where_a_file_is_expected(self):
        def pipe(path):
            os.mkfifo(path)

        def device(path):
            os.symlink("/dev/zero", path)

        def listening(path):
            with socket.socket(socket.AF_UNIX) as s:
                os.chdir(os.path.dirname(path))
                s.bind(os.path.basename(path))
                os.chdir("/")

        for make in (pipe, device, listening, os.mkdir):
            with self.subTest(make.__name__):
                root = self.site()
                for path in BIG:
                    path = f"{root}/{path}"
                    if os.path.exists(path):
                        os.unlink(path)
                    make(path)
                found = self.bounded(root, "--home", root + "/home")
                self.names(found, "database-kind", "confluence.cfg.xml is ")
                self.names(found, "java-options", "setenv.sh is ")
                self.names(found, "run-user", "bin/user.sh")

    def test_loops_of_links_and_very_full_folders_end(self):
        root = self.site()
        for folder in ("home", "home/attachments", "app/confluence"):
            os.symlink("..", f"{root}/{folder}/loop")
            os.symlink("self", f"{root}/{folder}/self")
        for number in range(50000):
            os.close(os.open(f"{root}/home/index/{number}", os.O_CREAT | os.O_WRONLY, 0o644))
        deep = f"{root}/home/attachments"
        for _ in range(300):
            deep += "/deep"
            os.mkdir(deep)
        found = self.bounded(root)
        self.assertIn("50001 files", found["index"][1])

    def server(self, answer):
        """A listening socket that takes everything and says `answer` once asked."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        kept = []

        def serve():
            while True:
                try:
                    one, _ = listener.accept()
                except OSError:
                    return
                kept.append(one)
                if answer:
                    try:
                        one.recv(8)             # SSLRequest
                        one.sendall(answer)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()

        def stop():
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(5)
            for one in kept:
                one.close()
        self.addCleanup(stop)
        return listener.getsockname()[1]

    def test_databases_that_accept_and_then_hang_are_given_up(self):
        half = b"N" + b"R" + struct.pack(">I", 8)                       # no TLS; an authentication request without its end
        huge = b"N" + b"E" + struct.pack(">I", 0x7fffffff) + b"S" * 70000   # an error of two gigabytes
        roots = {name: self.site(self.server(answer)) for name, answer in (("silent", b""), ("half", half), ("huge", huge), ("noise", b"\xff" * 9999))}
        results, threads = {}, []
        for name, root in roots.items():        # side by side: each waits for its limits
            thread = threading.Thread(target=lambda n=name, r=root: results.update({n: check(r, seconds=60)}))
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()
        for name, (status, answer, took, kilobytes) in results.items():
            with self.subTest(name):
                self.assertEqual(status, 3, answer)
                self.assertLess(took, 60)
                self.assertLess(kilobytes, RSS_MAX_KB)
                found = {f["id"]: f["severity"] for f in answer["findings"]}
                self.assertEqual(found["database-reachable"], "BLOCK")
                self.assertEqual(found["database-size"], "UNKNOWN")
        self.assertEqual(len(results), len(roots))


if __name__ == "__main__":
    unittest.main(verbosity=2)
