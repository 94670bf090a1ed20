"""The first start of a build: three numbers, validation, tasks (facts 4.2)."""
import gzip
import os
import time

from . import effects, tasks


class Refused(Exception):
    """Confluence will not start; the text is what the log and the error page say."""


def confluence_numbers(db):
    """max(confversion.buildnumber): the current number is the greatest, not the newest (facts 4.1)."""
    return db.one("SELECT coalesce(max(buildnumber), 0) FROM confversion")


def check_numbers(app, home, database, downgrade, log):
    """Facts 4.2 point 1, single node."""
    if home != database:
        raise Refused("Confluence will not start up because the build number in the home directory "
                      f"[{home}] doesn't match the build number in the database [{database}].")
    if app < home:
        text = ("Confluence will not start up because the finalized build number in the home directory "
                f"[{home}] is newer than the Confluence build number [{app}].")
        if not downgrade:
            raise Refused(text)
        log("WARN", "confluence.upgrade.DefaultUpgradeManager", text)


class Upgrade:
    """One upgrade of a home and its database to the build of the installation."""

    def __init__(self, install, home, db, faults, log, effect):
        self.install, self.home, self.db = install, home, db
        self.faults, self.log, self.effect = faults, log, effect
        self.name = "confluence.upgrade.AbstractUpgradeManager"
        self.source = home.build()
        self.due = tasks.due(install.tasks, self.source, install.build)

    def info(self, text):
        self.log("INFO", self.name, text)

    def validate(self):
        """Facts 4.2 points 4 and 6: everything that is refused here has changed nothing."""
        if self.source < self.install.floor:
            raise Refused("Upgrading directly from versions of Confluence prior to 6.0.5 is not supported. "
                          f"Build {self.source} is below {self.install.floor}.")
        rights = self.db.one("SELECT has_schema_privilege(current_user, 'public', 'CREATE')")
        if "validation" in self.faults or not rights:
            why = "permission denied for schema public" if not rights else "told to fail"
            first = self.due[0].name if self.due else "none"
            self.log("ERROR", self.name,
                     f"Upgrade task {first} failed during the SCHEMA_VALIDATION phase due to: {why}")
            raise Refused("Pre-upgrade validation failed. Check the Confluence application logs "
                          "for more details.")

    def recovery_file(self, enabled):
        """Facts 4.2 point 5."""
        if not enabled:
            return
        self.info("Generating pre-upgrade recovery file...")
        if "recovery" in self.faults:
            raise Refused("Pre-Upgrade recovery file generation failed.")
        folder = os.path.join(self.home.path, "recovery")
        os.makedirs(folder, exist_ok=True)
        stem = f"upgradeRecoveryFile-{self.source}-{self.install.build}-before"
        path, number = os.path.join(folder, stem + ".xml.gz"), 2
        while os.path.exists(path):
            path, number = os.path.join(folder, f"{stem}-{number}.xml.gz"), number + 1
        rows = self.db.all("SELECT contentid, coalesce(title, '') FROM content ORDER BY contentid")
        with gzip.GzipFile(path, "wb", mtime=0) as out:
            out.write(b"<hibernate-generic>\n")
            for number, title in rows:
                out.write(f'<object class="Page"><id>{number}</id><title>{title}</title></object>\n'.encode())
            out.write(b"</hibernate-generic>\n")
        self.info("Finished generating pre-upgrade recovery file.")

    def run(self):
        """Facts 4.2 point 7: pre-schema, schema, then the others, each leaving its number."""
        schema = 0
        for task in [x for x in self.due if x.kind != "plugin"]:
            schema += task.kind == "schema"
            cut = task.kind == "schema" and (schema == 2 or self.last_schema(task))
            self.task(task, cut)
        if "wrong-build" in self.faults:
            # The numbers end unequal, as in the open bug of facts 6 (C-104200).
            self.home.set_build(self.install.build)
        else:
            self.set_numbers(self.install.build)            # facts 4.2 point 8
        self.home.set_build(self.install.build, shared=True)
        self.info("Upgrade initial stage completed successfully")

    def last_schema(self, task):
        return task is [x for x in self.due if x.kind == "schema"][-1]

    def finish(self):
        """Facts 4.2 point 8: tasks that need the apps come after the application has started."""
        for task in [x for x in self.due if x.kind == "plugin"]:
            self.task(task, False)
        self.info("Upgrade completed successfully")

    def task(self, task, cut):
        label = f"{task.kind} {task.build} {task.name}"
        self.info(f"Running upgrade task {task.name} (build {task.build})")
        self.effect("task", label)
        try:
            for kind, text in task.steps:
                if kind == "sql":
                    # Each statement is its own transaction, as DDL is in the real product:
                    # a task that fails leaves what it did before.
                    self.db.run(text)
                elif kind == "files":
                    effects.EFFECTS[text](self.home.path)
                elif cut and "schema-task" in self.faults:
                    raise Refused("told to fail half-way")
                elif cut and "hang-task" in self.faults:
                    self.info(f"Upgrade task {task.name} is working on a large table")
                    while True:
                        time.sleep(3600)
            if cut and "crash-in-task" in self.faults:
                self.record(task.build)                    # the row is there, the home is not raised
                os.kill(os.getpid(), 9)
        except Exception as error:
            self.effect("task-failed", label)
            self.log("ERROR", self.name, f"Upgrade task {task.name} failed during the "
                     f"{'UPGRADE' if task.kind != 'schema' else 'SCHEMA_UPGRADE'} phase due to: {error}")
            raise Refused("Upgrade failed. Please consult the system logs for details. You will need to "
                          "fix these problems, restore your database and confluence home directory to the "
                          "pre upgrade state. Then retry the upgrade. Upgrade error message: "
                          f"{error}") from error
        if task.kind != "plugin":
            self.set_numbers(task.build)
        self.effect("task-done", label)

    def set_numbers(self, build):
        """A row in confversion and the number of the home; never lower than it is."""
        self.record(build)
        if build > self.home.build():
            self.home.set_build(build)

    def record(self, build):
        if build > confluence_numbers(self.db):
            self.db.run("INSERT INTO confversion (confversionid, buildnumber, installdate, creationdate, "
                        "lastmoddate) SELECT max(confversionid) + 1, %s, now(), now(), now() "
                        "FROM confversion", (build,))
