"""Queries of the past: each name of an object stands for its rows as they were at a moment."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from rtsd.core.layout import Layout
from rtsd.errors import UsageError
from rtsd.store import objects, past
from rtsd.store.database import Queries

Relations = Mapping[str, str]
"""What stands for an object in a query, a SELECT, by the object's name."""

_LITERAL = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1", re.DOTALL)
_NAME = re.compile(r"(\"(?:[^\"]|\"\")*\"|\[[^]]*\]|`[^`]*`|[^\W\d][\w$]*)(\s*\.)?")


async def relations(reader: Queries, sql: str, at: str) -> Relations:
    """Return what stands for the objects that a query names, as they were at a moment (ISO).

    Raises UsageError if one is not known at that moment, or if the query names what shows the present only.
    """
    names, qualifiers = _names(sql)
    await _require_no_present(reader, names, qualifiers, at)
    found = {}
    for stored in (await objects.load(reader)).values():
        if stored.table is not None and reader.dialect.name(stored.name).lower() in names:
            found[stored.name] = await past.known_rows_at(reader, stored.table, at)
    return found


async def _require_no_present(
    reader: Queries, names: Collection[str], qualifiers: Collection[str], at: str
) -> None:
    """Require that a query names no table by its schema, and no view but those of the past."""
    place = reader.dialect.place
    if place.lower() in qualifiers:
        raise UsageError(
            f"{place}.… names what the mirror has now, not what it had at {at}", f"leave out {place}."
        )
    rows = await reader.fetch("SELECT place, name FROM _rts_view WHERE layout <> ?", (Layout.HISTORY.value,))
    for place, name in rows:
        if str(place).lower() in qualifiers or f"{place}_{name}".lower() in names:
            raise UsageError(
                f"the views in [store.views] as {place} show what the mirror has now",
                "name the objects themselves",
            )


def _names(sql: str) -> tuple[set[str], set[str]]:
    """Return the names in a query, and those before a dot, in lower case."""
    found = list(_identifiers(_LITERAL.sub(" ", sql)))
    return {name for name, _ in found}, {name for name, is_qualifier in found if is_qualifier}


def _identifiers(sql: str) -> Iterator[tuple[str, bool]]:
    for name, dot in _NAME.findall(sql):
        quoted = name[0] in '"[`'
        yield (name[1:-1].replace('""', '"') if quoted else name).lower(), bool(dot)
