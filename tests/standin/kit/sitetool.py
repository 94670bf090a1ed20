"""Makes a finished site: installation, home and database (facts 1 and 4.1), and handles it."""
import argparse
import concurrent.futures
import json
import os
import pwd
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

from light import effects, tasks
from . import database, distro, jars, licences, versions

OWN = ("root", "name", "db", "db_password", "http_port", "shutdown_port", "effects")     # what copies do not share
OLD = 1714557600        # 2024-05-01: files of a site that has been running for years


def put(path, data, mode=0o640, age=0):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(path, mode)
    os.utime(path, ns=((OLD - age) * 10 ** 9 + age % 1000 * 1001,) * 2)


def edit(path, *pairs):
    """Changes a shipped file as a customer would; each text must be there."""
    with open(path, encoding="utf-8") as source:
        text = source.read()
    for old, new in pairs:
        if old not in text:
            raise SystemExit(f"{path} does not hold {old!r}")
        text = text.replace(old, new, 1)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def edit_whole(path, text):
    """The same file, with its mode and owner, and another text."""
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def install(site, version):
    """Unpacks the archive of a version and customises it (facts 5.2 points 5 to 8)."""
    with tempfile.TemporaryDirectory(dir=site.folder) as folder:
        archive = distro.build(version, site.form, folder, site.installer, site.light_weight)
        with tarfile.open(archive) as packed:
            packed.extractall(folder)
        os.rename(os.path.join(folder, f"atlassian-confluence-{version}"), site.install)
    web = os.path.join(site.install, "confluence", "WEB-INF")
    edit(os.path.join(site.install, "conf/server.xml"),
         ('<Server port="8000"', f'<Server port="{site.shutdown_port}"'),
         ('<Connector port="8090"', f'<Connector port="{site.http_port}" address="127.0.0.1"'),
         ('URIEncoding="UTF-8"', 'URIEncoding="UTF-8" scheme="https" secure="true" '
          f'proxyName="{site.name}.example.test" proxyPort="443"'))
    lines = ['CATALINA_OPTS="-Xms64m -Xmx192m ${CATALINA_OPTS}"',
             'CATALINA_OPTS="-Dconfluence.upgrade.recovery.file.enabled=true ${CATALINA_OPTS}"',
             f'CATALINA_OPTS="-Duser.timezone=Europe/Berlin -Dexample.site={site.name} ${{CATALINA_OPTS}}"']
    if site.java8_flags:
        lines.append('CATALINA_OPTS="-XX:MaxPermSize=256m -XX:+UseConcMarkSweepGC ${CATALINA_OPTS}"')
    edit(os.path.join(site.install, "bin/setenv.sh"), ("-Xms1024m -Xmx1024m ", ""),
         ("export CATALINA_OPTS\n", "\n".join(lines) + "\n\nexport CATALINA_OPTS\n"))
    if site.user:
        edit(os.path.join(site.install, "bin/user.sh"), ('CONF_USER=""', f'CONF_USER="{site.user}"'))
    edit(os.path.join(web, "classes/seraph-config.xml"),
         ("com.atlassian.confluence.user.ConfluenceAuthenticator", "com.example.sso.Authenticator"))
    edit(os.path.join(web, "web.xml"), ("<session-timeout>60<", "<session-timeout>240<"))
    edit(os.path.join(web, "classes/confluence-init.properties"),
         ("# NOTE for WINDOWS", f"confluence.home={site.home}\n\n# NOTE for WINDOWS"))
    put(os.path.join(web, "lib/example-sso-1.3.jar"),
        jars.app("com.example.sso.filter", "SSO filter", "1.3", OLD, generation=1), 0o644)
    edit(os.path.join(site.install, "confluence/decorators/main.vm"), ("<html>", "<html><!-- our banner -->"))
    if site.installer:
        edit(os.path.join(site.install, ".install4j/response.varfile"),
             ("/var/atlassian/application-data/confluence", site.home), ("/opt/atlassian/confluence", site.install),
             ("httpPort$Long=8090", f"httpPort$Long={site.http_port}"),
             ("rmiPort$Long=8000", f"rmiPort$Long={site.shutdown_port}"))
        # The reason why the keystore must be kept: somebody imported a certificate.
        with open(os.path.join(site.install, "jre/lib/security/cacerts"), "ab") as out:
            out.write(b"imported-certificate-of-" + site.name.encode())


def configuration(site, info, server_id):
    """confluence.cfg.xml in the forms 2 and 5 of facts 1.4."""
    dice = random.Random(site.seed)
    key = "".join(dice.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") for _ in range(432))
    url = f"jdbc:postgresql://127.0.0.1:{site.pg_port}/{site.db}"
    pairs = {
        "access.mode": "READ_WRITE", "atlassian.license.message": site.licence,
        "attachments.dir": "${confluenceHome}/attachments", "confluence.database.connection.type": "database-type-standard",
        "confluence.setup.server.id": server_id, "confluence.webapp.context.path": "",
        "hibernate.connection.driver_class": "org.postgresql.Driver", "hibernate.connection.isolation": "2",
        "hibernate.connection.password": site.db_password, "hibernate.connection.url": url,
        "hibernate.connection.username": site.db_user, "hibernate.setup": "true",
        "hibernate.database.lower_non_ascii_supported": "true",
        "jwt.private.key": key, "jwt.public.key": key[:216], "lucene.index.dir": "${localHome}/index",
        "struts.multipart.saveDir": "${localHome}/temp", "synchrony.btf": "true", "synchrony.proxy.enabled": "true",
        "synchrony.encryption.disabled": "true"}
    if info["java"] == 8:
        pairs.update({"hibernate.dialect": "com.atlassian.confluence.impl.hibernate.dialect.PostgreSQLDialect",
                      "hibernate.c3p0.acquire_increment": "1", "hibernate.c3p0.max_size": "60",
                      "hibernate.c3p0.min_size": "20", "hibernate.c3p0.timeout": "30",
                      "hibernate.c3p0.preferredTestQuery": "select 1", "hibernate.c3p0.validate": "true"})
    else:
        pairs.update({"confluence.database.choice": "postgresql",
                      "hibernate.dialect": "com.atlassian.confluence.impl.hibernate.dialect.PostgreSQLDialect",
                      "hibernate.hikari.idleTimeout": "30000", "hibernate.hikari.maximumPoolSize": "60",
                      "hibernate.hikari.minimumIdle": "20", "hibernate.hikari.registerMbeans": "true"})
    def escape(text):
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = "".join(f'    <property name="{name}">{escape(pairs[name])}</property>\n' for name in sorted(pairs))
    return ('<?xml version="1.0" encoding="UTF-8"?>\n\n<confluence-configuration>\n'
            "  <setupStep>complete</setupStep>\n  <setupType>custom</setupType>\n"
            f"  <buildNumber>{info['build']}</buildNumber>\n  <properties>\n{body}  </properties>\n"
            "</confluence-configuration>\n")


def home(site, info, content, server_id):
    """The home of facts 1.5, with files that match the rows."""
    base = site.home
    put(os.path.join(base, "confluence.cfg.xml"), configuration(site, info, server_id), 0o600)
    put(os.path.join(base, "shared-home/confluence.cfg.xml"),
        '<?xml version="1.0" encoding="UTF-8"?>\n\n<confluence-configuration>\n  <setupStep>complete</setupStep>\n'
        f"  <setupType>custom</setupType>\n  <buildNumber>{info['build']}</buildNumber>\n  <properties>\n"
        f'    <property name="access.mode">READ_WRITE</property>\n'
        f'    <property name="confluence.setup.server.id">{server_id}</property>\n  </properties>\n'
        "</confluence-configuration>\n", 0o600)
    put(os.path.join(base, "shared-home/config/cache-settings-overrides.properties"), "replicate.caches=false\n")
    for number, version, space, page, _, data in content.attachments:
        put(os.path.join(base, effects.v3_path(space, page, number, version)), data, age=number % 9999)
    lines = [f"{number}\t{title}\t{' '.join(sorted(set(re.findall(r'[a-z]+', (title + ' ' + text).lower()))))}\n"
             for number, _, title, text in content.pages]
    put(os.path.join(base, "index/segments.idx"), "".join(lines))
    put(os.path.join(base, "index/write.lock"), "")
    put(os.path.join(base, "journal/main_index"), "5817\n")
    for name, data in content.apps:
        put(os.path.join(base, "plugins-cache", name), data)
    put(os.path.join(base, "plugins-osgi-cache/felix/bundle0/bundle.id"), "0")
    put(os.path.join(base, "bundled-plugins/extracted.properties"), f"version={site.version}\n")
    put(os.path.join(base, "thumbnails/ver003/8.png"), b"\x89PNG")
    put(os.path.join(base, "thumbnails/9.png"), b"\x89PNG")
    put(os.path.join(base, "backups/backup-2024_04_30.zip"), random.Random(site.seed).randbytes(30000))
    put(os.path.join(base, "logs/atlassian-confluence.log"),
        "2024-05-01 10:00:00,000 INFO [main] [com.atlassian.confluence.lifecycle] init Confluence is ready to serve\n")
    put(os.path.join(base, "config/ehcache.properties"), "old=1\n")
    for name in ("temp", "webresource-temp", "viewfile", "export", "import", "restore", "recovery", "plugins-temp"):
        os.makedirs(os.path.join(base, name), exist_ok=True)
    put(os.path.join(base, "resources/notes with spaces & ümlaut.txt"), "kept\n")
    os.symlink("backups", os.path.join(base, "backups-link"))
    os.link(os.path.join(base, "resources/notes with spaces & ümlaut.txt"), os.path.join(base, "resources/second-name.txt"))
    for text in distro.task_texts(info["build"]).values():
        for kind, name in tasks.parse(text).steps:
            if kind == "files":
                effects.EFFECTS[name](base)
    put(os.path.join(base, "standin.properties"), switches(site))


def switches(site):
    return ("# Switches of the stand-in; see tests/standin/README.md. The running program never writes here.\n"
            f"safety.seconds={site.safety}\npool.size={site.pool}\n" + (f"effects.file={site.effects}\n" if site.effects else ""))


def hand_over(site):
    """Everything belongs to the run user, as after a chown -R."""
    if os.geteuid() != 0 or not site.user:
        return
    user = pwd.getpwnam(site.user)
    for top in (site.install, site.home):
        for folder, names, files in os.walk(top):
            for path in [folder] + [os.path.join(folder, name) for name in names + files]:
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    touch_effects(site)


def touch_effects(site):
    """The run user cannot make files beside its home."""
    if site.effects:
        with open(site.effects, "a", encoding="ascii"):
            pass
        if os.geteuid() == 0 and site.user:
            user = pwd.getpwnam(site.user)
            os.chown(site.effects, user.pw_uid, user.pw_gid)


def ready(site):
    """Paths made absolute, server id and licence made up."""
    site.pg_socket = os.path.abspath(site.pg_socket)
    site.effects = site.effects and os.path.abspath(site.effects)
    if os.path.exists(site.install):
        raise SystemExit(f"{site.install} is there already")
    os.makedirs(site.folder, exist_ok=True)
    letters = random.Random(f"id{site.seed}{site.name}")
    server_id = "-".join("".join(letters.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for _ in range(4))
                         for _ in range(4))
    site.licence = site.licence or licences.confluence(server_id, site.licence_until, not site.server_licence)
    return server_id


class Site:
    """What `site create` was asked for; kept in DIR/NAME/site.json, without the password."""

    def __init__(self, **values):
        self.__dict__.update(values)
        self.folder = os.path.join(os.path.abspath(self.root), self.name)
        self.install = os.path.join(self.folder, "install")
        self.home = os.path.join(self.folder, "home")


def create(**values):
    defaults = {"form": "light", "user": None, "installer": False, "seed": 1, "size": "small", "createdb": True,
                "java8_flags": False, "safety": "30", "effects": None, "pool": 3, "licence": None, "licence_until": "2030-12-31",
                "server_licence": False, "light_weight": False}
    site = Site(**dict(defaults, **values))
    server_id = ready(site)
    info = versions.info(site.version)
    database.create(site)
    real = database.load_schema(site)
    content = database.fill(site, info, server_id)
    install(site, site.version)
    # Tomcat makes these two at its first start, which was years ago.
    os.makedirs(os.path.join(site.install, "conf/Standalone/localhost"), mode=0o750)
    home(site, info, content, server_id)
    hand_over(site)
    about = {key: value for key, value in vars(site).items() if key not in ("db_password", "licence")}
    about["schema"] = "confluence-6.0.1.sql" if real else "built-in"
    about["pages"] = [page[0] for page in content.pages[:5]]
    about["attachment"] = list(content.attachments[-1][3:5])
    about["word"] = content.pages[0][2].split()[0].lower()
    save(about)
    return about


def copy(first, **values):
    """Another site with the contents of one that is stopped, and name, ports, paths, database and server id of its own."""
    site = Site(**dict(first, light_weight=first.get("light_weight", False), licence=None, **values))
    server_id = ready(site)
    database.create(site, first["db"])
    database.rename(site, server_id)
    for name in ("install", "home"):
        subprocess.run(["cp", "-a", first[name], getattr(site, name)], check=True)
    web = os.path.join(site.install, "confluence/WEB-INF")
    edit(os.path.join(site.install, "conf/server.xml"), (f'port="{first["shutdown_port"]}"', f'port="{site.shutdown_port}"'),
         (f'port="{first["http_port"]}"', f'port="{site.http_port}"'), (f'"{first["name"]}.', f'"{site.name}.'))
    edit(os.path.join(site.install, "bin/setenv.sh"), (f"site={first['name']} ", f"site={site.name} "))
    edit(os.path.join(web, "classes/confluence-init.properties"), (first["home"], site.home))
    info = versions.info(site.version)
    edit_whole(os.path.join(site.home, "confluence.cfg.xml"), configuration(site, info, server_id))
    shared = os.path.join(site.home, "shared-home/confluence.cfg.xml")
    with open(shared, encoding="utf-8") as source:
        edit_whole(shared, re.sub(r'(server\.id">)[^<]*', rf"\g<1>{server_id}", source.read()))
    edit_whole(os.path.join(site.home, "standin.properties"), switches(site))
    touch_effects(site)
    about = dict(first, **{key: value for key, value in vars(site).items() if key not in ("db_password", "licence")})
    save(about)
    return about


def swap(about, version):
    """What a person does by hand (facts 5.2): the new installation in the place of the old one.

    The old one is kept beside it as install-VERSION. The service must be stopped.
    """
    site = Site(**about)
    os.rename(site.install, f"{site.install}-{site.version}")
    install(site, version)
    hand_over(site)
    about["version"] = version
    save(about)


def save(about):
    with open(os.path.join(about["folder"], "site.json"), "w", encoding="utf-8") as out:
        json.dump(about, out, indent=1)


def switch(about, **values):
    """Sets switches of the stand-in in the home; a value of None takes one out."""
    path = os.path.join(about["home"], "standin.properties")
    with open(path, encoding="utf-8") as source:
        lines = source.read().splitlines()
    for name, value in values.items():
        name = name.replace("__", ".")
        lines = [line for line in lines if not line.startswith(name + "=")]
        if value is not None:
            lines.append(f"{name}={value}")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")


def load(root, name):
    with open(os.path.join(root, name, "site.json"), encoding="utf-8") as source:
        return json.load(source)


def script(about, name, *arguments):
    """Runs start- or stop-confluence.sh as an operator would."""
    done = subprocess.run([os.path.join(about["install"], "bin", name), *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def fetch(about, path="/status", token=None, timeout=5):
    """Code and body of one GET; code 0 when nobody answers. Redirects are not followed."""
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None
    request = urllib.request.Request(f"http://127.0.0.1:{about['http_port']}{path}")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


def state(about):
    """The state that /status shows, or what there is instead of it."""
    code, body = fetch(about)
    if code in (200, 500) and body[:1] == b"{":
        return json.loads(body)["state"]
    return {0: "DOWN"}.get(code, f"HTTP {code}")


def wait(about, *wanted, seconds=60):
    """Polls until one of the states is there; returns every state that was seen on the way."""
    seen, end = [], time.monotonic() + seconds
    while True:
        now = state(about)
        if not seen or seen[-1] != now:
            seen.append(now)
        if now in wanted:
            return seen
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {wanted}, saw {seen}")
        time.sleep(0.02)


def main(arguments):
    parser = argparse.ArgumentParser(prog="site", description="Finished sites of the stand-in.")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("create")
    for name in ("root", "name", "pg-socket", "db", "db-user", "db-password"):
        make.add_argument("--" + name, required=True)
    for name in ("pg-port", "http-port", "shutdown-port"):
        make.add_argument("--" + name, required=True, type=int)
    make.add_argument("--version", required=True, choices=sorted(versions.VERSIONS))
    make.add_argument("--form", choices=("tomcat", "light"), default="light")
    make.add_argument("--user", help="run user; owns installation and home when made as root")
    make.add_argument("--installer", action="store_true", help="as the installer leaves it: jre/, .install4j")
    make.add_argument("--seed", type=int, default=1)
    make.add_argument("--size", choices=("small", "medium"), default="small")
    make.add_argument("--no-createdb", dest="createdb", action="store_false", help="role without CREATEDB")
    make.add_argument("--java8-flags", action="store_true", help="setenv.sh with flags that Java 17 refuses")
    make.add_argument("--safety", default="30", help="seconds between two safety numbers")
    make.add_argument("--count", type=int, default=1, help="that many: NAME1, NAME2 …, copies of the first; ports two apart")
    make.add_argument("--small", dest="light_weight", action="store_true",
                      help="a small distribution and the built-in schema, where hundreds of sites are wanted")
    make.add_argument("--pool", type=int, default=3, help="database connections; 1 where hundreds of sites run")
    make.add_argument("--effects", help="file that gets one line per effect; with --count a folder of NAME.effects")
    make.add_argument("--licence-until", default="2030-12-31", help="maintenance expiry date")
    make.add_argument("--server-licence", action="store_true", help="a licence without Data Center")
    for name in ("start", "stop", "status", "swap"):
        other = commands.add_parser(name)
        other.add_argument("name")
        other.add_argument("--root", required=True)
        if name == "swap":
            other.add_argument("version", choices=sorted(versions.VERSIONS), help="put in by hand, with customisations")
        other.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="start: until RUNNING or ERROR")
    chosen = vars(parser.parse_args(arguments))
    command = chosen.pop("command")
    if command == "create":
        count, copies = chosen.pop("count"), []
        for number in range(count):
            values = dict(chosen)
            if count > 1:
                values.update(name=f"{chosen['name']}{number + 1}", db=f"{chosen['db']}{number + 1}",
                              http_port=chosen["http_port"] + 2 * number,
                              shutdown_port=chosen["shutdown_port"] + 2 * number)
                if values["effects"]:
                    values["effects"] = os.path.join(values["effects"], values["name"] + ".effects")
            if number == 0:
                first = about = create(**values)
            else:
                copies.append({key: values[key] for key in OWN})
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as several:
            for made in [first, *several.map(lambda own: copy(first, **own), copies)]:
                print(f"site={made['folder']} schema={made['schema']}")
        if about["schema"] == "built-in":
            print("note: the real 6.0.1 dump is not at hand; the smaller built-in schema was used")
        return 0
    about = load(chosen["root"], chosen["name"])
    if command == "status":
        print(state(about))
        return 0
    if command == "swap":
        swap(about, chosen["version"])
        return 0
    code, text = script(about, f"{command}-confluence.sh")
    sys.stdout.write(text)
    if command == "start" and code == 0 and chosen["wait"]:
        print(" -> ".join(wait(about, "RUNNING", "ERROR", seconds=chosen["wait"])))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
