"""How fast change events are taken and applied: those that the bus kept while the daemon was down.

One thread of Python is the limit (docs/operations.md, The stream).
"""

from __future__ import annotations

import argparse
import asyncio
import time

from rtsd.core.quota import DELIVERIES
from tests.bench.report import Report, rounded
from tests.support.processes.daemon import Daemon
from tests.support.processes.streaming import has_position, streaming
from tests.support.waiting import eventually

RECORDS = 1_000
EDITED_TOGETHER = 200
WANTED = 5_000
"""Events a second."""
GROWTH = 64 << 20
"""Bytes that memory may grow while they are taken."""


async def run(options: argparse.Namespace) -> Report:
    """Edit while the daemon is down, start it, and wait until all events are applied."""
    async with streaming("cdc", RECORDS) as rig:
        await rig.org.control("limits", {DELIVERIES: 10 * options.events})
        daemon = await rig.start()
        await daemon.live()
        await eventually(lambda: has_position(daemon), "a position")
        assert await daemon.terminate() == 0
        ids = [str(row["Id"]) async for row in rig.org.rows("Contact")]
        for number in range(options.events // EDITED_TOGETHER):
            begin = number * EDITED_TOGETHER % RECORDS
            some = ids[begin : begin + EDITED_TOGETHER]  # the same edit of several would be one event
            rows = [{"Id": found, "Title": f"{number} {place}"} for place, found in enumerate(some)]
            await rig.org.dml("update", "Contact", rows=rows)
        events = options.events // EDITED_TOGETHER * EDITED_TOGETHER
        daemon = await rig.start()
        begun, cpu, resident = time.perf_counter(), daemon.cpu_s, [daemon.rss]
        while await _taken(daemon) < events:
            resident.append(daemon.rss)
            await asyncio.sleep(0.25)
        await daemon.settled(within=900)
        seconds, cpu = time.perf_counter() - begun, daemon.cpu_s - cpu
        resident.append(daemon.rss)
        await rig.ends_equal()
    return _report(events, seconds, cpu, resident)


async def _taken(daemon: Daemon) -> int:
    stream = (await daemon.status()).push.stream
    return 0 if stream is None else stream.deliveries_ours_24h


def _report(events: int, seconds: float, cpu: float, resident: list[int]) -> Report:
    early, late = max(resident[: len(resident) // 10 + 2]), max(resident)
    report = Report("Change events that the bus kept", ("events", "seconds", "events/s", "CPU µs", "RSS MB"))
    report.rows.append(
        (
            f"{events:,}",
            f"{seconds:.1f}",
            f"{events / seconds:,.0f}",
            f"{cpu / events * 1e6:.0f}",
            f"{early / 1e6:.0f}..{late / 1e6:.0f}",
        )
    )
    met = events / seconds >= WANTED and late - early < GROWTH
    report.notes.append(f"wanted: {WANTED:,} events/s, memory flat: {'met' if met else 'MISSED'}")
    report.numbers = rounded(
        {"events_s": events / seconds, "cpu_us": cpu / events * 1e6, "rss_mb": late / 1e6}
    )
    return report
