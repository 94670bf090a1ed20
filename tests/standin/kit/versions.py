"""The versions that can be built, with real numbers (facts section 6 and 7)."""
import datetime
import os
import tempfile

# build: the number in home and database. marketplace: another number, as in the real product
# (facts 9.3). floor: lowest build that can be upgraded directly (facts 6). java: what the
# version ran on (facts 7); the stand-in itself always runs on Java 17, see java8_flags.
VERSIONS = {
    "6.13.4": {"build": 7901, "date": "2019-04-03", "marketplace": 7901, "floor": 5527,
               "commit": "4c5bc8a1e6d2f0b97a35", "synchrony": "2.1.0-release-6.13.4", "java": 8},
    "9.2.13": {"build": 9109, "date": "2025-12-16", "marketplace": 9109, "floor": 7103,
               "commit": "b7d0e36f2a94c1587d6e", "synchrony": "5.0.2-release-9.2.13", "java": 17},
    "9.2.21": {"build": 9116, "date": "2026-06-02", "marketplace": 9116, "floor": 7103,
               "commit": "e19f5c702d8b46a3c0f1", "synchrony": "5.0.4-release-9.2.21", "java": 17},
}


def info(version):
    """The row of one version, or a refusal that names the versions there are."""
    if version not in VERSIONS:
        raise SystemExit(f"no such version: {version} (known: {', '.join(VERSIONS)})")
    return dict(VERSIONS[version], version=version)


def stamp(version):
    """Seconds since the epoch of the build date, noon UTC: the time of every file in it."""
    day = datetime.datetime.fromisoformat(VERSIONS[version]["date"] + "T12:00:00+00:00")
    return int(day.timestamp())


STANDIN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT = os.path.dirname(os.path.dirname(STANDIN))


def cache_dir():
    """Where archives and classes are kept between runs; elsewhere when another user owns that."""
    path = os.environ.get("STANDIN_CACHE") or os.path.join(PROJECT, ".cache", "standin")
    try:
        os.makedirs(path, exist_ok=True)
    except OSError:
        pass
    if os.access(path, os.W_OK):
        return path
    return os.path.join(tempfile.gettempdir(), f"standin-cache-{os.geteuid()}")


def shared_file(*parts):
    """A file of the real data beside the project, or None when it is not at hand."""
    root = os.environ.get("CONFLEET_SHARED") or os.path.join(PROJECT, "..", "shared")
    path = os.path.join(root, "data", *parts)
    return path if os.path.exists(path) else None
