package org.confleet.standin;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.zip.GZIPOutputStream;

/** The first start of a build: three numbers, validation, tasks (facts 4.2); as light/upgrade.py. */
final class Upgrade {
    static final String NAME = "confluence.upgrade.AbstractUpgradeManager";
    final int source;
    private final Application app;
    private final List<Task> due;

    Upgrade(Application app) {
        this.app = app;
        source = app.home.build();
        due = Task.due(app.tasks, source, app.build);
    }

    /** Facts 4.2 point 1, single node. */
    static void checkNumbers(Application app, int home, long database, boolean downgrade) throws Refused {
        if (home != database) {
            throw new Refused("Confluence will not start up because the build number in the home directory [" + home
                + "] doesn't match the build number in the database [" + database + "].");
        }
        if (app.build < home) {
            String text = "Confluence will not start up because the finalized build number in the home directory ["
                + home + "] is newer than the Confluence build number [" + app.build + "].";
            if (!downgrade) {
                throw new Refused(text);
            }
            app.log("WARN", "confluence.upgrade.DefaultUpgradeManager", text);
        }
    }

    static long databaseBuild(Database database) throws SQLException {
        return database.number("SELECT coalesce(max(buildnumber), 0) FROM confversion");
    }

    private void info(String text) {
        app.log("INFO", NAME, text);
    }

    /** Facts 4.2 points 4 and 6: everything that is refused here has changed nothing. */
    void validate() throws Refused, SQLException {
        int floor = Integer.parseInt(app.about.getProperty("upgrade.floor"));
        if (source < floor) {
            throw new Refused("Upgrading directly from versions of Confluence prior to 6.0.5 is not supported. Build "
                + source + " is below " + floor + ".");
        }
        boolean rights = (Boolean) app.database.one("SELECT has_schema_privilege(current_user, 'public', 'CREATE')");
        if (app.fault("validation") || !rights) {
            app.log("ERROR", NAME, "Upgrade task " + (due.isEmpty() ? "none" : due.get(0).name)
                + " failed during the SCHEMA_VALIDATION phase due to: "
                + (rights ? "told to fail" : "permission denied for schema public"));
            throw new Refused("Pre-upgrade validation failed. Check the Confluence application logs for more details.");
        }
    }

    /** Facts 4.2 point 5. */
    void recoveryFile(boolean enabled) throws Refused, SQLException, IOException {
        if (!enabled) {
            return;
        }
        info("Generating pre-upgrade recovery file...");
        if (app.fault("recovery")) {
            throw new Refused("Pre-Upgrade recovery file generation failed.");
        }
        Path folder = app.home.path.resolve("recovery");
        Files.createDirectories(folder);
        String stem = "upgradeRecoveryFile-" + source + "-" + app.build + "-before";
        Path path = folder.resolve(stem + ".xml.gz");
        for (int number = 2; Files.exists(path); number++) {
            path = folder.resolve(stem + "-" + number + ".xml.gz");
        }
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(path))) {
            out.write("<hibernate-generic>\n".getBytes(StandardCharsets.UTF_8));
            for (Object[] row : app.database.all("SELECT contentid, coalesce(title, '') FROM content ORDER BY contentid")) {
                out.write(("<object class=\"Page\"><id>" + row[0] + "</id><title>" + row[1] + "</title></object>\n")
                    .getBytes(StandardCharsets.UTF_8));
            }
            out.write("</hibernate-generic>\n".getBytes(StandardCharsets.UTF_8));
        }
        info("Finished generating pre-upgrade recovery file.");
    }

    /** Facts 4.2 point 7: pre-schema, schema, then the others, each leaving its number. */
    void run() throws Refused, SQLException, IOException {
        long schemas = due.stream().filter(task -> task.kind.equals("schema")).count();
        int schema = 0;
        for (Task task : due) {
            if (!task.kind.equals("plugin")) {
                schema += task.kind.equals("schema") ? 1 : 0;
                task(task, task.kind.equals("schema") && (schema == 2 || schema == schemas));
            }
        }
        if (app.fault("wrong-build")) {
            app.home.raise(app.build, false);
        } else {
            setNumbers(app.build);
        }
        app.home.raise(app.build, true);
        info("Upgrade initial stage completed successfully");
    }

    /** Facts 4.2 point 8: tasks that need the apps come after the application has started. */
    void finish() throws Refused {
        for (Task task : due) {
            if (task.kind.equals("plugin")) {
                task(task, false);
            }
        }
        info("Upgrade completed successfully");
    }

    private void task(Task task, boolean cut) throws Refused {
        info("Running upgrade task " + task.name + " (build " + task.build + ")");
        app.effect("task", task.label());
        try {
            for (Task.Step step : task.steps) {
                switch (step.kind()) {
                case "sql" -> app.database.runText(step.text());    // each its own transaction
                case "files" -> HomeFiles.run(step.text(), app.home.path);
                default -> half(task, cut);
                }
            }
            if (cut && app.fault("crash-in-task")) {
                record(task.build);
                Runtime.getRuntime().halt(137);
            }
            if (!task.kind.equals("plugin")) {
                setNumbers(task.build);
            }
        } catch (Exception error) {
            app.effect("task-failed", task.label());
            app.log("ERROR", NAME, "Upgrade task " + task.name + " failed during the "
                + (task.kind.equals("schema") ? "SCHEMA_UPGRADE" : "UPGRADE") + " phase due to: " + error.getMessage());
            throw new Refused("Upgrade failed. Please consult the system logs for details. You will need to fix these "
                + "problems, restore your database and confluence home directory to the pre upgrade state. Then retry "
                + "the upgrade. Upgrade error message: " + error.getMessage());
        }
        app.effect("task-done", task.label());
    }

    private void half(Task task, boolean cut) throws Refused, InterruptedException {
        if (cut && app.fault("schema-task")) {
            throw new Refused("told to fail half-way");
        }
        if (cut && app.fault("hang-task")) {
            info("Upgrade task " + task.name + " is working on a large table");
            Thread.sleep(Long.MAX_VALUE);
        }
    }

    private void setNumbers(int build) throws SQLException, IOException {
        record(build);
        if (build > app.home.build()) {
            app.home.raise(build, false);
        }
    }

    private void record(int build) throws SQLException {
        if (build > databaseBuild(app.database)) {
            app.database.run("INSERT INTO confversion (confversionid, buildnumber, installdate, creationdate, lastmoddate) "
                + "SELECT max(confversionid) + 1, ?, now(), now(), now() FROM confversion", build);
        }
    }
}
