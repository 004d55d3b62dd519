"""Query results on disk, served page by page.

A result of any size costs almost no memory, and a page is a single contiguous read.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_BYTES = 1 << 20

Splitter = Callable[[bytes, int], int]  # (chunk, n) -> length in bytes of the chunk's first n rows


def line_splitter(chunk: bytes, rows: int) -> int:
    """Split where every row is a line."""
    position = 0
    for _ in range(rows):
        position = chunk.index(b"\n", position) + 1
    return position


def csv_splitter(line_ending: bytes) -> Splitter:
    """Return the splitter for quoted CSV: a line ending ends a row if the quotes before it are paired."""

    def length(chunk: bytes, rows: int) -> int:
        position = quotes = 0
        while rows:
            end = chunk.index(line_ending, position)
            quotes += chunk.count(b'"', position, end)
            position = end + len(line_ending)
            rows -= quotes % 2 == 0
        return position

    return length


@dataclass(frozen=True)
class Page:
    """Consecutive rows of a result file, preceded by a header line."""

    file: ResultFile
    header: bytes
    start: int  # byte offsets in the file
    end: int
    rows: int

    @property
    def size(self) -> int:
        """Bytes of the page."""
        return len(self.header) + self.end - self.start

    def chunks(self) -> Iterator[bytes]:
        """Yield the page's bytes in chunks of at most `READ_BYTES`."""
        if self.header:
            yield self.header
        position = self.start
        while position < self.end:
            chunk = self.file.read(position, min(READ_BYTES, self.end - position))
            if not chunk:
                raise EOFError("the result file was closed while it was read")
            position += len(chunk)
            yield chunk


class ResultFile:
    """An append-only temporary file of row chunks, with an index of the bytes where chunks start."""

    def __init__(self, splitter: Splitter) -> None:
        self._file = tempfile.TemporaryFile(prefix="rts-simulator-", buffering=0)  # noqa: SIM115 - outlives this call
        self._splitter = splitter
        self._rows = array("Q")  # number of the first row of each chunk
        self._starts = array("Q")  # and the byte where it starts
        self.size = 0
        self.rows = 0

    def append(self, chunk: bytes, rows: int) -> None:
        """Append a chunk of `rows` rows."""
        if not rows:
            return
        self._rows.append(self.rows)
        self._starts.append(self.size)
        self._file.write(chunk)
        self.size += len(chunk)
        self.rows += rows

    def read(self, position: int, size: int) -> bytes:
        """Return up to `size` bytes from `position`."""
        return os.pread(self._file.fileno(), size, position)

    def page(self, first: int, count: int, header: bytes = b"") -> Page:
        """Return up to `count` rows, beginning with row `first`."""
        first = min(first, self.rows)
        last = min(self.rows, first + count)
        return Page(self, header, self._offset(first), self._offset(last), last - first)

    def _offset(self, row: int) -> int:
        if row >= self.rows:
            return self.size
        chunk = bisect_right(self._rows, row) - 1
        start, into = self._starts[chunk], row - self._rows[chunk]
        if not into:
            return start
        end = self._starts[chunk + 1] if chunk + 1 < len(self._starts) else self.size
        return start + self._splitter(self.read(start, end - start), into)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
