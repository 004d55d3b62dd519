"""The rows of an object, all of them."""

from __future__ import annotations

import msgspec


class ExportedColumn(msgspec.Struct, kw_only=True):
    """A column. `type`: text, boolean (0 or 1), int, real, date, datetime, time, as the mirror has them."""

    name: str
    type: str


class ExportHead(msgspec.Struct, kw_only=True):
    """The first line of `GET /v1/objects/{o}/export`. Pages follow, each a list of rows on a line."""

    object: str
    columns: list[ExportedColumn]
    at: str
    """The moment that the rows are of."""
    rows: int
    """How many rows the object has now: about as many will come."""
    state: str
    """The object's state: rows that are not `live` are not proven."""


class ExportEnd(msgspec.Struct, kw_only=True):
    """The last line: without it the export is not whole."""

    rows: int
