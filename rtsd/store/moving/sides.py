"""The sides of a move: a `Source` that nobody writes to, and a `Target` that is no mirror until the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rtsd.errors import Conflict, UnfinishedMove
from rtsd.store.database import Row
from rtsd.store.dialect import Dialect
from rtsd.store.schema import Table

MARK = "unfinished move"
"""The key that marks a target, with the name of the source as its value, until it is proven equal."""
MARKED = f"SELECT value FROM _rts_meta WHERE key='{MARK}'"
STATE = "source of an unfinished move"
"""The key of what tells whether somebody has written to the source since the move began."""


class Begin(StrEnum):
    """What a move does with what an interrupted one has left; nothing else is ever touched."""

    REFUSE = "refuse"
    RESUME = "resume"
    REPLACE = "replace"


def unfinished_move(name: str, origin: str, remedy: str) -> UnfinishedMove:
    """Return the error for a place with the mark; `remedy` makes it empty."""
    return UnfinishedMove(
        f"{name} is what an unfinished move from {origin} left: nothing says what is missing",
        f"run rtsd move with --resume to go on, or with --replace to begin again; or {remedy}, then run rtsd"
        f" move again; the mirror in {origin} is as it was",
    )


def require_same_origin(name: str, found: str | None, origin: str) -> None:
    """Require that a move from `origin` can be resumed at a place with this mark. Raises Conflict."""
    if found is None:
        raise Conflict(f"there is no unfinished move in {name}", "run rtsd move without --resume")
    if found != origin:
        raise Conflict(
            f"the unfinished move in {name} is from {found}, not from {origin}",
            "resume it with the configuration that it began with, or begin again with --replace",
        )


ENGINES_OWN = frozenset({"inbox", "inbox applied", "inbox removed", "schema version", "probe", MARK, STATE})
"""Keys of `_rts_meta` that mean something to one engine alone, or to a move."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a table of rtsd's own, in the order of their keys."""

    place: str
    """What stands after FROM: a table, with its schema where that matters."""
    keys: tuple[str, ...]
    where: str = ""


class Source(ABC):
    """A mirror, and its inbox, as they were at one moment."""

    name: str
    dialect: Dialect

    @abstractmethod
    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query. Raises StoreError."""

    @abstractmethod
    def parts(self, table: str, keys: tuple[str, ...]) -> list[Part]:
        """Where the rows of a table of rtsd's own are, one part after the other."""

    @abstractmethod
    async def columns(self, table: str) -> list[str]:
        """The columns of a table of rtsd's own."""

    @abstractmethod
    async def numbers(self) -> dict[str, int]:
        """The highest number that was ever given to a row, by table, where rows are numbered."""

    @abstractmethod
    async def require_untouched(self) -> None:
        """Require that nobody has written since the source was opened. Raises StoreError."""


class Target(ABC):
    """A place that was empty, and gets the content of a source."""

    name: str
    dialect: Dialect

    @abstractmethod
    async def put(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows to a table, whose name and columns are written as in SQL. Raises StoreError.

        Raises UnfitRow for one that a column cannot hold.
        """

    @abstractmethod
    async def clear(self, table: str) -> None:
        """Remove the rows of a table of rtsd's own. Raises StoreError."""

    @abstractmethod
    async def put_meta(self, pairs: Mapping[str, str]) -> None:
        """Add key-value pairs. Raises StoreError."""

    @abstractmethod
    async def execute(self, sql: str) -> None:
        """Run a statement on the mirror. Raises StoreError."""

    @abstractmethod
    async def build_indexes(self, table: Table) -> None:
        """Build the indexes of a filled table. Raises StoreError."""

    @abstractmethod
    async def set_numbers(self, numbers: Mapping[str, int]) -> None:
        """Have the numbers of new rows follow these. Raises StoreError."""

    @abstractmethod
    def stored(self, row: Row) -> Row:
        """A row of the source as it is stored here."""

    @abstractmethod
    def read_again(self) -> AbstractAsyncContextManager[Source]:
        """Read what is stored, through a connection of its own."""

    @abstractmethod
    async def finish(self) -> None:
        """Make it a mirror. Raises StoreError."""


class UnfitRow(Exception):
    """A row that its table cannot hold: its place among the rows, and the column."""

    def __init__(self, place: int, column: str) -> None:
        super().__init__(f"row {place}, {column}")
        self.place = place
        self.column = column
