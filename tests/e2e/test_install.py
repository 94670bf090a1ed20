"""What `cmake --install` puts on a server: the files, units that are linted, programs that find each other, pages that render."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
import fleet as harness  # noqa: E402

FILES = {
    "agent": {"sbin/confleet-agent", "libexec/confleet/confleet-worker", "lib/systemd/system/confleet-agent.service",
              "share/confleet/examples/agent.yaml", "share/man/man8/confleet-agent.8"},
    "controller": {"sbin/confleet-controller", "lib/systemd/system/confleet-controller.service", "lib/sysusers.d/confleet.conf",
                   "lib/tmpfiles.d/confleet.conf", "share/man/man8/confleet-controller.8"},
    "command": {"bin/confleet", "share/bash-completion/completions/confleet", "share/man/man1/confleet.1"},
}
DOC = {"share/doc/confleet/LICENSE", "share/doc/confleet/README.md", "share/confleet/confluence-releases.csv",
       "share/confleet/confluence-releases.md"}
# Exposure by `systemd-analyze security`, in tenths. The agent is root with the file system in reach: that is its work.
EXPOSURE = {"controller": 15, "agent": 42}
# Inherited by a Confluence that the agent starts by its scripts; each of these would keep some site from coming back.
HARMS_CONFLUENCE = ("NoNewPrivileges", "MemoryDenyWriteExecute", "RestrictSUIDSGID", "PrivateTmp", "ProtectSystem", "ProtectHome",
                    "LimitNOFILE", "PrivateNetwork", "PrivateUsers", "IPAddressDeny", "ProcSubset", "ProtectProc")


def install(prefix, component=None, destdir=None):
    env = dict(os.environ, **({"DESTDIR": destdir} if destdir else {}))
    harness.run("cmake", "--install", harness.BUILD, "--prefix", prefix, *(["--component", component] if component else []), env=env)


def below(folder):
    return {os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names}


def setting(path, key):
    with open(path, encoding="utf-8") as f:
        return [line.split("=", 1)[1].strip() for line in f if line.startswith(key + "=")]


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="cf-install-")
        os.chmod(cls.dir, 0o755)
        cls.prefix = os.path.join(cls.dir, "prefix")
        install(cls.prefix)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.prefix, name)

    def unit(self, name):
        return self.path(f"lib/systemd/system/confleet-{name}.service")


class Files(Installed):
    def test_all_that_belongs_there_and_nothing_else_is_installed(self):
        self.assertEqual(below(self.prefix), set().union(DOC, *FILES.values()))
        for name in below(self.prefix):
            self.assertGreater(os.path.getsize(self.path(name)), 0, name)
            mode = os.stat(self.path(name)).st_mode & 0o777
            self.assertEqual(mode, 0o755 if "bin/" in name or "libexec/" in name else 0o644, name)

    def test_a_server_can_be_given_only_its_part(self):
        for component, files in FILES.items():
            out = os.path.join(self.dir, "only-" + component)
            install(out, component)
            self.assertEqual(below(out), files | DOC)

    def test_units_name_the_programs_of_the_prefix_that_is_given_last(self):
        out = os.path.join(self.dir, "stage")
        install("/usr", destdir=out)
        self.assertEqual(os.listdir(out), ["usr"])
        for name in ("agent", "controller"):
            start = setting(os.path.join(out, f"usr/lib/systemd/system/confleet-{name}.service"), "ExecStart")
            self.assertTrue(start[0].startswith(f"/usr/sbin/confleet-{name} run "), start)
        install(self.prefix)        # the build's copy of the units is the last one that was asked for

    def test_programs_tell_their_version(self):
        for name in ("bin/confleet", "sbin/confleet-controller", "sbin/confleet-agent", "libexec/confleet/confleet-worker"):
            said = harness.run(self.path(name), "version" if name == "bin/confleet" else "--version").stdout
            self.assertRegex(said, r"^confleet\S* \d+\.\d+\.\d+")

    def test_the_completion_is_a_script_that_bash_can_read(self):
        harness.run("bash", "-n", self.path("share/bash-completion/completions/confleet"))

    def test_the_pages_render(self):
        for name in ("man1/confleet.1", "man8/confleet-agent.8", "man8/confleet-controller.8"):
            page = self.path("share/man/" + name)
            with open(page, encoding="utf-8") as f:
                self.assertIn(".TH", f.read())
            if shutil.which("man"):
                done = harness.run("man", "--warnings", "-l", page, env=dict(os.environ, MANWIDTH="100", LC_ALL="C.UTF-8"))
                self.assertIn("DESCRIPTION", done.stdout)
                self.assertEqual(done.stderr, "")


@unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze (package systemd)")
class Units(Installed):
    def test_units_are_valid(self):
        env = dict(os.environ, MANPATH=self.path("share/man") + ":")
        done = harness.run("systemd-analyze", "verify", "--man=no", self.unit("agent"), self.unit("controller"), env=env)
        self.assertEqual(done.stdout + done.stderr, "")

    def test_units_are_as_closed_as_their_work_allows(self):
        for name, limit in EXPOSURE.items():
            done = harness.run("systemd-analyze", "security", "--offline=true", f"--threshold={limit}", "--no-pager", self.unit(name), ok=None)
            self.assertEqual(done.returncode, 0, done.stdout[-400:])

    def test_nothing_in_the_agents_unit_keeps_a_confluence_from_living_on_or_coming_back(self):
        unit = self.unit("agent")
        self.assertEqual(setting(unit, "KillMode"), ["process"])
        self.assertEqual(setting(unit, "OOMPolicy"), ["continue"])
        self.assertEqual([key for key in HARMS_CONFLUENCE if setting(unit, key)], [])
        rights = " ".join(setting(unit, "CapabilityBoundingSet")).split()
        for right in ("CAP_NET_BIND_SERVICE", "CAP_SETUID", "CAP_SETGID", "CAP_SETFCAP", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL"):
            self.assertIn(right, rights)

    def test_the_controllers_unit_leaves_it_what_libzmq_needs(self):
        """Without either, libzmq aborts: when it looks for an interface to bind, and when it starts a thread."""
        self.assertIn("AF_NETLINK", setting(self.unit("controller"), "RestrictAddressFamilies")[0])
        self.assertEqual(setting(self.unit("controller"), "SystemCallFilter")[-1], "sched_setscheduler")

    def test_the_controllers_user_and_folders_are_made(self):
        root = os.path.join(self.dir, "root")
        os.makedirs(os.path.join(root, "etc"), exist_ok=True)
        harness.run("systemd-sysusers", "--root=" + root, self.path("lib/sysusers.d/confleet.conf"))
        with open(os.path.join(root, "etc/passwd"), encoding="utf-8") as f:
            user = next(line for line in f if line.startswith("confleet:")).split(":")
        self.assertEqual(user[5], "/var/lib/confleet-controller")
        self.assertIn("nologin", user[6])
        if os.geteuid() == 0:
            harness.run("systemd-tmpfiles", "--root=" + root, "--create", self.path("lib/tmpfiles.d/confleet.conf"))
            made = os.stat(os.path.join(root, "var/lib/confleet-controller"))
            self.assertEqual((made.st_mode & 0o7777, made.st_uid), (0o700, int(user[2])))


class Programs(Installed):
    def started(self, *command):
        """Runs a program as Type=notify does; answers what it said, from its start to its end by SIGTERM."""
        name = os.path.join(self.dir, f"notify-{len(os.listdir(self.dir))}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, open(os.path.join(self.dir, "log"), "w+b") as log:
            manager.bind(name)
            manager.settimeout(30)
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ, NOTIFY_SOCKET=name))
            try:
                said = [manager.recv(64).decode()]
                child.send_signal(signal.SIGTERM)
                said.append(manager.recv(64).decode())
                self.assertEqual(child.wait(30), 0)
                return said
            except socket.timeout:
                log.seek(0)
                self.fail(f"{command[0]} said nothing to its service manager\n{log.read().decode(errors='replace')}")
            finally:
                child.kill()
                child.wait(30)

    def test_the_controller_tells_its_service_manager_when_it_serves(self):
        state = os.path.join(self.dir, "controller")
        endpoints = [f"tcp://127.0.0.1:{harness.free_port()}" for _ in range(2)]
        made = harness.run(self.path("sbin/confleet-controller"), "init", "--state", state, "--control", endpoints[0],
                           "--bulk", endpoints[1], "--operator", "chief", "--join", os.path.join(self.dir, "chief.join"))
        self.assertRegex(made.stdout, r"controller key +SHA256:[0-9a-f-]+\n")    # what an operator is told to compare
        self.assertEqual(self.started(self.path("sbin/confleet-controller"), "run", "--state", state), ["READY=1", "STOPPING=1"])

    def test_the_agent_runs_with_the_example_configuration(self):
        with open(self.path("share/confleet/examples/agent.yaml"), encoding="utf-8") as f:
            text = f.read()
        own = text.replace("/var/lib/confleet-agent", self.dir + "/state").replace("/var/backups/confleet", self.dir + "/backup")
        self.assertEqual(len(re.findall(re.escape(self.dir), own)), 2)
        config = os.path.join(self.dir, "agent.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(own)
        self.assertEqual(self.started(self.path("sbin/confleet-agent"), "run", "--config", config), ["READY=1", "STOPPING=1"])

    def test_what_the_example_shows_as_a_comment_is_valid_too(self):
        with open(self.path("share/confleet/examples/agent.yaml"), encoding="utf-8") as f:
            own = re.sub(r"(?m)^( *)#( *\w+:(?: |$)|  /)", r"\1\2", f.read())
        self.assertIn("\nscratch: auto", own)
        self.assertIn("\n  /opt/atlassian/confluence: confluence.service", own)
        config = os.path.join(self.dir, "full.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(own.replace("/var/lib/confleet-agent", self.dir + "/none"))
        done = harness.run(self.path("sbin/confleet-agent"), "status", "--config", config, ok=None)
        self.assertNotIn(config, done.stderr)       # errors of the file name it; there is no journal yet, and that is another error

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to start PostgreSQL and a site under users of their own")
    def test_an_installed_agent_with_its_worker_checks_a_site(self):
        worker = self.path("libexec/confleet/confleet-worker")
        with harness.Fleet("install") as fleet:
            site = fleet.site("one")
            check = [self.path("sbin/confleet-agent"), "check", "--install", site["install"], "--json"]
            done = harness.run(*check, ok=(0, 2, 3))
            self.assertIn("9.2.13", done.stdout)
            os.rename(worker, worker + ".away")
            try:
                done = harness.run(*check, ok=None)
            finally:
                os.rename(worker + ".away", worker)
            self.assertNotIn(done.returncode, (0, 2, 3))
            self.assertIn(worker, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
