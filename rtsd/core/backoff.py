"""Growing pauses between tries."""

from __future__ import annotations

from rtsd.core.instant import Millis

FIRST_MS: Millis = 30_000
LONGEST_MS: Millis = 3_600_000


def pause_ms(failures: int) -> Millis:
    """How long to wait after so many failures in a row: doubling, from half a minute to an hour."""
    return min(FIRST_MS << min(max(failures - 1, 0), 16), LONGEST_MS)
