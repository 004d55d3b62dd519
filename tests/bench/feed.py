"""How long a change takes from its push to the followed feed, at a steady pace of single changes."""

from __future__ import annotations

import argparse
import asyncio
import time

from tests.bench import load, pushes
from tests.bench.report import Report, rounded
from tests.support.processes.rig import standing
from tests.support.processes.sender import Shot, firing

PACE = 200
"""Changes a second: far more than an org makes, far less than the most there is."""
SECONDS = 10


async def run(options: argparse.Namespace) -> Report:
    """Send at a steady pace, follow the feed, and compare the moments."""
    count = min(PACE * SECONDS, options.pushes)
    async with standing({pushes.OBJECT: pushes.RECORDS}) as rig:
        daemon = await rig.start()
        await daemon.live()
        what = await pushes.order(rig)
        made = load.shots(what | {"first": 0, "count": count})
        sent: list[float] = []
        answered: list[float] = []
        seen: list[float] = []
        async with daemon.following(pushes.OBJECT) as changes:

            async def fire() -> None:
                begun = time.perf_counter()
                for number, shot in enumerate(made):
                    await asyncio.sleep(begun + number / PACE - time.perf_counter())
                    sent.append(time.perf_counter())
                    async with firing(rig.port, iter([shot]), note, connections=1) as over:
                        await over

            def note(_shot: Shot, status: int) -> None:
                if status != 200:
                    raise RuntimeError(f"a push was answered {status}")
                answered.append(time.perf_counter())

            sending = asyncio.create_task(fire())
            while len(seen) < count:
                await anext(changes)
                seen.append(time.perf_counter())
            await sending
    return _report(sent, answered, seen)


def _report(sent: list[float], answered: list[float], seen: list[float]) -> Report:
    report = Report(f"From push to feed, {PACE} single changes a second", ("", "p50 ms", "p99 ms", "most ms"))
    numbers: dict[str, float] = {}
    for name, key, moments in (("answered 200", "answer", answered), ("on the feed", "feed", seen)):
        took = sorted((then - begun) * 1e3 for begun, then in zip(sent, moments, strict=True))
        p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
        report.rows.append((name, f"{p50:.1f}", f"{p99:.1f}", f"{took[-1]:.1f}"))
        numbers |= {f"{key}_p50_ms": p50, f"{key}_p99_ms": p99}
    report.numbers = rounded(numbers)
    return report
