"""The CPU that the daemon uses while nothing changes in the org and nobody looks."""

from __future__ import annotations

import argparse
import asyncio

from tests.bench.report import Report, rounded
from tests.support.processes.rig import standing

ROWS = {"Lead": 1_000, "Contact": 1_000, "Task": 1_000}
SETTLING_S, SECONDS = 10.0, 60.0
PERCENT = 0.5
"""Of a core, at most."""


async def run(_options: argparse.Namespace) -> Report:
    """Load, let what follows a start end, and read the process's clock twice."""
    async with standing(ROWS) as rig:
        daemon = await rig.start()
        await daemon.live()
        await asyncio.sleep(SETTLING_S)
        before = daemon.cpu_s
        await asyncio.sleep(SECONDS)
        percent = 100 * (daemon.cpu_s - before) / SECONDS
    report = Report(f"The daemon's CPU in {SECONDS:.0f} idle seconds", ("", "% of a core"))
    report.rows.append(("rtsd, 3 objects", f"{percent:.2f}"))
    report.notes.append(f"wanted: {PERCENT} %: {'met' if percent <= PERCENT else 'MISSED'}")
    report.numbers = rounded({"cpu_percent": percent})
    return report
