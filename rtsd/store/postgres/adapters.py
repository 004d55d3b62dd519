"""Values between Python and PostgreSQL: the mirror's values are the same as those of SQLite.

Results come in binary, which depends neither on a session's time zone nor on its date style.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from struct import unpack
from typing import Any

from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format
from psycopg.types.numeric import Int8BinaryDumper, NumericBinaryLoader

from rtsd.core.instant import to_iso

_EPOCH_MS = 946_684_800_000
"""2000-01-01, where PostgreSQL's times begin, in ms since 1970."""
_EPOCH = date(2000, 1, 1)


class _Bool(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> int:
        return int(data != b"\x00")


class _Timestamp(Loader):
    """Reads microseconds since 2000, as ISO text with milliseconds."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        (micros,) = unpack("!q", data)
        return to_iso(_EPOCH_MS + micros // 1000)


class _Date(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        (days,) = unpack("!i", data)
        return (_EPOCH + timedelta(days=days)).isoformat()


class _Time(Loader):
    """Reads microseconds since midnight, as Salesforce writes times."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        (micros,) = unpack("!q", data)
        return to_iso(micros // 1000)[11:]


class _Number(NumericBinaryLoader):
    """Reads sums and averages as Python's own numbers."""

    def load(self, data: Buffer) -> int | float:  # type: ignore[override]
        return number(super().load(data))


def number(value: Decimal) -> int | float:
    """Return a numeric as Python's own number: an integer if it is one of 64 bits."""
    is_integer = value.is_finite() and abs(value) < 1 << 63 and value == value.to_integral_value()
    return int(value) if is_integer else float(value)


def register(context: Any) -> None:
    """Register them for a connection."""
    adapters = context.adapters
    for name, loader in (
        ("bool", _Bool),
        ("timestamptz", _Timestamp),
        ("date", _Date),
        ("time", _Time),
        ("numeric", _Number),
    ):
        adapters.register_loader(name, loader)
    adapters.register_dumper(int, Int8BinaryDumper)
