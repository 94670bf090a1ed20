"""Fills a site's database as it would look after years (facts 4.1)."""
import os
import random
import re
import subprocess

import psycopg2

from light import tasks
from . import distro, jars, versions

ADMIN = "2c948084781aef2b01781af03f920000"
WORDS = """agenda archive backup budget calendar change checklist cluster contract customer decision deploy design
draft escalation feature feedback finance forecast glossary guide handover holiday incident index invoice kickoff
launch legal manual meeting metrics migration network onboarding outage owner payroll permission plan policy portal
process protocol quality release report request review risk roadmap rollout security service site sprint standard
status storage summary survey team template training upgrade vendor version workshop""".split()
APPS = [("com.example.diagrams", "Diagrams", "4.2.1", 90000), ("org.example.calendar", "Team Calendar", "7.0.3-beta2", 40000),
        ("com.example.sso", "Single Sign-On", "5.4.4-EX-21873", 25000)]


class Content:
    """What was written, so that the home can be made to match."""

    def __init__(self):
        self.spaces, self.pages, self.attachments, self.apps = [], [], [], []


def connect(site, user="postgres", password=None, name=None, tcp=False):
    connection = psycopg2.connect(host="127.0.0.1" if tcp else site.pg_socket, port=site.pg_port, user=user,
                                  password=password, dbname=name or "postgres")
    connection.autocommit = True
    return connection


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def create(site, template=None):
    """Roles, database and what belongs to the database itself rather than to its schema."""
    connection = connect(site)
    cursor = connection.cursor()
    owner, name = quoted(site.db_user), quoted(site.db)
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (site.db_user,))
    if not cursor.fetchone():
        cursor.execute(f"CREATE ROLE {owner} LOGIN PASSWORD %s {'CREATEDB' if site.createdb else 'NOCREATEDB'}",
                       (site.db_password,))
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'reporting'")
    if not cursor.fetchone():
        cursor.execute("CREATE ROLE reporting LOGIN PASSWORD 'reporting-secret'")
    how = "STRATEGY file_copy" if connection.server_version >= 150000 else ""
    cursor.execute(f"CREATE DATABASE {name} OWNER {owner} TEMPLATE {quoted(template or 'template0')} "
                   f"ENCODING 'UTF8' {how}")
    cursor.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO reporting")
    cursor.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    cursor.execute(f"ALTER DATABASE {name} SET statement_timeout = '17min'")
    cursor.execute(f"ALTER DATABASE {name} SET default_statistics_target = '137'")
    cursor.execute(f"ALTER ROLE {owner} IN DATABASE {name} SET lock_timeout = '9min'")
    cursor.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 61")
    cursor.execute(f"COMMENT ON DATABASE {name} IS %s", (f"Confluence of {site.name}; ask the wiki team",))
    connection.close()
    if template:
        return
    connection = connect(site, name=site.db)
    connection.cursor().execute(f"GRANT ALL ON SCHEMA public TO {owner}")
    connection.close()


def schema_text(owner, small):
    """The real 6.0.1 dump when it is at hand, else the smaller schema of our own."""
    path = None if small else versions.shared_file("confluence-6.0.1.sql")
    real = path is not None
    with open(path or os.path.join(versions.STANDIN, "schema", "builtin.sql"), encoding="utf-8") as source:
        text = source.read()
    # The dump comes from PostgreSQL 10, which still knew default_with_oids.
    text = re.sub(r"^SET default_with_oids.*$|^CREATE EXTENSION.*$|^COMMENT ON EXTENSION.*$", "", text, flags=re.M)
    text = text.replace("SET client_encoding = 'SQL_ASCII';", "SET client_encoding = 'UTF8';")
    return re.sub(r"OWNER TO confluence\b", f"OWNER TO {quoted(owner)}", text), real


def load_schema(site):
    text, real = schema_text(site.db_user, site.light_weight)
    done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-h", site.pg_socket, "-p", str(site.pg_port),
                           "-U", "postgres", "-d", site.db], input=text.encode(), stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise SystemExit("loading the schema failed:\n" + done.stderr.decode(errors="replace")[:2000])
    return real


def rename(site, server_id):
    """Makes a copy of another site's database this site's own: server id and base URL."""
    connection = connect(site, name=site.db)
    cursor = connection.cursor()
    cursor.execute("UPDATE bandana SET bandanavalue = %s WHERE bandanakey = 'confluence.server.id'",
                   (f"<string>{server_id}</string>",))
    cursor.execute("UPDATE bandana SET bandanavalue = %s WHERE bandanakey = 'atlassian.confluence.settings'",
                   (settings(site),))
    connection.close()


def settings(site):
    return (f"<settings><baseUrl>https://{site.name}.example.test</baseUrl>"
            "<siteTitle>Confluence</siteTitle></settings>")


def sentence(dice, count):
    return " ".join(dice.choice(WORDS) for _ in range(count))


def fill(site, info, server_id):
    """Content, apps and state at the build of the site. Runs as the site's own role."""
    connection = connect(site, site.db_user, site.db_password, site.db, tcp=True)
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    cursor.execute("SET LOCAL synchronous_commit = off")
    dice = random.Random(f"{site.seed}-{site.name}")
    content = Content()
    spaces(cursor, dice, content, *((3, 12) if site.size == "small" else (12, 40)))
    attachments(cursor, dice, content, 12 if site.size == "small" else 240, 4000 if site.size == "small" else 24000)
    state(cursor, dice, content, info, server_id, site)
    upgrade_to(cursor, info["build"])
    extras(cursor, dice, site)
    cursor.execute("COMMIT")
    connection.close()
    return content


def stamp(dice):
    return f"20{dice.randint(12, 18)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d} 10:{dice.randint(10, 59)}:00"


def spaces(cursor, dice, content, count, pages):
    number = 1000001
    for index in range(count):
        space, key, home = 700001 + index * 11, f"SP{index}", number
        cursor.execute("INSERT INTO content (contentid, contenttype, title, lowertitle, version, content_status, creator, "
                       "creationdate) VALUES (%s, 'SPACEDESCRIPTION', NULL, NULL, 1, 'current', %s, %s)",
                       (number + 900000, ADMIN, stamp(dice)))
        cursor.execute("INSERT INTO spaces (spaceid, spacename, spacekey, lowerspacekey, spacedescid, creator, creationdate,"
                       " spacetype, spacestatus) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'CURRENT')",
                       (space, f"{dice.choice(WORDS).title()} {index}", key, key.lower(), number + 900000, ADMIN,
                        stamp(dice), "personal" if index % 4 == 3 else "global"))
        content.spaces.append(space)
        for page in range(pages):
            title = f"{sentence(dice, 2).title()} {number}"
            body = "".join(f"<p>{sentence(dice, dice.randint(8, 40))}</p>" for _ in range(dice.randint(1, 6)))
            body += '<ac:structured-macro ac:name="toc" ac:schema-version="1"/>'
            cursor.execute("INSERT INTO content (contentid, contenttype, title, lowertitle, version, content_status, spaceid,"
                           " parentid, creator, creationdate, lastmodifier, lastmoddate) "
                           "VALUES (%s, 'PAGE', %s, %s, %s, 'current', %s, %s, %s, %s, %s, %s)",
                           (number, title, title.lower(), dice.randint(1, 9), space, None if page == 0 else home, ADMIN,
                            stamp(dice), ADMIN, stamp(dice)))
            cursor.execute("INSERT INTO bodycontent (bodycontentid, body, contentid, bodytypeid) VALUES (%s, %s, %s, 2)",
                           (number + 5000000, body, number))
            cursor.execute("INSERT INTO contentproperties (propertyid, propertyname, stringval, contentid) "
                           "VALUES (%s, 'macro-count.toc', '1-1', %s)", (number + 7000000, number))
            content.pages.append((number, space, title, re.sub("<[^>]*>", " ", body)))
            number += dice.randint(1, 5)
        cursor.execute("UPDATE spaces SET homepage = %s WHERE spaceid = %s", (home, space))
        number += 1000


def attachments(cursor, dice, content, count, size):
    for index in range(count):
        number = 2000003 + index * 7
        page, space = dice.choice(content.pages)[:2]
        name, kind = dice.choice([(f"file {index}.txt", "text/plain"), (f"image-{index}.png", "image/png"),
                                  (f"résumé-{index}.pdf", "application/pdf")])
        data = dice.randbytes(dice.randint(1, size))
        versions_kept = dice.randint(1, 3)
        for version in range(1, versions_kept + 1):
            # Old versions are rows of their own that point to the current one.
            row = number if version == versions_kept else number + version
            cursor.execute("INSERT INTO content (contentid, contenttype, title, lowertitle, version, content_status, spaceid,"
                           " pageid, creator, creationdate) VALUES (%s, 'ATTACHMENT', %s, %s, %s, 'current', %s, %s, %s, %s)",
                           (row, name, name.lower(), version, space, page, ADMIN, stamp(dice)))
            content.attachments.append((number, version, space, page, name, data[: len(data) * version // versions_kept + 1]))
        for version in range(1, versions_kept):
            cursor.execute("UPDATE content SET prevver = %s WHERE contentid = %s", (number, number + version))
        for key, text, value in (("MEDIA_TYPE", kind, None), ("FILESIZE", None, len(data))):
            cursor.execute("INSERT INTO contentproperties (propertyid, propertyname, stringval, longval, contentid) "
                           "VALUES (%s, %s, %s, %s, %s)", (number + (8000000 if text else 9000000), key, text, value, number))


def state(cursor, dice, content, info, server_id, site):
    """Server id, apps, safety number and the build before the tasks (facts 4.1)."""
    cursor.execute("UPDATE bandana SET bandanavalue = %s WHERE bandanakey = 'confluence.server.id'",
                   (f"<string>{server_id}</string>",))
    rows = [("atlassian.confluence.settings", settings(site))]
    rows += [(f"{key}:build", f"<string>{dice.randint(2, 40)}</string>") for key, *_ in APPS]
    for number, (key, value) in enumerate(rows, 50001):
        cursor.execute("INSERT INTO bandana (bandanaid, bandanacontext, bandanakey, bandanavalue) "
                       "VALUES (%s, '_GLOBAL', %s, %s) ON CONFLICT (bandanacontext, bandanakey) DO UPDATE "
                       "SET bandanavalue = excluded.bandanavalue", (number, key, value))
    cursor.execute("UPDATE bandana SET bandanavalue = '<map><entry><string>com.example.sso.banner</string>"
                   "<boolean>false</boolean></entry></map>' WHERE bandanakey = 'plugin.manager.state.Map'")
    for number, (key, name, version, size) in enumerate(APPS, 60001):
        data = jars.app(key, name, version, 1500000000 + number, low="6.0", high="9.9", size=size)
        file = f"{key}-{version}.jar"
        cursor.execute("INSERT INTO plugindata (plugindataid, pluginkey, filename, lastmoddate, data) "
                       "VALUES (%s, %s, %s, %s, %s)", (number, key, file, stamp(dice), psycopg2.Binary(data)))
        content.apps.append((file, data))
    cursor.execute("UPDATE clustersafety SET safetynumber = %s", (dice.randint(-2 ** 31, 2 ** 31 - 1),))
    cursor.execute("UPDATE hibernate_unique_key SET next_hi = %s", (dice.randint(300, 900),))
    cursor.execute('INSERT INTO "AO_88263F_PROPERTIES" ("ID", "PROPERTY_NAME", "PROPERTY_VALUE") '
                   "VALUES (41, 'last-run', 'never')")
    cursor.execute('SELECT setval(\'"AO_88263F_PROPERTIES_ID_seq"\', 41, true)')
    cursor.execute("SELECT setval('seq_journal_entry_id', %s, true)", (dice.randint(5000, 9000),))


def upgrade_to(cursor, build):
    """The schema and the build history that a site of this build has."""
    for text in distro.task_texts(build).values():
        task = tasks.parse(text)
        for kind, statement in task.steps:
            if kind == "sql":
                cursor.execute(statement)
        cursor.execute("INSERT INTO confversion (confversionid, buildnumber, installdate, creationdate, lastmoddate) "
                       "SELECT max(confversionid) + 1, %s, %s, %s, %s FROM confversion",
                       (task.build,) + ("2024-02-03 04:05:06",) * 3)
    cursor.execute("INSERT INTO confversion (confversionid, buildnumber, installdate) SELECT max(confversionid) + 1, %s, "
                   "'2024-02-03 04:05:07' FROM confversion ON CONFLICT (buildnumber) DO NOTHING", (build,))


def extras(cursor, dice, site):
    """What belongs to a database beside tables: all of it must survive a rollback."""
    cursor.execute("CREATE SCHEMA reports")
    cursor.execute("CREATE TABLE reports.monthly (month date PRIMARY KEY, pages integer, note text)")
    cursor.execute("COMMENT ON TABLE reports.monthly IS 'filled by the reporting job'")
    for month in range(1, 13):
        cursor.execute("INSERT INTO reports.monthly VALUES (%s, %s, %s)",
                       (f"2024-{month:02d}-01", dice.randint(1, 999), sentence(dice, 3)))
    cursor.execute("CREATE VIEW reports.pages AS SELECT spaceid, count(*) AS pages FROM public.content "
                   "WHERE contenttype = 'PAGE' GROUP BY spaceid")
    cursor.execute("CREATE FUNCTION reports.page_count(bigint) RETURNS bigint LANGUAGE sql STABLE AS "
                   "'SELECT count(*) FROM public.content WHERE spaceid = $1'")
    cursor.execute("CREATE SEQUENCE reports.ticket INCREMENT BY 3 MINVALUE 7 START WITH 7 CACHE 1 CYCLE MAXVALUE 99991")
    cursor.execute("SELECT setval('reports.ticket', 1234, false)")
    cursor.execute("CREATE INDEX monthly_note_idx ON reports.monthly (lower(note)) WHERE pages > 10")
    cursor.execute("GRANT USAGE ON SCHEMA reports TO reporting")
    cursor.execute("GRANT SELECT ON reports.monthly, reports.pages TO reporting")
    cursor.execute("GRANT SELECT (spaceid, spacekey, spacename) ON public.spaces TO reporting")
    cursor.execute("REVOKE EXECUTE ON FUNCTION reports.page_count(bigint) FROM PUBLIC")
    cursor.execute("GRANT EXECUTE ON FUNCTION reports.page_count(bigint) TO reporting")
    for size in (1, 2048, 5000, 70000):
        cursor.execute("SELECT lo_from_bytea(0, %s)", (psycopg2.Binary(dice.randbytes(size)),))
        number = cursor.fetchone()[0]
        if size == 5000:
            cursor.execute(f"GRANT SELECT ON LARGE OBJECT {number} TO reporting")
            cursor.execute(f"COMMENT ON LARGE OBJECT {number} IS 'a picture'")
