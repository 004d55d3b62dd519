"""Views in a SQLite file, which has no schemas: their names begin with what a schema would be called."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from rtsd.core.layout import FACTS, FALSE, NOTHING, NUMBER, SEEN, SYNCED, TRUE, Layout
from rtsd.store import past
from rtsd.store.dialect import quoted
from rtsd.store.view import Put, View

if TYPE_CHECKING:
    from rtsd.store.database import Queries, Tx
    from rtsd.store.schema import Table

_FIXED = {
    NUMBER: "rowid",
    SEEN: "strftime('%Y-%m-%dT%H:%M:%fZ', _rts_seen / 1000.0, 'unixepoch')",
    TRUE: "1",
    FALSE: "0",
    SYNCED: "'SYNCED'",
    NOTHING: "NULL",
}


class SqliteViews:
    """Makes views whose values have the forms of the mirror (contract section 4).

    The stored integers are the rowids. A VACUUM keeps those of a table that has an index, as that of the ids.
    """

    numbers = _FIXED[NUMBER]
    numbers_declared = ""

    def continued(self, table: str) -> None:
        """Return nothing: a new row gets a number above all others."""
        del table

    async def make_place(self, tx: Tx, place: str) -> None:
        """Do nothing: a name needs no place."""

    async def found(self, reader: Queries | Tx, view: View) -> dict[str, str] | None:
        """Look the view up by its name."""
        rows = await reader.fetch(
            "SELECT type, sql FROM sqlite_master WHERE name=? COLLATE NOCASE", (_name(view),)
        )
        if not rows:
            return None
        ((kind, sql),) = rows
        if kind != "view" or _comment(view) not in sql:
            raise view.foreign(_name(view), kind)
        return {str(name): str(kind) for name, kind in await reader.fetch(_COLUMNS, (_name(view),))}

    async def number(self, tx: Tx, table: Table) -> bool:
        """Do nothing: every row has its rowid."""
        del tx, table
        return False

    async def release(self, tx: Tx, view: View, table: Table, sources: Collection[str]) -> None:
        """Drop the view, as SQLite drops no column that a view names. Nobody holds grants on it."""
        del table, sources
        await tx.execute(f"DROP VIEW {quoted(_name(view))}")

    async def put(self, tx: Tx, view: View, table: Table, found: Mapping[str, str] | None) -> Put:
        """Create the view, or create it again."""
        if view.layout is Layout.HISTORY:
            names, shown = list(table.columns), "history"
            place = f"({past.versions_of(table)}) AS history"
        else:
            names = [str(name) for name, _ in await tx.fetch(*table.dialect.columns_of(table.name))]
            place = shown = table.sql_name
        # with the table's name: without, SQLite takes a quoted column that is not there for a text
        stored = {name.lower(): f"{shown}.{quoted(name)}" for name in names}
        sources = {**_FIXED, **{f"={fact}": fact for fact in FACTS}, **stored}
        columns = ", ".join(
            f"{sources.get(source, 'NULL')} AS {quoted(name)}" for name, source in view.columns.items()
        )
        definition = f"SELECT {columns} FROM {place} {_comment(view)}"
        if found is None or definition != view.definition:
            await tx.execute(f"DROP VIEW IF EXISTS {quoted(_name(view))}")
            await tx.execute(f"CREATE VIEW {quoted(_name(view))} AS {definition}")
        return Put(definition)


_COLUMNS = "SELECT name, type FROM pragma_table_info(?)"


def _name(view: View) -> str:
    return f"{view.place}_{view.name}"


def _comment(view: View) -> str:
    return f"/* {view.mark(view.object)} */"
