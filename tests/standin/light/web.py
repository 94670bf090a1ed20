"""The few pages and REST calls that a check of a running Confluence uses (facts 3.1, 3.4)."""
import json
import os
import re
import threading
import urllib.parse

import psycopg2

from . import effects

PAGE = """<!DOCTYPE html>
<html><head><title>{title} - Confluence</title>
<meta name="ajs-version-number" content="{version}">
<meta name="ajs-build-number" content="{build}">
</head><body class="{body}"><h1>{title}</h1><p>{text}</p>
<div id="footer">Powered by Atlassian Confluence {version}</div></body></html>
"""


def serve(app, listener, context):
    """One thread per request; requests are short and few."""
    while not app.stopping.is_set():
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=handle, args=(app, peer, context), daemon=True).start()


def handle(app, peer, context):
    with peer:
        try:
            peer.settimeout(10)
            data = b""
            while b"\r\n\r\n" not in data and len(data) < 65536:
                part = peer.recv(8192)
                if not part:
                    return
                data += part
            head = data.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ", 2)
            token = next((x[21:] for x in head[1:] if x.lower().startswith("authorization: bearer")), "")
            code, kind, body, extra = answer(app, method, target, context, token.strip())
            reply = [f"HTTP/1.1 {code} {REASON.get(code, 'Status')}", f"Content-Type: {kind}",
                     f"Content-Length: {len(body)}", "Connection: close"] + extra
            peer.sendall("\r\n".join(reply).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else body))
        except (OSError, ValueError):
            return


REASON = {200: "OK", 302: "Found", 401: "Unauthorized", 404: "Not Found", 500: "Internal Server Error",
          503: "Service Unavailable"}


def as_json(value, code=200):
    return code, "application/json", json.dumps(value).encode(), []


def missing():
    return 404, "text/html;charset=UTF-8", b"<html><body><h1>HTTP Status 404</h1></body></html>", []


def answer(app, method, target, context, token):
    """Status, content type, body and further headers of one request."""
    path, _, query = target.partition("?")
    if context and not path.startswith(context + "/"):
        return missing()
    path = urllib.parse.unquote(path[len(context):])
    values = dict(urllib.parse.parse_qsl(query))
    if app.phase == 404 and app.state != "STOPPING":
        return missing()                                  # Tomcat is up, the web application not yet
    if app.phase == 302 and app.state != "STOPPING":
        return 302, "text/html", b"", [f"Location: {context}/bootstrap/selectsetupstep.action"]
    if path == "/status":
        # Facts 3.1: 200 with a state, 500 with ERROR.
        return as_json({"state": app.state}, 500 if app.state == "ERROR" else 200)
    if app.state == "ERROR":
        return page(app, 500, "errors", "Confluence is not available", app.problem or "")
    if app.state == "FIRST_RUN":
        return 302, "text/html", b"", [f"Location: {context}/setup/setupstart.action"]
    if app.state != "RUNNING":
        return page(app, 503, "starting", "Confluence is starting up", "")
    try:
        return running(app, path, values, token)
    except psycopg2.Error as error:
        return page(app, 500, "errors", "System Error", str(error))


def page(app, code, body, title, text):
    html = PAGE.format(title=title, text=text, body=body, version=app.install.version, build=app.install.build)
    return code, "text/html;charset=UTF-8", html.encode(), ["X-Confluence-Request-Time: 1"]


def running(app, path, values, token):
    if "pages-fail" in app.faults:                        # facts 3.1: /status says RUNNING all the same
        return page(app, 500, "errors", "System Error", "told to fail")
    if path in ("/", "/index.action", "/dashboard.action"):
        count = app.db.one("SELECT count(*) FROM content WHERE contenttype = 'PAGE'")
        return page(app, 200, "dashboard", "Dashboard", f"{count} pages")
    if path == "/login.action":
        return page(app, 200, "login", "Log In", "")      # facts 6: both numbers in its meta tags
    if path == "/rest/api/accessmode":
        mode = app.home.property("access.mode") or "READ_WRITE"
        return as_json(mode)                              # facts 3.4: a JSON string
    wanted = app.switches.get("token")
    if wanted and token != wanted:
        return as_json({"statusCode": 401, "message": "Client must be authenticated"}, 401)
    if path == "/rest/api/server-information":
        return as_json({"version": app.install.version, "buildNumber": str(app.install.build),
                        "buildDate": app.install.date})
    if path == "/rest/api/space":
        return spaces(app, values)
    if path in ("/rest/api/search", "/rest/api/content/search"):
        return search(app, values)
    if path == "/rest/plugins/1.0/":
        return plugins(app)
    found = re.match(r"/download/attachments/(\d+)/([^/]+)$", path)
    if found:
        return attachment(app, int(found.group(1)), found.group(2))
    found = re.match(r"/pages/viewpage\.action$", path)
    if found and values.get("pageId", "").isdigit():
        rows = app.db.all("SELECT c.title, b.body FROM content c LEFT JOIN bodycontent b USING (contentid) "
                          "WHERE c.contentid = %s", (int(values["pageId"]),))
        return page(app, 200, "view", rows[0][0], rows[0][1]) if rows else missing()
    return missing()


def limit(values, default=25):
    text = values.get("limit", "")
    return int(text) if text.isdigit() else default


def spaces(app, values):
    rows = app.db.all("SELECT spaceid, spacekey, spacename, spacetype FROM spaces ORDER BY spacekey")
    part = rows[:limit(values)]
    return as_json({"results": [dict(zip(("id", "key", "name", "type"), row)) for row in part],
                    "start": 0, "limit": limit(values), "size": len(part)})


def search(app, values):
    """Looks in the index file alone, so that a lost index shows (facts 5.4)."""
    index = effects.index_file(app.home.path)
    if index is None or "search-fails" in app.faults:
        return as_json({"statusCode": 500, "message": "Index is not readable"}, 500)
    words = re.findall(r"\w+", (re.findall(r'"([^"]*)"', values.get("cql", "")) or [""])[-1].lower())
    found = []
    with open(index, encoding="utf-8") as lines:
        for line in lines:
            number, title, text = line.rstrip("\n").split("\t")
            if all(word in text.split(" ") for word in words):
                found.append({"id": number, "type": "page", "title": title})
    return as_json({"results": found[:limit(values)], "start": 0, "limit": limit(values),
                    "size": min(len(found), limit(values)), "totalSize": len(found)})


def plugins(app):
    """The list of apps: bundled ones from the installation, others from plugindata (facts 9.2)."""
    off = set(re.findall(r"<string>([^<]+)</string>\s*<boolean>false</boolean>", app.db.one(
        "SELECT bandanavalue FROM bandana WHERE bandanakey = 'plugin.manager.state.Map'") or ""))
    rows = app.db.all("SELECT pluginkey, filename FROM plugindata ORDER BY pluginkey")
    mine = [(key, name.rsplit("-", 1)[-1].removesuffix(".jar"), True) for key, name in rows]
    folder = os.path.join(app.install.path, "confluence/WEB-INF/atlassian-bundled-plugins")
    for name in sorted(os.listdir(folder)):
        stem, _, version = name.removesuffix(".jar").rpartition("-")
        mine.append(("com.atlassian.confluence.plugins." + stem, version, False))
    broken = app.faults.get("app-disabled")
    return as_json({"plugins": [
        {"key": key, "name": key.rsplit(".", 1)[-1], "version": version, "userInstalled": user,
         "enabled": key not in off and not (user and broken is not None and broken in ("", key)),
         "links": {"self": f"/rest/plugins/1.0/{key}-key"}} for key, version, user in mine]})


def attachment(app, page_id, name):
    rows = app.db.all("SELECT a.contentid, a.version, a.spaceid, p.stringval FROM content a LEFT JOIN "
                      "contentproperties p ON p.contentid = a.contentid AND p.propertyname = 'MEDIA_TYPE' "
                      "WHERE a.contenttype = 'ATTACHMENT' AND a.pageid = %s AND a.title = %s "
                      "AND a.prevver IS NULL", (page_id, name))
    if not rows:
        return missing()
    number, version, space, kind = rows[0]
    path = effects.attachment_file(app.home.path, space, page_id, number, version)
    if path is None:
        return missing()
    with open(path, "rb") as source:
        return 200, kind or "application/octet-stream", source.read(), []
