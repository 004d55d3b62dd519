"""The initial audit into PostgreSQL against COPY of the same rows, and against rtsd on SQLite.

COPY writes the text of the whole job, which lies there already, into a table with the mirror's columns,
keys and indexes. Ours is timed from the first request for the job's result to live, as in `audit`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psycopg

from tests.bench.audit import OBJECT, audited, cells, download, downloads, seconds_of
from tests.bench.report import Report, middle, ratio, rounded
from tests.support import postgres
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

FLOOR = 0.5
TABLE = f"salesforce.{OBJECT.lower()}"


async def run(options: argparse.Namespace) -> Report:
    """Load the same rows in each way, in turn."""
    rows, ours, sqlite, copied = options.rows, list[float](), list[float](), list[float]()
    with postgres.cluster() as url, tempfile.TemporaryDirectory() as place:
        async with standing({OBJECT: rows}, initial_audit="ask") as rig:
            source = Path(place) / "rows.csv"
            for number in range(options.rounds):
                with psycopg.connect(url) as connection:
                    connection.execute("DROP SCHEMA IF EXISTS salesforce CASCADE")
                    connection.execute("DROP SCHEMA IF EXISTS rts CASCADE")
                ours.append(rows / await _loaded(Nodes(rig, url)))
                if number == 0:
                    await download(rig.org, _columns(url), source)
                copied.append(rows / _copy(url, source))
                rig.write_config()  # that of the node was written over it
                sqlite.append((await audited(rig, rows)).complete)
    return _report(rows, ours, copied, sqlite)


async def _loaded(nodes: Nodes) -> float:
    """Start with empty schemas, ask for the initial audit; return the seconds from the download to live."""
    daemon = await (await nodes.launch("a")).ready()

    async def described() -> bool:
        return any(found.state == "pending" for found in (await daemon.status()).objects) and _has_table(
            nodes.url
        )

    await eventually(described, "the object is described")
    before = await downloads(nodes.rig.org)
    await daemon.client.start_audit(OBJECT, full=True)

    async def downloading() -> float | None:
        return time.time() if await downloads(nodes.rig.org) > before else None

    first_byte = await eventually(downloading, "the result is downloaded", 300)
    await daemon.live(within=600)

    async def live() -> float | None:
        told = [event for event in await daemon.events("audit") if event.message == "live"]
        return seconds_of(told[-1].at) if told else None

    seconds = await eventually(live, "the journal says live") - first_byte
    assert await daemon.terminate() == 0
    return seconds


def _has_table(url: str) -> bool:
    with psycopg.connect(url) as connection:
        ((found,),) = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (TABLE,)).fetchall()
        return bool(found)


def _columns(url: str) -> list[str]:
    """The names of the mirror's columns that a Bulk query can name."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND NOT attisdropped AND attname NOT LIKE '\\_rts\\_%%' ORDER BY attnum",
            (TABLE,),
        ).fetchall()
        return [name for (name,) in found]


def _copy(url: str, source: Path) -> float:
    """The seconds that COPY takes into a table with the same columns, key and indexes."""
    names = ", ".join(f'"{name}"' for name in _columns(url))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS copied")
        connection.execute("DROP TABLE IF EXISTS copied.rows")
        connection.execute(f"CREATE TABLE copied.rows (LIKE {TABLE} INCLUDING ALL)".encode())
        for (own,) in connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'copied.rows'::regclass"
            " AND attnotnull AND attname LIKE '\\_rts\\_%%'"
        ).fetchall():
            connection.execute(f'ALTER TABLE copied.rows ALTER COLUMN "{own}" DROP NOT NULL'.encode())
        begun = time.perf_counter()
        copy = f"COPY copied.rows ({names}) FROM STDIN (FORMAT csv, HEADER, FORCE_NULL ({names}))"
        with source.open("rb") as file, connection.cursor().copy(copy.encode()) as sink:
            while piece := file.read(1 << 20):
                sink.write(piece)
        return time.perf_counter() - begun


def _report(rows: int, ours: list[float], copied: list[float], sqlite: list[float]) -> Report:
    report = Report(f"Initial audit of {rows:,} {OBJECT} rows", ("", "rows/s", "range", "ratio to ours"))
    report.rows.append(("rtsd on PostgreSQL, job complete", *cells(ours), ""))
    report.rows.append(("COPY, the same key and indexes", *cells(copied), f"{ratio(ours, copied):.2f}"))
    report.rows.append(("rtsd on SQLite, job complete", *cells(sqlite), f"{ratio(ours, sqlite):.2f}"))
    met = ratio(ours, copied) >= FLOOR
    report.notes.append(f"floor: {FLOOR} of COPY: {'met' if met else 'MISSED'}")
    report.numbers = rounded(
        {
            "rtsd": middle(ours),
            "copy": middle(copied),
            "sqlite": middle(sqlite),
            "rtsd/copy": ratio(ours, copied),
            "rtsd/sqlite": ratio(ours, sqlite),
        }
    )
    return report
