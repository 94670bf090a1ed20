"""Servers whose power can be cut: a disk of its own, and processes that all end with it.

A disk is a file with an ext4 file system. cut() is the kernel's own shutdown of it: from then on nothing more reaches the file, and what was
not synced is lost. mount() then finds what a disk holds after a power cut, and replays its journal. A machine is a PID namespace with a boot
id of its own; freeze() stops the whole of it at one moment, off() ends it. Mounts are in a mount namespace of the test (own_mounts()), loop
devices are let go by the kernel with the last mount, and all processes are in a PID namespace (own_processes()): nothing outlives the test,
however it ends. Only folders may; sweep() removes those that nobody holds any more.
"""
import ctypes
import errno
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import uuid

import fleet

SHUTDOWN = 0x8004587D                   # EXT4_IOC_SHUTDOWN
WITH_LOG, WITHOUT_LOG = 1, 2            # EXT4_GOING_FLAGS_LOGFLUSH: what the journal of the file system holds in memory is written first
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
LOCK = "in-use"


def own_mounts():
    """Mounts made from now on are seen by this process and those that it starts, and end with them. Before any thread is started."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "no mounts of one's own: " + os.strerror(ctypes.get_errno()))


def own_processes():
    """Begins anew in a PID namespace: whatever is started ends with this process, however that ends. Before anything else."""
    if os.environ.get("CONFLEET_OWN_PIDS") or not fleet.namespaces():
        return
    child = subprocess.Popen(["/usr/bin/setpriv", "--pdeathsig", "KILL", "/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                              "/bin/bash", "-c", '"$@" & wait $!', "init", sys.executable, "-B", *sys.argv],
                             env={**os.environ, "CONFLEET_OWN_PIDS": "yes"})
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: child.kill())
    status = child.wait()
    os._exit(status if status >= 0 else 128 - status)


def own_folder(prefix, folder=None):
    """A new folder that is held for as long as this process lives; or one that is kept from run to run."""
    import tempfile
    if folder:
        os.makedirs(folder, exist_ok=True)
    folder = folder or tempfile.mkdtemp(prefix=prefix)
    os.chmod(folder, 0o755)
    held = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise BlockingIOError(errno.EBUSY, f"{folder} is in use by another run") from error
    return folder, held


def sweep(prefix):
    """Removes what an earlier run left that was killed: its folder, and a loop device if the kernel kept one."""
    import tempfile
    top = tempfile.gettempdir()
    for name in os.listdir(top):
        folder, lock = os.path.join(top, name), os.path.join(top, name, LOCK)
        if not name.startswith(prefix) or not os.path.isfile(lock):
            continue
        held = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue                    # somebody's who lives
        finally:
            os.close(held)
        listed = subprocess.run(["/usr/sbin/losetup", "-nO", "NAME,BACK-FILE"], capture_output=True, text=True, check=False).stdout
        for line in listed.splitlines():
            device, _, file = line.strip().partition(" ")
            if file.strip().startswith(folder + "/"):
                subprocess.run(["/usr/sbin/losetup", "-d", device], check=False)
        shutil.rmtree(folder, ignore_errors=True)


class Disk:
    def __init__(self, image, place, megabytes):
        self.image, self.place, self.size = image, place, megabytes << 20
        self.device = None
        os.makedirs(place, exist_ok=True)

    def make(self):
        with open(self.image, "wb") as f:
            f.truncate(self.size)
        subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-E", "nodiscard", self.image], check=True, capture_output=True)

    def copy_to(self, image):
        subprocess.run(["/usr/bin/cp", "--sparse=always", self.image, image], check=True)

    def load(self, image):
        """What is on another image, sparse as it is."""
        subprocess.run(["/usr/bin/cp", "--sparse=always", image, self.image], check=True)

    def mount(self, *options):
        subprocess.run(["/usr/bin/mount", "-o", ",".join(("loop",) + options), self.image, self.place], check=True, capture_output=True, text=True)
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            mine = [line.split() for line in f if line.split()[4] == self.place]
        self.device = os.path.basename(mine[-1][mine[-1].index("-") + 2])

    def cut(self, with_log=False):
        folder = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", WITH_LOG if with_log else WITHOUT_LOG))
        finally:
            os.close(folder)

    def unmount(self, seconds=60):
        """Until the kernel holds nothing of the file system any more: only then is it read from the file again."""
        end = time.monotonic() + seconds
        while self.device:
            done = subprocess.run(["/usr/bin/umount", self.place], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
            if time.monotonic() > end:
                raise AssertionError(f"{self.place} cannot be unmounted: {done.stderr}")
            time.sleep(0.02)
        while self.device and os.path.exists("/sys/fs/ext4/" + self.device):
            if time.monotonic() > end:
                raise AssertionError(f"{self.place} is unmounted, and {self.device} is still in use")
            time.sleep(0.005)
        self.device = None

    def holes(self):
        """What fsck says, empty when it has nothing to mend. Not mounted, journal replayed."""
        done = subprocess.run(["/usr/sbin/e2fsck", "-fn", self.image], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr


INIT = """
echo "$1" >/proc/sys/kernel/ns_last_pid
mapfile -t mounts </proc/self/mounts
for line in "${mounts[@]}"; do
    read -r device place rest <<<"$line"
    case $device in
    /dev/loop*) [ "$place" = "$3" ] || umount "$place";;
    esac
done
mount --bind "$2" /proc/sys/kernel/random/boot_id || exit 1
echo up
sleep infinity &
while :; do wait $!; done
"""


class Machine:
    """One boot of a server. Process ids go on from boot to boot, since after a real one they are others, too. Other disks are not mounted
    in it: who holds a file system keeps it from being read from its disk again."""

    boots = 0

    def __init__(self, folder, name, disk):
        Machine.boots += 1
        boot_id = os.path.join(folder, f"boot-id-{name}")
        with open(boot_id, "w", encoding="ascii") as f:
            f.write(f"{uuid.uuid4()}\n")
        self.children = []
        self.outer = subprocess.Popen(
            ["/usr/bin/setpriv", "--pdeathsig", "KILL", "/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
             "/bin/bash", "-c", INIT, "init", str(1000 + Machine.boots * 2500 % 25000), boot_id, disk.place],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        said = self.outer.stdout.readline()
        with open(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children", encoding="ascii") as f:
            pids = f.read().split()
        if said != "up\n" or not pids:
            self.off()
            raise OSError(errno.EPERM, "no PID namespace with a boot id of its own")
        self.init = int(pids[0])
        self.namespace = os.readlink(f"/proc/{self.init}/ns/pid")

    def words(self, *command):
        return ["/usr/bin/nsenter", "--target", str(self.init), "--pid", "--mount", "--", *map(str, command)]

    def run(self, *command, timeout=180):
        return subprocess.run(self.words(*command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=timeout, check=False).returncode

    def start(self, log, *command):
        with open(log, "ab") as out:
            child = subprocess.Popen(["/usr/bin/setpriv", "--pdeathsig", "KILL", *self.words(*command)], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self.children.append(child)
        return child

    def pids(self):
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{name}/ns/pid") == self.namespace and int(name) != self.init:
                    found.append(int(name))
            except OSError:
                continue
        return found

    def freeze(self):
        """Nobody runs any more. One that is stopped before the other was only slow: what they did is what could have been."""
        for _ in range(1000):
            moving = [pid for pid in self.pids() if state_of(pid) not in ("T", "Z", "X", "")]
            if not moving:
                return
            self.signal(signal.SIGSTOP, moving)
        raise AssertionError("a machine cannot be stopped")

    def thaw(self):
        self.signal(signal.SIGCONT, self.pids())

    @staticmethod
    def signal(number, pids):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def off(self):
        """All of it is killed; the kernel ends the others with the first process."""
        if getattr(self, "init", None):
            self.signal(signal.SIGKILL, [self.init])
        else:
            self.outer.kill()
        for child in self.children:     # nsenter, which stops itself with what it started, and would have to take in what is left of it
            child.kill()
            child.wait(30)
        self.outer.wait(60)
        self.outer.stdout.close()


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""
