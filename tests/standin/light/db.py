"""A few connections to the site's database, as the real product's pool holds them."""
import threading

import psycopg2
import psycopg2.extensions


class Pool:
    """Opened once and kept (facts 1.4: c3p0 or hikari); each statement commits by itself."""

    def __init__(self, keywords, size):
        self.lock = threading.Lock()
        self.turn = 0
        self.keywords = keywords
        self.connections = []
        try:
            for _ in range(size):
                self.connections.append(self.open(keywords))
        except psycopg2.Error:
            self.close()
            raise

    @staticmethod
    def open(keywords):
        connection = psycopg2.connect(application_name="confluence", connect_timeout=10, **keywords)
        connection.autocommit = True
        return connection

    def cursor(self, sql, values):
        """Runs one statement on the next connection; the caller holds the lock."""
        self.turn = (self.turn + 1) % len(self.connections)
        if self.connections[self.turn].closed:         # the server was restarted: pools open anew
            self.connections[self.turn] = self.open(self.keywords)
        cursor = self.connections[self.turn].cursor()
        cursor.execute(sql, values)
        return cursor

    def run(self, sql, values=None):
        with self.lock:
            cursor = self.cursor(sql, values)
            count = cursor.rowcount
            cursor.close()
            return count

    def all(self, sql, values=None):
        with self.lock:
            cursor = self.cursor(sql, values)
            rows = cursor.fetchall()
            cursor.close()
            return rows

    def one(self, sql, values=None):
        rows = self.all(sql, values)
        return rows[0][0] if rows else None

    def close(self):
        for connection in self.connections:
            connection.close()
        self.connections = []
