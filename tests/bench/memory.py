"""The daemon's peak memory after loading few rows and many: it must not grow with the rows."""

from __future__ import annotations

import argparse
import time

from tests.bench.report import Report, rounded
from tests.support.processes.rig import standing

FEW = 10_000
OBJECT = "Contact"
MOST = 200_000_000
"""Bytes the daemon may have resident."""


async def run(options: argparse.Namespace) -> Report:
    """Load both, each in a daemon of its own."""
    head = ("rows", "peak RSS MB", "seconds", "rows/s", "API calls", "Bulk jobs")
    report = Report("Peak memory of the daemon (VmHWM), from start to live", head)
    peaks = []
    for rows in (FEW, options.many):
        async with standing({OBJECT: rows}) as rig:
            begun = time.perf_counter()
            daemon = await rig.start()
            await daemon.live(within=900)
            seconds = time.perf_counter() - begun
            peaks.append(daemon.peak_rss)
            stats = await rig.org.stats()
            calls, jobs = stats["api_calls"], stats["bulk_jobs"]
            report.rows.append(
                (
                    f"{rows:,}",
                    f"{peaks[-1] / 1e6:.0f}",
                    f"{seconds:.1f}",
                    f"{rows / seconds:,.0f}",
                    f"{calls}",
                    f"{jobs}",
                )
            )
            report.numbers[f"rss_mb_{rows}"] = peaks[-1] / 1e6
    fits = max(peaks) < MOST
    report.notes.append(
        f"under {MOST / 1e6:.0f} MB: {'yes' if fits else 'NO'}; growth {(peaks[1] - peaks[0]) / 1e6:+.0f} MB"
    )
    report.numbers = rounded(report.numbers)
    return report
