package org.confleet.standin;

import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The few pages and REST calls that a check of a running Confluence uses (facts 3.1, 3.4); as light/web.py. */
public final class Gate implements Filter {
    private static final Pattern ATTACHMENT = Pattern.compile("/download/attachments/(\\d+)/([^/]+)");

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
        throws IOException, ServletException {
        HttpServletRequest in = (HttpServletRequest) request;
        HttpServletResponse out = (HttpServletResponse) response;
        Application app = (Application) request.getServletContext().getAttribute(Startup.KEY);
        String path = in.getServletPath() + (in.getPathInfo() == null ? "" : in.getPathInfo());
        boolean stopping = app.state.equals("STOPPING");
        try {
            if (app.phase == 404 && !stopping) {
                out.sendError(404);                     // Tomcat is up, the web application not yet
            } else if (app.phase == 302 && !stopping) {
                redirect(in, out, "/bootstrap/selectsetupstep.action");
            } else if (path.equals("/status")) {
                // Facts 3.1: 200 with a state, 500 with ERROR.
                json(out, app.state.equals("ERROR") ? 500 : 200, "{\"state\":\"" + app.state + "\"}");
            } else if (app.state.equals("ERROR")) {
                page(app, out, 500, "Confluence is not available", app.problem);
            } else if (app.state.equals("FIRST_RUN")) {
                redirect(in, out, "/setup/setupstart.action");
            } else if (!app.state.equals("RUNNING")) {
                page(app, out, 503, "Confluence is starting up", "");
            } else {
                running(app, in, out, path);
            }
        } catch (SQLException error) {
            page(app, out, 500, "System Error", error.getMessage());
        }
    }

    private static void redirect(HttpServletRequest in, HttpServletResponse out, String target) {
        out.setStatus(302);
        out.setHeader("Location", in.getContextPath() + target);
    }

    private static void send(HttpServletResponse out, int code, String kind, byte[] body) throws IOException {
        out.setStatus(code);
        out.setContentType(kind);
        out.setContentLength(body.length);
        out.getOutputStream().write(body);
    }

    private static void json(HttpServletResponse out, int code, String body) throws IOException {
        send(out, code, "application/json", body.getBytes(StandardCharsets.UTF_8));
    }

    private static void page(Application app, HttpServletResponse out, int code, String title, String text)
        throws IOException {
        // Facts 6: both numbers stand in the meta tags of a page.
        String html = "<!DOCTYPE html>\n<html><head><title>" + title + " - Confluence</title>\n"
            + "<meta name=\"ajs-version-number\" content=\"" + app.version + "\">\n"
            + "<meta name=\"ajs-build-number\" content=\"" + app.build + "\">\n</head><body><h1>" + title + "</h1><p>"
            + text + "</p>\n<div id=\"footer\">Powered by Atlassian Confluence " + app.version + "</div></body></html>\n";
        send(out, code, "text/html;charset=UTF-8", html.getBytes(StandardCharsets.UTF_8));
    }

    static String quote(Object value) {
        StringBuilder text = new StringBuilder("\"");
        for (char c : String.valueOf(value).toCharArray()) {
            text.append(c == '"' || c == '\\' ? "\\" + c : c < ' ' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
        }
        return text.append('"').toString();
    }

    private static void running(Application app, HttpServletRequest in, HttpServletResponse out, String path)
        throws IOException, SQLException {
        if (app.fault("pages-fail")) {                  // facts 3.1: /status says RUNNING all the same
            page(app, out, 500, "System Error", "told to fail");
            return;
        }
        switch (path) {
        case "/", "/index.action", "/dashboard.action" -> {
            page(app, out, 200, "Dashboard",
                app.database.number("SELECT count(*) FROM content WHERE contenttype = 'PAGE'") + " pages");
            return;
        }
        case "/login.action" -> {
            page(app, out, 200, "Log In", "");
            return;
        }
        case "/rest/api/accessmode" -> {
            String mode = app.home.property("access.mode");
            json(out, 200, quote(mode.isEmpty() ? "READ_WRITE" : mode));     // facts 3.4: a JSON string
            return;
        }
        default -> {
        }
        }
        String wanted = app.switches.getProperty("token");
        if (wanted != null && !("Bearer " + wanted).equals(in.getHeader("Authorization"))) {
            json(out, 401, "{\"statusCode\": 401, \"message\": \"Client must be authenticated\"}");
            return;
        }
        Matcher attachment = ATTACHMENT.matcher(path);
        if (attachment.matches()) {
            attachment(app, out, Long.parseLong(attachment.group(1)), attachment.group(2));
            return;
        }
        switch (path) {
        case "/rest/api/server-information" -> json(out, 200, "{\"version\": " + quote(app.version)
            + ", \"buildNumber\": \"" + app.build + "\", \"buildDate\": " + quote(app.about.getProperty("build.date")) + "}");
        case "/rest/api/space" -> spaces(app, in, out);
        case "/rest/api/search", "/rest/api/content/search" -> search(app, in, out);
        case "/rest/plugins/1.0/" -> plugins(app, out);
        case "/pages/viewpage.action" -> view(app, in, out);
        default -> out.sendError(404);
        }
    }

    private static void results(HttpServletRequest in, HttpServletResponse out, List<String> all, boolean total)
        throws IOException {
        String text = in.getParameter("limit");
        int limit = text != null && text.matches("\\d+") ? Integer.parseInt(text) : 25;
        List<String> part = all.subList(0, Math.min(limit, all.size()));
        json(out, 200, "{\"results\": [" + String.join(", ", part) + "], \"start\": 0, \"limit\": " + limit + ", \"size\": "
            + part.size() + (total ? ", \"totalSize\": " + all.size() : "") + "}");
    }

    private static void spaces(Application app, HttpServletRequest in, HttpServletResponse out)
        throws IOException, SQLException {
        List<String> found = new ArrayList<>();
        for (Object[] row : app.database.all("SELECT spaceid, spacekey, spacename, spacetype FROM spaces ORDER BY spacekey")) {
            found.add("{\"id\": " + row[0] + ", \"key\": " + quote(row[1]) + ", \"name\": " + quote(row[2])
                + ", \"type\": " + quote(row[3]) + "}");
        }
        results(in, out, found, false);
    }

    /** Looks in the index file alone, so that a lost index shows (facts 5.4). */
    private static void search(Application app, HttpServletRequest in, HttpServletResponse out) throws IOException {
        Path index = HomeFiles.indexFile(app.home.path);
        if (index == null || app.fault("search-fails")) {
            json(out, 500, "{\"statusCode\": 500, \"message\": \"Index is not readable\"}");
            return;
        }
        String cql = in.getParameter("cql") == null ? "" : in.getParameter("cql");
        Matcher quoted = Pattern.compile("\"([^\"]*)\"").matcher(cql);
        String words = "";
        while (quoted.find()) {
            words = quoted.group(1).toLowerCase();
        }
        List<String> wanted = List.of(words.split("\\W+"));
        List<String> found = new ArrayList<>();
        for (String line : Files.readAllLines(index)) {
            String[] parts = line.split("\t");
            List<String> present = List.of(parts[2].split(" "));
            if (wanted.stream().allMatch(word -> word.isEmpty() || present.contains(word))) {
                found.add("{\"id\": " + quote(parts[0]) + ", \"type\": \"page\", \"title\": " + quote(parts[1]) + "}");
            }
        }
        results(in, out, found, true);
    }

    private static void plugins(Application app, HttpServletResponse out) throws IOException, SQLException {
        List<String> off = new ArrayList<>();
        Matcher entry = Pattern.compile("<string>([^<]+)</string>\\s*<boolean>false</boolean>").matcher(String.valueOf(
            app.database.one("SELECT bandanavalue FROM bandana WHERE bandanakey = 'plugin.manager.state.Map'")));
        while (entry.find()) {
            off.add(entry.group(1));
        }
        List<String> found = new ArrayList<>();
        for (Object[] row : app.database.all("SELECT pluginkey, filename FROM plugindata ORDER BY pluginkey")) {
            String name = (String) row[1];
            String broken = app.faultValue("app-disabled");
            boolean disabled = off.contains(row[0]) || app.fault("app-disabled") && (broken.isEmpty() || broken.equals(row[0]));
            found.add(plugin((String) row[0], name.substring(name.lastIndexOf('-') + 1).replaceFirst("\\.jar$", ""), true,
                !disabled));
        }
        for (String name : app.bundled()) {
            int dash = name.lastIndexOf('-');
            String key = "com.atlassian.confluence.plugins." + name.substring(0, dash);
            found.add(plugin(key, name.substring(dash + 1).replaceFirst("\\.jar$", ""), false, !off.contains(key)));
        }
        json(out, 200, "{\"plugins\": [" + String.join(", ", found) + "]}");
    }

    private static String plugin(String key, String version, boolean user, boolean enabled) {
        return "{\"key\": " + quote(key) + ", \"name\": " + quote(key.substring(key.lastIndexOf('.') + 1)) + ", \"version\": "
            + quote(version) + ", \"userInstalled\": " + user + ", \"enabled\": " + enabled + ", \"links\": {\"self\": "
            + quote("/rest/plugins/1.0/" + key + "-key") + "}}";
    }

    private static void view(Application app, HttpServletRequest in, HttpServletResponse out)
        throws IOException, SQLException {
        String id = in.getParameter("pageId");
        List<Object[]> rows = id == null || !id.matches("\\d{1,18}") ? List.of() : app.database.all("SELECT c.title, b.body "
            + "FROM content c LEFT JOIN bodycontent b USING (contentid) WHERE c.contentid = ?", Long.parseLong(id));
        if (rows.isEmpty()) {
            out.sendError(404);
        } else {
            page(app, out, 200, String.valueOf(rows.get(0)[0]), String.valueOf(rows.get(0)[1]));
        }
    }

    private static void attachment(Application app, HttpServletResponse out, long page, String name)
        throws IOException, SQLException {
        List<Object[]> rows = app.database.all("SELECT a.contentid, a.version, a.spaceid, p.stringval FROM content a LEFT JOIN "
            + "contentproperties p ON p.contentid = a.contentid AND p.propertyname = 'MEDIA_TYPE' WHERE a.contenttype = "
            + "'ATTACHMENT' AND a.pageid = ? AND a.title = ? AND a.prevver IS NULL", page, name);
        Path path = rows.isEmpty() ? null : HomeFiles.attachmentFile(app.home.path, ((Number) rows.get(0)[2]).longValue(), page,
            ((Number) rows.get(0)[0]).longValue(), ((Number) rows.get(0)[1]).intValue());
        if (path == null) {
            out.sendError(404);
        } else {
            Object kind = rows.get(0)[3];
            send(out, 200, kind == null ? "application/octet-stream" : kind.toString(), Files.readAllBytes(path));
        }
    }
}
