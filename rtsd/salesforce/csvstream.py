"""CSV bytes -> rows, split at whole records, in constant memory.

Salesforce doubles quotes inside a value, ends records with LF, and keeps line breaks inside quotes (Bulk API
2.0 guide, Prepare CSV Files; it quotes every value in live orgs). So a newline ends a record if and only if
the number of quotes before it is even, whatever the values contain.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator

from rtsd.core.plural import plural

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""The longest record in bytes: an unbalanced quote must not collect the whole file in memory."""
_PIECE = 64 * 1024
"""Bytes parsed at a time: the csv module holds the GIL throughout, and other threads wait."""
_BOM = b"\xef\xbb\xbf"

csv.field_size_limit(2**31 - 1)  # a cell may exceed the default; MAX_RECORD_BYTES is the limit that matters


class MalformedCsv(ValueError):
    """The bytes are not valid CSV, or not complete."""


class CsvParser:
    """An incremental parser: takes bytes in pieces of any size and returns whole records.

    The first line becomes `header`. `feed` does its work in the calling thread.
    """

    def __init__(self, *, compressed: bool = False) -> None:
        self.header: list[str] = []
        self.bytes = 0
        """Number of uncompressed bytes so far."""
        self._inflate = zlib.decompressobj(wbits=31) if compressed else None
        self._rest = b""

    def feed(self, data: bytes) -> list[list[str]]:
        """Return the records that `data` completes. Raises MalformedCsv."""
        rows: list[list[str]] = []
        for piece in self._plain(data):
            block = self._rest + piece
            end = whole_records(block)
            if len(block) - end > MAX_RECORD_BYTES:
                raise MalformedCsv(
                    f"a record is longer than {MAX_RECORD_BYTES >> 20} MiB, or a quote is missing"
                )
            self._rest = block[end:]
            rows += self._parse(block[:end])
        return rows

    def finish(self) -> list[list[str]]:
        """Return the record of a last line without newline. Raises MalformedCsv for truncated data."""
        if self._inflate is not None and self.bytes and not self._inflate.eof:
            raise MalformedCsv("the compressed data is truncated")
        rest, self._rest = self._rest, b""
        if rest.count(b'"') % 2:
            raise MalformedCsv("the data ends within a value")
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
            more = bool(data) or len(piece) == _PIECE  # the decompressor may hold back output

    def _parse(self, block: bytes) -> list[list[str]]:
        if b"\0" in block:  # never in Salesforce's data, but seen on the wire: airbytehq/airbyte#8300
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
            raise MalformedCsv(f"a record has {plural(odd, 'value')} where the header names {width}")
        return rows


def whole_records(block: bytes) -> int:
    """Return the end of the last whole record of `block`, which starts with a record."""
    end = block.rfind(b"\n") + 1
    inside = block.count(b'"', 0, end) % 2
    while inside and end:
        # this newline is inside a value: the next candidate precedes the opening quote
        quote = block.rfind(b'"', 0, end)
        candidate = block.rfind(b"\n", 0, quote) + 1
        inside ^= block.count(b'"', candidate, end) % 2
        end = candidate
    return end
