"""What others do with the same trees and the same database: each function does it once and answers seconds."""
import os
import re
import shutil
import subprocess
import tempfile
import time

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
PG_BIN = next((p for p in ("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin") if os.path.isdir(p)), "")


def peak(pid):
    """The kernel's high-water mark of a process that runs, in MB; the status that wait() tells begins with our own size."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1024
    except (OSError, TypeError):
        return 0.0


def timed(*command, ok=(0,), cwd=None, shell=False, **env):
    """Seconds until the command has ended, and its peak memory in MB."""
    words = command[0] if shell else [str(c) for c in command]
    begin, mb = time.monotonic(), 0.0
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(words, shell=shell, cwd=cwd, env={**ENV, **env}, executable="/bin/bash" if shell else None,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        while True:
            mb = max(mb, peak(child.pid))
            try:
                status = child.wait(0.02)
                break
            except subprocess.TimeoutExpired:
                continue
        took = time.monotonic() - begin
        if status not in ok:
            said.seek(0)
            raise SystemExit(f"error: {words}: status {status}: {said.read().decode(errors='replace')[-1000:]}")
    return took, mb


class Rivals:
    """A folder of its own for what they write; each run begins with what it needs and no more."""

    def __init__(self, world):
        self.world, self.top = world, os.path.join(world.fleet.dir, "rivals")
        os.makedirs(self.top, exist_ok=True)
        self.restic_env = {"RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": self.top + "/restic-cache", "HOME": self.top}
        self.borg_env = {"BORG_BASE_DIR": self.top + "/borg-base", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes", "HOME": self.top}
        self.serial = 0

    def path(self, *parts):
        return os.path.join(self.top, *parts)

    def fresh(self, *names):
        for name in names:
            path = self.path(name)
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.path.exists(path) and os.unlink(path)
        os.sync()

    def sync(self):
        """What they leave to the kernel: until then a power cut takes it. Ours has synced every pack when its clock stops."""
        return timed("sync", "-f", self.top)[0]

    # --- files

    def zip(self):
        """The vendor's way: home and installation, one after the other."""
        self.fresh("home.zip", "install.zip")
        return self.zip_tree("home", self.world.home) + self.zip_tree("install", self.world.install)

    def zip_tree(self, name, tree):
        # 18: a file was not readable; a running site's socket is one such. Links are kept as links.
        return timed("zip", "-q", "-r", "-y", self.path(name + ".zip"), ".", cwd=tree, ok=(0, 18))[0]

    def tar_zstd(self):
        self.fresh("both.tar.zst")
        w = self.world
        return timed(f"tar cf - '{w.home}' '{w.install}' 2>/dev/null | zstd -q -1 -T0 -o '{self.path('both.tar.zst')}'", shell=True)[0]

    def restic(self, first):
        if first:
            self.fresh("restic", "restic-cache")
            timed("restic", "init", "-q", "-r", self.path("restic"), **self.restic_env)
        took, self.restic_mb = timed("restic", "backup", "-q", "-r", self.path("restic"), self.world.home, self.world.install, **self.restic_env)
        return took

    def borg(self, first):
        if first:
            self.fresh("borg", "borg-base")
            timed("borg", "init", "-e", "none", self.path("borg"), **self.borg_env)
        self.serial += 1
        took, self.borg_mb = timed("borg", "create", f"{self.path('borg')}::{self.serial}", self.world.home, self.world.install, **self.borg_env)
        return took

    def rsync(self, first):
        """Each time a tree of its own, unchanged files linked to the tree before."""
        if first:
            self.fresh("rsync")
            os.makedirs(self.path("rsync"))
            self.serial = 0
        self.serial += 1
        link = [] if first else [f"--link-dest={self.path('rsync', str(self.serial - 1))}"]
        return timed("rsync", "-a", *link, self.world.home, self.world.install, self.path("rsync", str(self.serial)))[0]

    def find(self):
        return timed(f"find '{self.world.home}' '{self.world.install}' -printf '%p %s %T@ %C@ %i\\n' > /dev/null", shell=True)[0]

    def sha256(self):
        w = self.world
        return timed(f"find '{w.home}' '{w.install}' -type f -print0 | xargs -0 -P 2 -n 200 sha256sum > /dev/null", shell=True)[0]

    def unzip(self):
        self.fresh("unzipped")
        os.makedirs(self.path("unzipped"))
        took = 0
        for name in ("home", "install"):
            took += timed("unzip", "-q", "-o", self.path(name + ".zip"), "-d", self.path("unzipped", name), ok=(0, 1))[0]
        return took

    # --- the new version, as the vendor's archive

    def archive_make(self):
        """What would be fetched: as large as the installation."""
        timed(f"tar cf - -C '{os.path.dirname(self.world.install)}' install | gzip -1 > '{self.path('new.tar.gz')}'", shell=True)

    def unpack(self):
        self.fresh("unpacked")
        os.makedirs(self.path("unpacked"))
        return timed("tar", "xzf", self.path("new.tar.gz"), "-C", self.path("unpacked"))[0]

    # --- the database

    def pg(self):
        return {"PGHOST": self.world.fleet.pg, "PGPORT": str(self.world.fleet.pg_port), "PGUSER": "postgres"}

    def dump(self):
        self.fresh("vendor.dump")
        return timed(PG_BIN + "/pg_dump", "-Fc", "-f", self.path("vendor.dump"), "one", **self.pg())[0]

    def restore(self):
        """Into a database of another name on the same server; nothing is compared."""
        sql = self.world.fleet.sql
        sql("postgres", "DROP DATABASE IF EXISTS rival_copy")
        sql("postgres", "CREATE DATABASE rival_copy TEMPLATE template0 OWNER one_user")
        took = timed(PG_BIN + "/pg_restore", "-j2", "-d", "rival_copy", self.path("vendor.dump"), **self.pg())[0]
        sql("postgres", "DROP DATABASE rival_copy")
        return took
