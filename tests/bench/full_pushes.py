"""Full pushes: 200 changes each, over 32 connections, as a mass update in the org sends them.

How soon they are answered while earlier ones are applied, and how many changes a second reach the mirror.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator

import msgspec

from tests.bench import load, pushes
from tests.bench.report import Report, middle, rounded, spread
from tests.support.processes.rig import standing
from tests.support.processes.sender import Shot, firing, signed

CHANGES = 200
RECORDS = 20_000
"""So many that a record is hardly changed twice in a transaction: a mass update changes each once."""
P99_MS, APPLIED = 500, 10_000
"""What is wanted: the answers' p99, and changes applied a second."""


def full(made: list[Shot], what: dict[str, object], count: int) -> list[Shot]:
    """Put the changes of one-change pushes together, CHANGES in each."""
    found = []
    for number in range(count):
        some = made[number * CHANGES : (number + 1) * CHANGES]
        parts = [msgspec.json.decode(shot.request.partition(b"\r\n\r\n")[2]) for shot in some]
        body = parts[-1] | {"changes": [part["changes"][0] for part in parts]}
        found.append(signed(str(what["token"]), f"full-{some[0].id}", msgspec.json.encode(body)))
    return found


async def run(options: argparse.Namespace) -> Report:
    """Send a few hundred, as fast as they are answered, and wait until all are applied."""
    count = max(options.pushes // 20, pushes.CONNECTIONS * 2)
    rates: list[float] = []
    p50s: list[float] = []
    p99s: list[float] = []
    async with standing({pushes.OBJECT: RECORDS}) as rig:
        daemon = await rig.start()
        await daemon.live()
        what = await pushes.order(rig)
        for number in range(options.rounds):
            first = number * count * CHANGES
            shots = full(load.shots(what | {"first": first, "count": count * CHANGES}), what, count)
            begun: dict[str, float] = {}
            took: list[float] = []

            def timed(shots: list[Shot] = shots, begun: dict[str, float] = begun) -> Iterator[Shot]:
                for shot in shots:
                    begun[shot.id] = time.perf_counter()
                    yield shot

            def note(
                shot: Shot, status: int, begun: dict[str, float] = begun, took: list[float] = took
            ) -> None:
                if status != 200:
                    raise RuntimeError(f"a push was answered {status}")
                took.append(time.perf_counter() - begun[shot.id])

            start = time.perf_counter()
            async with firing(rig.port, timed(), note, pushes.CONNECTIONS) as over:
                await asyncio.wait_for(over, 300)
            await daemon.settled(within=300)
            rates.append(count * CHANGES / (time.perf_counter() - start))
            took.sort()
            p50s.append(took[len(took) // 2] * 1e3)
            p99s.append(took[int(len(took) * 0.99)] * 1e3)
    head = ("", "changes applied/s", "range", "p50 ms", "p99 ms")
    report = Report(f"Pushes of {CHANGES} changes, {pushes.CONNECTIONS} connections", head)
    report.rows.append(
        ("rtsd", f"{middle(rates):,.0f}", spread(rates), f"{middle(p50s):.0f}", f"{middle(p99s):.0f}")
    )
    met = middle(p99s) < P99_MS and middle(rates) >= APPLIED
    report.notes.append(f"wanted: p99 under {P99_MS} ms, {APPLIED:,} changes/s: {'met' if met else 'MISSED'}")
    report.numbers = rounded({"applied": middle(rates), "p50_ms": middle(p50s), "p99_ms": middle(p99s)})
    return report
