"""The oracle: every kind of change is named, and a faithful copy is equal."""
import os
import subprocess

from kit import cluster
from kit.testbed import Bed


class Fingerprints(Bed):
    """Changes are made one after the other on one site; each must show, and nothing else."""

    def changes(self, about, statements, **options):
        before = self.fingerprint(about, parts=("pg",), **options)
        self.sql(about, statements)
        return self.difference(before, self.fingerprint(about, parts=("pg",), **options))

    def test_each_change_of_the_database_is_named(self):
        about = self.site()
        db, user = about["db"], about["db_user"]
        large = self.sql(about, "SELECT max(oid) FROM pg_largeobject_metadata")[0][0]
        for statement, wanted in (
                ("UPDATE bodycontent SET body = body || '.' WHERE bodycontentid = 6000001", "~ database rows: public.bodycontent:"),
                ("DELETE FROM plugindata WHERE plugindataid = 60001", "~ database rows: public.plugindata:"),
                ("SELECT nextval('seq_journal_entry_id')", "~ database sequences: public.seq_journal_entry_id:"),
                ("SELECT setval('reports.ticket', 1234, true)", "~ database sequences: reports.ticket:"),
                (f"SELECT lo_put({large}, 3, 'x')", f"~ database large objects: {large}:"),
                (f"ALTER LARGE OBJECT {large} OWNER TO postgres", f"~ database large objects: {large}:"),
                ("SELECT lo_create(777777)", "+ database large objects: 777777:"),
                ("ALTER TABLE spaces OWNER TO postgres", "~ database owners: public.spaces:"),
                (f"ALTER TABLE spaces OWNER TO {user}", "~ database owners: public.spaces:"),
                ("REVOKE SELECT ON reports.monthly FROM reporting", "~ database grants: reports.monthly:"),
                ("GRANT SELECT (title) ON content TO reporting", "~ database columns: public.content.title:"),
                ("ALTER TABLE content ADD CONSTRAINT v CHECK (version > 0)", "+ database constraints: public.content.v:"),
                ("DROP INDEX reports.monthly_note_idx", "- database indexes: reports.monthly_note_idx:"),
                ("CREATE OR REPLACE VIEW reports.pages AS SELECT spaceid, count(*) + 0 AS pages FROM public.content "
                 "GROUP BY spaceid", "~ database views: reports.pages:"),
                ("ALTER FUNCTION reports.page_count(bigint) VOLATILE", "~ database functions: reports.page_count(bigint):"),
                ("ALTER TABLE bandana ALTER bandanavalue SET STORAGE external", "~ database columns: public.bandana.bandanavalue:"),
                ("COMMENT ON TABLE reports.monthly IS 'other'", "~ database tables: reports.monthly:"),
                ("CREATE SCHEMA more", "+ database schemas: more:"),
                (f"ALTER DATABASE {db} SET statement_timeout = '18min'", "~ database settings:  statement_timeout:"),
                (f"ALTER ROLE {user} IN DATABASE {db} RESET ALL", f"- database settings: {user} lock_timeout:"),
                (f"ALTER DATABASE {db} CONNECTION LIMIT 62", "~ database itself: limits:"),
                (f"COMMENT ON DATABASE {db} IS NULL", "~ database itself: comment:"),
                (f"GRANT CREATE ON DATABASE {db} TO reporting", "~ database itself: privileges:"),
                (f"ALTER DATABASE {db} OWNER TO postgres", "~ database itself: owner:")):
            found = self.changes(about, statement)
            self.assertIn(wanted, found, statement)
            if "OWNER" not in statement:
                self.assertEqual(len(found), 1, found)

    def test_each_change_of_a_file_is_named(self):
        about = self.site()
        inside = lambda name: os.path.join(about["home"], name)
        cfg, notes = inside("confluence.cfg.xml"), inside("resources/notes with spaces & ümlaut.txt")
        time = os.stat(cfg).st_mtime_ns

        def flip():
            with open(cfg, "r+b") as out:
                out.seek(100)
                out.write(b"#")
            os.utime(cfg, ns=(time, time))
        for change, wanted in (
                (flip, "~ home files: confluence.cfg.xml:"),
                (lambda: os.chmod(cfg, 0o644), "~ home files: confluence.cfg.xml:"),
                (lambda: os.utime(cfg, ns=(time, time + 1)), "~ home files: confluence.cfg.xml:"),
                (lambda: os.chown(cfg, 4711, -1) if os.geteuid() == 0 else os.chmod(cfg, 0o600), "~ home files: confluence.cfg.xml:"),
                (lambda: os.setxattr(notes, "user.note", b"x"), "~ home files: resources/notes with spaces & ümlaut.txt:"),
                (lambda: (os.remove(inside("backups-link")), os.symlink("logs", inside("backups-link"))),
                 "~ home files: backups-link:"),
                (lambda: (os.remove(notes), os.system(f"cp -p '{inside('resources/second-name.txt')}' '{notes}'")),
                 "~ home files: resources/notes with spaces & ümlaut.txt:"),
                (lambda: os.mkdir(inside("empty")), "+ home files: empty:"),
                (lambda: os.utime(inside("empty"), ns=(1, 1)), "~ home folder times: empty:"),
                (lambda: os.remove(inside("journal/main_index")), "- home files: journal/main_index:")):
            before = self.fingerprint(about, parts=("home",))
            change()
            self.assertIn(wanted, self.difference(before, self.fingerprint(about, parts=("home",))))

    def test_running_leaves_out_the_safety_number_and_logs_alone(self):
        about = self.site()
        before = self.fingerprint(about, "--running")
        self.sql(about, "UPDATE clustersafety SET safetynumber = safetynumber + 1")
        with open(os.path.join(about["install"], "logs/catalina.out"), "a", encoding="ascii") as out:
            out.write("x\n")
        self.assertEqual(self.difference(before, self.fingerprint(about, "--running")), [])
        self.sql(about, "UPDATE clustersafety SET clustersafetyid = clustersafetyid + 1")
        os.chmod(os.path.join(about["home"], "logs"), 0o700)
        self.assertEqual(self.difference(before, self.fingerprint(about, "--running")),
                         ["~ database rows: public.clustersafety:", "~ home files: logs:"])

    def test_a_dump_restored_with_its_settings_is_equal(self):
        about = self.site()
        before = self.fingerprint(about, parts=("pg",))
        base = ["-h", self.pg, "-p", str(self.port), "-U", "postgres"]
        dump = os.path.join(self.folder, "dump")
        subprocess.run([cluster.BIN + "/pg_dump", *base, "-Fc", "--create", "-f", dump, about["db"]], check=True)
        subprocess.run([cluster.BIN + "/dropdb", *base, about["db"]], check=True)
        subprocess.run([cluster.BIN + "/pg_restore", *base, "--create", "-d", "postgres", dump], check=True)
        self.assertEqual(self.difference(before, self.fingerprint(about, parts=("pg",))), [])

    def test_a_copy_of_the_trees_is_equal(self):
        about = self.site()
        before = self.fingerprint(about, parts=("install", "home"))
        for part in ("install", "home"):
            subprocess.run(["cp", "-a", about[part], about[part] + "-copy"], check=True)
            subprocess.run(["rm", "-rf", about[part]], check=True)
            os.rename(about[part] + "-copy", about[part])
        self.assertEqual(self.difference(before, self.fingerprint(about, parts=("install", "home"))), [])
