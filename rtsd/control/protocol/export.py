"""The rows of an object, all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class ExportedColumn(msgspec.Struct, kw_only=True):
    """A column. `type`: text, boolean (0 or 1), int, real, date, datetime, time, as the mirror has them."""

    name: str
    type: str


class ExportHead(msgspec.Struct, kw_only=True):
    """The first line of `GET /v1/objects/{o}/export`. Pages follow, each on a line."""

    object: str
    columns: list[ExportedColumn]
    at: str
    """The moment that the rows are of."""
    rows: int
    """How many rows the object has now: about as many will come."""
    state: str
    """The object's state: rows that are not `live` are not proven."""


class ExportPage(msgspec.Struct, kw_only=True):
    """A line with rows."""

    values: Sequence[Sequence[Any]]
    """Of each row, in the order of the columns."""


class ExportEnd(msgspec.Struct, kw_only=True):
    """The last line: without it the export is not whole."""

    rows: int
