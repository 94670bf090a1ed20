#!/usr/bin/python3
"""Conditions of the cores: each is marked with GUARD or NEEDS (include/confleet/guard.h), or says why it is not.

Usage: guards.py SOURCE_DIR [--count | --names]; prints FILE:LINE: what is wrong, exits 1 when any. A condition is what stands in if, while,
switch, before "?", beside && and ||, and each comparison and negation, outside of assert. The bound of a for loop over its own variable is
none, and neither is a look at the event that came in. An excuse is a comment "No guard: why." that ends on the line of the statement or the
line before it, or "No guards in here: why." above the function.
"""
import os
import re
import sys

CORES = ("agent/core", "controller/core")
TOKEN = re.compile(r"[A-Za-z_]\w*|\d\w*|->|&&|\|\||==|!=|<=|>=|<<|>>|\+\+|--|[-+*/%&|^]=|[^\s\w]")
COMPARE = {"==", "!=", "<", ">", "<=", ">="}
MARKS = ("GUARD", "NEEDS")
# What came in, and not what is: a word of the caller.
EVENT = re.compile(r"^(event|event -> kind|say|answered|input) (==|!=) (EVENT|ROLLOUT|SAY|INPUT)_\w+$")
# A local name stands for what it was set to, and that is looked at where it is set.
LOCAL = re.compile(r"^(! )?[a-z]\w*$")
EXCUSE = re.compile(r"No guard: \S+ \S+ \S+")
EXCUSE_ALL = re.compile(r"No guards in here: \S+ \S+ \S+")
NAME = re.compile(r"^law\d+(_[a-z0-9]+){2,}$")


class Source:
    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8") as f:
            self.text = f.read()
        self.bad, self.marks, self.conditions, self.excused = [], [], 0, 0
        self.excuse_lines, self.excuse_all_lines = set(), set()
        self.code = self.without_comments()
        self.read()

    def line_at(self, position):
        return self.text.count("\n", 0, position) + 1

    def without_comments(self):
        """The same text at the same places, without comments, texts and what the preprocessor reads."""
        def blank(match):
            return re.sub(r"[^\n]", " ", match[0])

        def comment(match):
            words = " ".join(re.sub(r"^\s*/?\*+/?", "", line) for line in match[0].split("\n"))
            words = re.sub(r"\s+", " ", words)
            first, last = self.line_at(match.start()), self.line_at(match.end() - 1)
            if EXCUSE.search(words):
                self.excuse_lines.update(range(first, last + 1))
            if EXCUSE_ALL.search(words):
                self.excuse_all_lines.add(last)
            return blank(match)
        text = re.sub(r"/\*.*?\*/", comment, self.text, flags=re.S)
        text = re.sub(r'"(\\.|[^"\\\n])*"', lambda m: '"' + " " * (len(m[0]) - 2) + '"', text)
        text = re.sub(r"'(\\.|[^'\\\n])'", lambda m: "0".ljust(len(m[0])), text)
        return re.sub(r"^[ \t]*#(\\\n|[^\n])*", blank, text, flags=re.M)

    def say(self, line, words):
        self.bad.append(f"{self.path}:{line}: {words}")

    def read(self):
        lines, start = self.code.split("\n"), None
        offsets = [0]
        for line in lines:
            offsets.append(offsets[-1] + len(line) + 1)
        for number, line in enumerate(lines, 1):
            if line.rstrip() == "{":
                start = number
            elif line.rstrip() == "}" and start:
                head = start - 1
                while head > 0 and lines[head - 1].strip() and not lines[head - 1].rstrip().endswith((";", "}", ")\\")):
                    head -= 1
                excused = head in self.excuse_all_lines or any(head <= n < start for n in self.excuse_all_lines)
                self.function(offsets[start], offsets[number - 1], excused)
                start = None

    def function(self, begin, end, excused):
        tokens = [(m[0], begin + m.start()) for m in TOKEN.finditer(self.code[begin:end])]
        statement, depth = [], 0
        for token in tokens:
            depth += {"(": 1, ")": -1}.get(token[0], 0)
            if token[0] in ";{}" and depth == 0:
                self.statement(statement, excused)
                statement = []
            else:
                statement.append(token)
        self.statement(statement, excused)

    def closing(self, tokens, at):
        depth = 0
        for i in range(at, len(tokens)):
            depth += {"(": 1, ")": -1}.get(tokens[i][0], 0)
            if depth == 0:
                return i
        return len(tokens) - 1

    def statement(self, tokens, excused):
        if not tokens:
            return
        first, last = self.line_at(tokens[0][1]), self.line_at(tokens[-1][1])
        excused = excused or any(first - 1 <= n <= last for n in self.excuse_lines)
        kept, i = [], 0
        while i < len(tokens):
            word = tokens[i][0]
            follows = i + 1 < len(tokens) and tokens[i + 1][0] == "("
            if word == "assert" and follows:
                i = self.closing(tokens, i + 1)
            elif word in MARKS and follows:
                to = self.closing(tokens, i + 1)
                self.mark(word, tokens[i + 2:to], self.line_at(tokens[i][1]))
                kept.append(("<guarded>", tokens[i][1]))
                i = to
            else:
                kept.append(tokens[i])
            i += 1
        for words, at in self.found(kept) + self.copies(kept):
            self.conditions += 1
            self.excused += excused
            if not excused:
                self.say(self.line_at(at), f"a condition without a guard or an excuse: {words}")

    def copies(self, tokens):
        """What a bool takes over from a state as it is."""
        out, part, taken = [], [], None
        for word, at in tokens + [(";", 0)] if tokens and tokens[0][0] == "bool" else []:
            if word in ("=", ",", ";"):
                text = " ".join(w for w, _ in part)
                if taken and re.match(r"[\w\s\[\]]+(->|\.)[^(<>=!]*$", text):
                    out.append((text, part[0][1]))
                part, taken = [], word == "="
            else:
                part.append((word, at))
        return out

    def mark(self, word, inside, line):
        name = inside[0][0] if inside else ""
        self.conditions += 1
        self.marks.append((name, word, line))
        if not NAME.match(name):
            self.say(line, f"{name}: the name of a guard begins with its law: lawN_what_it_keeps")
        words = [w for w, _ in inside[2:]]
        if any(w in ("&&", "||", "?") for w in words):
            self.say(line, f"{name}: a guard holds one condition; mark each part")

    def found(self, tokens):
        """The conditions that no mark holds, as (words, place)."""
        parts, i = [], 0
        while i < len(tokens):
            word = tokens[i][0]
            if word in ("if", "while", "switch", "for") and i + 1 < len(tokens) and tokens[i + 1][0] == "(":
                to = self.closing(tokens, i + 1)
                inside = tokens[i + 2:to]
                if word == "for":
                    inside = self.loop(inside)
                parts += self.atoms(inside, word != "for")
                i = to + 1
                continue
            rest = []
            while i < len(tokens) and not (tokens[i][0] in ("if", "while", "switch", "for") and i + 1 < len(tokens) and
                                           tokens[i + 1][0] == "("):
                rest.append(tokens[i])
                i += 1
            parts += self.atoms(rest, False)
        return parts

    def loop(self, inside):
        """What is left of a loop's head: its middle without the bound of its own variable."""
        clauses, current = [], []
        for token in inside:
            if token[0] == ";":
                clauses.append(current)
                current = []
            else:
                current.append(token)
        clauses.append(current)
        if len(clauses) != 3:
            return inside
        names = [clauses[0][k - 1][0] for k in range(1, len(clauses[0])) if clauses[0][k][0] == "="]
        kept, atom = [], []
        for token in clauses[1] + [("&&", 0)]:
            if token[0] != "&&":
                atom.append(token)
                continue
            if not (len(atom) > 2 and atom[0][0] in names and atom[1][0] == "<"):
                kept += ([("&&", token[1])] if kept else []) + atom
            atom = []
        return kept

    def atoms(self, tokens, whole):
        """Splits at logic operators and looks at each part; whole: all of it is a condition, whatever it is."""
        logic = whole or any(w in ("&&", "||", "?") for w, _ in tokens)
        out, part, asked = [], [], whole
        stops = {"&&", "||", "?", ":", "(", ")", ",", "=", "return", "{", "}", ";"}

        def close(ends_with):
            nonlocal part
            words = [w for w, _ in part]
            text = " ".join(words)
            beside = asked or ends_with in ("&&", "||", "?")
            if words and "<guarded>" not in words and not EVENT.match(text) and not LOCAL.match(text):
                call = ends_with == "("
                if any(w in COMPARE for w in words) or (words[0] == "!" and not call) or (logic and beside and not call):
                    out.append((text, part[0][1]))
            part = []
        depth_calls = []
        for index, (word, at) in enumerate(tokens):
            if word == "(":
                called = index > 0 and re.match(r"[A-Za-z_]\w*$", tokens[index - 1][0]) and tokens[index - 1][0] not in ("return", "sizeof")
                if called:                      # a call belongs to its part, whatever its arguments are
                    depth_calls.append(True)
                    part.append((word, at))
                else:
                    close("(")
                    depth_calls.append(False)
                    asked = asked and whole
                continue
            if word == ")":
                if depth_calls and depth_calls.pop():
                    part.append((word, at))
                else:
                    close(tokens[index + 1][0] if index + 1 < len(tokens) else ")")
                continue
            if word in stops and not any(depth_calls):
                close(word)
                asked = whole if word in (",", "=", "return", ":", "?") else True
                if word in ("?", ":", ",", "="):
                    asked = False
                continue
            part.append((word, at))
        close(";")
        return out


def sources(root):
    for folder in CORES:
        for name in sorted(os.listdir(os.path.join(root, folder))):
            if name.endswith(".c"):
                yield Source(root, f"{folder}/{name}")


def guards(root):
    """All marks of the cores as (name, GUARD or NEEDS, file, line)."""
    return [(name, word, one.path, line) for one in sources(root) for name, word, line in one.marks]


def main():
    root, bad, seen = sys.argv[1], [], {}
    all_sources = list(sources(root))
    for one in all_sources:
        bad += one.bad
        for name, _, line in one.marks:
            if name in seen:
                bad.append(f"{one.path}:{line}: {name} is also at {seen[name]}: a name is there once")
            seen[name] = f"{one.path}:{line}"
    if "--names" in sys.argv[2:]:
        print("\n".join(seen))
        return 0
    if "--count" in sys.argv[2:]:
        for one in all_sources:
            print(f"{one.path}: {one.conditions} conditions, {len(one.marks)} guards, {one.excused} excused, "
                  f"{one.conditions - len(one.marks) - one.excused} bare")
    print("\n".join(bad) if bad else "tidy")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
