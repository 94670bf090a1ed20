package org.confleet.standin;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/** A few connections opened once and kept, as the product's pool does (facts 1.4). */
final class Database implements AutoCloseable {
    private final List<Connection> connections = new ArrayList<>();
    private final String url;
    private final Properties login = new Properties();
    private int turn;

    Database(Home home, int size) throws SQLException {
        login.setProperty("user", home.property("hibernate.connection.username"));
        login.setProperty("password", home.property("hibernate.connection.password"));
        login.setProperty("ApplicationName", "confluence");
        login.setProperty("connectTimeout", "10");
        url = home.property("hibernate.connection.url");
        try {
            for (int count = 0; count < size; count++) {
                connections.add(open());
            }
        } catch (SQLException error) {
            close();
            throw error;
        }
    }

    private Connection open() throws SQLException {
        Connection opened = new org.postgresql.Driver().connect(url, login);
        if (opened == null) {
            throw new SQLException("no PostgreSQL URL: " + url);
        }
        return opened;
    }

    private Connection next() throws SQLException {
        turn = (turn + 1) % connections.size();
        if (connections.get(turn).isClosed()) {     // the server was restarted: pools open anew
            connections.set(turn, open());
        }
        return connections.get(turn);
    }

    private PreparedStatement prepare(String sql, Object... values) throws SQLException {
        PreparedStatement statement = next().prepareStatement(sql);
        for (int at = 0; at < values.length; at++) {
            statement.setObject(at + 1, values[at]);
        }
        return statement;
    }

    synchronized int run(String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = prepare(sql, values)) {
            return statement.execute() ? 0 : statement.getUpdateCount();
        }
    }

    /** A statement of a task: question marks in it are no parameters. */
    synchronized void runText(String sql) throws SQLException {
        try (java.sql.Statement statement = next().createStatement()) {
            statement.setEscapeProcessing(false);
            statement.execute(sql);
        }
    }

    synchronized List<Object[]> all(String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = prepare(sql, values); ResultSet found = statement.executeQuery()) {
            List<Object[]> rows = new ArrayList<>();
            int width = found.getMetaData().getColumnCount();
            while (found.next()) {
                Object[] row = new Object[width];
                for (int at = 0; at < width; at++) {
                    row[at] = found.getObject(at + 1);
                }
                rows.add(row);
            }
            return rows;
        }
    }

    Object one(String sql, Object... values) throws SQLException {
        List<Object[]> rows = all(sql, values);
        return rows.isEmpty() ? null : rows.get(0)[0];
    }

    long number(String sql, Object... values) throws SQLException {
        return ((Number) one(sql, values)).longValue();
    }

    @Override
    public synchronized void close() {
        for (Connection connection : connections) {
            try {
                connection.close();
            } catch (SQLException ignored) {
                // The server drops it anyway when the process ends.
            }
        }
        connections.clear();
    }
}
