"""Makes tests/unit/windows/cases.txt, the table of windows and freezes in local time.   windows.py SOURCE [--write]

An oracle of its own: it reads the tz database with Python's zoneinfo and counts in spans of instants; nothing here is
taken from the product. Without zoneinfo's data nothing is compared, and it says so."""
import pathlib
import sys
from datetime import date, datetime, timedelta, timezone

try:
    import zoneinfo
    zoneinfo.ZoneInfo("Australia/Lord_Howe")
except (ImportError, KeyError, OSError) as problem:
    print(f"skipped: no zoneinfo with tz data here: {problem}")
    sys.exit(77)

UTC, MINUTE, DAY = timezone.utc, 60, 86400
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ESTIMATE = 30  # minutes, where a case says nothing else
NEAR = 2 * MINUTE  # an agent's clock may differ so much


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC).timestamp())


def text(at: int) -> str:
    form = "%Y-%m-%dT%H:%M:%S" if at % MINUTE else "%Y-%m-%dT%H:%M" if at % DAY else "%Y-%m-%d"
    return datetime.fromtimestamp(at, UTC).strftime(form)


def span(a: int, b: int) -> str:
    return f"{text(a)} +{(b - a) // MINUTE}" if (b - a) % MINUTE == 0 else f"{text(a)} {text(b)}"


def meant(zone: str, wall: datetime) -> int:
    """The first instant at which the zone's clock shows `wall` or has jumped over it."""
    info = zoneinfo.ZoneInfo(zone)
    first = wall.replace(tzinfo=info, fold=0).astimezone(UTC)
    if first.astimezone(info).replace(tzinfo=None) == wall:
        return int(first.timestamp())
    begin = int(wall.replace(tzinfo=UTC).timestamp()) - 27 * 3600
    for at in range(begin, begin + 54 * 3600, MINUTE):
        if datetime.fromtimestamp(at, UTC).astimezone(info).replace(tzinfo=None) >= wall:
            return at
    raise ValueError(f"{zone} never shows {wall}")


def merged(spans: list) -> list:
    out: list = []
    for begin, end in sorted(spans):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        elif begin < end:
            out.append((begin, end))
    return out


def both(one: list, two: list) -> list:
    return merged([(max(a, c), min(b, d)) for a, b in one for c, d in two if max(a, c) < min(b, d)])


def without(spans: list, cuts: list) -> list:
    far = (-10**12, 10**12)
    edges = [far[0]] + [edge for cut in merged(cuts) for edge in cut] + [far[1]]
    return both(spans, list(zip(edges[::2], edges[1::2])))


def openings(rule: str, begin: int, end: int) -> list:
    zone, days, clock, minutes = rule.split()
    wanted = DAYS if days == "daily" else days.split(",")
    length, out = int(minutes) * MINUTE, []
    day = datetime.fromtimestamp(begin - length, UTC).date() - timedelta(days=3)
    while day <= datetime.fromtimestamp(end, UTC).date() + timedelta(days=3):
        if DAYS[day.weekday()] in wanted:
            at = meant(zone, datetime.fromisoformat(f"{day}T{clock}"))
            if at + length > begin and at < end:
                out.append((at, at + length))
        day += timedelta(days=1)
    return out


def frozen(freeze: str) -> tuple:
    zone, begin, end = freeze.split()
    wall = datetime.fromisoformat(end) + timedelta(days="T" not in end)
    last = wall.replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=1)  # a time of day ends where it is shown last
    until = meant(zone, wall)
    return meant(zone, datetime.fromisoformat(begin)), max(until, int(last.timestamp())) if "T" in end else until


class Case:
    def __init__(self, name, plan, stage=(), site=(), freezes=(), holds=(), estimate=ESTIMATE, look=True):
        self.name, self.stage, self.site = name, list(stage), list(site)
        self.begin, self.end = map(instant, plan.split())
        self.freezes, self.estimate, self.look = list(freezes), estimate * MINUTE, look
        self.holds = [tuple(map(instant, hold.split())) for hold in holds]

    def starts(self, spans: list) -> list:
        """First and last instants at which something of the estimate may start."""
        return [(a, b, b - self.estimate) for a, b in spans if b - a >= self.estimate]

    def lines(self) -> list:
        opens = {kind: merged([one for rule in rules for one in openings(rule, self.begin, self.end)])
                 for kind, rules in (("stage", self.stage), ("site", self.site))}
        far = [(-10**11, 10**11)]
        windows = both(opens["stage"] if self.stage else far, opens["site"] if self.site else far)
        freezes = [frozen(freeze) for freeze in self.freezes]
        signed = self.starts(without(windows, freezes))
        real = self.starts(without(windows, freezes + self.holds))
        first = [max(a, self.begin) for a, _, last in signed if max(a, self.begin) <= last and
                 max(a, self.begin) < self.end]
        out = [f"case {self.name}", f"plan {text(self.begin)} {text(self.end)}"]
        for kind, rules in (("stage", self.stage), ("site", self.site)):
            out += [f"{kind} {rule}" for rule in rules]
            out += [f"{kind}-open {span(a, b)}" for a, b in opens[kind]]
        for freeze, (a, b) in zip(self.freezes, freezes):
            out += [f"freeze {freeze}", f"frozen {span(a, b)}"]
        out += [f"hold {span(a, b)}" for a, b in self.holds]
        out += [f"estimate {self.estimate // MINUTE}"] if self.estimate != ESTIMATE * MINUTE else []
        out += [f"first {text(first[0]) if first else '-'}"]
        for at in self.probes(windows, freezes):
            piece = next(((a, b) for a, b, last in real if at <= last), None)
            start = max(at, piece[0]) if piece else None
            until = piece[1] if piece and piece[1] < 10**11 else None
            agent = "near"
            if any(a <= at <= last for a, _, last in signed):
                agent = "yes"
            elif not any(a - NEAR <= at <= b - self.estimate + NEAR for a, b in without(windows, freezes)):
                agent = "no"
            start = "-" if start is None else "open" if start == at else text(start)
            out.append(f"look {text(at)} {start} {text(until) if until else '-'} {agent}")
        return out

    def probes(self, windows: list, freezes: list) -> list:
        at = set()
        if not self.look:
            return []
        for a, b in windows[:1]:
            if b < 10**11:
                at |= {a - 1, a, b - self.estimate, b - self.estimate + 1, b}
                at |= {a - 10 * MINUTE, b + 10 * MINUTE} if self.site else set()
        for a, b in freezes + self.holds:
            at |= {a - self.estimate, a - self.estimate + 1, b - 1, b}
        return sorted(at)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def families() -> list:
    """Five windows at each change of the clock: beside it, at its edges, in its midst."""
    out = []
    for line in CHANGES.strip().splitlines():
        zone, day, begin, minutes, kind = line.split()
        at = int(begin[:2]) * 60 + int(begin[3:])
        end, when = at + int(minutes), date.fromisoformat(day)
        week = DAYS[when.weekday()]
        plan = f"{when - timedelta(days=2)} {when + timedelta(days=9)}"
        for minute, where in ((at - 1, "before"), (at, "first of"), (at + int(minutes) // 2, "amid"),
                              (end - 1, "last of"), (end, "after")):
            name = f"{zone} {day}: {where} {kind} {begin}-{clock(end % 1440)}"
            on = DAYS[(when.weekday() + minute // 1440) % 7]
            out.append(Case(name, plan, [f"{zone} {on} {clock(minute % 1440)} 150"], look=False))
        out.append(Case(f"{zone} {day}: day of the {kind} frozen", plan, [f"{zone} {week} 00:00 2880"],
                        freezes=[f"{zone} {day} {day}"]))
    return out


# Zone, day, local begin and minutes of what the clock skips (gap) or shows twice (fold).
CHANGES = """
Europe/Berlin 2026-03-29 02:00 60 gap
Europe/Berlin 2026-10-25 02:00 60 fold
Europe/London 2026-03-29 01:00 60 gap
Europe/London 2026-10-25 01:00 60 fold
America/New_York 2026-03-08 02:00 60 gap
America/New_York 2026-11-01 01:00 60 fold
America/St_Johns 2026-03-08 02:00 60 gap
America/St_Johns 2026-11-01 01:00 60 fold
Australia/Sydney 2026-10-04 02:00 60 gap
Australia/Sydney 2026-04-05 02:00 60 fold
Australia/Lord_Howe 2026-10-04 02:00 30 gap
Australia/Lord_Howe 2026-04-05 01:30 30 fold
Pacific/Chatham 2026-09-27 02:45 60 gap
Pacific/Chatham 2026-04-05 02:45 60 fold
America/Santiago 2025-09-07 00:00 60 gap
America/Santiago 2025-04-05 23:00 60 fold
America/Havana 2025-03-09 00:00 60 gap
America/Havana 2025-11-02 00:00 60 fold
Antarctica/Troll 2026-03-29 01:00 120 gap
Antarctica/Troll 2026-10-25 01:00 120 fold
Atlantic/Azores 2025-10-26 00:00 60 fold
Africa/Casablanca 2024-03-10 02:00 60 fold
Africa/Casablanca 2024-04-14 02:00 60 gap
Africa/Cairo 2025-04-25 00:00 60 gap
Africa/Cairo 2024-10-31 23:00 60 fold
Asia/Pyongyang 2018-05-04 23:30 30 gap
America/Caracas 2016-05-01 02:30 30 gap
Europe/Volgograd 2020-12-27 01:00 60 fold
"""

# Name; plan; stage rules; then any of site=, freeze=, hold=, estimate=. Several are parted by ",".
SINGLE = """
Samoa left out 2011-12-30, the Friday's window; 2011-12-28 2012-01-07; Pacific/Apia fri 02:00 60
Samoa, every day over the day left out; 2011-12-28 2012-01-03; Pacific/Apia daily 23:00 90
Samoa, Friday frozen that never was; 2011-12-28 2012-01-03; Pacific/Apia daily 00:00 1440; freeze=Pacific/Apia 2011-12-30 2011-12-30T00:01
Samoa, frozen Thursday to Saturday; 2011-12-28 2012-01-03; Pacific/Apia daily 00:00 1440; freeze=Pacific/Apia 2011-12-29 2011-12-31
Kwajalein left out 1993-08-21; 1993-08-19 1993-08-30; Pacific/Kwajalein sat 12:00 60
Kiritimati left out 1994-12-31; 1994-12-29 1995-01-10; Pacific/Kiritimati daily 06:00 60
Turkey stayed on summer time, October 2016; 2016-10-28 2016-11-08; Europe/Istanbul sun 03:30 60
Turkey stayed on summer time, March 2017; 2017-03-24 2017-04-04; Europe/Istanbul sun 03:30 60
Turkey a fortnight late in 2015; 2015-10-23 2015-11-12; Europe/Istanbul sun 03:30 60
Moscow gave up summer time 2011; 2011-10-28 2011-11-08; Europe/Moscow sun 02:30 60
Moscow's fold of 2014; 2014-10-24 2014-11-04; Europe/Moscow sun 01:30 60
Sao Paulo's last summer time; 2019-02-15 2019-02-27; America/Sao_Paulo sat 23:30 60
Sao Paulo without summer time; 2019-11-01 2019-11-12; America/Sao_Paulo sun 00:00 60
Mexico without summer time; 2023-03-31 2023-04-11; America/Mexico_City sun 02:30 60
Iran without summer time; 2023-03-20 2023-03-24; Asia/Tehran daily 00:30 60
Iran's last gap; 2022-03-20 2022-03-24; Asia/Tehran daily 00:30 60
Jordan stays; 2022-10-27 2022-11-07; Asia/Amman fri 00:30 60
Kazakhstan one zone 2024; 2024-02-28 2024-03-03; Asia/Almaty daily 23:30 60
South Sudan 2021; 2021-01-30 2021-02-03; Africa/Juba sun 23:15 60
Sao Tome there 2018; 2017-12-30 2018-01-03; Africa/Sao_Tome mon 01:15 60
Norfolk moved in 2015; 2015-10-02 2015-10-06; Pacific/Norfolk sun 01:45 60
Norfolk's first summer time; 2019-10-04 2019-10-15; Pacific/Norfolk sun 02:30 60
Bougainville 2014; 2014-12-26 2014-12-30; Pacific/Bougainville sun 02:30 60
Vostok two hours back 2023; 2023-12-16 2023-12-20; Antarctica/Vostok daily 01:00 60
Casey three hours; 2018-03-09 2018-03-13; Antarctica/Casey daily 02:00 60
Kathmandu's quarter of an hour 1986; 1985-12-30 1986-01-03; Asia/Kathmandu daily 00:10 60
Kolkata has no change; 2026-03-27 2026-04-07; Asia/Kolkata sun 02:30 90
Kolkata over midnight; 2026-11-23 2026-12-01; Asia/Kolkata fri 23:00 120
Kathmandu over midnight; 2026-11-23 2026-12-01; Asia/Kathmandu fri 23:50 120
Eucla; 2026-10-02 2026-10-13; Australia/Eucla sun 02:30 60
Adelaide, half hour and gap; 2026-10-02 2026-10-13; Australia/Adelaide sun 02:30 60
Marquesas, half hour west; 2026-11-23 2026-12-01; Pacific/Marquesas sat 22:15 60
Monrovia by seconds; 1972-01-03 1972-01-11; Africa/Monrovia daily 02:00 60
Kiritimati, east of +12; 2026-12-30 2027-01-03; Pacific/Kiritimati daily 00:00 60
Tongatapu, east of +12; 2026-12-30 2027-01-03; Pacific/Tongatapu fri 00:15 60
Auckland's summer, east of +12; 2026-12-30 2027-01-03; Pacific/Auckland fri 00:15 60
Niue, at -11; 2026-12-30 2027-01-03; Pacific/Niue thu 23:45 60
Pago Pago, at -11; 2026-12-30 2027-01-03; Pacific/Pago_Pago thu 23:45 60
Baker Island, west of -11; 2026-12-30 2027-01-03; Etc/GMT+12 thu 23:45 60
Nuuk, new rule 2024; 2024-03-29 2024-04-09; America/Nuuk sat 22:30 60
Nuuk, fold before midnight; 2024-10-25 2024-11-05; America/Nuuk sat 23:30 60
Lebanon's late spring 2023; 2023-03-24 2023-04-04; Asia/Beirut thu,sun 00:30 60
Asuncion keeps summer time; 2025-03-21 2025-04-01; America/Asuncion sat,sun 23:30 60
Saint John's at one past midnight 2010; 2010-11-05 2010-11-16; America/St_Johns sat,sun 23:30 60
Saint John's, the plan ends after a Sunday's first coming; 2010-11-06 2010-11-07T02:45Z; America/St_Johns sun 00:00 60
leap day; 2028-02-27 2028-03-08; Europe/Berlin tue 02:00 60
leap day over midnight; 2028-02-28 2028-03-02; America/New_York tue 23:30 60
leap day frozen; 2028-02-28 2028-03-02; America/New_York daily 00:00 1440; freeze=America/New_York 2028-02-29 2028-02-29
no leap day; 2027-02-27 2027-03-03; Australia/Sydney daily 23:30 60
no leap day in 2100; 2100-02-27 2100-03-03; UTC daily 23:30 60
leap day of 2000; 2000-02-28 2000-03-02; Asia/Kathmandu daily 23:30 60
frozen through February; 2027-02-27 2027-03-03; Europe/Berlin daily 22:00 240; freeze=Europe/Berlin 2027-02-01 2027-02-28
year's end; 2026-12-30 2027-01-03; Europe/Berlin thu 23:30 120
year's end frozen in another zone; 2026-12-28 2027-01-05; America/Los_Angeles daily 15:00 600; freeze=Asia/Tokyo 2026-12-31 2027-01-01
year's end, one second of the year left; 2026-12-31T23:59:59Z 2027-01-02; UTC daily 23:00 120
midnight; 2026-11-23 2026-11-26; UTC daily 00:00 60
midnight to midnight is always; 2026-11-23 2026-11-26; UTC daily 00:00 1440; estimate=2000
midnight to midnight leaves an hour in autumn; 2026-10-24 2026-10-28; Europe/Berlin daily 00:00 1440; estimate=60
midnight to midnight overlaps in spring; 2026-03-28 2026-04-01; Europe/Berlin daily 00:00 1440; estimate=1500
over midnight through the gap; 2026-03-27 2026-03-31; Europe/Berlin sat 22:00 480; estimate=480
over midnight through the fold; 2026-10-23 2026-10-27; Europe/Berlin sat 22:00 480; estimate=480
over midnight, named by its first day; 2026-11-28 2026-11-29; Europe/Berlin fri 22:00 480
two rules that touch; 2026-11-23 2026-11-30; Europe/Berlin fri 22:00 120,Europe/Berlin sat 00:00 120; estimate=240
two rules a minute apart; 2026-11-23 2026-11-30; Europe/Berlin fri 22:00 119,Europe/Berlin sat 00:00 120; estimate=121
two rules touch but not in autumn; 2026-10-23 2026-11-02; Europe/Berlin sun 01:00 120,Europe/Berlin sun 03:00 60; estimate=150
two rules overlap in spring; 2026-03-27 2026-04-06; Europe/Berlin sun 01:00 90,Europe/Berlin sun 02:30 60; estimate=120
two zones; 2026-10-23 2026-11-03; Europe/Berlin sun 02:00 180; site=America/New_York sat 21:00 180
two zones, a week in which one has changed; 2026-10-26 2026-11-09; Europe/Berlin sun 02:00 180; site=America/New_York sat 21:00 180
two zones that never meet; 2026-11-23 2026-11-30; Asia/Tokyo sat 02:00 180; site=America/New_York sat 02:00 180
estimate just fits; 2026-11-23 2026-11-30; Europe/Berlin sat 02:00 60; estimate=60
estimate is a minute too long; 2026-11-23 2026-12-08; Europe/Berlin sat 02:00 60; estimate=61
estimate fits where stage and site meet; 2026-11-23 2026-11-30; UTC sat 02:00 120; site=UTC sat 03:00 120; estimate=60
estimate does not fit where they meet; 2026-11-23 2026-11-30; UTC sat 02:00 120; site=UTC sat 03:00 120; estimate=61
estimate fits before a freeze; 2026-11-27 2026-11-30; UTC sat 02:00 240; freeze=UTC 2026-11-28T03:00 2026-11-28T05:59; estimate=60
estimate does not fit before a freeze; 2026-11-27 2026-11-30; UTC sat 02:00 240; freeze=UTC 2026-11-28T03:00 2026-11-28T05:59; estimate=61
estimate fits after a freeze; 2026-11-27 2026-11-30; UTC sat 02:00 240; freeze=UTC 2026-11-28T02:30 2026-11-28T05:00; estimate=60
estimate does not fit after a freeze; 2026-11-27 2026-11-30; UTC sat 02:00 240; freeze=UTC 2026-11-28T02:30 2026-11-28T05:00; estimate=61
estimate before a freeze without windows; 2026-11-27 2026-11-30; ; freeze=UTC 2026-11-28T02:00 2026-11-28T05:00; estimate=90
freeze over a window's begin; 2026-11-27 2026-11-30; UTC sat 02:00 240; freeze=UTC 2026-11-28 2026-11-28T03:00
freeze over a window's end; 2026-11-27 2026-11-30; UTC sat 02:00 240; freeze=UTC 2026-11-28T05:00 2026-11-29
freeze over the whole window; 2026-11-27 2026-12-08; UTC sat 02:00 240; freeze=UTC 2026-11-28 2026-11-28
freeze of a window's span to the second; 2026-11-27 2026-12-08; UTC sat 02:00 240; freeze=UTC 2026-11-28T02:00 2026-11-28T06:00
freeze ends as the window begins; 2026-11-27 2026-12-08; UTC sat 02:00 240; freeze=UTC 2026-11-27 2026-11-28T02:00
freeze begins as the window ends; 2026-11-27 2026-12-08; UTC sat 02:00 240; freeze=UTC 2026-11-28T06:00 2026-11-29
freezes touch within a window; 2026-11-27 2026-11-30; UTC sat 02:00 480; freeze=UTC 2026-11-28T03:00 2026-11-28T05:00,UTC 2026-11-28T05:00 2026-11-28T07:00
freezes overlap within a window; 2026-11-27 2026-11-30; UTC sat 02:00 480; freeze=UTC 2026-11-28T03:00 2026-11-28T06:00,UTC 2026-11-28T05:00 2026-11-28T07:00
freezes an estimate apart; 2026-11-27 2026-11-30; UTC sat 02:00 480; freeze=UTC 2026-11-28T02:00 2026-11-28T05:00,UTC 2026-11-28T05:30 2026-11-28T09:45
freezes of two days in two zones; 2026-11-27 2026-12-02; UTC daily 00:00 1440; freeze=Asia/Kolkata 2026-11-28 2026-11-28,Pacific/Marquesas 2026-11-28 2026-11-28
freeze begins in the gap; 2026-03-28 2026-03-30; Europe/Berlin sun 00:00 480; freeze=Europe/Berlin 2026-03-29T02:30 2026-03-29T05:00
freeze ends in the gap; 2026-03-28 2026-03-30; Europe/Berlin sun 00:00 480; freeze=Europe/Berlin 2026-03-29T01:00 2026-03-29T02:30
freeze begins in the fold; 2026-10-24 2026-10-26; Europe/Berlin sun 00:00 480; freeze=Europe/Berlin 2026-10-25T02:30 2026-10-25T05:00
freeze ends in the fold; 2026-10-24 2026-10-26; Europe/Berlin sun 00:00 480; freeze=Europe/Berlin 2026-10-25T01:00 2026-10-25T02:30
freeze of the fold's first minutes; 2026-10-24 2026-10-26; Europe/Berlin sun 00:00 480; freeze=Europe/Berlin 2026-10-25T02:00 2026-10-25T02:01
freeze ends at the fold's begin; 2026-10-31 2026-11-02; America/New_York sun 00:00 480; freeze=America/New_York 2026-11-01 2026-11-01T01:00
freeze ends in half an hour's fold; 2026-04-04 2026-04-06; Australia/Lord_Howe sun 00:00 480; freeze=Australia/Lord_Howe 2026-04-05 2026-04-05T01:45
freeze ends in a fold of two hours; 2026-10-24 2026-10-26; Antarctica/Troll sun 00:00 480; freeze=Antarctica/Troll 2026-10-25 2026-10-25T01:10
freeze ends in the fold before midnight; 2025-04-05 2025-04-07; America/Santiago sat 20:00 480; freeze=America/Santiago 2025-04-05 2025-04-05T23:59
freeze ends on the eve of the fold; 2026-10-24 2026-10-26; Europe/Berlin sat 18:00 480; freeze=Europe/Berlin 2026-10-24 2026-10-24T20:00
freeze of the day before midnight comes twice; 2025-11-01 2025-11-03; America/Havana sat 20:00 480; freeze=America/Havana 2025-11-01 2025-11-01
freeze ends after the fold; 2026-10-24 2026-10-26; Europe/Berlin sun 00:00 480; freeze=Europe/Berlin 2026-10-25T01:00 2026-10-25T03:00
freeze over a gap of half an hour; 2026-10-02 2026-10-05; Australia/Lord_Howe sun 00:00 480; freeze=Australia/Lord_Howe 2026-10-04T02:15 2026-10-04T03:00
hold alone; 2026-11-27 2026-11-30; ; hold=2026-11-27T10:00Z 2026-11-28T03:00Z
hold over the window's begin; 2026-11-27 2026-12-08; UTC sat 02:00 240; hold=2026-11-27T10:00Z 2026-11-28T03:00Z
hold leaves just enough; 2026-11-27 2026-11-30; UTC sat 02:00 240; hold=2026-11-27T10:00Z 2026-11-28T05:30Z
hold leaves too little; 2026-11-27 2026-12-08; UTC sat 02:00 240; hold=2026-11-27T10:00Z 2026-11-28T05:31Z
hold ends before freeze; 2026-11-27 2026-11-30; UTC sat 02:00 240; freeze=UTC 2026-11-28T03:00 2026-11-28T05:00; hold=2026-11-27T10:00Z 2026-11-28T04:00Z
freeze ends before hold; 2026-11-27 2026-11-30; UTC sat 02:00 240; freeze=UTC 2026-11-28T00:00 2026-11-28T03:00; hold=2026-11-28T02:30Z 2026-11-28T05:00Z
hold inside a freeze; 2026-11-27 2026-12-08; UTC sat 02:00 240; freeze=UTC 2026-11-28T02:30 2026-11-28T05:00; hold=2026-11-28T03:00Z 2026-11-28T04:00Z
freeze inside a hold; 2026-11-27 2026-12-08; UTC sat 02:00 240; freeze=UTC 2026-11-28T03:00 2026-11-28T04:00; hold=2026-11-28T02:30Z 2026-11-28T05:00Z
freeze and hold touch; 2026-11-27 2026-12-08; UTC sat 02:00 240; freeze=UTC 2026-11-28T02:30 2026-11-28T04:00; hold=2026-11-28T04:00Z 2026-11-28T05:00Z
too little between them; 2026-11-27 2026-11-30; UTC sat 02:00 240; freeze=UTC 2026-11-28T02:00 2026-11-28T04:00; hold=2026-11-28T04:29Z 2026-11-28T05:45Z
plan expires as the window begins; 2026-11-27 2026-11-28T02:00Z; UTC sat 02:00 240
plan expires a second after the window begins; 2026-11-27 2026-11-28T02:00:01Z; UTC sat 02:00 240
plan expires within the window, the start counts; 2026-11-28T03:00Z 2026-11-28T03:01Z; UTC sat 02:00 240
plan begins as the window ends; 2026-11-28T06:00Z 2026-11-29; UTC sat 02:00 240
plan begins a second before the window ends; 2026-11-28T05:59:59Z 2026-11-29; UTC sat 02:00 240
plan begins with just enough left; 2026-11-28T05:30Z 2026-11-29; UTC sat 02:00 240
plan begins a second too late; 2026-11-28T05:30:01Z 2026-11-29; UTC sat 02:00 240
plan expires before the freeze ends; 2026-11-28T03:00Z 2026-11-28T05:00Z; UTC sat 02:00 240; freeze=UTC 2026-11-28T02:30 2026-11-28T05:00
plan expires a second after the freeze; 2026-11-28T03:00Z 2026-11-28T05:00:01Z; UTC sat 02:00 240; freeze=UTC 2026-11-28T02:30 2026-11-28T05:00
plan expires in the gap; 2026-03-28 2026-03-29T01:00Z; Europe/Berlin sun 02:30 60
plan expires between the two comings; 2026-10-24 2026-10-25T01:00Z; Europe/Berlin sun 02:30 60
plan begins between the two comings; 2026-10-25T01:00Z 2026-10-27; Europe/Berlin sun 02:30 60
plan begins after the first coming's window; 2026-10-25T01:30Z 2026-11-02; Europe/Berlin sun 02:30 60
a window of a week; 2026-10-22 2026-10-28; Europe/Berlin mon 00:00 10080
"""


def singles() -> list:
    out = []
    for line in SINGLE.strip().splitlines():
        name, plan, stage, *more = [part.strip() for part in line.split(";")]
        options = dict(part.split("=", 1) for part in more)
        parts = {key: options.get(key, "").split(",") if options.get(key) else [] for key in ("freeze", "hold")}
        # Days of a rule are parted by "," too: a rule has four words.
        out.append(Case(name, plan, rules(stage), rules(options.get("site", "")), parts["freeze"], parts["hold"],
                        int(options.get("estimate", ESTIMATE)), look=bool(more)))
    return out


def rules(several: str) -> list:
    words = several.split()
    out, rule = [], []
    for word in words:
        if len(rule) == 3:
            minutes, _, zone = word.partition(",")
            out.append(" ".join(rule + [minutes]))
            rule = [zone] if zone else []
        else:
            rule.append(word)
    return out


def main() -> int:
    path = pathlib.Path(sys.argv[1], "tests/unit/windows/cases.txt")
    cases = families() + singles()
    made = "# Made by tests/tidy/windows.py --write; what each line means stands in cases.h.\n"
    made += "\n".join("\n".join(case.lines()) for case in cases) + "\n"
    if "--write" in sys.argv[2:]:
        path.write_text(made)
        return 0
    if path.is_file() and path.read_text() == made:
        return 0
    print(f"{path}: is not what the oracle says (or the tz database has changed); write it with\n"
          f"  python3 tests/tidy/windows.py {sys.argv[1]} --write")
    return 1


sys.exit(main())
