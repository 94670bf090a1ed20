#!/usr/bin/python3
"""Rules of the house that a machine can check. Usage: tidy.py SOURCE_DIR BUILD_DIR; prints FILE:LINE: rule, exits 1 when any."""
import os
import re
import subprocess
import sys

source, build = sys.argv[1], sys.argv[2]
LAYERS = {  # folder: what its files may include of ours
    "common": ("confleet/",),
    "agent/core": ("confleet/", "agent/core/"),
    "agent/edge": ("confleet/", "agent/core/", "agent/edge/"),
    "agent/worker": ("confleet/", "agent/core/", "agent/worker/"),
    "controller/core": ("confleet/", "controller/core/"),
    "controller/edge": ("confleet/", "controller/core/", "controller/edge/"),
    "controller/cli": ("confleet/", "controller/cli/"),
}
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|system|popen|gets|alloca|strtok|mktemp|tmpnam)\s*\(")
# What a pure core may refer to beyond itself: no clock, no file, no socket, no heap.
PURE = re.compile(r"^(mem(cpy|set|cmp|move|chr)|str(n?cmp|len|chr|rchr|spn|cspn|nlen|str)|v?snprintf|__v?snprintf_chk|"
                  r"__mem(cpy|set|move)_chk|__assert_fail|__stack_chk_fail|err_\w+|fail_\w+|text_is_name|_GLOBAL_OFFSET_TABLE_|confleet_empty)$")
COLUMNS, FUNCTION_MAX, FILE_MAX, BLOB_MAX = 160, 70, 600, 100 * 1024
bad = []


def say(path, line, rule):
    bad.append(f"{path}:{line}: {rule}")


def tracked():
    try:
        names = subprocess.run(["git", "-C", source, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    except FileNotFoundError:       # an unpacked archive on a machine without git
        names = None
    if names and names.returncode == 0 and names.stdout:
        return [n for n in names.stdout.split("\n") if n and os.path.isfile(os.path.join(source, n))]
    found = []
    for folder, dirs, files in os.walk(source):
        dirs[:] = [d for d in dirs if d not in ("build", ".git", "work")]
        found += [os.path.relpath(os.path.join(folder, f), source) for f in files]
    return found


def layer_of(path):
    best = max((k for k in LAYERS if path.startswith(k + "/")), key=len, default=None)
    return LAYERS.get(best)


def check_c(path, lines):
    if len(lines) > FILE_MAX and not path.startswith("tests/"):
        say(path, len(lines), f"a file above {FILE_MAX} lines is two nouns")
    allowed = layer_of(path)
    start = None
    comment = False
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            say(path, number, f"longer than {COLUMNS} columns")
        include = re.match(r'#include "([^"]+)"', line)
        if include and allowed and "/" in include[1] and not include[1].startswith(allowed):
            say(path, number, f"its layer may not include {include[1]}")
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        if "/*" in code and "*/" not in code:
            comment = True
        if not comment and BANNED.search(re.sub(r"/\*.*?\*/|//.*", "", code)) and not path.startswith("tests/"):
            say(path, number, "banned call")
        if "*/" in code:
            comment = False
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start - 1 > FUNCTION_MAX and not path.startswith("tests/"):
                say(path, start, f"function of {number - start - 1} lines, limit {FUNCTION_MAX}")
            start = None


def check_proto(path, text):
    """No message may contain itself: protobuf-c has no depth limit."""
    fields = {}
    for name, body in re.findall(r"message (\w+) \{((?:[^{}]|\{[^{}]*\})*)\}", text):
        fields[name] = set(re.findall(r"(?:repeated )?(\w+) \w+ = \d+;", body))

    def reach(name, seen):
        for inner in fields.get(name, ()):
            if inner in fields and inner not in seen:
                seen.add(inner)
                reach(inner, seen)
        return seen
    for name in fields:
        if name in reach(name, set()):
            say(path, 1, f"message {name} contains itself")


def check_core(archive):
    if not os.path.exists(archive):
        return
    defined, wanted = set(), set()
    for line in subprocess.run(["nm", archive], capture_output=True, text=True, check=True).stdout.split("\n"):
        parts = line.split()
        if len(parts) == 2 and parts[0] == "U":
            wanted.add(parts[1])
        elif len(parts) == 3:
            defined.add(parts[2])
    for name in sorted(wanted - defined):
        if not PURE.match(name):
            say(archive, 0, f"a core refers to {name}: it may decide, not act")


for name in tracked():
    full = os.path.join(source, name)
    if os.path.getsize(full) > BLOB_MAX and name != "LICENSE":
        say(name, 1, f"larger than {BLOB_MAX} bytes")
    if not name.endswith((".c", ".h", ".proto")):
        continue
    with open(full, encoding="utf-8") as f:
        text = f.read()
    if name.endswith(".proto"):
        check_proto(name, text)
    else:
        check_c(name, text.split("\n"))
for library in ("agent/libconfleet_agent_core.a", "controller/libconfleet_controller_core.a"):
    check_core(os.path.join(build, library))
print("\n".join(bad) if bad else "tidy")
sys.exit(1 if bad else 0)
