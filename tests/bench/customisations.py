"""How long it takes to compare an installation with its release, beside sha256sum and cat over the same files.

The installation is generated: many small texts, a few hundred jars that do not compress, some of them large. It is compared
once by the list of the release's files (what Confleet leaves in a tree that it unpacked) and once by the vendor's archive,
which must be unpacked for it. Warm: the files are in memory. Cold: they were put out of it before each run, as far as the
system follows the advice.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("CONFLEET_BUILD", os.path.join(ROOT, "build", "gcc"))
PROGRAM = os.path.join(BUILD, "tests", "bench-custom")
AGENT = os.path.join(BUILD, "agent", "confleet-agent")
TOP = "atlassian-confluence-9.2.13"


def put(root, name, data):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data)


def generate(root, files, megabytes):
    """Four fifths of the bytes are jars; the rest are small files of every kind, in many folders."""
    dice = random.Random(7)
    words = [b"%08x " % dice.getrandbits(32) for _ in range(4096)]
    jars = max(4, files // 30)
    jar_bytes = megabytes * 800_000
    large = [jar_bytes // 20] * 4
    put(root, "conf/server.xml", b"<Server/>")
    put(root, "bin/setenv.sh", b"CATALINA_OPTS=\"-Xmx1g\"\n")
    put(root, "confluence/META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties", b"version=9.2.13\n")
    put(root, "confluence/WEB-INF/lib/confluence-9.2.13.jar", dice.randbytes(1000))
    for number in range(jars):
        folder = "lib" if number % 2 else "atlassian-bundled-plugins"
        size = large[number] if number < len(large) else max(1, (jar_bytes - sum(large)) // max(1, jars - len(large)))
        put(root, f"confluence/WEB-INF/{folder}/part-{number}.jar", dice.randbytes(size))
    small = max(1, files - jars - 4)
    size = max(10, megabytes * 200_000 // small)
    for number in range(small):
        text = b"".join(dice.choices(words, k=size // 9 + 1))[:size]
        put(root, f"confluence/part{number % 97}/sub{number % 11}/file-{number}.{('vm', 'js', 'css')[number % 3]}", text)


def forget(root, *more):
    """Puts the files out of memory."""
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    for path in paths + list(more):
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def timed(command, **words):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **words)
    return (time.monotonic() - start) * 1000


def ours(root, pristine):
    """Time, files, differences of one comparison, the start of the program not counted."""
    text = subprocess.run([PROGRAM, root, pristine], check=True, capture_output=True, text=True).stdout
    took, files, differences, unread = text.split()
    if int(unread):
        sys.exit(f"{unread} files could not be read")
    return float(took), int(files), int(differences)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench customisations", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("files", nargs="?", type=int, default=12000)
    parser.add_argument("megabytes", nargs="?", type=int, default=600)
    parser.add_argument("--runs", type=int, default=5, help="of each row, whose median is shown (5)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="only see that it works, no figures")
    args = parser.parse_args()
    work = tempfile.mkdtemp(prefix="cf-bench-")
    try:
        return bench(args, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def bench(args, work):
    root, archive, listed = (os.path.join(work, name) for name in (TOP, TOP + ".tar.gz", "list"))
    generate(root, args.files, args.megabytes)
    subprocess.run(["tar", "-C", work, "-czf", archive, TOP], check=True)
    with open(listed, "wb") as out:
        subprocess.run([AGENT, "manifest", archive], check=True, stdout=out)
    names = os.path.join(work, "names")
    with open(names, "wb") as out:
        subprocess.run(["find", root, "-type", "f", "-print0"], check=True, stdout=out)
    os.sync()
    for pristine in (listed, archive):
        _, files, differences = ours(root, pristine)
        assert differences == 0, (pristine, differences)
        assert files == args.files or args.smoke, files
    changed = os.path.join(root, "conf/server.xml")
    with open(changed, "wb") as out:
        out.write(b"<Sorver/>")
    assert [ours(root, pristine)[2] for pristine in (listed, archive)] == [1, 1]
    put(root, "conf/server.xml", b"<Server/>")
    if args.smoke:
        print("equal: 0 differences, one changed file: 1 difference; by list and by archive")
        return 0

    cores = os.cpu_count() or 1
    hashing = ["xargs", "-0", "-a", names, "-n", "200"]
    rows = {
        "ours, by the list": lambda: ours(root, listed)[0],
        "ours, by the archive": lambda: ours(root, archive)[0],
        "sha256sum": lambda: timed(hashing + ["sha256sum"]),
        f"sha256sum, {cores} at once": lambda: timed(hashing + ["-P", str(cores), "sha256sum"]),
        "openssl dgst -sha256": lambda: timed(hashing + ["openssl", "dgst", "-sha256"]),
        "cat": lambda: timed(hashing + ["cat"]),
        "gzip -dc of the archive": lambda: timed(["gzip", "-dc", archive]),
    }
    found = {"files": args.files, "megabytes": args.megabytes, "runs": args.runs, "cores": cores, "rows": {}}
    for state in ("warm", "cold"):
        times = {name: [] for name in rows}
        for _ in range(args.runs):          # in turn, so that a busy moment hits all
            for name, run in rows.items():
                if state == "cold":
                    forget(root, archive)
                times[name].append(run())
        for name in rows:
            found["rows"].setdefault(name, {})[state] = statistics.median(times[name])
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    print(f"{args.files} files, {args.megabytes} MB, {cores} cores, median of {args.runs} runs; ratio to sha256sum")
    print(f"{'':28}{'warm':>10}{'ratio':>8}{'cold':>12}{'ratio':>8}")
    base = found["rows"]["sha256sum"]
    for name, row in found["rows"].items():
        print(f"{name:28}{row['warm']:>7.0f} ms{row['warm'] / base['warm']:>8.2f}"
              f"{row['cold']:>9.0f} ms{row['cold'] / base['cold']:>8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
