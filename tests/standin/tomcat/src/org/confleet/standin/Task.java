package org.confleet.standin;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** One upgrade task of the catalogue that both forms share; light/tasks.py describes the format. */
final class Task {
    static final List<String> KINDS = List.of("pre", "schema", "normal", "plugin");

    /** What a task does: run a statement, change files, or be cut off here by a fault. */
    record Step(String kind, String text) {
    }

    final int build;
    final String kind;
    final String name;
    final List<Step> steps = new ArrayList<>();

    Task(String text) {
        String[] head = null;
        StringBuilder statement = new StringBuilder();
        for (String line : text.split("\n")) {
            if (line.startsWith("-- task ")) {
                head = line.substring(8).trim().split(" ");
            } else if (line.startsWith("-- files ")) {
                steps.add(new Step("files", line.substring(9).trim()));
            } else if (line.startsWith("-- half")) {
                steps.add(new Step("half", ""));
            } else if (!line.isBlank() && !line.startsWith("--")) {
                statement.append(line).append('\n');
                if (line.stripTrailing().endsWith(";")) {
                    steps.add(new Step("sql", statement.toString()));
                    statement.setLength(0);
                }
            }
        }
        if (head == null || statement.length() > 0) {
            throw new IllegalArgumentException("task text without head or with an open statement");
        }
        build = Integer.parseInt(head[0]);
        kind = head[1];
        name = head[2];
    }

    String label() {
        return kind + " " + build + " " + name;
    }

    /** The tasks between two build numbers in running order. */
    static List<Task> due(List<Task> all, int installed, int target) {
        return all.stream().filter(task -> installed < task.build && task.build <= target)
            .sorted(Comparator.<Task>comparingInt(task -> KINDS.indexOf(task.kind)).thenComparingInt(task -> task.build))
            .toList();
    }
}
