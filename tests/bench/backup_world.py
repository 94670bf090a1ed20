"""A site that is large enough to measure: trees and a database that look and compress like real ones, made from a seed.

Scale 1 is a home of 60,000 files and 4.1 GB, an installation of 600 MB, and a database of 1.6 GB. Four fifths of the home are
attachments, which do not compress. Text is made of phrases that come again as they do in real text: zlib -6 takes it
to a quarter; words drawn one by one would compress worse and make every rival that compresses hard look slow.
"""
import bisect
import http.client
import itertools
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
os.environ.setdefault("CONFLEET_QUIET", "1")
import fleet as harness  # noqa: E402

MB = 1000 * 1000
HOME_FILES, HOME_MB, INSTALL_FILES, INSTALL_MB, DATABASE_MB = 60000, 4100, 12000, 600, 1830
INDEX_MB, INDEX_FILES, NEW_FILES = 340, 91, 220       # what changes between hot backup and stop, at scale 1
EDITS = 100                                           # in the database, each an old row, a new one and ten properties
OLD, NEW, NEW_BUILD, OLD_BUILD = "9.2.13", "9.2.21", 9116, 9109
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
MARKS = ["</p><p>", "</p><h2>", "</h2><p>", "</li><li>", '<ac:link><ri:page ri:content-title="', '"/></ac:link>', "</td><td>",
         ".</p><p>", "<strong>", "</strong>", '<ac:structured-macro ac:name="info"><ac:rich-text-body><p>',
         "</p></ac:rich-text-body></ac:structured-macro>", '<span style="color: rgb(51,51,51);">', "</span>"]


class Weighted:
    """Draws from a list by Zipf's law with a shift."""

    def __init__(self, items, shift, power):
        self.items = items
        self.sums = list(itertools.accumulate(1 / (i + shift) ** power for i in range(len(items))))

    def draw(self, dice):
        return self.items[min(bisect.bisect(self.sums, dice.random() * self.sums[-1]), len(self.items) - 1)]


def corpus_size(scale):
    return int(min(24, max(1, 240 * scale)) * MB)


class Text:
    """Slices of a corpus; two slices rarely begin at the same place."""

    def __init__(self, seed, size):
        dice = random.Random(seed)
        odds = [1 / (i + 1.5) for i in range(26)]
        words = Weighted(["".join(dice.choices(LETTERS, odds, k=min(12, 2 + int(dice.expovariate(0.22))))) for _ in range(3000)],
                         2.7, 1.0)
        phrases = Weighted([" ".join(words.draw(dice) for _ in range(dice.randint(2, 6))) for _ in range(2000)], 20, 0.8)
        parts, have = [], 0
        while have < size:
            piece = []
            for _ in range(4000):
                odd = dice.random()
                piece += [phrases.draw(dice), " ", words.draw(dice),
                          dice.choice(MARKS) if odd < 0.2 else ", " if odd < 0.4 else ". " if odd < 0.5 else " "]
            parts.append("".join(piece))
            have += len(parts[-1])
        self.bytes = "".join(parts).encode("ascii")[:size]

    def slice(self, dice, size):
        out = b""
        while len(out) < size:
            at = dice.randrange(len(self.bytes))
            out += self.bytes[at:at + size - len(out)]
        return out

    def ratio(self):
        part = self.bytes[:4 * MB]
        begin = time.perf_counter()
        packed = zlib.compress(part, 6)
        return len(part) / len(packed), len(part) / MB / (time.perf_counter() - begin)


class Trees:
    """Writes files as the site's user owns them."""

    def __init__(self, text, seed, user="nobody"):
        self.text, self.dice = text, random.Random(seed)
        entry = pwd.getpwnam(user)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid
        self.made = set()

    def folder(self, path):
        if path in self.made:
            return
        if not os.path.isdir(path):
            self.folder(os.path.dirname(path))
            os.mkdir(path, 0o750)
            os.chown(path, self.uid, self.gid)
        self.made.add(path)

    def put(self, path, data):
        self.folder(os.path.dirname(path))
        with open(path, "wb") as out:
            out.write(data)
        os.chown(path, self.uid, self.gid)

    def sizes(self, count, total, sigma=1.3):
        raw = [self.dice.lognormvariate(0, sigma) for _ in range(count)]
        factor = total / sum(raw)
        return [max(16, int(size * factor)) for size in raw]

    def attachments(self, home, first, count, total):
        for number, size in enumerate(self.sizes(count, total), first):
            page = number // 3
            path = (f"{home}/attachments/ver003/{page % 250}/{page // 250 % 250}/7340033/{page % 199}/{page // 199 % 250}/"
                    f"{98000000 + page}/{99000000 + number}/1")
            self.put(path, self.dice.randbytes(size))

    def index(self, home, count, total):
        for number, size in enumerate(self.sizes(count, total, 0.7)):
            half = size // 2
            self.put(f"{home}/index/bench/_{number:x}.cfs", self.text.slice(self.dice, size - half) + self.dice.randbytes(half))

    def home(self, home, scale):
        """Attachments, an index that changes, and text such as logs, exports and templates."""
        files, total = int(HOME_FILES * scale), int(HOME_MB * MB * scale)
        self.attachments(home, 0, files * 5 // 6, total * 8 // 10)
        self.index(home, INDEX_FILES, min(int(INDEX_MB * MB * scale), total // 10))
        left = files - files * 5 // 6 - INDEX_FILES
        for number, size in enumerate(self.sizes(max(left, 1), total // 10)):
            self.put(f"{home}/resources/bench/{number % 97}/{number}.xml", self.text.slice(self.dice, size))

    def install(self, install, scale):
        """Beside what the stand-in ships: libraries, which are compressed, and scripts and pages, which are not."""
        count = int(INSTALL_FILES * scale)
        for number, size in enumerate(self.sizes(count, int(INSTALL_MB * MB * scale), 1.6)):
            jar = number % 3 == 0
            self.put(f"{install}/confluence/bench/{number % 61}/{number}.{'jar' if jar else 'js'}",
                     self.dice.randbytes(size) if jar else self.text.slice(self.dice, size))

    def database(self, connection, scale):
        """Page bodies of a few kilobytes to a few ten, which the server compresses, and many small rows with indexes."""
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE bench_body (id bigint PRIMARY KEY, page bigint NOT NULL, version int, body text);"
                       "CREATE TABLE bench_property (id bigint PRIMARY KEY, name text, value text, changed timestamptz);")
        self.rows(cursor, "bench_body", scale * 0.8, lambda n: f"{n}\t{n // 4}\t{n % 4}\t".encode() +
                  self.text.slice(self.dice, int(min(60000, self.dice.lognormvariate(8.6, 0.8)))) + b"\n")
        self.rows(cursor, "bench_property", scale * 0.2, lambda n: f"{n}\tproperty.{n % 313}\t".encode() +
                  self.text.slice(self.dice, self.dice.randrange(20, 300)) + b"\t2024-05-01 10:00:00+00\n")
        cursor.execute("CREATE INDEX bench_body_page ON bench_body (page, version);"
                       "CREATE INDEX bench_property_name ON bench_property (name, id)")

    def rows(self, cursor, table, scale, row):
        class Reader:
            have, number, kept, all = 0, 0, b"", int(DATABASE_MB * MB * scale)

            def read(self, size):
                parts, got = [self.kept], len(self.kept)
                while got < size and self.have < self.all:
                    parts.append(row(self.number))
                    got += len(parts[-1])
                    self.have += len(parts[-1])
                    self.number += 1
                data = b"".join(parts)
                self.kept = data[size:]
                return data[:size]
        cursor.copy_expert(f"COPY {table} FROM STDIN", Reader(), 1 << 20)


class World:
    """One site on one PostgreSQL with fsync, as large as the scale says; home_scale lets the home alone be larger."""

    def __init__(self, scale, home_scale=None, fleet_name="bench"):
        self.scale, self.home_scale = scale, home_scale or scale
        self.fleet = harness.Fleet(fleet_name, durable=True, parent=os.environ.get("TMPDIR"))
        try:
            self.make()
        except BaseException:
            self.fleet.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.fleet.__exit__(kind, value, trace)

    def make(self):
        fleet = self.fleet
        for setting in ("shared_buffers = '512MB'", "max_wal_size = '8GB'", "autovacuum = off", "checkpoint_timeout = '30min'"):
            harness.run("/usr/bin/psql", "-h", fleet.pg, "-p", fleet.pg_port, "-U", "postgres", "-Xqc", "ALTER SYSTEM SET " + setting)
        for word in ("stop", "start"):
            harness.run(harness.PYTHON, os.path.join(harness.STANDIN, "pg"), word, fleet.pg)
        site = fleet.site("one", version=OLD, start=False, small=True)
        self.install, self.home = site["install"], site["home"]
        self.text = Text(5, corpus_size(self.scale))
        self.trees = Trees(self.text, 7)
        self.trees.home(self.home, self.home_scale)
        self.trees.install(self.install, self.scale)
        connection = self.connect("one", "one_user")
        self.trees.database(connection, self.scale)
        connection.commit()
        connection.close()
        fleet.sql("one", "VACUUM ANALYZE")
        fleet.sql("one", "CHECKPOINT")
        os.sync()
        fleet.start_site("one")

    def connect(self, name, user="postgres"):
        import psycopg2
        return psycopg2.connect(host="127.0.0.1" if user != "postgres" else self.fleet.pg, port=self.fleet.pg_port, dbname=name,
                                user=user, password="pw one $!" if user != "postgres" else None)

    def size(self):
        """Bytes and files of both trees, bytes of the database."""
        total = count = 0
        for top in (self.install, self.home):
            for folder, _, names in os.walk(top):
                for name in names:
                    count += 1
                    total += os.lstat(os.path.join(folder, name)).st_size
        return total, count, int(self.fleet.sql("one", "SELECT pg_database_size('one')"))

    def read_all(self):
        """Everything into the page cache, or as much of it as stays there."""
        subprocess.run(["/usr/bin/tar", "cf", "/dev/null", "--exclude=*.sock", self.install], check=True, stderr=subprocess.DEVNULL)
        for top in (self.install, self.home):
            subprocess.run(f"find '{top}' -type f -print0 | xargs -0 -n 200 cat > /dev/null", shell=True, check=True)

    def forget_all(self, *tops):
        """Pages of these trees out of the cache; nobody else's."""
        os.sync()
        for top in tops or (self.install, self.home):
            for folder, _, names in os.walk(top):
                for name in names:
                    path = os.path.join(folder, name)
                    if os.path.isfile(path) and not os.path.islink(path):
                        fd = os.open(path, os.O_RDONLY)
                        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                        os.close(fd)

    def choose_share(self, share, serial):
        """This share of the home's files, and what writes other content of the same size into them: choosing takes long, writing not."""
        trees = Trees(self.text, 1000 + serial)
        paths = [os.path.join(folder, name) for top in ("attachments", "resources")
                 for folder, _, names in os.walk(os.path.join(self.home, top)) for name in names]
        paths = [path for path in paths if os.path.isfile(path) and not os.path.islink(path) and os.stat(path).st_nlink == 1]
        chosen = [(path, os.stat(path).st_size) for path in trees.dice.sample(sorted(paths), max(1, int(len(paths) * share)))]

        def write():
            for path, size in chosen:
                trees.put(path, trees.dice.randbytes(size))
        return write

    def change_share(self, share, serial):
        self.choose_share(share, serial)()

    def change_before_stop(self, serial, scale):
        """What users and the index do between the hot backup and the stop."""
        trees = Trees(self.text, 2000 + serial)
        trees.index(self.home, INDEX_FILES, int(INDEX_MB * MB * scale))
        trees.attachments(self.home, 10000000 + serial * 1000, max(1, int(NEW_FILES * scale)), int(15 * MB * scale))
        connection = self.connect("one", "one_user")
        cursor = connection.cursor()
        for _ in range(max(1, int(EDITS * scale))):
            cursor.execute("UPDATE bench_body SET body = body || '.' WHERE id = (SELECT floor(max(id) * %s) FROM bench_body)", (trees.dice.random(),))
            cursor.execute("INSERT INTO bench_body SELECT 1 + max(id), max(page), %s, %s FROM bench_body",
                           (serial, self.text.slice(trees.dice, 6000).decode()))
        cursor.execute("UPDATE bench_property SET value = value || '.' WHERE id > (SELECT max(id) - %s FROM bench_property)", (10 * int(EDITS * scale) + 1,))
        connection.commit()
        connection.close()


class Poller(threading.Thread):
    """An outside user: notes the first refused request and the first answer 200 after it. Asks often once it is armed."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.ended = port, threading.Event()
        self.reset()
        self.start()

    def reset(self):
        self.armed = False
        self.refused = self.back = None

    def ask(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/login.action")
            status = connection.getresponse().status
            connection.close()
            return status
        except (OSError, http.client.HTTPException):
            return 0

    def run(self):
        while not self.ended.wait(0.004 if self.armed else 0.2):
            before = time.time()
            status = self.ask()
            if status == 0 and self.refused is None and self.armed:
                self.refused = before
            if status == 200 and self.refused is not None and self.back is None:
                self.back = time.time()

    def stop(self):
        self.ended.set()
        self.join()


def process_start(pid):
    """When a process began, as wall time, to a hundredth of a second; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            ticks = int(f.read().rsplit(")", 1)[1].split()[19])
        with open("/proc/stat", encoding="ascii") as f:
            boot = next(int(line.split()[1]) for line in f if line.startswith("btime"))
        with open("/proc/uptime", encoding="ascii") as f:
            up = float(f.read().split()[0])
        exact = time.time() - up                       # btime has whole seconds only
        return (exact if abs(exact - boot) < 2 else boot) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration, IndexError, ValueError):
        return None


def free_space(path, needed):
    have = shutil.disk_usage(path).free
    if have < needed:
        raise SystemExit(f"error: {path} has {have / 1e9:.1f} GB free, this needs about {needed / 1e9:.1f} GB; TMPDIR says where")


def port_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
