package org.confleet.standin;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.SQLException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** One Confluence: states, log, safety number, start and stop (facts 3.1, 4.1, 4.2); as light/app.py. */
final class Application {
    static final String LIFECYCLE = "com.atlassian.confluence.lifecycle";
    static final String STATUS = "com.atlassian.confluence.status.ApplicationStatus";
    private static final DateTimeFormatter STAMP =
        DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss,SSS").withZone(ZoneOffset.UTC);
    private static final DateTimeFormatter ISO =
        DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    final Path web;
    final Properties about;
    final String version;
    final int build;
    final List<Task> tasks;
    volatile String state = "STARTING";
    volatile int phase = 404;
    volatile String problem = "";
    Home home;
    Database database;
    Properties switches = new Properties();
    private final Map<String, String> faults = new HashMap<>();
    private final CountDownLatch stopping = new CountDownLatch(1);

    Application(Path web) throws IOException {
        this.web = web;
        about = Home.properties(resource("com/atlassian/confluence/default.properties"));
        version = about.getProperty("version.number");
        build = Integer.parseInt(about.getProperty("build.number"));
        tasks = new ArrayList<>();
        for (String name : resource("standin/tasks/index").split("\n")) {
            tasks.add(new Task(resource("standin/tasks/" + name)));
        }
    }

    private static String resource(String name) throws IOException {
        try (InputStream in = Application.class.getClassLoader().getResourceAsStream(name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    boolean fault(String name) {
        return faults.containsKey(name);
    }

    String faultValue(String name) {
        return faults.getOrDefault(name, "");
    }

    synchronized void log(String level, String name, String text) {
        String line = STAMP.format(Instant.now()) + " " + level + " [Catalina-utility-1] [" + name + "] " + text + "\n";
        try {
            if (home == null) {
                throw new IOException("no home");
            }
            Files.writeString(home.path.resolve("logs/atlassian-confluence.log"), line, StandardOpenOption.CREATE,
                StandardOpenOption.APPEND);
        } catch (IOException error) {
            System.out.print(line);
        }
    }

    /** One line per effect in a file outside the home, for tests that count. */
    void effect(String event, String detail) {
        String file = switches.getProperty("effects.file");
        if (file == null) {
            return;
        }
        String line = ISO.format(Instant.now()) + " " + event + " " + version + " " + build + " "
            + ProcessHandle.current().pid() + " " + detail;
        try {
            Files.writeString(Path.of(file), line.stripTrailing() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException error) {
            System.out.println("cannot record an effect: " + error);
        }
    }

    /** Facts 1.1 and 3.3: where the home is, and that it is one. */
    void openHome() throws Refused, IOException {
        String folder = System.getProperty("confluence.home", "");
        if (folder.isEmpty()) {
            folder = Home.properties(HomeFiles.read(web.resolve("WEB-INF/classes/confluence-init.properties")))
                .getProperty("confluence.home", "");
        }
        if (folder.isEmpty() || !Files.isDirectory(Path.of(folder))) {
            throw new Refused("confluence.home is not configured or not a directory: " + folder);
        }
        home = new Home(folder);
        switches = home.switches();
        for (String fault : switches.getProperty("fault." + build, "").split(",")) {
            String[] parts = fault.trim().split("=", 2);
            if (!parts[0].isEmpty()) {
                faults.put(parts[0], parts.length > 1 ? parts[1] : "");
            }
        }
        Files.createDirectories(home.path.resolve("logs"));
        Files.createDirectories(home.path.resolve("temp"));
    }

    private boolean stopped(double seconds) throws InterruptedException {
        return stopping.await((long) (seconds * 1000), TimeUnit.MILLISECONDS);
    }

    /** `slow` is spread over the start, so that every state on the way is seen. */
    private void pause(double share) throws InterruptedException {
        String text = faultValue("slow").isEmpty() ? switches.getProperty("slow", "0") : faultValue("slow");
        if (stopped(Double.parseDouble(text) * share)) {
            throw new InterruptedException();
        }
    }

    void start() {
        try {
            openHome();
            effect("start", "");
            boot();
        } catch (InterruptedException stop) {
            // Told to stop while starting.
        } catch (Refused refused) {
            fail(refused.getMessage());
        } catch (Exception error) {
            fail(error.toString());
        }
    }

    void fail(String text) {
        problem = text;
        state = "ERROR";                            // facts 3.1: any event of level fatal
        phase = 200;
        log("FATAL", "atlassian.confluence.setup.BootstrapManager", text);
        effect("error", text.substring(0, Math.min(80, text.length())).replace('\n', ' '));
    }

    private void boot() throws Exception {
        log("INFO", LIFECYCLE, "contextInitialized Starting Confluence " + version + " [build " + build
            + " based on commit hash " + about.getProperty("git.commit.hash") + "] - synchrony version "
            + about.getProperty("synchrony.version"));
        pause(0.25);
        phase = 302;
        pause(0.25);
        if (!home.complete()) {
            state = "FIRST_RUN";
            phase = 200;
            return;
        }
        try {
            database = new Database(home, Integer.parseInt(switches.getProperty("pool.size", "3")));
        } catch (SQLException error) {
            throw new Refused("Database connection failed: " + error.getMessage());
        }
        boolean downgrade = Boolean.getBoolean("com.atlassian.confluence.allow.downgrade");
        Upgrade.checkNumbers(this, home.build(), Upgrade.databaseBuild(database), downgrade);
        phase = 200;
        pause(0.25);
        String text = home.property("atlassian.license.message");
        String refusal = Licence.refusal(text, version, about.getProperty("build.date"));
        if (refusal != null || fault("licence")) {
            throw new Refused(refusal != null ? refusal : "License validation failed.");
        }
        Upgrade step = new Upgrade(this);
        boolean upgraded = build > step.source;     // facts 4.2 point 3
        if (upgraded) {
            log("INFO", Upgrade.NAME, "Starting automatic upgrade of Confluence");
            step.validate();
            String wanted = System.getProperty("confluence.upgrade.recovery.file.enabled");
            // Facts 4.2 point 5: on by default only where the licence is none for Data Center.
            boolean cluster = Licence.value(Licence.decode(text), "DataCenter").equals("true");
            step.recoveryFile(wanted != null ? wanted.equals("true") : !cluster);
            step.run();
        }
        ready(step, upgraded);
    }

    private void ready(Upgrade step, boolean upgraded) throws Exception {
        unpackApps();
        daemon(this::guard, "safety");
        log("INFO", STATUS, "Servlets loaded.");
        pause(0.25);
        if (fault("plugins")) {                     // facts 8 row 21
            throw new Refused("Unable to start up Confluence. Fatal error during startup sequence: "
                + "confluence.lifecycle.core:pluginframeworkdependentupgrades");
        }
        if (fault("never-ready")) {
            return;
        }
        log("INFO", STATUS, "Application started.");
        state = "RUNNING";
        log("INFO", STATUS, "Confluence ApplicationStatus is now RUNNING.");
        effect("status", "RUNNING");
        log("INFO", LIFECYCLE, "init Confluence is ready to serve");
        if (upgraded) {
            step.finish();                          // facts 3.1: this comes after "ready to serve"
        }
        if (fault("ready-then-error")) {
            String seconds = faultValue("ready-then-error");
            if (!stopped(seconds.isEmpty() ? 1 : Double.parseDouble(seconds))) {
                fail("Unable to start up Confluence. A required app stopped working.");
            }
        }
    }

    /** Facts 9.2: the jars of plugindata lie in plugins-cache after a start. */
    private void unpackApps() throws SQLException, IOException {
        Path folder = home.path.resolve("plugins-cache");
        Files.createDirectories(folder);
        for (Object[] row : database.all("SELECT filename, data FROM plugindata ORDER BY plugindataid")) {
            Path path = folder.resolve(Path.of((String) row[0]).getFileName());
            byte[] data = (byte[]) row[1];
            if (!Files.exists(path) || Files.size(path) != data.length) {
                Files.write(path, data);
            }
        }
    }

    /** Facts 4.1: rewrites the safety number; somebody else's number is a cluster panic. */
    private void guard() {
        try {
            double period = Double.parseDouble(switches.getProperty("safety.seconds", "30"));
            long last = database.number("SELECT safetynumber FROM clustersafety LIMIT 1");
            for (long turn = 1; last >= Integer.MIN_VALUE; turn++) {
                last = safety(last, turn);
                if (stopped(period)) {
                    return;
                }
            }
        } catch (SQLException | InterruptedException error) {
            log("ERROR", "confluence.cluster.safety.ClusterSafetyJob", String.valueOf(error.getMessage()));
        }
    }

    /** One turn of the job; the number that now counts, or less than any number after a panic. */
    private long safety(long last, long turn) {
        long number = Math.floorMod(ProcessHandle.current().pid() * 7919 + turn * 104729
            + System.currentTimeMillis() / 1000, Integer.MAX_VALUE);
        try {
            if (database.run("UPDATE clustersafety SET safetynumber = ? WHERE safetynumber = ?", (int) number,
                (int) last) == 1) {
                return number;
            }
        } catch (SQLException error) {
            if (stopping.getCount() > 0) {
                log("ERROR", "confluence.cluster.safety.ClusterSafetyJob", String.valueOf(error.getMessage()));
            }
            return last;
        }
        log("FATAL", "confluence.cluster.safety.DefaultClusterSafetyManager", "Received a panic event, "
            + "stopping processing on the node: the safety number in the database is not ours");
        fail("Database is being updated by an instance which is not part of the current cluster. "
            + "You should check network connections between cluster nodes");
        return Long.MIN_VALUE;
    }

    static void daemon(Runnable work, String name) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }

    void stop() throws InterruptedException {
        if (fault("hang-on-stop")) {
            log("WARN", LIFECYCLE, "stop asked for; hanging as told");
            Thread.sleep(Long.MAX_VALUE);
        }
        state = "STOPPING";                         // facts 3.1: wins over everything
        stopping.countDown();
        if (database != null) {
            database.close();
        }
        log("INFO", LIFECYCLE, "contextDestroyed Stopping Confluence");
        effect("stop", "");
    }

    /** Names of the bundled apps' jars (facts 9.2). */
    List<String> bundled() throws IOException {
        try (Stream<Path> found = Files.list(web.resolve("WEB-INF/atlassian-bundled-plugins"))) {
            return found.map(path -> path.getFileName().toString()).sorted().toList();
        }
    }
}
