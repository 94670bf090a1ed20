package org.confleet.standin;

import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Properties;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One home directory and its confluence.cfg.xml (facts 1.4). */
final class Home {
    final Path path;
    private String configuration;

    Home(String folder) {
        path = Path.of(folder);
        configuration = HomeFiles.read(path.resolve("confluence.cfg.xml"));
    }

    static Properties properties(String text) {
        Properties found = new Properties();
        try {
            found.load(new StringReader(text));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return found;
    }

    private String element(String name) {
        Matcher found = Pattern.compile("<" + name + ">([^<]*)</" + name + ">").matcher(configuration);
        return found.find() ? found.group(1).trim() : "";
    }

    /** A property with its escapes and placeholders resolved (facts 1.4, last lines). */
    String property(String name) {
        Matcher found = Pattern.compile("<property name=\"" + Pattern.quote(name) + "\">([^<]*)</property>")
            .matcher(configuration);
        if (!found.find()) {
            return "";
        }
        return found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'")
            .replace("&amp;", "&").replace("${confluenceHome}", path.toString()).replace("${localHome}", path.toString());
    }

    int build() {
        String text = element("buildNumber");
        return text.matches("\\d+") ? Integer.parseInt(text) : 0;
    }

    boolean complete() {
        return element("setupStep").equals("complete");
    }

    /** Raises the number of the home (facts 4.2 point 7) or of the shared home (point 8). */
    void raise(int number, boolean shared) throws IOException {
        Path file = path.resolve(shared ? "shared-home/confluence.cfg.xml" : "confluence.cfg.xml");
        if (!Files.exists(file)) {
            return;
        }
        String text = HomeFiles.read(file).replaceFirst("<buildNumber>\\d+</buildNumber>",
            "<buildNumber>" + number + "</buildNumber>");
        Path next = file.resolveSibling(file.getFileName() + ".tmp");
        Set<PosixFilePermission> mode = Files.getPosixFilePermissions(file);
        Files.writeString(next, text);
        Files.setPosixFilePermissions(next, mode);
        Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
        if (!shared) {
            configuration = text;
        }
    }

    /** The switches of the stand-in; read only, never written by it. */
    Properties switches() {
        return properties(HomeFiles.read(path.resolve("standin.properties")));
    }
}
