"""Rows waiting to be fetched page by page: a temporary file and the byte offset of each row.

Both live on disk, so a result of any size costs constant memory, and a page is one contiguous read.
"""

from __future__ import annotations

import os
import sys
import tempfile
from array import array
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 2_000  # rows gathered before they are written
CHUNK = 1 << 20  # bytes per read while a page is served


@dataclass(frozen=True)
class Page:
    """Some consecutive rows of a spool, preceded by a header line."""

    spool: Spool
    header: bytes
    start: int  # byte offsets in the spool
    end: int
    rows: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the page's bytes in pieces of at most `CHUNK`."""
        if self.header:
            yield self.header
        position = self.start
        while position < self.end:
            piece = self.spool.read(position, min(CHUNK, self.end - position))
            if not piece:
                raise EOFError("the spool was closed while it was read")
            position += len(piece)
            yield piece


class Spool:
    """An append-only file of rows with an index; `close` gives the space back."""

    def __init__(self) -> None:
        self._data = tempfile.TemporaryFile(prefix="rts-sim-rows-")  # noqa: SIM115 - lives as long as the job
        self._index = tempfile.TemporaryFile(prefix="rts-sim-index-")  # noqa: SIM115
        self._pending: list[str] = []
        self._size = 0
        self.rows = 0

    def append(self, row: str) -> None:
        """Add one row (its text, line end included)."""
        self._pending.append(row)
        if len(self._pending) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if not self._pending:
            return
        rows = [row.encode("utf-8") for row in self._pending]
        self._pending.clear()
        starts = array("Q", accumulate(map(len, rows[:-1]), initial=self._size))
        self._data.write(b"".join(rows))
        self._index.write(starts.tobytes())
        self._size += sum(map(len, rows))
        self.rows += len(rows)

    def finish(self) -> None:
        """Write the rest and make everything readable."""
        self.flush()
        self._data.flush()
        self._index.flush()

    @property
    def size(self) -> int:
        """Bytes of all rows."""
        return self._size

    def read(self, position: int, size: int) -> bytes:
        """Return up to `size` bytes from `position`."""
        return os.pread(self._data.fileno(), size, position)

    def page(self, first: int, count: int, header: bytes = b"") -> Page:
        """Return the rows ``first … first+count`` (fewer at the end)."""
        last = min(self.rows, first + count)
        return Page(self, header, self._offset(first), self._offset(last), max(0, last - first))

    def _offset(self, row: int) -> int:
        if row >= self.rows:
            return self._size
        return int.from_bytes(os.pread(self._index.fileno(), 8, row * 8), sys.byteorder)

    def close(self) -> None:
        """Give the space back."""
        self._data.close()
        self._index.close()
