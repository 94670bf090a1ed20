package org.confleet.standin;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;

/** What upgrade tasks do to the home; the same effects as light/effects.py (facts 1.5, 3.3). */
final class HomeFiles {
    private HomeFiles() {
    }

    static Path indexFile(Path home) {
        for (String part : List.of("index/content/segments.idx", "index/segments.idx")) {
            if (Files.exists(home.resolve(part))) {
                return home.resolve(part);
            }
        }
        return null;
    }

    private static String pair(long number) {
        return number % 1000 % 250 + "/" + number / 1000 % 1000 % 250 + "/" + number;
    }

    private static String newPath(long attachment, String version) {
        return "attachments/v4/" + attachment % 250 + "/" + attachment / 250 % 250 + "/" + attachment + "/" + attachment
            + "." + version;
    }

    static Path attachmentFile(Path home, long space, long page, long attachment, int version) {
        Path now = home.resolve(newPath(attachment, "" + version));
        Path old = home.resolve("attachments/ver003/" + pair(space) + "/" + pair(page) + "/" + attachment + "/" + version);
        return Files.exists(now) ? now : Files.exists(old) ? old : null;
    }

    static void run(String effect, Path home) throws IOException {
        switch (effect) {
        case "attachments-v4" -> attachments(home);
        case "split-index" -> splitIndex(home);
        case "reindex" -> reindex(home);
        case "attachments-sweep" -> sweep(home);
        default -> throw new IOException("unknown effect " + effect);
        }
    }

    private static List<Path> below(Path top) throws IOException {
        if (!Files.isDirectory(top)) {
            return List.of();
        }
        try (Stream<Path> found = Files.walk(top)) {
            return found.sorted(Collections.reverseOrder()).toList();
        }
    }

    private static void attachments(Path home) throws IOException {
        for (Path path : below(home.resolve("attachments/ver003"))) {
            if (Files.isDirectory(path)) {
                try (Stream<Path> rest = Files.list(path)) {
                    if (rest.findAny().isPresent()) {
                        continue;
                    }
                }
                Files.delete(path);
            } else {
                String attachment = path.getParent().getFileName().toString();
                Path target = home.resolve(newPath(Long.parseLong(attachment), path.getFileName().toString()));
                Files.createDirectories(target.getParent());
                Files.move(path, target);
            }
        }
    }

    private static void splitIndex(Path home) throws IOException {
        Path old = home.resolve("index/segments.idx");
        if (!Files.exists(old)) {
            return;
        }
        List<String> lines = Files.readAllLines(old);
        Files.createDirectories(home.resolve("index/content"));
        Files.createDirectories(home.resolve("index/change"));
        Files.write(home.resolve("index/content/segments.idx"), lines);
        Files.write(home.resolve("index/change/segments.idx"), lines.stream().map(x -> x.split("\t")[0]).toList());
        Files.delete(old);
    }

    private static void reindex(Path home) throws IOException {
        Path path = indexFile(home);
        if (path == null) {
            return;
        }
        List<String> lines = new ArrayList<>(Files.readAllLines(path));
        lines.sort(Collections.reverseOrder());
        Path next = path.resolveSibling(path.getFileName() + ".new");
        Files.write(next, lines);
        Files.move(next, path, StandardCopyOption.ATOMIC_MOVE);
    }

    private static void sweep(Path home) throws IOException {
        for (Path path : below(home.resolve("thumbnails"))) {
            if (!Files.isDirectory(path)) {
                Files.delete(path);
            }
        }
        Files.writeString(home.resolve("attachments/swept"), "thumbnails\n");
    }

    static String read(Path path) {
        try {
            return Files.exists(path) ? Files.readString(path, StandardCharsets.UTF_8) : "";
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
