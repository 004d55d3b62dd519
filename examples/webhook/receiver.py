#!/usr/bin/env python3
"""A receiver of rtsd's webhooks: standard library only, one file, state in SQLite.

It answers 204 once a delivery is committed, and applies it afterwards: a slow step of yours delays no answer.
A delivery that comes twice is applied once. A late one never replaces what a later change of the record left.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import sqlite3
import sys
import threading
import time
from contextlib import closing
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOLERANCE_S = 300
"""How far the time of an attempt may be from ours, as Standard Webhooks advises."""
MAX_BYTES = 16 * 1024 * 1024
PATIENCE_S = 30
"""The most a connection may keep us waiting, for its next request included."""
KEEP_IDS = "-7 days"
"""rtsd retries for a day; a dead letter that somebody retries later keeps its id."""

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS delivery (
    number INTEGER PRIMARY KEY,                    -- in the order they came
    id TEXT NOT NULL UNIQUE,                       -- webhook-id, the same in each attempt
    came_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    body BLOB                                      -- NULL once it is applied
);
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,                              -- when rtsd committed the change
    seq INTEGER NOT NULL,                          -- its number in rtsd's journal
    op TEXT NOT NULL,                              -- a deleted record stays, to recognise what is older
    fields TEXT NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 1
);
"""
APPLY = """
INSERT INTO record (id, at, seq, op, fields) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    at = excluded.at, seq = excluded.seq, op = excluded.op, fields = excluded.fields,
    deliveries = deliveries + 1
WHERE (excluded.at, excluded.seq) > (record.at, record.seq)
"""


def is_genuine(secret: bytes, headers: Message, body: bytes, now: float) -> bool:
    """Whether somebody with the secret signed this body, within five minutes."""
    name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not name or not stamp.isdecimal() or abs(now - int(stamp)) > TOLERANCE_S:
        return False
    signed = b".".join([name.encode(), stamp.encode(), body])
    wanted = b"v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())
    signatures = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(wanted, signature) for signature in signatures)


class Store:
    """The deliveries that came, and the records as they left them. Each call has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.came = threading.Event()
        with closing(self._connect()) as database:
            database.executescript(SCHEMA)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=10)
        database.execute("PRAGMA synchronous = FULL")
        return database

    def keep(self, name: str, body: bytes) -> None:
        """Commit a delivery, unless it came before."""
        with closing(self._connect()) as database, database:
            database.execute("INSERT OR IGNORE INTO delivery (id, body) VALUES (?, ?)", (name, body))
        self.came.set()

    def apply_next(self) -> bool:
        """Apply the oldest delivery that waits, in one transaction; False if none does."""
        with closing(self._connect()) as database, database:
            waiting = "SELECT number, body FROM delivery WHERE body IS NOT NULL ORDER BY number LIMIT 1"
            found = database.execute(waiting).fetchone()
            if found is None:
                old = "DELETE FROM delivery WHERE body IS NULL AND came_at < datetime('now', ?)"
                database.execute(old, (KEEP_IDS,))
                return False
            number, body = found
            document = json.loads(body)
            if "rule" in document:  # an alert has no record
                event = document["event"]
                fields = json.dumps(document["record"])
                database.execute(APPLY, (event["id"], event["at"], event["seq"], event["op"], fields))
            database.execute("UPDATE delivery SET body = NULL WHERE number = ?", (number,))
        return True

    def apply_all(self) -> None:
        """Apply what comes, without end; what was committed before a kill comes first."""
        while True:
            self.came.clear()
            while self.apply_next():
                pass
            self.came.wait()


class Receiver(BaseHTTPRequestHandler):
    """Answers `POST /hook`."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S
    store: Store
    secret: bytes

    def do_POST(self) -> None:
        """Verify, commit, answer."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BYTES:
            self.close_connection = True
            self._answer(413 if length.isdecimal() else 411)
            return
        body = self.rfile.read(int(length))
        if self.path != "/hook":
            self._answer(404)
        elif len(body) < int(length) or not is_genuine(self.secret, self.headers, body, time.time()):
            self._answer(401)
        else:
            self.store.keep(self.headers["webhook-id"], body)
            self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - the name is the base class's
        """Log status and path, never what was sent."""
        sys.stderr.write(f"{self.log_date_time_string()} {format % values}\n")


def main() -> None:
    """Listen until interrupted."""
    parser = argparse.ArgumentParser(description="Receive rtsd's webhooks at http://127.0.0.1:PORT/hook")
    parser.add_argument("--secret-file", type=Path, required=True, help="the rule's secret_file")
    parser.add_argument("--database", type=Path, default=Path("received.db"), help="[received.db]")
    parser.add_argument("--port", type=int, default=8080, help="[8080]; 0 takes a free one")
    options = parser.parse_args()
    Receiver.secret = options.secret_file.read_bytes().strip()
    if not Receiver.secret:
        parser.error(f"{options.secret_file} is empty: write the rule's secret into it")
    Receiver.store = Store(options.database)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}/hook", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Receiver.store.apply_all()  # here, so that an error of yours ends the process instead of a thread


if __name__ == "__main__":
    main()
