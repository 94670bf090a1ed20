package org.confleet.standin;

import jakarta.servlet.ServletContextEvent;
import jakarta.servlet.ServletContextListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;

/** Ties one Application to the life of the web application in Tomcat. */
public final class Startup implements ServletContextListener {
    static final String KEY = "standin";
    private Application app;

    @Override
    public void contextInitialized(ServletContextEvent event) {
        try {
            app = new Application(Path.of(event.getServletContext().getRealPath("/")));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        event.getServletContext().setAttribute(KEY, app);
        // Beside Tomcat's own start, so that /status answers while Confluence is coming up.
        Application.daemon(app::start, "startup");
    }

    @Override
    public void contextDestroyed(ServletContextEvent event) {
        try {
            app.stop();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }
}
