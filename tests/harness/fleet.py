"""A small fleet of real programs for the end-to-end tests: PostgreSQL, stand-in sites, controller, agents, the command.

Everything lives below one folder of its own and listens on loopback only; close() stops what was started, and nothing else.
No sleep stands for an event: wait_for() polls with a deadline and says what it waited for.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STANDIN = os.path.join(ROOT, "tests", "standin")
BUILD = os.environ.get("CONFLEET_BUILD", os.path.join(ROOT, "build", "gcc"))
PYTHON = "/usr/bin/python3"
SKIP = 77


def need_root():
    """These tests start servers under users of their own. Without root they are skipped, and say so."""
    if os.geteuid() != 0:
        print("skipped: needs root, to start PostgreSQL and the sites under users of their own")
        sys.exit(SKIP)


def free_port():
    return free_block(1)


def wait_for(what, probe, seconds=60, step=0.2):
    """The first true answer of probe(), or an assertion that names what was waited for and the last answer."""
    end = time.monotonic() + seconds
    answer = None
    while time.monotonic() < end:
        answer = probe()
        if answer:
            return answer
        time.sleep(step)
    raise AssertionError(f"waited {seconds} s for {what}; last answer: {answer!r}")


def run(*command, ok=(0,), **more):
    """Runs to the end; the answer has returncode, stdout, stderr. Statuses outside `ok` are an assertion with both streams."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=more.pop("timeout", 300), **more)
    if ok is not None and done.returncode not in ok:
        raise AssertionError(f"{' '.join(map(str, command))}\nstatus {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Process:
    """A program of ours in the background, its output in a file."""

    def __init__(self, name, command, folder):
        self.name, self.command, self.log = name, command, os.path.join(folder, name + ".log")
        self.child = None

    def start(self):
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        return self

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def kill(self, number=signal.SIGKILL):
        if self.alive():
            self.child.send_signal(number)
            self.child.wait(30)

    def stop(self):
        self.kill(signal.SIGTERM)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()


class Fleet:
    def __init__(self, name="fleet", durable=False, parent=None):
        self.dir = tempfile.mkdtemp(prefix=f"cf-{name}-", dir=parent)
        os.chmod(self.dir, 0o755)
        self.sites, self.agents, self.processes = {}, {}, []
        self.crowd = set()               # sites that are too many to be stopped one by one
        self.pg = os.path.join(self.world, "pg")
        self.controller = None
        run(PYTHON, os.path.join(STANDIN, "pg"), "start", self.pg, *(["--durable"] if durable else []))
        with open(os.path.join(self.pg, "port"), encoding="ascii") as f:
            self.pg_port = int(f.read())

    @property
    def world(self):
        """Where sites, cluster and the agents' folders are; a file system of its own where power is cut."""
        return self.dir

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind and not os.environ.get("CONFLEET_QUIET"):
            for process in self.processes:
                print(f"--- {process.log}\n{process.text()[-6000:]}", file=sys.stderr)
        self.close(keep=bool(kind) and bool(os.environ.get("CONFLEET_KEEP")))

    def close(self, keep=False):
        for process in reversed(self.processes):
            process.stop()
        for site in self.crowd:
            self.kill_site(site)
        for site in list(self.sites.keys() - self.crowd):
            run(PYTHON, os.path.join(STANDIN, "site"), "stop", site, "--root", self.world, ok=None)
        run(PYTHON, os.path.join(STANDIN, "pg"), "stop", self.pg, "--remove", ok=None)
        if keep:
            print(f"kept: {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # --- the world that Confleet works on

    def dist(self, version, form="light", installer=False, small=False):
        out = os.path.join(self.dir, "dist")
        os.makedirs(out, exist_ok=True)
        run(PYTHON, os.path.join(STANDIN, "dist"), version, "--form", form, "--out", out,
            *(["--installer"] if installer else []), *(["--small"] if small else []))
        return os.path.join(out, f"atlassian-confluence-{version}.tar.gz")

    def site(self, name, version="9.2.13", form="light", start=True, **options):
        words = ["create", "--root", self.world, "--name", name, "--version", version, "--form", form, "--pg-socket", self.pg,
                 "--pg-port", self.pg_port, "--db", name, "--db-user", f"{name}_user", "--db-password", f"pw {name} $!",
                 "--http-port", free_port(), "--shutdown-port", free_port(), "--user", options.pop("user", "nobody"), "--safety", "1",
                 "--effects", os.path.join(self.dir, name + ".effects")]
        for key, value in options.items():
            words += ["--" + key.replace("_", "-")] + ([] if value is True else [value])
        run(PYTHON, os.path.join(STANDIN, "site"), *words)
        folder = os.path.join(self.world, name)
        self.sites[name] = {"dir": folder, "install": os.path.join(folder, "install"),
                            "home": os.path.join(folder, "home"), "http": words[words.index("--http-port") + 1]}
        if start:
            self.start_site(name)
        return self.sites[name]

    def start_site(self, name):
        run(PYTHON, os.path.join(STANDIN, "site"), "start", name, "--root", self.world, "--wait", "60")

    def stop_site(self, name):
        run(PYTHON, os.path.join(STANDIN, "site"), "stop", name, "--root", self.world)

    def fault(self, name, build, fault):
        """Tells a site how its next start on that build fails; the file is part of the home and never changed by the program."""
        with open(os.path.join(self.sites[name]["home"], "standin.properties"), "a", encoding="ascii") as f:
            f.write(f"fault.{build}={fault}\n")

    def effects(self, name):
        """Lines of the stand-in's own effect file: what really happened, whatever any journal says."""
        path = os.path.join(self.dir, name + ".effects")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return f.read().splitlines()

    def count(self, name, event):
        """How often the stand-in says that this happened; a line is: time, event, version, build, pid, detail."""
        return sum(1 for line in self.effects(name) if line.split(" ")[1:2] == [event])

    def state(self, name):
        import urllib.request
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.sites[name]['http']}{self.context(name)}/status", timeout=5) as answer:
                return json.load(answer)["state"]
        except (OSError, ValueError, KeyError) as e:
            return f"none ({e})"

    def context(self, name):
        with open(os.path.join(self.sites[name]["install"], "conf", "server.xml"), encoding="utf-8") as f:
            import re
            found = re.search(r'<Context path="([^"]*)"', f.read())
        return found[1] if found else ""

    def sql(self, name, text, user="postgres"):
        return run("/usr/bin/psql", "-h", self.pg, "-p", self.pg_port, "-U", user, "-d", name, "-AtX", "-v", "ON_ERROR_STOP=1", "-c", text).stdout.strip()

    def build_of(self, name):
        return int(self.sql(name, "select max(buildnumber) from confversion"))

    def fingerprint(self, name, out, running=True):
        site = self.sites[name]
        words = [PYTHON, os.path.join(HERE, "fingerprint"), "--install", site["install"], "--home", site["home"],
                 "--pg", f"host={self.pg} port={self.pg_port} user=postgres dbname={name}"] + (["--running"] if running else [])
        path = os.path.join(self.dir, out)
        with open(path, "w", encoding="utf-8") as f:
            f.write(run(*words, "--json").stdout)
        return path

    def compare(self, one, two):
        """Empty when the two fingerprints are equal, else the differences."""
        done = run(PYTHON, os.path.join(HERE, "fingerprint"), "--compare", one, two, ok=(0, 1))
        return "" if done.returncode == 0 else done.stdout + done.stderr

    # --- Confleet itself

    def program(self, name):
        folder = "controller" if name in ("confleet", "confleet-controller") else "agent"
        return os.path.join(BUILD, folder, name)

    def start_controller(self, *options):
        state = os.path.join(self.dir, "controller")
        self.control, self.bulk = f"tcp://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"
        self.operator_join = os.path.join(self.dir, "operator.join")
        run(self.program("confleet-controller"), "init", "--state", state, "--control", self.control, "--bulk", self.bulk,
            "--operator", "chief", "--join", self.operator_join)
        self.controller = Process("controller", [self.program("confleet-controller"), "run", "--state", state, *options], self.dir)
        self.processes.append(self.controller)
        self.controller.start()
        self.operator = os.path.join(self.dir, "operator")
        run(self.program("confleet"), "--home", self.operator, "enrol", self.operator_join, timeout=60)
        return self.controller

    def cli(self, *words, ok=(0,), **more):
        return run(self.program("confleet"), "--home", more.pop("home", self.operator), *words, ok=ok, **more)

    def json(self, *words, ok=(0,)):
        return json.loads(self.cli(*words, "--json", ok=ok).stdout)

    def agent_config(self, name, search, **settings):
        folder = os.path.join(self.world, "agent-" + name)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        policy = settings.pop("policy", {})
        values = {"state_dir": f"{folder}/state", "backup_dir": f"{folder}/backup", "worker": self.program("confleet-worker"),
                  "hooks_dir": f"{folder}/hooks", "start_timeout": "90s", "stop_timeout": "30s",
                  "database_admin": f'"host={self.pg} port={self.pg_port} user=postgres"'}
        values.update(settings)
        lines = [f"{k}: {v}" for k, v in values.items() if v is not None] + ["search:"] + [f"  - {s}" for s in search]
        lines += ["policy:"]
        rules = {"operations": "[check, backup, upgrade, rollback]", "installations": "[" + ", ".join(s + "/install" for s in search) + "]"}
        rules.update(policy)
        lines += [f"  {k}: {v}" for k, v in rules.items() if v is not None]
        path = os.path.join(folder, "agent.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        return path

    def start_agent(self, name, sites, accept=True, **settings):
        config = self.agent_config(name, [self.sites[s]["dir"] for s in sites], **settings)
        join = os.path.join(self.dir, name + ".join")
        self.cli("agent", "token", name, "--join", join)
        done = run(self.program("confleet-agent"), "enrol", join, "--config", config, timeout=60)
        agent = Process("agent-" + name, [self.program("confleet-agent"), "run", "--config", config], self.dir)
        agent.config = config
        self.processes.append(agent)
        self.agents[name] = agent
        agent.start()
        if accept:
            self.accept(name)
            wait_for(f"agent {name} to report its installations", lambda: len(self.installations(name)) >= len(sites), 60)
        return agent

    def accept(self, name):
        shown = wait_for(f"agent {name} to ask for acceptance",
                         lambda: next((a for a in self.json("agent", "list").get("agents", []) if a["name"] == name), None), 30)
        self.cli("agent", "accept", name, "--fingerprint", shown["fingerprint"])

    def journal(self, name):
        """(step, event) of the agent's journal in order, read beside its owner."""
        import sqlite3
        path = os.path.join(self.world, "agent-" + name, "state", "agent.db")
        if not os.path.exists(path):
            return []
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            return base.execute("select step, event from steps order by seq").fetchall()
        finally:
            base.close()

    def worker_pid(self, name):
        """The worker that this agent has spawned, if one runs now."""
        agent = self.agents[name].child.pid
        try:
            with open(f"/proc/{agent}/task/{agent}/children", encoding="ascii") as f:
                children = f.read().split()
        except OSError:
            return None
        for pid in children:
            try:
                if os.readlink(f"/proc/{pid}/exe").endswith("/confleet-worker"):
                    return int(pid)
            except OSError:
                continue
        return None

    def installations(self, name):
        shown = self.json("agent", "show", name)["agent"].get("installations", [])
        return [i["installation"] for i in shown]

    def claim(self, site, agent, env="production", *labels):
        self.cli("site", "set", site, f"env={env}", *labels, "--node", f"{agent}:{self.sites[site]['install']}")

    def release(self, version, build, form="light", **options):
        self.cli("release", "import", "--artifact", self.dist(version, form, **options), "--version", version, "--build", str(build), timeout=300)

    def plan(self, name, version, *stages, **more):
        """Writes a plan file. Each stage: (name, {selector}, soak), which needs no approval, or a dictionary of its keys;
        without soak it has 0s. More: further keys of the plan, values as they are written."""
        lines = [f"name: {name}", f'release: "{version}"', "stages:"]
        for stage in stages:
            if not isinstance(stage, dict):
                stage = dict(zip(("name", "select", "soak"), stage), needs={"approvals": 0})
            stage = {"soak": "0s", **stage}
            lines += [f"  - name: {stage.pop('name')}"] + [f"    {key}: {flow(value)}" for key, value in stage.items()]
        lines += [f"{k}: {flow(v)}" for k, v in more.items()]
        path = os.path.join(self.dir, name + ".yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        return path

    # --- people and rollouts

    def operator_add(self, name, role):
        """Another operator's home folder. Agents trust those who were there when their token was made."""
        join, home = os.path.join(self.dir, name + ".join"), os.path.join(self.dir, "home-" + name)
        self.cli("operator", "token", name, "--role", role, "--join", join)
        self.cli("enrol", join, home=home)
        return home

    def apply(self, plan, home=None):
        """Starts it and answers the id of its rollout."""
        before = {r["id"] for r in self.json("rollout", "list").get("rollouts", [])}
        self.cli("apply", plan, "--yes", "--detach", home=home or self.operator)
        return next(r["id"] for r in self.json("rollout", "list")["rollouts"] if r["id"] not in before)

    def rollout(self, rollout=None):
        """The view of it, or None while no controller answers."""
        done = self.cli("rollout", "status", *([rollout] if rollout else []), "--watch=false", "--json", ok=None)
        try:
            return json.loads(done.stdout)["rollout"]
        except (ValueError, KeyError):
            return None

    def site_states(self, rollout=None):
        return {s["site"]: s["state"] for s in (self.rollout(rollout) or {}).get("sites", [])}

    def wait_rollout(self, wanted, rollout=None, seconds=120):
        """Until the rollout's state or a site's (`site=state`) is one of these words; answers the view."""
        def probe():
            view = self.rollout(rollout)
            if not view:
                return None
            words = {view["state"]} | {f"{s['site']}={s['state']}" for s in view.get("sites", [])}
            last[0] = sorted(words) + [view.get("reason", "")]
            return view if words & set(wanted if isinstance(wanted, (list, tuple, set)) else [wanted]) else None
        last = [None]
        try:
            return wait_for(f"rollout to be {wanted}", probe, seconds, 0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}; last seen: {last[0]}") from None

    def store(self, query, *values):
        """Rows of the controller's store, read beside its owner."""
        import sqlite3
        base = sqlite3.connect(f"file:{os.path.join(self.dir, 'controller', 'controller.db')}?mode=ro", uri=True, timeout=5)
        try:
            return base.execute(query, values).fetchall()
        finally:
            base.close()

    def untouched(self, name):
        """True when this site was started once, by the test itself, and never stopped."""
        return self.count(name, "stop") == 0 and self.count(name, "start") == 1

    def sites_many(self, base, count, **options):
        """That many small light sites BASE1, BASE2 … made by one command: the first one, and copies that differ in name, ports,
        paths, database and server id. Each has an effect file of its own. Not started."""
        first = free_block(2 * count)
        words = ["create", "--root", self.dir, "--name", base, "--count", count, "--version", options.pop("version", "9.2.13"),
                 "--form", "light", "--small", "--pg-socket", self.pg, "--pg-port", self.pg_port, "--db", base,
                 "--db-user", f"{base}_user", "--db-password", "pw", "--http-port", first, "--shutdown-port", first + 1,
                 "--user", "nobody", "--safety", "60", "--pool", "1", "--effects", self.dir]
        for key, value in options.items():
            words += ["--" + key.replace("_", "-"), value]
        run(PYTHON, os.path.join(STANDIN, "site"), *words, timeout=600)
        names = [f"{base}{n + 1}" for n in range(count)]
        for n, name in enumerate(names):
            self.sites[name] = {"dir": os.path.join(self.dir, name), "install": os.path.join(self.dir, name, "install"),
                                "home": os.path.join(self.dir, name, "home"), "http": first + 2 * n}
        self.crowd |= set(names)
        return names

    def server(self, name, sites, **settings):
        """A server of its own for an agent and its sites, as far as processes go: they are in a PID namespace where the agent sees
        nobody else's. Killing it ends all of them. Where namespaces are not allowed all share the machine's, and it is said."""
        config = self.agent_config(name, [self.sites[s]["dir"] for s in sites], **settings)
        join = os.path.join(self.dir, name + ".join")
        self.cli("agent", "token", name, "--join", join)
        run(self.program("confleet-agent"), "enrol", join, "--config", config, timeout=60)
        starts = "; ".join(f"'{self.sites[s]['install']}/bin/start-confluence.sh' >/dev/null" for s in sites)
        program = f"'{self.program('confleet-agent')}' run --config '{config}'"
        if namespaces():
            # The shell stays as the first process of the namespace and takes in what Confluence leaves behind.
            words = ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/bash", "-c", f"{starts}; {program} & wait"]
        else:
            words = ["/bin/bash", "-c", f"{starts}; exec {program}"]      # what is killed is the agent itself
        agent = Process("agent-" + name, words, self.dir)
        agent.config, agent.stop = config, agent.kill
        self.processes.append(agent)
        self.agents[name] = agent
        return agent.start()

    def kill_site(self, name):
        """Ends the process of a site, if it is that site's: nobody looks at it any more."""
        site = self.sites[name]["install"]
        try:
            with open(os.path.join(site, "work", "catalina.pid"), encoding="ascii") as f:
                pid = int(f.read())
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if f"-Dcatalina.base={site}".encode() in f.read().split(b"\0"):
                    os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            pass


def namespaces():
    """Whether processes may be put into a PID namespace of their own."""
    return subprocess.run(["/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "/bin/true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def free_block(count):
    """The first of so many ports in a row that are free now, below those that the kernel hands out: while something is started
    again at its old port, nobody else's connection gets it meanwhile."""
    import random
    for _ in range(200):
        first = random.randrange(10000, 32000 - count)
        try:
            for port in range(first, first + count):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise AssertionError(f"no {count} free ports in a row")


def flow(value):
    """A value of a plan file in YAML's flow form."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    return str(value)
