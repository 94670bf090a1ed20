#!/usr/bin/python3
"""Checks what scripts/demo promises: `demo_promises.py DIR CHECK ARGUMENTS…`, status 0 when it holds, else 1 and why.

States are read from DIR/view.json, which is `confleet rollout status --json`, and from DIR/samples.jsonl, which `watch` has
written all the while. What happened to a site's processes is read from DIR/SITE.effects, which the stand-in writes itself:
nothing that Confleet says is believed there.
"""
import datetime
import json
import os
import subprocess
import sys
import time

TEST, PRODUCTION = "sandbox", ("docs", "legal", "sales", "support")
BATCHES = {"docs": 1, "legal": 2, "sales": 2, "support": 2}  # so many may be down while this one is
TEST_SOAK = 4
IN_FLIGHT = ("ordered", "running", "undoing")


class Effect:
    """A line of the stand-in: time, event, version, build, pid, detail."""

    def __init__(self, line):
        words = line.split()
        self.at = datetime.datetime.fromisoformat(words[0].replace("Z", "+00:00")).timestamp()
        self.event, self.build, self.detail = words[1], int(words[3]), words[5:]


def effects(folder, site):
    with open(os.path.join(folder, site + ".effects"), encoding="utf-8") as f:
        return [Effect(line) for line in f if line.strip()]


def pairs(words):
    return dict(word.split("=") for word in words)


def states(folder, words):
    """SITE=STATE…: exactly these sites, in these states."""
    with open(os.path.join(folder, "view.json"), encoding="utf-8") as f:
        sites = json.load(f)["rollout"]["sites"]
    seen = {s["site"]: s["state"] for s in sites}
    return [] if seen == pairs(words) else [f"wanted {pairs(words)}", f"is     {seen}"]


def quiet(folder, sites):
    """Started once, by the set-up, and never stopped."""
    return [f"{site}: {len(rows)} effects since its start"
            for site in sites for rows in [[e for e in effects(folder, site) if e.event in ("start", "stop")][1:]] if rows]


def stops(folder, words):
    """SITE=COUNT…: so often was it stopped, and each stop was followed by a start."""
    wrong = []
    for site, count in pairs(words).items():
        events = [e.event for e in effects(folder, site) if e.event in ("start", "stop")]
        if events != ["start"] + ["stop", "start"] * int(count):
            wrong.append(f"{site}: {' '.join(events)}")
    return wrong


def builds(folder, words):
    """SITE=BUILD…: the last thing that each said is that it runs with this build."""
    wrong = []
    for site, build in pairs(words).items():
        last = [e for e in effects(folder, site) if e.event == "status"][-1]
        if (last.build, last.detail) != (int(build), ["RUNNING"]):
            wrong.append(f"{site}: {last.detail} with build {last.build}, wanted {build}")
    return wrong


def outages(folder, site):
    """(from, to) of each time that this site did not run."""
    spans, since = [], None
    for effect in effects(folder, site)[1:]:
        if effect.event == "stop":
            since = since or effect.at
        elif effect.event == "status" and effect.detail == ["RUNNING"] and since:
            spans.append((since, effect.at))
            since = None
    return spans + ([(since, time.time())] if since else [])


def samples(folder):
    with open(os.path.join(folder, "samples.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def batches(folder, _):
    """Never more of production down, or at work, than the batch allows; never before the test site had soaked."""
    wrong, spans = [], [(site, *span) for site in PRODUCTION for span in outages(folder, site)]
    for site, start, _ in spans:
        down = sorted({other for other, begin, end in spans if begin <= start < end})
        most = min(BATCHES[name] for name in down)
        if len(down) > most:
            wrong.append(f"{', '.join(down)} were down at once, {most} allowed")
    ready = [end for _, end in outages(folder, TEST)][-1] + TEST_SOAK
    wrong += [f"{site} was stopped {ready - start:.1f} s before the end of the test site's soak" for site, start, _ in spans if start < ready]
    seen = samples(folder)
    if len(seen) < 20:
        wrong.append(f"only {len(seen)} looks at the rollout were taken")
    for look in seen:
        busy = [site for site in PRODUCTION if look.get(site) in IN_FLIGHT]
        if busy and (len(busy) > min(BATCHES[name] for name in busy) or look[TEST] != "committed"):
            wrong.append(f"at once at work: {', '.join(busy)}; {TEST} {look[TEST]}")
    return wrong


def watch(folder, words):
    """Writes each change of the sites' states down, until it is ended."""
    program, path = words
    while True:
        done = subprocess.run([program, "--home", os.path.join(folder, "home-chief"), "rollout", "status", "--watch=false", "--json"],
                              capture_output=True, text=True, check=False)
        try:
            look = {s["site"]: s["state"] for s in json.loads(done.stdout)["rollout"]["sites"]}
        except (ValueError, KeyError):
            look = None
        if look:
            with open(path, "a", encoding="utf-8") as f:
                f.write(json.dumps(look) + "\n")
        time.sleep(0.2)


def main():
    folder, check, words = sys.argv[1], sys.argv[2], sys.argv[3:]
    wrong = {"states": states, "quiet": quiet, "stops": stops, "builds": builds, "batches": batches, "watch": watch}[check](folder, words)
    for line in wrong:
        print(f"  {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
