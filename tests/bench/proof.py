"""What it takes to prove a large table right: its fingerprint, and the comparison with its row checksums.

Beside it stands what one would write first: GROUP BY over every row, and reading every row.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rtsd.core.change import Version
from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.store import mirror, mirror_writer, objects, row_checksums
from rtsd.store import schema as tables
from rtsd.store.database import Database
from rtsd.store.sqlite.database import SqliteDatabase
from rtsd.store.sqlite.dialect import SQLITE
from tests.bench.report import Report, middle, rounded

FLOOR_S = 1.0
CHUNK = 5_000
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=197)
"""Between two rows: a million of them spread over six years."""
TEXTS = [f"Text_{number}__c" for number in range(17)]
TABLE = tables.Table(
    ObjectSchema(
        "Lead",
        (
            Field("Id", "id", Kind.TEXT),
            Field("OwnerId", "reference", Kind.TEXT),
            *(Field(name, "string", Kind.TEXT) for name in TEXTS),
            Field("SystemModstamp", "datetime", Kind.DATETIME),
        ),
        cursor="SystemModstamp",
    ),
    SQLITE,
)


async def run(options: argparse.Namespace) -> Report:
    """Fill a table, and prove it in each way."""
    rows = options.many
    report = Report(f"Proof of {rows:,} rows of {len(TABLE.columns)} columns", ("", "seconds", "rows/s"))
    with tempfile.TemporaryDirectory() as place:
        async with await SqliteDatabase.open(Path(place) / "mirror.db") as database:
            await _fill(database, rows)

            async def histogram() -> int:
                return sum((await mirror.histogram(database, TABLE, "9999")).values())

            async def grouped() -> int:
                sql = "SELECT substr(SystemModstamp, 1, 10), COUNT(*) FROM Lead GROUP BY 1"
                return sum(count for _, count in await database.fetch(sql))

            async def checksumming() -> int:
                return (await row_checksums.check(database, TABLE, TABLE.columns)).rows

            for name, key, work, rounds in (
                ("fingerprint, kept by index", "fingerprint", histogram, options.rounds),
                ("GROUP BY the day", "group_by", grouped, options.rounds),
                ("verify: rows checksummed for the first time", "checksum", checksumming, 1),
                ("verify: rows compared with their checksums", "verify", checksumming, options.rounds),
            ):
                seconds = await _timed(work, rows, rounds)
                report.rows.append((name, f"{seconds:.2f}", f"{rows / seconds:,.0f}"))
                report.numbers[f"{key}_s"] = seconds
    decision = "met" if report.numbers["fingerprint_s"] < FLOOR_S else "MISSED"
    report.notes.append(f"floor: a fingerprint in less than {FLOOR_S:.0f} s: {decision}")
    report.numbers = rounded(report.numbers)
    return report


async def _timed(work: Callable[[], Awaitable[Any]], rows: int, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        found = await work()
        taken.append(time.perf_counter() - begun)
        if found != rows:
            raise RuntimeError(f"{found} of {rows} rows were met")
    return middle(taken)


async def _fill(database: Database, rows: int) -> None:
    async with database.transaction() as tx:
        await tables.ensure(tx, TABLE)
    for start in range(0, rows, CHUNK):
        some = [_row(number) for number in range(start, min(start + CHUNK, rows))]
        async with database.transaction() as tx:
            await mirror_writer.load_rows(tx, TABLE, TABLE.columns, some, Version("", 1, 1))
            await objects.add_rows(tx, TABLE.name, len(some))
    await database.build_indexes(TABLE)


def _row(number: int) -> list[str]:
    stamp = (FIRST + number * STEP).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    texts = [f"{name} of {number}" for name in TEXTS]
    return [f"00Q{number:012d}AAA", f"005{number % 97:012d}AAA", *texts, stamp]
