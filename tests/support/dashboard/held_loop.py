"""`rtstui`, with a record of how long each turn of its event loop took: keys and frames wait meanwhile.

A frame is painted within one turn. `HELD_FILE` in the environment names the file that is written at the end:
`{"turns": 4711, "worst_ms": 61.2, "worst_cpu_ms": 58.0}`.
"""

from __future__ import annotations

import json
import os
import selectors
import time
from pathlib import Path

from rtstui.__main__ import main

START_S = 3.0
"""Of the process's life that are not counted: the imports and the first screen."""


class TimedSelector(selectors.EpollSelector):
    """A selector that measures what the loop does between two looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self._since = (time.perf_counter(), time.thread_time())
        self._counts_from = self._since[0] + START_S
        self._found: dict[str, float] = {"turns": 0, "worst_ms": 0.0, "worst_cpu_ms": 0.0}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, after a look at the clocks."""
        if self._since[0] >= self._counts_from:
            self._count(*self._since)
        ready = super().select(timeout)
        self._since = (time.perf_counter(), time.thread_time())
        return ready

    def _count(self, began: float, cpu_began: float) -> None:
        found = self._found
        cpu_ms = 1e3 * (time.thread_time() - cpu_began)
        found["turns"] += 1
        found["worst_ms"] = max(found["worst_ms"], 1e3 * (time.perf_counter() - began))
        found["worst_cpu_ms"] = max(found["worst_cpu_ms"], cpu_ms)

    def close(self) -> None:
        """Write what was found: the loop has ended."""
        super().close()
        Path(os.environ["HELD_FILE"]).write_text(json.dumps(self._found))


if __name__ == "__main__":
    selectors.DefaultSelector = TimedSelector  # type: ignore[assignment,misc]
    main()
