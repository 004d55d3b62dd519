"""One-change pushes, 50 a second, while the first load stores its rows: how soon they are answered.

Each is sent when it is due, on a connection of its own, whether those before it are answered or not. Only
those count that are sent between the first request for the load's result and the object being live.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import suppress
from itertools import count
from typing import Any

from tests.bench import pushes
from tests.bench.audit import downloads
from tests.bench.paced import push
from tests.bench.report import Report, middle, rounded, spread
from tests.support.processes.rig import Rig, standing
from tests.support.waiting import eventually

A_SECOND = 50
P50_MS, P99_MS = 8, 50
"""What is wanted."""


async def run(options: argparse.Namespace) -> Report:
    """Load the rows again and again, and push meanwhile."""
    p50s: list[float] = []
    p99s: list[float] = []
    rates: list[float] = []
    sent = 0
    async with standing({pushes.OBJECT: options.rows}, initial_audit="auto") as rig:
        what = pushes.order_of(rig, [row async for row in _first(rig)])
        numbers = count()
        for _ in range(options.rounds):
            took, seconds = await _loaded(rig, what, numbers)
            sent += len(took)
            p50s.append(took[len(took) // 2] * 1e3)
            p99s.append(took[int(len(took) * 0.99)] * 1e3)
            rates.append(options.rows / seconds)
    title = f"{A_SECOND} pushes/s during a first load of {options.rows:,} rows"
    report = Report(title, ("", "p50 ms", "p99 ms", "range of p99", "rows/s"))
    report.rows.append(
        ("rtsd", f"{middle(p50s):.1f}", f"{middle(p99s):.1f}", spread(p99s), f"{middle(rates):,.0f}")
    )
    met = middle(p50s) < P50_MS and middle(p99s) < P99_MS
    report.notes.append(f"wanted: {P50_MS} ms and {P99_MS} ms: {'met' if met else 'MISSED'}; {sent:,} pushes")
    report.numbers = rounded({"p50_ms": middle(p50s), "p99_ms": middle(p99s), "rows": middle(rates)})
    return report


async def _first(rig: Rig) -> Any:
    """The org's first records, which are loaded while they are pushed."""
    number = 0
    async for row in rig.org.rows(pushes.OBJECT):
        yield row
        number += 1
        if number == pushes.RECORDS:
            return


async def _loaded(rig: Rig, what: dict[str, Any], numbers: count[int]) -> tuple[list[float], float]:
    """Load into an empty mirror; return the answers' times, sorted, and the seconds from result to live."""
    for path in rig.state.iterdir():
        path.unlink()
    before = await downloads(rig.org)
    daemon = await rig.start()

    async def downloading() -> bool:
        return await downloads(rig.org) > before

    await eventually(downloading, "the result is downloaded", 300)
    begun, took = time.perf_counter(), [0.0]
    took.clear()
    pushing = asyncio.create_task(push(rig.port, what, numbers, took, A_SECOND))
    await daemon.live(within=600)
    seconds = time.perf_counter() - begun
    pushing.cancel()
    with suppress(asyncio.CancelledError):
        await pushing
    await daemon.settled(within=120)
    assert await daemon.terminate() == 0
    return sorted(took), seconds
