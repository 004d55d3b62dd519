"""The search for a person or a thing by what is known of it: an address, a name, a phone number."""

from __future__ import annotations

from rtsd.errors import UsageError
from rtsd.store.schema import Table

FEWEST = 3
"""Characters: fewer are in nearly every record."""
MOST = 20
"""Records of one object."""

_TYPES = frozenset({"email", "phone"})
_NAMES = frozenset({"name", "firstname", "lastname", "subject", "casenumber"})


def columns(table: Table) -> list[str]:
    """Return the fields that tell who or what a record is, names first."""
    fields = [field for field in table.schema.fields if field.type in _TYPES or field.name.lower() in _NAMES]
    return [field.name for field in sorted(fields, key=lambda field: field.name.lower() not in _NAMES)]


def statement(table: Table, text: str) -> str:
    """Return the query for the records with `text` in one of these fields, in any case; empty without any.

    Its columns are the id, the field, its value, and those of the name. Raises UsageError if `text` is short.
    """
    if len(text) < FEWEST:
        raise UsageError(f"a search needs at least {FEWEST} characters", "write more of the name or address")
    pattern = f"lower({_literal(f'%{_escaped(text)}%')})"  # by the engine, as SQLite folds ASCII alone
    tests = {
        name: f"lower({table.dialect.column(name)}) LIKE {pattern} ESCAPE '!'" for name in columns(table)
    }
    if not tests:
        return ""
    field = " ".join(f"WHEN {test} THEN {_literal(name)}" for name, test in tests.items())
    value = " ".join(f"WHEN {test} THEN {table.dialect.column(name)}" for name, test in tests.items())
    called = "".join(f", {table.dialect.column(name)}" for name in table.schema.naming)
    return (
        f"SELECT {table.dialect.column('Id')}, CASE {field} END, CASE {value} END{called}"
        f" FROM {table.sql_name}"
        f" WHERE {' OR '.join(tests.values())} LIMIT {MOST + 1}"
    )


def _escaped(text: str) -> str:
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return text


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
