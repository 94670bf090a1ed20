"""A throw-away PostgreSQL cluster made with initdb, owned by an unprivileged user."""
import argparse
import os
import random
import shutil
import socket
import subprocess
import sys

BIN = next((path for path in ("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin",
                              "/usr/lib/postgresql/17/bin") if os.path.isdir(path)), "")

# Trust for the cluster's own superuser on the socket alone; passwords for every site user.
HBA = """local all postgres trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""
SETTINGS = """listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
password_encryption = scram-sha-256
max_connections = {connections}
shared_buffers = 32MB
dynamic_shared_memory_type = mmap
fsync = {fsync}
full_page_writes = {fsync}
logging_collector = off
log_timezone = UTC
timezone = UTC
autovacuum_naptime = 300s
"""


def as_postgres(command):
    """Initdb and the server refuse to run as root."""
    if os.geteuid() == 0:
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] + command
    return command


def run(command):
    done = subprocess.run(as_postgres(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, cwd="/", check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout.decode(errors='replace')}")
    return done.stdout.decode()


def free_port():
    """Below those that the kernel hands out: while something is started again at its old port, no connection gets it."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def start(folder, port=0, durable=False, connections=400):
    """Makes the cluster when it is not there, starts it and returns its port."""
    folder = os.path.abspath(folder)
    data, note = os.path.join(folder, "data"), os.path.join(folder, "port")
    if not os.path.isdir(os.path.join(data, "base")):
        os.makedirs(folder, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        run([BIN + "/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
             "--no-sync", "--no-instructions"])
        port = port or free_port()
        with open(os.path.join(data, "postgresql.conf"), "a", encoding="utf-8") as out:
            out.write(SETTINGS.format(port=port, folder=folder, connections=connections,
                                      fsync="on" if durable else "off"))
        with open(os.path.join(data, "pg_hba.conf"), "w", encoding="utf-8") as out:
            out.write(HBA)
        with open(note, "w", encoding="ascii") as out:
            out.write(f"{port}\n")
    if not running(folder):
        # pg_ctl hands its descriptors on to the server, so the log gets them and nobody waits.
        run([BIN + "/pg_ctl", "-D", data, "-l", os.path.join(folder, "log"), "-w", "-t", "60", "start"])
    with open(note, encoding="ascii") as source:
        return int(source.read())


def running(folder):
    data = os.path.join(folder, "data")
    return subprocess.run(as_postgres([BIN + "/pg_ctl", "-D", data, "status"]), cwd="/", check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def stop(folder, remove=False):
    folder = os.path.abspath(folder)
    if running(folder):
        run([BIN + "/pg_ctl", "-D", os.path.join(folder, "data"), "-m", "fast", "-w", "stop"])
    if remove:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments):
    parser = argparse.ArgumentParser(prog="pg", description="A throw-away PostgreSQL cluster.")
    parser.add_argument("command", choices=("start", "stop"))
    parser.add_argument("dir", help="holds data/, the socket, log and port")
    parser.add_argument("--port", type=int, default=0, help="default: a free one, kept in DIR/port")
    parser.add_argument("--durable", action="store_true", help="fsync on, for power-cut tests")
    parser.add_argument("--connections", type=int, default=400)
    parser.add_argument("--remove", action="store_true", help="stop: removes DIR as well")
    chosen = parser.parse_args(arguments)
    if chosen.command == "start":
        port = start(chosen.dir, chosen.port, chosen.durable, chosen.connections)
        print(f"socket={os.path.abspath(chosen.dir)} port={port}")
    else:
        stop(chosen.dir, chosen.remove)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
