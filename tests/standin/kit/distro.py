"""Builds atlassian-confluence-VERSION.tar.gz of the stand-in (facts 1.2, 1.3)."""
import argparse
import functools
import glob
import gzip
import hashlib
import io
import os
import sys
import tarfile

from . import jars, tomcat, versions

TOP_TEXTS = {"README.txt": "\nAtlassian Confluence {version} - Standalone README\n\n"
                           "This is a stand-in for tests. It is not Atlassian Confluence.\n",
             "README.html": "<html><body>Confluence {version} (stand-in for tests)</body></html>\n",
             "RELEASE-NOTES": "Stand-in for Confluence {version}\n",
             "licenses/README.txt": "Licences of the parts of the real product would be here.\n"}

BUNDLED = """activity-stream analytics-client application-links audit-log avatar-picker blank-page browse-space
business-blueprints charting collaborative-editor content-report contributors create-content dashboard
daily-summary document-conversion drag-and-drop editor-loader emoticons feature-discovery file-lists gadgets
healthcheck highlight-actions html-macros image-effects inline-comments inline-tasks jira-integration keyboard
knowledge-base labels layouts like link-browser mail-archiving masterdetail mentions mobile onboarding page-banner
page-tree paste people-directory print quick-edit quick-reload recently-viewed roadmap rte-settings scheduled-jobs
search-ui sidebar software-blueprints space-blueprints templates tasklist upm user-profile watch webhooks
whitelist""".split()
LIBRARIES = """activeobjects-core aopalliance asm atlassian-annotations atlassian-bandana atlassian-cache-api
atlassian-config atlassian-core atlassian-johnson atlassian-plugins-core bonnie c3p0 commons-codec commons-io
commons-lang ehcache embedded-crowd felix-framework google-collect guava hibernate-core jackson-core javassist
joda-time jsoup log4j lucene-core opensymphony-oscache seraph sitemesh slf4j-api spring-core struts2-core urlrewrite
velocity xstream xwork""".split()
PAGES = """404 500 admin/console admin/license admin/plugins breadcrumbs comments create-page decorators/main
decorators/form decorators/global decorators/space dashboard edit-page errors files header footer history login logout
people search spaces/browse spaces/view template/macros users/profile users/settings view-page""".split()
SMALL = 10               # a small distribution has every tenth of these three


def template(*parts):
    with open(os.path.join(versions.STANDIN, "templates", *parts), encoding="utf-8") as source:
        return source.read()


def default_properties(info):
    """Facts 1.3: the class-path entry that the product reads its numbers from."""
    return (f"# Build information of the stand-in\nversion.number={info['version']}\n"
            f"build.number={info['build']}\nbuild.date={info['date']}\n"
            f"marketplace.build.number={info['marketplace']}\ngit.commit.hash={info['commit']}\n"
            f"synchrony.version={info['synchrony']}\nzdu.min.version=9.0.0\nupgrade.floor={info['floor']}\n")


def task_texts(build):
    """The upgrade tasks that a build knows: its own and all older ones."""
    found = {}
    for path in sorted(glob.glob(os.path.join(versions.STANDIN, "tasks", "*.sql"))):
        name = os.path.basename(path)
        if int(name.split("-")[0]) <= build:
            with open(path, encoding="utf-8") as source:
                found["standin/tasks/" + name] = source.read()
    return found


def confluence_jar(info, stamp, classes):
    entries = {"META-INF/MANIFEST.MF": jars.manifest("com.atlassian.confluence", info["version"]),
               "com/atlassian/confluence/default.properties": default_properties(info)}
    tasks = task_texts(info["build"])
    entries.update(tasks)
    entries["standin/tasks/index"] = "\n".join(os.path.basename(name) for name in sorted(tasks))
    entries.update(classes)
    return jars.pack(entries, stamp)


def web_application(info, stamp, form, small):
    """confluence/ with the files that customers edit (facts 1.2)."""
    def some(names):
        return names[::SMALL] if small else names
    version, root = info["version"], "confluence/"
    pom = "META-INF/maven/com.atlassian.confluence/confluence-webapp/"
    files = {
        pom + "pom.properties": f"version={version}\ngroupId=com.atlassian.confluence\nartifactId=confluence-webapp\n",
        pom + "pom.xml": f"<project><artifactId>confluence-webapp</artifactId><version>{version}</version></project>\n",
        "WEB-INF/web.xml": template("webapp", "web.xml").replace("@VERSION@", version),
        "WEB-INF/urlrewrite.xml": f"<urlrewrite><!-- {version} --></urlrewrite>\n",
        "WEB-INF/glue-config.xml": "<glue-config/>\n",
        "WEB-INF/decorators.xml": f"<decorators defaultdir=\"/decorators\"><!-- {version} --></decorators>\n",
        f"WEB-INF/lib/confluence-{version}.jar":
            confluence_jar(info, stamp, tomcat.classes() if form == "tomcat" else {}),
    }
    for name in ("confluence-init.properties", "seraph-config.xml", "seraph-paths.xml", "crowd.properties",
                 "velocity.properties", "mime.types"):
        files["WEB-INF/classes/" + name] = template("webapp", name).replace("@VERSION@", version)
    log = "log4j.properties" if info["java"] == 8 else "log4j2.xml"
    files["WEB-INF/classes/" + log] = template("webapp", log)
    for name in some(LIBRARIES):
        files[f"WEB-INF/lib/{name}-{info['build'] % 97}.{len(name)}.jar"] = \
            jars.pack({"META-INF/MANIFEST.MF": jars.manifest(name, f"{info['build'] % 97}.{len(name)}")}, stamp)
    if form == "tomcat":
        files["WEB-INF/lib/postgresql-42.5.5.jar"] = tomcat.driver()
    for number, name in enumerate(some(BUNDLED)):
        # Both spellings of the attribute are common in shipped jars (facts 9.1).
        files[f"WEB-INF/atlassian-bundled-plugins/{name}-{info['build'] // 100}.{number}.jar"] = jars.app(
            f"com.atlassian.confluence.plugins.{name}", name, f"{info['build'] // 100}.{number}", stamp,
            spelling="pluginsVersion" if number % 3 == 0 else "plugins-version")
    files["WEB-INF/atlassian-bundled-plugins-setup/setup-1.0.jar"] = \
        jars.app("com.atlassian.confluence.setup", "setup", "1.0", stamp)
    for name in some(PAGES) + ["decorators/main"]:
        files[name + ".vm"] = f"## {name} of {version}\n<html><body>$!i18n.getText(\"{name}\")</body></html>\n"
    files["robots.txt"] = "User-agent: *\nDisallow: /admin/\n"
    return {root + name: data for name, data in files.items()}


def installer_parts(info):
    """What only the installer brings (facts 1.2, 5.1)."""
    return {"jre/release": f"JAVA_VERSION=\"{info['java']}\"\nIMPLEMENTOR=\"stand-in\"\n",
            "jre/lib/security/cacerts": hashlib.sha512(b"cacerts" + info["version"].encode()).digest() * 32,
            "jre/bin/java": "#!/bin/sh\nexec java \"$@\"\n",
            "uninstall": "#!/bin/sh\necho \"This would remove Confluence.\"\n",
            ".install4j/i4jparams.conf": f"<config version=\"{info['version']}\"/>\n",
            ".install4j/response.varfile":
                f"# install4j response file for Confluence {info['version']}\n"
                "app.confHome=/var/atlassian/application-data/confluence\n"
                "app.install.service$Boolean=true\nhttpPort$Long=8090\nlaunch.application$Boolean=false\n"
                "portChoice=custom\nrmiPort$Long=8000\nsys.adminRights$Boolean=true\nsys.languageId=en\n"
                "sys.confirmedUpdateInstallationString=false\n"
                "sys.installationDir=/opt/atlassian/confluence\n"}


def light_program():
    """bin/light.pyz: the light form as one file that /usr/bin/python3 runs."""
    entries = {}
    for path in sorted(glob.glob(os.path.join(versions.STANDIN, "light", "*.py"))):
        name = os.path.basename(path)
        with open(path, encoding="utf-8") as source:
            entries["__main__.py" if name == "main.py" else "light/" + name] = source.read()
    return jars.pack(entries, 1700000000)


def scripts(info, form):
    """bin/ (facts 1.2); the two forms differ in catalina.sh and what it runs."""
    files = {name: template("bin", name) for name in
             ("start-confluence.sh", "stop-confluence.sh", "standin-switches.sh", "user.sh", "shutdown.sh",
              "startup.sh")}
    files["setenv.sh"] = template("bin", f"setenv.sh.java{info['java']}")
    flags = template("bin", "setclasspath.sh.light").replace("@JAVA@", str(info["java"])) \
        .replace("@BUILD@", str(info["build"]))
    if form == "tomcat":
        files.update(tomcat.scripts(flags, info))
    else:
        files["catalina.sh"] = template("bin", "catalina.sh.light")
        files["setclasspath.sh"] = flags
        files["bootstrap.jar"] = jars.pack({"META-INF/MANIFEST.MF": jars.manifest("bootstrap", "1")}, 1700000000)
        files["tomcat-juli.jar"] = jars.pack({"META-INF/MANIFEST.MF": jars.manifest("juli", "1")}, 1700000000)
        files["light.pyz"] = light_program()
    return {"bin/" + name: data for name, data in files.items()}


def configuration(info, form):
    files = {"server.xml": template("conf", "server.xml.v6" if info["java"] == 8 else "server.xml.v9"),
             "context.xml": "<Context><WatchedResource>WEB-INF/web.xml</WatchedResource></Context>\n",
             "tomcat-users.xml": "<tomcat-users/>\n",
             "logging.properties": template("conf", "logging.properties"),
             "web.xml": template("conf", "web.xml"),
             "catalina.properties": template("conf", "catalina.properties"),
             "catalina.policy": f"// {info['version']}\n"}
    return {"conf/" + name: data for name, data in files.items()}


def tree(version, form, installer, small=False):
    """Every file of a distribution: path -> bytes."""
    info, stamp = versions.info(version), versions.stamp(version)
    files = {name: text.format(version=version) for name, text in TOP_TEXTS.items()}
    files.update(scripts(info, form))
    files.update(configuration(info, form))
    files.update(web_application(info, stamp, form, small))
    files["synchrony-proxy/WEB-INF/web.xml"] = template("webapp", "synchrony.xml")
    files["work/README.txt"] = files["temp/README.txt"] = files["webapps/README.txt"] = "Kept empty.\n"
    files["logs/README.txt"] = "catalina.out is written here.\n"
    if form == "tomcat":
        files.update({"lib/" + name: data for name, data in tomcat.libraries().items()})
    else:
        for name in ("annotations-api", "catalina", "el-api", "jasper", "servlet-api", "tomcat-coyote"):
            files[f"lib/{name}.jar"] = jars.pack({"META-INF/MANIFEST.MF": jars.manifest(name, "9")}, stamp)
    if installer:
        files.update(installer_parts(info))
    return {name: data if isinstance(data, bytes) else data.encode() for name, data in files.items()}


@functools.lru_cache(maxsize=None)
def kept_archive(version, form, installer, small):
    """The archive in the cache; one of the same content is taken again."""
    files = tree(version, form, installer, small)
    digest = hashlib.sha256(repr(sorted((name, hashlib.sha256(data).digest())
                                        for name, data in files.items())).encode()).hexdigest()[:16]
    top, stamp = f"atlassian-confluence-{version}", versions.stamp(version)
    kept = os.path.join(versions.cache_dir(), "dist", digest + ".tar.gz")
    if not os.path.exists(kept):
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
            folders = {""}
            for name in files:
                while name:
                    name = os.path.dirname(name)
                    folders.add(name)
            for name in sorted(folders | set(files)):
                entry = tarfile.TarInfo(f"{top}/{name}".rstrip("/"))
                entry.mtime, entry.uname, entry.gname = stamp, "root", "root"
                if name in files:
                    program = name.endswith(".sh") or name in ("uninstall", "jre/bin/java")
                    entry.size, entry.mode = len(files[name]), 0o755 if program else 0o644
                    archive.addfile(entry, io.BytesIO(files[name]))
                else:
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(entry)
        partial = f"{kept}.{os.getpid()}"
        with open(partial, "wb") as target, gzip.GzipFile("", "wb", 6, target, mtime=0) as packed:
            packed.write(raw.getvalue())
        os.replace(partial, kept)
    return kept


def build(version, form, out, installer=False, small=False):
    """Writes the archive into a folder and returns its path."""
    kept = kept_archive(version, form, installer, small)
    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, f"atlassian-confluence-{version}.tar.gz")
    with open(kept, "rb") as source, open(path + ".partial", "wb") as target:
        target.write(source.read())
    os.replace(path + ".partial", path)
    return path


def main(arguments):
    parser = argparse.ArgumentParser(prog="dist", description="Builds a distribution archive of the stand-in.")
    parser.add_argument("version", choices=sorted(versions.VERSIONS))
    parser.add_argument("--form", choices=("tomcat", "light"), default="light")
    parser.add_argument("--out", required=True)
    parser.add_argument("--installer", action="store_true", help="adds what only the installer brings")
    parser.add_argument("--small", action="store_true", help="every tenth of the files that nobody reads or edits")
    chosen = parser.parse_args(arguments)
    path = build(chosen.version, chosen.form, chosen.out, chosen.installer, chosen.small)
    with open(path, "rb") as source:
        print(hashlib.sha256(source.read()).hexdigest(), path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
