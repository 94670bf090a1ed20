"""The table of checks in README.md is the program's own.   checks.py SOURCE PROGRAM [--write]"""
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- checks: made by tests/tidy/checks.py --write -->\n", "<!-- end of checks -->"


def main() -> int:
    readme = pathlib.Path(sys.argv[1], "README.md")
    table = subprocess.run([sys.argv[2]], check=True, capture_output=True, text=True).stdout
    text = readme.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        print(f"{readme}: needs the marks {BEGIN.strip()} and {END}, each once")
        return 1
    at, to = text.index(BEGIN) + len(BEGIN), text.index(END)
    if text[at:to] == table:
        return 0
    if "--write" in sys.argv[3:]:
        readme.write_text(text[:at] + table + text[to:])
        return 0
    print(f"{readme}: the table of checks is not the program's; write it with\n"
          f"  tests/tidy/checks.py {sys.argv[1]} {sys.argv[2]} --write")
    return 1


sys.exit(main())
