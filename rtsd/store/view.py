"""A view over an object's table, and what an engine makes views with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rtsd.core.layout import Layout
from rtsd.errors import ForeignDatabase

if TYPE_CHECKING:
    from rtsd.store.database import Queries, Tx
    from rtsd.store.schema import Table


@dataclass(frozen=True, slots=True)
class View:
    """A view of an object."""

    layout: Layout
    place: str
    """Its schema; on SQLite, what its name begins with."""
    object: str
    """The object's name, in lower case."""
    name: str
    columns: Mapping[str, str]
    """The source of each column, in order (`rtsd.core.layout`)."""
    definition: str = ""
    """What was last created."""

    def mark(self, table: str) -> str:
        """Return what is stored with the view, so that rtsd knows it."""
        return f"rtsd: {self.layout} of {table}"

    def foreign(self, shown: str, kind: str) -> ForeignDatabase:
        """Return the error about something else that has the view's name."""
        return ForeignDatabase(
            f"{shown} is a {kind} that rtsd did not make, and the layout {self.layout} needs its name",
            f"nothing was changed; rename it, or name another schema in [store.views] {self.layout}",
        )


@dataclass(frozen=True, slots=True)
class Put:
    """A view that was put."""

    definition: str
    emptied: tuple[str, ...] = ()
    """Columns that keep a type which cannot hold their field's values, as something depends on the view."""


class Views(Protocol):
    """Views as an engine makes them."""

    @property
    def numbers(self) -> str:
        """The column of the rows' stored integers."""

    @property
    def numbers_declared(self) -> str:
        """How it is declared; empty where every table has it."""

    def continued(self, table: str) -> str | None:
        """The statement that has the integers of new rows follow those of a filled table, if there is one."""

    async def make_place(self, tx: Tx, place: str) -> None:
        """Make the schema. Raises StorageUnwritable."""

    async def found(self, reader: Queries | Tx, view: View) -> dict[str, str] | None:
        """The types of the view's columns by name, in order; None if it is not there.

        Raises ForeignDatabase if something else has its name.
        """

    async def number(self, tx: Tx, table: Table) -> bool:
        """Give the rows their stored integers; return False if they have them."""

    async def release(self, tx: Tx, view: View, table: Table, sources: Collection[str]) -> None:
        """Let these columns of the table be altered; `put` follows in the same transaction."""

    async def put(self, tx: Tx, view: View, table: Table, found: Mapping[str, str] | None) -> Put:
        """Create the view, or replace it if its definition differs; `found` are its columns."""
