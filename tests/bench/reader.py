"""A foreign reader that keeps its snapshot open while pushes arrive: how large the write-ahead log grows.

SQLite cannot reuse the log while a reader needs an old snapshot, so it grows by every page that a transaction
changes, for as long as the reader stays. Pushes change records all over the table.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from contextlib import closing, suppress
from itertools import count

from rtsd.store.sqlite.files import wal_path
from tests.bench import pushes
from tests.bench.paced import push
from tests.bench.report import Report, rounded
from tests.support.processes.rig import standing

A_SECOND, SECONDS = 200, 60
WAL_MB = 150
"""What is wanted."""


async def run(options: argparse.Namespace) -> Report:
    """Push for as long as the reader stays, then let it go."""
    async with standing({pushes.OBJECT: options.rows}) as rig:
        daemon = await rig.start()
        await daemon.live(within=300)
        rows = [row async for row in rig.org.rows(pushes.OBJECT)]
        what = pushes.order_of(rig, [rows[place * 7919 % len(rows)] for place in range(len(rows))])
        took: list[float] = []
        with closing(sqlite3.connect(f"file:{rig.mirror}?mode=ro", uri=True)) as reader:
            reader.execute("BEGIN")
            reader.execute(f"SELECT COUNT(*) FROM {pushes.OBJECT}").fetchone()
            pushing = asyncio.create_task(push(rig.port, what, count(), took, A_SECOND))
            await asyncio.sleep(SECONDS)
            wal_mb = wal_path(rig.mirror).stat().st_size / 1e6
            pushing.cancel()
            with suppress(asyncio.CancelledError):
                await pushing
        await daemon.settled(within=120)
    return _report(options.rows, sorted(took), wal_mb)


def _report(rows: int, took: list[float], wal_mb: float) -> Report:
    title = f"{len(took):,} pushes in {SECONDS} s to {rows:,} rows, with a reader's snapshot open"
    report = Report(title, ("", "WAL MB", "KB a push", "ack p99 ms"))
    p99 = took[int(len(took) * 0.99)] * 1e3
    report.rows.append(("rtsd", f"{wal_mb:.0f}", f"{wal_mb * 1e3 / len(took):.1f}", f"{p99:.1f}"))
    report.notes.append(f"wanted: {WAL_MB} MB: {'met' if wal_mb <= WAL_MB else 'MISSED'}")
    report.numbers = rounded({"wal_mb": wal_mb, "p99_ms": p99})
    return report
