#!/usr/bin/python3 -B
"""Rollouts over a broken network, with real processes on hosts of their own: scripts/long network N.

Each rollout has twenty light sites on twenty servers. Most links are cut once, just before or just after a message of one kind: both
ways or one way, shortly (TCP delivers late), with the connection lost on the agent's side, or until both ends give it up. A few lose 30 %
of all packets in each direction all the time; a few lead through a relay that delays, splits, cuts inside a frame, and delivers what a dead
connection had said after its successor has spoken. The result must be that of a calm network: each site by its own words upgraded
once, or back where its upgrade was made to fail, or where a person took it back; each step done once; each report in the store.

A cell is KIND/POSITION/WAY/MANNER; the seed deals them out, each once before any comes twice. At the end the hits of every cell that
was dealt are printed, and one without a hit is a violation. Kinds come from proto/confleet.proto: one that is not known here fails.
"""
import argparse
import os
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import fleet as harness  # noqa: E402
import long  # noqa: E402
import netfleet  # noqa: E402
import wire  # noqa: E402

OLD, NEW = 9109, 9116
SITES, LOSSY, RELAYED = 20, 2, 3     # of the rest each link is cut once
HANG_S = 400

# Who sends what: up from an agent, down to it; by operators, whose link has cells of its own.
WAYS = {"hello": ("up",), "welcome": ("down",), "heartbeat": ("up", "down"), "enrol": ("up",), "enrolled": ("down",), "order": ("down",),
        "order_ack": ("up",), "event": ("up",), "event_ack": ("down",), "request": ("ask",), "reply": ("answer",)}
BULK_WAYS = {"get": ("up",), "chunk": ("down", "ask"), "put": ("ask",), "more": ("answer",), "done": ("answer",)}
# Kinds that have no cell, and why.
NONE = {"refusal": "nothing follows it: the connection is given up (tests/e2e/test_network.py hears it)",
        "order.survey": "no controller sends it: agents look by themselves",
        "bulk.refusal": "as refusal"}
JOBS = {"order.backup", "order.verify", "order.restore"}
MANNERS = [(way, manner) for way in ("both", "out", "in") for manner in ("late", "lost")] + [("both", "silent")]
MANY = {"event.step": 12, "event.progress": 6, "event.run": 2, "event_ack": 12, "heartbeat.up": 6, "heartbeat.down": 6, "event.log": 3}


def kinds():
    """{name: (way, link, body, what)} of all that crosses a link, from the .proto; one that nobody placed here is an error."""
    found = {}
    for message, link, ways in (("Frame", "c", WAYS), ("BulkFrame", "b", BULK_WAYS)):
        for body, (number, inner, _) in wire.MESSAGES[message].items():
            base = body if link == "c" else "bulk." + body
            if base in NONE:
                continue
            assert body in ways, f"proto: nobody has said in tests/fault/network.py who sends {body}"
            whats = [(f".{name}", n) for name, (n, _, _) in wire.MESSAGES[inner].items() if n >= {"order": 10, "event": 20}[body]] \
                if body in ("order", "event") else [("", 0)]
            for way in ways[body]:
                for suffix, what in whats:
                    name = base + suffix + ("" if len(ways[body]) == 1 else "." + way)
                    if name not in NONE:
                        found[name] = (way, link, number, what)
    return found


KINDS = kinds()


def cells():
    """All of an agent's link, and those of an operator's."""
    both = {True: [], False: []}
    for name, (way, _, _, _) in KINDS.items():
        for position in ("before", "after"):
            for cut, manner in MANNERS:
                if way in ("up", "down") or manner != "silent":       # an operator's command gives up earlier
                    both[way in ("up", "down")].append(f"{name}/{position}/{cut}/{manner}")
    return both[True], both[False]


def rules_of(cell, agent, nth, act):
    """({side: rules}) for the gate: side "agent", "controller" or "operator"."""
    kind, position = cell.split("/")[:2]
    way, link, body, what = KINDS[kind]
    sent = way in ("up", "ask")
    near = "agent" if way in ("up", "down") else "operator"
    here = sent == (position == "before")
    mark = ">" if position == "before" else "<"
    who = "-" if here or near == "operator" else agent
    return {near if here else "controller": [((mark, who, link, body, what, nth), act)]}


class Rollout:
    """One run: what each link suffers is {server: {"cell": C} or {"loss": percent} or {"relay": {...}} or {}}."""

    def __init__(self, fleet, faults, seed, operator_cells=(), failing=()):
        self.fleet, self.faults, self.seed, self.operator_cells, self.failing = fleet, faults, seed, list(operator_cells), set(failing)
        self.hits, self.hosts, self.gated, self.began = {}, list(faults), {}, time.monotonic()
        self.random, self.brief = random.Random(seed), False     # brief: only what a rollout needs

    def say(self, text):
        if os.environ.get("CONFLEET_TOLD"):
            print(f"{time.monotonic() - self.began:6.1f} s  {text}", file=sys.stderr, flush=True)

    def hit(self, cell):
        self.hits[cell] = self.hits.get(cell, 0) + 1

    def site(self, host):
        return self.site_of[host]

    def gate_rules(self):
        """What each program's gate has to know; each cell's message is the first of its kind, or one further on."""
        sides = {"controller": []}
        for host, fault in self.faults.items():
            cell = fault.get("cell")
            if not cell:
                continue
            kind, _, way, manner = cell.split("/")
            nth = self.random.randint(1, MANY.get(kind, 1))
            act = self.fleet.cut(host, way, manner, lambda cell=cell: self.hit(cell))
            for side, rules in rules_of(cell, host, nth, act).items():
                sides.setdefault(host if side == "agent" else side, []).extend(rules)
        return sides

    def world(self):
        fleet = self.fleet
        names = fleet.sites_many("s", len(self.hosts))
        self.site_of = dict(zip(self.hosts, names))
        for host in self.failing:
            fleet.fault(self.site(host), NEW, "schema-task")
        rules = self.gate_rules()
        specs = [spec for host in self.hosts for spec in fleet.host(host, self.faults[host].get("relay"))]
        fleet.relays.start(specs)
        fleet.start_controller(rules=rules["controller"] + self.operator_rules())
        configs = {host: fleet.agent_config(host, [fleet.sites[self.site(host)]["dir"]], reserve="8M", drill_dir=f"{fleet.dir}/drills")
                   for host in self.hosts}
        os.makedirs(f"{fleet.dir}/drills", exist_ok=True)
        with ThreadPoolExecutor(4) as several:
            enrolments = [several.submit(fleet.enrol, host, configs[host], rules.get(host, ()) if self.is_enrolment(host) else (), 6)
                          for host in self.hosts]
        for done in enrolments:
            done.result()
        for host in self.hosts:
            fleet.serve(host, self.site(host), configs[host], () if self.is_enrolment(host) else rules.get(host, ()))
        if not self.brief:
            self.lose()
        self.say("all enrolled")
        for host in self.hosts:
            fleet.accept(host)
        for host in self.hosts:
            netfleet.wait_quietly(f"{host} to report its installation", lambda host=host: len(fleet.installations(host)) >= 1, 150, fleet)
        for host in self.hosts:
            fleet.claim(self.site(host), host)
        if self.brief:
            self.lose()
        self.say("all claimed")

    def lose(self):
        for host, fault in self.faults.items():
            if "loss" in fault:
                self.fleet.net.lose(host, fault["loss"])

    def is_enrolment(self, host):
        return self.faults[host].get("cell", "").split("/")[0] in ("enrol", "enrolled")

    def insist(self, what, done, *words, ok=(0,), attempts=6):
        """An operator's command over a link that is cut: what got no answer is asked about, and said again when it was not done."""
        for _ in range(attempts):
            told = self.fleet.cli(*words, ok=None, timeout=120)
            if told.returncode in ok or done():
                return told
        raise AssertionError(f"{what}: status {told.returncode}\n{told.stdout}{told.stderr}")

    def import_release(self):
        fleet = self.fleet
        bulk = [cell for cell in self.operator_cells if cell.startswith("bulk")]
        for version, build, cell in zip(("9.2.21", "9.2.13"), (NEW, OLD), (bulk + [None, None])[:max(1, len(bulk))]):
            artifact = fleet.dist(version, small=True)
            self.at_operator(cell)
            self.insist("import", lambda: False, "release", "import", "--artifact", artifact, "--version", version, "--build", build)
            self.law(len(fleet.store("select version from releases where version=?", version)) == 1, f"release {version} is not there once")
        self.at_operator(None)

    def operator_act(self, cell):
        _, _, way, manner = cell.split("/")
        act = self.fleet.cut("o", way, manner, lambda: self.hit(cell))
        return lambda: act() if self.armed == cell else None

    def operator_rules(self):
        """What the controller's gate has to know of the operator's cells. It tells of each such message, which one counts is decided here."""
        self.armed = None
        return [rule for cell in self.operator_cells for rule in rules_of(cell, None, 0, self.operator_act(cell)).get("controller", ())]

    def at_operator(self, cell):
        """From now on the operator's link is cut at the first message of this cell."""
        self.armed, self.fleet.operator_gate = cell, {}
        if cell:
            rules = rules_of(cell, None, 1, self.operator_act(cell)).get("operator", ())
            self.fleet.operator_gate = self.fleet.gates.put(f"operator-{cell.replace('/', '-')}", rules)

    def jobs(self):
        """What is ordered besides upgrades, on the servers whose cell waits for it; a check of all."""
        fleet = self.fleet
        wanted = {host: fault["cell"].split("/")[0] for host, fault in self.faults.items() if "cell" in fault}
        fleet.cli("check", "--to", "9.2.21", *(self.site(host) for host in self.hosts), ok=None, timeout=200)
        unchecked = fleet.store("select name from sites where checked_ms=0")
        assert not unchecked, f"never checked: {unchecked}"

        def work(host, kind):
            site = self.site(host)
            fleet.cli("backup", "run", site, timeout=200)
            if kind == "order.verify":
                fleet.cli("backup", "verify", site, timeout=200)
            if kind == "order.restore":
                fleet.cli("backup", "restore", site, "--into", site, timeout=200)
        with ThreadPoolExecutor(4) as several:
            for done in [several.submit(work, host, kind) for host, kind in wanted.items() if kind in JOBS]:
                done.result()

    def upgrade(self):
        fleet = self.fleet
        plan = fleet.plan("all", "9.2.21", {"name": "all", "select": {"env": "production"}, "needs": {"approvals": 0},
                                            "batch": ["rest"] if self.brief else [1, "rest"],
                                            "gate": {"max_failed": len(self.failing)}})
        started = lambda: fleet.store("select id from rollouts")
        self.at_operator(next((cell for cell in self.operator_cells if not cell.startswith("bulk")), None))
        self.insist("apply", started, "apply", plan, "--yes", "--detach")
        self.at_operator(None)
        (rollout,), = started()
        self.say("rollout begins")
        try:
            netfleet.wait_quietly("the rollout to end", lambda: fleet.store("select state from rollouts")[0][0] in ("done", "halted"), HANG_S, fleet)
        except AssertionError as error:
            raise AssertionError(f"{error}: {fleet.store('select site, agent, state, reason from rollout_sites')}") from None
        self.say("rollout over")
        return rollout

    def take_back(self, rollout):
        back = [host for host in self.hosts if self.faults[host].get("cell", "").startswith("order.decide/")]
        with ThreadPoolExecutor(4) as several:
            for done in [several.submit(self.fleet.cli, "rollback", rollout, "--site", self.site(host), "--yes", "--reason", "test", ok=(0, 5),
                                        timeout=300) for host in back]:
                done.result()
        return set(back)

    def run(self):
        self.world()
        self.import_release()
        if not self.brief:
            self.jobs()
        rollout = self.upgrade()
        back = self.take_back(rollout)
        self.verify(rollout, back)
        for host, fault in self.faults.items():
            if "loss" in fault:
                self.fleet.net.apply(host)
                if not self.fleet.net.dropped[host]:
                    raise long.Violation(f"the network of {host} lost nothing")
                self.hit(f"loss {fault['loss']} %")
        for said in self.fleet.relays.said:
            for what in ("cut", "late"):
                if what in said:
                    self.hit("relay " + what)
            if said.get("mode") == "slow":
                self.hit("relay slow")
        return self.hits

    # --- what must be true in the end

    def law(self, holds, text):
        if not holds:
            raise long.Violation(text)

    def verify(self, rollout, back):
        fleet = self.fleet
        failed = {host for host in self.failing}
        (state, reason), = fleet.store("select state, reason from rollouts where id=?", rollout)
        states = dict(fleet.store("select site, state from rollout_sites where rollout=?", rollout))
        expected = {self.site(host): "rolled-back" if host in failed | back else "committed" for host in self.hosts}
        self.law(state == ("halted" if back else "done") and states == expected,
                 f"rollout {state} ({reason}): " + str({s: (states.get(s), e) for s, e in expected.items() if states.get(s) != e}))
        for host in self.hosts:
            self.verify_site(host, host in failed, host in back)
        held = fleet.store("select name, state from agents where state<>'accepted'")
        self.law(not held, f"agents are not served any more: {held}")
        self.law(fleet.cli("audit", "verify", ok=None).returncode == 0, "the audit's chain is broken")
        there = set(fleet.sql("postgres", "select datname from pg_database where not datistemplate").split())
        self.law(there == set(self.site_of.values()) | {"postgres"}, f"databases that were left: {there}")

    def verify_site(self, host, failed, back):
        fleet, site = self.fleet, self.site(host)
        away = failed or back
        effects = fleet.effects(site)
        told = f"{site} on {host}, {self.faults[host]}: "
        counts = [fleet.count(site, what) for what in ("stop", "start")]
        builds = [int(line.split(" ")[3]) for line in effects if line.split(" ")[1] == "status"]
        # Its failing start ends by itself: then there is nothing to stop on the way back.
        self.law(counts in ([[1, 3], [2, 3]] if away else [[1, 2]]), f"{told}stops and starts {counts}\n" + "\n".join(effects))
        self.law(builds == ([OLD, OLD] if failed else [OLD, NEW, OLD] if back else [OLD, NEW]), f"{told}ran as {builds}")
        self.law(fleet.build_of(site) == (OLD if away else NEW), told + "its database has the wrong build")
        self.law(fleet.status_of(site, host) == "RUNNING", told + "does not run")
        journal = fleet.journal(host)
        for step in {step for step, event in journal if event == "done"}:
            acts = [event for other, event in journal if other == step and event in ("intent", "done", "failed", "undone")]
            self.law(acts[:2] == ["intent", "done"] and acts[2:] in ([], ["intent", "undone"]) and (away or not acts[2:]), f"{told}step {step}: {acts}")
        words = [event for _, event in journal].count("rollback-ordered")
        self.law(words == back, f"{told}told to go back {words} times")
        done = {step for step, event in journal if event in ("done", "soak-over")}
        shown = {step for (step,) in fleet.store("select step from steps where site=? and undo=0 and state=2", site)}
        if not away:
            self.law(done == shown, f"{told}the journal has {sorted(done - shown)} and the store does not, {sorted(shown - done)} the other way")


def relay_of(rng):
    """The first connection enrols. What comes behind these is slow, and nothing worse."""
    return {"seed": rng.randrange(1 << 30), "control": ["slow"] + [rng.choice(("late", "cut", "cut")) for _ in range(4)],
            "bulk": [rng.choice(("cut", "slow")) for _ in range(2)]}


def dealt(number, seed):
    """What the rollout of this number suffers: cells are dealt out in an order that the seed gives."""
    mine, operators = cells()
    random.Random(long.chance(seed, "agents")).shuffle(mine)
    random.Random(long.chance(seed, "operators")).shuffle(operators)
    rng = random.Random(long.chance(seed, number))
    each = SITES - LOSSY - RELAYED
    faults = {}
    for n in range(SITES):
        if n < each:
            faults[f"h{n + 1}"] = {"cell": mine[(number * each + n) % len(mine)]}
        else:
            faults[f"h{n + 1}"] = {"loss": 30} if n < each + LOSSY else {"relay": relay_of(rng)}
    ordinary = [host for host, fault in faults.items() if not fault.get("cell", "").startswith("order.decide/")]
    bulk, talk = ([cell for cell in operators if cell.startswith("bulk") == heavy] for heavy in (True, False))
    mine = [bulk[2 * number % len(bulk)], bulk[(2 * number + 1) % len(bulk)], talk[number % len(talk)]]
    return faults, mine, rng.sample(ordinary[1:], 2)


def one(case, seed):
    number = int(case.split("-")[1])
    faults, operator_cells, failing = dealt(number, seed)
    place = "/dev/shm" if os.path.isdir("/dev/shm") else None
    os.environ["CONFLEET_QUIET"] = "1"
    with netfleet.NetFleet("network", parent=place) as fleet:
        run = Rollout(fleet, faults, long.chance(seed, case), operator_cells, failing)
        try:
            hits = run.run()
        except Exception as error:
            tails = [f"--- {p.log}\n{p.text()[-2500:]}" for p in fleet.processes if any(h in str(error) for h in (p.log.rsplit("agent-")[-1][:-4],))]
            raise type(error)(f"{error}\n" + "\n".join(tails[:3])) from error
    wanted = [fault["cell"] for fault in faults.values() if "cell" in fault] + operator_cells
    return {**{cell: 0 for cell in wanted}, **hits}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rollouts", type=int, nargs="?", help="how many (default: until each cell was dealt out once)")
    parser.add_argument("--cells", action="store_true", help="print the cells and end")
    args = long.arguments(parser).parse_args()
    mine, operators = cells()
    if args.cells:
        print("\n".join(mine + operators))
        return 0
    netfleet.need_hosts()
    each = SITES - LOSSY - RELAYED
    count = args.rollouts or max(-(-len(mine) // each), len(operators) // 3)

    def interrupted(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)      # what was started is ended, however often it is asked for
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        netfleet.abort()
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    try:
        status, counts, ending = long.run("network", [f"rollout-{n}" for n in range(count)], lambda case: one(case, args.seed), args)
    except KeyboardInterrupt:
        return 130
    missed = sorted(cell for cell, hits in counts.items() if not hits)
    for cell in sorted(counts):
        print(f"{counts[cell]:6}  {cell}")
    print(f"{sum(1 for cell in mine + operators if counts.get(cell))} of {len(mine) + len(operators)} cells were hit")
    if missed:
        print(f"never hit though dealt: {', '.join(missed)}")
    print(ending)
    return 1 if status or missed else 0


if __name__ == "__main__":
    sys.exit(main())
