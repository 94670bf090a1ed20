#!/usr/bin/python3
"""Damages the newest backup below a folder that was not proven yet, once. Usage: damage.py BACKUP_DIR ORDER

ORDER is a file `KIND NAME OLD…`: flip, cut, swap, drop or empty, and the file of the backup that it is done to; it is removed by the deed. OLD are
backups that were there before."""
import os
import random
import re
import sys


def unproven(top):
    for folder in os.listdir(top):
        if not os.path.isdir(os.path.join(top, folder)):
            continue
        for name in os.listdir(os.path.join(top, folder)):
            path = os.path.join(top, folder, name)
            if os.path.isfile(path + "/manifest") and not os.path.exists(path + "/proof"):
                yield path


def place(backup, name):
    """The file of that name, or the pack of that name of the backup that this one refers to."""
    path = os.path.join(backup, name)
    if os.path.exists(path):
        return path
    with open(backup + "/manifest", encoding="utf-8", errors="replace") as f:
        found = re.search(rf"^pack tree=\w+ name={re.escape(name)} from=(\S+) ", f.read(), re.M)
    return os.path.join(os.path.dirname(backup), found[1], name)


def main(top, order):
    if not os.path.exists(order):
        return
    with open(order, encoding="ascii") as f:
        kind, name, *old = f.read().split()
    found = sorted(path for path in unproven(top) if os.path.basename(path) not in old)
    if not found:
        return
    path = place(found[-1], name)
    os.unlink(order)
    with open(path, "rb") as f:
        data = bytearray(f.read())
    at = random.Random(20261123).randrange(len(data) // 2)
    if kind == "flip":
        data[at] ^= 1 << at % 8
    elif kind == "cut":
        del data[at:]
    elif kind == "swap":
        half = len(data) // 2
        data = data[half:] + data[:half]
    elif kind == "empty":
        data = b""
    if kind == "drop":
        os.unlink(path)
        return
    with open(path, "wb") as f:
        f.write(data)


main(*sys.argv[1:])
