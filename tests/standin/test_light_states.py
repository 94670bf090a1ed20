"""The light form: start, states, refusals, stop (facts 3.1, 4.1, 4.2, 8)."""
import json
import os
import re
import socket
import subprocess

from kit import licences, sitetool
from kit.testbed import Bed, until

MARKS = ["Servlets loaded.", "Application started.", "Confluence ApplicationStatus is now RUNNING.",
         "init Confluence is ready to serve"]


class States(Bed):
    def refused(self, about, text):
        """Starts and expects ERROR with a text in the log, /status 500."""
        self.start(about, "ERROR")
        self.assertIn(text, self.log(about))
        self.assertEqual(sitetool.fetch(about)[0], 500)
        self.assertEqual(self.effects(about, "status"), [])
        self.stop(about)

    def set_home_build(self, about, build):
        path = os.path.join(about["home"], "confluence.cfg.xml")
        text = re.sub("<buildNumber>.*</buildNumber>", f"<buildNumber>{build}</buildNumber>", self.text(path))
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def set_licence(self, about, licence):
        path = os.path.join(about["home"], "confluence.cfg.xml")
        text = re.sub('(license.message">)[^<]*', lambda found: found.group(1) + licence, self.text(path))
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def test_a_start_shows_its_marks_in_order_and_serves_pages(self):
        about = self.site()
        self.start(about)
        log = self.log(about)
        places = [log.index(mark, 150) for mark in MARKS]
        self.assertEqual(places, sorted(places))
        self.assertNotIn("Upgrade completed", log)
        self.assertIn(b'ajs-build-number" content="7901"', sitetool.fetch(about, "/login.action")[1])
        self.assertEqual(sitetool.fetch(about, "/")[0], 200)
        self.assertEqual(json.loads(sitetool.fetch(about, "/rest/api/accessmode")[1]), "READ_WRITE")
        self.assertEqual(json.loads(sitetool.fetch(about, "/rest/api/space?limit=1")[1])["size"], 1)
        self.assertEqual(sitetool.fetch(about, "/nothing")[0], 404)
        self.assertEqual([line[0] for line in self.effects(about)], ["start", "status"])
        pool = self.sql(about, "SELECT count(*), count(DISTINCT application_name) FROM pg_stat_activity "
                        "WHERE datname = %s AND usename = %s", (about["db"], about["db_user"]))
        self.assertEqual(pool, [(3, 1)])
        self.stop(about)
        self.assertEqual([line[0] for line in self.effects(about)], ["start", "status", "stop"])
        self.assertFalse(os.path.exists(os.path.join(about["install"], "work/catalina.pid")))

    def test_the_process_is_a_daemon_without_inherited_descriptors(self):
        about = self.site()
        with open(os.path.join(self.folder, "inherited"), "w", encoding="ascii") as kept:
            subprocess.run([os.path.join(about["install"], "bin/start-confluence.sh")], check=True,
                           pass_fds=[kept.fileno()], stdout=subprocess.PIPE, timeout=20)
        sitetool.wait(about, "RUNNING", seconds=20)
        pid = self.pid(about)
        held = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
        self.assertNotIn(os.path.join(self.folder, "inherited"), held)
        self.assertEqual([path for path in held if path.startswith("pipe:")], [])
        self.assertNotEqual(os.getsid(pid), os.getsid(0))
        if os.geteuid() == 0:
            self.assertNotEqual(os.stat(f"/proc/{pid}").st_uid, 0)
        code, text = sitetool.script(about, "start-confluence.sh")
        self.assertIn("still be running", text)
        self.assertEqual(code, 1)

    def test_the_run_user_can_start_and_stop_it_itself(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become the run user")
        about = self.site()
        become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        for name, wanted in (("start", "RUNNING"), ("stop", "DOWN")):
            subprocess.run(become + [os.path.join(about["install"], f"bin/{name}-confluence.sh")], check=True,
                           cwd="/", stdout=subprocess.DEVNULL)
            sitetool.wait(about, wanted, seconds=20)

    def test_a_slow_start_shows_every_state_on_the_way(self):
        about = self.site()
        sitetool.switch(about, slow=1.2)
        seen = self.start(about)
        self.assertEqual([state for state in seen if state != "DOWN"], ["HTTP 404", "HTTP 302", "STARTING", "RUNNING"])

    def test_a_home_that_was_never_set_up_says_first_run(self):
        about = self.site()
        path = os.path.join(about["home"], "confluence.cfg.xml")
        text = self.text(path).replace("<setupStep>complete", "<setupStep>setupstart")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        self.start(about, "FIRST_RUN")
        self.assertEqual(sitetool.fetch(about, "/")[0], 302)

    def test_unequal_numbers_of_home_and_database_are_refused(self):
        about = self.site()
        self.set_home_build(about, 7103)
        self.refused(about, "the build number in the home directory [7103] doesn't match the build number in the "
                     "database [7901]")

    def test_a_downgrade_is_refused_unless_a_flag_allows_it(self):
        about = self.site("9.2.13")
        sitetool.swap(about, "6.13.4")
        self.refused(about, "the finalized build number in the home directory [9109] is newer than the Confluence "
                     "build number [7901]")
        with open(os.path.join(about["install"], "bin/setenv.sh"), "a", encoding="utf-8") as out:
            out.write('CATALINA_OPTS="$CATALINA_OPTS -Dcom.atlassian.confluence.allow.downgrade=true"\n')
        self.start(about)
        self.assertEqual(self.numbers(about), (9109, 9109))

    def test_a_build_below_the_floor_is_refused(self):
        about = self.site()
        self.sql(about, "DELETE FROM confversion")
        self.sql(about, "INSERT INTO confversion (confversionid, buildnumber) VALUES (1, 5515)")
        self.set_home_build(about, 5515)
        sitetool.swap(about, "9.2.13")
        self.refused(about, "Upgrading directly from versions of Confluence prior to 6.0.5 is not supported")
        self.assertEqual(self.numbers(about), (5515, 5515))

    def test_licences_that_do_not_admit_the_build_are_refused(self):
        about = self.site("9.2.13")
        for licence, text in ((licences.confluence("A", "2025-12-15"), "SUPPORT_EXPIRED"),
                              (licences.confluence("A", "2030-01-01", data_center=False), "LEGACY_SERVER_LICENSE"),
                              ("VERSION-1 text", "Unable to retrieve license.")):
            self.set_licence(about, licence)
            self.refused(about, text)
        self.set_licence(about, licences.confluence("A", "2025-12-16"))
        self.start(about)

    def test_a_jvm_flag_that_java_does_not_know_shows_in_catalina_out_alone(self):
        about = self.site("9.2.13")
        before = self.log(about)
        with open(os.path.join(about["install"], "bin/setenv.sh"), "a", encoding="utf-8") as out:
            out.write('CATALINA_OPTS="-XX:MaxPermSize=256m $CATALINA_OPTS"\n')
        self.assertEqual(sitetool.script(about, "start-confluence.sh")[0], 0)
        until(lambda: "Unrecognized VM option 'MaxPermSize=256m'" in self.out(about), "the refusal of the JVM")
        self.assertFalse(self.alive(self.pid(about)))
        self.assertEqual(self.log(about), before)
        self.assertEqual(self.effects(about), [])

    def test_old_flags_are_fine_for_the_old_version(self):
        self.start(self.site(java8_flags=True))

    def test_a_busy_port_ends_the_start_with_a_bind_error(self):
        about = self.site()
        with socket.create_server(("127.0.0.1", about["http_port"])):
            sitetool.script(about, "start-confluence.sh")
            until(lambda: "Address already in use" in self.out(about), "the bind error")
        self.assertEqual(self.effects(about, "start"), [])
        with socket.create_server(("127.0.0.1", about["shutdown_port"])):
            sitetool.script(about, "start-confluence.sh")
            until(lambda: "shutdown socket" in self.out(about) and not self.alive(self.pid(about)), "the end")

    def test_a_wrong_password_is_an_error_not_a_crash(self):
        about = self.site()
        self.sql(about, f"ALTER ROLE {about['db_user']} PASSWORD 'other'")
        self.refused(about, "Database connection failed")

    def test_a_foreign_safety_number_is_a_cluster_panic(self):
        about = self.site()
        self.start(about)
        first = self.sql(about, "SELECT safetynumber FROM clustersafety")
        until(lambda: self.sql(about, "SELECT safetynumber FROM clustersafety") != first, "a new safety number")
        self.sql(about, "UPDATE clustersafety SET safetynumber = 1")
        sitetool.wait(about, "ERROR", seconds=20)
        self.assertIn("Received a panic event, stopping processing on the node", self.log(about))

    def test_faults_of_the_running_state(self):
        about = self.site()
        sitetool.switch(about, fault__7901="never-ready")
        self.start(about, "STARTING")
        until(lambda: "Servlets loaded." in self.log(about), "the last mark")
        self.assertNotIn("Application started.", self.log(about))
        self.stop(about)
        sitetool.switch(about, fault__7901="ready-then-error=0.3")
        self.assertEqual(self.start(about, "ERROR")[-2:], ["RUNNING", "ERROR"])
        self.stop(about)
        sitetool.switch(about, fault__7901="plugins")
        self.refused_after_running(about)

    def refused_after_running(self, about):
        self.start(about, "ERROR")
        self.assertIn("pluginframeworkdependentupgrades", self.log(about))

    def test_a_process_that_hangs_at_the_stop_is_killed_only_with_force(self):
        about = self.site()
        sitetool.switch(about, fault__7901="hang-on-stop", stop__wait=1)
        self.start(about)
        pid = self.pid(about)
        code, text = sitetool.script(about, "stop-confluence.sh", "0")
        self.assertEqual(code, 1, text)
        self.assertTrue(self.alive(pid))
        code, text = sitetool.script(about, "stop-confluence.sh")
        self.assertIn("Killing", text)
        self.assertFalse(self.alive(pid))
        self.assertEqual(self.effects(about, "stop"), [])

    def test_rest_calls_need_the_token_when_there_is_one(self):
        about = self.site()
        sitetool.switch(about, token="t0ken")
        self.start(about)
        self.assertEqual(sitetool.fetch(about, "/rest/plugins/1.0/")[0], 401)
        self.assertEqual(sitetool.fetch(about, "/rest/plugins/1.0/", "t0ken")[0], 200)
        self.assertEqual(sitetool.fetch(about, "/login.action")[0], 200)

    def test_it_lives_through_a_restart_of_the_database(self):
        about = self.site()
        self.start(about)
        first = self.sql(about, "SELECT safetynumber FROM clustersafety")
        self.sql(about, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (about["db_user"],))
        until(lambda: sitetool.fetch(about, "/")[0] == 200, "pages")
        until(lambda: self.sql(about, "SELECT safetynumber FROM clustersafety") != first, "a new safety number")
        self.assertEqual(sitetool.state(about), "RUNNING")
        self.stop(about)
        self.assertIn("does not exist", sitetool.script(about, "stop-confluence.sh")[1])

    def test_two_on_one_database_panic(self):
        about = self.site()
        self.start(about)
        other = self.site()
        with open(os.path.join(other["home"], "confluence.cfg.xml"), "w", encoding="utf-8") as out:
            out.write(self.text(os.path.join(about["home"], "confluence.cfg.xml")))
        self.start(other)
        sitetool.wait(about, "ERROR", seconds=20)

    def test_pages_can_fail_while_the_status_says_running(self):
        about = self.site()
        sitetool.switch(about, fault__7901="pages-fail")
        self.start(about)
        self.assertEqual(sitetool.fetch(about, "/login.action")[0], 500)
        self.assertEqual(sitetool.state(about), "RUNNING")
        self.stop(about)
        sitetool.switch(about, fault__7901="search-fails")
        self.start(about)
        self.assertEqual(sitetool.fetch(about, "/rest/api/search?cql=text~%22a%22")[0], 500)
        self.assertEqual(sitetool.fetch(about, "/login.action")[0], 200)

    def test_system_property_wins_over_the_home_in_the_file(self):
        about = self.site()
        os.rename(about["home"], about["home"] + "-moved")
        with open(os.path.join(about["install"], "bin/setenv.sh"), "a", encoding="utf-8") as out:
            out.write(f'CATALINA_OPTS="-Dconfluence.home={about["home"]}-moved $CATALINA_OPTS"\n')
        self.start(about)
