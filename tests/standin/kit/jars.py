"""Small real jars, the same bytes each time."""
import functools
import io
import time
import zipfile


def pack(entries, stamp):
    """A jar of (name, bytes or text) pairs, every entry with one time."""
    out = io.BytesIO()
    date = time.gmtime(stamp)[:6]
    with zipfile.ZipFile(out, "w") as jar:
        for name, data in sorted(entries.items(), key=lambda item: (item[0] != "META-INF/MANIFEST.MF", item[0])):
            info = zipfile.ZipInfo(name, date)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o644 << 16
            jar.writestr(info, data)
    return out.getvalue()


def fold(text):
    """Manifest lines wrap at 72 bytes with a leading blank (facts 9.1)."""
    lines = []
    for line in text.splitlines():
        while len(line) > 72:
            lines.append(line[:72])
            line = " " + line[72:]
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def manifest(name, version, extra=""):
    return fold("Manifest-Version: 1.0\nBundle-ManifestVersion: 2\n"
                f"Bundle-SymbolicName: {name}\nBundle-Version: {version}\n{extra}")


@functools.lru_cache(maxsize=None)
def app(key, name, version, stamp, generation=2, spelling="plugins-version", low=None, high=None, size=0):
    """An app with its descriptor (facts 9.1)."""
    limits = f'<application-version min="{low}" max="{high}"/>' if low else ""
    descriptor = f"""<atlassian-plugin key="{key}" name='{name}' {spelling}="{generation}">
  <plugin-info>
    <description>{name}, an app of the stand-in</description>
    <version>{version}</version>
    <vendor name="Example Vendor" url="https://vendor.example/"/>
    {limits}
    <param name="atlassian-data-center-status">compatible</param>
    <param name="atlassian-data-center-compatible">true</param>
  </plugin-info>
  <web-item key="item" section="system.top.navigation.bar" weight="10"><link>/x</link></web-item>
</atlassian-plugin>
"""
    entries = {"META-INF/MANIFEST.MF": manifest(key, version, f"Atlassian-Plugin-Key: {key}\nSpring-Context: *\n"
                                                "Import-Package: com.atlassian.confluence.pages;version=\"[1,99)\","
                                                "com.atlassian.sal.api;version=\"[2,9)\"\n"),
               "atlassian-plugin.xml": descriptor}
    if size:
        # Text that compresses little, so that the jar has about the wanted size.
        value, lines = 88172645463325252 + len(key) * 7919, []
        for _ in range(size // 14):
            value = (value * 6364136223846793005 + 1442695040888963407) % 2 ** 64
            lines.append(f"{value:016x}")
        entries["data/content.txt"] = "\n".join(lines)
    return pack(entries, stamp)
