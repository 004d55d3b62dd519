"""Views over the mirror's tables, in the layouts of other products (contract section 9).

A view follows its table in the same transaction: it keeps a removed field's column and gets new ones last.
rtsd knows its views by a mark that is stored with them, and leaves alone whatever has none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import msgspec

from rtsd.core.layout import NUMBER, Layout, view_columns, view_name
from rtsd.errors import ForeignDatabase, TableLocked
from rtsd.store import objects
from rtsd.store import schema as tables
from rtsd.store.database import Database, Queries, Tx
from rtsd.store.journal import Note
from rtsd.store.schema import Table
from rtsd.store.view import View


@dataclass(frozen=True, slots=True)
class Ensured:
    """A table and its views that were made, or brought up to date."""

    table: Table
    """As it is now."""
    added: tuple[str, ...] = ()
    """The columns that the table got."""
    numbered: bool = False
    """Whether its rows have just got their stored integers."""
    messages: tuple[str, ...] = ()
    """What an operator should know."""


async def ensure(tx: Tx, table: Table, layouts: Mapping[Layout, str], known: Table | None = None) -> Ensured:
    """Create the table or add missing columns, as `schema.ensure`, and its views with it.

    Raises ForeignDatabase if something of a user's has the name of a view, and TableLocked.
    """
    wanted = await _wanted(tx, table, layouts)
    async with tx.altering(table.sql_name):
        if sources := {name.lower() for name in await tables.to_retype(tx, table)}:
            wanted = [await _released(tx, view, table, sources) for view in wanted]
        made = await tables.ensure(tx, table, known)
        return replace(await _put(tx, made.table, wanted), added=tuple(made.changed))


async def _released(tx: Tx, view: View, table: Table, sources: Collection[str]) -> View:
    """Let columns of the table be altered; the view is to be put again."""
    if await table.dialect.views.found(tx, view) is not None:
        await table.dialect.views.release(tx, view, table, sources)
    return replace(view, definition="")


async def _put(tx: Tx, table: Table, wanted: Iterable[View]) -> Ensured:
    """Create or update views of a table."""
    views, numbered, messages = table.dialect.views, False, []
    for former in wanted:
        view = replace(former, columns=view_columns(former.layout, table.schema, former.columns))
        await views.make_place(tx, view.place)
        found = await views.found(tx, view)
        if NUMBER in view.columns.values():
            numbered |= await views.number(tx, table)
        made = await views.put(tx, view, table, found)
        if made.definition == view.definition and found is not None:
            continue
        await _store(tx, replace(view, definition=made.definition))
        if made.emptied:
            messages.append(
                f"the view {view.place}.{view.name} has no values of {', '.join(made.emptied)}: the type has"
                " changed, and something of yours depends on the view; drop that, and restart rtsd"
            )
    return Ensured(table, numbered=numbered, messages=tuple(messages))


async def apply(
    database: Database,
    layouts: Mapping[Layout, str],
    names: Sequence[str],
    write_note: Callable[[Note], Awaitable[None]],
) -> None:
    """Bring the views of these objects up to date at a start; the next describe does what is locked now.

    Raises ForeignDatabase, before anything is made, and StoreError.
    """
    known = await objects.load(database)
    await require_free(database, layouts, [name for name in names if not await _stored(database, name)])
    for name in names:
        stored = known.get(name)
        if stored is None or stored.table is None:
            continue
        try:
            async with database.transaction() as tx, tx.altering(stored.table.sql_name):
                ensured = await _put(tx, stored.table, await _wanted(tx, stored.table, layouts))
            for message in ensured.messages:
                await write_note(Note("schema", name, message=message))
            if ensured.numbered and stored.cursor is not None:
                await database.build_indexes(stored.table)
        except TableLocked as error:
            await write_note(Note("schema", name, message=str(error)))


async def require_free(reader: Queries, layouts: Mapping[Layout, str], names: Sequence[str]) -> None:
    """Raise ForeignDatabase if something of a user's has the name of a view of these objects."""
    for layout, place in layouts.items():
        taken: list[str] = []
        for name in names:
            view = _new(layout, place, name, taken)
            taken.append(view.name)
            await reader.dialect.views.found(reader, view)


async def _wanted(tx: Tx, table: Table, layouts: Mapping[Layout, str]) -> list[View]:
    """The views of a table: those that are configured, and others as long as they exist."""
    views = [
        view
        for view in await _stored(tx, table.name)
        if layouts.get(view.layout) == view.place or await _exists(tx, table, view)
    ]
    there = {view.layout for view in views if layouts.get(view.layout) == view.place}
    for layout, place in layouts.items():
        if layout not in there:
            rows = await tx.fetch(
                "SELECT name FROM _rts_view WHERE layout=? AND place=?", (layout.value, place)
            )
            views.append(_new(layout, place, table.name, [str(name) for (name,) in rows]))
    return views


async def _exists(tx: Tx, table: Table, view: View) -> bool:
    """Whether a view is there that is still rtsd's."""
    with suppress(ForeignDatabase):
        return await table.dialect.views.found(tx, view) is not None
    return False


def _new(layout: Layout, place: str, object_name: str, taken: Collection[str]) -> View:
    return View(layout, place, object_name.lower(), view_name(layout, object_name, taken), {})


async def _stored(reader: Queries | Tx, object_name: str) -> list[View]:
    rows = await reader.fetch(
        "SELECT layout, place, object, name, columns, definition FROM _rts_view WHERE object=?"
        " ORDER BY layout, place",
        (object_name.lower(),),
    )
    return [
        View(Layout(layout), place, name, view, msgspec.json.decode(columns, type=dict[str, str]), definition)
        for layout, place, name, view, columns, definition in rows
    ]


async def _store(tx: Tx, view: View) -> None:
    columns = msgspec.json.encode(view.columns).decode()
    await tx.execute(
        "INSERT INTO _rts_view (layout, place, object, name, columns, definition) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (layout, place, object) DO UPDATE"
        " SET name=excluded.name, columns=excluded.columns, definition=excluded.definition",
        (view.layout.value, view.place, view.object, view.name, columns, view.definition),
    )
