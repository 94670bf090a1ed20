"""The Tomcat form: Debian's Tomcat 10, its JDBC driver, and the stand-in's servlets."""
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile

from . import versions

SOURCES = os.path.join(versions.STANDIN, "tomcat", "src")
HOME = "/usr/share/tomcat10"
DRIVER = "/usr/share/java/postgresql.jar"
# Libraries that nothing of the stand-in uses and that only make the archive bigger.
LEFT_OUT = ("catalina-ant", "catalina-ha", "catalina-storeconfig", "catalina-tribes", "tomcat-i18n")


def read(path):
    if not os.path.exists(path):
        raise SystemExit(f"{path} is missing; the Tomcat form needs the packages tomcat10-common, libtomcat10-java, "
                         "libpostgresql-jdbc-java and openjdk-17-jdk-headless")
    with open(path, "rb") as source:
        return source.read()


def driver():
    return read(DRIVER)


def libraries():
    """lib/: the jars that the package links to, as files of their own."""
    found = {}
    for path in sorted(glob.glob(os.path.join(HOME, "lib", "*.jar"))):
        name = os.path.basename(path)
        if not name.startswith(LEFT_OUT):
            found[name] = read(path)
    return found or read(os.path.join(HOME, "lib", "catalina.jar"))


def scripts(flags, info):
    """bin/: Debian's own catalina.sh; setclasspath.sh gets what an old or failing JVM needs."""
    found = {name: read(os.path.join(HOME, "bin", name)) for name in ("catalina.sh", "bootstrap.jar", "tomcat-juli.jar")}
    extra = ["\n", flags, "# A short life: no need for the slower compiler.\n",
             'CATALINA_OPTS="-XX:TieredStopAtLevel=1 $CATALINA_OPTS"\n']
    if info["java"] < 17:
        # This version ran on Java 8, whose flags Java 17 refuses; the fault `start` must still refuse.
        extra.append('case "$CATALINA_OPTS" in\n*StandInUnknownFlag*) ;;\n'
                     '*) CATALINA_OPTS="-XX:+IgnoreUnrecognizedVMOptions $CATALINA_OPTS" ;;\nesac\n')
    found["setclasspath.sh"] = read(os.path.join(HOME, "bin", "setclasspath.sh")) + "".join(extra).encode()
    return found


def classes():
    """The compiled servlets, kept by the digest of their sources and of the compiler."""
    sources = sorted(glob.glob(os.path.join(SOURCES, "**", "*.java"), recursive=True))
    digest = hashlib.sha256(b"".join(read(path) for path in sources))
    digest.update(subprocess.run(["javac", "-version"], check=True, stdout=subprocess.PIPE).stdout)
    folder = os.path.join(versions.cache_dir(), "classes", digest.hexdigest()[:16])
    if not os.path.isdir(folder):
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        made = tempfile.mkdtemp(dir=os.path.dirname(folder))
        path = os.pathsep.join([os.path.join(HOME, "lib", "servlet-api.jar"), DRIVER])
        subprocess.run(["javac", "--release", "17", "-g:none", "-Xlint:all", "-Werror", "-proc:none", "-cp", path, "-d", made, *sources], check=True)
        try:
            os.rename(made, folder)
        except OSError:
            shutil.rmtree(made)            # another run was quicker
    return {os.path.relpath(path, folder): read(path)
            for path in sorted(glob.glob(os.path.join(folder, "**", "*.class"), recursive=True))}
