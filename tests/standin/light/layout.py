"""Reads an installation and a home the way the product finds them (facts section 1)."""
import base64
import html
import os
import re
import struct
import urllib.parse
import zipfile
import zlib

from . import tasks


def properties(text):
    """Java .properties, as far as the stand-in's files use them."""
    found = {}
    for line in text.splitlines():
        line = line.strip()
        if line and line[0] not in "#!":
            key, _, value = line.partition("=")
            value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m.group(1), 16)), value.strip())
            found[key.strip()] = re.sub(r"\\(.)", r"\1", value)
    return found


def read_text(path):
    with open(path, encoding="utf-8") as source:
        return source.read()


class Install:
    """One installation directory."""

    def __init__(self, path, options=()):
        self.path = path
        self.options = dict(x[2:].partition("=")[::2] for x in options if x.startswith("-D"))
        libs = os.path.join(path, "confluence", "WEB-INF", "lib")
        jar = next(x for x in sorted(os.listdir(libs)) if re.match(r"confluence-\d.*\.jar$", x))
        with zipfile.ZipFile(os.path.join(libs, jar)) as archive:
            # Facts 1.3: the product reads its own numbers from exactly this class-path entry.
            about = properties(archive.read("com/atlassian/confluence/default.properties").decode())
            self.tasks = [tasks.parse(archive.read(name).decode()) for name in archive.namelist()
                          if name.startswith("standin/tasks/") and name.endswith(".sql")]
        self.version = about["version.number"]
        self.build = int(about["build.number"])
        self.date = about["build.date"]
        self.floor = int(about["upgrade.floor"])
        self.about = about
        self.server = read_text(os.path.join(path, "conf", "server.xml"))

    def home(self):
        """Facts 1.1: -Dconfluence.home wins, else the last line that is not a comment."""
        if self.options.get("confluence.home"):
            return self.options["confluence.home"]
        text = read_text(os.path.join(self.path, "confluence/WEB-INF/classes/confluence-init.properties"))
        return properties(text).get("confluence.home")

    def ports(self):
        """HTTP and shutdown port and context path out of conf/server.xml (facts 1.2)."""
        text = re.sub(r"<!--.*?-->", "", self.server, flags=re.S)
        shutdown = re.search(r'<Server\b[^>]*?\bport="(-?\d+)"', text)
        http = re.search(r'<Connector\b[^>]*?\bport="(\d+)"', text)
        address = re.search(r'<Connector\b[^>]*?\baddress="([^"]+)"', text)
        context = re.search(r'<Context\b[^>]*?\bpath="([^"]*)"[^>]*docBase="\.\./confluence"', text)
        return (int(http.group(1)), int(shutdown.group(1)), context.group(1) if context else "",
                address.group(1) if address else "127.0.0.1")

    def flag(self, name):
        return self.options.get(name)


class Home:
    """One home directory and its confluence.cfg.xml (facts 1.4)."""

    def __init__(self, path):
        self.path = path
        self.cfg_path = os.path.join(path, "confluence.cfg.xml")
        self.cfg = read_text(self.cfg_path) if os.path.exists(self.cfg_path) else ""

    def element(self, name):
        found = re.search(rf"<{name}>([^<]*)</{name}>", self.cfg)
        return found.group(1).strip() if found else None

    def property(self, name):
        """A property with its escapes and placeholders resolved (facts 1.4, last lines)."""
        found = re.search(rf'<property name="{re.escape(name)}">([^<]*)</property>', self.cfg)
        if not found:
            return None
        value = html.unescape(found.group(1))
        return value.replace("${confluenceHome}", self.path).replace("${localHome}", self.path)

    def build(self):
        text = self.element("buildNumber")
        return int(text) if text and text.isdigit() else 0

    def complete(self):
        return self.element("setupStep") == "complete"

    def set_build(self, number, shared=False):
        """Raises the number of the home (facts 4.2 point 7), or of the shared home (point 8)."""
        path = os.path.join(self.path, "shared-home/confluence.cfg.xml") if shared else self.cfg_path
        if not os.path.exists(path):
            return
        text = read_text(path)
        mode, new = os.stat(path).st_mode & 0o7777, path + ".tmp"
        text = re.sub(r"<buildNumber>\d+</buildNumber>", f"<buildNumber>{number}</buildNumber>", text)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(new, mode)
        os.replace(new, path)
        if not shared:
            self.cfg = text

    def database(self):
        """Keywords for a connection out of the JDBC URL."""
        url = self.property("hibernate.connection.url") or ""
        found = re.match(r"jdbc:postgresql://([^:/]+)(?::(\d+))?/([^?]+)", url)
        if not found:
            raise ValueError("Database connection failed: no PostgreSQL URL: " + url)
        return {"host": found.group(1), "port": int(found.group(2) or 5432),
                "dbname": urllib.parse.unquote(found.group(3)),
                "user": self.property("hibernate.connection.username"),
                "password": self.property("hibernate.connection.password")}

    def standin(self):
        """The switches of the stand-in; read only, never written by it."""
        path = os.path.join(self.path, "standin.properties")
        return properties(read_text(path)) if os.path.exists(path) else {}


def licence(text):
    """The properties inside a licence of format version 2 (facts 2.1); ValueError if it is none.

    The signature is not checked: sites of the stand-in carry one that cannot verify.
    """
    text = "".join((text or "").split())
    mark = text.rfind("X02")
    if mark < 0 or int(text[mark + 3:], 31) != mark:
        raise ValueError("Unable to retrieve license.")
    raw = base64.b64decode(text[:mark])
    size = struct.unpack(">I", raw[:4])[0]
    if raw[4:9] != bytes((13, 14, 12, 10, 15)):
        raise ValueError("Unable to retrieve license.")
    return properties(zlib.decompress(raw[9:4 + size]).decode("utf-8"))


def licence_refusal(text, version, date, cluster_only=(8, 6)):
    """Why this licence does not admit this build, or None (facts 2.4)."""
    try:
        found = licence(text)
    except (ValueError, zlib.error, struct.error):
        return "Unable to retrieve license."        # LEGACY_VERSION_1 or unreadable, facts 2.2
    def value(name):
        return found.get("conf." + name) or found.get(name) or ""
    if found.get("conf.active") != "true":
        return "Unable to retrieve license."        # facts 2.3 (d): an app's licence is no host's
    if tuple(int(x) for x in version.split(".")[:2]) >= cluster_only and value("DataCenter") != "true":
        return "License validation failed. LEGACY_SERVER_LICENSE"
    end = value("MaintenanceExpiryDate")
    if re.match(r"\d{4}-\d\d-\d\d$", end) and end < date:
        return f"License validation failed. SUPPORT_EXPIRED {end}"
    return None
