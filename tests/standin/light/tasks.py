"""Upgrade tasks: reads the catalogue that both forms of the stand-in share.

A task is a text file: its first line `-- task BUILD KIND NAME`, then SQL statements, each ending
with a semicolon at the end of a line. `-- files EFFECT` changes the home instead (effects.py);
`-- half` is where the fault `schema-task` cuts the task off.
"""
import collections
import re

# The order of facts 4.2 point 7 and 8: pre-schema tasks, schema tasks, the others by build
# number, and after the numbers are set those that need the apps.
KINDS = ("pre", "schema", "normal", "plugin")

Task = collections.namedtuple("Task", "build kind name steps")


def parse(text):
    """One task out of the text of its file."""
    steps, statement, head = [], [], None
    for line in text.splitlines():
        mark = re.match(r"-- (task|files|half)\b *(.*)", line)
        if mark and mark.group(1) == "task":
            head = mark.group(2).split()
        elif mark:
            steps.append((mark.group(1), mark.group(2).strip()))
        elif line.strip() and not line.startswith("--"):
            statement.append(line)
            if line.rstrip().endswith(";"):
                steps.append(("sql", "\n".join(statement).rstrip().rstrip(";")))
                statement = []
    if head is None or statement:
        raise ValueError("task text without head or with an open statement: " + text[:60])
    return Task(int(head[0]), head[1], head[2], steps)


def order(tasks):
    """The order in which an upgrade runs them."""
    return sorted(tasks, key=lambda task: (KINDS.index(task.kind), task.build))


def due(tasks, installed, target):
    """The tasks between two build numbers, in running order."""
    return order([task for task in tasks if installed < task.build <= target])
