"""The running program: states, log, safety number, start and stop (facts 3.1, 4.1, 4.2)."""
import os
import signal
import socket
import sys
import threading
import time

from . import upgrade, web
from .db import Pool
from .layout import Home, Install, licence, licence_refusal

LIFECYCLE = "com.atlassian.confluence.lifecycle"
STATUS = "com.atlassian.confluence.status.ApplicationStatus"


class Application:
    """One Confluence. Owns the state, which web.py shows."""

    def __init__(self, path, options):
        self.install = Install(path, options)
        self.state, self.phase, self.problem = "STARTING", 404, None
        self.stopping = threading.Event()
        self.db = None
        self.home = None
        self.log_file = None
        self.switches, self.faults = {}, {}

    # Log and effects

    def log(self, level, name, text):
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        line = f"{stamp},{int(time.time() * 1000) % 1000:03d} {level} [Catalina-utility-1] [{name}] {text}\n"
        if self.log_file is None:
            sys.stdout.write(line)
            sys.stdout.flush()
        else:
            os.write(self.log_file, line.encode())

    def effect(self, event, detail=""):
        """One line per effect in a file outside the home, for tests that count."""
        path = self.switches.get("effects.file")
        if not path:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        line = f"{stamp} {event} {self.install.version} {self.install.build} {os.getpid()} {detail}".rstrip()
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            os.write(file, (line + "\n").encode())
            os.close(file)
        except OSError as error:
            print("cannot record an effect:", error, flush=True)

    def open_home(self):
        """Facts 3.3: home not configured, not a directory, not writable."""
        path = self.install.home()
        if not path or not os.path.isdir(path):
            raise upgrade.Refused(f"confluence.home is not configured or not a directory: {path}")
        self.home = Home(path)
        self.switches = self.home.standin()
        for fault in self.switches.get(f"fault.{self.install.build}", "").split(","):
            name, _, value = fault.strip().partition("=")
            if name:
                self.faults[name] = value
        for name in ("logs", "temp"):
            os.makedirs(os.path.join(path, name), exist_ok=True)
        self.log_file = os.open(os.path.join(path, "logs", "atlassian-confluence.log"),
                                os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    # Start

    def pause(self, share):
        """`slow=<seconds>` is spread over the start, so that every state on the way is seen."""
        seconds = float(self.faults.get("slow") or self.switches.get("slow") or 0)
        if self.stopping.wait(seconds * share):
            raise SystemExit

    def start(self):
        """Runs beside the web server; ends RUNNING, ERROR or told to stop."""
        try:
            self.boot()
        except SystemExit:
            return
        except upgrade.Refused as error:
            self.fail(str(error))
        except Exception as error:                       # a fatal error during startup is a state too
            self.fail(f"{type(error).__name__}: {error}".strip())

    def fail(self, text):
        self.problem, self.phase = text, 200
        self.state = "ERROR"                             # facts 3.1: any event of level fatal
        self.log("FATAL", "atlassian.confluence.setup.BootstrapManager", text)
        self.effect("error", text[:80].replace("\n", " "))

    def boot(self):
        build = self.install.build
        self.log("INFO", LIFECYCLE, f"contextInitialized Starting Confluence {self.install.version} "
                 f"[build {build} based on commit hash {self.install.about['git.commit.hash']}] "
                 f"- synchrony version {self.install.about['synchrony.version']}")
        self.pause(0.25)
        self.phase = 302
        self.pause(0.25)
        if not self.home.complete():
            self.state, self.phase = "FIRST_RUN", 200    # facts 3.1
            return
        try:
            self.db = Pool(self.home.database(), int(self.switches.get("pool.size", 3)))
        except Exception as error:
            raise upgrade.Refused(f"Database connection failed: {error}") from error
        database = upgrade.confluence_numbers(self.db)
        downgrade = self.install.flag("com.atlassian.confluence.allow.downgrade") == "true"
        upgrade.check_numbers(build, self.home.build(), database, downgrade, self.log)
        self.phase = 200
        self.pause(0.25)
        text = self.home.property("atlassian.license.message")
        refusal = licence_refusal(text, self.install.version, self.install.date)
        if refusal or "licence" in self.faults:
            raise upgrade.Refused(refusal or "License validation failed.")
        step = upgrade.Upgrade(self.install, self.home, self.db, self.faults, self.log, self.effect)
        upgraded = build > step.source                   # facts 4.2 point 3
        if upgraded:
            self.upgrade(step, text)
        self.unpack_apps()
        threading.Thread(target=self.guard, daemon=True).start()
        self.log("INFO", STATUS, "Servlets loaded.")
        self.pause(0.25)
        if "plugins" in self.faults:                     # facts 8 row 21
            raise upgrade.Refused("Unable to start up Confluence. Fatal error during startup sequence: "
                                  "confluence.lifecycle.core:pluginframeworkdependentupgrades")
        if "never-ready" in self.faults:
            return
        self.log("INFO", STATUS, "Application started.")
        self.state = "RUNNING"
        self.log("INFO", STATUS, "Confluence ApplicationStatus is now RUNNING.")
        self.effect("status", "RUNNING")
        self.log("INFO", LIFECYCLE, "init Confluence is ready to serve")
        if upgraded:
            step.finish()                                # facts 3.1: this comes after "ready to serve"
        if "ready-then-error" in self.faults:
            if not self.stopping.wait(float(self.faults["ready-then-error"] or 1)):
                self.fail("Unable to start up Confluence. A required app stopped working.")

    def upgrade(self, step, text):
        self.log("INFO", step.name, "Starting automatic upgrade of Confluence")
        step.validate()
        cluster = licence(text).get("conf.DataCenter") == "true"
        wanted = self.install.flag("confluence.upgrade.recovery.file.enabled")
        # Facts 4.2 point 5: on by default only where the licence is none for Data Center.
        step.recovery_file(wanted == "true" if wanted else not cluster)
        step.run()

    def unpack_apps(self):
        """Facts 9.2: the jars of plugindata lie in plugins-cache after a start."""
        folder = os.path.join(self.home.path, "plugins-cache")
        os.makedirs(folder, exist_ok=True)
        for name, data in self.db.all("SELECT filename, data FROM plugindata ORDER BY plugindataid"):
            path = os.path.join(folder, os.path.basename(name))
            if not os.path.exists(path) or os.path.getsize(path) != len(data):
                with open(path, "wb") as out:
                    out.write(data)

    def guard(self):
        """Facts 4.1: rewrites the safety number; somebody else's number is a cluster panic."""
        period = float(self.switches.get("safety.seconds", 30))
        last = self.db.one("SELECT safetynumber FROM clustersafety LIMIT 1")
        turn = 0
        while True:
            turn += 1
            number = (os.getpid() * 7919 + turn * 104729 + int(time.time())) % 2147483647
            try:
                if self.db.run("UPDATE clustersafety SET safetynumber = %s WHERE safetynumber = %s",
                               (number, last)) != 1:
                    self.log("FATAL", "confluence.cluster.safety.DefaultClusterSafetyManager",
                             "Received a panic event, stopping processing on the node: "
                             "the safety number in the database is not ours")
                    self.fail("Database is being updated by an instance which is not part of the current "
                              "cluster. You should check network connections between cluster nodes")
                    return
                last = number
            except Exception as error:
                if not self.stopping.is_set():
                    self.log("ERROR", "confluence.cluster.safety.ClusterSafetyJob", f"{error}".strip())
            if self.stopping.wait(period):
                return

    # Stop

    def stop(self, *_):
        if "hang-on-stop" in self.faults:
            self.log("WARN", LIFECYCLE, "stop asked for; hanging as told")
            return
        self.state = "STOPPING"                          # facts 3.1: wins over everything
        self.stopping.set()

    def shutdown_port(self, port):
        """Tomcat's shutdown port: the word SHUTDOWN on loopback."""
        try:
            listener = socket.create_server(("127.0.0.1", port), backlog=4)
        except OSError as error:                         # Tomcat ends when it cannot have this port
            print(f"SEVERE [main] Failed to create server shutdown socket: {error.strerror}", flush=True)
            self.stopping.set()
            return
        while not self.stopping.is_set():
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(2)
                try:
                    if peer.recv(64).strip() == b"SHUTDOWN":
                        self.stop()
                except OSError:
                    pass
        listener.close()

    def run(self):
        http, shutdown, context, address = self.install.ports()
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        # Only the main thread takes them: one that another thread takes is not seen before the main thread wakes by itself.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        try:
            server = socket.create_server((address, http), backlog=64)
        except OSError as error:                         # facts 8 row 17
            print(f"SEVERE [main] java.net.BindException: {error.strerror} {address}:{http}", flush=True)
            return 1
        try:
            self.open_home()
        except Exception as error:
            self.effect("start")
            self.fail(str(error))
        else:
            self.effect("start")
            threading.Thread(target=self.start, daemon=True).start()
        threading.Thread(target=web.serve, args=(self, server, context), daemon=True).start()
        if shutdown > 0:
            threading.Thread(target=self.shutdown_port, args=(shutdown,), daemon=True).start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
        while not self.stopping.wait(3600):
            pass
        server.close()
        if self.db is not None:
            self.db.close()
        self.log("INFO", LIFECYCLE, "contextDestroyed Stopping Confluence")
        self.effect("stop")
        return 0


def main(arguments):
    options = dict(x[2:].partition("=")[::2] for x in arguments if x.startswith("-D"))
    return Application(options["catalina.base"], arguments).run()
