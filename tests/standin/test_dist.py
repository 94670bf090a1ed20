"""Distributions: layout, numbers, same bytes each time (facts 1.2, 1.3, 5.1)."""
import hashlib
import io
import os
import tarfile
import tempfile
import unittest
import zipfile
from unittest import mock

from kit import distro, licences, versions
from light.layout import licence_refusal, properties


class Distributions(unittest.TestCase):
    def archive(self, version, form="light", installer=False):
        with tempfile.TemporaryDirectory() as folder:
            with open(distro.build(version, form, folder, installer), "rb") as source:
                return source.read()

    def names(self, data):
        with tarfile.open(fileobj=io.BytesIO(data)) as packed:
            return {entry.name.partition("/")[2]: entry for entry in packed.getmembers()}

    def test_the_same_bytes_come_out_of_an_empty_cache(self):
        first = self.archive("9.2.13")
        distro.kept_archive.cache_clear()
        self.addCleanup(distro.kept_archive.cache_clear)
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"STANDIN_CACHE": folder}):
            self.assertEqual(hashlib.sha256(self.archive("9.2.13")).digest(), hashlib.sha256(first).digest())

    def test_the_numbers_stand_where_the_product_keeps_them(self):
        for version, info in versions.VERSIONS.items():
            top = f"atlassian-confluence-{version}/"
            with tarfile.open(fileobj=io.BytesIO(self.archive(version))) as packed:
                jar = packed.extractfile(top + f"confluence/WEB-INF/lib/confluence-{version}.jar").read()
                pom = packed.extractfile(top + "confluence/META-INF/maven/com.atlassian.confluence/"
                                         "confluence-webapp/pom.properties").read().decode()
                readme = packed.extractfile(top + "README.txt").read().decode()
            with zipfile.ZipFile(io.BytesIO(jar)) as opened:
                about = properties(opened.read("com/atlassian/confluence/default.properties").decode())
            self.assertEqual((about["version.number"], about["build.number"], about["build.date"]),
                             (version, str(info["build"]), info["date"]))
            self.assertIn(f"version={version}\n", pom)
            self.assertEqual(readme.splitlines()[1], f"Atlassian Confluence {version} - Standalone README")

    def test_a_version_does_not_know_the_tasks_of_later_ones(self):
        self.assertFalse([name for name in distro.task_texts(9109) if "9116" in name])
        self.assertTrue([name for name in distro.task_texts(9116) if "9116" in name])

    def test_the_layout_has_what_an_installation_has(self):
        names = self.names(self.archive("6.13.4"))
        for name in ("bin/catalina.sh", "bin/setenv.sh", "bin/user.sh", "bin/start-confluence.sh", "conf/server.xml",
                     "lib", "logs", "temp", "work", "webapps", "confluence/WEB-INF/web.xml", "synchrony-proxy",
                     "confluence/WEB-INF/classes/confluence-init.properties",
                     "confluence/WEB-INF/classes/seraph-config.xml"):
            self.assertIn(name, names)
        self.assertGreater(len(names), 190)
        self.assertEqual(names["bin/start-confluence.sh"].mode, 0o755)
        self.assertNotIn("jre/release", names)

    def test_the_installer_adds_a_jre_and_its_answers(self):
        names = self.names(self.archive("6.13.4", installer=True))
        for name in ("jre/lib/security/cacerts", "jre/release", ".install4j/response.varfile", "uninstall"):
            self.assertIn(name, names)

    def test_a_licence_of_ours_reads_back(self):
        text = licences.confluence("ABCD-EFGH-IJKL-MNOP", "2026-01-01")
        self.assertIsNone(licence_refusal(text, "9.2.13", "2025-12-16"))
        self.assertIn("SUPPORT_EXPIRED", licence_refusal(text, "9.2.21", "2026-06-02"))

    def test_published_test_licences_read_as_what_they_are(self):
        folder = versions.shared_file("licences")
        if folder is None:
            self.skipTest("the published licences are not at hand")
        wanted = {"05": None, "01": "Unable to retrieve license.", "07": "Unable to retrieve license."}
        for name in sorted(os.listdir(folder)):
            if name.endswith(".txt") and name[:2] in wanted:
                with open(os.path.join(folder, name), encoding="utf-8") as source:
                    self.assertEqual(licence_refusal(source.read(), "9.2.13", "2025-12-16"), wanted[name[:2]], name)
