"""Whole runs with one failing call: agent, worker and controller on one stand-in site. The dear half of calls.py.

One fleet serves many cases: after a case that ended with the new version the site is put back as it was. What dies is started again, as its
unit would; what fails for ever is mended after a while, as a disk is that somebody makes room on.
"""
import json
import os
import shutil
import signal
import time

import calls_steps as steps
import fleet as harness
from calls_steps import Violation, holds

BAD, GOOD = 9109, 9116
ENDED = ("committed", "rolled-back", "not-ready", "held", "refused", "failed")
PATIENCE = 12                   # seconds after which what fails for ever is mended
DEATHS = 4                      # or after so many deaths


class Runs:
    def __init__(self):
        self.fleet = harness.Fleet("calls")
        try:
            self.prepare()
        except BaseException:
            self.fleet.close()
            raise

    def close(self):
        self.shim.lift()
        self.fleet.close()

    def prepare(self):
        fleet = self.fleet
        self.site = fleet.site("one", small=True)
        self.shim = steps.Shim(os.path.join(fleet.dir, "shim"))
        os.chmod(self.shim.dir, 0o777)
        self.shim.lift()
        self.wrapper = os.path.join(fleet.dir, "worker")
        with open(self.wrapper, "w", encoding="ascii") as f:
            words = " ".join(f"{k}={v}" for k, v in self.shim.env.items())
            f.write(f"#!/bin/sh\nexport {words}\nexec {fleet.program('confleet-worker')}\n")
        os.chmod(self.wrapper, 0o755)
        fleet.start_controller()
        fleet.start_agent("wiki-1", ["one"], worker=self.wrapper)
        self.agent, self.controller = fleet.agents["wiki-1"], fleet.controller
        for process in (self.agent, self.controller):
            process.command = ["/usr/bin/env", *(f"{k}={v}" for k, v in self.shim.env.items()), *process.command]
        fleet.claim("one", "wiki-1")
        fleet.release("9.2.21", GOOD, small=True)
        self.number, self.deaths = 0, []
        self.keep()
        self.reset()

    # --- the site, as it was

    def keep(self):
        fleet = self.fleet
        fleet.stop_site("one")
        for part in ("install", "home"):
            harness.run("/bin/cp", "-a", self.site[part], os.path.join(fleet.dir, "kept-" + part))
        fleet.sql("postgres", 'create database one_kept template one owner one_user')
        fleet.start_site("one")

    def reset(self):
        """The site as at the beginning, and everybody knows it."""
        fleet = self.fleet
        self.stop_all()
        fleet.stop_site("one")
        for part in ("install", "home"):
            shutil.rmtree(self.site[part])
            harness.run("/bin/cp", "-a", os.path.join(fleet.dir, "kept-" + part), self.site[part])
        fleet.sql("postgres", "drop database one with (force)")
        fleet.sql("postgres", "create database one template one_kept owner one_user")
        if os.path.exists(fleet.dir + "/one.effects"):
            os.unlink(fleet.dir + "/one.effects")
        for name in os.listdir(self.site["dir"]):
            if name.startswith(".confleet-"):
                shutil.rmtree(os.path.join(self.site["dir"], name))
        backup = os.path.join(fleet.dir, "agent-wiki-1", "backup")
        shutil.rmtree(backup, ignore_errors=True)
        os.makedirs(backup, mode=0o700)
        fleet.start_site("one")
        self.start_all()
        harness.wait_for("the site to be seen as it was", lambda: self.seen() == ("9.2.13", BAD), 30)
        self.before = fleet.fingerprint("one", "before.json")
        self.beside = self.folders()

    def seen(self):
        done = self.fleet.cli("site", "show", "one", "--json", ok=None)
        try:
            site = json.loads(done.stdout)["site"]
            return site.get("version"), int(site.get("build", 0))
        except (ValueError, KeyError):
            return None

    def folders(self):
        """What stands beside the site and in the agent's own folder, without what is kept of runs that are over."""
        agent = os.path.join(self.fleet.dir, "agent-wiki-1")
        return {os.path.join(top, n) for top in (self.site["dir"], agent, agent + "/state", agent + "/state/artifacts") if os.path.isdir(top)
                for n in os.listdir(top) if not n.endswith(("-wal", "-shm"))}

    # --- processes

    def arm(self, *words):
        self.armed = words

    def set_order(self):
        self.shim.clear()
        self.shim.order(*self.armed)

    def stop_all(self):
        self.shim.lift()
        self.agent.stop()
        self.controller.stop()

    def start_all(self):
        for process, word in ((self.controller, "controller.ready"), (self.agent, "controller.welcome")):
            if not process.alive():
                self.start_one(process, word)

    @staticmethod
    def start_one(process, word, seconds=30):
        """Started, and ready; False when it ended before."""
        count = process.text().count(word)
        process.start()
        harness.wait_for(f"{process.name}: {word}", lambda: process.text().count(word) > count or not process.alive(), seconds, 0.02)
        return process.alive()

    def bury(self, process, call):
        """A process that ended by itself; another is started."""
        status = process.child.returncode
        self.deaths.append((process.name, status))
        program = process.name.split("-")[0]
        bad = steps.died_badly(status, call if self.armed[0] == program else "")
        holds(bad and f"{process.name} {bad}", f"fired: {self.shim.fired()}", process.text()[-1500:])
        process.start()

    # --- counting

    def count(self):
        """Each kind once, while nothing fails."""
        found = {}
        for kind in ("upgrades", "ways-back"):
            self.arm("nobody", "-", "-", 0, 0, "once")
            self.stop_all()
            self.set_order()
            self.start_all()
            self.upgrade("nobody", "", "once", kind == "ways-back")
            self.stop_all()
            found[kind] = {cell: n for cell, n in self.shim.counts().items() if cell[1] not in ("survey", "expire", "backups", "boot")}
            if kind == "upgrades":
                found["starts"] = {cell: n for cell, n in self.shim.counts().items() if cell[0] != "worker" and cell[1] in ("boot", "run")}
                found[kind] = {cell: n for cell, n in found[kind].items() if cell[0] != "agent" or cell[1] != "run"}
            else:        # the way there has been in the other kind
                found[kind] = {cell: n for cell, n in found[kind].items() if "undo" in cell[1] or "failed" in cell[1]}
            self.start_all()
        return found

    # --- a start

    def start(self, program, call):
        process, word = (self.agent, "controller.welcome") if program == "agent" else (self.controller, "controller.ready")
        self.deaths = []
        self.start_all()
        process.stop()
        self.set_order()
        process.start()
        end = time.monotonic() + 4
        while not (self.shim.fired() and not process.alive()) and time.monotonic() < end and process.alive():
            if self.shim.fired() and self.serves():
                break
            time.sleep(0.05)
        if not process.alive():
            self.bury(process, call)
        self.shim.lift()
        process.stop()
        fired = self.shim.fired()
        if process.child.returncode not in (0, 1, -signal.SIGTERM):     # which we sent, maybe before it was ready for it
            holds(steps.died_badly(process.child.returncode, call), fired, process.text()[-1500:])
        if not self.start_one(process, word):
            raise Violation(f"{process.name} does not start any more after {fired}\n{process.text()[-1500:]}")
        harness.wait_for("the fleet to be whole again", self.serves, 30)
        holds(self.fleet.cli("audit", "verify", ok=None).returncode and "the audit does not verify", fired)
        holds(self.seen() != ("9.2.13", BAD) and f"the site is seen as {self.seen()}", fired)
        self.nothing_in_doubt(f"fired: {fired}")
        return fired

    def serves(self):
        done = self.fleet.cli("agent", "show", "wiki-1", "--json", ok=None)
        try:
            return bool(json.loads(done.stdout)["agent"].get("online"))
        except (ValueError, KeyError):
            return False

    # --- a whole run

    def upgrade(self, program, call, how, back):
        """One upgrade; with `back`, its schema task fails, and it is the way back that is looked at."""
        fleet = self.fleet
        self.deaths, self.number = [], self.number + 1
        switches = os.path.join(self.site["home"], "standin.properties")
        with open(switches, encoding="ascii") as f:
            plain = f.read()
        if back:
            fleet.fault("one", GOOD, "schema-task")
            self.before = fleet.fingerprint("one", "before.json")
        self.starts, self.told = fleet.count("one", "start"), len(self.agent.text())
        if program in ("agent", "controller"):
            process = self.agent if program == "agent" else self.controller
            process.stop()
            self.set_order()
            process.start()
        elif program == "worker":
            self.start_all()
            self.set_order()
        name = f"try-{self.number}"
        site = self.live(name, call, how)
        fired = self.shim.fired()
        context = (f"fired: {fired}", f"site {site['state']}: {site.get('reason', '')}", f"deaths {self.deaths}", self.story())
        self.judge(site, how, back, context)
        if back:
            with open(switches, "w", encoding="ascii") as f:
                f.write(plain)
        if back or site["state"] == "committed":
            self.reset()
        return fired

    def story(self):
        """What the agent did in this case."""
        lines = self.agent.text()[self.told:].splitlines()
        return "\n".join(line for line in lines if " run." in line or " warn " in line or " error " in line or "worker.says" in line)[-3000:]

    def live(self, name, call, how):
        """Until the site has ended, whoever dies meanwhile; answers how the controller sees it."""
        fleet, applied, lifted, began = self.fleet, None, None, time.monotonic()
        plan = fleet.plan(name, "9.2.21", ("first", {"env": "production"}, "0s"))
        while time.monotonic() - began < 100:
            for process in (self.agent, self.controller):
                if not process.alive():
                    self.bury(process, call)
            if not applied:
                fleet.cli("apply", plan, "--yes", "--detach", ok=None, timeout=60)
                done = fleet.cli("rollout", "list", "--json", ok=None)
                if done.returncode == 0:
                    applied = next((r["id"] for r in json.loads(done.stdout).get("rollouts", []) if r["name"] == name), None)
            site = self.ended(applied) if applied else None
            if site:
                return self.settle(applied)
            if not lifted and self.shim.fired() and how != "once" and (len(self.deaths) >= DEATHS or time.monotonic() - began > PATIENCE):
                lifted = self.mend()
            time.sleep(0.05)
        site = ((fleet.rollout(applied) if applied else None) or {}).get("sites", [{"state": "not applied"}])[0]
        raise Violation(f"not ended after {time.monotonic() - began:.0f} s: {site['state']}, {site.get('step')}, {site.get('reason')}; "
                        f"fired {self.shim.fired()}, deaths {self.deaths}\n{self.story()}\n{self.controller.text()[-1500:]}")

    def mend(self):
        """Nothing fails any more: also not in a process that was told once that all its calls do."""
        self.shim.lift()
        for process in (self.agent, self.controller):
            if self.armed[0] == process.name.split("-")[0]:
                process.stop()
                process.start()
        return True

    def settle(self, rollout):
        """What is true when everything works again."""
        self.mend()
        self.start_all()
        harness.wait_for("the fleet to be whole again", self.serves, 30)
        return harness.wait_for("the site's end", lambda: self.ended(rollout), 30)

    def ended(self, rollout):
        view = self.fleet.rollout(rollout)
        site = view["sites"][0] if view and view.get("sites") else None
        return site if site and site["state"] in ENDED else None

    # --- the verdict

    def judge(self, site, how, back, context):
        fleet, state = self.fleet, site["state"]
        if state == "held":
            self.held(context)
            state = "rolled-back"
        holds(fleet.state("one") != "RUNNING" and f"{state}, and the site is {fleet.state('one')}", *context)
        build = fleet.build_of("one")
        if state == "committed":
            holds(back and "committed, with a schema task that fails", *context)
            holds(build != GOOD and f"committed, and the database is of build {build}", *context)
        else:
            holds(build != BAD and f"{state}, and the database is of build {build}", *context)
            holds(fleet.compare(self.before, fleet.fingerprint("one", "after.json")), f"{state}, and the site is not as it was", *context)
        starts = fleet.count("one", "start") - self.starts
        holds(starts > 3 and f"started {starts} times", *context)
        self.nothing_left(state, context)
        self.nothing_in_doubt(*context)
        self.proven(state, context)
        holds(fleet.cli("audit", "verify", ok=None).returncode and "the audit does not verify", *context)
        runs = self.journal_outcomes()
        holds(runs and runs[-1] == 0 and "the agent's journal has no end for it", *context)

    def held(self, context):
        """Everything is preserved, and what the agent prints is a way out."""
        fleet, install = self.fleet, self.site["install"]
        shown = fleet.cli("site", "show", "one", ok=None).stdout
        holds(f"confleet-agent rollback {install}" not in shown and "held, and no safe command is shown", shown[:600], *context)
        self.agent.stop()
        done = harness.run(fleet.program("confleet-agent"), "rollback", install, "--config", self.agent.config, ok=None, timeout=120)
        holds(done.returncode not in (0, 5) and f"the way out of held does not work: {done.stdout}{done.stderr}", *context)
        self.start_all()

    def nothing_left(self, state, context):
        fleet = self.fleet
        holds(fleet.sql("one", "select string_agg(datname, ' ') from pg_database where datname like '%confleet%'"), "databases are left", *context)
        harness.wait_for("the worker to be gone", lambda: not fleet.worker_pid("wiki-1"), 30, 0.05)
        backup = os.path.join(fleet.dir, "agent-wiki-1", "backup")
        odd = [os.path.join(top, n) for top, folders, names in os.walk(backup) for n in folders + names
               if n.endswith((".partial", ".copy")) or n.startswith(".confleet-reserve") or n.endswith("Z.files") and state == "committed"]
        holds(odd and f"left in the backup folder: {odd}", *context)
        allowed = {self.site["dir"] + "/.confleet-"} if state == "committed" else set()
        new = [n for n in self.folders() - self.beside if not any(n.startswith(a) for a in allowed) and not n.endswith("ballast")
               and "/artifacts/" not in n]
        holds(new and f"left behind: {new}", *context)

    def nothing_in_doubt(self, *context):
        doubt = self.shim.in_doubt()
        lines = [" ".join(words) for words in self.shim.log() if words[0] != "count"][:8]
        holds(doubt and f"in use, though their sync failed: {sorted(set(doubt))}", *lines, *context)

    def proven(self, state, context):
        """Every backup that is called proven is one; a site that serves the new version has one of the stop."""
        words = [self.fleet.program("confleet-agent")]
        listed = json.loads(harness.run(*words, "backups", self.site["install"], "--json", "--config", self.agent.config).stdout).get("listed", [])
        for backup in listed:
            if str(backup.get("level", "")).upper() in ("RESTORED", "3"):
                done = harness.run(*words, "verify", self.site["install"], backup["id"], "--full-speed", "--config", self.agent.config, ok=None, timeout=60)
                holds(done.returncode and f"the backup {backup['id']} that is called proven is not: {done.stdout}{done.stderr}", *context)

    def journal_outcomes(self):
        import sqlite3
        base = sqlite3.connect(f"file:{self.fleet.dir}/agent-wiki-1/state/agent.db?mode=ro", uri=True, timeout=5)
        try:
            return [row[0] for row in base.execute("select outcome from runs order by number")]
        finally:
            base.close()
