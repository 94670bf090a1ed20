"""Law 9: no secret leaves its server, or reaches an argument list, a log, a report, an environment or a core file.

Canaries are planted wherever a site keeps secrets. Then a check of the fleet, an upgrade, its way back and every report are run,
and everything that came of it is searched: messages before encryption, both stores with their write-ahead logs, logs, reports,
memory, and the arguments and environment of every process that was started meanwhile."""
import json
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "harness"))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "standin"))
import fleet as harness  # noqa: E402
from kit import licences  # noqa: E402

harness.need_root()
FRAMES = os.path.join(harness.BUILD, "tests", "libframes.so")


def edit(path, *changes):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for old, new in changes:
        assert old in text, (path, old)
        text = text.replace(old, new, 1)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


class Canaries(unittest.TestCase):
    def plant(self, fleet):
        """Texts by where they stand."""
        texts = {name: f"CANARY{name}{secrets.token_hex(8)}" for name in
                 ("database", "jwt", "hash", "option", "keystore", "resource", "token", "passfile", "mail")}
        site = fleet.site("one", start=False, db_password=texts["database"])
        cfg, install = site["home"] + "/confluence.cfg.xml", site["install"]
        with open(cfg, encoding="utf-8") as f:
            before = f.read()
        texts["jwt-own"] = re.search(r'jwt.private.key">([^<]{60})', before)[1]
        texts["licence"] = re.search(r'atlassian.license.message">[^\n<]*\n([^\n]{60})', before)[1]
        edit(cfg, ("  </properties>", f'    <property name="jwt.public.key.old">{texts["jwt"]}</property>\n'
                   f'    <property name="confluence.license.hash">{texts["hash"]}</property>\n'
                   f'    <property name="mail.password">{texts["mail"]}</property>\n  </properties>'))
        edit(install + "/bin/setenv.sh", ("\nexport CATALINA_OPTS\n",
             f'\nCATALINA_OPTS="-Dexample.password={texts["option"]} ${{CATALINA_OPTS}}"\nexport CATALINA_OPTS\n'))
        edit(install + "/conf/server.xml",
             ('maxThreads="100"', f'maxThreads="100" keystorePass="{texts["keystore"]}"'),
             ("</Engine>", f'</Engine><!-- <Resource name="jdbc/old" username="u" password="{texts["resource"]}"/> -->'))
        new = licences.confluence("ABCD-EFGH-IJKL-MNOP", "2031-06-30")
        texts["licence-new"] = new.splitlines()[1][:60]
        for name, text in (("token", texts["token"]), ("passfile", f"*:*:*:nobody:{texts['passfile']}\n"), ("new-licence", new)):
            with open(os.open(f"{fleet.dir}/{name}", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
                out.write(text)
        fleet.start_site("one")
        return texts

    def sampler(self, fleet, texts):
        """Ignored: Confluence itself, which its admin starts with the option in its arguments."""
        child = subprocess.Popen([sys.executable, os.path.join(harness.HERE, "sampler.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 text=True)
        order = {"texts": texts, "memory": ["/confleet-agent", "/confleet-controller", "/confleet"],
                 "ignore": [f"-Dcatalina.base={fleet.sites['one']['install']}", "CATALINA_OPTS="]}
        child.stdin.write(json.dumps(order) + "\n")
        child.stdin.flush()
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def run_everything(self, fleet, shown):
        install = fleet.sites["one"]["install"]
        agent = fleet.start_agent("wiki-1", ["one"], token_file=f"{fleet.dir}/token", passfile=f"{fleet.dir}/passfile")
        fleet.claim("one", "wiki-1")
        fleet.release("9.2.21", 9116)

        def cli(*words):
            done = fleet.cli(*words, ok=None, timeout=200)
            shown.append((words, done.stdout + done.stderr))
            return done.stdout

        def local(*words):
            done = harness.run(fleet.program("confleet-agent"), *words, ok=None)
            shown.append((words, done.stdout + done.stderr))
            return done.returncode

        cli("check", "--to", "9.2.21", "--all", "--html", f"{fleet.dir}/check.html")
        cli("check", "--json")
        cli("check", "--csv")
        self.assertEqual(local("licence", "set", install, f"{fleet.dir}/new-licence", "--config", agent.config), 0)
        os.unlink(f"{fleet.dir}/new-licence")
        local("licence", "show", install, "--config", agent.config, "--json")
        artifact = os.path.join(fleet.dir, "dist", "atlassian-confluence-9.2.21.tar.gz")
        local("check", "--install", install, "--to", "9.2.21", "--artifact", artifact)
        local("check", install, "--to", "9.2.21", "--artifact", artifact, "--diff", "--config", agent.config)
        done = fleet.cli("apply", fleet.plan("spring", "9.2.21", ("first", {"env": "production"}, "0s")), "--yes", timeout=200)
        shown.append(("apply", done.stdout + done.stderr))
        rollout = fleet.json("rollout", "list")["rollouts"][0]["id"]
        local("status", "--config", agent.config, "--json")
        done = fleet.cli("rollback", rollout, "--site", "one", "--yes", "--reason", "test", ok=(5,), timeout=200)
        shown.append(("rollback", done.stdout + done.stderr))
        for words in (["report", rollout, "--format", "text"], ["report", rollout, "--format", "json"], ["report", rollout, "--format", "html"],
                      ["rollout", "status", rollout, "--watch=false"], ["audit", "list", "--json"], ["logs", "wiki-1"], ["backup", "list", "--json"],
                      ["site", "show", "one"], ["site", "show", "one", "--json"], ["agent", "show", "wiki-1", "--json"]):
            cli(*words)
        local("status", "--config", agent.config)
        return agent

    def core_dumped(self, process):
        os.kill(process.child.pid, signal.SIGABRT)
        _, status = os.waitpid(process.child.pid, 0)
        process.child.returncode = -signal.SIGABRT
        self.assertEqual(os.WTERMSIG(status), signal.SIGABRT)
        return os.WCOREDUMP(status)

    def search(self, fleet, texts):
        """Files with one of the texts in them, but the site's own, what stands beside it for the way back, and backups. The
        database of the stopped site is reached with the cfg that was kept at the stop: a file of root's alone, on this server."""
        own = [fleet.sites["one"]["dir"], f"{fleet.dir}/agent-wiki-1/backup", f"{fleet.dir}/token", f"{fleet.dir}/passfile",
               f"{fleet.pg}/data"]
        found, seen = [], []
        for folder, folders, names in os.walk(fleet.dir):
            folders[:] = [f for f in folders if os.path.join(folder, f) not in own]
            for path in (os.path.join(folder, name) for name in names):
                if path in own or os.path.islink(path) or not os.path.isfile(path):
                    continue
                if path.endswith("/stop-home/confluence.cfg.xml"):
                    self.assertEqual((os.stat(path).st_mode & 0o777, os.stat(f"{fleet.dir}/agent-wiki-1/state").st_mode & 0o777), (0o600, 0o700))
                    continue
                with open(path, "rb") as f:
                    data = f.read()
                seen.append(os.path.relpath(path, fleet.dir))
                found += [(seen[-1], name) for name, text in texts.items() if text.encode() in data]
        return found, seen

    def where(self, frames, shown, texts):
        """For a person: a piece of the first message or report that holds one."""
        with open(frames, "rb") as f:
            pieces = [("messages", f.read().decode(errors="replace"))] + shown
        return [(words, name, text[max(0, text.find(secret) - 300):text.find(secret) + 80])
                for words, text in pieces for name, secret in texts.items() if secret in text][:2]

    def test_no_canary_is_found_anywhere_but_where_it_was_planted(self):
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        shown = []
        with harness.Fleet("canary") as fleet:
            texts = self.plant(fleet)
            sampler = self.sampler(fleet, texts)
            frames = f"{fleet.dir}/frames"
            os.environ.update(LD_PRELOAD=FRAMES, CONFLEET_FRAMES=frames)
            try:
                fleet.start_controller()
                agent = self.run_everything(fleet, shown)
            finally:
                for name in ("LD_PRELOAD", "CONFLEET_FRAMES"):
                    os.environ.pop(name)
                out, _ = sampler.communicate()
            seen = json.loads(out)
            self.assertEqual(seen["hits"], [], self.where(frames, shown, texts))
            # On a busy machine it looks less often; that it looked all the while, and at all of them, is what counts.
            print(f"sampled {seen['rounds']} times in {seen['seconds']:.0f} s", file=sys.stderr)
            self.assertGreater(seen["rounds"], 100, seen)
            self.assertLessEqual({"confleet-agent", "confleet-controller", "confleet-worker", "confleet", "pg_dump"}, set(seen["programs"]))
            self.assertLessEqual(set(seen["core"]), {0, 1})

            for words, text in shown:
                for name, secret in texts.items():
                    self.assertNotIn(secret, text, (words, name))
            found, files = self.search(fleet, texts)
            self.assertEqual(found, [])
            for name in ("controller/controller.db", "agent-wiki-1/state/agent.db", "controller.log", "agent-wiki-1.log", "check.html", "frames"):
                self.assertIn(name, files)
            with open(frames, "rb") as f:
                heard = f.read()
            for part in (b"Set-up complete", b"> ", b"< ", b"9.2.21"):      # the hook works, and both sides were heard
                self.assertIn(part, heard)

            control = subprocess.Popen([sys.executable, "-c", "import os; os.abort()"], cwd=fleet.dir, stderr=subprocess.DEVNULL)
            if not os.WCOREDUMP(os.waitpid(control.pid, 0)[1]):
                control.returncode = 0
                self.skipTest("this machine writes no core files, so that ours write none was not seen")
            control.returncode = 0
            self.assertFalse(self.core_dumped(agent))
            self.assertFalse(self.core_dumped(fleet.controller))

    def test_a_worker_that_crashes_leaves_no_core_file(self):
        child = subprocess.Popen([os.path.join(harness.BUILD, "agent", "confleet-worker")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def closed():
            with open(f"/proc/{child.pid}/limits", encoding="ascii") as f:
                return re.search(r"Max core file size +[01] ", f.read())
        # The limit is set in the same breath as the process is made undumpable; then it waits for its order.
        harness.wait_for("the worker to close itself off", closed, 10, 0.01)
        harness.wait_for("the worker to wait for its order", lambda: open(f"/proc/{child.pid}/stat", encoding="ascii").read().split()[2] == "S", 10, 0.01)
        os.kill(child.pid, signal.SIGABRT)
        _, status = os.waitpid(child.pid, 0)
        child.returncode = 0
        child.stdin.close()
        child.stdout.close()
        self.assertFalse(os.WCOREDUMP(status))


if __name__ == "__main__":
    unittest.main(verbosity=2)
