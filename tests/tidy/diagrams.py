"""The state machines' diagrams in the READMEs are the programs' own.   diagrams.py SOURCE PROGRAM [--write]"""
import pathlib
import subprocess
import sys

READMES = ("agent/core/README.md", "controller/core/README.md")
BEGIN, END = "<!-- diagram %s: made by tests/tidy/diagrams.py --write -->\n", "<!-- end of diagram %s -->"


def run(*words: str) -> str:
    return subprocess.run([sys.argv[2], *words], check=True, capture_output=True, text=True).stdout


def main() -> int:
    texts = {pathlib.Path(sys.argv[1], name): "" for name in READMES}
    for readme in texts:
        texts[readme] = readme.read_text()
    stale = []
    for name in run().split():
        begin, end = BEGIN % name, END % name
        at_home = [readme for readme, text in texts.items() if begin in text]
        if len(at_home) != 1 or any(texts[at_home[0]].count(mark) != 1 for mark in (begin, end)):
            print(f"one of {', '.join(READMES)} needs the marks {begin.strip()} and {end}, each once")
            return 1
        text = texts[at_home[0]]
        at, to = text.index(begin) + len(begin), text.index(end)
        drawn = run(name)
        if text[at:to] != drawn:
            stale.append(name)
            texts[at_home[0]] = text[:at] + drawn + text[to:]
    if stale and "--write" in sys.argv[3:]:
        for readme, text in texts.items():
            readme.write_text(text)
    elif stale:
        print(f"not what the program does: {', '.join(stale)}; draw anew with\n"
              f"  python3 tests/tidy/diagrams.py {sys.argv[1]} {sys.argv[2]} --write")
        return 1
    return 0


sys.exit(main())
