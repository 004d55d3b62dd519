"""What a table of some million rows takes: to load, start again, prove and repair, and query meanwhile."""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import msgspec
import psycopg

from tests.bench.audit import seconds_of
from tests.bench.report import Report, rounded
from tests.support import postgres
from tests.support.processes.attackers import push_alone
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import TOKEN, Rig, standing
from tests.support.processes.sender import Shot, signed

OBJECT = "Lead"
FIELDS = (
    '["Id", "FirstName", "LastName", "Title", "Company", "Street", "City", "State", "PostalCode", "Country",'
    ' "Phone", "Email", "LeadSource", "Status", "Rating", "AnnualRevenue", "OwnerId", "CreatedDate",'
    ' "IsConverted", "SystemModstamp"]'
)
"""Twenty, as many as a mirror of a hosted sync usually has."""
DRIFTS = 10
FIRST_200_S = 2.0
"""What is wanted of a restart."""


class Table(Protocol):
    """The table as another program reads it."""

    def rows(self, statement: str) -> list[Any]:
        """Query it on a connection of its own; `{table}` is its name."""

    def bytes(self) -> int:
        """How much space it takes, with its indexes and the rest of the mirror."""


class SqliteTable:
    """In a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, statement: str) -> list[Any]:
        """Query it."""
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as database:
            return database.execute(statement.format(table=OBJECT)).fetchall()

    def bytes(self) -> int:
        """The size of the file."""
        return self._path.stat().st_size


class PostgresTable:
    """In a database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, statement: str) -> list[Any]:
        """Query it."""
        with psycopg.connect(self._url) as connection:
            named = statement.format(table=f"salesforce.{OBJECT.lower()}")
            return connection.execute(named.encode()).fetchall()

    def bytes(self) -> int:
        """The size of the database."""
        ((size,),) = self.rows("SELECT pg_database_size(current_database())")
        return int(size)


@contextmanager
def stored(store: str, rig: Rig) -> Iterator[Table]:
    """Have the mirror be in that store."""
    if store == "sqlite":
        yield SqliteTable(rig.mirror)
        return
    with postgres.cluster() as url:
        path = f"path = {json.dumps(str(rig.mirror))}"
        rig.config.write_text(rig.config.read_text().replace(path, f"url = {json.dumps(url)}"))
        yield PostgresTable(url)


class Readings:
    """How long another program's queries took, by what rtsd did meanwhile, in ms."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._numbers = count()
        self.took: list[float] = []

    async def repeat(self) -> None:
        """Read a row, five times a second."""
        while True:
            self.took.append(await asyncio.to_thread(self._read))
            await asyncio.sleep(0.2)

    def _read(self) -> float:
        begun = time.perf_counter()
        self._table.rows(f"SELECT * FROM {{table}} LIMIT 1 OFFSET {next(self._numbers) % 50}")
        return (time.perf_counter() - begun) * 1e3


class Steps:
    """The steps so far, each with its seconds, API calls, and the slowest reads beside it."""

    def __init__(self, rig: Rig, table: Table, report: Report) -> None:
        self._rig = rig
        self._table = table
        self._report = report

    @asynccontextmanager
    async def timed(self, name: str, key: str, *, reads: bool = True) -> AsyncIterator[list[str]]:
        """Time a step, with another program's reads beside it; what the caller appends is its note."""
        note: list[str] = []
        readings = Readings(self._table)
        reading = asyncio.create_task(readings.repeat()) if reads else None
        calls, begun = await self._calls(), time.perf_counter()
        yield note
        seconds, calls = time.perf_counter() - begun, await self._calls() - calls
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
        took = sorted(readings.took)
        slowest = f"{took[int(len(took) * 0.99)]:.0f}" if took else ""
        rss = f"{self._rig.daemons[-1].peak_rss / 1e6:.0f}"
        self._report.rows.append((name, f"{seconds:.1f}", str(calls), rss, slowest, "".join(note)))
        self._report.numbers |= {f"{key}_s": seconds, f"{key}_calls": calls}

    async def _calls(self) -> int:
        return int((await self._rig.org.stats())["api_calls"])


async def run(options: argparse.Namespace) -> Report:
    """Load a table, then do everything with it that takes longer the more rows it has."""
    rows = options.many
    head = ("", "seconds", "API calls", "peak RSS MB", "read p99 ms", "")
    report = Report(f"{rows:,} rows of 20 columns in {options.store}", head)
    async with standing({OBJECT: rows}, interval="1h") as rig:
        rig.config.write_text(
            rig.config.read_text().replace(f'name = "{OBJECT}"', f'name = "{OBJECT}"\nfields = {FIELDS}')
        )
        with stored(options.store, rig) as table:
            size = await _run(rig, table, Steps(rig, table, report), rows)
    report.notes.append(f"mirror: {size / 1e9:.2f} GB, {size / rows:.0f} bytes a row")
    report.numbers = rounded(report.numbers | {"gigabytes": size / 1e9})
    return report


async def _run(rig: Rig, table: Table, steps: Steps, rows: int) -> int:
    """Take all steps; return the mirror's size after the load."""
    daemon = await rig.start()
    async with steps.timed("first load", "load", reads=False) as note:
        await daemon.live(within=7_200)
        note.append(f"{rows / (await _seconds_of_load(daemon)):,.0f} rows/s")
    size, ping = table.bytes(), _ping(rig)
    await daemon.terminate()
    async with steps.timed("start, until the first push is answered 200", "restart") as note:
        daemon = await rig.launch()
        note.append("met" if await _answered(rig, ping) < FIRST_200_S else "MISSED")
    await daemon.live(within=600)
    await _measure(rig, table, daemon, steps)
    return size


async def _measure(rig: Rig, table: Table, daemon: Daemon, steps: Steps) -> None:
    async with steps.timed("audit of a mirror that is right", "fingerprint"):
        await daemon.client.audit(OBJECT)
    await rig.org.dml("update", OBJECT, untriggered=True, rows=_edits(table))
    async with steps.timed(f"audit that finds {DRIFTS} drifts", "drift") as note:
        (found,) = (await daemon.client.audit(OBJECT)).objects
        note.append(f"{found.repaired} repaired")
    for name, key in (("verify, the first time", "verify_first"), ("verify", "verify")):
        async with steps.timed(name, key) as note:
            note.append("right" if (await daemon.client.verify()).ok else "WRONG")


async def _seconds_of_load(daemon: Daemon) -> float:
    told = [event for event in await daemon.events("audit") if event.object == OBJECT]
    return max(seconds_of(told[-1].at) - seconds_of(told[0].at), 0.001)


def _edits(table: Table) -> list[dict[str, Any]]:
    ids = [id_ for (id_,) in table.rows("SELECT Id FROM {table} ORDER BY Id LIMIT 1000000")]
    return [{"Id": ids[place * len(ids) // DRIFTS], "Title": "drifted"} for place in range(DRIFTS)]


def _ping(rig: Rig) -> Shot:
    """An administrator's ping, which changes nothing in the mirror."""
    document = {"v": 1, "kind": "test", "org": rig.org.info["org_id"]}
    return signed(TOKEN, "sizes", msgspec.json.encode(document))


async def _answered(rig: Rig, shot: Shot) -> float:
    """Push until it is answered 200; return the seconds."""
    begun = time.perf_counter()
    while True:
        try:
            status, _ = await push_alone(rig.port, shot)
        except OSError:
            status = 0
        if status == 200:
            return time.perf_counter() - begun
        await asyncio.sleep(0.01)
