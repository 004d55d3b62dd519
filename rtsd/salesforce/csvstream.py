"""Bytes of CSV -> rows, split at whole records, in constant memory.

Salesforce doubles the quotes inside a value, ends records with LF, and leaves line breaks in quotes
(Bulk API 2.0 guide, Prepare CSV Files; that it quotes every value is seen in live orgs). So a newline
ends a record exactly where the quotes before it are even in number, whatever the values hold.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator

MOST_RECORD = 64 * 1024 * 1024
"""Bytes of one record: an unbalanced quote must not gather the whole file in memory."""
_PIECE = 64 * 1024
"""Bytes parsed at a time: the csv module keeps Python's lock for all of it, and others wait."""
_BOM = b"\xef\xbb\xbf"

csv.field_size_limit(2**31 - 1)  # cells hold up to 131,072 characters, the module's default is less
# than what that many characters and a corrupt file can be; MOST_RECORD is the limit that matters


class MalformedCsv(ValueError):
    """The bytes are no such CSV."""


class Records:
    """Takes bytes in pieces of any size, gives back whole records; the first line is `header`.

    Not tied to a thread or an event loop: `feed` does the work where it is called.
    """

    def __init__(self, *, compressed: bool = False) -> None:
        self.header: list[str] = []
        self.bytes = 0
        """Uncompressed bytes so far."""
        self._inflate = zlib.decompressobj(wbits=31) if compressed else None
        self._rest = b""

    def feed(self, data: bytes) -> list[list[str]]:
        """Return the records that `data` completes. Raises MalformedCsv."""
        rows: list[list[str]] = []
        for piece in self._plain(data):
            block = self._rest + piece
            end = whole_records(block)
            if len(block) - end > MOST_RECORD:
                raise MalformedCsv(f"a record is longer than {MOST_RECORD >> 20} MiB, or a quote is missing")
            self._rest = block[end:]
            rows += self._parse(block[:end])
        return rows

    def finish(self) -> list[list[str]]:
        """Return what a last line without a newline holds. Raises MalformedCsv when the data is cut off."""
        if self._inflate is not None and self.bytes and not self._inflate.eof:
            raise MalformedCsv("the compressed data ends too early")
        rest, self._rest = self._rest, b""
        if rest.count(b'"') % 2:
            raise MalformedCsv("the data ends inside a value")
        return self._parse(rest)

    def _plain(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            self.bytes += len(data)
            yield from (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
            return
        more = bool(data)
        while more:
            try:
                piece = self._inflate.decompress(data, _PIECE)
            except zlib.error as cause:
                raise MalformedCsv(f"the compressed data is damaged ({cause})") from cause
            self.bytes += len(piece)
            yield piece
            data = self._inflate.unconsumed_tail
            more = bool(data) or len(piece) == _PIECE  # what did not fit may be held back inside

    def _parse(self, block: bytes) -> list[list[str]]:
        if b"\0" in block:  # never in Salesforce, but seen on the wire: airbytehq/airbyte#8300
            block = block.replace(b"\0", b"")
        try:
            if not self.header:
                block = block.removeprefix(_BOM)
            lines = io.StringIO(block.decode(), newline="\n")
            rows = list(csv.reader(lines, strict=True))
        except (UnicodeDecodeError, csv.Error) as cause:
            raise MalformedCsv(str(cause)) from cause
        if rows and not self.header:
            self.header = rows.pop(0)
        return rows if set(map(len, rows)) <= {len(self.header)} else self._without_blank_lines(rows)

    def _without_blank_lines(self, rows: list[list[str]]) -> list[list[str]]:
        rows = [row for row in rows if row]
        width = len(self.header)
        odd = next((len(row) for row in rows if len(row) != width), width)
        if odd != width:
            raise MalformedCsv(f"a record has {odd} values where the header names {width}")
        return rows


def whole_records(block: bytes) -> int:
    """Return where the last whole record of `block` ends; `block` starts with a record."""
    end = block.rfind(b"\n") + 1
    inside = block.count(b'"', 0, end) % 2
    while inside and end:
        # that newline is part of a value: the next candidate lies before the quote that opened it
        quote = block.rfind(b'"', 0, end)
        candidate = block.rfind(b"\n", 0, quote) + 1
        inside ^= block.count(b'"', candidate, end) % 2
        end = candidate
    return end
