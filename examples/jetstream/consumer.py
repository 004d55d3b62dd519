#!/usr/bin/env python3
"""A durable consumer of rtsd's changes in NATS JetStream, which keeps a copy of the records in SQLite.

JetStream delivers at least once. A change is applied once all the same: its id is committed with what it
changes, in one transaction, and acknowledged afterwards. Needs `pip install nats-py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nats
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

BATCH = 100
IDLE_S = 5.0
AGAIN_S = 1.0
KEEP_IDS = "-30 days"
"""Longer than the stream keeps its messages: what it can deliver again is recognised."""

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS applied (
    source TEXT, id TEXT, time TEXT,               -- of the CloudEvent; ids come again after a restore
    PRIMARY KEY (source, id, time)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    subject TEXT PRIMARY KEY,                      -- Contact/0035g…
    time TEXT NOT NULL,
    number INTEGER NOT NULL,
    deleted INTEGER NOT NULL,                      -- a deleted record stays, to recognise what is older
    fields TEXT,                                   -- NULL: too large for a message; read it from the mirror
    changes INTEGER NOT NULL DEFAULT 1
);
"""
UPSERT = """
INSERT INTO record (subject, time, number, deleted, fields) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (subject) DO UPDATE SET changes = changes + 1
"""
REPLACE = """
UPDATE record SET time = ?2, number = ?3, deleted = ?4, fields = ?5
WHERE subject = ?1 AND (?2, ?3) > (time, number)
"""


def apply(database: sqlite3.Connection, events: Sequence[dict[str, Any]]) -> None:
    """Apply events in one transaction: those that were applied before change nothing."""
    with database:
        for event in events:
            key = (event["source"], event["id"], event["time"])
            if not database.execute("INSERT OR IGNORE INTO applied VALUES (?, ?, ?)", key).rowcount:
                continue
            data = event["data"]
            omitted = "after" in data.get("omitted", ())
            fields = None if omitted else json.dumps(data["after"])
            row = (event["subject"], event["time"], int(event["id"]), data["op"] == "delete", fields)
            database.execute(UPSERT, row)
            database.execute(REPLACE, row)


async def consume(
    stream: JetStreamContext, database: sqlite3.Connection, options: argparse.Namespace
) -> None:
    """Take what comes, without end. The durable consumer on the server knows what was acknowledged."""
    config = ConsumerConfig(ack_wait=options.ack_wait)
    reading = await stream.pull_subscribe(
        options.subjects, durable=options.durable, stream=options.stream, config=config
    )
    print(f"reading {options.stream}", flush=True)
    while True:
        try:
            messages: list[Msg] = await reading.fetch(BATCH, timeout=IDLE_S)
        except nats.errors.TimeoutError:  # nothing changed
            with database:
                database.execute(
                    "DELETE FROM applied WHERE time < strftime('%Y-%m-%dT%H:%M', 'now', ?)", (KEEP_IDS,)
                )
            continue
        apply(database, [json.loads(message.data) for message in messages])
        for message in messages:
            await message.ack()  # after the commit: what is not acknowledged comes again


async def run(options: argparse.Namespace) -> None:
    """Consume, and connect again whenever the servers were away."""
    database = sqlite3.connect(options.database)
    database.executescript(SCHEMA)
    while True:
        try:
            client = await nats.connect(options.url, error_cb=told, max_reconnect_attempts=-1)
            try:
                await consume(client.jetstream(), database, options)
            finally:
                await client.close()
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            print(f"{type(error).__name__}: {error}; trying again", file=sys.stderr, flush=True)
            await asyncio.sleep(AGAIN_S)


async def told(error: Exception) -> None:
    """Say what is wrong with the connection."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)


def main() -> None:
    """Read the options, and run."""
    parser = argparse.ArgumentParser(description="Keep a copy of what rtsd publishes in SQLite")
    parser.add_argument("--url", default="nats://127.0.0.1:4222", help="[nats://127.0.0.1:4222]")
    parser.add_argument("--stream", default="rts", help="[rts]")
    parser.add_argument("--subjects", default="rts.>", help="[rts.>]; contacts only: rts.*.Contact.>")
    parser.add_argument("--durable", default="crm-copy", help="the consumer's name on the server [crm-copy]")
    parser.add_argument("--database", type=Path, default=Path("copy.db"), help="[copy.db]")
    parser.add_argument("--ack-wait", type=float, default=30, help="seconds until a change comes again [30]")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
