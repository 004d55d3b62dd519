"""What can stand where the cursor is in a statement: tables and columns of the mirror."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rtsd.control.protocol import ObjectFields

RESERVED = frozenset({"case", "group", "order", "user", "index", "select", "table", "transaction", "values"})
"""Words of SQL that are objects of Salesforce, too: as tables they need quotes."""

_WORD = re.compile(r"\w*$")
_QUALIFIER = re.compile(r'("?)(\w+)\1\.$')
_TABLE_PLACE = re.compile(r"\b(?:from|join)\s+(?:[^()]*,\s*)?$", re.IGNORECASE)
_NAMED = re.compile(r'\b(?:from|join|,)\s+(?:\w+\.|"\w+"\.)?"?(\w+)"?(?:\s+(?:as\s+)?(\w+))?', re.IGNORECASE)
_PART = re.compile(r'"([^"]+)"|(\w+)')


@dataclass(frozen=True, slots=True)
class Completion:
    """The beginning that was typed, and the names that go on from there."""

    typed: str
    names: Sequence[str]


def complete(before: str, statement: str, objects: Sequence[ObjectFields]) -> Completion:
    """Return the names for the end of `before`, which is the statement up to the cursor."""
    found = _WORD.search(before)
    typed = found.group() if found else ""
    ahead = before[: len(before) - len(typed)]
    tables = {each.object.lower(): each for each in objects}
    if qualifier := _QUALIFIER.search(ahead):
        name = _aliases(statement).get(qualifier[2].lower(), qualifier[2].lower())
        names = _columns([tables[name]]) if name in tables else [_last(each) for each in objects]
    elif _TABLE_PLACE.search(ahead):
        names = [table_of(each) for each in objects]
    else:
        used = [tables[name] for name in dict.fromkeys(_aliases(statement).values()) if name in tables]
        names = [*_columns(used or objects), *(table_of(each) for each in objects)]
    return Completion(typed, [name for name in dict.fromkeys(names) if _begins(name, typed)])


def table_of(each: ObjectFields) -> str:
    """Return an object's table as people write it: with quotes only where they are needed."""
    return ".".join(_plain(quoted or bare) for quoted, bare in _PART.findall(each.table))


def _plain(name: str) -> str:
    return f'"{name}"' if name.lower() in RESERVED else name


def _last(each: ObjectFields) -> str:
    return table_of(each).rpartition(".")[2]


def _columns(objects: Iterable[ObjectFields]) -> list[str]:
    return [field.name for each in objects for field in each.fields]


def _aliases(statement: str) -> dict[str, str]:
    """Return the tables that a statement names, by their names and by the short names it gives them."""
    found: dict[str, str] = {}
    for table, alias in _NAMED.findall(statement):
        found[table.lower()] = table.lower()
        if alias:
            found[alias.lower()] = table.lower()
    return found


def _begins(name: str, typed: str) -> bool:
    bare = name.rpartition(".")[2].strip('"').lower()
    return name.lower() != typed.lower() and (
        bare.startswith(typed.lower()) or name.lower().startswith(typed.lower())
    )
