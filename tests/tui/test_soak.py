"""The soak, shortened: each view, prompt and dialog once, while the org is busy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.dashboard.soak import MOST_BYTES, soak

LIMIT_MS = 250.0
"""Beside other tests, which empty the processor's caches; tests/faults/test_soak.py allows 100."""


async def test_no_frame_takes_long(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """No turn of the loop needs long, and memory stays small."""
    sizes, worst_ms = await soak(1.0, 100.0, tmp_path, measured)
    assert max(sizes) < MOST_BYTES
    assert worst_ms < LIMIT_MS
