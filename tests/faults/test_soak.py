"""Hours of looking at a busy org: memory stays flat, and no frame takes long.

`make soak` takes eight hours. `RTS_SOAK_S` says how many seconds it takes instead of ten minutes, and
`RTS_SOAK_RATE` how many events a second come.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from pathlib import Path

from tests.support.dashboard.soak import MOST_BYTES, soak

SECONDS = float(os.environ.get("RTS_SOAK_S", "600"))
RATE = float(os.environ.get("RTS_SOAK_RATE", "100"))
LIMIT_MS = 100.0
GROWTH_BYTES = 10e6
"""Between the second and the last quarter: every view was open before."""


async def test_memory_stays_flat_for_hours(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """As long as it was asked for, through every view, prompt and dialog."""
    sizes, worst_ms = await soak(SECONDS, RATE, tmp_path, measured)
    quarter = len(sizes) // 4
    grown = statistics.median(sizes[-quarter:]) - statistics.median(sizes[quarter : 2 * quarter])
    measured(
        f"memory: {grown / 1e6:+.1f} MB from the second quarter to the last, at most {max(sizes) / 1e6:.0f}"
    )
    assert max(sizes) < MOST_BYTES
    assert grown < GROWTH_BYTES
    assert worst_ms < LIMIT_MS
