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
from dataclasses import dataclass

from rtsd.core.plural import plural

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""The longest record in bytes: an unbalanced quote must not collect the whole file in memory."""
_PIECE = 64 * 1024
"""Bytes parsed at a time: the csv module holds the GIL throughout, and other threads wait."""
_BOM = b"\xef\xbb\xbf"
_BLANK = (b"", b"\r")
_ENDS = (b'"', b'"\r')

csv.field_size_limit(2**31 - 1)  # a cell may exceed the default; MAX_RECORD_BYTES is the limit that matters


class MalformedCsv(ValueError):
    """The bytes are not valid CSV, or not complete."""


@dataclass(frozen=True, slots=True)
class Records:
    """Whole records of one CSV, as valid UTF-8 text without NUL, each ending with a newline.

    SQLite can read `data`; `rows` parses it here. Of data that counting its separators does not prove to be
    records of the right width, `parsed` holds the rows, and `data` is empty.
    """

    width: int
    count: int
    data: bytes = b""
    parsed: list[list[str]] | None = None

    def rows(self) -> list[list[str]]:
        """Return the records' values. Raises MalformedCsv."""
        return _parse(self.data, self.width) if self.parsed is None else self.parsed

    def after(self, count: int) -> Records:
        """Return the records without the first `count`. Raises MalformedCsv."""
        if not count:
            return self
        rows = self.rows()[count:]
        return Records(self.width, len(rows), parsed=rows)


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

    def feed(self, data: bytes) -> list[Records]:
        """Return the records that `data` completes. Raises MalformedCsv."""
        found: list[Records] = []
        for piece in self._plain(data):
            block = self._rest + piece
            end = whole_records(block)
            if len(block) - end > MAX_RECORD_BYTES:
                raise MalformedCsv(
                    f"a record is longer than {MAX_RECORD_BYTES >> 20} MiB, or a quote is missing"
                )
            self._rest = block[end:]
            found += self._records(block[:end])
        return found

    def finish(self) -> list[Records]:
        """Return the record of a last line without newline. Raises MalformedCsv for truncated data."""
        if self._inflate is not None and self.bytes and not self._inflate.eof:
            raise MalformedCsv("the compressed data is truncated")
        rest, self._rest = self._rest, b""
        if rest.count(b'"') % 2:
            raise MalformedCsv("the data ends within a value")
        return self._records(rest + b"\n" if rest else b"")

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

    def _records(self, block: bytes) -> list[Records]:
        if b"\0" in block:  # never in Salesforce's data, but seen on the wire: airbytehq/airbyte#8300
            block = block.replace(b"\0", b"")
        if not self.header and block:
            end = _first_record(block)
            rows = _cells(block[:end].removeprefix(_BOM))
            self.header = rows[0] if rows else []
            block = block[end:]
        if not block:
            return []
        width = len(self.header)
        count, quoted = _counted(block)
        if quoted and block.count(b'","') == (width - 1) * count and _is_utf8(block):
            return [Records(width, count, block)]
        rows = _parse(block, width)
        return [Records(width, len(rows), parsed=rows)]


def _parse(block: bytes, width: int) -> list[list[str]]:
    """Return the values of whole records. Raises MalformedCsv, also for a record of another width."""
    rows = _cells(block)
    if set(map(len, rows)) <= {width}:
        return rows
    rows = [row for row in rows if row]  # blank lines
    odd = next((len(row) for row in rows if len(row) != width), width)
    if odd != width:
        raise MalformedCsv(f"a record has {plural(odd, 'value')} where the header names {width}")
    return rows


def _cells(block: bytes) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(block.decode(), newline="\n"), strict=True))
    except (UnicodeDecodeError, csv.Error) as cause:
        raise MalformedCsv(str(cause)) from cause


def _counted(block: bytes) -> tuple[int, bool]:
    """Return how many records `block` has, blank lines left out, and whether each one is within quotes."""
    inside = count = 0
    quoted = True
    for line in block.split(b"\n")[:-1]:
        begins = not inside
        inside ^= line.count(b'"') & 1
        if begins:
            if line in _BLANK:
                continue
            quoted &= line.startswith(b'"')
        if not inside:
            count += 1
            quoted &= line.endswith(_ENDS)
    return count, quoted


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


def _first_record(block: bytes) -> int:
    """Return the end of the first record of `block`, which starts with a record and ends with one."""
    end = block.index(b"\n") + 1
    while block.count(b'"', 0, end) % 2:
        end = block.index(b"\n", end) + 1
    return end


def _is_utf8(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
