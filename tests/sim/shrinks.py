#!/usr/bin/python3
"""A failure of the simulator becomes a short story, and the command that it prints tells the same one again.

Usage: shrinks.py PROGRAM. The law that is broken is made for this: `--trip N`, no attempt from the N-th on goes back.
"""
import re
import shlex
import subprocess
import sys


def run(program, *words):
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=250)
    if done.returncode not in (0, 1):
        sys.exit(f"{words}: {done.returncode} {done.stderr}")
    return done.stdout


def story(text):
    return [line for line in text.splitlines() if re.match(r" +\d+:", line)]


def main(program):
    told = run(program, "--trip", "1", "--seeds", "400")
    again = re.findall(r"^  again: confleet-sim (.*)$", told, re.M)
    sizes = re.findall(r"^  made smaller: (\d+) faults of (\d+), (\d+) events of (\d+)$", told, re.M)
    stories = told.split("made smaller")
    if not again or len(again) != len(sizes):
        sys.exit("no failure, or one without the command that runs it again:\n" + told[-2000:])
    for command, size, before in zip(again, sizes, stories):
        faults, of_faults, events, of_events = map(int, size)
        print(f"{faults} of {of_faults} faults, {events} of {of_events} events: {command}")
        # Events may become more: without what ended the run early it goes on until its law breaks. What is told are the faults.
        if faults > of_faults or (of_faults > 40 and faults * 4 > of_faults) or (faults == of_faults and events > of_events):
            sys.exit("that is not smaller")
        first = run(program, "--trip", "1", *shlex.split(command))
        if "law 0: no attempt from 1 on goes back" not in first or story(first) != story(before):
            sys.exit("run again it is another story:\n" + first)
        if not re.search(r"^  commit \S+$", first, re.M):
            sys.exit("it does not name the commit:\n" + first)
        if "no law was broken" not in run(program, *shlex.split(command)):
            sys.exit("without the law it is broken all the same")


main(sys.argv[1])
